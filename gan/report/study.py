"""The runs that are compared: found in folders, checked to belong together, read to their ends."""

import json
import math
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from gan.errors import UserError
from gan.metrics.best import in_order
from gan.report import alike, sweep_records
from gan.system import schema
from gan.training import run_folder
from gan.training.places import works_below

FACTORS = ("loss", "seed")
_OWN = schema.entries({"loss": schema.TEXT, "seed": schema.COUNT}, others=schema.SCALAR)
_CONFIG = schema.entries(
  {"config": run_folder.FIELDS, "determining": _OWN}, run_folder.OTHER_CONFIG_KINDS
)
NOT_MEASURED = {*run_folder.COUNTS, *alike.FACTS, "dataset", "loss", "eval_seed"}
_STOPPED = "stopped early by successive halving, never chosen before one that went further"
UNFINISHED = ("running", "interrupted", "failed")


class StudyRun(NamedTuple):
  """One run.

  Attributes:
    folder: where its records are.
    record: its config.json.
    status: "finished", "running", "interrupted", "failed", "diverged" or "stopped".
    diverged_at: the step, or None.
    metrics: records of training, up to the divergence.
    evaluations: records of the metrics of samples, up to the divergence.
    sessions: what it ran on.
    label: the loss with the penalty that its sweep gave that loss, as in wgan+wgan_gp; or None.
  """

  folder: pathlib.Path
  record: dict[str, Any]
  status: str
  diverged_at: int | None
  metrics: list[dict[str, Any]]
  evaluations: list[dict[str, Any]]
  sessions: list[dict[str, Any]]
  label: str | None = None

  @property
  def identity(self) -> dict[str, Any]:
    """The fields of its config that its result depends on."""
    return self.record["determining"]

  def value(self, field: str) -> Any:
    """The value of a field; that of an option is left out where it is its default."""
    return self.identity.get(field, "default")

  @property
  def loss(self) -> str:
    """The name under which it is compared: of its loss, with a penalty that is the loss's own."""
    return self.label or self.identity["loss"]

  @property
  def seed(self) -> int:
    """Its seed."""
    return self.identity["seed"]

  @property
  def step(self) -> int:
    """The step of its last record, 0 without records."""
    ends = [found[-1]["step"] for found in (self.metrics, self.evaluations) if found]
    return max(ends, default=0)

  def points(self, metric: str | None) -> list[tuple[int, float]]:
    """Returns (step, value) of every evaluation that has the metric."""
    pairs = ((record["step"], number(record.get(metric))) for record in self.evaluations)
    return [(step, value) for step, value in pairs if value is not None]


class Study(NamedTuple):
  """The runs of a comparison.

  Attributes:
    runs: those that have begun, in order of loss, setting and seed.
    varied: fields beside loss and seed in which they differ.
    waiting: names of those that were planned and have not begun.
    commands: what the user typed.
    notes: what a reader has to know of them, a sentence each.
    own: fields in which losses differ where each stands in one setting of its own, which is then
      no factor: `varied` is empty.
    sequential: whether each point of a search followed from the values before it, so that losses
      share no draws.
    real: what held-out data score in the place of samples, with their counts; {} where unknown.
  """

  runs: list[StudyRun]
  varied: tuple[str, ...]
  waiting: list[str]
  commands: list[str]
  notes: list[str]
  own: tuple[str, ...] = ()
  sequential: bool = False
  real: Mapping[str, Any] = MappingProxyType({})

  @property
  def losses(self) -> list[str]:
    """Names of the losses, in the order of their first runs."""
    return list(dict.fromkeys(run.loss for run in self.runs))

  def setting(self, run: StudyRun) -> tuple:
    """Returns the values of the varied fields in a run."""
    return tuple(run.value(name) for name in self.varied)

  def metrics(self) -> list[str]:
    """Names of what the runs evaluated: those with a direction first, then others."""
    found = {
      name
      for run in self.runs
      for record in run.evaluations
      for name in record.keys() - NOT_MEASURED
      if number(record[name]) is not None
    }
    ordered = in_order(found)
    return ordered + sorted(found - set(ordered))


def number(value: Any) -> float | None:
  """Returns a recorded value; infinities are strings in the records, and NaN is no value."""
  if value in ("inf", "-inf"):
    return float(value)
  is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
  return float(value) if is_number and not math.isnan(value) else None


def load(
  folders: Sequence[str | os.PathLike], keep: Callable[[str], bool] = lambda name: True
) -> Study:
  """Returns the study in some folders: sweeps, runs, or folders with such below.

  Args:
    folders: their paths.
    keep: `(name of a run's folder) -> bool`, whether it is read.

  Raises:
    UserError: a folder has no run in it; records are damaged; the runs do not belong together; or
      none of them has a record yet.
  """
  parts = {os.path.normpath(folder): _read_runs(pathlib.Path(folder), keep) for folder in folders}
  every = [run for part in parts.values() for run in part]
  free = {*_factors(every), *(name for part in parts.values() for name in _varied(part))}
  alike.check_configs({name: part[0].identity for name, part in parts.items() if part}, free)
  runs, notes = _without_repetitions(every)
  alike.check_measured([(run.folder, run.identity, run.evaluations) for run in runs])
  if not any(run.metrics or run.evaluations for run in runs):
    raise UserError(
      f"{', '.join(map(str, folders))}: none of {_counted(len(runs))} has a record to compare "
      "yet; wait for the first, or name other folders"
    )
  plans = [plan for folder in parts for plan in sweep_records.plans(pathlib.Path(folder))]
  waiting = [path for path in sweep_records.waiting(plans) if keep(os.path.basename(path))]
  varied = _varied(runs)
  runs = sorted(runs, key=lambda run: _order(run, varied))
  notes += _notes(runs, waiting) + _hidden(runs)
  recorded = {"sequential": sweep_records.sequential(plans), "real": sweep_records.real(plans)}
  alone = {run.folder: run.record.get("command") for run in runs}
  return Study(runs, varied, waiting, sweep_records.commands(plans, alone), notes, **recorded)


