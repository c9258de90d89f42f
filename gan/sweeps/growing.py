"""A sweep that grows in place: more losses, seeds, samples or steps in the same folder.

A run that was there goes on from its checkpoint, and a new one is trained as in any other sweep.
Where runs are stepped one at a time on each device, by the program of a run alone, a sweep that has
grown is the sweep made at once, to the bit. Where several are stepped together, the width of their
program is that of the sweep as it was, and they are equal to rounding.
"""

import dataclasses
import json
import os
import pathlib
from typing import Any

from gan.sweeps.plan import Plan
from gan.sweeps.search import Trial, sweep_identity
from gan.system import schema
from gan.system.schema import SCALAR, TEXT, entries, list_of
from gan.training.aliases import canonical, name_of_run
from gan.training.config import images_per_step
from gan.training.run_folder import (
  CONFIG,
  RESTORE,
  RUNS_FOLDER,
  differences,
  refuse_other_work,
  write_json,
)
from gan.training.setting import fix_schedule

_RUN = entries({"name": TEXT}, {"varied": entries(others=SCALAR)})
_RECORD = entries({"determining": entries(), "members": list_of(_RUN)})


def claim(path: pathlib.Path, plan: Plan) -> None:
  """Writes sweep.json, or checks first that every run of the one that is there is in the plan.

  Args:
    path: of sweep.json.
    plan: its runs, as they were and with the same values of all fields, may be among others.

  Raises:
    UserError: a run is gone or has other values; the message holds every difference.
  """
  there = schema.read(path, _RECORD, RESTORE)
  if there is not None and (lines := _lost(there, plan)):
    refuse_other_work(path.parent, "a sweep", lines)
  write_json(path, plan.identity)


def _lost(there: dict[str, Any], plan: Plan) -> list[str]:
  """A phrase on each difference between a record and the part of a plan that has its runs."""
  runs = {name_of_run(run["name"]): canonical(run.get("varied", {})) for run in there["members"]}
  kept = [trial for trial in plan.trials if trial.name in runs]
  whole = len(kept) == len(runs)
  here = sweep_identity(kept, plan.shared, "", "") if whole else plan.identity
  lines = differences(_ordered(canonical(there["determining"])), _ordered(here["determining"]))
  for trial in kept:
    varied = json.loads(json.dumps(trial.varied))
    lines += [f"run {trial.name}: {line}" for line in differences(runs[trial.name], varied)]
  return lines if lines or whole else [f"{len(runs) - len(kept)} runs are not in the plan"]


def _ordered(fields: dict[str, Any]) -> dict[str, Any]:
  """Fields with lists of values in one order, whatever the order of the flags."""
  return {
    name: sorted(value, key=str) if isinstance(value, list) else value
    for name, value in fields.items()
  }


def fix_schedules(trials: list[Trial], workdir: str | os.PathLike) -> list[Trial]:
  """Returns runs whose schedules are as long as those with which the sweep began.

  Args:
    trials: of the sweep; `steps` may be more than at its start.
    workdir: of the sweep, new or not.
  """
  folder = pathlib.Path(workdir) / RUNS_FOLDER
  begun = (trial for trial in trials if (folder / trial.name / CONFIG).exists())
  first = next(begun, trials[0])
  images = fix_schedule(first.config, folder / first.name).schedule_images
  steps = images // images_per_step(first.config) if images else first.config.steps

  def fixed(trial: Trial) -> Trial:
    at_start = dataclasses.replace(trial.config, steps=steps)
    images = fix_schedule(at_start, folder / trial.name).schedule_images
    return trial._replace(config=dataclasses.replace(trial.config, schedule_images=images))

  return [fixed(trial) for trial in trials]
