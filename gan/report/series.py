"""Curves over seeds: from the records of runs to arrays that can be drawn."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from gan.report import statistics
from gan.report.study import StudyRun, number

BINS = 80  # points of a curve of training records, each the mean of a bin


class Curve(NamedTuple):
  """A line and a band around it.

  Attributes:
    x: [points], rising for steps and images.
    y: [points].
    low: [points] lower end of the band, NaN where there is none.
    high: [points] upper end.
  """

  x: Float[np.ndarray, " points"]
  y: Float[np.ndarray, " points"]
  low: Float[np.ndarray, " points"]
  high: Float[np.ndarray, " points"]


def evaluated(runs: Sequence[StudyRun], metric: str, unit: str) -> list[Curve]:
  """Returns interquartile mean and 95 % bootstrap band over seeds; of fewer than 3 each its curve.

  At each evaluation stand the seeds that reached it, at their median place on the x axis.

  Args:
    runs: of one loss in one setting.
    metric: of evaluations; what is not finite is left out.
    unit: "step", "images" or "seconds".
  """
  runs = [run for run in runs if finite(run, metric)]
  if len(runs) < statistics.LEAST_SEEDS:
    return [_one(run, metric, unit) for run in runs]
  return [_across(runs, metric, unit)]


def finite(run: StudyRun, metric: str) -> list[tuple[dict[str, Any], float]]:
  """Returns (record, value) of each evaluation in which a metric is finite."""
  pairs = ((record, number(record.get(metric))) for record in run.evaluations)
  return [(record, value) for record, value in pairs if value is not None and math.isfinite(value)]


def _one(run, metric, unit) -> Curve:
  found = finite(run, metric)
  x = np.array([record[unit] for record, _ in found], float)
  y = np.array([value for _, value in found], float)
  return Curve(x, y, np.full_like(y, np.nan), np.full_like(y, np.nan))


def _across(runs, metric, unit) -> Curve:
  found = [
    {record["step"]: (record[unit], value) for record, value in finite(run, metric)} for run in runs
  ]
  steps = sorted({step for points in found for step in points})
  nothing = (np.nan, np.nan)
  places, values = np.array(
    [[points.get(step, nothing) for step in steps] for points in found], float
  ).transpose(2, 0, 1)
  centre, low, high = np.full((3, len(steps)), np.nan)
  # Curves that end early make groups of columns, each with its own seeds.
  for present in {tuple(column) for column in np.isfinite(values).T}:
    columns = (present == np.isfinite(values).T).all(axis=1)
    group = values[np.ix_(present, columns)]
    centre[columns] = statistics.iqm(group)
    if len(group) >= statistics.LEAST_SEEDS:
      low[columns], high[columns] = statistics.band(group)
  return Curve(np.nanmedian(places, axis=0), centre, low, high)


def trained(runs: Sequence[StudyRun], metric: str, logarithmic: bool = False) -> Curve | None:
  """Returns the mean over seeds of a training metric, and the band from lowest to highest seed.

  Each run is averaged over BINS bins of steps first.

  Args:
    runs: of one loss in one setting.
    metric: of training records.
    logarithmic: whether means are of logarithms, for what spans decades; needs values above 0.
  """
  curves = [_training_points(run, metric, logarithmic) for run in runs]
  curves = [curve for curve in curves if len(curve)]
  if not curves:
    return None
  edges = np.linspace(0, max(curve[-1, 0] for curve in curves), BINS + 1)
  binned = np.array([_binned(curve, edges) for curve in curves])  # [runs, BINS, 2]
  present = np.isfinite(binned[..., 1]).any(axis=0)
  x, y = np.nanmean(binned[:, present], axis=0).T
  low, high = (f(binned[:, present, 1], axis=0) for f in (np.nanmin, np.nanmax))
  return Curve(x, *((np.exp(v) for v in (y, low, high)) if logarithmic else (y, low, high)))


def _training_points(run, metric, logarithmic):
  pairs = ((record["step"], number(record.get(metric))) for record in run.metrics)
  kept = [pair for pair in pairs if pair[1] is not None and math.isfinite(pair[1])]
  if logarithmic:
    kept = [(step, math.log(value)) for step, value in kept if value > 0]
  return np.array(kept, float).reshape(-1, 2)


def _binned(curve, edges):
  """[BINS, 2]: mean step and mean value in each bin, NaN in one without records."""
  place = np.clip(np.searchsorted(edges, curve[:, 0], side="left") - 1, 0, BINS - 1)
  counts = np.bincount(place, minlength=BINS)
  with np.errstate(invalid="ignore"):
    sums = [np.bincount(place, column, minlength=BINS) / counts for column in curve.T]
  return np.stack(sums, axis=1)