def _counted(count):
  return "one run" if count == 1 else f"{count} runs"


# Reading.


def _read_runs(folder: pathlib.Path, keep: Callable[[str], bool]) -> list[StudyRun]:
  if not folder.is_dir():
    raise UserError(f"{folder} is no folder: name a sweep or run folder as `workdir`")
  plans = sweep_records.plans(folder)
  labels = sweep_records.labels(plans)
  paths = (path for path in _run_folders(folder) if keep(path.name))
  found = [_read_run(path)._replace(label=labels.get(path)) for path in paths]
  if not found and not plans:
    raise UserError(f"{folder} has no run in it (no config.json below it): check `workdir`")
  return found


def _run_folders(folder):
  """Folders with a config.json, in order; what lies inside a run is not searched."""
  for path, below, files in os.walk(folder):
    below.sort()
    if run_folder.CONFIG in [*files, *below]:
      below.clear()
      yield pathlib.Path(path)


def _hidden(runs) -> list[str]:
  """A note on each run that has more below it, beside its own folders."""
  return [
    f"{run.folder} is a run and has others below it, which are not shown: {below} and all else "
    "there; name it as `workdir`."
    for run in runs
    if (below := next(works_below(run.folder), None))
  ]


def _read_run(folder) -> StudyRun:
  record = run_folder.read_config(folder, _CONFIG)
  status, diverged_at = _status(folder, record["config"])
  return StudyRun(
    folder,
    record,
    status,
    diverged_at,
    _until(diverged_at, run_folder.read_metrics(folder)),
    _until(diverged_at, run_folder.read_metrics(folder, run_folder.EVALUATIONS)),
    run_folder.read_sessions(folder),
  )


def _status(folder, config):
  summary = run_folder.read_summary(folder)
  if summary is None:
    return "running", None
  status, _, step = summary["status"].partition(" at step ")
  if status == "finished" and summary["step"] < config.get("steps", 0):
    return "interrupted", None  # it was finished, and is to go on
  # "failed: disk full" and the like are one here.
  return status.partition(":")[0], int(step) if status == "diverged" else None


def _until(step, found):
  """Records before a divergence: from there on they are of a broken run."""
  return [record for record in found if step is None or record["step"] < step]


# Whether they belong together.


def _without_repetitions(runs) -> tuple[list[StudyRun], list[str]]:
  """Of runs with the same config the one that came furthest, and a note on each of the others."""
  kept, notes = {}, []
  for run in runs:
    key = json.dumps(run.identity, sort_keys=True)
    other = kept.get(key)
    if other is None:
      kept[key] = run
      continue
    more, less = (run, other) if run.step > other.step else (other, run)
    kept[key] = more
    if more.folder.resolve() != less.folder.resolve():
      notes.append(f"{less.folder} repeats {more.folder} (same config and seed) and is left out.")
  return list(kept.values()), notes


def _varied(runs: Sequence[StudyRun]) -> tuple[str, ...]:
  """Fields beside loss and seed that have more than one value."""
  names = sorted({name for run in runs for name in run.identity} - _factors(runs))
  return tuple(name for name in names if len({json.dumps(run.value(name)) for run in runs}) > 1)


def _factors(runs: Sequence[StudyRun]) -> set[str]:
  """Loss and seed, and the penalty where it is a part of what each loss is called."""
  penalties = {(run.loss, run.value("penalty")) for run in runs}
  one_each = len(penalties) == len({run.loss for run in runs})
  return {*FACTORS, "penalty"} if one_each and any(run.label for run in runs) else set(FACTORS)


def _order(run, varied):
  """Numbers by size, before words; losses by name."""
  return run.loss, [sortable(run.value(name)) for name in varied], run.seed


def sortable(value: Any) -> tuple:
  """A key under which any two values of a field have an order: numbers first, by size."""
  numeric = number(value) is not None
  return (0, float(value), "") if numeric else (1, 0.0, str(value))


def _notes(runs, waiting) -> list[str]:
  return [
    *_note(
      [_name(run) for run in runs if run.status in UNFINISHED],
      "not finished, shown as far as recorded",
    ),
    *_note([_name(run) for run in runs if run.status == "stopped"], _STOPPED),
    *_note(waiting, "planned and not begun"),
    *_note(
      [f"{_name(m)} at step {m.diverged_at}" for m in runs if m.status == "diverged"],
      "diverged, counted, and shown up to the last evaluation before",
    ),
    *_note(
      [_name(run) for run in runs if not run.evaluations],
      "without an evaluation, missing wherever metrics of samples are shown",
    ),
  ]


def _name(run):
  return run.folder.name


def _note(names, what, most=8) -> list[str]:
  """A sentence on some runs, with the first names."""
  if not names:
    return []
  names = [pathlib.Path(name).name for name in names]
  more = f" and {len(names) - most} more" if len(names) > most else ""
  return [f"{_counted(len(names)).capitalize()} {what}: {', '.join(names[:most])}{more}."]
