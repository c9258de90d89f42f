"""The small network on which "Are GANs Created Equal?" compares losses.

See Lucic et al. (https://arxiv.org/abs/1711.10337), who take it from InfoGAN (Chen et al.,
https://arxiv.org/abs/1606.03657); sizes from https://github.com/google/compare_gan.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gan.errors import UserError
from gan.models.layers import (
  PROJECTION,
  Conv,
  Dense,
  LabelledLatents,
  Norm,
  ProjectionLogit,
  leaky_relu,
  told,
)
from gan.models.spec import ModelSpec, of_spec, require_images, to_networks
from gan.networks import Network, Outputs

INIT = nn.initializers.normal(0.02)


class Generator(nn.Module):
  """Latents -> dense 16 `width` -> dense H/4 x W/4 x 2 `width` -> `width` -> images in (0, 1)."""

  image_shape: tuple[int, ...]
  width: int = 64
  num_classes: int = 0
  dtype: Any = jnp.float32
  axis_name: Any = ()

  @nn.compact
  def __call__(
    self, latents: Float[Array, "b z"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, "b h w c"]:
    def norm_lrelu(hidden):
      norm = Norm("batch", axis_name=self.axis_name, dtype=self.dtype)
      return leaky_relu(norm(hidden, train=train))

    options = {"kernel_init": INIT, "dtype": self.dtype}
    side, channels = self.image_shape[0] // 4, self.image_shape[-1]
    inputs = LabelledLatents(self.num_classes)(latents, labels)
    hidden = norm_lrelu(Dense(16 * self.width, **options)(inputs))
    shape = (side, side, 2 * self.width)
    hidden = norm_lrelu(Dense(math.prod(shape), **options)(hidden)).reshape(-1, *shape)
    hidden = norm_lrelu(Conv(self.width, transpose=True, **options)(hidden))
    images = Conv(channels, transpose=True, **options)(hidden)
    return jax.nn.sigmoid(images.astype(jnp.float32))


class Discriminator(nn.Module):
  """Images -> `width` channels -> 2 `width` -> dense 16 `width` -> logits [B]; `norm` of NORMS."""

  norm: str = "batch"
  width: int = 64
  num_classes: int = 0
  dtype: Any = jnp.float32
  axis_name: Any = ()
  outputs: tuple[str, ...] = ()

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w c"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, " b"] | Outputs:
    def norm_lrelu(hidden):
      norm = Norm(self.norm, axis_name=self.axis_name, dtype=self.dtype)
      return leaky_relu(norm(hidden, train=train))

    options = {"kernel_init": INIT, "dtype": self.dtype}
    options |= {"spectral": int(self.norm == "spectral")}
    hidden = leaky_relu(Conv(self.width, **options)(images))
    hidden = norm_lrelu(Conv(2 * self.width, **options)(hidden))
    hidden = norm_lrelu(Dense(16 * self.width, **options)(hidden.reshape(hidden.shape[0], -1)))
    last = Dense(1, **options)
    logits = last(hidden)[:, 0].astype(jnp.float32)
    if self.num_classes:
      spectral = options["spectral"]
      project = ProjectionLogit(self.num_classes, spectral=spectral, name=PROJECTION)
      logits = logits + project(hidden, labels)
    return told(logits, hidden, last, self.outputs)


def build(spec: ModelSpec) -> tuple[Network, Network]:
  """Returns (generator, discriminator) for images in [0, 1] with sides divisible by 4.

  Args:
    spec: a `width` of 64, the default, is the source's; all layers are proportional to it.
  """
  require_images("infogan", spec)
  if spec.image_shape[0] % 4:
    raise UserError(
      f"`model=infogan` cannot make images of {spec.image_shape[0]}x{spec.image_shape[0]}: "
      "the side must be divisible by 4; set `image_size`, or take `model=mlp`, which makes any side"
    )
  shared = of_spec(spec) | {"width": spec.width or 64}
  norm = spec.discriminator_norm or "batch"
  return to_networks(Generator(spec.image_shape, **shared), Discriminator(norm, **shared), spec)
