"""Colours, by one matrix: brightness, contrast, luma, hue and saturation."""

import functools
import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan.augment.ada_draws import Draws, factor, normal, one_of, signed
from gan.augment.ada_geometry import EXACT, Image, product

BRIGHTNESS_SPREAD = 0.2  # standard deviation, in units of images in [-1, 1]
CONTRAST_SPREAD = 0.5  # of log2 of the factor
SATURATION_SPREAD = 1.0  # of log2 of the factor
Matrix = Float[Array, "k k"]  # of (channels, 1)


def color_matrix(draws: Draws, p: Float[Array, ""], channels: int) -> Matrix:
  """What is done to the colour (x, 1) of a pixel, in the order of the parts.

  The axis of grey is v = (1, ..., 1) / sqrt C: luma is mirrored along it, hue turned about it, and
  saturation the distance from it. Hue is of three channels alone. One channel has no saturation.
  """
  grey = np.append(np.full(channels, channels**-0.5), 0)
  light, last = np.append(np.ones(channels), 0), np.append(np.zeros(channels), 1)
  along, constant = np.outer(grey, grey), np.diag(last)
  brighter = draws.parameter("brightness", p, lambda of: BRIGHTNESS_SPREAD * normal(of), 0)
  contrast = draws.parameter("contrast", p, factor(CONTRAST_SPREAD), 1)
  flip = draws.parameter("lumaflip", p, one_of(2), 0)
  saturation = draws.parameter("saturation", p, factor(SATURATION_SPREAD), 1)
  parts = [
    np.eye(channels + 1) + brighter * np.outer(light, last),
    contrast * np.diag(light) + constant,
    np.eye(channels + 1) - 2 * flip * along,
    along + saturation * (np.diag(light) - along) + constant,
  ]
  if channels == 3:
    angle = draws.parameter("hue", p, lambda of: math.pi * signed(of), 0)
    parts.insert(3, _turn_about_grey(angle))
  return functools.reduce(lambda before, part: product(part, before), parts)


def _turn_about_grey(angle: Float[Array, ""]) -> Matrix:
  """Rodrigues' formula, cos I + (1 - cos) v v^T + sin [v], [v] w = v x w."""
  along = np.full((3, 3), 1 / 3)
  cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / 3**0.5
  cosine, sine = jnp.cos(angle), jnp.sin(angle)
  turn = cosine * np.eye(3) + (1 - cosine) * along + sine * cross
  return jnp.eye(4).at[:3, :3].set(turn)


def recolored(image: Image, matrix: Matrix) -> Image:
  """What a matrix makes of the colours (x, 1) of an image [H, W, C]."""
  matrix = matrix.astype(image.dtype)
  turned = jnp.einsum("hwc,dc->hwd", image, matrix[:-1, :-1], precision=EXACT)
  return turned + matrix[:-1, -1].reshape(1, 1, -1)
