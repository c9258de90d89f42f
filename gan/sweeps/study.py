"""A study's folder: what was asked, the best setting of each loss by its search. No JAX is needed.

study.json  what was asked
search/     a sweep: settings of each loss, by one seed; reevaluation.json in the runs of the best
confirm/    a sweep: the best setting of each loss, by seeds that the search did not use
earlier/    confirmations of settings that were the best before the search went on
"""

import contextlib
import math
import pathlib
import statistics
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from gan.errors import UserError
from gan.metrics.best import RANKED, better, in_order
from gan.sweeps.rungs import setting_of
from gan.system import schema
from gan.system.schema import COUNT, METRIC, SCALAR, TEXT, entries, list_of, nullable
from gan.training.places import check_place
from gan.training.run_folder import (
  CONFIG,
  EVALUATIONS,
  RESTORE,
  RUNS_FOLDER,
  SWEEP,
  differences,
  lock,
  read_metrics,
  read_summary,
  refuse_other_work,
  writable_folder,
  write_json,
)

STUDY, SEARCH, CONFIRM, EARLIER = "study.json", "search", "confirm", "earlier"
REEVALUATION = "reevaluation.json"  # in the folder of a run that was chosen
GROWING = ("samples", "seeds", "steps")  # may become more in the same folder
_ASKED = entries(
  {"losses": list_of(TEXT), **dict.fromkeys(GROWING, COUNT)},
  {"command": TEXT, "metric": nullable(TEXT), "config": entries(others=SCALAR)},
  others=SCALAR,
)
_SWEEP = entries(
  {"members": list_of(entries({"name": TEXT}, {"varied": entries(others=SCALAR)}))},
  {"command": TEXT, "experiment": TEXT},
)
_REEVALUATION = entries(
  dict.fromkeys(("step", "eval_seed", "eval_samples"), COUNT),
  {"reference_samples": COUNT, "extractor": nullable(TEXT), "split": TEXT},
  others=METRIC,
)


class Best(NamedTuple):
  """The best setting of a loss by a search.

  Attributes:
    label: the loss, with the penalty where it has one of its own.
    setting: its name, "LABEL,sample=3".
    runs: names of its runs, one for each seed of the search.
    step: of the evaluations by which it was chosen.
    value: the median over its runs of the metric there.
  """

  label: str
  setting: str
  runs: list[str]
  step: int
  value: float


@contextlib.contextmanager
def claimed(workdir: str | pathlib.Path, asked: dict[str, Any]) -> Iterator[pathlib.Path]:
  """Yields a study's folder, which is this process's until the block ends; writes study.json.

  Args:
    workdir: the folder, new or of the same study.
    asked: JSON values; "losses" and those of GROWING may be more than in the folder. "command",
      "budget" and, where a search does not follow it, "metric" may be others. "config" has the
      fields that all runs share.

  Raises:
    UserError: it cannot be written to, is in use, or holds other work.
  """
  folder = writable_folder(workdir)
  for name, what in ((CONFIG, "a run"), (SWEEP, "a sweep")):
    if (folder / name).exists():
      raise UserError(f"{folder} holds {what}: give the study a --workdir of its own")
  with contextlib.closing(lock(folder)):
    there = schema.read(folder / STUDY, _ASKED, RESTORE)
    if there is None:
      check_place(folder, "a study")
    elif lines := _other(there, asked):
      refuse_other_work(folder, "a study", lines)
    write_json(folder / STUDY, asked)
    yield folder


