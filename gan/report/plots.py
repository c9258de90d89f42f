"""How figures look: sizes, colours of the losses, panels; and how they become files.

Figures are drawn in light colours. The dark ones are the same with some colours exchanged, for
which nothing else in a figure may have these.
"""

import io
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from gan.report.series import Curve

INK, LINES, PAPER = "#1b1e24", "#d5d8dd", "#fefefe"
DARK = {INK: "#e4e6ea", LINES: "#42464f", PAPER: "#17191e"}
DARK |= {"#0072b2": "#4a7dff", "#94703c": "#b8925a"}  # of the losses' colours, the two darkest
# Okabe and Ito's colours, which the colour-blind tell apart, without yellow (no contrast on white)
# and with brown and grey for black (none in the dark).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#94703c", "#808791")
STYLES = ("-", "--", ":")
MOST_IN_ONE = len(COLOURS)  # losses in one panel; more get a panel each
SETTINGS = {
  "svg.hashsalt": "gan",  # identifiers in an SVG follow from its content: equal bytes
  "font.size": 9,
  "axes.titlesize": 9,
  "axes.labelsize": 9,
  "legend.fontsize": 9,
  "legend.frameon": False,
  "axes.spines.top": False,
  "axes.spines.right": False,
  "axes.grid": True,
  "axes.axisbelow": True,
  "grid.color": LINES,
  "grid.linewidth": 0.6,
  "axes.edgecolor": INK,
  "axes.labelcolor": INK,
  "xtick.color": INK,
  "ytick.color": INK,
  "text.color": INK,
  "figure.facecolor": PAPER,
  "savefig.facecolor": PAPER,
  "axes.facecolor": "none",
  "lines.linewidth": 1.5,
}


class Size(NamedTuple):
  """Of a figure: `width` in inches, `columns` of panels, whether legends stand below."""

  width: float
  columns: int
  narrow: bool


WIDE, NARROW = Size(9.0, 4, False), Size(4.4, 2, True)


class Colour(NamedTuple):
  """How a loss is drawn in every figure."""

  color: str
  linestyle: str


