"""Figures of the metrics of samples: curves, last and best values, hyper-parameters."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan.metrics.best import better
from gan.report import plots, series
from gan.report.analysis import Analysis, metric_name, outcome
from gan.report.plots import Size
from gan.report.series import Curve
from gan.report.study import number, sortable

UNITS = {
  "step": "generator steps",
  "images": "real images seen",
  "seconds": "seconds",
}


def title(metric: str) -> str:
  """Returns the name of a metric as a title begins."""
  name = metric_name(metric)
  return name[0].upper() + name[1:]


def axis_label(metric: str) -> str:
  """Returns the name of a metric with the direction that is good."""
  name, direction = metric_name(metric), better(metric)
  return f"{name} ({direction} is better)" if direction in ("lower", "higher") else name


REAL = "real data"  # names the line of what held-out data score


def mark_real(axes: Axes, analysis: Analysis, metric: str, vertical: bool = False) -> None:
  """Draws what held-out data score, as `plots.mark_level`, where that is known."""
  plots.mark_level(axes, number(analysis.study.real.get(metric)), REAL, vertical)


def curves(analysis: Analysis, metric: str, unit: str, size: Size) -> Figure:
  """Returns a metric against a count, all losses in their chosen settings."""
  found, colours = _all_curves(analysis, metric, unit), plots.colours(analysis.palette)

  def draw(axes, loss, faint):
    plots.draw_curves(axes, loss, colours[loss], found[loss], faint)
    if not faint:
      _mark_divergence(axes, analysis, loss, metric, unit)

  figure = plots.shared_or_panels(analysis.study.losses, size, draw)
  _mark_real_in(figure, analysis, metric)
  plots.finish(figure, UNITS[unit], axis_label(metric))
  return figure


def _mark_real_in(figure, analysis, metric):
  for axes in (axes for axes in figure.axes if axes.get_visible()):
    mark_real(axes, analysis, metric)


def other_metrics(analysis: Analysis, metrics: list[str], size: Size) -> Figure:
  """Returns a panel against steps for each metric."""
  shape = size._replace(columns=1 if size.narrow else 3)
  many = len(analysis.study.losses) > plots.MOST_IN_ONE
  colours = plots.colours(analysis.palette)
  figure, panels = plots.panels(metrics, shape, 3.2 if many else 2.4, sharey=False)
  for metric, axes in panels.items():
    axes.set_title(axis_label(metric))
    for loss, found in _all_curves(analysis, metric, "step").items():
      plots.draw_curves(axes, loss, colours[loss], found)
      _mark_divergence(axes, analysis, loss, metric, "step")
    mark_real(axes, analysis, metric)
  plots.legend(figure, panels[metrics[0]], size)
  plots.finish(figure, UNITS["step"], "")
  return figure


def _all_curves(analysis, metric, unit) -> dict[str, list[Curve]]:
  losses = analysis.study.losses
  return {loss: series.evaluated(analysis.runs(loss), metric, unit) for loss in losses}


def _mark_divergence(axes, analysis, loss, metric, unit):
  color = plots.colours(analysis.palette)[loss].color
  diverged = [run for run in analysis.runs(loss) if run.status == "diverged"]
  for found in filter(None, (series.finite(run, metric) for run in diverged)):
    record, value = found[-1]
    axes.plot(record[unit], value, "x", color=color, markersize=7, markeredgewidth=2)


def last_and_best(analysis: Analysis, size: Size) -> Figure:
  """Returns every seed's last and best value of the headline metric, a row for each loss."""
  kinds = ["last", "best"] if better(analysis.metric) in ("lower", "higher") else ["last"]
  losses = [loss for loss in analysis.ranking if analysis.row(loss)]
  shape = size._replace(columns=1 if size.narrow else 2)
  figure, panels = plots.panels(kinds, shape, 0.9 + 0.3 * len(losses))
  for kind, axes in panels.items():
    for place, loss in enumerate(losses):
      _draw_strip(axes, analysis, analysis.row(loss), kind, place)
    axes.set_yticks(range(len(losses)), losses)
    axes.set_ylim(len(losses) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    mark_real(axes, analysis, analysis.metric, vertical=True)
    if plots.spans_decades(list(plots.values_in(axes, horizontal=True))):
      plots.logarithmic(axes.xaxis)
  plots.label(figure, axis_label(analysis.metric), "")
  return figure


def _draw_strip(axes, analysis, row, kind, place):
  colour = plots.colours(analysis.palette)[row.loss]
  for status, marker in ((False, colour.marker), (True, "x")):
    points = [
      (getattr(found, kind)[1], f"{row.loss}, seed {found.run.seed}")
      for found in row.outcomes
      if getattr(found, kind) and (found.run.status == "diverged") is status
    ]
    points = [point for point in points if math.isfinite(point[0])]
    # Apart from each other, in the order of the seeds.
    height = place + 0.22 * np.linspace(-1, 1, len(points)) if len(points) > 1 else [place]
    texts = [f"{name}: {value:.4g}" for value, name in points]
    values = [value for value, _ in points]
    plots.draw_points(axes, [*zip(values, height, strict=False)], texts, marker, colour.color)
  centre = getattr(row, kind)
  if centre and centre.iqm_interval:
    axes.plot(centre.iqm_interval, [place] * 2, color=plots.INK, linewidth=2, zorder=1, alpha=0.5)
    axes.plot(centre.iqm, place, "D", color=plots.INK, markersize=5, zorder=4)


def sensitivity(analysis: Analysis, field: str, size: Size) -> Figure:
  """Returns the last values of the headline metric against one hyper-parameter.

  Where its values are numbers, runs without one have no place: those of a loss that does not read
  it, and those with the default of their penalty or loss.
  """
  values = {run.value(field) for run in analysis.study.runs}
  numeric = all(number(value) is not None for value in values - {None})
  values = sorted(values - {None} if numeric else values, key=sortable)
  places = {value: value if numeric else place for place, value in enumerate(values)}

  def draw(axes, loss, faint):
    if not faint:
      _draw_sensitivity(axes, analysis, loss, field, places, beside=not numeric)

  placed = {run.loss for run in analysis.study.runs if run.value(field) in places}
  shown = [loss for loss in analysis.study.losses if loss in placed]
  figure = plots.shared_or_panels(shown, size, draw)
  _mark_real_in(figure, analysis, analysis.metric)
  plots.finish(figure, field, axis_label(analysis.metric))
  for axes in figure.axes:
    if not numeric:
      axes.set_xticks(range(len(values)), [str(value).lower() for value in values])
    elif plots.spans_decades(values):
      plots.logarithmic(axes.xaxis)
    else:
      axes.set_xticks(values if len(values) <= 6 else axes.get_xticks())
  return figure


def _draw_sensitivity(axes, analysis, loss, field, places, beside):
  """`beside` puts losses side by side at a value and draws medians as bars: for words."""
  colour, found = plots.colours(analysis.palette)[loss], []
  for run in (run for run in analysis.study.runs if run.loss == loss):
    last = outcome(run, analysis.metric, analysis.headline[0].step).last
    if last and math.isfinite(last[1]) and run.value(field) in places:
      found.append((places[run.value(field)], last[1], run.status == "diverged"))
  losses = analysis.study.losses
  shift = (losses.index(loss) - (len(losses) - 1) / 2) * 0.6 / len(losses) if beside else 0
  for status, marker in ((False, colour.marker), (True, "x")):
    points = [(place + shift, value) for place, value, diverged in found if diverged is status]
    texts = [f"{loss}: {value:.4g} at {place:.4g}" for place, value in points]
    plots.draw_points(axes, points, texts, marker, colour.color)
  medians = _medians(found)
  # A line through values that were tried once each would show noise.
  if beside:
    axes.plot(medians[:, 0] + shift, medians[:, 1], "_", color=colour.color, markersize=18)
    axes.plot([], **colour.style(), label=loss)
  else:
    again = sum(not diverged for *_, diverged in found) > len(medians)
    joined = medians if again or len(places) <= 6 else medians[:0]
    axes.plot(*joined.T, **colour.style(len(joined)), label=loss)


def _medians(found):
  """[places, 2]: place and median of the runs that did not diverge."""
  kept = {}
  for place, value, diverged in found:
    if not diverged:
      kept.setdefault(place, []).append(value)
  pairs = [(place, float(np.median(kept[place]))) for place in sorted(kept)]
  return np.array(pairs, float).reshape(-1, 2)
