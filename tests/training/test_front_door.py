"""`import gan`: every public name, and a game of one's own from its parts to its samples."""

import ast
import doctest
import inspect
import io
import json
import operator
import os
import re
import subprocess
import sys
import threading

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import ROOT
from user_script import SCRIPT

import gan
from gan import UserError
from gan.method.play import to_range


class G(nn.Module):
  size: int = 2

  @nn.compact
  def __call__(self, z):
    return nn.Dense(self.size)(nn.tanh(nn.Dense(8)(z)))


class D(nn.Module):
  @nn.compact
  def __call__(self, x):
    return nn.Dense(1)(nn.tanh(nn.Dense(8)(x)))[:, 0]


def make_game(**parts):
  return gan.Game(
    **{"generator": gan.from_linen(G()), "discriminator": gan.from_linen(D())} | parts
  )


POINTS = np.random.default_rng(0).normal(size=(256, 2)).astype(np.float32)
QUIET = {"log_every": 2, "sample_every": 100, "checkpoint_every": 3, "say": lambda line: None}


def fit(game, workdir, steps=6, images=POINTS, **options):
  return gan.fit(game, images, steps=steps, workdir=workdir, **QUIET | options)


@pytest.mark.parametrize("name", gan.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name):
  value = getattr(gan, name)
  assert name in dir(gan)
  if callable(value):
    assert inspect.getdoc(value), f"{name} has no docstring"
  elif name != "__version__":
    # A dictionary has no docstring of its own: what help(gan) begins with describes it.
    assert isinstance(value, dict) and value
    assert re.search(rf"^  {name} +name -> \w.{{20,}}$", gan.__doc__, re.M), name


def annotations(value):
  """What a function takes and returns, or a class holds, in words."""
  kinds = [value.__annotations__] if inspect.isclass(value) else []
  if not inspect.isclass(value):
    signature = inspect.signature(value)
    kinds = [{p.name: p.annotation for p in signature.parameters.values()}]
    kinds.append({"return": signature.return_annotation})
  return " ".join(str(kind) for each in kinds for kind in each.values())


CALLABLE = [name for name in gan.__all__ if callable(getattr(gan, name))]
WITH_ARRAYS = [name for name in CALLABLE if "Array" in annotations(getattr(gan, name))]
# What a paper or a release is the source of: penalties and rules.
OF_A_SOURCE = [
  name
  for name in CALLABLE
  if name.endswith("_penalty")
  or inspect.isfunction(getattr(gan, name))
  and annotations(getattr(gan, name)).endswith("UpdateRule'>")
]


@pytest.mark.parametrize("name", WITH_ARRAYS)
def test_a_name_with_arrays_says_their_shapes(name):
  assert re.search(r"\[[*\w ,./]*\]", inspect.getdoc(getattr(gan, name))), f"{name} says no shape"


@pytest.mark.parametrize("name", OF_A_SOURCE)
def test_a_penalty_or_rule_names_its_source(name):
  assert re.search(r"https://\S+", inspect.getdoc(getattr(gan, name))), f"{name} has no source"


def test_the_rules_on_shapes_and_sources_are_of_the_names_that_have_them():
  assert {"Loss", "from_nnx", "fit"}.isdisjoint(WITH_ARRAYS)
  assert {"Batch", "Regularizer", "r1_penalty", "latent_sampler", "from_linen"} < {*WITH_ARRAYS}
  assert {"r1_penalty", "wgan_gp_penalty", "simultaneous", "unrolled"} < {*OF_A_SOURCE}
  assert len(OF_A_SOURCE) == 11


@pytest.mark.parametrize("registry", ["LOSSES", "PENALTIES", "UPDATE_RULES", "REGULARIZERS"])
def test_entries_of_a_registry_say_what_they_are_and_their_source(registry):
  for name, entry in getattr(gan, registry).items():
    about = getattr(entry, "about", None) or entry
    says = [getattr(about, field, "") for field in ("discriminator", "formula", "summary")]
    assert any(isinstance(text, str) and text for text in says), name
    assert about.source or (registry, name) == ("PENALTIES", "none"), name


