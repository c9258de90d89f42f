"""Figures of a study's two phases: what choosing flatters, and where in the space runs diverge."""

import math
from collections.abc import Iterable

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from gan.report import confirmation, plots
from gan.report.analysis import Analysis, Row
from gan.report.metric_figures import axis_label, mark_real
from gan.report.plots import Size

LEAST_VALUES = 3  # of an axis of the map; beyond, it is no choice of two
COLOUR_MAP = "viridis"  # even in lightness, which the colour-blind see


def selection(analysis: Analysis, size: Size) -> Figure:
  """Returns the search's best value of each loss beside those of its confirmation.

  Args:
    analysis: of a confirmation, with its search.
    size: of the figure.
  """
  rows = confirmation.selected(analysis.search)
  again = [confirmation.evaluated_again(row) for row in rows]
  figure, axes = plots.one_panel(size, 1.3 + 0.45 * len(rows))
  for place, (row, value) in enumerate(zip(rows, again, strict=True)):
    _draw_selection(axes, analysis, row, place, value)
  axes.set_yticks(range(len(rows)), [row.loss for row in rows])
  axes.set_ylim(len(rows) - 0.4, -0.6)
  axes.grid(axis="y", visible=False)
  mark_real(axes, analysis, analysis.metric, vertical=True)
  if plots.spans_decades(list(plots.values_in(axes, horizontal=True))):
    plots.logarithmic(axes.xaxis)
  plots.legend(figure, axes, size)
  plots.label(figure, axis_label(analysis.metric), "")
  return figure


def _draw_selection(axes, analysis, row, place, again):
  color = plots.colours(analysis.palette)[row.loss].color
  marks = {"color": color, "markersize": 7, "linestyle": "none", "zorder": 4}

  def mark(values, height, marker, label, **style):
    values = [value for value in values if value is not None and math.isfinite(value)]
    spread = 0.12 * np.linspace(-1, 1, len(values)) if len(values) > 1 else np.zeros(len(values))
    if values:
      (line,) = axes.plot(values, place + height + spread, marker, label=label, **(marks | style))
      plots.hover(line, [f"{row.loss}, {label}: {value:.4g}" for value in values])

  mark([confirmation.value(row)], -0.2, "D", "best of the search", markerfacecolor="none")
  mark([again], -0.2, "s", "the same run, other samples", markerfacecolor="none")
  confirmed = analysis.row(row.loss) if row.loss in analysis.chosen else None
  found = [it.last[1] for it in confirmed.outcomes if it.last] if confirmed else []
  mark(found, 0.15, "o", "confirmation, a point a seed", alpha=0.75)
  if confirmed and confirmed.last and confirmed.last.median_interval:
    axes.plot(
      confirmed.last.median_interval, [place + 0.15] * 2, color=plots.INK, linewidth=2, alpha=0.5
    )
    axes.plot(confirmed.last.median, place + 0.15, "|", color=plots.INK, markersize=12, zorder=5)


def map_fields(search: Analysis) -> tuple[str, str] | None:
  """Returns the two hyper-parameters of a map of a search; None where fewer than two fit.

  Those that most losses vary, of these the two with the widest search, in decades. They have
  numbers with a fraction, at least LEAST_VALUES of them. Two that have one value in most settings
  were drawn as one, and count once.
  """
  found = []
  for field in sorted(search.study.varied, key=lambda field: _order(search, field)):
    if losses_with(search, field) and not any(_tied(search, field, other) for other in found):
      found.append(field)
  return tuple(found[:2]) if len(found) > 1 else None


def _order(search, field):
  values = [abs(value) for value in _values(search.headline, search, field) if value]
  width = math.log10(max(values) / min(values)) if values else 0
  return -len(losses_with(search, field)), -width, field


def losses_with(search: Analysis, *fields: str) -> list[str]:
  """Returns the losses whose settings have several numbers in each of some fields."""
  losses = search.study.losses
  rows = {loss: [row for row in search.headline if row.loss == loss] for loss in losses}
  return [
    loss
    for loss, mine in rows.items()
    if all(len(set(_values(mine, search, field))) >= LEAST_VALUES for field in fields)
  ]


def _values(rows: Iterable[Row], search, field) -> list[float]:
  """The numbers with a fraction in a field: whole ones and words are choices."""
  place = search.study.varied.index(field)
  return [row.setting[place] for row in rows if isinstance(row.setting[place], float)]


def _tied(search, field, other) -> bool:
  places = [search.study.varied.index(name) for name in (field, other)]
  same = [row.setting[places[0]] == row.setting[places[1]] for row in search.headline]
  return 2 * sum(same) > len(same)


def divergence_map(search: Analysis, fields: tuple[str, str], size: Size) -> Figure:
  """Returns the settings of each loss in the plane of two hyper-parameters, by colour the metric.

  Args:
    search: with settings.
    fields: of the axes, as `map_fields` returns them.
    size: of the figure.
  """
  losses = losses_with(search, *fields)
  figure, panels = plots.panels(losses, size, 2.2)
  norm = _norm([row.last.median for row in search.headline if _is_shown(row)])
  for loss, axes in panels.items():
    points = _draw_map(axes, search, loss, fields, norm)
  for axis, field in zip("xy", fields, strict=True):
    if plots.spans_decades(_values(search.headline, search, field)):
      for axes in panels.values():
        plots.logarithmic(getattr(axes, f"{axis}axis"))
  plots.label(figure, *fields)
  figure.colorbar(points, ax=list(panels.values()), label=axis_label(search.metric), aspect=30)
  return figure


def _is_shown(row: Row) -> bool:
  return row.last is not None and math.isfinite(row.last.median) and not row.diverged


def _norm(values) -> Normalize:
  ends = (min(values), max(values)) if values else (0, 1)
  return LogNorm(*ends) if plots.spans_decades(values) else Normalize(*ends)


def _draw_map(axes, search, loss, fields, norm):
  """Draws the settings of one loss, and returns the coloured points."""
  places = [search.study.varied.index(field) for field in fields]
  at = ((row, [row.setting[place] for place in places]) for row in search.headline)
  # An option at its default has no number.
  whole = ((row, there) for row, there in at if all(isinstance(value, float) for value in there))
  found = [(row, *there) for row, there in whole if row.loss == loss]
  lost = np.array([at for row, *at in found if row.diverged], float).reshape(-1, 2)
  axes.plot(*lost.T, "x", color=plots.INK, markersize=6, markeredgewidth=1.5)
  shown = [(row.last.median, *at) for row, *at in found if _is_shown(row)]
  values, x, y = np.array(shown, float).reshape(-1, 3).T
  style = {"cmap": COLOUR_MAP, "norm": norm, "edgecolors": plots.INK, "linewidths": 0.4}
  points = axes.scatter(x, y, 28, values, **style)
  numbers = zip(x, y, values, strict=True)
  plots.hover(points, [f"{loss}: {v:.4g} at {a:.4g}, {b:.4g}" for a, b, v in numbers])
  return points
