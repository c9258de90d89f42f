"""Studies of two phases: a search over settings, and the best of each loss again with fresh seeds.

The setting of a loss is chosen by its seeds of the search, which flatters it; all that is said of a
study is of the confirmation, whose seeds chose nothing.
"""

import os
import pathlib
from collections.abc import Callable

from gan.metrics.best import RANKED, better
from gan.report import study
from gan.report.analysis import Analysis, analyse
from gan.sweeps.study import CONFIRM, SEARCH, STUDY, Best, best_settings, read_study
from gan.training.run_folder import METRICS, RUNS_FOLDER


def is_study(folder: str | os.PathLike) -> bool:
  """Returns whether a folder is that of a study."""
  return (pathlib.Path(folder) / STUDY).is_file()


def load(folder: str | os.PathLike, metric: str | None = None) -> tuple[Analysis | None, Analysis]:
  """Returns the analyses of a study's confirmation and of its search.

  In the confirmation each loss stands in its own setting, which is no factor: runs are paired by
  their seed alone. Confirmations of settings that a longer search has overtaken are left out.

  Args:
    folder: with study.json, search/ and confirm/.
    metric: by which settings are chosen and losses compared; by default that of study.json, else
      the first of METRICS that was evaluated.

  Returns:
    (confirmation, search); the first is None before it has a record.

  Raises:
    UserError: see `study.load` and `analyse`.
  """
  folder = pathlib.Path(folder)
  asked = (read_study(folder) or {}).get("metric")
  search = analyse(study.load([folder / SEARCH]), metric or asked)
  ranked = better(search.metric) in RANKED if search.metric else False
  found = best_settings(folder / SEARCH, search.metric) if ranked else {}
  best = [each for each in found.values() if each]
  search = _with_chosen(search, best)
  keep = _of_settings(best)
  if not _has_records(folder / CONFIRM, keep):
    return None, search
  confirmed = study.load([folder / CONFIRM], keep)
  confirmed = confirmed._replace(varied=(), own=confirmed.varied)
  return analyse(confirmed, search.metric)._replace(search=search), search


def _with_chosen(search: Analysis, best: list[Best]) -> Analysis:
  """The search with the settings that are confirmed as those that are chosen."""
  of_run = {run.folder.name: run for run in search.study.runs}
  runs = [of_run[name] for each in best for name in each.runs[:1] if name in of_run]
  return search._replace(
    chosen=search.chosen | {run.loss: search.study.setting(run) for run in runs}
  )


def _of_settings(best: list[Best]) -> Callable[[str], bool]:
  """Whether a run, by its name, is of one of these settings."""
  begin = tuple(f"{each.setting}," for each in best)
  return lambda name: name.startswith(begin)


def _has_records(folder: pathlib.Path, keep: Callable[[str], bool]) -> bool:
  runs = (folder / RUNS_FOLDER).glob(f"*/{METRICS}")
  return any(keep(path.parent.name) and path.stat().st_size for path in runs)
