"""A figure of a page before it is drawn."""

from collections.abc import Callable
from typing import NamedTuple

from matplotlib.figure import Figure

from gan.report.plots import Size


class Drawing(NamedTuple):
  """A figure of the page.

  Attributes:
    name: of its files.
    title: a heading.
    caption: what is drawn, from how much.
    draw: `(size) -> Figure`.
    part: heading over figures that follow each other and share a caption; "" of one alone.
  """

  name: str
  title: str
  caption: str
  draw: Callable[[Size], Figure]
  part: str = ""
