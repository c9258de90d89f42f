"""Residual blocks that double or halve the side of images.

See "cGANs with Projection Discriminator" by Miyato and Koyama (https://arxiv.org/abs/1802.05637).
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gan.models.layers.linear import Conv
from gan.models.layers.norms import Norm
from gan.models.layers.resampling import mean_pool, nearest_up


class UpBlock(nn.Module):
  """Maps [B, h, w, c] -> [B, 2h, 2w, features].

  Attributes:
    features: channels of the result, and of those between the convolutions.
    kernel_init: of convolutions of 3x3.
    pixel_init: of the shortcut's, of single pixels.
    norm: makes a layer of normalisation, which is called with the condition where there is one.
    spectral: of convolutions, as of Dense.
  """

  features: int
  kernel_init: Callable[..., Array]
  pixel_init: Callable[..., Array]
  norm: Callable[[], nn.Module] = functools.partial(Norm, "batch")
  spectral: int = 0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w c"], condition: Array | None = None, *, train: bool
  ) -> Float[Array, "b p q f"]:
    def norm_relu(hidden):
      given = () if condition is None else (condition,)
      return jax.nn.relu(self.norm()(hidden, *given, train=train))

    options = {"stride": 1, "dtype": self.dtype, "spectral": self.spectral}
    conv = functools.partial(Conv, self.features, **options)
    hidden = nearest_up(norm_relu(images))
    hidden = norm_relu(conv(kernel_size=3, kernel_init=self.kernel_init)(hidden))
    hidden = conv(kernel_size=3, kernel_init=self.kernel_init)(hidden)
    # A kernel of one pixel commutes with the repetition of pixels, at a quarter of the work.
    return hidden + nearest_up(conv(kernel_size=1, kernel_init=self.pixel_init)(images))


class DownBlock(nn.Module):
  """Maps [B, h, w, c] -> [B, h, w, features], or half the sides.

  Attributes:
    features: channels of the result; those between the convolutions are c, or `features` in the
      first block.
    kernel_init, pixel_init, spectral: as of UpBlock.
    down: whether the sides are halved.
    first: whether the inputs are images: there is no norm, and no activation before.
    norm: makes a layer of normalisation.
  """

  features: int
  kernel_init: Callable[..., Array]
  pixel_init: Callable[..., Array]
  down: bool
  first: bool = False
  norm: Callable[[], nn.Module] = functools.partial(Norm, "none")
  spectral: int = 0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, images: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b p q f"]:
    def norm_relu(hidden):
      return jax.nn.relu(hidden if self.first else self.norm()(hidden, train=train))

    conv = functools.partial(Conv, stride=1, dtype=self.dtype, spectral=self.spectral)
    between = self.features if self.first else images.shape[-1]
    hidden = images if self.first else norm_relu(images)
    hidden = norm_relu(conv(between, 3, kernel_init=self.kernel_init)(hidden))
    hidden = conv(self.features, 3, kernel_init=self.kernel_init)(hidden)
    if not self.down and images.shape[-1] == self.features:
      return images + hidden
    pool = mean_pool if self.down else lambda same: same
    # A kernel of one pixel commutes with the mean of pixels, at a quarter of the work.
    return pool(hidden) + conv(self.features, 1, kernel_init=self.pixel_init)(pool(images))
