"""`sample` and `evaluate` by --weights and --step: which generator of a run is drawn from."""

import json

import jax
import numpy as np
import pytest

from experiments import evaluate, ring, sample
from gan.training import restore, sampling
from gan.training.run_folder import WEIGHTS

COMMANDS = {"sample": (sample.main, "scatter"), "evaluate": (evaluate.main, "samples")}
QUICK = ("--parallel=none", "--batch_size=8", "--width=4", "--eval_every=0")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A run with checkpoints of steps 2 and 4."""
  folder = tmp_path_factory.mktemp("run")
  flags = ("--split=train[:100]", "--steps=4", "--checkpoint_every=2", f"--workdir={folder}")
  assert ring.main(["ring", *QUICK, *flags]) == 0
  return folder


@pytest.fixture
def drawn(run, tmp_path, monkeypatch):
  """drawn(command, *flags) is the state from which a command draws."""

  def drawn(command, *flags):
    main, function = COMMANDS[command]
    states, draw = [], getattr(sampling, function)
    monkeypatch.setattr(
      sampling, function, lambda gan, state, *rest: states.append(state) or draw(gan, state, *rest)
    )
    few = ["--samples=50"] if command == "evaluate" else []
    assert main([command, f"--workdir={run}", f"--outdir={tmp_path}", *few, *flags]) == 0
    return states[0]

  return drawn


@pytest.mark.parametrize("command", COMMANDS)
def test_raw_weights_are_those_of_the_generator_and_the_average_is_the_default(drawn, run, command):
  state = restore.load(run).state

  def equal(a, b):
    return jax.tree.map(np.testing.assert_array_equal, a, b)

  equal(drawn(command).ema_params, state.ema_params)
  equal(drawn(command, "--weights=ema").ema_params, state.ema_params)
  equal(drawn(command, "--weights=raw").ema_params, state.generator.params)
  with pytest.raises(AssertionError):
    equal(state.ema_params, state.generator.params)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_step_chooses_the_checkpoint(drawn, run, command):
  assert drawn(command).step == 4
  state = drawn(command, "--step=2")
  assert state.step == 2
  jax.tree.map(
    np.testing.assert_array_equal, state.ema_params, restore.load(run, step=2).state.ema_params
  )


def test_the_file_says_which_generator_was_measured(drawn, tmp_path):
  drawn("evaluate", "--weights=raw", "--step=2")
  record = json.loads((tmp_path / "evaluation.json").read_text())
  assert (record["weights"], record["step"]) == ("raw", 2)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
  ("flag", "message"),
  [
    ("--weights=mean", f"--weights=mean: value should be one of <{'|'.join(WEIGHTS)}>"),
    ("--step=3", "has no checkpoint of step 3; it has 2, 4"),
    ("--step=-1", "has no checkpoint of step -1; it has 2, 4"),
    ("--step=two", "--step=two"),
  ],
)
def test_a_generator_that_is_not_there_is_one_line(run, capsys, command, flag, message):
  assert COMMANDS[command][0]([command, f"--workdir={run}", flag]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("error: ") and message in line


def test_a_truncation_is_of_models_that_have_one(run, capsys):
  assert sample.main(["sample", f"--workdir={run}", "--truncation=0.7"]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert "--truncation has no meaning for a run of points; it is for stylegan2" in line


def test_samples_of_points_are_no_set_of_images(run, capsys):
  assert sample.main(["sample", f"--workdir={run}", "--count=3"]) == 2
  assert (
    "--format=zip is for images, and this run makes points: give --format=npz"
    in capsys.readouterr().err
  )
