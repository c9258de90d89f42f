"""A sweep by successive halving: all settings are begun, and the best are trained to their end.

A setting that goes on continues its own checkpoints, in a program of the same width: it is the
same, to the bit, as in a sweep of that width without pauses.
"""

import os
import pathlib
from collections.abc import Callable, Collection, Iterable

from gan.sweeps import local
from gan.sweeps.launcher import Launcher, claimed
from gan.sweeps.plan import Plan
from gan.sweeps.rungs import (
  Settings,
  promoted,
  rungs,
  settings_of,
  share_of_steps,
  value_at,
)
from gan.sweeps.search import Trial, member
from gan.sweeps.study import metric_of
from gan.sweeps.trainer import status
from gan.system.progress import say
from gan.training.interrupts import interrupts
from gan.training.run_folder import (
  EVALUATIONS,
  RUNS_FOLDER,
  SUMMARY,
  read_metrics,
  read_summary,
  write_json,
)


def rungs_of(trials: Collection[Trial], factor: int) -> list[int]:
  """Returns the rungs of a sweep, see `rungs.rungs`.

  Args:
    trials: of the sweep.
    factor: one of so many settings goes on from a rung.

  Raises:
    UserError: there can be none.
  """
  config = next(iter(trials)).config
  return rungs(config.steps, config.eval_every, factor, max(_counts(trials)))


def _counts(trials: Collection[Trial]) -> list[int]:
  """How many settings each loss has."""
  return [len(settings) for settings in settings_of(map(member, trials)).values()]


def describe(trials: Collection[Trial], factor: int) -> str:
  """Returns the rungs of a sweep in a line, with the steps that are made of those of all runs."""
  steps, found = next(iter(trials)).config.steps, rungs_of(trials, factor)
  counts = _counts(trials)
  made = sum(count * share_of_steps(count, steps, found, factor) for count in counts)
  return (
    f"Halving: one of {factor} settings of each loss goes on from step "
    f"{', '.join(map(str, found))}: at most {100 * made / sum(counts):.0f} % of all steps"
  )


def fit(
  plan: Plan,
  workdir: str | os.PathLike,
  *,
  factor: int,
  metric: str | None = None,
  say: Callable[[str], None] = say,
  launch: Launcher | None = None,
) -> dict[str, str]:
  """Trains all runs to the first rung, the best settings of each loss to the next, to the end.

  A rung is decided by the records alone, and anew each time: the same command goes on where it was
  broken off, and with more samples a setting that was stopped may go on. Runs that an earlier
  command took further stay as they are.

  Args:
    plan: what to train.
    workdir: the sweep's folder; one that belongs to another sweep is refused.
    factor: one of so many settings goes on from a rung, rounded up.
    metric: by whose median over seeds at a rung settings are ranked; None for the first that was
      evaluated and has a direction.
    say: prints one line to the user.
    launch: trains the runs of a rung; None for the devices of this process.

  Returns:
    The status of each run: as `local.fit`, and "stopped at step n".

  Raises:
    UserError: anything that the user can put right; nothing on disk is lost.
  """
  launch = launch or local.keeping_programs()
  left = settings_of(plan.identity["members"])
  with interrupts() as signals:
    for step in rungs_of(plan.trials, factor):
      found = launch(_piece(plan, left, step), workdir, say=say)
      if signals:
        return found
      with claimed(plan, workdir) as folder:
        left = _halved(folder, plan, left, step, factor, metric, say)
    return launch(_piece(plan, left), workdir, say=say)


def _piece(plan: Plan, left: Settings, step: int | None = None) -> Plan:
  return plan._replace(until=step, working=frozenset(_runs(left)))


def _runs(settings: Settings) -> Iterable[str]:
  return (run for own in settings.values() for runs in own.values() for run in runs)


def _halved(
  folder: pathlib.Path,
  plan: Plan,
  left: Settings,
  step: int,
  factor: int,
  metric: str | None,
  say: Callable[[str], None],
) -> Settings:
  """Stops the runs that do not go on from a rung, and returns the settings that do."""
  records = {run: read_metrics(folder / RUNS_FOLDER / run, EVALUATIONS) for run in _runs(left)}
  metric = metric_of(folder, metric)
  kept: Settings = {}
  for loss, settings in left.items():
    values = {
      setting: [value_at(records[run], metric, step) for run in runs]
      for setting, runs in settings.items()
    }
    kept[loss] = {setting: settings[setting] for setting in promoted(values, factor)}
  _stop(folder, plan, set(_runs(left)) - set(_runs(kept)))
  counts = ", ".join(f"{len(kept[loss])} of {len(left[loss])} of {loss}" for loss in left)
  say(f"Step {step}: the best settings by {metric} go on ({counts})")
  return kept


def _stop(folder: pathlib.Path, plan: Plan, names: set[str]) -> None:
  """Says of runs that are neither finished nor diverged that they were stopped where they stand."""
  for trial in plan.trials:
    if trial.name in names and status(folder, trial) == "interrupted":
      own = folder / RUNS_FOLDER / trial.name
      summary = read_summary(own)
      write_json(own / SUMMARY, summary | {"status": f"stopped at step {summary['step']}"})
