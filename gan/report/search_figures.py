"""Figures of a search: best value against budget, spread, and losses compared over their draws."""

import itertools

import numpy as np
from matplotlib.figure import Figure

from gan.report import plots, searches, statistics
from gan.report.analysis import Analysis
from gan.report.metric_figures import axis_label, mark_real
from gan.report.plots import Size
from gan.report.searches import Search
from gan.report.series import Curve


def budget(analysis: Analysis, search: Search, size: Size) -> Figure:
  """Returns the best value that a search finds against the number of its samples."""
  colours = plots.colours(analysis.palette)
  found = {loss: _budget_curve(search, loss) for loss in search.values}

  def draw(axes, loss, faint):
    plots.draw_curves(axes, loss, colours[loss], [found[loss]], faint)

  figure = plots.shared_or_panels(list(found), size, draw)
  tried = [search.sign * value for loss in found for value in search.array(loss)]
  wide = plots.spans_decades(tried)  # as the bands do
  unit = "runs of full length" if any(search.stopped.values()) else "samples of the search"
  for axes in (axes for axes in figure.axes if axes.get_visible()):
    mark_real(axes, analysis, analysis.metric)
  plots.finish(figure, unit, axis_label(analysis.metric), wide)
  return figure


def _budget_curve(search, loss) -> Curve:
  values = search.array(loss)
  if search.sequential:  # in another order it would have made other draws
    lines = [np.minimum.accumulate(values)] * 3
  else:
    best_first = search.ordered(loss)
    lines = [searches.expected_minimum(best_first), *searches.minimum_band(best_first)]
  y, low, high = (search.sign * np.where(np.isfinite(line), line, np.nan) for line in lines)
  low, high = (low, high) if search.sign > 0 else (high, low)
  spent = np.arange(1, len(values) + 1).astype(float)
  if any(search.stopped.values()):
    spent *= np.mean(list(search.shares[loss].values()))
  return Curve(spent, y, low, high)


def distribution(analysis: Analysis, search: Search, size: Size) -> Figure:
  """Returns the values of all settings of each loss, with a box from quartile to quartile."""
  losses = list(search.values)
  figure, axes = plots.one_panel(size, 0.9 + 0.4 * len(losses))
  for place, loss in enumerate(losses):
    _draw_box(axes, search, loss, place, plots.colours(analysis.palette)[loss].color)
  axes.set_yticks(range(len(losses)), [_named(search, loss) for loss in losses])
  axes.set_ylim(len(losses) - 0.4, -0.6)
  axes.grid(axis="y", visible=False)
  mark_real(axes, analysis, analysis.metric, vertical=True)
  if plots.spans_decades(list(plots.values_in(axes, horizontal=True))):
    plots.logarithmic(axes.xaxis)
  plots.label(figure, axis_label(analysis.metric), "")
  return figure


def _named(search, loss) -> str:
  counts = {"diverged": searches.diverged(search.array(loss)), "stopped": search.stopped[loss]}
  of = f"of {len(search.values[loss])}"
  said = [f"{count} {of} {what}" for what, count in counts.items() if count]
  return f"{loss} ({', '.join(said)})" if said else loss


def _draw_box(axes, search, loss, place, color):
  values = search.sign * search.array(loss)
  values = values[np.isfinite(values)]
  if len(values) > 2:
    line = {"color": color, "linewidth": 1.2}
    axes.boxplot(
      values,
      positions=[place],
      orientation="horizontal",
      widths=0.55,
      showfliers=False,
      boxprops=line,
      whiskerprops=line,
      capprops=line,
      medianprops=line | {"linewidth": 2.5},
    )
  # Apart from each other, in the order of the draws.
  height = place + 0.18 * np.linspace(-1, 1, len(values)) if len(values) > 1 else [place]
  texts = [f"{loss}: {value:.4g}" for value in values]
  plots.draw_points(axes, [*zip(values, height, strict=False)], texts, "o", color)
  default = search.default(loss)
  if default is not None and np.isfinite(default):
    axes.plot(search.sign * default, place, "D", color=plots.INK, markersize=6, zorder=4)


