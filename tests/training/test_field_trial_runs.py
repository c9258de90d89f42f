"""Runs on the way from saved to continued: whatever happens to a folder, no word is missing."""

import dataclasses
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import kill_and_resume
import numpy as np
import pytest
import toys
from conftest import ROOT

from experiments import compare, ring
from gan.errors import UserError
from gan.method.update_rules import UPDATE_RULES
from gan.optimizers import OPTIMIZERS
from gan.sweeps import local, trainer
from gan.sweeps.plan import make_plan
from gan.sweeps.search import make_trials
from gan.system import environment, plain_path
from gan.system.cores import cores
from gan.system.progress import say
from gan.training import checkpoint, earlier, interrupts, loop, restore, sampling
from gan.training.build import DataInfo, build
from gan.training.checkpoint import Checkpoints
from gan.training.config import default
from gan.training.places import works_below
from gan.training.run_folder import read_metrics, read_summary

BASE = dataclasses.replace(
  toys.RING,
  steps=4,
  steps_per_call=1,
  log_every=1,
  sample_every=100,
  checkpoint_every=2,
)


def fit(folder, **changes):
  """(summary, lines said) of a run."""
  said = []
  return loop.fit(dataclasses.replace(BASE, **changes), folder, say=said.append), said


def argv(folder, **changes):
  """The command line of the same."""
  fields = dataclasses.asdict(dataclasses.replace(BASE, **changes))
  given = {name: value for name, value in fields.items() if value != default(name)}
  flags = [f"--{name}={value}" for name, value in ({"eval_every": 0} | given).items()]
  return ["ring", f"--workdir={folder}", *flags]


def sweep_in(folder, **changes):
  def make(point):
    return dataclasses.replace(BASE, **changes, **point)

  trials = make_trials(["nonsat"], (0, 1), [{}], make, searched=False)
  return local.fit(make_plan(trials, say=lambda line: None), folder, say=lambda line: None)


def files(folder):
  """What is in a folder; the lock is no content."""
  found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
  return {path.relative_to(folder): path.read_bytes() for path in found}


@pytest.fixture
def refused():
  """refused(act, folder): the line of a UserError, after which the folder is as it was."""

  def act_and_compare(act, folder):
    before = files(folder)
    with pytest.raises(UserError) as error:
      act()
    assert "\n" not in str(error.value)
    assert files(folder) == before
    return str(error.value)

  return act_and_compare


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
  """A run of 4 steps with checkpoints of 2 and 4; to be copied."""
  folder = tmp_path_factory.mktemp("runs") / "ended"
  fit(folder)
  return folder


@pytest.fixture
def run(ended, tmp_path):
  return shutil.copytree(ended, tmp_path / "run")


# Paths.

