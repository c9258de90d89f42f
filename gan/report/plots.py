"""How figures look: sizes, colours of the losses, panels.

A colour stands for a part of a picture, as `LIGHT` names them: nothing else may have it, for a
dark page gives each part the colour of `DARK`.
"""

import contextlib
import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from gan.report.series import Curve

# Okabe and Ito's colours, which the colour-blind tell apart, without yellow (no contrast on white)
# and with brown and grey for black (none in the dark).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#94703c", "#808791")
STYLES = ("-", "--", ":")
MARKERS = ("o", "s", "^", "v", "P", "*", "p", "h")  # crosses diverged, diamonds are centres
MOST_IN_ONE = len(COLOURS)  # losses in one panel; more get a panel each
MOST_MARKERS = 12  # on a curve
INK, LINES, PAPER = "#1b1e24", "#d5d8dd", "#fefefe"
# The parts of a picture, by the names of their variables in a page, on light and on dark paper.
LIGHT = {"ink": INK, "lines": LINES, "paper": PAPER}
LIGHT |= {f"series-{i}": colour for i, colour in enumerate(COLOURS)}
DARK = LIGHT | {"ink": "#e4e6ea", "lines": "#42464f", "paper": "#17191e"}
DARK |= {"series-0": "#5c9dff", "series-6": "#b8925a"}  # the two darkest
HOVER = "hover:"  # begins the identifier of an artist that has texts
SETTINGS = {
  "svg.fonttype": "none",
  "font.sans-serif": ["DejaVu Sans", "sans-serif"],
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
  "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
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
  marker: str

  def style(self, points: int = 1) -> dict[str, Any]:
    """Returns how a line of so many points is drawn: with markers on a few of them."""
    return self._asdict() | {"markersize": 4, "markevery": _every(points)}


def _every(points):
  return max(1, math.ceil(points / MOST_MARKERS))


def colours(losses: Sequence[str]) -> dict[str, Colour]:
  """Returns a colour, a line style and a marker for each loss, by its place in the study."""
  count = len(COLOURS)
  return {
    loss: Colour(COLOURS[i % count], STYLES[i // count % len(STYLES)], MARKERS[i % count])
    for i, loss in enumerate(losses)
  }


def hover(artist: Artist, texts: Sequence[str]) -> None:
  """Shows a text where the pointer rests: on the artist, or on each of its markers.

  Args:
    artist: of a figure.
    texts: one for the whole, or one for each marker.
  """
  artist.set_gid(HOVER + json.dumps(list(texts)))


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
  for curve in curves:
    if faint:
      # Behind each of many panels are all other losses: coarser, or a page has tens of megabytes.
      every = max(1, len(curve.x) // 15)
      axes.plot(curve.x[::every], curve.y[::every], color=LINES)
    else:
      _draw_curve(axes, loss, colour, curve)


def _draw_curve(axes, loss, colour, curve):
  style, every = colour.style(len(curve.x)), _every(len(curve.x))
  (line,) = axes.plot(curve.x, curve.y, **style, label=loss, zorder=3)
  marked = zip(curve.x[::every], curve.y[::every], strict=True)
  hover(line, [f"{loss}: {y:.4g} at {x:.6g}" for x, y in marked if math.isfinite(y)])
  axes.fill_between(curve.x, curve.low, curve.high, color=colour.color, alpha=0.18, linewidth=0)


def draw_points(
  axes: Axes, points: Sequence[tuple[float, float]], texts: Sequence[str], marker: str, color: str
) -> None:
  """Draws points, each with its text under the pointer."""
  if points:
    (line,) = axes.plot(*zip(*points, strict=True), marker, color=color, markersize=5, alpha=0.7)
    hover(line, texts)


def legend(figure: Figure, axes: Axes, size: Size) -> None:
  """Puts the labelled lines of a panel into a legend beside it, or below where that has no room."""
  handles, labels = axes.get_legend_handles_labels()
  unique = dict(zip(labels, handles, strict=True))
  place = {"loc": "outside right upper"}
  if size.narrow or len(unique) > MOST_IN_ONE:
    place = {"loc": "outside lower center", "ncols": 3 if size.narrow else 6}
  if unique:
    figure.legend(unique.values(), unique.keys(), **place)


def legends_below(figure: Figure) -> None:
  """Moves legends that lie in panels below them, where they hide no data."""
  figure.draw_without_rendering()  # the layout settles what stands below a panel
  for axes in figure.axes:
    if found := axes.get_legend():
      _move_below(axes, found)


def _move_below(axes, found):
  frame, whole, dpi = axes.get_window_extent(), axes.get_tightbbox(), axes.figure.dpi
  widest = max(text.get_window_extent().width for text in found.get_texts()) + 0.5 * dpi
  down = ScaledTranslation(0, (whole.y0 - frame.y0) / dpi, axes.figure.dpi_scale_trans)
  axes.legend(
    found.legend_handles,
    [text.get_text() for text in found.get_texts()],
    title=found.get_title().get_text() or None,
    loc="upper center",
    bbox_to_anchor=(0.5, 0),
    bbox_transform=axes.transAxes + down,
    ncols=max(1, int(frame.width / widest)),
    fontsize=8,
  )


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


def mark_level(axes: Axes, value: float | None, name: str, vertical: bool = False) -> None:
  """Draws a dashed line with its name across a panel; none where a logarithm has no place for it.

  Args:
    axes: with all else drawn.
    value: on the y axis, or on the x axis where `vertical`; None draws nothing.
    name: stands on the line.
    vertical: of values along the x axis.
  """
  there = list(values_in(axes, horizontal=vertical))
  if value is None or not math.isfinite(value) or (value <= 0 and spans_decades(there)):
    return
  draw = axes.axvline if vertical else axes.axhline
  draw(value, color=INK, linewidth=1.0, linestyle="--", zorder=2)
  across = {"xy": (value, 1.0), "xycoords": ("data", "axes fraction"), "rotation": 90, "va": "top"}
  along = {"xy": (1.0, value), "xycoords": ("axes fraction", "data"), "va": "bottom"}
  place = {"xytext": (-2, -2) if vertical else (-2, 1), "textcoords": "offset points"}
  axes.annotate(name, ha="right", fontsize=7, **place, **(across if vertical else along))


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
  _name_at_ends(figure)


def _name_at_ends(figure):
  """Names the lines of one panel where they end, in place of a legend, if all end apart."""
  panel, *more = figure.axes
  lines = [line for line in panel.lines if not line.get_label().startswith("_")]
  figure.draw_without_rendering()  # the layout settles how far apart
  if more or not figure.legends or not _end_apart(lines):
    return
  figure.legends[0].remove()
  for line in lines:
    place = {"xytext": (6, 0), "textcoords": "offset points", "va": "center"}
    panel.annotate(line.get_label(), _finite(line)[-1], **place, annotation_clip=False)


def _end_apart(lines) -> bool:
  """Whether the lines have names of their own that fit beside their ends, all at one x."""
  names = {line.get_label() for line in lines}
  if len(names) < len(lines) or not all(len(_finite(line)) for line in lines):
    return False
  ends = [line.axes.transData.transform(_finite(line)[-1]) for line in lines]
  x, y = np.array(ends).T * 72 / lines[0].figure.dpi  # points
  return bool(np.ptp(x) < 6 and (np.diff(np.sort(y)) > 11).all())


def _finite(line):
  """[points, 2]: where a line is finite."""
  points = np.asarray(line.get_xydata(), float)
  return points[np.isfinite(points).all(axis=1)]


def styled() -> contextlib.AbstractContextManager[None]:
  """Returns a context in which figures have the colours and sizes of the report."""
  return matplotlib.rc_context(SETTINGS)


def render(draw: Callable[[], Figure]) -> Figure:
  """Returns what `draw` draws, in the colours and sizes of the report."""
  with styled():
    return draw()


def to_png(figure: Figure) -> bytes:
  """Returns a figure as PNG, 200 pixels an inch; equal figures give equal bytes."""
  stream = io.BytesIO()
  figure.set_dpi(200)
  with styled():
    FigureCanvasAgg(figure).print_png(stream, metadata={"Software": None})
  return stream.getvalue()
