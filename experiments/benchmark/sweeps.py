"""Times a whole sweep beside its runs as single commands, one after the other.

Every command is a process of its own with a fresh work folder, timed from its start to its end.
Half of the single commands run before the sweep and half after it, so that a change of the
machine's speed meets both.
"""

import contextlib
import functools
import os
import pathlib
import shlex
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from experiments.cli import children
from experiments.cli.command import OK
from gan.errors import UserError
from gan.training.run_folder import RUNS_FOLDER, read_config, read_summary

LOSS = "nonsat"
LOG_EVERY = 50  # steps
WORK = "DIR"  # stands for the work folder in a command that is shown
HEAD = f"""\
Sweeps beside the same runs one by one, whole commands, start and end of each process included.
Both have run with few steps before, so that compiled programs and features of the data are in the
user's cache. Records every {LOG_EVERY} steps; one evaluation, picture and checkpoint, at the end.
A ratio is the time one by one over that of the sweep: above 1 the sweep is faster."""


class SweepCase(NamedTuple):
  """Runs that differ in nothing but their seeds, which are 0, 1, ...

  Attributes:
    experiment: whose command trains one of them.
    flags: of both commands, beside those that all cases share.
    runs: how many runs there are.
    target: the least ratio that is aimed at.
  """

  experiment: str
  flags: tuple[str, ...]
  runs: int
  target: float


SWEEP_CASES = {
  "ring_small": SweepCase("ring", ("--width=32", "--batch_size=64"), 32, 6.0),
  "ring_large": SweepCase("ring", ("--width=128", "--batch_size=256"), 8, 1.3),
  "mlp": SweepCase("mnist", ("--model=mlp", "--batch_size=64"), 8, 1.0),
  "dcgan": SweepCase("mnist", ("--model=dcgan", "--batch_size=64"), 4, 1 / 1.1),
  "ring_many": SweepCase("ring", ("--width=32", "--batch_size=64"), 256, 8.0),
}


class Timing(NamedTuple):
  """What was measured of a case.

  Attributes:
    runs: runs in the sweep.
    singles: seconds of each single command that was timed, at most one for each run.
    sweep: seconds of the sweep.
  """

  runs: int
  singles: list[float]
  sweep: float

  @property
  def one_by_one(self) -> float:
    """Seconds of a single command for each run; those not timed have the others' mean."""
    return self.runs * statistics.fmean(self.singles)

  @property
  def ratio(self) -> float:
    """Time of the single commands over that of the sweep: above 1 the sweep is faster."""
    return self.one_by_one / self.sweep

  def record(self, name: str, target: float) -> dict[str, Any]:
    """Returns what benchmark.json holds of a case."""
    return {
      "case": name,
      **{"members" if key == "runs" else key: value for key, value in self._asdict().items()},
      "one_by_one": self.one_by_one,
      "ratio": self.ratio,
      "target": target,
    }

  def describe(self, target: float) -> str:
    """Returns one line: seconds of both sides, what was scaled, ratio and target."""
    timed = f"{len(self.singles)} of {self.runs} single commands timed"
    scaled = ", scaled" if len(self.singles) < self.runs else ""
    return (
      f"  one by one {self.one_by_one:.1f} s ({timed}{scaled}), sweep {self.sweep:.1f} s, "
      f"ratio {self.ratio:.2f} (target: at least {target:.2f})"
    )


def chosen_cases(text: str) -> list[str]:
  """Reads names of cases by commas; none is an empty list.

  Raises:
    UserError: one is unknown.
  """
  names = text.split(",") if text else []
  for name in names:
    if name not in SWEEP_CASES:
      raise UserError(f"--sweeps={name} is unknown: choose from {', '.join(SWEEP_CASES)}")
  return names


def single_command(case: SweepCase, seed: int, steps: int, workdir: str) -> list[str]:
  """Returns the command that trains one run of a case."""
  return [
    *("-m", f"experiments.{case.experiment}", f"--loss={LOSS}", f"--seed={seed}"),
    *_flags(case, steps, workdir),
  ]


def sweep_command(case: SweepCase, steps: int, workdir: str) -> list[str]:
  """Returns the command that trains all runs of a case."""
  return [
    *("-m", "experiments.sweep", f"--experiment={case.experiment}", f"--losses={LOSS}"),
    *("--seed=0", f"--seeds={case.runs}", *_flags(case, steps, workdir)),
  ]


def _flags(case, steps, workdir):
  """What is written must be the same on both sides, and commands differ in their defaults."""
  at_end = (f"--{name}_every={steps}" for name in ("sample", "eval", "checkpoint"))
  shared = (f"--steps={steps}", f"--log_every={LOG_EVERY}", *at_end, f"--workdir={workdir}")
  return *case.flags, *shared