STATE = {"step": np.int32(4), "weights": np.arange(5, dtype=np.float32)}
LIKE = jax.eval_shape(lambda: STATE)
NAMES = [f"x{mark}y" for mark in r"""[]*?{}\|!"#$%&'();<>`^~:@+,=""".strip()]
NAMES += ["[ab]", "*", "?", "**", "{a,b}", "\\", "[", "[!a]", "gs:", "s3:", "-x", " ", "a b", "~"]
NAMES += ["a\nb", "\x01", "日本", os.fsdecode(b"\xff\xfe"), "ocdbt.process_0", "8"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_checkpoints_are_whole_under_any_path(tmp_path, name):
  # A pattern would match these folders in the place of its own.
  for other in ("a", "b", "xy", "xzy"):
    (tmp_path / other / "checkpoints").mkdir(parents=True)
  directory = tmp_path / name / "checkpoints"
  saving = Checkpoints(directory)
  for step in (4, 8):
    saving.save(step, STATE | {"step": np.int32(step)})
  saving.close()
  reading = Checkpoints(directory, read_only=True)
  ((step, state, reason),) = reading.restore(LIKE)
  reading.close()
  assert (step, int(state["step"]), reason) == (8, 8, "")
  assert sorted(path.name for path in directory.iterdir()) == ["4", "8"]


def test_a_run_in_a_folder_with_brackets_goes_on_and_is_read(tmp_path, monkeypatch, ended):
  (tmp_path / "[a]*").mkdir()
  monkeypatch.chdir(tmp_path / "[a]*")
  assert fit("r[u]n", steps=2)[0]["status"] == "finished"
  summary, said = fit("r[u]n")
  assert summary["status"] == "finished" and "Continuing from step 2." in said
  same = kill_and_resume.compare(ended, "r[u]n")
  assert same["state of step 4"] and same["4 records"]


def test_a_path_that_cannot_be_given_another_is_refused_before_training(tmp_path, monkeypatch):
  monkeypatch.setattr(plain_path.tempfile, "tempdir", str(tmp_path / "[t]"))
  (tmp_path / "[t]").mkdir()
  with pytest.raises(UserError, match="checkpoints cannot be kept in .*choose another folder"):
    fit(tmp_path / "[run]")
  assert not read_metrics(tmp_path / "[run]")


# What was saved.

LOSSES = {
  "its manifest": lambda folder: (folder / "state" / "manifest.ocdbt").unlink(),
  "its tree": lambda folder: (folder / "state" / "_METADATA").unlink(),
  "its arrays": lambda folder: shutil.rmtree(folder / "state" / "d"),
  "its metadata": lambda folder: (folder / checkpoint.METADATA).write_text("{}"),
  "all of it": shutil.rmtree,
}


@pytest.fixture
def losing(monkeypatch):
  """losing(what) spoils what Orbax has written, without an error."""

  def arrange(what):
    wait = checkpoint.ocp.training.Checkpointer.wait

    def spoil(self):
      wait(self)
      for folder in pathlib.Path(self.directory).glob("2"):
        LOSSES[what](folder)

    monkeypatch.setattr(checkpoint.ocp.training.Checkpointer, "wait", spoil)

  return arrange


@pytest.mark.parametrize("what", LOSSES)
def test_a_save_of_which_files_are_missing_is_one_line_and_no_finished_run(
  tmp_path, losing, what, capsys
):
  losing(what)
  assert ring.main(argv(tmp_path)) not in (0, 3, 130)
  (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("error")]
  assert "the checkpoint of step 2" in line and "was not saved" in line
  assert read_summary(tmp_path)["status"] == "failed"


def test_an_error_while_saving_is_one_line_and_no_finished_run(tmp_path, monkeypatch):
  def full(self):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(checkpoint.ocp.training.Checkpointer, "wait", full)
  # Commands make a line of it; see test_field_trial_outside.
  with pytest.raises(OSError, match="No space left on device"):
    fit(tmp_path)
  assert read_summary(tmp_path)["status"] == "failed: disk full"


def flip(folder):
  path = max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)


@pytest.mark.parametrize("steps", [(4,), (2, 4)])
def test_where_no_checkpoint_is_whole_nothing_is_moved(run, refused, steps):
  for step in (2, 4):
    folder = run / "checkpoints" / str(step)
    flip(folder) if step in steps else shutil.rmtree(folder)
  for _ in range(2):
    line = refused(lambda: fit(run), run)
    assert "no checkpoint that can be read" in line and "step 4 is damaged" in line
  assert "no checkpoint that can be read" in refused(lambda: restore.load(run), run)


@pytest.mark.parametrize(
  "error",
  [MemoryError(), OSError(24, "Too many open files"), ValueError("opening x [os_error_code='13']")],
  ids=repr,
)
def test_what_the_machine_cannot_read_now_is_not_taken_for_damaged(
  run, refused, monkeypatch, error
):
  load = checkpoint.ocp.load

  def fail(folder, *args):
    if folder.name == "4":
      raise ValueError("something of Orbax") from error
    return load(folder, *args)

  monkeypatch.setattr(checkpoint.ocp, "load", fail)
  assert "cannot be read now" in refused(lambda: fit(run), run)


# What it was saved of.


def test_a_checkpoint_of_another_config_is_refused_where_config_json_is_gone(run, refused):
  (run / "config.json").unlink()
  line = refused(lambda: fit(run, loss="sat"), run)
  assert "loss: nonsat there, sat here" in line
  assert fit(run, steps=6)[1] == ["Continuing from step 4."]


def test_a_checkpoint_of_another_run_among_its_own_is_refused(run, refused, tmp_path):
  fit(tmp_path / "other", seed=1, steps=6)
  shutil.copytree(tmp_path / "other" / "checkpoints" / "6", run / "checkpoints" / "6")
  assert "seed: 1 there, 0 here" in refused(lambda: fit(run, steps=8), run)
  line = refused(lambda: restore.load(run), run)
  assert "seed: 1 there, 0 here" in line and "restore the config.json that it" in line


