"""What a study says: last and best values at equal steps, the best setting of each loss, tests."""

import math
from typing import NamedTuple

import numpy as np

from gan.errors import UserError
from gan.metrics.base import OF
from gan.metrics.best import RANKED, better
from gan.report import statistics
from gan.report.statistics import Centre, Comparison
from gan.report.study import Study, StudyRun

# Names of metrics under which papers have them, where these are others.
NAMES = {"kernel_distance": "kernel distance (KID)"}


def metric_name(metric: str) -> str:
  """Returns the name of a metric in words, and the extractor where it is not the first."""
  number, _, extractor = metric.partition(OF)
  words = NAMES.get(number, number.replace("_", " "))
  return f"{words} ({extractor})" if extractor else words


class Outcome(NamedTuple):
  """What one run reached on one metric; points are (step, value), None without a value."""

  run: StudyRun
  last: tuple[int, float] | None
  best: tuple[int, float] | None


class Row(NamedTuple):
  """One loss in one setting on one metric.

  Attributes:
    loss: its name.
    setting: values of the varied fields.
    metric: its name.
    step: the last and the best are of evaluations up to here, for all rows of the metric.
    outcomes: of every run that has begun.
    last: over the seeds with a value.
    best: the same of each run's best evaluation; None for a metric of no direction.
  """

  loss: str
  setting: tuple
  metric: str
  step: int | None
  outcomes: list[Outcome]
  last: Centre | None
  best: Centre | None

  @property
  def diverged(self) -> int:
    """How many runs diverged."""
    return sum(outcome.run.status == "diverged" for outcome in self.outcomes)

  @property
  def reached(self) -> float:
    """The step at which successive halving stopped it; infinite where it went on to its end."""
    stopped = (found.run.step for found in self.outcomes if found.run.status == "stopped")
    return min(stopped, default=math.inf)


class Analysis(NamedTuple):
  """A study by one metric.

  Attributes:
    study: the runs.
    metric: the headline metric, None where no run has an evaluation.
    rows: of every metric, loss and setting.
    chosen: loss -> the setting with the best median of last values of the headline metric.
    ranking: losses, best first; in the order of the study for a metric of no direction.
    comparisons: of all pairs of losses, by last values of the headline metric.
    search: of a confirmation, that of the search by which the setting of each loss was chosen.
  """

  study: Study
  metric: str | None
  rows: list[Row]
  chosen: dict[str, tuple]
  ranking: list[str]
  comparisons: list[Comparison]
  search: "Analysis | None" = None

  @property
  def palette(self) -> list[str]:
    """The losses in the order of their colours: a study in two phases has the same in both."""
    return (self.search or self).study.losses

  @property
  def headline(self) -> list[Row]:
    """The rows of the headline metric."""
    return [row for row in self.rows if row.metric == self.metric]

  def row(self, loss: str, metric: str | None = None) -> Row | None:
    """Returns the row of a loss in its chosen setting; None where there is none."""
    wanted = (loss, self.chosen[loss], metric or self.metric)
    found = (row for row in self.rows if (row.loss, row.setting, row.metric) == wanted)
    return next(found, None)

  def runs(self, loss: str) -> list[StudyRun]:
    """Returns the runs of a loss in its chosen setting."""
    study = self.study
    mine = (run for run in study.runs if run.loss == loss)
    return [run for run in mine if study.setting(run) == self.chosen[loss]]


def analyse(study: Study, metric: str | None = None) -> Analysis:
  """Returns the analysis of a study.

  Args:
    study: the runs.
    metric: the headline metric; by default the first of METRICS that was evaluated.

  Raises:
    UserError: no run has the metric.
  """
  known = study.metrics()
  if metric is not None and metric not in known:
    choices = f"choose from {', '.join(known)}" if known else "no run has an evaluation yet"
    raise UserError(f"`metric={metric}` was not evaluated: {choices}")
  metric = metric or next(iter(known), None)
  rows = [row for name in known for row in _rows(study, name)]
  headline = [row for row in rows if row.metric == metric]
  chosen, ranking = _choose(study, headline)
  return Analysis(study, metric, rows, chosen, ranking, _compare(study, headline))


def _rows(study, metric) -> list[Row]:
  step = common_step(study, metric)
  groups = {}
  for run in study.runs:
    groups.setdefault((run.loss, study.setting(run)), []).append(run)
  return [_row(*group, metric, step, runs) for group, runs in groups.items()]


def _row(loss, setting, metric, step, runs) -> Row:
  outcomes = [outcome(run, metric, step) for run in runs]
  last, best = (
    statistics.centre([point[1] for point in points if point])
    for points in zip(*((found.last, found.best) for found in outcomes), strict=True)
  )
  return Row(loss, setting, metric, step, outcomes, last, best)


def common_step(study: Study, metric: str) -> int | None:
  """Returns the last step at which every run has been evaluated, but for diverged and stopped ones.

  Runs without an evaluation do not count; where all diverged, it is the last of any.
  """
  last = {True: [], False: []}
  for run in study.runs:
    if points := run.points(metric):
      last[run.status in ("diverged", "stopped")].append(points[-1][0])
  return min(last[False]) if last[False] else max(last[True], default=None)


def outcome(run: StudyRun, metric: str, step: int | None) -> Outcome:
  """Returns the last and the best of a run's evaluations up to a step."""
  points = [point for point in run.points(metric) if step is None or point[0] <= step]
  sign = RANKED.get(better(metric))
  best = min(points, key=lambda point: sign * point[1]) if points and sign else None
  return Outcome(run, points[-1] if points else None, best)


def _choose(study, rows) -> tuple[dict[str, tuple], list[str]]:
  """The best setting of each loss, and the losses by it."""
  order = {loss: place for place, loss in enumerate(study.losses)}
  best = {}
  for row in sorted(rows, key=place):
    best.setdefault(row.loss, row.setting)
  chosen = {run.loss: study.setting(run) for run in reversed(study.runs)} | best
  ranking = list(best) if rows and math.isfinite(min(map(rank, rows))) else []
  return chosen, ranking + [loss for loss in order if loss not in ranking]


def rank(row: Row) -> float:
  """Returns the median of last values, the smaller the better; 0 for a metric of no direction.

  A run that diverged or has no value counts as the worst: its value before says little.
  """
  sign = RANKED.get(better(row.metric))
  if sign is None:
    return 0.0
  values = [
    sign * found.last[1] if found.last and found.run.status != "diverged" else math.inf
    for found in row.outcomes
  ]
  return float(np.median(values))


def place(row: Row) -> tuple[bool, float, float]:
  """Returns what settings are ordered by, the best first: `rank` of those that went equally far.

  A setting that was stopped is not before one that went further, for its value is of fewer steps;
  one that diverged is the last.
  """
  value = rank(row)
  return not math.isfinite(value), -row.reached, value


def _compare(study, rows) -> list[Comparison]:
  values = {loss: {} for loss in study.losses}
  for row in rows:
    for found in row.outcomes:
      if found.last and found.run.status != "stopped":
        values[row.loss][(found.run.seed, *map(str, row.setting))] = found.last[1]
  return statistics.compare(values)