def warm_up_steps(steps: int) -> int:
  """Returns a few steps that need every program which `steps` steps need.

  Where many steps are one call, that is a program for `LOG_EVERY` of them and one for the rest.
  """
  return min(steps, LOG_EVERY + steps % LOG_EVERY)


def compare(names: list[str], steps: int, singles: int) -> list[dict[str, Any]]:
  """Prints how long single commands and the sweep take, and returns it, for each case.

  Args:
    names: of SWEEP_CASES.
    steps: of each run.
    singles: commands to time at most in each case; the rest are scaled.

  Raises:
    UserError: a command failed, or a run did not come to its last step.
  """
  print(HEAD)
  return [_compare_case(name, SWEEP_CASES[name], steps, singles) for name in names]


def _compare_case(name, case, steps, singles):
  print(f"{name}: {case.runs} runs, {steps} steps", flush=True)
  for command in (single_command(case, 0, steps, WORK), sweep_command(case, steps, WORK)):
    print(f"  {shlex.join(['python', *command])}", flush=True)
  dataset = _warm_up(case, steps)
  print(f"  both warmed up with {warm_up_steps(steps)} steps; data set {dataset}", flush=True)
  before = os.getloadavg()[0]
  timing = _time(case, steps, min(singles, case.runs))
  loads = [round(load, 1) for load in (before, os.getloadavg()[0])]
  print(timing.describe(case.target), flush=True)
  print(f"  load average {loads[0]} before and {loads[1]} after", flush=True)
  return timing.record(name, case.target) | {"steps": steps, "load": loads}


def _warm_up(case, steps) -> str:
  """Runs both commands with few steps; returns the name of their data set."""
  steps = warm_up_steps(steps)
  with _work_folder() as single, _work_folder() as sweep:
    # The sweep has the seeds of all single commands, whose references are chosen by seed.
    _run(sweep_command(case, steps, str(sweep)))
    _run(single_command(case, 0, steps, str(single)))
    runs = [read_config(run)["determining"] for run in _finished(sweep, steps)]
    alone = read_config(*_finished(single, steps))["determining"]
  _check_same_runs(alone, runs, case.runs)
  return alone["dataset"]


def _check_same_runs(alone: dict[str, Any], runs: list[dict[str, Any]], count: int) -> None:
  """Raises UserError where the sweep trains anything but the single runs with other seeds."""
  expected = [alone | {"seed": seed} for seed in range(count)]
  if sorted(runs, key=lambda run: run["seed"]) != expected:
    raise UserError("the runs of the sweep are not the runs of the single commands")


def _time(case, steps, singles) -> Timing:
  def single(seed):
    command = functools.partial(single_command, case, seed, steps)
    return _seconds(f"single command, seed {seed}", command, steps)

  before = [single(seed) for seed in range((singles + 1) // 2)]
  command = functools.partial(sweep_command, case, steps)
  sweep = _seconds(f"sweep of {case.runs}", command, steps)
  after = [single(seed) for seed in range(len(before), singles)]
  return Timing(case.runs, [*before, *after], sweep)


def _seconds(what: str, command: Callable[[str], list[str]], steps: int) -> float:
  """Times a command in a folder of its own.

  Args:
    what: the command in words.
    command: `work folder -> command`.
    steps: that every run must come to.
  """
  with _work_folder() as folder:
    began = time.perf_counter()
    _run(command(str(folder)))
    seconds = time.perf_counter() - began
    _finished(folder, steps)
  print(f"  {what}: {seconds:.1f} s", flush=True)
  return seconds


def _run(command: list[str]) -> None:
  """Runs a command to its end, unseen; UserError with its last words where it fails."""
  _, module, *arguments = command
  process = subprocess.run(
    children.command(module, *arguments),
    stdin=subprocess.DEVNULL,
    capture_output=True,
    text=True,
  )
  if process.returncode != OK:
    last = process.stderr.strip().rpartition("\n")[-1]
    shown = shlex.join(["python", *command])
    raise UserError(f"{shown} ended with exit code {process.returncode}: {last}")


def _finished(folder: pathlib.Path, steps: int) -> list[pathlib.Path]:
  """Returns run folders; UserError where one stopped early, which would take less time."""
  runs = sorted((folder / RUNS_FOLDER).iterdir()) if (folder / RUNS_FOLDER).exists() else [folder]
  for run in runs:
    summary = read_summary(run)
    status = "not ended" if summary is None else f"{summary['status']}, step {summary['step']}"
    if status != f"finished, step {steps}":
      raise UserError(f"{run.name} should have come to step {steps} and is {status}")
  return runs


@contextlib.contextmanager
def _work_folder():
  with tempfile.TemporaryDirectory(prefix="gan-benchmark-") as folder:
    yield pathlib.Path(folder)
