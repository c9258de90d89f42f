"""Sweeps on a Ray cluster of two workers on this machine, against the same sweep without Ray."""

import os
import pathlib
import signal
import subprocess
import sys
import time
import uuid

import jax
import numpy as np
import pytest
from conftest import ROOT

from experiments import sweep as command
from gan.errors import UserError
from gan.sweeps import ray_cluster, ray_launcher, run_archive
from gan.sweeps.launcher import INTERRUPTED
from gan.sweeps.plan import Plan, Program, make_plan
from gan.sweeps.search import Trial, make_trials
from gan.training import restore
from gan.training.config import Config
from gan.training.run_folder import read_metrics, read_summary

TIMEOUT = 600  # seconds for a sweep, on a slow machine
STEPS = 2000  # seconds of them are left after the hundredth, when a run is killed or interrupted
LOSSES = "--losses=nonsat,hinge"
FLAGS = ["--experiment=ring", "--seeds=3", f"--steps={STEPS}"]
FLAGS += ["--batch_size=16", "--width=16", "--steps_per_call=2", "--eval_every=0"]
FLAGS += ["--checkpoint_every=50", "--log_every=50", f"--sample_every={STEPS}"]

pytestmark = pytest.mark.cluster


def start(workdir, *flags):
  """Starts a sweep whose processes, and those they start, carry a mark; returns both."""
  mark = f"GAN_TEST={uuid.uuid4().hex}"
  environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"}
  name, value = mark.split("=")
  process = subprocess.Popen(
    [sys.executable, "-m", "experiments.sweep", f"--workdir={workdir}", LOSSES, *FLAGS, *flags],
    cwd=ROOT,
    env=environment | {name: value},
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    start_new_session=True,
  )
  return process, mark.encode()


def end(process):
  try:
    output = process.communicate(timeout=TIMEOUT)[0]
  finally:
    process.kill()
  return process.returncode, output


def run(workdir, *flags):
  code, output = end(start(workdir, *flags)[0])
  assert code == 0, output
  return output


def workers(mark):
  """Process numbers of the workers that train for a marked sweep."""
  found = []
  for folder in pathlib.Path("/proc").glob("[0-9]*"):
    try:
      command, environment = ((folder / name).read_bytes() for name in ("cmdline", "environ"))
    except OSError:
      continue
    if command.startswith(b"ray::train_group") and mark in environment.split(b"\0"):
      found.append(int(folder.name))
  return found


def wait_for_checkpoint(workdir, process):
  for _ in range(10 * TIMEOUT):
    if any(workdir.glob("members/*/checkpoints/100")):
      return
    assert process.poll() is None, process.communicate()[0]
    time.sleep(0.1)
  raise TimeoutError(f"no checkpoint in {workdir}")


@pytest.fixture(scope="module")
def local(tmp_path_factory):
  folder = tmp_path_factory.mktemp("local") / "sweep"
  run(folder)
  return folder


def assert_same_sweep(folder, local):
  """The same runs, with the same records but for the clock, summaries and states."""
  names = sorted(path.name for path in (local / "members").iterdir())
  assert len(names) == 6
  assert sorted(path.name for path in (folder / "members").iterdir()) == names
  for name in names:
    assert_same_run(*(path / "members" / name for path in (folder, local)))


def assert_same_run(ours, theirs):
  records = [
    [{key: value for key, value in record.items() if key != "seconds"} for record in rows]
    for rows in map(read_metrics, (ours, theirs))
  ]
  assert records[0] == records[1]
  assert read_summary(ours) == read_summary(theirs)
  states = [restore.load(path, say=lambda line: None).state for path in (ours, theirs)]
  for a, b in zip(*map(jax.tree.leaves, states), strict=True):
    np.testing.assert_array_equal(a, b)


def test_a_sweep_by_ray_is_the_local_one(local, tmp_path):
  output = run(tmp_path / "sweep", "--launcher=ray")
  total = 3 * STEPS
  assert f"nonsat,seed=0 and 2 more: finished, {total} of {total} steps" in output
  assert_same_sweep(tmp_path / "sweep", local)
  # Nothing is left to do, and nothing is done again.
  again = run(tmp_path / "sweep", "--launcher=ray")
  assert "6 of 6 runs finished" in again
  assert_same_sweep(tmp_path / "sweep", local)