def colours(losses: Sequence[str]) -> dict[str, Colour]:
  """Returns a colour and line style for each loss, by its place in the study."""
  return {
    loss: Colour(COLOURS[i % len(COLOURS)], STYLES[i // len(COLOURS) % len(STYLES)])
    for i, loss in enumerate(losses)
  }


def one_panel(size: Size, height: float = 4.0) -> tuple[Figure, Axes]:
  """Returns a figure with one panel."""
  figure = Figure(figsize=(size.width, height), layout="constrained")
  return figure, figure.add_subplot()


def panels(
  names: Sequence[str], size: Size, height: float = 1.9, **options
) -> tuple[Figure, dict[str, Axes]]:
  """Returns a figure with a titled panel for each name, on shared axes unless `options` differ."""
  columns = min(size.columns, len(names))
  rows = math.ceil(len(names) / columns)
  figure = Figure(figsize=(size.width, height * rows + 0.5), layout="constrained")
  options = {"sharex": True, "sharey": True} | options
  axes = figure.subplots(rows, columns, squeeze=False, **options).ravel()
  for spare in axes[len(names) :]:
    spare.set_visible(False)
  # A panel above a spare one is the lowest of its column.
  for panel in axes[max(0, len(names) - columns) : len(names)]:
    panel.xaxis.set_tick_params(labelbottom=True)
  for panel, name in zip(axes, names, strict=False):
    panel.set_title(name)
  return figure, dict(zip(names, axes, strict=False))


def shared_or_panels(
  losses: Sequence[str], size: Size, draw: Callable[[Axes, str, bool], None]
) -> Figure:
  """Draws all losses in one panel with a legend, or, where they are many, a panel each.

  Args:
    losses: their names.
    size: of the figure.
    draw: `(axes, loss, faint)` draws one loss; faintly behind another in a panel that is not its.
  """
  if len(losses) <= MOST_IN_ONE:
    figure, axes = one_panel(size)
    for loss in losses:
      draw(axes, loss, False)
    legend(figure, axes, size)
    return figure
  figure, found = panels(losses, size)
  for loss, axes in found.items():
    for other in losses:
      if other != loss:
        draw(axes, other, True)
    draw(axes, loss, False)
  return figure


def draw_curves(
  axes: Axes, loss: str, colour: Colour, curves: Sequence[Curve], faint: bool = False
) -> None:
  """Draws the curves of a loss with their bands; faintly behind those of another."""
  style = {"color": LINES} if faint else colour._asdict() | {"label": loss, "zorder": 3}
  for curve in curves:
    # Behind each of many panels are all other losses: coarser, or the page has tens of megabytes.
    every = max(1, len(curve.x) // 15) if faint else 1
    axes.plot(curve.x[::every], curve.y[::every], **style)
    if len(curve.x) == 1:
      axes.plot(curve.x, curve.y, ".", color=style["color"])
    if not faint:
      axes.fill_between(curve.x, curve.low, curve.high, color=colour.color, alpha=0.18, linewidth=0)


def legend(figure: Figure, axes: Axes, size: Size) -> None:
  """Puts the labelled lines of a panel into a legend beside it, or below where that has no room."""
  handles, labels = axes.get_legend_handles_labels()
  unique = dict(zip(labels, handles, strict=True))
  place = {"loc": "outside right upper"}
  if size.narrow or len(unique) > MOST_IN_ONE:
    place = {"loc": "outside lower center", "ncols": 3 if size.narrow else 6}
  if unique:
    figure.legend(unique.values(), unique.keys(), **place)


def label(figure: Figure, x: str, y: str) -> None:
  """Names the axes: of the one panel, or of all together."""
  visible = [axes for axes in figure.axes if axes.get_visible()]
  if len(visible) == 1:
    visible[0].set(xlabel=x, ylabel=y)
  else:
    # Under each column: a label of the whole figure is drawn over a legend below it.
    lowest = {axes.get_subplotspec().colspan.start: axes for axes in visible}
    for axes in lowest.values():
      axes.set_xlabel(x)
    figure.supylabel(y, fontsize=9)


def count_axis(axes: Axes) -> None:
  """Writes thousands as 20k and millions as 3M."""
  large = EngFormatter(sep="")
  axes.xaxis.set_major_formatter(lambda value, _: large(value) if value >= 1000 else f"{value:g}")


def spans_decades(values: Sequence[float]) -> bool:
  """Whether a logarithmic axis shows the values better: all above 0, the largest tenfold."""
  values = [value for value in values if math.isfinite(value)]
  return bool(values) and bool(min(values) > 0 and max(values) >= 10 * min(values))


def logarithmic(axis: Axis) -> None:
  """Makes an axis logarithmic, with few labels that are plain numbers."""
  axis.axes.set(**{f"{axis.axis_name}scale": "log"})
  low, high = axis.get_view_interval()
  steps = (1, 2, 5) if high < 300 * low else (1,)
  axis.set_major_locator(LogLocator(subs=steps, numticks=12))
  axis.set_minor_locator(NullLocator())
  axis.set_major_formatter(lambda value, _: f"{value:g}")


def values_in(axes: Axes, horizontal: bool = False) -> Iterator[float]:
  """Yields the values of the lines and points of a panel."""
  for line in axes.lines:
    yield from np.asarray(line.get_xdata() if horizontal else line.get_ydata(), float)


def finish(figure: Figure, x: str, y: str, always_logarithmic: bool = False) -> None:
  """Puts labels, readable counts, and logarithmic axes where values span decades."""
  for axes in [axes for axes in figure.axes if axes.get_visible()]:
    count_axis(axes)
    if always_logarithmic or spans_decades(list(values_in(axes))):
      logarithmic(axes.yaxis)
  label(figure, x, y)


def render(draw: Callable[[], Figure]) -> Figure:
  """Returns what `draw` draws, in the colours and sizes of the report."""
  with matplotlib.rc_context(SETTINGS):
    return draw()


def to_svg(figure: Figure) -> str:
  """Returns a figure as SVG; equal figures give equal text."""
  stream = io.StringIO()
  with matplotlib.rc_context(SETTINGS):
    FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None})
  return stream.getvalue()


def to_dark(svg: str) -> str:
  """Returns the SVG for a dark page."""
  for light, dark in DARK.items():
    svg = svg.replace(light, dark)
  return svg


def to_png(figure: Figure) -> bytes:
  """Returns a figure as PNG, 200 pixels an inch; equal figures give equal bytes."""
  stream = io.BytesIO()
  figure.set_dpi(200)
  with matplotlib.rc_context(SETTINGS):
    FigureCanvasAgg(figure).print_png(stream, metadata={"Software": None})
  return stream.getvalue()
