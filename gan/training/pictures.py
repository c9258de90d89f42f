"""Pictures of samples: grids of images, points over the level sets of a discriminator."""

import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

MARGIN = 8  # pixels around a grid
GAP = 2  # pixels between images
NAME = 24  # characters of a row's name


def to_uint8(images: Any, image_range: tuple[float, float]) -> Any:
  """Maps `image_range` to 0 .. 255, rounding; values outside are clipped.

  Args:
    images: floats, an array of NumPy or of JAX; the result, uint8, is one of the same.
    image_range: (low, high) of what is to be 0 and 255.
  """
  xp, (low, high) = images.__array_namespace__(), image_range
  pixels = (images.astype(xp.float32) - low) * (255 / (high - low))
  return xp.clip(xp.rint(pixels), 0, 255).astype(xp.uint8)


def image_grid(
  images: UInt8[np.ndarray, "n h w c"], columns: int, title: str, rows: Sequence[str] = ()
) -> Image.Image:
  """Returns the images row by row under a title; small images are enlarged by a whole factor.

  Args:
    images: grey (C = 1) or colour (C = 3); n is a multiple of `columns`.
    columns: images in a row.
    title: one line, which wraps where the grid is narrow.
    rows: what stands to the left of each row, or ().
  """
  count, height, width, channels = images.shape
  scale = max(1, 56 // height)
  images = images.repeat(scale, axis=1).repeat(scale, axis=2)
  if channels == 1:
    images = images.repeat(3, axis=3)
  step_y, step_x = height * scale + GAP, width * scale + GAP
  text = _wrapped(title, columns * step_x)
  top = MARGIN + 18 * (text.count("\n") + 1)
  names = [name if len(name) <= NAME else f"{name[: NAME - 3]}..." for name in rows]
  left = MARGIN + max((MARGIN + math.ceil(_font().getlength(name)) for name in names), default=0)
  size = (left + columns * step_x - GAP + MARGIN, top + count // columns * step_y - GAP + MARGIN)
  canvas = Image.new("RGB", size, "white")
  for i, image in enumerate(images):
    row, column = divmod(i, columns)
    canvas.paste(Image.fromarray(image), (left + column * step_x, top + row * step_y))
  pen = ImageDraw.Draw(canvas)
  pen.multiline_text((MARGIN, 6), text, fill="black", font=_font())
  for row, name in enumerate(names):
    middle = top + row * step_y + height * scale // 2
    pen.text((MARGIN, middle), name, fill="black", font=_font(), anchor="lm")
  return canvas


def _font() -> Any:
  return ImageFont.load_default(size=13)


def _wrapped(text: str, width: int) -> str:
  """Breaks a line between words so that each piece is at most `width` pixels wide."""
  lines = [""]
  for word in text.split():
    longer = f"{lines[-1]} {word}".strip()
    if lines[-1] and _font().getlength(longer) > width:
      lines.append(word)
    else:
      lines[-1] = longer
  return "\n".join(lines)


def points_over_levels(
  real: Float[np.ndarray, "n 2"],
  fake: Float[np.ndarray, "m 2"],
  levels: Float[np.ndarray, "k k"],
  limit: float,
  title: str,
) -> Figure:
  """Returns generated points over the level sets of D.

  Args:
    real: points of the data set; may be none.
    fake: generated points.
    levels: D(x) in [0, 1] on a square lattice over [-limit, limit]^2; rows are y.
    limit: half the side of the picture.
    title: one line.
  """
  figure = Figure(figsize=(6, 6.3), dpi=100, layout="constrained")
  axes = figure.add_subplot()
  extent = (-limit, limit, -limit, limit)
  picture = axes.contourf(
    levels, np.linspace(0, 1, 21), extent=extent, cmap="PuOr_r", alpha=0.8, origin="lower"
  )
  figure.colorbar(picture, ax=axes, label="D(x)", shrink=0.7)
  if len(real):
    axes.scatter(*real.T, s=4, c="0.35", label=f"data ({len(real)})", linewidths=0)
  axes.scatter(*fake.T, s=5, c="tab:green", label=f"generated ({len(fake)})", linewidths=0)
  axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
  axes.set_title(title, fontsize=10)
  figure.legend(loc="outside lower center", ncols=2, markerscale=3, fontsize=9)
  return figure


def save(picture: Image.Image | Figure, path: pathlib.Path) -> None:
  """Writes a PNG, whole or not at all; equal pictures give equal bytes."""
  part = path.with_suffix(".part")
  if isinstance(picture, Figure):
    FigureCanvasAgg(picture).print_png(part, metadata={"Software": None})
  else:
    picture.save(part, format="PNG")
  part.replace(path)


def pixels(picture: Image.Image | Figure) -> UInt8[np.ndarray, "h w 3"]:
  """Returns a picture as an array, 0 .. 255."""
  if isinstance(picture, Figure):
    canvas = FigureCanvasAgg(picture)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
  return np.asarray(picture.convert("RGB"))
