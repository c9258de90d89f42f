"""How the figures of the theory lab look: as wide as a page of the docs, in the report's colours.

Text has its printed size where a picture is 7 inches wide, 672 pixels of a page.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.losses import WIDTH
from gan.report import plots


def panels(
  rows: int, columns: int, height: float, **options
) -> tuple[Figure, np.ndarray[Any, np.dtype[Any]]]:
  """Returns a figure as wide as a page and its panels [rows, columns], each `height` inches."""
  figure = Figure(figsize=(WIDTH, height * rows + 0.3), layout="constrained")
  return figure, figure.subplots(rows, columns, squeeze=False, **options)


def line_style(i: int) -> dict[str, str]:
  """Returns how the i-th line of a panel is drawn: its neighbours differ by more than colour."""
  return {"color": plots.COLOURS[i % len(plots.COLOURS)], "linestyle": plots.STYLES[i % 2]}


def seeds(axes: Axes, x: np.ndarray, rows: np.ndarray, color: str, **style) -> None:
  """Draws the median over seeds as a line, and a band from the lowest seed to the highest.

  Args:
    axes: the panel.
    x: [points].
    rows: [seeds, points].
    color: of both.
    style: of the line.
  """
  axes.plot(x, np.median(rows, axis=0), color=color, **style)
  axes.fill_between(x, rows.min(axis=0), rows.max(axis=0), color=color, alpha=0.18, linewidth=0)


def cloud(axes: Axes, points: np.ndarray, means: np.ndarray, limit: float) -> None:
  """Draws samples [n, 2] and the means of the data [m, 2] on the square [-limit, limit]^2."""
  axes.plot(*points.T, ".", color=plots.COLOURS[0], markersize=2.5, alpha=0.4, markeredgewidth=0)
  axes.plot(*means.T, "+", color=plots.INK, markersize=5)
  axes.set(aspect="equal", xlim=(-limit, limit), ylim=(-limit, limit))
  axes.grid(False)
