"""Trains the study, a sweep of seeds for each arm on each cell; what is there is not made again."""

import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from experiments.small_data import memorised
from experiments.small_data.arms import Cell, Form, trials
from gan import datasets
from gan.errors import UserError
from gan.metrics.evaluator import find_extractor
from gan.sweeps import local
from gan.sweeps.plan import make_plan
from gan.sweeps.search import Trial
from gan.sweeps.trainer import status
from gan.system.progress import CountProgress
from gan.training.interrupts import interrupts
from gan.training.parts import identity
from gan.training.run_folder import (
  RUNS_FOLDER,
  differences,
  read_config,
  writable_folder,
  write_json,
)

FACTS = "data.json"  # of a cell


class Task(NamedTuple):
  """The runs of an arm on a cell."""

  cell: Cell
  arm: str
  trials: list[Trial]
  folder: pathlib.Path  # of the sweep

  def ended(self) -> int:
    """How many of its runs are finished or have diverged.

    Raises:
      UserError: one that is there has another config.
    """
    return sum(_ended(self.folder, trial) for trial in self.trials)


def tasks(
  form: Form, cells: Sequence[Cell], arms: Sequence[str], seeds: int, outdir: pathlib.Path
) -> list[Task]:
  """Returns what is to be trained, arm after arm on each cell."""
  return [
    Task(cell, arm, trials(form, cell, arm, seeds), cell.folder(outdir) / arm)
    for cell in cells
    for arm in arms
  ]


def _ended(folder, trial) -> bool:
  if not status(folder, trial).startswith(("finished", "diverged")):
    return False
  run = folder / RUNS_FOLDER / trial.name
  own, there = identity(trial.config), read_config(run)["determining"]
  if lines := differences({name: there.get(name) for name in own}, own):
    raise UserError(
      f"{run} is of another study ({'; '.join(lines)}): give the same flags to continue it, or "
      "another --outdir"
    )
  return True


def check_data(form: Form, work: Sequence[Task], data_dir: str | None) -> None:
  """Checks that the data of what is still to be trained are there, and whole.

  Raises:
    UserError: they are not, and shares of them would be others.
  """
  for name in dict.fromkeys(task.cell.dataset for task in work if task.ended() < len(task.trials)):
    found, examples = datasets.load(name, "train", data_dir), form[name].examples
    if len(found.images) != examples:
      raise UserError(
        f"{found.source} holds {len(found.images):,} training images of {name}, and the shares of "
        f"the study are of all {examples:,}: supply these, or leave {name} out by --datasets"
      )


def train(
  work: Sequence[Task], data_dir: str | None, command: str, say: Callable[[str], None]
) -> bool:
  """Trains every run up to its last step, from where each stands, and looks for copies of data.

  Args:
    work: of `tasks`.
    data_dir: where local data lie; see `datasets.load`.
    command: what the user typed, for sweep.json.
    say: prints one line to the user.

  Returns:
    Whether all is done; False after a signal, of which the first saves and the second raises.

  Raises:
    UserError: anything that the user can put right; nothing on disk is lost.
  """
  before = [task.ended() for task in work]
  total = sum(len(task.trials) for task in work)
  with interrupts() as signals, CountProgress("runs", total, sum(before), "run") as progress:
    try:
      for task, done in zip(work, before, strict=True):
        _perform(task, done, data_dir, command, say)
        if signals:
          return False
        if done < len(task.trials):
          progress.advance(len(task.trials) - done)
    except KeyboardInterrupt:
      if len(signals) != 1:
        raise
  return not signals


def _perform(task, done, data_dir, command, say) -> None:
  if done < len(task.trials):
    say(f"{task.cell.title}: {task.arm}")
    plan = make_plan(task.trials, data_dir, command=command, experiment="small_data", say=say)
    local.fit(plan, task.folder, say=say)
  missing = [run for run in _finished(task) if not memorised.is_measured(run)]
  if not missing:
    return
  config = task.trials[0].config
  train_set = datasets.load(config.dataset, config.split, data_dir)
  held_out = datasets.load(config.dataset, "test", data_dir)
  _describe(task.folder.parent, train_set)
  extractor, notice = find_extractor(train_set)
  for run in missing if extractor else ():
    memorised.measure(run, train_set, held_out, extractor)
  if notice:
    say(notice)


def _finished(task) -> list[pathlib.Path]:
  """The folders of runs whose last generator is to be looked at."""
  ended = [trial for trial in task.trials if status(task.folder, trial) == "finished"]
  return [task.folder / RUNS_FOLDER / trial.name for trial in ended]


def _describe(folder, dataset) -> None:
  """Writes how many examples a cell has, and of its classes, which nothing balances."""
  counts = np.bincount(dataset.labels, minlength=dataset.num_classes).tolist()
  write_json(writable_folder(folder) / FACTS, {"examples": sum(counts), "classes": counts})
