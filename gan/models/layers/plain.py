"""Convolutions in XLA's own forms; `convolution.py` chooses between them and `patches.py`."""

import functools

import jax
from jax import lax

from gan.models.layers.patches import Images, Kernel, Maps

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def conv(images: Images, kernel: Kernel, stride: int) -> Maps:
  """Strided convolution with padding "SAME"."""
  return lax.conv_general_dilated(
    images, kernel, (stride, stride), "SAME", dimension_numbers=_DIMENSIONS
  )


def kernel_gradient(images: Images, cotangent: Maps, kernel: Kernel, stride: int) -> Kernel:
  """The gradient of <cotangent, conv(images, kernel)> in the kernel, at any kernel of its shape."""
  form = functools.partial(conv, images, stride=stride)
  (gradient,) = jax.linear_transpose(form, kernel)(cotangent)
  return gradient


def kernel_gradient_in_order(
  images: Images, cotangent: Maps, kernel: Kernel, stride: int
) -> Kernel:
  """`kernel_gradient` as a convolution whose operands are in the order NHWC, HWIO.

  Its batch are the channels, its channels the batch: dW = conv(images^T, cotangent^T) with a kernel
  dilated by the stride. Left to itself XLA's CPU backend puts the operands in that order too, in
  which alone it has a fast path, but not in the branches of a conditional or the body of a loop.
  """
  sides = zip(images.shape[1:3], cotangent.shape[1:3], strict=True)
  padding = [_padding((count - 1) * stride + len(kernel) - side) for side, count in sides]
  gradient = lax.conv_general_dilated(
    images.transpose(3, 1, 2, 0),
    cotangent.transpose(1, 2, 0, 3),
    (1, 1),
    padding,
    rhs_dilation=(stride, stride),
    dimension_numbers=_DIMENSIONS,
  )
  return gradient.transpose(1, 2, 0, 3)


def _padding(total):
  """Of `total` pixels, those that "SAME" adds before and behind; less than none where windows
  leave pixels out at the end."""
  return (total // 2, total - total // 2) if total > 0 else (0, total)


def conv_transpose(inputs: Maps, kernel: Kernel, stride: int) -> Images:
  """The adjoint of `conv`."""
  return lax.conv_transpose(
    inputs,
    kernel,
    (stride, stride),
    "SAME",
    dimension_numbers=_DIMENSIONS,
    transpose_kernel=True,
  )
