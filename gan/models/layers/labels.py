"""Class labels in the two players."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gan.models.layers.linear import Dense, Embed
from gan.networks import Outputs

FEATURES = ("features", "last_weight")  # of Outputs: what `told` tells of the last layer
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
  outputs: tuple[str, ...] = (),
  **options: Any,
) -> Float[Array, " b"] | Outputs:
  """Returns a linear logit and what the label adds to it, by layers of the module that calls this.

  Args:
    features: [B, n], float32.
    labels: [B], or None without classes.
    num_classes: 0 for none.
    head: whether the classes are predicted (AC-GAN), in Outputs, and not projected on.
    use_bias: of the logit.
    outputs: as of `told`.
    **options: `kernel_init` and `spectral` of all layers.
  """
  last = Dense(1, use_bias=use_bias, name="logit", **options)
  logits, class_logits = last(features)[:, 0], None
  if num_classes and head:
    class_logits = Dense(num_classes, name="classes", **options)(features)
  elif num_classes:
    init, spectral = options["kernel_init"], options["spectral"]
    project = ProjectionLogit(num_classes, init, spectral, name="projection")
    logits = logits + project(features, labels)
  return told(logits, features, last, outputs, class_logits)


def told(
  logits: Float[Array, " b"],
  features: Float[Array, "b n"],
  last: Dense,
  outputs: tuple[str, ...],
  class_logits: Float[Array, "b classes"] | None = None,
) -> Float[Array, " b"] | Outputs:
  """Returns logits, or Outputs with what was asked for beside them.

  Args:
    logits: [B].
    features: [B, n], of which the last layer makes them.
    last: that layer, which was called.
    outputs: what was asked for, of FEATURES.
    class_logits: [B, classes], or None.
  """
  found = {} if class_logits is None else {"class_logits": class_logits}
  if "features" in outputs:
    found["features"] = features.astype(jnp.float32)
  if "last_weight" in outputs:
    found["last_weight"] = last.weight()[:, 0]
  return Outputs(logits, **found) if found else logits


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
