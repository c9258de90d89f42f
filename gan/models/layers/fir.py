"""Up- and down-sampling by 2 through the low-pass filter [1, 3, 3, 1].

The sources write both as convolutions with zeros between pixels. Here each parity of the pixels is
a sum of neighbours of its own, so that no derivative of any order holds a dilated convolution, and
none a grouped one. The filter acts on each side apart; beyond the border there are zeros.
"""

import jax.numpy as jnp
from jax import lax

from gan.models.layers.patches import Images, Maps

SIDES = (1, 2)  # axes of NHWC


def fir_up(images: Images) -> Maps:
  """Images of twice the sides, smoothly; inside the border the half-pixel bilinear ones.

  On each side, y[2 m] = (x[m - 1] + 3 x[m]) / 4 and y[2 m + 1] = (3 x[m] + x[m + 1]) / 4: a
  constant stays what it is, but for the border. <fir_up(x), y> = 4 <x, fir_down(y)>.

  Args:
    images: [B, H, W, C].

  Returns:
    [B, 2 H, 2 W, C].

  See "Analyzing and Improving the Image Quality of StyleGAN" by Karras et al.
  (https://arxiv.org/abs/1912.04958).
  """
  for side in SIDES:
    images = _interleave(
      (3 * images + _before(images, side)) / 4, (3 * images + _after(images, side)) / 4, side
    )
  return images


def fir_down(images: Images) -> Maps:
  """Images of half the sides: y[m] = (x[2 m - 1] + 3 x[2 m] + 3 x[2 m + 1] + x[2 m + 2]) / 8.

  A constant stays what it is, but for the border. See `fir_up`.

  Args:
    images: [B, H, W, C] with even sides.

  Returns:
    [B, H/2, W/2, C].
  """
  for side in SIDES:
    even, odd = _parities(images, side)
    images = (3 * (even + odd) + _before(odd, side) + _after(even, side)) / 8
  return images


def fir_smooth(images: Images, padding: tuple[int, int]) -> Maps:
  """The filter alone, with zeros before and behind: y[m] = (x[m] + 3 x[m + 1] + ...) / 8.

  Args:
    images: [B, H, W, C].
    padding: pixels of zeros before and behind each side.

  Returns:
    [B, P, Q, C], sides longer by the padding less 3.
  """
  for side in SIDES:
    padded = _padded(images, side, (*padding, 0))
    length = padded.shape[side] - 3
    taps = [lax.slice_in_dim(padded, tap, tap + length, axis=side) for tap in range(4)]
    images = (taps[0] + taps[3] + 3 * (taps[1] + taps[2])) / 8
  # XLA would else filter again, within each of what uses it, and once for each tap of the next.
  return lax.optimization_barrier(images)


def _before(images, side):
  """x[m - 1], 0 before the first."""
  return _padded(images, side, (1, -1, 0))


def _after(images, side):
  """x[m + 1], 0 behind the last."""
  return _padded(images, side, (-1, 1, 0))


def _padded(images, side, padding):
  paddings = [padding if axis == side else (0, 0, 0) for axis in range(images.ndim)]
  return lax.pad(images, jnp.zeros((), images.dtype), paddings)


def _interleave(even, odd, side):
  shape = [length * (2 if axis == side else 1) for axis, length in enumerate(even.shape)]
  return jnp.stack([even, odd], axis=side + 1).reshape(shape)


def _parities(images, side):
  before, behind = images.shape[:side], images.shape[side + 1 :]
  pairs = images.reshape(*before, images.shape[side] // 2, 2, *behind)
  return (lax.index_in_dim(pairs, parity, side + 1, keepdims=False) for parity in (0, 1))
