"""Passed parts: whether a game computes what it did before, and where its parts are found again."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import ROOT
from test_front_door import D, G, fit, make_game

import gan
from experiments import sample
from gan import UserError
from gan.training import passed, plugins, program
from gan.training.build import DataInfo
from gan.training.config import Config

# What a game computes.


def scaled_loss(factor):
  return gan.Loss(lambda r, f: factor * f - r, lambda r, f: -f)


def shift(by):
  return lambda images, keys: images + by


def linear_to(end):
  return gan.schedules.make_schedule(
    f"generator_learning_rate=linear:{end}", images_per_step=64, schedule_images=640
  )


def scaled_generator(factor):
  network = gan.from_linen(G())

  def apply(*args, **options):
    return jax.tree.map(lambda x: factor * x, network.apply(*args, **options))

  return gan.Network(network.init, apply, "mine")


def other_games():
  """(what is named, game, game of the same words that computes something else)"""
  shifts = (np.arange(2.0)[None], np.ones((1, 2)))
  yield "optimizer", *(make_game(optimizer=optax.adam(rate)) for rate in (2e-4, 1e-3))
  yield "loss", *(make_game(loss=scaled_loss(factor)) for factor in (1.0, 2.0))
  yield "the step", *(make_game(update_rule=gan.lookahead(lookahead_steps=k)) for k in (2, 3))
  yield "the step", *(make_game(augment=shift(by)) for by in shifts)
  yield "the step", *(make_game(schedule=linear_to(end)) for end in (0, 1e-5))
  yield "generator", *(make_game(generator=scaled_generator(factor)) for factor in (1, 2))


@pytest.mark.parametrize(("what", "game", "other"), tuple(other_games()))
def test_games_of_the_same_words_are_told_apart_by_what_they_compute(what, game, other):
  assert passed.describe(game) == passed.describe(other)
  there, here = {"digests": digests(game)}, {"digests": digests(other)}
  assert program.changed(there, {"digests": digests(game)}) == []
  assert what in program.words(program.changed(there, here))


GAME = make_game(optimizer=optax.adam(1e-3))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
  """A run of three steps of GAME; to be copied."""
  folder = tmp_path_factory.mktemp("trained")
  fit(GAME, folder, steps=3)
  return folder


@pytest.fixture
def folder(trained, tmp_path):
  return shutil.copytree(trained, tmp_path / "run")


def test_a_game_of_the_same_words_that_computes_something_else_is_refused(folder):
  before = (folder / "config.json").read_bytes()
  with pytest.raises(UserError, match="computes something else.*optimizer.*use what") as caught:
    fit(make_game(optimizer=optax.adam(2e-3)), folder)
  assert "\n" not in str(caught.value) and (folder / "config.json").read_bytes() == before
  # An equal game that was made anew is the same.
  assert fit(make_game(optimizer=optax.adam(1e-3)), folder, steps=4).summary["step"] == 4


def digests(game):
  config = Config(dataset="images", model="passed", batch_size=8)
  return program.describe(game, config, DataInfo((2,), 0, 8, None))["digests"]


@pytest.mark.cluster
def test_digests_are_equal_for_equal_games_and_in_other_processes():
  # Each makes its own lambdas; one has traced other things before, and hashes in another order.
  code = (
    "import json, sys; sys.path.insert(0, 'tests/training'); sys.path.insert(0, 'tests');"
    "import test_passed_parts as door;"
    "games = list(door.other_games())[int(sys.argv[1]):];"
    "print(json.dumps(door.digests(games[-1][1])))"
  )
  said = []
  for seed, start in (("1", "0"), ("2", "-1")):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
    environment |= {"JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", code, start]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said.append(json.loads(done.stdout))
  assert said[0] == said[1] == digests(list(other_games())[-1][1])


def test_a_constant_is_part_of_the_digest_and_an_address_is_not():
  here, there = np.arange(4.0), np.arange(4.0)

  def add(constant):
    return program.digest(lambda x: x + constant, jnp.zeros(4))

  assert add(here) == add(there) != add(here + 1)

  def named(name):
    return jax.jit(eval(f"lambda {name}: {name} * 2"))

  assert program.digest(named("x"), 1.0) == program.digest(named("y"), 1.0)


def edit_config(folder, edit):
  record = json.loads((folder / "config.json").read_text())
  edit(record)
  (folder / "config.json").write_text(json.dumps(record))


def test_a_folder_without_digests_continues_as_before(folder):
  edit_config(folder, lambda record: [record.pop(name) for name in ("program", "parts")])
  said = []
  fit(GAME, folder, steps=4, say=said.append)
  assert said == ["Continuing from step 3."]


def test_digests_of_another_version_are_not_compared_and_that_is_said(folder):
  edit_config(folder, lambda record: record["program"]["traced_by"].update(jax="0.0"))
  said, other = [], make_game(optimizer=optax.adam(2e-3))
  gan.load(folder, other, say=said.append)
  fit(other, folder, steps=4, say=said.append)
  lines = [line for line in said if "cannot be told (jax: 0.0 there" in line]
  assert len(lines) == 2 and not any("\n" in line for line in lines)


def test_loading_by_another_generator_is_refused_and_by_another_loss_is_said(folder):
  class Bent(G):
    @nn.compact
    def __call__(self, z):
      return nn.Dense(self.size)(nn.relu(nn.Dense(8)(z)))

  said = []
  for network in (Bent(), G(size=3)):
    with pytest.raises(UserError, match="was trained with another generator"):
      gan.load(folder, GAME.replace(generator=gan.from_linen(network)), say=said.append)
  assert gan.load(folder, GAME.replace(), say=said.append) and not said
  assert gan.load(folder, GAME.replace(loss=gan.LOSSES["hinge"]), say=said.append)
  assert len(said) == 1 and "loss, optimizer or another part of the step differs" in said[0]


def test_loading_from_a_folder_without_digests_compares_words(folder):
  edit_config(folder, lambda record: record.pop("program"))
  said = []
  gan.load(folder, GAME, say=said.append)
  assert not said
  gan.load(folder, GAME.replace(loss=gan.LOSSES["hinge"]), say=said.append)
  assert len(said) == 1 and "loss: None there, gan.losses.hinge" in said[0]


# Games whose parts are found again.

MY_PARTS = """
import gan
from test_front_door import D, G
generator, discriminator = gan.from_linen(G()), gan.from_linen(D())
loss = gan.Loss(lambda real, fake: fake - real, lambda real, fake: -fake)
"""


@pytest.fixture
def my_parts(tmp_path, monkeypatch):
  (tmp_path / "my_front_parts.py").write_text(MY_PARTS)
  monkeypatch.chdir(tmp_path)
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.setattr(plugins, "_LOADED", {})
  plugins.load(["my_front_parts"])
  yield sys.modules["my_front_parts"]
  sys.modules.pop("my_front_parts", None)


def record_of(game):
  """What config.json holds of it."""
  words = {f"game {name}": what for name, what in passed.describe(game).items()}
  return json.loads(json.dumps({"determining": words, "parts": passed.references(game)}))


def test_a_game_of_registered_parts_is_found_again():
  players = gan.models.build("points", gan.ModelSpec((2,), latent_dim=4, width=8), "uniform")
  chosen = {"loss": gan.LOSSES["hinge"], "penalty": gan.PENALTIES["r1"], "accumulate": 2}
  numbers = {"hyperparameters": {"penalty_weight": 0.1}, "image_range": (0.0, 1.0)}
  game = gan.Game(**players._asdict() | chosen | numbers)
  found = passed.find(record_of(game), "run")
  assert digests(found) == digests(game)
  assert (found.loss, found.image_range) == (game.loss, (0.0, 1.0))


def test_parts_that_registered_functions_made_are_made_again():
  players = gan.models.build("points", gan.ModelSpec((2,), latent_dim=4, width=8))
  schedule = {"images_per_step": 64, "schedule_images": 640}
  game = gan.Game(
    **players._asdict(),
    loss=gan.losses.make_loss("lsgan", lsgan_targets=(-1.0, 1.0, 0.0)),
    penalty=gan.penalties.make_penalty("dragan", axis_name=()),
    update_rule=gan.lookahead(lookahead_steps=3),
    regularizers={"lecam": gan.REGULARIZERS["lecam"].make(lecam_decay=0.5)},
    augment=gan.AUGMENTATIONS["instance_noise"].make(),
    schedule=gan.schedules.make_schedule("lecam_weight=linear:0", **schedule),
    hyperparameters={"instance_noise": 0.1},
  )
  record = record_of(game)
  found = passed.find(record, "run")
  assert digests(found) == digests(game)
  assert record_of(found) == record
  other = game.replace(update_rule=gan.UPDATE_RULES["lookahead"].make(lookahead_steps=4))
  assert digests(passed.find(record_of(other), "run")) != digests(game)


CHANGED = {
  "loss": gan.losses.make_loss("lsgan", lsgan_targets=(-1.0, 1.0, 0.0))._replace(generator=min),
  "update_rule": gan.alternating()._replace(step=min),
  "augment": gan.AUGMENTATIONS["instance_noise"].make()._replace(apply=min),
  "regularizers": {"lecam": gan.REGULARIZERS["lecam"].make()._replace(update=min)},
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_part_that_was_changed_after_it_was_made_is_missing(name):
  players = gan.models.build("points", gan.ModelSpec((2,), latent_dim=4, width=8))
  with pytest.raises(UserError, match=f"no code of {name}( lecam)?: give it"):
    passed.find(record_of(gan.Game(**players._asdict(), **{name: CHANGED[name]})), "run")


@pytest.mark.parametrize(
  "place",
  [
    {"plugin": "my_front_parts", "name": "write"},
    {"registry": "LOSSES", "name": "hinge"},
    {"registry": "PENALTIES", "name": "r1"},
  ],
)
def test_nothing_is_called_but_what_makes_parts(my_parts, place, tmp_path):
  written = tmp_path / "written"
  my_parts.write = lambda path: pathlib.Path(path).touch()
  players = gan.models.build("points", gan.ModelSpec((2,), latent_dim=4, width=8))
  record = record_of(gan.Game(**players._asdict(), loss=gan.LOSSES["hinge"]))
  record["parts"]["loss"] = place | {"arguments": {"each": {"path": {"value": str(written)}}}}
  with pytest.raises(UserError, match="no code of loss"):
    passed.find(record, "run")
  assert not written.exists()


def test_a_module_of_pythons_own_is_no_plugin_of_a_run():
  with pytest.raises(UserError, match="run names subprocess as its plugin, a module of Python's"):
    plugins.load_recorded(["subprocess"], "run")


def test_a_part_that_was_made_of_what_no_file_holds_is_missing():
  rule = gan.consensus(consensus_weight=jnp.float32(2))
  players = gan.models.build("points", gan.ModelSpec((2,), latent_dim=4, width=8))
  with pytest.raises(UserError, match="no code of update_rule: give it"):
    passed.find(record_of(gan.Game(**players._asdict(), update_rule=rule)), "run")


def test_a_penalty_by_name_has_its_weight_and_takes_the_axis_of_its_game():
  made = gan.penalties.make_penalty("r1")
  assert made is gan.PENALTIES["r1"]
  players = gan.models.build("points", gan.ModelSpec((2,), latent_dim=4, width=8))
  game = gan.Game(**players._asdict(), penalty=made)
  assert game.default_hyperparameters().penalty_weight == 10
  assert gan.penalties.make_penalty("dragan", axis_name="batch").keywords == ()


def test_a_game_of_a_plugin_needs_not_be_given(tmp_path, my_parts):
  game = gan.Game(
    generator=my_parts.generator, discriminator=my_parts.discriminator, loss=my_parts.loss
  )
  run = fit(game, tmp_path / "run", steps=1)
  sys.modules.pop("my_front_parts")
  plugins._LOADED.clear()
  loaded = gan.load(tmp_path / "run")
  jax.tree.map(np.testing.assert_array_equal, loaded.state, run.state)
  assert np.all(loaded.sample(8, jax.random.key(0)) == run.sample(8, jax.random.key(0)))


def test_commands_open_a_run_once_its_parts_are_those_of_a_plugin(
  tmp_path, my_parts, capsys, programs_of_the_tests
):
  loss = gan.Loss(lambda real, fake: fake - real, lambda real, fake: -fake)
  fit(make_game(loss=loss), "run", steps=1)
  assert sample.main(["gan-sample", "--workdir=run"]) == 2
  *_, line = capsys.readouterr().err.splitlines()
  assert line.startswith("error: run was trained with a game that was passed")
  assert "for commands, name these parts in a module, import it by gan.training.plugins" in line
  players = {"generator": my_parts.generator, "discriminator": my_parts.discriminator}
  fit(gan.Game(**players, loss=my_parts.loss), "run", steps=1)
  assert sample.main(["gan-sample", "--workdir=run"]) == 0
  # The plugin is called otherwise later.
  (tmp_path / "my_front_parts.py").rename(tmp_path / "moved_parts.py")
  plugins._LOADED.clear()
  del sys.modules["my_front_parts"]
  assert sample.main(["gan-sample", "--workdir=run"]) == 2
  assert sample.main(["gan-sample", "--workdir=run", "--plugin=moved_parts"]) == 0
  del sys.modules["moved_parts"]


def test_exactly_the_parts_that_are_missing_are_named(my_parts):
  game = gan.Game(
    generator=my_parts.generator,
    discriminator=gan.from_linen(D()),
    loss=gan.LOSSES["hinge"],
    optimizer=optax.adam(1e-3),
    accumulate=2,
  )
  with pytest.raises(UserError, match="run was trained .* no code of discriminator D") as caught:
    passed.find(record_of(game), "run")
  message = str(caught.value)
  assert ", optimizer: give it" in message and "\n" not in message
  assert not any(part in message for part in ("generator", "loss", "accumulate", "optax"))


def my_loss(real, fake):
  return fake - real


@pytest.mark.parametrize(
  ("parts", "named"),
  [
    ({"loss": gan.Loss(my_loss, my_loss)}, "generator G, discriminator D, loss my_loss: give it"),
    ({"loss": gan.Loss(lambda real, fake: fake, my_loss)}, "discriminator D, loss: give it"),
    ({"optimizer": optax.chain(optax.sgd(1e-3))}, "discriminator D, optimizer: give it"),
    ({"regularizers": {"mine": gan.Regularizer()}}, "discriminator D, regularizers mine: give it"),
  ],
)
def test_what_is_missing_is_named_by_the_arguments_of_a_game(parts, named):
  with pytest.raises(UserError, match="was trained with a game that was passed") as caught:
    passed.find(record_of(make_game(**parts)), "run")
  assert named in str(caught.value)
  assert "<" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize(
  "place",
  [None, 3, {}, {"plugin": "os", "name": "system"}, {"registry": "LOSSES", "name": "x"}, "absent"],
)
def test_references_that_lead_nowhere_are_missing_parts(my_parts, place):
  record = record_of(gan.Game(generator=my_parts.generator, discriminator=my_parts.discriminator))
  record["parts"]["generator"] = place
  if place == "absent":
    del record["parts"]["generator"]
  with pytest.raises(UserError, match="has no code of generator G[^,]*: give it"):
    passed.find(record, "run")