def _other(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
  """A phrase on each field in which a study is another, or less than it was."""
  sequential = there.get("sampler") == "tpe"  # its points follow from values at the last step
  follows = there.get("halving") or sequential
  free = ["command", "budget", *([] if follows else ["metric"])]
  growing = [name for name in GROWING if not (sequential and name == "steps")]
  free += [name for name in growing if there[name] <= here[name]]
  free += ["losses"] if set(there["losses"]) <= set(here["losses"]) else []
  lines = differences(there, here, without=["config", *free])
  return lines + differences(there.get("config", {}), here.get("config", {}))


def read_study(workdir: str | pathlib.Path) -> dict[str, Any] | None:
  """Returns study.json of a folder; None where it holds no study."""
  return schema.read(pathlib.Path(workdir) / STUDY, _ASKED, RESTORE)


def read_sweep(folder: pathlib.Path) -> dict[str, Any] | None:
  """Returns sweep.json of a folder; None where it holds no sweep."""
  return schema.read(folder / SWEEP, _SWEEP, RESTORE)


def read_reevaluation(run: pathlib.Path) -> dict[str, Any] | None:
  """Returns what a chosen run's folder holds of its evaluation by other samples, or None."""
  return schema.read(run / REEVALUATION, _REEVALUATION, "remove it, and repeat the study's command")


def metric_of(folder: pathlib.Path, asked: str | None = None) -> str:
  """Returns the metric by which settings of a sweep are compared.

  Args:
    folder: of the sweep.
    asked: its name; None for the first that was evaluated and has a direction.

  Raises:
    UserError: no run has it, or it has no direction.
  """
  known = _evaluated(folder)
  if asked is not None:
    check_direction(asked)
  if asked not in (None, *known) or not known:
    what = f"`metric={asked}` was not evaluated" if asked else "no run has a metric to choose by"
    raise UserError(f"{what} in {folder}: there is {', '.join(known) or 'none'}")
  return asked or known[0]


def check_direction(metric: str) -> None:
  """Raises UserError for a metric of which neither lower nor higher is better."""
  if better(metric) not in RANKED:
    raise UserError(
      f"`metric={metric}` has no direction, or is unknown: nothing is the best by it; choose one "
      "of which lower or higher is better, such as frechet_distance"
    )


def _evaluated(folder) -> list[str]:
  """The metrics with a direction that a sweep's runs have, in order."""
  found = set()
  for run in (read_sweep(folder) or {"members": []})["members"]:
    for record in read_metrics(folder / RUNS_FOLDER / run["name"], EVALUATIONS):
      found |= {name for name in record if better(name) in RANKED}
  return in_order(found)


def best_settings(folder: pathlib.Path, metric: str) -> dict[str, Best | None]:
  """Returns {label: its best setting}, None where no setting of it has a finite value.

  The best came furthest, and there has the best median of the metric over its seeds; of equals it
  is the first. A setting of which a run diverged, or is not at its end, is never the best.

  Args:
    folder: of a sweep.
    metric: of its evaluations; one that has a direction.
  """
  settings: dict[str, list[str]] = {}
  for run in (read_sweep(folder) or {"members": []})["members"]:
    settings.setdefault(setting_of(run["name"]), []).append(run["name"])
  found: dict[str, Best | None] = {setting.partition(",")[0]: None for setting in settings}
  sign = RANKED[better(metric)]
  measured = [_measured(folder, *item, metric) for item in settings.items()]
  for each in sorted(filter(None, measured), key=lambda best: (-best.step, sign * best.value)):
    found[each.label] = found[each.label] or each
  return found


def _measured(folder, setting, names, metric) -> Best | None:
  values = [last_value(folder / RUNS_FOLDER / name, metric) for name in names]
  if None in values:
    return None
  steps, numbers = zip(*values, strict=True)
  label = setting.partition(",")[0]
  return Best(label, setting, names, min(steps), statistics.median(numbers))


def last_value(run: pathlib.Path, metric: str) -> tuple[int, float] | None:
  """Returns (step, value) of a run's last evaluation by a metric.

  None where the value is not finite, or the run has diverged or is not at its end.
  """
  summary = read_summary(run)
  if summary is None or not summary["status"].startswith(("finished", "stopped")):
    return None
  found = [record for record in read_metrics(run, EVALUATIONS) if metric in record]
  value = found[-1][metric] if found else None
  if not isinstance(value, (int, float)) or not math.isfinite(value):
    return None
  return found[-1]["step"], float(value)


def set_aside(folder: pathlib.Path, names: Collection[str]) -> None:
  """Leaves in a study's confirmation the runs that are named; others go to EARLIER, or come back.

  Killed between two moves, it goes on where it was.

  Args:
    folder: of the study.
    names: of the runs of the settings that are the best now.
  """
  confirm, earlier = folder / CONFIRM / RUNS_FOLDER, writable_folder(folder / EARLIER)
  there = read_sweep(folder / CONFIRM)
  if there and {run["name"] for run in there["members"]} - set(names):
    (folder / CONFIRM / SWEEP).unlink()  # the next claim writes that of the runs that are left
  for path in list(confirm.iterdir()) if confirm.is_dir() else []:
    if path.name not in names:
      path.rename(earlier / path.name)
  for name in names:
    if (earlier / name).is_dir() and not (confirm / name).exists():
      confirm.mkdir(parents=True, exist_ok=True)
      (earlier / name).rename(confirm / name)
  with contextlib.suppress(OSError):  # not empty
    earlier.rmdir()
