"""The figures of the study: a panel for each share of a data set."""

import functools
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from experiments.small_data.arms import ARMS, TITLES
from experiments.small_data.results import METRIC, Result
from gan.report import metric_figures, plots, series
from gan.report.drawing import Drawing
from gan.report.plots import Size

STEPS = metric_figures.UNITS["step"]


def drawings(results: Sequence[Result]) -> list[Drawing]:
  """Returns the figures for which there are records, those of a data set together."""
  found = []
  for dataset in dict.fromkeys(result.cell.dataset for result in results):
    mine = [result for result in results if result.cell.dataset == dataset]
    found += _of(dataset, TITLES.get(dataset, dataset), mine)
  return found


def _of(dataset, title, results) -> list[Drawing]:
  name = metric_figures.title(METRIC)
  found = [
    Drawing(
      f"{dataset}_metric_by_step",
      f"{title}: {name} against steps",
      "A panel for each share of the data. Lines: interquartile mean over seeds (of three, their "
      "mean); bands: 95 % bootstrap intervals over seeds. A line that falls and rises again is of "
      "a discriminator that learns its examples by heart. Logarithmic.",
      functools.partial(curves, results),
    ),
    Drawing(
      f"{dataset}_last_and_best",
      f"{title}: best and last {metric_figures.metric_name(METRIC)}",
      "Each seed's best (hollow) and last value (filled), joined: the longer the line, the more "
      "was lost after the best step. The best is picked from noise and looks better than it is.",
      functools.partial(last_and_best, results),
    ),
  ]
  judged = [result for result in results if result.judged]
  if judged:
    what = _judged(judged)
    found.append(
      Drawing(
        f"{dataset}_discriminator",
        f"{title}: the discriminator on training and on held-out data",
        f"Its {what}: solid on training data, dashed on held-out data, beside the same samples, "
        "without augmentation. The lines part where D knows its training "
        "data and not their kind. Lines and bands as above.",
        functools.partial(discriminator, judged),
      )
    )
  return found


def _panels(results, size, **options):
  names = {result.cell.title: result for result in results}
  shape = size._replace(columns=1 if size.narrow else 3)
  figure, panels = plots.panels(list(names), shape, 2.6, **options)
  return figure, [(panels[name], result) for name, result in names.items()]


def curves(results: Sequence[Result], size: Size) -> Figure:
  """Returns the metric of each arm against steps."""
  figure, panels = _panels(results, size)
  colours = plots.colours(list(ARMS))
  for axes, result in panels:
    for arm in result.arms:
      found = series.evaluated(result.analysis.runs(arm), METRIC, "step")
      plots.draw_curves(axes, arm, colours[arm], found)
  return _finished(figure, panels, size, STEPS, metric_figures.axis_label(METRIC), log=True)


def _finished(figure, panels, size, x, y, log=False) -> Figure:
  """With labels, and one legend for all panels."""
  fullest, _ = max(panels, key=lambda pair: len(pair[1].arms))
  plots.legend(figure, fullest, size)
  plots.finish(figure, x, y, always_logarithmic=log)
  return figure


def last_and_best(results: Sequence[Result], size: Size) -> Figure:
  """Returns the best and the last value of every seed."""
  figure, panels = _panels(results, size, sharey=False)
  colours = plots.colours(list(ARMS))
  for axes, result in panels:
    for place, arm in enumerate(result.arms):
      color = colours[arm].color
      outcomes = [found for found in result.row(arm).outcomes if found.last]
      for shift, found in zip(_apart(len(outcomes)), outcomes, strict=True):
        ends = [found.best[1], found.last[1]]
        axes.plot(ends, [place + shift] * 2, color=color, linewidth=1)
        axes.plot(ends[0], place + shift, "o", color=color, markerfacecolor="none", markersize=5)
        axes.plot(ends[1], place + shift, "o", color=color, markersize=5)
    axes.set_yticks(range(len(result.arms)), result.arms)
    axes.set_ylim(len(result.arms) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    plots.logarithmic(axes.xaxis)
  plots.label(figure, metric_figures.axis_label(METRIC), "")
  return figure


def _apart(count):
  return 0.22 * np.linspace(-1, 1, count) if count > 1 else np.zeros(count)


def _judged(results) -> str:
  """What is recorded of the discriminator, in words."""
  return "accuracy" if "accuracy" in results[0].judged[0] else "mean logit"


def discriminator(results: Sequence[Result], size: Size) -> Figure:
  """Returns what D makes of training data (solid) and of held-out data (dashed)."""
  arms = [arm for arm in ARMS if any(arm in result.arms for result in results)]
  names = {f"{result.cell.title}: {arm}": (result, arm) for result in results for arm in arms}
  shape = size._replace(columns=2 if size.narrow else len(arms))
  figure, panels = plots.panels(list(names), shape, 1.9)
  colours = plots.colours(list(ARMS))
  for name, (result, arm) in names.items():
    for metric, style in zip(result.judged, ("-", "--"), strict=True):
      found = series.evaluated(result.analysis.runs(arm), metric, "step")
      plots.draw_curves(panels[name], arm, colours[arm]._replace(linestyle=style), found)
    plots.count_axis(panels[name])
  plots.label(figure, STEPS, f"{_judged(results)} of D")
  return figure
