"""Convolutions in XLA's own forms; `gan.models.layers` chooses between them and `patches`."""

import functools

import jax
from jax import lax

from gan.models.patches import Images, Kernel, Maps

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
