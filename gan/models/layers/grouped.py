"""Convolutions in groups of channels that are fast on every backend.

Of g groups, output channels (f/g) n .. (f/g) (n + 1) are a convolution of input channels
(c/g) n .. (c/g) (n + 1), for n = 0 .. g - 1. Images are NHWC, the stride is 1, sides stay.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from gan.errors import UserError
from gan.models.layers.convolution import by_platform, conv
from gan.models.layers.patches import Images

# XLA's CPU backend is 20 times slower at the gradients of convolutions in groups than at those of
# the same convolution with zeros between groups, and that is fastest with 16 to 32 channels at a
# time. docs/performance_appendix.md has the times. Each is a convolution in the program, hence not
# too many.
BUNDLE_CHANNELS = 32
MOST_BUNDLES = 16


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def grouped_conv(
  images: Images, kernel: Float[Array | np.ndarray, "k k m f"], groups: int
) -> Float[Array, "b h w f"]:
  """Convolution in groups with padding "SAME" and stride 1; sides stay.

  Args:
    images: [B, h, w, c].
    kernel: [k, k, c/groups, f] with an odd k.
    groups: a divisor of c and of f.

  Raises:
    UserError: it is none.
  """
  _check(images.shape[-1], kernel.shape[-1], groups)
  return by_platform(_in_bundles, _plain, images, kernel, groups)


def _check(channels, features, groups):
  if groups < 1 or channels % groups or features % groups:
    raise UserError(
      f"{groups} groups do not divide the {channels} channels into and {features} out of a "
      "convolution: choose a common divisor of both"
    )


def _plain(images, kernel, groups):
  return lax.conv_general_dilated(
    images,
    kernel,
    (1, 1),
    "SAME",
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=groups,
  )


def _in_bundles(images, kernel, groups):
  """Several groups at a time, as a convolution whose kernel is 0 between groups."""
  count = _bundles(images.shape[-1], groups)
  pairs = zip(*(jnp.split(array, count, axis=-1) for array in (images, kernel)), strict=True)
  return jnp.concatenate([conv(x, _spread(w, groups // count), 1) for x, w in pairs], axis=-1)


def _bundles(channels, groups):
  """The most bundles of at least BUNDLE_CHANNELS channels, of equally many groups each."""
  most = min(MOST_BUNDLES, groups, max(1, channels // BUNDLE_CHANNELS))
  return next(count for count in range(most, 0, -1) if groups % count == 0)


def _spread(kernel, groups):
  """[k, k, c/g, f] -> [k, k, c, f] with zeros between groups."""
  split = kernel.reshape(*kernel.shape[:3], groups, -1)
  spread = jnp.einsum("hwcgf,ng->hwncgf", split, jnp.eye(groups, dtype=kernel.dtype))
  return spread.reshape(*kernel.shape[:2], -1, kernel.shape[-1])


# As in convolution.py the derivatives are stated, so that those of any order are made of these
# functions: each of the three is linear in both of its arrays, and the other two are its adjoints.


def _adjoint(kernel, groups):
  """The kernel of the convolution that is the adjoint in the images: turned, its ends swapped."""
  split = kernel[::-1, ::-1].reshape(*kernel.shape[:3], groups, -1)
  return split.transpose(0, 1, 4, 3, 2).reshape(*kernel.shape[:2], split.shape[-1], -1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _kernel_gradient(images, cotangent, shape, groups):
  """The gradient of <cotangent, grouped_conv(images, kernel)> in a kernel of that shape."""

  def of_form(form):
    def gradient(images, cotangent, groups):
      kernel = jnp.zeros(shape, images.dtype)
      (of_kernel,) = jax.vjp(lambda kernel: form(images, kernel, groups), kernel)[1](cotangent)
      return of_kernel

    return gradient

  return by_platform(of_form(_in_bundles), of_form(_plain), images, cotangent, groups)


def _conv_forward(images, kernel, groups):
  return grouped_conv(images, kernel, groups), (images, kernel)


def _conv_backward(groups, residuals, cotangent):
  images, kernel = residuals
  gradient = _kernel_gradient(images, cotangent, kernel.shape, groups)
  return grouped_conv(cotangent, _adjoint(kernel, groups), groups), gradient


def _gradient_forward(images, cotangent, shape, groups):
  return _kernel_gradient(images, cotangent, shape, groups), (images, cotangent)


def _gradient_backward(shape, groups, residuals, kernel):
  images, cotangent = residuals
  of_images = grouped_conv(cotangent, _adjoint(kernel, groups), groups)
  return of_images, grouped_conv(images, kernel, groups)


grouped_conv.defvjp(_conv_forward, _conv_backward)
_kernel_gradient.defvjp(_gradient_forward, _gradient_backward)


class GroupedConv(nn.Module):
  """Convolution in groups, with stride 1 and a bias that starts at 0.

  Attributes:
    features: channels of the outputs.
    groups: a divisor of the channels of inputs and outputs.
    kernel_init: initialiser of the kernel [k, k, c/groups, features].
    kernel_size: k, odd.
  """

  features: int
  groups: int
  kernel_init: Callable[..., Array]
  kernel_size: int = 3
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, images: Float[Array, "b h w c"]) -> Float[Array, "b h w f"]:
    channels, size = images.shape[-1], self.kernel_size
    _check(channels, self.features, self.groups)
    shape = size, size, channels // self.groups, self.features
    kernel = self.param("kernel", self.kernel_init, shape).astype(self.dtype)
    bias = self.param("bias", nn.initializers.zeros, (self.features,)).astype(self.dtype)
    return grouped_conv(images.astype(self.dtype), kernel, self.groups) + bias.reshape(1, 1, 1, -1)
