"""The loop: what a run writes and when, how it stops, and that it goes on as if it had not."""

import contextlib
import json
import math
import os
import shutil
import signal

import jax
import kill_and_resume
import pytest

from experiments import mnist
from gan import datasets, models
from gan.errors import UserError
from gan.models import mlp
from gan.models.spec import to_networks
from gan.training import loop, restore, sampling
from gan.training.checkpoint import Checkpoints
from gan.training.config import Config
from gan.training.run_folder import RunFolder, read_config, read_metrics, read_summary

SMALL = {
  "dataset": "digits",
  "split": "train[:50]",
  "model": "mlp",
  "latent_dim": 4,
  "batch_size": 6,
  "log_every": 2,
  "sample_every": 4,
  "checkpoint_every": 4,
  "eval_every": 0,
  "parallel": "none",
}


@pytest.fixture(scope="module", autouse=True)
def tiny_mlp():
  """The model `mlp` with 8 units and dropout, which compiles in a moment."""

  def build(spec):
    shared = {"features": (8,), "num_classes": spec.num_classes}
    generator = mlp.Generator(spec.image_shape, **shared)
    return to_networks(generator, mlp.Discriminator(**shared), spec)

  with pytest.MonkeyPatch.context() as patch:
    patch.setitem(models.MODELS, "mlp", models.Model(build))
    yield


def fit(folder, **changes):
  """(summary, lines said) of a run."""
  said = []
  summary = loop.fit(Config(**(SMALL | changes)), folder, say=said.append)
  return summary, said


def argv(folder, **changes):
  values = SMALL | changes
  return ["mnist", f"--workdir={folder}", *(f"--{name}={value}" for name, value in values.items())]


def saved_steps(folder):
  checkpoints = Checkpoints(RunFolder(folder).checkpoints)
  try:
    return checkpoints.steps()
  finally:
    checkpoints.close()


def pictures(folder):
  return sorted(path.name for path in (folder / "samples").iterdir())


def assert_same_runs(first, second):
  results = kill_and_resume.compare(first, second)
  assert all(results.values()), results


@pytest.fixture(scope="module")
def unbroken(tiny_mlp, tmp_path_factory):
  """A run of 12 steps that nothing stopped; to be read only."""
  folder = tmp_path_factory.mktemp("unbroken")
  fit(folder, steps=12)
  return folder


@pytest.fixture
def signal_at(monkeypatch):
  """signal_at(step, number, times) sends the own process a signal when a run reaches the step."""

  def arrange(step, number=signal.SIGINT, times=1):
    advance, seen = loop.RunProgress.advance, [0]

    def advance_and_signal(self, steps):
      advance(self, steps)
      seen[0] += steps
      if seen[0] == step:
        for _ in range(times):
          os.kill(os.getpid(), number)

    monkeypatch.setattr(loop.RunProgress, "advance", advance_and_signal)

  return arrange


def test_a_run_leaves_what_the_run_folder_promises(unbroken):
  assert {path.name for path in unbroken.iterdir()} == {
    "config.json",
    "environment.json",
    ".lock",
    "metrics.jsonl",
    "samples",
    "checkpoints",
    "summary.json",
  }
  config = read_config(unbroken)
  assert config["config"]["steps"] == 12 and config["num_examples"] == 50
  assert config["image_shape"] == [28, 28, 1]
  sessions = json.loads((unbroken / "environment.json").read_text())["sessions"]
  assert len(sessions) == 1 and sessions[0]["packages"]["jax"] == jax.__version__
  assert sessions[0]["parallel"] == "none"


def test_records_pictures_and_checkpoints_come_at_their_cadence(tmp_path):
  fit(tmp_path, steps=10)
  assert [record["step"] for record in read_metrics(tmp_path)] == [2, 4, 6, 8, 10]
  assert pictures(tmp_path) == [f"step_{step:08d}.png" for step in (4, 8, 10)]
  assert saved_steps(tmp_path) == [4, 8, 10]


