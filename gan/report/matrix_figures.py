"""A metric as a matrix: losses by the values of one static choice, such as the penalty."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan.metrics.best import RANKED, better
from gan.report import plots
from gan.report.analysis import Analysis, Row
from gan.report.plots import Size
from gan.report.study import number, sortable

MOST_CURVES = 12  # losses whose curves can be told apart beside a matrix
MOST_METRICS = 3  # that are drawn, the headline's first
CELL = 0.4  # inches of height


def crossed(analysis: Analysis) -> str | None:
  """Returns the one field, of words, with which losses are crossed; None where there is none.

  Others may vary with it, as a bound on weights that only one of its values needs.
  """
  study = analysis.study
  if len(study.losses) < 2:
    return None
  settings = {study.setting(run) for run in study.runs}
  for field in study.varied:
    values = {run.value(field) for run in study.runs}
    pairs = {(run.loss, run.value(field)) for run in study.runs}
    words = all(number(value) is None for value in values)
    if words and len(values) == len(settings) and len(pairs) >= 2 * len(study.losses):
      return field
  return None


def metrics(analysis: Analysis) -> list[str]:
  """Returns the metrics of which matrices are drawn: those with a direction, the headline first."""
  known = [name for name in analysis.study.metrics() if better(name) in RANKED]
  return sorted(known, key=lambda name: name != analysis.metric)[:MOST_METRICS]


def matrix(analysis: Analysis, metric: str, size: Size) -> Figure:
  """Returns the median over seeds in each cell, its range below it, and how many runs diverged."""
  study, field = analysis.study, crossed(analysis)
  losses = study.losses
  column, values = study.varied.index(field), _columns(study, field)
  figure, axes = plots.one_panel(size, 0.9 + CELL * len(losses))
  found = {(row.loss, row.setting[column]): row for row in analysis.rows if row.metric == metric}
  shade = _shades([_values(row) for row in found.values()], metric)
  for (loss, value), row in found.items():
    place = (values.index(value), losses.index(loss))
    _draw_cell(axes, row, place, shade)
  axes.set(xlim=(-0.5, len(values) - 0.5), ylim=(len(losses) - 0.5, -0.5))
  axes.set_xticks(range(len(values)), [str(value).lower() for value in values])
  axes.set_yticks(range(len(losses)), losses)
  axes.xaxis.tick_top()
  axes.xaxis.set_label_position("top")
  axes.tick_params(length=0)
  axes.spines[:].set_visible(False)
  axes.grid(visible=False)
  axes.set_xlabel(field)
  return figure


def _columns(study, field):
  found = {run.value(field) for run in study.runs}
  # What is without comes first.
  return sorted(found, key=lambda value: (value not in (None, "none"), sortable(value)))


def _values(row: Row) -> list[float]:
  """The last values of the runs that did not diverge."""
  kept = (found for found in row.outcomes if found.last and found.run.status != "diverged")
  return [found.last[1] for found in kept if math.isfinite(found.last[1])]


def _shades(groups, metric):
  """`median -> opacity`, by its place between the worst and the best median of all cells."""
  medians = [float(np.median(group)) for group in groups if group]
  scale = math.log if plots.spans_decades(medians) else float
  ends = [scale(value) for value in (min(medians), max(medians))] if medians else [0.0, 0.0]
  worst, best = reversed(ends) if better(metric) == "lower" else ends
  span = best - worst or 1.0
  return lambda median: 0.65 * (scale(median) - worst) / span


def _draw_cell(axes: Axes, row: Row, place: tuple[int, int], shade) -> None:
  (x, y), values = place, _values(row)
  if values:
    median = float(np.median(values))
    axes.fill_between(
      [x - 0.48, x + 0.48], y - 0.46, y + 0.46, color=plots.COLOURS[5], alpha=shade(median)
    )
    axes.text(x, y - 0.16, f"{median:.3g}", ha="center", va="center", fontsize=8)
  spread = f"{min(values):.2g}\N{EN DASH}{max(values):.2g}" if len(values) > 1 else ""
  lost = f"{row.diverged} diverged" if row.diverged else ""
  axes.text(x, y + 0.24, lost or spread, ha="center", va="center", fontsize=6.5)
  if row.diverged:
    axes.plot(x - 0.4, y - 0.16, "x", color=plots.COLOURS[1], markersize=5, markeredgewidth=1.5)