EXAMPLES = {
  "Augmentation",
  "Batch",
  "Config",
  "Dataset",
  "Extractor",
  "Game",
  "Hyperparameters",
  "LoadedRun",
  "Loss",
  "ModelSpec",
  "Outputs",
  "Penalty",
  "Regularizer",
  "UpdateRule",
  "View",
  "fit",
  "from_linen",
  "from_nnx",
  "latent_sampler",
  "load",
  "r1_penalty",
  "unrolled",
}
# By name, for commands: in their rooms alone.
IN_ROOMS = ("losses.make_loss", "schedules.make_schedule")


def test_what_a_user_writes_has_an_example():
  assert {name for name in CALLABLE if ">>>" in inspect.getdoc(getattr(gan, name))} == EXAMPLES


@pytest.mark.parametrize("name", [*sorted(EXAMPLES), *IN_ROOMS])
def test_examples_run_and_print_what_they_say(name, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  text = inspect.getdoc(operator.attrgetter(name)(gan))
  example = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
  said = io.StringIO()
  found = doctest.DocTestRunner(verbose=False).run(example, out=said.write)
  assert found.attempted > 1 and not found.failed, said.getvalue()


def test_there_are_about_forty_names_and_others_are_refused_with_the_list():
  assert 35 <= len(gan.__all__) <= 50
  with pytest.raises(AttributeError, match="gan has no Gane: it has .*Game"):
    _ = gan.Gane


def test_type_checkers_read_the_same_names_from_the_same_homes():
  tree = ast.parse((ROOT / "gan" / "__init__.py").read_text())
  (block,) = (node for node in tree.body if isinstance(node, ast.If))
  assert ast.unparse(block.test) == "TYPE_CHECKING"
  homes = {node.module: {alias.name for alias in node.names} for node in block.body}
  assert homes == {home: set(names) for home, names in gan._HOMES.items()}


def test_names_in_rooms_are_reached_after_import_gan_alone():
  pages = [ROOT / page for page in ("README.md", "docs/python.md", "docs/losses.md")]
  pages += (ROOT / "docs/how_to").glob("*.md")
  names = {
    name for page in pages for name in re.findall(r"\bgan(?:\.[A-Za-z_]\w*)+", page.read_text())
  }
  assert {"gan.losses.LOSSES", "gan.models.build", "gan.augment.compose"} <= names
  code = f"import gan; [eval(name) for name in {sorted(names)!r}]"
  result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
  assert result.returncode == 0, result.stderr
  assert "losses" in dir(gan)


def test_importing_gan_costs_no_more_than_its_libraries():
  libraries = ("jax", "flax", "optax", "orbax", "matplotlib")
  code = f"import sys, gan; print([name for name in {libraries} if name in sys.modules])"
  result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
  assert result.stdout.strip() == "[]"


def test_a_script_of_twenty_lines_outside_of_the_repository(tmp_path):
  assert len([line for line in SCRIPT.splitlines() if line.strip()]) <= 20
  (tmp_path / "mine.py").write_text(SCRIPT)
  environment = os.environ | {"PYTHONPATH": str(ROOT)}
  command = [sys.executable, "mine.py", "runs/mine"]
  result = subprocess.run(
    command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
  )
  assert result.returncode == 0, result.stderr
  assert result.stdout == "finished (16, 2)\n"
  config = json.loads((tmp_path / "runs/mine/config.json").read_text())
  assert config["determining"]["game loss"].startswith("__main__.<lambda>")


def test_training_in_a_thread_is_training(tmp_path):
  found = []
  thread = threading.Thread(target=lambda: found.append(fit(make_game(), tmp_path / "thread")))
  thread.start()
  thread.join()
  assert found[0].summary["status"] == "finished"
  here = fit(make_game(), tmp_path / "here")
  jax.tree.map(np.testing.assert_array_equal, found[0].state, here.state)


def test_the_same_call_continues_to_the_same_bits(tmp_path):
  game = make_game(loss=gan.LOSSES["hinge"])
  whole = fit(game, tmp_path / "whole", steps=6)
  fit(game, tmp_path / "parts", steps=3)
  parts = fit(game, tmp_path / "parts", steps=6)
  jax.tree.map(np.testing.assert_array_equal, whole.state, parts.state)
  assert whole.config.loss == "hinge"


def test_a_game_whose_code_has_moved_goes_on(tmp_path):
  def there(real, fake):
    return jax.nn.softplus(-real) + jax.nn.softplus(fake)

  def here(real, fake):
    return jax.nn.softplus(-real) + jax.nn.softplus(fake)

  def otherwise(real, fake):
    return jax.nn.softplus(-real) + 2 * jax.nn.softplus(fake)

  def game(discriminator, **parts):
    return make_game(loss=gan.Loss(discriminator, lambda real, fake: -fake), **parts)

  fit(game(there), tmp_path / "moved", steps=3)
  fit(game(there), tmp_path / "stayed", steps=6)
  moved = fit(game(here), tmp_path / "moved", steps=6)
  stayed = gan.load(tmp_path / "stayed", game(there))
  jax.tree.map(np.testing.assert_array_equal, moved.state, stayed.state)
  for other in (game(otherwise), game(here, hyperparameters={"b1": 0.25})):
    with pytest.raises(UserError, match="holds a run with another config"):
      fit(other, tmp_path / "moved", steps=9)


def test_another_game_or_other_data_are_refused_with_the_difference(tmp_path):
  fit(make_game(), tmp_path / "run")
  with pytest.raises(UserError, match="batch_size: .*game accumulate: "):
    fit(make_game(accumulate=2), tmp_path / "run", batch_size=32)
  with pytest.raises(UserError, match="data_sha256"):
    fit(make_game(), tmp_path / "run", images=POINTS + 1)


def test_sizes_of_a_passed_game_say_how_its_batches_can_be_split(tmp_path):
  odd, even = make_game(generator_batch_size=3), make_game(generator_batch_size=2)
  for game, strategy in ((odd, "jit"), (even, "shard_map")):
    run = fit(game, tmp_path / strategy, steps=1, batch_size=4, parallel="auto")
    sessions = json.loads((tmp_path / strategy / "environment.json").read_text())["sessions"]
    assert (run.summary["status"], sessions[-1]["parallel"]) == ("finished", strategy)


def test_a_run_of_a_passed_game_says_what_is_missing(tmp_path):
  fit(make_game(), tmp_path / "run")
  with pytest.raises(
    UserError, match=r"a game that was passed, .* code of generator G, discriminator D: give it"
  ):
    gan.load(tmp_path / "run")


def test_classes_without_an_example_are_said(tmp_path):
  run, game = run_of_two_classes(tmp_path / "run")
  said, images = [], np.zeros((16, 4, 4, 1), np.uint8)
  fit(game, tmp_path / "one", 1, images, labels=np.ones(16, int), batch_size=16, say=said.append)
  assert "images has no example of 1 of its 2 classes: 0" in said
  with pytest.raises(UserError, match="of memory are needed for .* samples"):
    run.sample(10**15, jax.random.key(0))


def run_of_two_classes(folder):
  """(run, game) of images with labels."""

  class Painter(nn.Module):
    @nn.compact
    def __call__(self, z, labels):
      hidden = jnp.concatenate([z, jax.nn.one_hot(labels, 2)], axis=1)
      return nn.tanh(nn.Dense(16)(hidden)).reshape(-1, 4, 4, 1)

  class Judge(nn.Module):
    @nn.compact
    def __call__(self, x, labels):
      hidden = jnp.concatenate([x.reshape(len(x), -1), jax.nn.one_hot(labels, 2)], axis=1)
      return nn.Dense(1)(hidden)[:, 0]

  game = gan.Game(
    generator=gan.from_linen(Painter()), discriminator=gan.from_linen(Judge()), num_classes=2
  )
  images = np.random.default_rng(0).integers(0, 256, (64, 4, 4, 1)).astype(np.uint8)
  return fit(game, folder, images=images, labels=np.arange(64) % 2, batch_size=16), game


def test_images_labels_and_averages_reach_the_players(tmp_path):
  run, game = run_of_two_classes(tmp_path / "run")
  drawn = run.sample(6, jax.random.key(0))
  assert drawn.shape == (6, 4, 4, 1) and drawn.dtype == np.uint8
  assert np.any(run.sample(6, jax.random.key(0), weights="raw") != drawn)
  assert np.any(run.sample(6, jax.random.key(0), labels=np.zeros(6, int)) != drawn)
  first = gan.load(tmp_path / "run", game, step=3)
  assert first.state.step == 3 and run.state.step == 6


class Painter(nn.Module):
  @nn.compact
  def __call__(self, z):
    return nn.tanh(nn.Dense(16)(z)).reshape(-1, 4, 4, 1)


class Judge(nn.Module):
  @nn.compact
  def __call__(self, x):
    return nn.Dense(1)(x.reshape(len(x), -1))[:, 0]


def test_float_images_in_the_range_of_the_game_train_as_the_pixels_that_they_are(tmp_path):
  game = make_game(generator=gan.from_linen(Painter()), discriminator=gan.from_linen(Judge()))
  pixels = np.random.default_rng(0).integers(0, 256, (64, 4, 4, 1)).astype(np.uint8)
  floats = jax.jit(to_range, static_argnums=1)(pixels, game.image_range)
  runs = [
    fit(game, tmp_path / str(kind.dtype), images=np.asarray(kind), batch_size=16)
    for kind in (pixels, floats)
  ]
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), *(r.state for r in runs))


