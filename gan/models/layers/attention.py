"""Attention between the pixels of an image."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gan.models.layers.linear import Conv
from gan.models.layers.resampling import max_pool


class SelfAttention(nn.Module):
  """x + gain conv1(softmax(Q K^T) V), the identity at first: the gain, one number, starts at 0.

  Q are C / 8 features of each pixel; K, as many, and V, C / 2, are those of blocks of two by two
  pixels, their maxima. Products are not divided by the root of their length. The weights are
  float32.

  See "Self-Attention Generative Adversarial Networks" by Zhang et al.
  (https://arxiv.org/abs/1805.08318), in the form of its code, which BigGAN has too: the paper's
  text has neither the maxima nor C / 2.

  Attributes:
    kernel_init: of the four convolutions of single pixels, which have no bias.
    spectral: of these, as of Dense.
  """

  kernel_init: Callable[..., Array]
  spectral: int = 0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, images: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    batch, height, width, channels = images.shape
    options = {"stride": 1, "use_bias": False, "kernel_init": self.kernel_init}
    options |= {"spectral": self.spectral, "dtype": self.dtype}
    few, half = max(1, channels // 8), max(1, channels // 2)
    queries = Conv(few, 1, name="query", **options)(images).reshape(batch, -1, few)
    keys = max_pool(Conv(few, 1, name="key", **options)(images)).reshape(batch, -1, few)
    values = max_pool(Conv(half, 1, name="value", **options)(images)).reshape(batch, -1, half)
    scores = jnp.einsum("bqf,bkf->bqk", queries, keys, preferred_element_type=jnp.float32)
    weights = jax.nn.softmax(scores, axis=-1).astype(self.dtype)
    mixed = jnp.einsum("bqk,bkf->bqf", weights, values).reshape(batch, height, width, half)
    gain = self.param("gain", nn.initializers.zeros, ()).astype(self.dtype)
    return images + gain * Conv(channels, 1, name="output", **options)(mixed)
