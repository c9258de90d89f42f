"""What successive halving would have done in a search whose settings all went to their end."""

import os
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from gan.errors import UserError
from gan.metrics.best import RANKED, better
from gan.report import study
from gan.report.statistics import Centre, centre
from gan.report.study import Study, StudyRun
from gan.sweeps.rungs import (
  Settings,
  promoted,
  rungs,
  setting_of,
  settings_of,
  share_of_steps,
  value_at,
)
from gan.sweeps.study import CONFIRM, metric_of
from gan.system import schema
from gan.training.run_folder import RESTORE, SWEEP

_MEMBER = schema.entries(
  {"name": schema.TEXT, "varied": schema.entries(others=schema.SCALAR)}, {"label": schema.TEXT}
)
_PLAN = schema.entries({"members": schema.list_of(_MEMBER)})
ENDED = ("finished", "diverged")


class Choice(NamedTuple):
  """The settings of a loss that a whole search and one by halving choose.

  Attributes:
    whole: the best of all settings at their end.
    halved: the best of those that halving leaves.
    whole_value: median over the search's seeds of the metric at the last step.
    halved_value: of the other setting.
    confirmed: of the first setting over fresh seeds, None where it was not trained again.
    same: whether both are one setting, or the value of the second is no worse than the end of the
      first one's confirmed 95 % interval of the median; None where that is not known.
  """

  whole: str
  halved: str
  whole_value: float
  halved_value: float
  confirmed: Centre | None
  same: bool | None


class Replay(NamedTuple):
  """A search, and what halving would have made of it.

  Attributes:
    metric: by which settings are compared.
    rungs: steps at which they are.
    saved: share of the steps of the search that would not have been made.
    choices: loss -> what would have been chosen.
  """

  metric: str
  rungs: list[int]
  saved: float
  choices: dict[str, Choice]


def load(folder: str | os.PathLike, factor: int, metric: str | None = None) -> Replay:
  """Returns the replay of a sweep's folder, with the confirmation beside it where there is one.

  Args:
    folder: of the search, a sweep.
    factor: one of so many settings goes on from a rung.
    metric: with a direction; by default the first that was evaluated.

  Raises:
    UserError: the folder is no sweep, its runs have not all ended, or there can be no rung.
  """
  folder = pathlib.Path(folder)
  plan = schema.read(folder / SWEEP, _PLAN, RESTORE)
  if plan is None:
    raise UserError(f"{folder} is no sweep (it has no {SWEEP}): name that of a search as `workdir`")
  again = folder.parent / CONFIRM
  confirmed = study.load([again]) if (again / SWEEP).exists() else None
  metric = metric_of(folder, metric)
  return replay(study.load([folder]), settings_of(plan["members"]), factor, metric, confirmed)


def replay(
  search: Study,
  settings: Settings,
  factor: int,
  metric: str,
  confirmed: Study | None = None,
) -> Replay:
  """Returns what halving would have done.

  Args:
    search: runs that have all ended.
    settings: of these runs.
    factor: one of so many settings goes on from a rung.
    metric: with a direction.
    confirmed: runs of the best settings with fresh seeds, under the same names but for the seed.

  Raises:
    UserError: a run has not ended, or there can be no rung.
  """
  runs = {run.folder.name: run for run in search.runs}
  names = [name for own in settings.values() for found in own.values() for name in found]
  if left := [name for name in names if name not in runs or runs[name].status not in ENDED]:
    raise UserError(
      f"{len(left)} of {len(names)} runs of the search have not gone to their end ({left[0]}): a "
      "replay needs what all settings would have become"
    )
  config, counts = search.runs[0].record["config"], [len(own) for own in settings.values()]
  steps = config["steps"]
  found = rungs(steps, config["eval_every"], factor, max(counts))
  made = sum(count * share_of_steps(count, steps, found, factor) for count in counts)
  fresh = _fresh(confirmed, metric) if confirmed else {}
  choices = {
    loss: _choice(_values(own, runs, metric, [*found, steps]), found, steps, factor, fresh, metric)
    for loss, own in settings.items()
  }
  return Replay(metric, found, 1 - made / sum(counts), choices)


Values = Mapping[int, Mapping[str, list[float]]]  # step -> setting -> [seeds]


def _values(
  settings: dict[str, list[str]], runs: dict[str, StudyRun], metric: str, steps: list[int]
) -> Values:
  return {
    step: {
      setting: [value_at(runs[name].evaluations, metric, step) for name in names]
      for setting, names in settings.items()
    }
    for step in steps
  }


def _fresh(confirmed: Study, metric: str) -> dict[str, list[float]]:
  """Last values of each setting that was trained again."""
  found = {}
  for run in confirmed.runs:
    if points := run.points(metric):
      found.setdefault(setting_of(run.folder.name), []).append(points[-1][1])
  return found


def _choice(
  values: Values,
  rungs: list[int],
  steps: int,
  factor: int,
  fresh: Mapping[str, list[float]],
  metric: str,
) -> Choice:
  left = list(values[steps])
  for step in rungs:
    left = promoted({setting: values[step][setting] for setting in left}, factor)
  last = {setting: float(np.median(seeds)) for setting, seeds in values[steps].items()}
  whole, halved = min(last, key=last.__getitem__), min(left, key=last.__getitem__)
  sign, confirmed = RANKED[better(metric)], centre(fresh.get(whole, ()))
  same = whole == halved or None
  if same is None and confirmed and confirmed.median_interval:
    worst = max(sign * end for end in confirmed.median_interval)
    same = last[halved] <= worst
  shown = (sign * last[setting] + 0.0 for setting in (whole, halved))  # 0 and not -0
  return Choice(whole, halved, *shown, confirmed, same)
