"""Runs that start from another run, from an export or from a file."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import optax
import pytest
import toys

import gan
from experiments import export, sweep
from gan.errors import UserError
from gan.state import Start, named
from gan.sweeps.search import parse_grid
from gan.system import safetensors
from gan.training import hub, loop, restore, starting
from gan.training.build import DataInfo, build
from gan.training.checkpoint import digest

POINTS = DataInfo((2,), 0, 200, None)
SHORT = dataclasses.replace(toys.RING, steps=2, checkpoint_every=1, sample_every=100)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  """The folder of a run of two steps."""
  folder = tmp_path_factory.mktemp("source") / "run"
  loop.fit(dataclasses.replace(SHORT, seed=7), folder)
  return folder


@pytest.fixture(scope="module")
def exports(source):
  """The folder of its exports."""
  for form in ("hub", "safetensors"):
    flags = [f"--workdir={source}", f"--format={form}", f"--out={source.parent / form}"]
    assert export.main(["export", *flags]) == 0
  return source.parent


def started(given, lines=None, model="points", **choices):
  """(the state that a run begins with, that which it would draw)."""
  init = build(dataclasses.replace(SHORT, **choices), POINTS).init
  said = [] if lines is None else lines
  begun = starting.begin(given, model, init, None, said.append)
  key = jax.random.key(3)
  return init(key, start=begun.weights()), init(key)


def assert_same(one, other):
  for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True):
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("part", starting.PARTS)
def test_a_part_takes_the_weights_of_its_player_and_draws_the_others(source, part):
  there = restore.load(source).state
  state, drawn = started(f"{source}:{part}")
  of_generator = there.ema_params if part == "ema" else there.generator.params
  takes_g, takes_d = part != "discriminator", part in ("discriminator", "both")
  assert_same(state.generator.params, of_generator if takes_g else drawn.generator.params)
  assert_same(state.ema_params, there.ema_params if takes_g else drawn.ema_params)
  expected = there.discriminator.params if takes_d else drawn.discriminator.params
  assert_same(state.discriminator.params, expected)
  assert_same(state.generator.opt_state, drawn.generator.opt_state)
  assert state.step == 0


def test_the_average_differs_from_the_generator_in_these_tests(source):
  there = restore.load(source).state
  assert digest(there.ema_params) != digest(there.generator.params)


def test_what_a_rule_keeps_begins_with_the_weights_that_were_taken(source):
  state, _ = started(str(source), update_rule="lookahead")
  assert_same(state.aux_state["update_rule"]["generator"], state.generator.params)


def test_what_does_not_fit_is_drawn_and_named(source):
  lines = []
  state, drawn = started(str(source), lines, latent_dim=5)
  there = restore.load(source).state
  first, second = (named(it.generator.params, {}) for it in (state, there))
  kept = named(drawn.generator.params, {})
  (other,) = [name for name in first if first[name].shape != second[name].shape]
  for name, array in first.items():
    np.testing.assert_array_equal(array, kept[name] if name == other else second[name])
  count, place = len(first), source
  assert lines == [
    f"{count - 1} of {count} arrays of the generator are from {place}; not taken: {other} [2, 8] "
    "there, [5, 8] here",
    f"{count} of {count} arrays of the discriminator are from {place}",
  ]


def test_exports_start_what_their_run_starts(source, exports):
  expected, _ = started(str(source))
  for place in (exports / "hub", exports / "hub" / "model.safetensors"):
    state, _ = started(str(place))
    assert_same(state, expected)
  lines, file = [], exports / "safetensors" / "generator.safetensors"
  state, drawn = started(str(file), lines)
  assert_same(state.generator.params, expected.ema_params)
  assert_same(state.discriminator, drawn.discriminator)
  assert lines[-1] == f"{file} holds no discriminator: that begins anew"
  with pytest.raises(UserError, match="safetensors:discriminator: it holds no discriminator"):
    started(f"{exports / 'safetensors'}:discriminator")


def test_a_run_that_was_started_goes_on_to_the_bit_without_its_source(source, tmp_path):
  shutil.copytree(source, tmp_path / "source")
  config = dataclasses.replace(SHORT, init_from=str(tmp_path / "source"))
  loop.fit(dataclasses.replace(config, steps=1), tmp_path / "stopped")
  whole = loop.fit(config, tmp_path / "whole")
  shutil.rmtree(tmp_path / "source")
  assert loop.fit(config, tmp_path / "stopped")["status"] == whole["status"] == "finished"
  one, other = (restore.load(tmp_path / name).state for name in ("stopped", "whole"))
  assert digest(one) == digest(other)
  record = json.loads((tmp_path / "whole" / "config.json").read_text())
  weights = hub.weights(restore.load(source).state)
  assert record["determining"]["init_sha256"] == digest(weights)
  assert record["determining"]["init_part"] == "both"
  with pytest.raises(UserError, match=r"holds a run with another config \(init_part: both there"):
    loop.fit(dataclasses.replace(config, init_from=None), tmp_path / "whole")


def test_a_run_without_a_checkpoint_asks_for_the_weights_that_it_began_with(source, tmp_path):
  config = dataclasses.replace(SHORT, steps=1, init_from=str(tmp_path / "source"))
  shutil.copytree(source, tmp_path / "source")
  loop.fit(config, tmp_path / "run")
  for name in ("checkpoints", "metrics.jsonl", "summary.json"):
    path = tmp_path / "run" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
  (tmp_path / "run" / "checkpoints").mkdir()
  shutil.rmtree(tmp_path / "source")
  loop.fit(dataclasses.replace(SHORT, seed=8, steps=1), tmp_path / "source")
  with pytest.raises(UserError, match="is not what this run began with, by the SHA-256"):
    loop.fit(config, tmp_path / "run")


def test_a_game_starts_from_a_run_that_was_loaded(source, tmp_path):
  spec = gan.ModelSpec((2,), latent_dim=2, width=8)
  game = gan.Game(**gan.models.build("points", spec)._asdict())
  points = np.random.default_rng(0).normal(size=(32, 2)).astype(np.float32)
  still = game.replace(optimizer=optax.sgd(0.0))
  run = gan.fit(
    still, points, steps=1, workdir=tmp_path / "a", batch_size=4, init_from=gan.load(source)
  )
  assert_same(run.state.generator.params, restore.load(source).state.generator.params)


def test_every_run_of_a_sweep_starts_there(source, tmp_path):
  flags = ["--experiment=ring", "--losses=nonsat", "--seeds=2", "--steps=1", "--eval_every=0"]
  flags += ["--split=train[:200]", "--width=8", "--latent_dim=2", "--batch_size=6", "--freeze_d=1"]
  still = ["--generator_learning_rate=0", "--discriminator_learning_rate=0"]
  given = [f"--init_from={source}:generator", f"--workdir={tmp_path / 'sweep'}"]
  assert sweep.main(["sweep", *flags, *still, *given]) == 0
  there = restore.load(source).state
  runs = [restore.load(path).state for path in (tmp_path / "sweep" / "members").iterdir()]
  for state in runs:
    assert_same(state.generator.params, there.generator.params)
  one, other = (digest(state.discriminator.params) for state in runs)
  assert one != other
  with pytest.raises(UserError, match="--grid: runs cannot differ in 'init_from'"):
    parse_grid(f"init_from={source},{source}")


@pytest.mark.parametrize(
  ("given", "choices", "line"),
  [
    ("{source}:geneator", {}, "'geneator' is unknown: choose from generator, discriminator, both"),
    ("{source}/nowhere", {}, "nowhere is not there: name a run folder, an export or its file"),
    ("{source}/samples", {}, "samples is not a run folder: it has no config.json"),
    ("{source}/config.json", {}, "cannot read .*config.json as weights"),
    ("{source}", {"width": 16}, r"is of another architecture: no weights of its generator fit "),
    ("{source}", {"model": "pacgan"}, "is of --model=points, and this run is of pacgan"),
  ],
)
def test_what_cannot_be_is_one_line(source, given, choices, line):
  others = {"model": "points"} | choices
  with pytest.raises(UserError, match=line) as caught:
    started(given.format(source=source), **others)
  assert "\n" not in str(caught.value)


def test_weights_of_something_else_are_one_line(tmp_path):
  safetensors.write(tmp_path / "a.safetensors", {"conv1.weight": np.zeros((3, 3), np.float32)})
  with pytest.raises(UserError, match="holds conv1.weight, and weights of a run are named as in"):
    hub.read(tmp_path / "a.safetensors")


def test_vectors_alone_are_no_fit():
  like = Start({"params/a": np.zeros(3), "params/b": np.zeros((3, 2))})
  weights = Start({"params/a": np.zeros(3), "params/b": np.zeros((3, 4))})
  given = starting.Source("run", "generator", weights, "passed")
  expected = r"no weights of its generator fit \(params/b \[3, 4\] there, \[3, 2\] here\)"
  with pytest.raises(UserError, match=expected):
    starting.fitting(given, "points", like)