def improvement(search: Search, size: Size) -> Figure:
  """Returns how often a setting of one loss beats one of another, as a matrix."""
  losses = list(search.values)
  cell = min(1.0, (size.width - 1.2) / len(losses))  # inches
  figure, axes = plots.one_panel(size, 1.0 + cell * len(losses))
  for (row, first), (column, second) in itertools.permutations(enumerate(losses), 2):
    _draw_cell(axes, search.array(first), search.array(second), (column, row), cell)
  axes.set(xlim=(-0.5, len(losses) - 0.5), ylim=(len(losses) - 0.5, -0.5), aspect="equal")
  axes.set_xticks(range(len(losses)), losses, rotation=0 if cell > 0.5 else 90)
  axes.set_yticks(range(len(losses)), losses)
  axes.grid(visible=False)
  plots.label(figure, "beats one of", "a setting of")
  return figure


def _draw_cell(axes, first, second, place, cell):
  """Fills a cell by the probability, blue above a half; its number, with an interval if it fits."""
  probability = searches.probability_of_improvement(first, second)
  color = plots.COLOURS[0] if probability >= 0.5 else plots.COLOURS[1]
  x, y = place
  axes.fill_between(
    [x - 0.48, x + 0.48], y - 0.48, y + 0.48, color=color, alpha=0.7 * abs(2 * probability - 1)
  )
  text = f"{probability:.2f}"
  if cell > 0.5:
    low, high = searches.improvement_interval(first, second)
    text += f"\n{low:.2f} to{' ' if cell > 0.85 else chr(10)}{high:.2f}"
  axes.text(x, y, text, ha="center", va="center", fontsize=8 if cell > 0.5 else 6)


def profile(analysis: Analysis, search: Search, size: Size) -> Figure:
  """Returns the share of the settings of each loss that are at least as good as a value."""
  arrays = {loss: search.array(loss) for loss in search.values}
  places, colours = searches.profile_thresholds(arrays), plots.colours(analysis.palette)

  def draw(axes, loss, faint):
    style = {"color": plots.LINES} if faint else colours[loss].style(len(places)) | {"label": loss}
    shares = searches.performance_profile(arrays[loss], places)
    axes.step(search.sign * places, shares, where="post", **style)

  figure = plots.shared_or_panels(list(arrays), size, draw)
  plots.label(figure, axis_label(analysis.metric), "share of settings as good")
  for axes in (axes for axes in figure.axes if axes.get_visible()):
    axes.set_ylim(-0.02, 1.02)
    if plots.spans_decades(list(search.sign * places)):
      plots.logarithmic(axes.xaxis)
  return figure


def mean_ranks(analysis: Analysis, search: Search, size: Size) -> Figure:
  """Returns the mean rank of each loss over the draws that all have, best first."""
  ranks, losses = searches.ranks(search.paired()), list(search.values)
  low, high = statistics.band(ranks, np.mean)
  figure, axes = plots.one_panel(size, 0.9 + 0.3 * len(losses))
  order = sorted(range(len(losses)), key=lambda i: (ranks[:, i].mean(), i))
  for place, i in enumerate(order):
    color = plots.colours(analysis.palette)[losses[i]].color
    axes.plot((low[i], high[i]), [place] * 2, color=color, linewidth=2)
    axes.plot(ranks[:, i].mean(), place, "o", color=color, markersize=7)
  axes.set_yticks(range(len(losses)), [losses[i] for i in order])
  axes.set_ylim(len(losses) - 0.4, -0.6)
  axes.set_xlim(0.9, len(losses) + 0.1)
  axes.grid(axis="y", visible=False)
  plots.label(figure, f"mean rank among {len(losses)} losses (1 is the best)", "")
  return figure