def test_the_last_step_is_recorded_whatever_the_cadence(tmp_path):
  fit(tmp_path, steps=3)
  assert [record["step"] for record in read_metrics(tmp_path)] == [2, 3]
  assert pictures(tmp_path) == ["step_00000003.png"] and saved_steps(tmp_path) == [3]


def test_records_count_in_every_unit_and_name_the_data(tmp_path):
  fit(tmp_path, steps=4, discriminator_steps=2)
  for record in read_metrics(tmp_path):
    step = record["step"]
    # Two D updates of 6 images in each step; 50 images are an epoch.
    assert record["discriminator_steps"] == 2 * step
    assert record["images"] == 12 * step
    assert record["epoch"] == pytest.approx(12 * step / 50)
    assert record["dataset"] == "digits" and record["loss"] == "nonsat"
    assert record["seconds"] > 0
    assert all(math.isfinite(value) for value in record.values() if isinstance(value, float))


def test_the_summary_says_finished_and_holds_every_metric(unbroken):
  summary, records = read_summary(unbroken), read_metrics(unbroken)
  assert summary["status"] == "finished" and summary["step"] == 12
  assert summary["dataset"] == "digits"
  assert set(summary["metrics"]) == {
    name for name in records[0] if name.endswith(("loss", "norm", "logit", "probability", "racy"))
  } - {"loss"}
  values = [record["generator_loss"] for record in records]
  extremes = summary["metrics"]["generator_loss"]
  assert extremes["last"] == values[-1]
  assert (extremes["lowest"][1], extremes["highest"][1]) == (min(values), max(values))


def test_a_finished_run_says_so_and_takes_no_step(tmp_path, unbroken, monkeypatch):
  run = tmp_path / "again"
  shutil.copytree(unbroken, run)
  monkeypatch.setattr(loop, "train", lambda *args: pytest.fail("it trained"))
  summary, said = fit(run, steps=12)
  assert summary["status"] == "finished" and summary["step"] == 12
  assert any("Finished at step 12 already" in line for line in said)
  assert_same_runs(run, unbroken)


def test_more_steps_train_on_and_equal_the_longer_run_to_the_bit(tmp_path, unbroken):
  fit(tmp_path / "raised", steps=8)
  summary, said = fit(tmp_path / "raised", steps=12)
  assert "Continuing from step 8." in said and summary["step"] == 12
  assert_same_runs(tmp_path / "raised", unbroken)


@pytest.mark.parametrize("first", [3, 5])
def test_more_steps_leave_no_record_of_a_last_step_that_is_no_longer_the_last(tmp_path, first):
  runs = [tmp_path / "raised", tmp_path / "unbroken"]
  fit(runs[0], steps=first)
  fit(runs[0], steps=7)
  fit(runs[1], steps=7)
  raised, unbroken = ([kill_and_resume.untimed(r) for r in read_metrics(run)] for run in runs)
  assert [record["step"] for record in raised] == [2, 4, 6, 7]
  assert raised == unbroken


def test_fewer_steps_than_were_made_leave_the_record_of_the_last(tmp_path):
  fit(tmp_path, steps=3)
  fit(tmp_path, steps=2)
  assert [record["step"] for record in read_metrics(tmp_path)] == [2, 3]


def test_a_folder_in_which_another_process_trains_is_refused_and_left_alone(tmp_path):
  fit(tmp_path, steps=4)
  with contextlib.closing(RunFolder(tmp_path)) as other:
    other.claim(read_config(tmp_path))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=f"another process is training in {tmp_path}"):
      fit(tmp_path, steps=8)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
  assert fit(tmp_path, steps=8)[0]["status"] == "finished"


def test_steps_past_the_last_checkpoint_are_made_again_alike(tmp_path, unbroken):
  """What SIGKILL leaves: records and a picture after the last checkpoint, and a broken line."""
  run = tmp_path / "killed"
  fit(run, steps=8)
  folder = RunFolder(run)
  for step in (10, 12):
    folder.append({"step": step, "seconds": 1.0, "generator_loss": -1.0})
  with open(run / "metrics.jsonl", "a") as file:
    file.write('{"step": 14, "gener')
  (run / "samples" / "step_00000012.part").write_bytes(b"half a picture")
  fit(run, steps=12)
  assert_same_runs(run, unbroken)


