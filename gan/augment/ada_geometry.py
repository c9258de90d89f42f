"""Where pixels come from: flips, quarter turns and shifts of whole pixels, and any affine map."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gan.augment.ada_draws import Draws, factor, normal, one_of, signed
from gan.errors import UserError

Image = Float[Array, "h w c"]
Map = Float[Array, "3 3"]  # of places (x, y, 1) in pixels from the centre: x to the right, y down

LARGEST_SHIFT = 0.125  # of whole pixels, in sides
SHIFT_SPREAD = 0.125  # standard deviation of the others, in sides
SCALE_SPREAD = 0.2  # standard deviation of log2 of a factor

# The low-pass filter of the wavelet sym6, sum 1. Its even shifts are orthogonal, so that up- and
# down-sampling by it gives the image back. Its centre is tap 5.
SYM6 = (
  np.array(
    [
      0.015404109327027373,
      0.0034907120842174702,
      -0.11799011114819057,
      -0.048311742585633,
      0.4910559419267466,
      0.787641141030194,
      0.3379294217276218,
      -0.07263752278646252,
      -0.021060292512300564,
      0.04472490177066578,
      0.0017677118642428036,
      -0.007800708325034148,
    ]
  )
  / 2**0.5
)
CENTRE = 5
EXACT = jax.lax.Precision.HIGHEST


def reflected(places: Int[Array, "..."] | np.ndarray, side: int) -> Array | np.ndarray:
  """The pixel that is seen at a place where an image is mirrored at its border pixels for ever."""
  period = max(2 * (side - 1), 1)
  places = places % period
  return places + (places >= side) * (period - 2 * places)


def turned(image: Image, draws: Draws, p: Float[Array, ""]) -> Image:
  """Flips from left to right or not, then turns by 0 to 3 quarters, pixels as they are.

  Raises:
    UserError: the image is no square.
  """
  if image.shape[0] != image.shape[1]:
    raise UserError(
      f"ada turns images by quarters, and these are {list(image.shape[:2])}: leave blit out of its "
      "groups, or give square images"
    )
  quarters = draws.parameter("rotate90", p, one_of(4), 0)
  image = jnp.where(draws.parameter("xflip", p, one_of(2), 0) == 1, image[:, ::-1], image)
  image = jnp.where(quarters % 2 == 1, image.swapaxes(0, 1)[::-1], image)
  return jnp.where(quarters >= 2, image[::-1, ::-1], image)


def whole_shift(draws: Draws, p: Float[Array, ""], sides: tuple[int, int]) -> Int[Array, " 2"]:
  """By how many pixels (x, y) an image is shifted: at most an eighth of a side."""
  height, width = sides
  size = jnp.array([width, height], jnp.float32)
  shift = draws.parameters("xint", p, lambda of: LARGEST_SHIFT * signed(of) * size, 0)
  return jnp.round(shift).astype(jnp.int32)


def shifted(image: Image, shift: Int[Array, " 2"]) -> Image:
  """Shifts by whole pixels (x, y); mirror images come in."""
  height, width = image.shape[:2]
  rows = reflected(jnp.arange(height) - shift[1], height)
  columns = reflected(jnp.arange(width) - shift[0], width)
  image = image.at[rows].get(mode="promise_in_bounds")
  return image.at[:, columns].get(mode="promise_in_bounds")


def inverse_map(draws: Draws, p: Float[Array, ""], sides: tuple[int, int]) -> Map:
  """Where a place of the result lies in the image: scales, rotations and a shift.

  The image is scaled, turned, stretched along x and y, turned, and shifted. Rotations before and
  after have a probability of 1 - sqrt(1 - p) each, so that p is that of any.
  """
  either = 1 - jnp.sqrt(jnp.clip(1 - p, 0, 1))
  size = jnp.array([sides[1], sides[0]], jnp.float32)
  scale = draws.parameter("scale", p, factor(SCALE_SPREAD), 1)
  stretch = draws.parameter("aniso", p, factor(SCALE_SPREAD), 1)
  before = draws.parameter("rotate", either, lambda of: math.pi * signed(of), 0)
  after = draws.parameter("rotate_after", either, lambda of: math.pi * signed(of), 0)
  shift = draws.parameters("xfrac", p, lambda of: SHIFT_SPREAD * normal(of) * size, 0)
  parts = (scaling(1 / scale, 1 / scale), rotation(before), scaling(1 / stretch, stretch))
  return functools.reduce(product, (*parts, rotation(after), translation(-shift)))


def scaling(x: Float[Array, ""], y: Float[Array, ""]) -> Map:
  return jnp.diag(jnp.stack([x, y, jnp.ones_like(x)]))


def translation(by: Float[Array, " 2"]) -> Map:
  return jnp.eye(3).at[:2, 2].set(by)


def rotation(angle: Float[Array, ""]) -> Map:
  """From x to y: an image whose places come from there is turned the other way."""
  cosine, sine = jnp.cos(angle), jnp.sin(angle)
  return jnp.eye(3).at[:2, :2].set(jnp.array([[cosine, -sine], [sine, cosine]]))


def product(a: Float[Array, "n m"], b: Float[Array, "m k"]) -> Float[Array, "n k"]:
  """Of small matrices, in full precision everywhere."""
  return jnp.sum(a[:, :, None] * b[None], axis=1)


def resampled(image: Image, inverse: Map) -> Image:
  """The image at places that an affine map says, by a smooth interpolation.

  It is up-sampled by 2 through SYM6, read at half pixels between four neighbours, and down-sampled
  through the mirrored filter: at the identity and at shifts of whole pixels nothing is lost. Beyond
  its border the image is mirrored for ever.

  Args:
    image: [H, W, C].
    inverse: [3, 3], from places of the result to places in the image.
  """
  height, width = image.shape[:2]
  fine = _along_sides(image, up_sampling(height), up_sampling(width))
  x, y = np.meshgrid(_fine_places(width), _fine_places(height))
  (xx, xy, dx), (yx, yy, dy), _ = inverse
  columns = 2 * (xx * x + xy * y + dx) + (width - 1)
  rows = 2 * (yx * x + yy * y + dy) + (height - 1)
  return _along_sides(bilinear(fine, rows, columns), down_sampling(height), down_sampling(width))


def _fine_places(side: int) -> np.ndarray:
  """Places that the filter of down-sampling reads, in pixels from the centre of the result."""
  return (np.arange(2 * side + len(SYM6) - 2, dtype=np.float32) - CENTRE - (side - 1)) / 2


def _along_sides(image: Image, rows: np.ndarray, columns: np.ndarray) -> Float[Array, "p q c"]:
  image = jnp.einsum("ph,hwc->pwc", jnp.asarray(rows, image.dtype), image, precision=EXACT)
  return jnp.einsum("qw,pwc->pqc", jnp.asarray(columns, image.dtype), image, precision=EXACT)


@functools.cache
def up_sampling(side: int) -> np.ndarray:
  """[2 period, side]: one period of the finer signal, y[n] = 2 sum_i SYM6[n + 5 - 2 i] x[i]."""
  period = 2 * max(2 * (side - 1), 1)
  matrix, places = np.zeros((period, side)), np.arange(period)
  for tap, weight in enumerate(SYM6):
    of_a_pixel = places[(places + CENTRE - tap) % 2 == 0]
    pixels = reflected((of_a_pixel + CENTRE - tap) // 2, side)
    matrix[of_a_pixel, pixels] += 2 * weight
  return matrix


@functools.cache
def down_sampling(side: int) -> np.ndarray:
  """[side, 2 side + 10]: y[m] = sum_k SYM6[k] x[2 m + k], the first x at the place -5."""
  matrix = np.zeros((side, 2 * side + len(SYM6) - 2))
  for place in range(side):
    matrix[place, 2 * place : 2 * place + len(SYM6)] = SYM6
  return matrix


@jax.custom_jvp
def bilinear(
  image: Float[Array, "p q c"], rows: Float[Array, "m n"], columns: Float[Array, "m n"]
) -> Float[Array, "m n c"]:
  """Reads a periodic image between four neighbours; places are constants to its derivatives.

  Args:
    image: [P, Q, C], one period.
    rows: [M, N], places in pixels from the first, of any size.
    columns: [M, N], likewise.
  """
  at = _Neighbours.of(image, rows, columns)
  flat = image.reshape(-1, image.shape[2])
  read = [
    flat.at[row * image.shape[1] + column].get(mode="promise_in_bounds")
    for row in at.rows
    for column in at.columns
  ]
  return at.between(*read)


@bilinear.defjvp
def _bilinear_jvp(
  primals: tuple[Array, Array, Array], tangents: tuple[Array, Array, Array]
) -> tuple[Array, Array]:
  """The same of the tangent, which is read in pairs of one row.

  So the gradient is added to an image of pairs twice for a place, and not four times to the image:
  XLA's CPU backend adds on one core, whereas it reads on all.
  """
  image, at = tangents[0], _Neighbours.of(*primals)
  channels = image.shape[2]
  pairs = jnp.concatenate([image, jnp.roll(image, -1, axis=1)], axis=2).reshape(-1, 2 * channels)
  read = [
    half
    for row in at.rows
    for half in jnp.split(
      pairs.at[row * image.shape[1] + at.columns[0]].get(mode="promise_in_bounds"), 2, axis=-1
    )
  ]
  return bilinear(*primals), at.between(*read)


class _Neighbours(NamedTuple):
  """The pixels around places in a periodic image.

  Attributes:
    rows: [m, n] each, of those above and below.
    columns: [m, n] each, of those to the left and to the right.
    down: [m, n, 1], how far below the first of the rows a place is, in 0 .. 1.
    right: [m, n, 1], likewise of the columns.
  """

  rows: tuple[Array, Array]
  columns: tuple[Array, Array]
  down: Array
  right: Array

  @classmethod
  def of(cls, image: Array, rows: Array, columns: Array) -> "_Neighbours":
    first = jnp.floor(rows), jnp.floor(columns)
    near = [each.astype(jnp.int32) % side for each, side in zip(first, image.shape, strict=False)]
    far = [
      jnp.where(each == side - 1, 0, each + 1)
      for each, side in zip(near, image.shape, strict=False)
    ]
    of_rows, of_columns = zip(near, far, strict=True)
    return cls(of_rows, of_columns, (rows - first[0])[..., None], (columns - first[1])[..., None])

  def between(self, *read: Array) -> Array:
    """Of what is read above left and right, and below left and right."""
    above = (1 - self.right) * read[0] + self.right * read[1]
    below = (1 - self.right) * read[2] + self.right * read[3]
    return (1 - self.down) * above + self.down * below