@pytest.mark.parametrize(
  ("field", "value"),
  [("latent", "uniform"), ("precision", "bfloat16"), ("loss", "sat"), ("dataset", "grid")]
  + [("latent_dim", 3), ("lecam_weight", 0.5), ("augment", "instance_noise"), ("seed", 7)],
)
def test_a_field_of_config_json_that_was_edited_is_named(run, refused, field, value):
  record = json.loads((run / "config.json").read_text())
  record["config"][field] = value
  (run / "config.json").write_text(json.dumps(record))
  line = refused(lambda: restore.find(run), run)
  assert "config.json is damaged" in line and field in line and "--workdir" in line


def test_a_checkpoint_under_the_number_of_another_step_is_damaged(run):
  (run / "checkpoints" / "4").rename(run / "checkpoints" / "40")
  _, said = fit(run, steps=6)
  assert any("step 40 is damaged: it is of step 4" in line for line in said)
  assert "Continuing from step 2." in said
  assert (run / "damaged_checkpoints" / "40").is_dir()


def as_before(folder):
  """Takes from checkpoints what earlier versions did not write; for the layout see below."""
  for path in folder.glob(f"checkpoints/*/{checkpoint.METADATA}"):
    metadata = json.loads(path.read_text())
    kept = {name: metadata["custom_metadata"][name] for name in ("sha256", "layout")}
    metadata["custom_metadata"] = kept
    path.write_text(json.dumps(metadata))


def test_checkpoints_of_earlier_versions_go_on(run):
  as_before(run)
  assert fit(run, steps=6)[1] == ["Continuing from step 4."]


def test_states_of_the_first_layout_are_read_as_those_of_now(tmp_path):
  # The layout from before regularisers had a state of their own: LeCam and the slow weights of
  # lookahead lay in `memory`, and there were fewer numbers.
  config = dataclasses.replace(BASE, lecam_weight=0.3, update_rule="lookahead")
  info = DataInfo((2,), 0, 64, None)
  state = jax.device_get(build(config, info).init(jax.random.key(0)))
  number = np.float32(0.5)
  before = earlier.State(
    state.step,
    earlier.Hyperparameters(*[number] * len(earlier.Hyperparameters._fields)),
    state.generator,
    state.discriminator,
    state.ema_params,
    state.ema_model_state,
    {"lecam": state.aux_state["lecam"], "lookahead": state.aux_state["update_rule"]},
  )
  saving = checkpoint.Checkpoints(tmp_path)
  saving.save(0, before)
  saving.close()
  path = tmp_path / "0" / checkpoint.METADATA
  metadata = json.loads(path.read_text())
  metadata["custom_metadata"] = {"sha256": metadata["custom_metadata"]["sha256"]}
  path.write_text(json.dumps(metadata))
  reading = checkpoint.Checkpoints(tmp_path, read_only=True)
  like = jax.eval_shape(build(config, info).init, jax.random.key(0))
  ((_, found, reason),) = reading.restore(like)
  assert not reason
  kept = ("step", "generator", "discriminator", "ema_params", "ema_model_state", "aux_state")
  for name in kept:
    jax.tree.map(np.testing.assert_array_equal, getattr(found, name), getattr(state, name))


def test_a_renamed_checkpoint_of_an_earlier_version_is_damaged(run):
  as_before(run)
  (run / "checkpoints" / "4").rename(run / "checkpoints" / "40")
  assert "Continuing from step 2." in fit(run, steps=6)[1]


@pytest.mark.parametrize("gone", [["checkpoints"], ["checkpoints", "config.json"]])
@pytest.mark.parametrize("remade", [False, True])
def test_records_without_their_checkpoints_are_refused_and_kept(run, refused, gone, remade):
  for name in gone:
    shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink()
  if remade:
    (run / "checkpoints").mkdir()
  assert "its checkpoints are gone" in refused(lambda: fit(run), run)


def test_reading_a_run_makes_no_folder_of_checkpoints(run):
  shutil.rmtree(run / "checkpoints")
  with pytest.raises(UserError, match="no checkpoint"):
    restore.load(run)
  assert not (run / "checkpoints").exists()


