"""The networks of PacGAN's mixtures: four ReLU layers with batch statistics against three maxouts.

See "PacGAN: The power of two samples in generative adversarial networks" by Lin, Khetan, Fanti and
Oh (https://arxiv.org/abs/1712.04086); sizes, initialisers and momentum from the authors'
`synthetic_data_experiments` (https://github.com/fjxmlzn/PacGAN).
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gan.models.goodfellow import maxout
from gan.models.layers import PROJECTION, Dense, LabelledLatents, Norm, ProjectionLogit, told
from gan.models.spec import ModelSpec, require_points, to_networks
from gan.networks import Network, Outputs

INIT = nn.initializers.normal(0.02)
PIECES = 5


class Generator(nn.Module):
  """Latents [B, Z] -> four times batch norm and ReLU of 400 units -> points [B, d]."""

  dimensions: int
  num_classes: int = 0
  axis_name: Any = ()
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, latents: Float[Array, "b z"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, "b d"]:
    hidden = LabelledLatents(self.num_classes)(latents, labels)
    for _ in range(4):
      hidden = Dense(400, use_bias=False, kernel_init=INIT, dtype=self.dtype)(hidden)
      norm = Norm("batch", axis_name=self.axis_name, momentum=0.95, dtype=self.dtype)
      hidden = jax.nn.relu(norm(hidden, train=train))
    return Dense(self.dimensions, kernel_init=INIT, dtype=self.dtype)(hidden).astype(jnp.float32)


class Discriminator(nn.Module):
  """Points [B, d] -> three times maxout of 200 units of five pieces -> logits [B]."""

  num_classes: int = 0
  dtype: Any = jnp.float32
  outputs: tuple[str, ...] = ()

  @nn.compact
  def __call__(
    self, points: Float[Array, "b d"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, " b"] | Outputs:
    del train
    hidden = points
    for _ in range(3):
      pieces = Dense(200 * PIECES, kernel_init=INIT, dtype=self.dtype)(hidden)
      hidden = maxout(pieces.reshape(-1, 200, PIECES))
    last = Dense(1, kernel_init=INIT, dtype=self.dtype)
    logits = last(hidden)[:, 0].astype(jnp.float32)
    if self.num_classes:
      logits = logits + ProjectionLogit(self.num_classes, name=PROJECTION)(hidden, labels)
    return told(logits, hidden, last, self.outputs)


def build(spec: ModelSpec) -> tuple[Network, Network]:
  """Returns (generator, discriminator) for points of any dimension.

  Raises:
    UserError: the data are images, or an option is given that these networks do not have.
  """
  require_points("pacgan", spec)
  shared = {"num_classes": spec.num_classes, "dtype": spec.dtype}
  generator = Generator(spec.image_shape[0], axis_name=spec.axis_name, **shared)
  return to_networks(generator, Discriminator(**shared), spec)
