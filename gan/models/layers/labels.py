"""Class labels in the two players."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gan.models.layers.linear import Dense, Embed
from gan.networks import Outputs

PROJECTION = "ClassScore_0"  # of ProjectionLogit in the parameters: checkpoints have this name


class ProjectionLogit(nn.Module):
  """<embedding(label), features>, the part of a conditional discriminator's logit with the label.

  See "cGANs with Projection Discriminator" by Miyato and Koyama (https://arxiv.org/abs/1802.05637).

  Attributes:
    num_classes: rows of the embedding.
    embedding_init: its initialiser; None for N(0, 1 / features).
    spectral: as of Dense.
  """

  num_classes: int
  embedding_init: Callable[..., Array] | None = None
  spectral: int = 0

  @nn.compact
  def __call__(self, features: Float[Array, "b n"], labels: Int[Array, " b"]) -> Float[Array, " b"]:
    width = features.shape[-1]
    init = self.embedding_init or nn.initializers.normal(width**-0.5)
    embed = Embed(self.num_classes, width, embedding_init=init, spectral=self.spectral)
    return jnp.sum(embed(labels) * features.astype(jnp.float32), axis=-1)


def judged(
  features: Float[Array, "b n"],
  labels: Int[Array, " b"] | None,
  num_classes: int,
  *,
  head: bool,
  use_bias: bool = True,
  **options: Any,
) -> Float[Array, " b"] | Outputs:
  """Returns a linear logit and what the label adds to it, by layers of the module that calls this.

  Args:
    features: [B, n], float32.
    labels: [B], or None without classes.
    num_classes: 0 for none.
    head: whether the classes are predicted (AC-GAN), in Outputs, and not projected on.
    use_bias: of the logit.
    **options: `kernel_init` and `spectral` of all layers.
  """
  logits = Dense(1, use_bias=use_bias, name="logit", **options)(features)[:, 0]
  if not num_classes:
    return logits
  if head:
    return Outputs(logits, Dense(num_classes, name="classes", **options)(features))
  init, spectral = options["kernel_init"], options["spectral"]
  return logits + ProjectionLogit(num_classes, init, spectral, name="projection")(features, labels)


class LabelledLatents(nn.Module):
  """Joins an embedding of the label to each latent; without labels the latents as they are."""

  num_classes: int
  features: int = 32

  @nn.compact
  def __call__(
    self, latents: Float[Array, "b z"], labels: Int[Array, " b"] | None
  ) -> Float[Array, "b n"]:
    if not self.num_classes:
      return latents
    # Small beside the latents: where labels vary as much as latents do, batch normalisation is
    # content with the labels' variance, and the generator draws one image a class.
    small = nn.initializers.normal(0.1)
    embed = Embed(self.num_classes, self.features, small)
    return jnp.concatenate([latents, embed(labels)], axis=-1)