def test_a_run_killed_before_its_first_checkpoint_begins_anew(run):
  shutil.rmtree(run / "checkpoints")
  (run / "checkpoints").mkdir()
  (run / "summary.json").write_text('{"status": "running", "step": 0}')
  summary, said = fit(run, checkpoint_every=3)
  assert summary["status"] == "finished" and not said


def test_records_that_are_gone_beside_whole_checkpoints_are_said(run):
  (run / "metrics.jsonl").unlink()
  summary, said = fit(run, steps=6)
  assert [line for line in said if "metrics.jsonl has no records of the steps up to 4" in line]
  assert summary["status"] == "finished" and [r["step"] for r in read_metrics(run)] == [5, 6]


@pytest.mark.parametrize(
  ("kept", "said"),
  [([0, 3], "2 of 4 records (steps 2 to 3)"), ([0, 1, 2], "1 of 4 records (steps 4)")],
)
def test_records_that_are_missing_between_others_are_said(run, kept, said):
  lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
  (run / "metrics.jsonl").write_text("".join(lines[i] for i in kept))
  assert any(said in line for line in fit(run, steps=6)[1])


def test_records_that_are_there_twice_stay_once(run):
  lines = (run / "metrics.jsonl").read_text()
  (run / "metrics.jsonl").write_text(lines + lines)
  fit(run, steps=6)
  assert [record["step"] for record in read_metrics(run)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("begun", [True, False])
def test_records_that_are_no_file_are_one_line_and_no_wait(run, tmp_path, refused, make, begun):
  folder = run if begun else tmp_path / "new"
  folder.mkdir(exist_ok=True)
  (folder / "metrics.jsonl").unlink(missing_ok=True)
  make(folder / "metrics.jsonl")
  line = refused(lambda: fit(folder, steps=6), folder)
  assert line.startswith(f"{folder}/metrics.jsonl is not an ordinary file: ")


def test_a_lock_that_is_a_pipe_is_no_wait(tmp_path):
  os.mkfifo(tmp_path / ".lock")
  with pytest.raises(UserError, match="cannot be written to"):
    fit(tmp_path)


def test_no_run_begins_in_the_folder_of_a_sweep(tmp_path, refused):
  sweep_in(tmp_path)
  for place in ("new", "members/new", "members/nonsat,seed=0/new"):
    assert "lies in the folder of" in refused(lambda place=place: fit(tmp_path / place), tmp_path)
  assert "another sweep" in refused(lambda: sweep_in(tmp_path / "new"), tmp_path)


def test_records_that_were_emptied_after_a_kill_are_said(run):
  (run / "metrics.jsonl").write_text("")
  (run / "summary.json").write_text('{"status": "running", "step": 0}')
  assert any("metrics.jsonl has no records" in line for line in fit(run, steps=6)[1])


def test_evaluations_that_are_gone_are_said_and_those_that_never_were_are_not(tmp_path):
  fit(tmp_path / "run", eval_every=2, eval_samples=50)
  (tmp_path / "run" / "evaluations.jsonl").unlink()
  said = fit(tmp_path / "run", steps=6, eval_every=2, eval_samples=50)[1]
  assert any("evaluations.jsonl has no records of the steps up to 4" in line for line in said)
  fit(tmp_path / "rare", steps=2, log_every=100)
  (tmp_path / "rare" / "metrics.jsonl").write_text("")
  (tmp_path / "rare" / "summary.json").unlink()  # killed before it wrote a record
  assert fit(tmp_path / "rare", log_every=100)[1] == ["Continuing from step 2."]


# Where it lies.


def work(kind, folder):
  return {"run": fit, "sweep": sweep_in}[kind](folder, steps=2)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
  """Folders of a run and of a sweep; to be copied."""
  folder = tmp_path_factory.mktemp("done")
  for kind in ("run", "sweep"):
    work(kind, folder / kind)
  return folder


@pytest.mark.parametrize(
  ("there", "first", "then", "second"),
  [
    ("sweep", ".", "run", "."),
    ("run", ".", "sweep", "."),
    ("run", "a", "run", "."),
    ("run", "a/b/c", "run", "."),
    ("sweep", "a", "run", "."),
    ("run", "a", "sweep", "."),
    ("sweep", "a", "sweep", "."),
    ("run", "members/other", "sweep", "."),
    ("run", ".", "run", "a"),
    ("run", ".", "run", "members/a"),
    ("run", ".", "sweep", "a/b"),
  ],
)
def test_work_above_or_inside_other_work_is_refused(
  tmp_path, refused, done, there, first, then, second, monkeypatch
):
  shutil.copytree(done / there, tmp_path / first, dirs_exist_ok=True)
  monkeypatch.setattr(loop, "train", lambda *args: pytest.fail("it trained"))
  monkeypatch.setattr(trainer, "train", lambda *args: pytest.fail("it trained"))
  (tmp_path / second).mkdir(parents=True, exist_ok=True)
  assert "--workdir" in refused(lambda: work(then, tmp_path / second), tmp_path)


def test_a_sweep_whose_sweep_json_is_gone_and_runs_side_by_side_go_on(tmp_path):
  work("sweep", tmp_path / "sweep")
  (tmp_path / "sweep" / "sweep.json").unlink()
  assert set(work("sweep", tmp_path / "sweep").values()) == {"finished"}
  work("run", tmp_path / "run")
  # A file of another program has the name of ours.
  (tmp_path / "new" / "web").mkdir(parents=True)
  for folder in (tmp_path, tmp_path / "new" / "web"):
    (folder / "config.json").write_text('{"port": 80}')
  assert work("run", tmp_path / "new")[0]["status"] == "finished"


def test_compare_says_what_lies_below_a_run(run, capsys):
  shutil.copytree(run, run / "members" / "a")
  assert list(works_below(run)) == [run / "members" / "a"]
  assert compare.main(["compare", f"--workdir={run}"]) == 0
  assert "has others below it, which are not shown" in capsys.readouterr().err


# Numbers that are not finite.

LEAVES = {
  "G": lambda state, bad: state.replace(generator=state.generator.replace(params=bad)),
  "D": lambda state, bad: state.replace(discriminator=state.discriminator.replace(params=bad)),
  "statistics": lambda s, bad: s.replace(generator=s.generator.replace(model_state=bad)),
  "optimiser": lambda s, bad: s.replace(discriminator=s.discriminator.replace(opt_state=bad)),
  "average": lambda state, bad: state.replace(ema_params=bad),
  "its statistics": lambda state, bad: state.replace(ema_model_state=bad),
  "aux_state": lambda state, bad: state.replace(aux_state=bad),
}
INFO = DataInfo(image_shape=(2,), num_classes=0, num_examples=50, pixel_mean=None)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", LEAVES)
def test_a_state_is_finite_where_all_of_it_is(where, number):
  state = jax.jit(build(BASE, INFO).init)(jax.random.key(0))
  assert sampling.is_finite(state)
  bad = {"a": jnp.zeros((2, 2)), "b": jnp.array([0.0, number], jnp.bfloat16)}
  assert not sampling.is_finite(LEAVES[where](state, bad))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rule", ["alternating", "optimistic", "lookahead"])
def test_every_method_begins_with_finite_numbers(optimizer, rule):
  assert rule in UPDATE_RULES
  config = dataclasses.replace(BASE, optimizer=optimizer, update_rule=rule, lecam_weight=0.1)
  init = build(config, INFO).init
  assert sampling.is_finite(jax.jit(init)(jax.random.key(0)))


@pytest.mark.parametrize(
  "changes",
  [
    {"generator_learning_rate": 1e39},
    {"discriminator_learning_rate": 1e39},
    {"generator_learning_rate": 1e39, "eval_every": 1, "eval_samples": 50},
    {"generator_learning_rate": 1e39, "sample_every": 1},
  ],
)
def test_weights_that_the_last_update_broke_are_diverged_and_not_saved(tmp_path, changes):
  for _ in range(2):  # started again it begins anew, for it has no checkpoint
    assert fit(tmp_path, steps=1, **changes)[0]["status"] == "diverged at step 1"
    assert not list((tmp_path / "checkpoints").iterdir())


def test_the_command_ends_with_the_code_of_a_divergence(tmp_path, capsys):
  assert ring.main(argv(tmp_path, steps=1, generator_learning_rate=1e39)) == 3
  assert "diverged at step 1" in capsys.readouterr().err


def test_runs_are_checked_each_by_itself(tmp_path):
  points = [{}, {"generator_learning_rate": 1e39}]

  def make(point):
    return dataclasses.replace(BASE, steps=1, **point)

  trials = make_trials(["nonsat"], (0,), points, make, searched=False)
  plan = make_plan(trials, say=lambda line: None)
  statuses = local.fit(plan, tmp_path, say=lambda line: None)
  assert list(statuses.values()) == ["finished", "diverged at step 1"]


def test_an_interrupted_run_saves_no_broken_state(tmp_path, monkeypatch):
  advance = loop.RunProgress.advance

  def interrupt(self, steps):
    advance(self, steps)
    os.kill(os.getpid(), signal.SIGINT)

  monkeypatch.setattr(loop.RunProgress, "advance", interrupt)
  # The generator's first update is the last: what it broke no loss has seen.
  summary, _ = fit(tmp_path, generator_learning_rate=1e39, log_every=100, checkpoint_every=100)
  assert summary["status"] == "diverged at step 1"
  assert not list((tmp_path / "checkpoints").iterdir())


# What bits depend on.


def test_the_cores_and_the_choices_of_xla_are_recorded(run):
  (session,) = json.loads((run / "environment.json").read_text())["sessions"]
  assert session["cores"] == len(cores()) == len(os.sched_getaffinity(0))
  assert {"flags", "options"} <= set(session["xla"])


@pytest.mark.parametrize(
  ("name", "value", "said"),
  [
    ("cores", 64, "cores: 64 there"),
    ("packages", {"jaxlib": "0.1"}, "jaxlib: 0.1 there"),
    ("xla", {"flags": "--xla_cpu_enable_fast_math=true"}, "xla flags: --xla_cpu_enable_fast_math"),
    ("xla", {"x64": True}, "xla x64: True there"),
    ("processor", "4 x 80486", "processor: 4 x 80486 there"),
    ("devices", ["a", "b", "c"], "devices: 3 there"),
    ("python", "2.7", None),
    ("time", "yesterday", None),
    ("cores", None, None),  # of an earlier version
  ],
)
def test_another_machine_is_said_in_one_line_where_a_run_goes_on(run, name, value, said):
  path = run / "environment.json"
  sessions = json.loads(path.read_text())["sessions"]
  sessions[-1][name] = value
  if value is None:
    del sessions[-1][name]
  path.write_text(json.dumps({"sessions": sessions}))
  lines = [line for line in fit(run, steps=6)[1] if "not as in the last session" in line]
  assert len(lines) == bool(said) and all(said in line and "\n" not in line for line in lines)


@pytest.mark.parametrize(
  ("name", "value"), [("JAX_DEFAULT_PRNG_IMPL", "rbg"), ("JAX_THREEFRY_PARTITIONABLE", False)]
)
def test_a_run_that_drew_other_numbers_is_not_continued(run, refused, name, value):
  path = run / "environment.json"
  sessions = json.loads(path.read_text())["sessions"]
  sessions[-1]["random"][name] = value
  path.write_text(json.dumps({"sessions": sessions}))
  assert f"{name}: {value} there" in refused(lambda: fit(run, steps=6), run)


def test_what_a_session_depends_on_is_that_of_its_machine():
  session = environment.describe()
  assert environment.bits_depend_on(session) == environment.bits_depend_on(environment.describe())
  assert environment.bits_depend_on({}) == {}


# Interrupts.


@pytest.fixture
def hangups():
  """A hangup ends processes, as it does but under `nohup`, which these tests may run under."""
  before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
  yield
  signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangups")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_seen_in_blocks_inside_a_block(number):
  with interrupts.interrupts() as outer:
    os.kill(os.getpid(), number)
    with interrupts.interrupts() as inner:
      assert inner == outer == [number]
      with pytest.raises(KeyboardInterrupt):
        interrupts.stop_here()
  interrupts.stop_here()


@pytest.mark.usefixtures("hangups")
def test_a_second_signal_stops_at_once_but_for_a_terminal_that_closes():
  with interrupts.interrupts() as seen:
    for _ in range(2):
      os.kill(os.getpid(), signal.SIGHUP)
    assert seen == [signal.SIGHUP] * 2
    with pytest.raises(KeyboardInterrupt):
      os.kill(os.getpid(), signal.SIGINT)
      time.sleep(1)


def test_while_data_are_read_the_first_signal_stops_and_is_kept():
  with interrupts.interrupts() as seen, interrupts.at_once():
    with pytest.raises(KeyboardInterrupt):
      os.kill(os.getpid(), signal.SIGINT)
      time.sleep(1)
    assert seen


def test_an_ignored_hangup_stays_ignored():
  before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
  try:
    with interrupts.interrupts() as seen:
      os.kill(os.getpid(), signal.SIGHUP)
      assert not seen and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
  finally:
    signal.signal(signal.SIGHUP, before)


def test_a_thread_that_cannot_have_signals_trains_all_the_same(tmp_path):
  found = []
  thread = threading.Thread(target=lambda: found.append(fit(tmp_path, steps=1)[0]["status"]))
  thread.start()
  thread.join()
  assert found == ["finished"]


@pytest.mark.parametrize("place", ["datasets.load", "Checkpoints", "setting.make_evaluator"])
def test_a_signal_at_the_start_of_a_run_is_not_lost(tmp_path, monkeypatch, place):
  """Here the exception is swallowed, as a callback of JAX does."""
  from gan import datasets
  from gan.training import run, setting

  owner = {"datasets": datasets, "setting": setting}.get(place.partition(".")[0], run)
  original = getattr(owner, place.rpartition(".")[2])

  def signalled(*args, **options):
    try:
      os.kill(os.getpid(), signal.SIGINT)
      time.sleep(0.01)
    except KeyboardInterrupt:
      pass
    return original(*args, **options)

  monkeypatch.setattr(owner, place.rpartition(".")[2], signalled)
  with pytest.raises(KeyboardInterrupt):
    fit(tmp_path, eval_every=4, eval_samples=50)


def start(module, folder, *flags):
  command = [sys.executable, "-m", f"experiments.{module}", f"--workdir={folder}", *flags]
  cache = jax.config.jax_compilation_cache_dir
  own = {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": cache}
  return subprocess.Popen(
    command, cwd=ROOT, env=os.environ | own, stderr=subprocess.PIPE, stdout=subprocess.PIPE
  )


ENDLESS = {
  "ring": ["--steps=100000000", "--eval_every=0"],
  "sweep": ["--experiment=ring", "--losses=nonsat", "--seeds=2", "--steps=100000000"],
}


def worked(process):
  """Seconds of a processor that a process has had: other work beside it does not change them."""
  stat = pathlib.Path(f"/proc/{process.pid}/stat")
  if not stat.exists():
    return math.inf
  fields = stat.read_text().rpartition(")")[2].split()
  return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def signal_after(module, folder, number, seconds):
  process = start(module, folder, *ENDLESS[module])
  time.sleep(seconds)
  while worked(process) < seconds and process.poll() is None:
    time.sleep(0.05)
  process.send_signal(number)
  try:
    out, error = process.communicate(timeout=120)
  finally:
    process.kill()
  assert process.returncode == 130, (process.returncode, seconds, error.decode())
  assert b"Traceback" not in error and b"gnored" not in error


# Before half a second it is Python itself that starts.
@pytest.mark.parametrize(("module", "seconds"), [("ring", 1.5), ("ring", 4), ("sweep", 3)])
def test_ctrl_c_while_a_command_starts_ends_it(tmp_path, module, seconds):
  signal_after(module, tmp_path, signal.SIGINT, seconds)


@pytest.mark.slow
@pytest.mark.parametrize("tenths", range(10, 100, 5))
@pytest.mark.parametrize("module", ENDLESS)
def test_ctrl_c_at_any_moment_of_the_start_ends_a_command(tmp_path, module, tenths):
  signal_after(module, tmp_path, signal.SIGINT, tenths / 10)


@pytest.mark.usefixtures("hangups")
def test_a_terminal_that_closes_saves(tmp_path):
  process = start("ring", tmp_path, *ENDLESS["ring"], "--checkpoint_every=50")
  deadline = time.monotonic() + 100
  while not (tmp_path / "checkpoints" / "50").exists() and time.monotonic() < deadline:
    time.sleep(0.05)
  process.send_signal(signal.SIGHUP)
  process.communicate(timeout=60)
  assert process.returncode == 130
  assert read_summary(tmp_path)["status"] == "interrupted"


def test_a_line_to_a_terminal_that_is_gone_ends_no_run(monkeypatch):
  class Gone:
    def write(self, text):
      raise OSError(5, "Input/output error")

    flush = write

  monkeypatch.setattr(sys, "stderr", Gone())
  say("a line")
