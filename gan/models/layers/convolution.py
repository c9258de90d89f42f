"""Convolutions that are fast on every backend, each form by the platform it is lowered for.

Images are NHWC. "SAME" padding: a stride of s divides or multiplies each side exactly by s.
"""

import functools
import math

import jax
from jax import lax

from gan.models.layers import patches, plain
from gan.models.layers.patches import Images, Kernel, Maps

# XLA's CPU backend is slow at convolutions of so few channels, and at wide transposed ones unless
# they are written as convolutions to blocks. docs/performance_appendix.md has the times.
FEW_CHANNELS = 8
# The work that blocks of padding may add: inputs of 7 x 7 and a kernel of 2 x 2 blocks, 64 for 49.
MOST_ADDED_WORK = 4 / 3


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv(images: Images, kernel: Kernel, stride: int) -> Maps:
  """Strided convolution: size h becomes h / stride."""
  products = _products_are_faster(images.shape[1:3], kernel, stride)
  form = patches.conv if products else plain.conv
  return by_platform(form, plain.conv, images, kernel, stride)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv_transpose(inputs: Maps, kernel: Kernel, stride: int) -> Images:
  """Transposed convolution: the adjoint of `conv`, size p becomes stride * p.

  Args:
    inputs: [B, p, q, f].
    kernel: [k, k, c, f], the kernel of the convolution that this is the adjoint of.
    stride: the factor by which each side grows.
  """
  sides, form = [side * stride for side in inputs.shape[1:3]], plain.conv_transpose
  if _products_are_faster(sides, kernel, stride):
    form = patches.conv_transpose
  elif _blocks_are_faster(sides, kernel, stride):
    form = patches.conv_transpose_to_blocks
  return by_platform(form, plain.conv_transpose, inputs, kernel, stride)


def by_platform(on_cpu, elsewhere, *operands):
  """One of two forms of a function of arrays and a number, as the program is lowered."""
  if on_cpu is elsewhere:
    return elsewhere(*operands)
  *arrays, number = operands
  return lax.platform_dependent(
    *arrays,
    cpu=lambda *arrays: on_cpu(*arrays, number),
    default=lambda *arrays: elsewhere(*arrays, number),
  )


# The two are adjoint, <g, conv(x, w)> = <conv_transpose(g, w), x>: each is the other's gradient in
# its input, and the kernel's gradient is one function of (x, g). Said so, reverse derivatives of
# any order are made of these three. Automatic differentiation writes those of a transposed
# convolution, and so the second ones of a convolution, with a dilated left side instead, for which
# XLA's CPU backend has no fast path: 25 times slower.


def _kernel_gradient(images, cotangent, kernel, stride):
  """The gradient of <cotangent, conv(images, kernel)> in the kernel, at any kernel of its shape."""
  operands = (images, cotangent, kernel, stride)
  of_pixels = _of_pixels(kernel, stride)
  form = patches.kernel_gradient if of_pixels else plain.kernel_gradient_in_order
  return by_platform(form, plain.kernel_gradient, *operands)


def _in_blocks(sides, kernel, stride):
  """Whether windows are made of whole blocks."""
  return all(length % stride == 0 for length in (len(kernel), *sides))


def _products_are_faster(sides, kernel, stride):
  """Whether products of patches and kernel take less time on the CPU than a convolution."""
  few = kernel.shape[2] < FEW_CHANNELS and _in_blocks(sides, kernel, stride)
  return few or _of_pixels(kernel, stride)


def _of_pixels(kernel, stride):
  """Whether a patch is one pixel: products take half the time of convolutions in gradients."""
  return len(kernel) == stride == 1


def _blocks_are_faster(sides, kernel, stride):
  """Whether a convolution over blocks of pixels, without a stride, takes less time on the CPU."""
  rim = len(kernel) // stride - 1
  added = math.prod(1 + rim * stride / side for side in sides)
  return stride > 1 and added <= MOST_ADDED_WORK and _in_blocks(sides, kernel, stride)


def _conv_forward(images, kernel, stride):
  return conv(images, kernel, stride), (images, kernel)


def _conv_backward(stride, residuals, cotangent):
  images, kernel = residuals
  gradient = _kernel_gradient(images, cotangent, kernel, stride)
  return conv_transpose(cotangent, kernel, stride), gradient


def _conv_transpose_forward(inputs, kernel, stride):
  return conv_transpose(inputs, kernel, stride), (inputs, kernel)


def _conv_transpose_backward(stride, residuals, cotangent):
  inputs, kernel = residuals
  gradient = _kernel_gradient(cotangent, inputs, kernel, stride)
  return conv(cotangent, kernel, stride), gradient


conv.defvjp(_conv_forward, _conv_backward)
conv_transpose.defvjp(_conv_transpose_forward, _conv_transpose_backward)