def bad(tmp_path):
  game, run = make_game(), tmp_path / "run"
  yield "give uint8", lambda: fit(game, run, images=POINTS.astype(np.float64))
  yield "not finite", lambda: fit(game, run, images=np.full((4, 2), np.nan, np.float32))
  for pixel, span in ((3.0, "3 to 3"), (-1.5, "-1.5 to -1.5"), (255.0, "255 to 255")):
    images = np.full((4, 8, 8, 1), pixel, np.float32)
    yield f"from {span}, .*image_range", lambda images=images: fit(game, run, images=images)
  yield "0 classes|labels", lambda: fit(make_game(num_classes=3), run)
  yield "batch unknown: options are", lambda: fit(game, run, batch=3)
  yield "batch_size=0", lambda: fit(game, run, batch_size=0)
  yield "steps=0", lambda: fit(game, run, steps=0)
  yield "gan.fit .* cannot be traced", lambda: jax.jit(lambda _: fit(game, run).step)(0)
  yield "no run folder|not a run folder", lambda: gan.load(tmp_path / "nothing", game)
  yield (
    "b3 unknown: choose from",
    lambda: make_game(hyperparameters={"b3": 1.0}).init(jax.random.key(0)),
  )


def test_what_cannot_be_is_one_line(tmp_path):
  for expected, call in bad(tmp_path):
    with pytest.raises(UserError, match=expected) as caught:
      call()
    assert "\n" not in str(caught.value)


