"""The networks of the first GAN paper on MNIST: ReLU against maxout with dropout.

See "Generative Adversarial Nets" by Goodfellow et al. (https://arxiv.org/abs/1406.2661); sizes,
initialisers and dropout from the authors' `mnist.yaml` (https://github.com/goodfeli/adversarial).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gan.models.layers import PROJECTION, Dense, Dropout, LabelledLatents, ProjectionLogit, told
from gan.models.spec import ModelSpec, require_images, to_networks
from gan.networks import Network, Outputs


def symmetric_uniform(bound: float):
  """Initialiser U(-bound, bound), the `irange` of the authors' library."""

  def init(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, minval=-bound, maxval=bound)

  return init


def marginal_logits(pixel_mean: np.ndarray | None):
  """Initialiser of the output bias: the logit of each pixel's mean over the data; zeros without."""

  def init(key, shape, dtype=jnp.float32):
    if pixel_mean is None:
      return jnp.zeros(shape, dtype)
    mean = np.clip(np.asarray(pixel_mean, np.float64).reshape(shape), 1e-7, 1 - 1e-7)
    return jnp.asarray(np.log(mean) - np.log1p(-mean), dtype)

  return init


def maxout(pieces: Float[Array, "b units k"]) -> Float[Array, "b units"]:
  """The greatest of the k pieces of each unit.

  By pairs: the gradient of `jnp.max` divides by the number of pieces that equal the maximum, and
  that is 0, the gradient NaN, where XLA computes the pieces again with another rounding.
  """
  return functools.reduce(jnp.maximum, jnp.moveaxis(pieces, -1, 0))


class Generator(nn.Module):
  """Latents [B, Z] -> ReLU 1200 -> ReLU 1200 -> images in (0, 1)."""

  image_shape: tuple[int, ...]
  bias_init: Any
  num_classes: int = 0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, latents: Float[Array, "b z"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, "b h w c"]:
    del train
    init = symmetric_uniform(0.05)
    hidden = LabelledLatents(self.num_classes)(latents, labels)
    for _ in range(2):
      hidden = jax.nn.relu(Dense(1200, kernel_init=init, dtype=self.dtype)(hidden))
    size = int(np.prod(self.image_shape))
    outputs = Dense(size, kernel_init=init, bias_init=self.bias_init, dtype=self.dtype)(hidden)
    return jax.nn.sigmoid(outputs.astype(jnp.float32)).reshape(-1, *self.image_shape)


class Discriminator(nn.Module):
  """Images -> maxout 240 x 5 -> maxout 240 x 5 -> logits [B].

  Dropout keeps .8 of the pixels and half of each hidden layer.
  """

  num_classes: int = 0
  dtype: Any = jnp.float32
  outputs: tuple[str, ...] = ()

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w c"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, " b"] | Outputs:
    init = symmetric_uniform(0.005)
    hidden = images.reshape(images.shape[0], -1)
    for rate in (0.2, 0.5):
      hidden = Dropout(rate)(hidden, train=train)
      pieces = Dense(240 * 5, kernel_init=init, dtype=self.dtype)(hidden)
      hidden = maxout(pieces.reshape(-1, 240, 5))
    hidden = Dropout(0.5)(hidden, train=train)
    last = Dense(1, kernel_init=init, dtype=self.dtype)
    logits = last(hidden)[:, 0].astype(jnp.float32)
    if self.num_classes:
      logits = logits + ProjectionLogit(self.num_classes, name=PROJECTION)(hidden, labels)
    return told(logits, hidden, last, self.outputs)


def build(spec: ModelSpec) -> tuple[Network, Network]:
  """Returns (generator, discriminator) for images in [0, 1] of any size."""
  require_images("goodfellow", spec)
  shared = {"num_classes": spec.num_classes, "dtype": spec.dtype}
  generator = Generator(spec.image_shape, marginal_logits(spec.pixel_mean), **shared)
  return to_networks(generator, Discriminator(**shared), spec)