def test_a_crew_whose_worker_is_killed_goes_on_in_another(local, tmp_path):
  process, mark = start(tmp_path / "sweep", "--launcher=ray")
  wait_for_checkpoint(tmp_path / "sweep", process)
  victims = workers(mark)
  assert victims
  os.kill(victims[0], signal.SIGKILL)
  code, output = end(process)
  assert code == 0, output
  assert output.count("its worker was lost; another goes on from its checkpoint") == 1
  assert_same_sweep(tmp_path / "sweep", local)


def test_an_interrupt_saves_and_the_same_command_goes_on(local, tmp_path):
  process, mark = start(tmp_path / "sweep", "--launcher=ray")
  wait_for_checkpoint(tmp_path / "sweep", process)
  os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all that the command started
  code, output = end(process)
  assert code == 130 and INTERRUPTED in output, output
  assert not workers(mark)
  assert_unfinished(tmp_path / "sweep")
  run(tmp_path / "sweep", "--launcher=ray")
  assert_same_sweep(tmp_path / "sweep", local)


def assert_unfinished(folder):
  found = [read_summary(path) for path in (folder / "members").iterdir()]
  assert found and all(summary["status"] == "interrupted" for summary in found)
  steps = [summary["step"] for summary in found]
  # The other group of runs's worker may have been about to begin.
  assert max(steps) >= 100 and all(step < STEPS for step in steps)


def plan_of(steps):
  config = Config(
    dataset="ring",
    model="points",
    width=8,
    latent_dim=4,
    batch_size=8,
    steps=steps,
    checkpoint_every=20,
    log_every=20,
  )
  return make_plan(
    make_trials(["nonsat"], [0, 1], [{}], lambda point: config, searched=False),
    devices=1,
    say=lambda line: None,
  )


def test_folders_travel_where_workers_do_not_see_them(tmp_path):
  folders = [tmp_path / "travelled", tmp_path / "shared"]
  with ray_cluster.connected(None) as ray:
    for steps in (20, 40):
      for folder in folders:
        resources = ray_launcher.Resources(shared=folder.name == "shared")
        found = ray_launcher.fit(plan_of(steps), folder, ray, resources, say=lambda line: None)
        assert set(found.values()) == {"finished"}
  for name in ("nonsat,seed=0", "nonsat,seed=1"):
    assert_same_run(*(folder / "members" / name for folder in folders))
    sessions = (folders[0] / "members" / name / "environment.json").read_text()
    assert sessions.count('"parallel"') == 2  # it went on from where it was


def test_a_pack_holds_what_is_there_with_checkpoints_first(tmp_path):
  (tmp_path / "a" / "checkpoints" / "20").mkdir(parents=True)
  (tmp_path / "a" / "checkpoints" / "20" / "arrays").write_bytes(b"\0\1")
  (tmp_path / "a" / "a_record").write_text("1")
  (tmp_path / "b").mkdir()
  (tmp_path / "b" / "config.json").write_text("{}")
  archive = run_archive.pack(tmp_path, ["a", "absent"])
  run_archive.unpack(archive, tmp_path / "copy")
  files = {str(f.relative_to(tmp_path / "copy")) for f in (tmp_path / "copy").rglob("*.*")}
  assert not files  # of b, nothing
  assert (tmp_path / "copy" / "a" / "checkpoints" / "20" / "arrays").read_bytes() == b"\0\1"
  assert archive.index(b"checkpoints/20/arrays") < archive.index(b"a/a_record")