# What is no argument of `fit`, and what is said of it.
NO_ARGUMENTS = [
  ({"game": "x"}, "`game='x'` must be a gan.Game as it was made, and not its class"),
  ({"images": np.zeros((0, 2), np.float32)}, "images are float32 [0, 2]: give"),
  ({"images": np.ma.masked_array(POINTS, mask=POINTS > 1)}, "images have a mask, which nothing"),
  ({"workdir": "u" * 300}, "cannot be written to (File name too long)"),
  ({"images": np.zeros((0, 8, 8, 1), np.uint8)}, "images holds no image"),
  ({"game": make_game(axis_name="batch")}, "`axis_name` of the game is chosen by gan.fit"),
  (
    {"images": gan.Dataset("points", POINTS, None, 0, "")},
    "images are a gan.Dataset: give its `images`",
  ),
  ({"say": 3}, "`say=3` must be a function that takes a line"),
  ({"steps": "5"}, "steps='5' must be a whole number"),
  ({"steps": True}, "steps=True must be a whole number"),
  ({"steps": 2.5}, "steps=2.5 must be a whole number"),
  ({"steps": None}, "steps=None must be a whole number"),
  ({"steps": np.float32(2)}, "steps=2.0 must be a whole number"),
  ({"steps": 2**70}, "must be below 2^31"),
  ({"batch_size": None}, "batch_size=None must be a whole number"),
  ({"batch_size": 16.0}, "batch_size=16.0 must be a whole number"),
  ({"seed": 1.5}, "seed=1.5 must be a whole number"),
  ({"seed": np.bool_(True)}, "seed=True must be a whole number"),
  ({"parallel": None}, "parallel=None must be text"),
  ({"parallel": ["jit"]}, "parallel=['jit'] must be text"),
  ({"log_every": 1.5}, "log_every=1.5 must be a whole number"),
  ({"name": None}, "`name=None` must be a line of text"),
  ({"name": 5}, "`name=5` must be a line of text"),
  ({"name": "a\nb"}, "must be a line of text"),
  ({"name": "\ud800"}, "must be a line of text"),
  ({"workdir": None}, "`workdir=None` must be a path"),
  ({"workdir": b"run"}, "must be a path"),
  ({"workdir": ""}, "`workdir=` must not be empty"),
  ({"workdir": "a\0b"}, "must not hold a zero character"),
  ({"workdir": "~nobody_of_that_name/run"}, "there is no home folder ~nobody_of_that_name"),
  ({"images": [[1.0, 2.0], [3.0]]}, "images are not all of one size"),
  ({"images": None}, "images are object"),
  ({"images": np.zeros((16, 4, 4, 1), np.uint8)}, "images are [4, 4, 1] each, and the generator"),
  ({"labels": np.zeros(256, int)}, "labels are for a game with classes: leave them out"),
]


