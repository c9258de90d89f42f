"""Names of lines where they end, in place of a legend."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

GAP = 10.5  # points between two names
BESIDE = 12  # points from the panel to the names


def name_lines(axes: Axes, names: Sequence[str] = ()) -> None:
  """Names each labelled line to the right of its panel, at the height where it ends.

  Names that would lie on each other are moved apart; a thread leads each to its line.

  Args:
    axes: the panel, with the limits and the scales that it keeps.
    names: of the lines, if they are not their labels.
  """
  lines = [line for line in axes.lines if not line.get_label().startswith("_")]
  names = names or [line.get_label() for line in lines]
  figure = axes.figure.figure  # of a part of a figure the whole
  figure.draw_without_rendering()  # the layout settles how far apart the ends are
  frame, point = axes.get_window_extent(), figure.dpi / 72
  ends = np.array([_end(line) for line in lines])
  ends[:, 1] = np.clip(ends[:, 1], frame.y0, frame.y1)
  heights = spread(ends[:, 1] / point, GAP)
  for line, name, (x, y), height in zip(lines, names, ends, heights, strict=True):
    place = ((x - frame.x0) / frame.width, (y - frame.y0) / frame.height)
    offset = ((frame.x1 - x) / point + BESIDE, height - y / point)
    _name(line, name, place, offset)


def _name(line: Line2D, name: str, place: tuple[float, float], offset: tuple[float, float]) -> None:
  """Writes a name `offset` points from a place that is a fraction of the panel."""
  thread = {"arrowstyle": "-", "color": line.get_color(), "linestyle": line.get_linestyle()}
  line.axes.annotate(
    name,
    place,
    offset,
    "axes fraction",
    "offset points",
    va="center",
    fontsize=8,
    annotation_clip=False,
    arrowprops=thread | {"shrinkA": 0, "shrinkB": 0, "relpos": (0, 0.5)},
  )


def _end(line: Line2D) -> Float[np.ndarray, "2"]:
  """Returns where a line has its last finite point, in pixels."""
  points = np.asarray(line.get_xydata(), float)
  return line.axes.transData.transform(points[np.isfinite(points).all(axis=1)][-1])


def spread(places: Float[np.ndarray, " n"], gap: float) -> Float[np.ndarray, " n"]:
  """Of all places of the same order, `gap` apart, returns those that move least in squares."""
  order, blocks = np.argsort(places, kind="stable"), []
  for place in places[order]:
    first, count = place, 1
    # A block is a run of places that stand exactly `gap` apart, from `first` on.
    while blocks and first < blocks[-1][0] + gap * blocks[-1][1]:
      before, more = blocks.pop()
      first = (before * more + (first - gap * more) * count) / (more + count)
      count += more
    blocks.append((first, count))
  moved = np.empty(len(places))
  moved[order] = np.concatenate([first + gap * np.arange(count) for first, count in blocks])
  return moved
