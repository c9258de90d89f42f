"""Convolutions of 3 x 3 that halve or double each side through the filter [1, 3, 3, 1].

On blocks of 2 x 2 pixels, of four times the channels, both are convolutions of 2 x 2 without a
stride: no derivative of any order holds a dilated one. The kernel's fourth row and column are 0.
"""

import jax.numpy as jnp

from gan.models.layers.convolution import conv
from gan.models.layers.fir import fir_smooth
from gan.models.layers.patches import Images, Kernel, Maps, add_patches, patches


def fir_conv_down(images: Images, kernel: Kernel) -> Maps:
  """The filter, and then a convolution with stride 2, z[m] = sum_k w[k] y[2 m + k].

  Nothing is cut off between the two: y is the filtered image with the pixel that the filter adds.

  Args:
    images: [B, H, W, C] with even sides.
    kernel: [3, 3, C, F].

  Returns:
    [B, H/2, W/2, F].
  """
  blocks = patches(fir_smooth(images, (2, 3)), 2, 2)
  return conv(blocks, _taps(kernel), 1)[:, :-1, :-1]


def fir_conv_up(images: Images, kernel: Kernel) -> Maps:
  """A transposed convolution with stride 2, y[2 m + k] += w[k] x[m], and then the filter times 4.

  Nothing is cut off between the two.

  Args:
    images: [B, H, W, C].
    kernel: [3, 3, C, F].

  Returns:
    [B, 2 H, 2 W, F].
  """
  # What a block of y has of the pixel before it comes first, hence the taps from the far end on.
  taps = _taps(kernel, axis=-1)[::-1, ::-1]
  before = jnp.pad(images, ((0, 0), (1, 0), (1, 0), (0, 0)))
  return 4 * fir_smooth(add_patches(conv(before, taps, 1), 2, 2), (1, 0))


def _taps(kernel, axis=2):
  """[3, 3, c, f] as taps between blocks, whose pixels join the channels of an axis:
  [2, 2, 4 c, f], or [2, 2, c, 4 f]."""
  channels, features = kernel.shape[2:]
  whole = jnp.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))
  apart = whole.reshape(2, 2, 2, 2, channels, features)  # block, pixel, block, pixel
  if axis == 2:
    return apart.transpose(0, 2, 1, 3, 4, 5).reshape(2, 2, 4 * channels, features)
  return apart.transpose(0, 2, 4, 1, 3, 5).reshape(2, 2, channels, 4 * features)