@pytest.mark.parametrize(
  ("arguments", "message"), NO_ARGUMENTS, ids=[message for _, message in NO_ARGUMENTS]
)
@pytest.mark.usefixtures("unchecked")
def test_what_is_no_argument_is_one_line_before_anything_is_written(
  tmp_path, monkeypatch, arguments, message
):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(UserError) as caught:
    fit(**{"game": make_game(), "workdir": "run"} | arguments)
  assert message in str(caught.value)
  assert "\n" not in str(caught.value) and "--" not in str(caught.value)
  assert not any(tmp_path.iterdir())


def test_what_is_said_in_python_names_arguments_and_no_flags(tmp_path):
  game, said = make_game(), []
  for _ in range(2):
    fit(game, tmp_path / "run", steps=2, say=said.append)
  assert any("Finished at step 2 already: give steps above 2 to continue." in line for line in said)
  assert not any("--" in line for line in said)
  others = [
    lambda: fit(game, tmp_path / "run", steps=2, seed=1),
    lambda: gan.load(tmp_path),
    lambda: gan.load(tmp_path / "run", game, step=7),
  ]
  for call in others:
    with pytest.raises(UserError) as caught:
      call()
    assert not re.search("--|flags|command", str(caught.value))


def test_numbers_of_numpy_and_a_home_folder_are_taken_as_they_are_meant(
  tmp_path, monkeypatch, unchecked
):
  monkeypatch.setenv("HOME", str(tmp_path))
  numbers = {"steps": np.int64(2), "seed": np.int64(1), "batch_size": np.int32(16)}
  fit(make_game(packing=np.int64(2)), "~/mine", **numbers)
  for again in (numbers, {"steps": 3, "seed": 1, "batch_size": 16}):
    run = fit(make_game(packing=2), tmp_path / "mine", **again)
  assert run.summary["step"] == 3 and type(run.config.steps) is int
  assert gan.load("~/mine", make_game(packing=2), step=np.int64(2)).state.step == 2


