"""What sweeps have recorded of themselves: their runs, what was typed, what real data score."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from gan.system import schema
from gan.training import run_folder

_NAME = schema.matching(r"[^/\0]{1,255}", "the name of a folder")
_PLAN = schema.entries(
  {"members": schema.list_of(schema.entries({"name": _NAME}, {"label": schema.TEXT}))},
  {"command": schema.TEXT, "sampler": schema.TEXT},
)
_REAL = schema.entries(
  optional={"extractor": schema.nullable(schema.TEXT), "split": schema.TEXT}, others=schema.METRIC
)
SEQUENTIAL = "tpe"  # the sampler that sweep.json names where a point follows from values before it
Plan = tuple[pathlib.Path, Mapping[str, Any]]  # folder, sweep.json


def plans(folder: pathlib.Path) -> list[Plan]:
  """Returns the sweeps in a folder.

  Raises:
    UserError: a sweep.json is damaged.
  """
  found = []
  for path, below, files in os.walk(folder):
    below.sort()
    if run_folder.CONFIG in files:
      below.clear()
    if run_folder.SWEEP in files:
      found.append((pathlib.Path(path), _plan(pathlib.Path(path) / run_folder.SWEEP)))
  return found


def _plan(path) -> dict[str, Any]:
  return schema.read(path, _PLAN, "restore it, or name the folders of its runs as `workdir`")


def _runs(plan: Plan) -> dict[pathlib.Path, Mapping[str, Any]]:
  folder, record = plan
  return {folder / run_folder.RUNS_FOLDER / run["name"]: run for run in record["members"]}


def labels(plans: Sequence[Plan]) -> dict[pathlib.Path, str | None]:
  """Returns {folder of a run: its loss with a penalty of its own}, None for a loss alone."""
  return {path: run.get("label") for plan in plans for path, run in _runs(plan).items()}


def waiting(plans: Sequence[Plan]) -> list[str]:
  """Returns the folders of runs that have not begun."""
  every = (path for plan in plans for path in _runs(plan))
  return [str(path) for path in every if not (path / run_folder.CONFIG).exists()]


def commands(plans: Sequence[Plan], runs: Mapping[pathlib.Path, str | None]) -> list[str]:
  """Returns what was typed, once each: of the sweeps, and of runs that belong to none.

  Args:
    plans: of the sweeps.
    runs: the command of each run, by its folder.
  """
  swept = [folder / run_folder.RUNS_FOLDER for folder, _ in plans]
  typed = [record.get("command") for _, record in plans]
  typed += [command for path, command in runs.items() if path.parent not in swept]
  return [command for command in dict.fromkeys(typed) if command]


def sequential(plans: Sequence[Plan]) -> bool:
  """Returns whether the points of a search followed from the values before them."""
  return any(record.get("sampler") == SEQUENTIAL for _, record in plans)


def real(plans: Sequence[Plan]) -> Mapping[str, Any]:
  """Returns what real data score in the place of samples in the first sweep that says so, or {}.

  Raises:
    UserError: the record is damaged.
  """
  paths = (folder / run_folder.REAL_DATA for folder, _ in plans)
  found = (schema.read(path, _REAL, "remove it, and sweep again") for path in paths)
  return next(filter(None, found), {})
