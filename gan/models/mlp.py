"""The fully connected GAN of introductions: 256-512-1024 against 1024-512-256.

Sizes, LeakyReLU .2, dropout .3 and PyTorch's initialisers are those of the notebooks
https://github.com/diegoalejogm/gans and https://github.com/s-abdullah/FirstGAN.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gan.models.layers import (
  PROJECTION,
  Dense,
  Dropout,
  LabelledLatents,
  ProjectionLogit,
  leaky_relu,
  told,
)
from gan.models.spec import ModelSpec, require_images, to_networks
from gan.networks import Network, Outputs


class Generator(nn.Module):
  """Latents [B, Z] -> images [B, *image_shape]; `output` maps the last layer to the image range."""

  image_shape: tuple[int, ...]
  features: tuple[int, ...] = (256, 512, 1024)
  activation: Callable[..., Array] = leaky_relu
  output: Callable[..., Array] = jnp.tanh
  num_classes: int = 0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, latents: Float[Array, "b z"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, "b ..."]:
    del train
    hidden = LabelledLatents(self.num_classes)(latents, labels)
    for features in self.features:
      hidden = self.activation(Dense(features, dtype=self.dtype)(hidden))
    outputs = Dense(int(np.prod(self.image_shape)), dtype=self.dtype)(hidden)
    return self.output(outputs.astype(jnp.float32)).reshape(-1, *self.image_shape)


class Discriminator(nn.Module):
  """Images [B, *image_shape] -> logits [B]."""

  features: tuple[int, ...] = (1024, 512, 256)
  activation: Callable[..., Array] = leaky_relu
  dropout: float = 0.3
  num_classes: int = 0
  dtype: Any = jnp.float32
  outputs: tuple[str, ...] = ()

  @nn.compact
  def __call__(
    self, images: Float[Array, "b ..."], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, " b"] | Outputs:
    hidden = images.reshape(images.shape[0], -1)
    for features in self.features:
      hidden = self.activation(Dense(features, dtype=self.dtype)(hidden))
      hidden = Dropout(self.dropout)(hidden, train=train)
    last = Dense(1, dtype=self.dtype)
    logits = last(hidden)[:, 0].astype(jnp.float32)
    if self.num_classes:
      logits = logits + ProjectionLogit(self.num_classes, name=PROJECTION)(hidden, labels)
    return told(logits, hidden, last, self.outputs)


def build(spec: ModelSpec) -> tuple[Network, Network]:
  """Returns (generator, discriminator) for images of any size and number of channels."""
  require_images("mlp", spec)
  shared = {"num_classes": spec.num_classes, "dtype": spec.dtype}
  return to_networks(Generator(spec.image_shape, **shared), Discriminator(**shared), spec)