NO_SAMPLES = [
  ({"labels": [0.5, 1.7, 2.2, 0.1]}, "labels must be 4 integers 0 .. 1"),
  ({"labels": [np.nan] * 4}, "labels must be 4 integers 0 .. 1"),
  ({"labels": [True, False, True, False]}, "labels must be 4 integers 0 .. 1"),
  ({"labels": ["a"] * 4}, "labels must be 4 integers 0 .. 1"),
  ({"labels": [None] * 4}, "labels must be 4 integers 0 .. 1"),
  ({"labels": [[0], [0, 1], [0], [1]]}, "labels are not all of one size"),
  ({"labels": [0, 1, 2, 0]}, "labels must be 4 integers 0 .. 1"),
  ({"labels": [0, 1]}, "labels must be 4 integers 0 .. 1"),
  ({"count": 1.5}, "`count=1.5` must be a whole number of at least 1"),
  ({"count": True}, "`count=True` must be a whole number of at least 1"),
  ({"count": 0}, "`count=0` must be a whole number of at least 1"),
  ({"key": 0}, "`key=0` must be a random key, such as jax.random.key(0)"),
  ({"key": np.zeros(3, np.uint32)}, "must be a random key, such as jax.random.key(0)"),
]


def test_what_is_no_label_count_or_step_is_one_line(tmp_path, unchecked):
  run, game = run_of_two_classes(tmp_path / "run")
  for arguments, message in NO_SAMPLES:
    with pytest.raises(UserError) as caught:
      run.sample(**{"count": 4, "key": jax.random.key(0)} | arguments)
    assert message in str(caught.value) and "\n" not in str(caught.value), arguments
  for step in (1.0, True, "1"):
    with pytest.raises(UserError, match=f"`step={step!r}` must be a whole number$"):
      gan.load(tmp_path / "run", game, step=step)
  for other in ("x", gan.Game):
    with pytest.raises(UserError, match="`game=.* must be a gan.Game as it was made"):
      gan.load(tmp_path / "run", other)


def test_scheduling_what_a_passed_optimizer_brings_itself_is_refused():
  numbers = {"images_per_step": 64, "schedule_images": 640}
  rate = gan.schedules.make_schedule("generator_learning_rate=linear:0", **numbers)
  with pytest.raises(UserError, match="generator_learning_rate cannot .* its own"):
    make_game(optimizer=optax.adam(1e-3), schedule=rate)
  with pytest.raises(UserError, match="b1 cannot be set"):
    make_game(optimizer=optax.adam(1e-3), hyperparameters={"b1": 0.9})
  weight = gan.schedules.make_schedule("penalty_weight=linear:0", **numbers)
  passed = {"optimizer": optax.adam(1e-3), "penalty": gan.r1_penalty, "schedule": weight}
  assert make_game(**passed).fixed_rates()


def test_a_state_that_no_checkpoint_can_hold_is_refused(tmp_path):
  game = make_game(optimizer=optax.noisy_sgd(1e-3, key=jax.random.key(0)))
  with pytest.raises(UserError, match="holds random keys, which no checkpoint can hold, in "):
    fit(game, tmp_path / "run", steps=1)
  assert not (tmp_path / "run").exists()


def test_a_run_that_diverges_says_so_and_has_no_samples(tmp_path):
  loss = gan.Loss(lambda real, fake: jnp.full_like(real, jnp.nan), lambda real, fake: -fake)
  run = fit(make_game(loss=loss), tmp_path / "run", steps=2)
  assert run.summary["status"] == "diverged at step 1"
  with pytest.raises(UserError, match="diverged at step 1"):
    run.sample(1, jax.random.key(0))