@pytest.mark.parametrize(
  ("flags", "words"),
  [
    (["--gpus_per_task=1"], "--gpus_per_task is read by --launcher=ray only"),
    (["--launcher=ray", "--cpus_per_task=0"], "--cpus_per_task must be above 0"),
    (["--launcher=ray", "--gpus_per_task=-1"], "--gpus_per_task 0 or more"),
  ],
)
def test_flags_that_do_not_fit_are_one_line(flags, words, tmp_path, capsys):
  assert command.main(["sweep", f"--workdir={tmp_path}", *flags]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("error: ") and words in line


def test_without_ray_the_line_names_the_extra(tmp_path, capsys, monkeypatch):
  monkeypatch.setitem(sys.modules, "ray", None)
  assert command.main(["sweep", f"--workdir={tmp_path}", "--launcher=ray"]) == 2
  assert capsys.readouterr().err == "error: --launcher=ray needs Ray: pip install 'gan-jax[ray]'\n"


def test_a_start_that_takes_too_long_is_tried_again(monkeypatch):
  tried = []

  class Slow:
    def init(self, *args, **kwargs):
      tried.append(args)
      if len(tried) < 3:
        raise Exception("The current node timed out during startup.")

    def shutdown(self):
      pass

  monkeypatch.setattr(ray_cluster, "require", lambda address: Slow())
  with ray_cluster.connected(None):
    assert len(tried) == 3
  with ray_cluster.connected(None):  # the fourth succeeds at once
    assert len(tried) == 4
  tried.clear()
  monkeypatch.setattr(ray_cluster, "STARTS", 2)
  refused = pytest.raises(UserError, match="does not start on this machine .The current node timed")
  with refused, ray_cluster.connected(None):
    pass


def test_what_no_machine_has_room_for_is_one_line():
  class Cluster:
    def nodes(self):
      machines = [(True, 2.0, 0.0), (True, 1.0, 1.0), (False, 64.0, 8.0)]
      return [{"Alive": alive, "Resources": {"CPU": c, "GPU": g}} for alive, c, g in machines]

  ray_launcher._require_room(Cluster(), ray_launcher.Resources(2.0, 0))
  ray_launcher._require_room(Cluster(), ray_launcher.Resources(1.0, 1))
  with pytest.raises(UserError, match="no machine of the cluster has 2 cores and 1 accelerators"):
    ray_launcher._require_room(Cluster(), ray_launcher.Resources(2.0, 1))


def test_a_cluster_that_is_not_there_is_one_line():
  with pytest.raises(UserError, match="no cluster answers"), ray_cluster.connected("auto"):
    pass


PLUGIN = """
from gan.regularizers import REGULARIZERS, Entry, Regularizer


def make_small_logits(*, small_logits_power=2.0):
  def discriminator(view, state):
    term = abs(view.real_outputs.logits) ** small_logits_power
    return term, {"small_logits": term.mean()}

  return Regularizer(discriminator=discriminator)


REGULARIZERS["small_logits"] = Entry(
  make_small_logits, 1.0, "|D(x)|^power", "", options=("small_logits_power",)
)
"""


def test_workers_find_a_plugin_in_the_folder_where_the_command_was_started(tmp_path):
  (tmp_path / "own_parts.py").write_text(PLUGIN)
  environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"}
  flags = [*FLAGS, "--plugin=own_parts", "--steps=4", "--losses=nonsat", "--seeds=1"]
  flags += [
    "--grid=small_logits_weight=0.1,1;small_logits_power=1,2",
    "--log_every=1",
    "--launcher=ray",
  ]
  result = subprocess.run(
    [sys.executable, "-m", "experiments.sweep", "--workdir=sweep", *flags],
    cwd=tmp_path,
    env=environment | {"PYTHONPATH": str(ROOT)},
    capture_output=True,
    text=True,
    timeout=TIMEOUT,
    check=False,
  )
  assert result.returncode == 0, result.stdout + result.stderr
  runs = sorted((tmp_path / "sweep" / "members").iterdir())
  assert len(runs) == 4
  for folder in runs:
    assert read_summary(folder)["status"] == "finished"
    assert [record["small_logits"] > 0 for record in read_metrics(folder)] == [True] * 4


def test_what_a_plugin_raises_in_a_worker_is_a_line_of_its_task(tmp_path, monkeypatch):
  class Failing:
    def __init__(self, *args):
      pass

    def train(self, *args):
      raise ValueError("no power of nine")

  def train(fault):
    monkeypatch.setattr(ray_launcher.plugins, "fault", fault)
    states = []

    def report(state, steps):
      states.append(state)
      return False

    run_group = [Trial("nonsat,seed=0", Config(), {})]
    program = Program([run_group], 1, None)
    plan = Plan([program], None, {}, {})
    return ray_launcher._train(plan, program, run_group, tmp_path, report, lambda: None), states

  monkeypatch.setattr(ray_launcher, "Trainer", Failing)
  monkeypatch.setattr(ray_launcher, "place", lambda plan: None)
  (lines, error), states = train(lambda error: f"the plugin mine failed: {error}")
  assert (lines, error) == ([], "the plugin mine failed: no power of nine")
  assert states == ["failed"]
  with pytest.raises(ValueError, match="no power of nine"):
    train(lambda error: None)
