"""Studies of two phases: a search over settings, and the best of each loss again with fresh seeds.

The setting of a loss is chosen by its seeds of the search, which flatters it; all that is said of a
study is of the confirmation, whose seeds chose nothing.
"""

import os
import pathlib
from collections.abc import Callable

from gan.report import confirmation, searches, study
from gan.report.analysis import Analysis, analyse
from gan.system import schema
from gan.training.run_folder import METRICS, RUNS_FOLDER

STUDY, SEARCH, CONFIRM = "study.json", "search", "confirm"
_ASKED = schema.entries(optional={"metric": schema.nullable(schema.TEXT)})


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
  asked = schema.read(folder / STUDY, _ASKED, "restore it, or name the folders of its runs") or {}
  search = analyse(study.load([folder / SEARCH]), metric or asked.get("metric"))
  keep = _chosen(search)
  if not _has_records(folder / CONFIRM, keep):
    return None, search
  found = study.load([folder / CONFIRM], keep)
  found = found._replace(varied=(), own=found.varied)
  return analyse(found, search.metric)._replace(search=search), search


def _chosen(search: Analysis) -> Callable[[str], bool]:
  """Whether a run, by its name, is of a setting that is confirmed."""
  samples = {row.loss: searches.sample_of(row) for row in confirmation.selected(search)}
  begin = tuple(f"{loss},sample={sample}," for loss, sample in samples.items())
  return lambda name: name.startswith(begin)


def _has_records(folder: pathlib.Path, keep: Callable[[str], bool]) -> bool:
  runs = (folder / RUNS_FOLDER).glob(f"*/{METRICS}")
  return any(keep(path.parent.name) and path.stat().st_size for path in runs)