def test_seconds_go_on_from_the_session_before(tmp_path):
  fit(tmp_path, steps=4)
  fit(tmp_path, steps=8)
  seconds = [record["seconds"] for record in read_metrics(tmp_path)]
  assert seconds == sorted(seconds)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_saves_and_the_same_command_goes_on_to_the_same_bits(
  tmp_path, unbroken, signal_at, monkeypatch, number
):
  run = tmp_path / "interrupted"
  signal_at(7, number)
  assert mnist.main(argv(run, steps=12)) == 130
  assert read_summary(run)["status"] == "interrupted" and read_summary(run)["step"] == 7
  assert saved_steps(run)[-1] == 7
  assert mnist.main(argv(run, steps=12)) == 0
  assert read_summary(run)["status"] == "finished"
  assert_same_runs(run, unbroken)


def test_a_second_interrupt_stops_at_once_and_loses_no_checkpoint(
  tmp_path, unbroken, signal_at, capsys
):
  run = tmp_path / "interrupted"
  signal_at(7, times=2)
  assert mnist.main(argv(run, steps=12)) == 130
  assert "Interrupted" in capsys.readouterr().err
  assert saved_steps(run) == [4]
  assert mnist.main(argv(run, steps=12)) == 0
  assert_same_runs(run, unbroken)


def test_the_signal_handlers_of_before_are_back_after_a_run(tmp_path):
  before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
  fit(tmp_path, steps=2)
  assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.fixture
def nan_at(monkeypatch):
  """nan_at(step) makes one metric of that step, and of all later ones, NaN."""

  def arrange(step):
    make_run = loop.parallel.make_run

    def spoiled(*args):
      execute = make_run(*args)

      def run(state, data, indices, key):
        state, metrics = execute(state, data, indices, key)
        ends = int(state.step) - len(indices) + 1 + jax.numpy.arange(len(indices))
        loss = jax.numpy.where(ends >= step, jax.numpy.nan, metrics["generator_loss"])
        return state, metrics | {"generator_loss": loss}

      return run

    monkeypatch.setattr(loop.parallel, "make_run", spoiled)

  return arrange


@pytest.mark.parametrize("step, saved", [(3, []), (4, []), (5, [4]), (7, [4])])
@pytest.mark.parametrize("steps_per_call", [1, 4])
def test_not_a_number_stops_the_run_with_its_step(tmp_path, nan_at, step, saved, steps_per_call):
  nan_at(step)
  said = []
  config = Config(**SMALL, steps=12, steps_per_call=steps_per_call)
  summary = loop.fit(config, tmp_path, say=said.append)
  assert summary["status"] == read_summary(tmp_path)["status"] == f"diverged at step {step}"
  assert summary["step"] == step
  assert any(f"diverged at step {step}" in line for line in said)
  # The diverged state is neither saved nor drawn, and its record is the last one.
  assert saved_steps(tmp_path) == saved
  assert pictures(tmp_path) == [f"step_{step:08d}.png" for step in saved]
  last = read_metrics(tmp_path)[-1]
  assert last["step"] == step and math.isnan(float(last["generator_loss"]))


def test_a_rate_without_bounds_diverges_at_the_same_step_whatever_is_logged(tmp_path, capsys):
  statuses = []
  for every in (1, 7):
    changes = {"optimizer": "sgd", "generator_learning_rate": 1e38, "log_every": every}
    changes |= {"discriminator_learning_rate": 1e38, "checkpoint_every": 7, "sample_every": 7}
    assert mnist.main(argv(tmp_path / str(every), steps=14, **changes)) == 3
    statuses.append(read_summary(tmp_path / str(every))["status"])
    assert saved_steps(tmp_path / str(every)) == []
  assert statuses[0] == statuses[1] and statuses[0].startswith("diverged at step ")
  assert statuses[0] in capsys.readouterr().err


def test_a_diverged_run_started_again_diverges_again_and_doubles_no_record(tmp_path, nan_at):
  nan_at(7)
  summaries = [loop.fit(Config(**SMALL, steps=12), tmp_path, say=print) for _ in range(2)]
  assert summaries[0] == summaries[1]
  assert [record["step"] for record in read_metrics(tmp_path)] == [2, 4, 6, 7]


def test_steps_in_one_call_change_no_cadence(tmp_path):
  fit(tmp_path, steps=10, steps_per_call=3)
  assert [record["step"] for record in read_metrics(tmp_path)] == [2, 4, 6, 8, 10]
  assert pictures(tmp_path) == [f"step_{step:08d}.png" for step in (4, 8, 10)]
  assert saved_steps(tmp_path) == [4, 8, 10]


def test_a_step_is_compiled_once_in_a_run_and_once_more_where_it_goes_on(tmp_path, monkeypatch):
  compiled, make_run = [], loop.parallel.make_run

  def counted(*args):
    compiled.append(make_run(*args))
    return compiled[-1]

  monkeypatch.setattr(loop.parallel, "make_run", counted)
  fit(tmp_path, steps=4)
  fit(tmp_path, steps=8)
  assert [run._cache_size() for run in compiled] == [1, 1]


def test_another_config_on_the_folder_is_refused_and_changes_nothing(tmp_path):
  fit(tmp_path, steps=4)
  before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
  with pytest.raises(UserError, match="batch_size: 6 there, 7 here; loss: nonsat there, sat here"):
    fit(tmp_path, steps=4, loss="sat", batch_size=7)
  assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_other_data_under_the_same_name_are_refused(tmp_path, monkeypatch):
  fit(tmp_path, steps=4)
  load = datasets.load

  def changed(*args):
    dataset = load(*args)
    images = dataset.images.copy()
    images[0, 14, 14] ^= 1
    return dataset._replace(images=images)

  monkeypatch.setattr(datasets, "load", changed)
  with pytest.raises(UserError, match="data_sha256"):
    fit(tmp_path, steps=8)


def test_a_damaged_checkpoint_falls_back_to_the_same_bits(tmp_path, unbroken):
  run = tmp_path / "damaged"
  fit(run, steps=8)
  files = (run / "checkpoints" / "8").rglob("*")
  victim = max((path for path in files if path.is_file()), key=lambda path: path.stat().st_size)
  content = bytearray(victim.read_bytes())
  content[len(content) // 2] ^= 1
  victim.write_bytes(content)
  summary, said = fit(run, steps=12)
  assert any("The checkpoint of step 8 is damaged" in line for line in said)
  assert "Continuing from step 4." in said and summary["status"] == "finished"
  assert (run / "damaged_checkpoints" / "8").is_dir()
  assert_same_runs(run, unbroken)


def test_drawing_from_a_run_leaves_what_its_training_is_writing(tmp_path):
  """A checkpoint that is being written stands under a temporary name."""
  from gan.training import restore

  fit(tmp_path, steps=4)
  half = tmp_path / "checkpoints" / "8.orbax-checkpoint-tmp"
  half.mkdir()
  (half / "part").write_bytes(b"half of it")
  restore.load(tmp_path)
  assert (half / "part").read_bytes() == b"half of it"


def test_a_generator_that_is_no_longer_finite_ends_the_run_as_diverged(tmp_path, monkeypatch):
  # Losses are of the weights before an update, so only the samples show what the last one did.
  monkeypatch.setattr(sampling, "is_finite", lambda state: False)
  summary, _ = fit(tmp_path, steps=4, eval_every=2, eval_samples=50)
  assert summary["status"] == "diverged at step 2"
  assert not (tmp_path / "evaluations.jsonl").exists()


def test_finite_says_of_every_weight_and_statistic_whether_it_is(tmp_path):
  fit(tmp_path, steps=2)
  state = restore.load(tmp_path).state
  assert sampling.is_finite(state)
  broken = jax.tree.map(lambda leaf: leaf * math.nan, state.ema_params)
  assert not sampling.is_finite(state.replace(ema_params=broken))
