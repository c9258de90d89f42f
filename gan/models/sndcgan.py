"""SNDCGAN: a DCGAN whose discriminator has convolutions of stride 1 between those of stride 2.

See "Spectral Normalization for Generative Adversarial Networks" by Miyato et al.
(https://arxiv.org/abs/1802.05957), appendix B.4, tables 3 and 4, and "A Large-Scale Study on
Regularization and Normalization in GANs" by Kurach et al. (https://arxiv.org/abs/1807.04720); sizes
and initialisers from https://github.com/google/compare_gan.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gan.errors import UserError
from gan.models.layers import PROJECTION, Conv, Dense, LabelledLatents, Norm, ProjectionLogit, told
from gan.models.spec import ModelSpec, require_images, to_networks
from gan.networks import Network, Outputs

INIT = nn.initializers.normal(0.02)


class Generator(nn.Module):
  """Latents [B, Z] -> dense to H/8 x W/8 -> three transposed convolutions -> images in (-1, 1).

  Attributes:
    image_shape: (H, W, C).
    width: channels of the last hidden layer; 4, 2 and 1 times as many are those of the hidden ones.
    flat_norm: whether the dense layer's statistics are of each unit, or of each channel.
  """

  image_shape: tuple[int, ...]
  width: int = 64
  flat_norm: bool = True
  num_classes: int = 0
  dtype: Any = jnp.float32
  axis_name: Any = ()

  @nn.compact
  def __call__(
    self, latents: Float[Array, "b z"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, "b h w c"]:
    def norm_relu(hidden):
      norm = Norm("batch", axis_name=self.axis_name, dtype=self.dtype)
      return jax.nn.relu(norm(hidden, train=train))

    options = {"kernel_init": INIT, "dtype": self.dtype}
    side, channels = self.image_shape[0] // 8, 8 * self.width
    inputs = LabelledLatents(self.num_classes)(latents, labels)
    hidden = Dense(side * side * channels, **options)(inputs)
    shape = (-1, side, side, channels)
    hidden = norm_relu(hidden if self.flat_norm else hidden.reshape(shape)).reshape(shape)
    for factor in (4, 2, 1):
      hidden = norm_relu(Conv(factor * self.width, transpose=True, **options)(hidden))
    images = Conv(self.image_shape[-1], 3, 1, **options)(hidden)
    return jnp.tanh(images.astype(jnp.float32))


class Discriminator(nn.Module):
  """Images -> convolutions of 3x3 and of 4x4 with stride 2 in turn -> dense -> logits [B].

  Attributes:
    width: channels of the first layer; 2, 4 and 8 times as many follow.
    norm: one of NORMS; not of the first layer unless it is of weights.
  """

  width: int = 64
  norm: str = "spectral"
  num_classes: int = 0
  dtype: Any = jnp.float32
  axis_name: Any = ()
  outputs: tuple[str, ...] = ()

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w c"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, " b"] | Outputs:
    def layer(hidden, factor, stride, kind):
      conv = Conv(factor * self.width, 4 if stride == 2 else 3, stride, **options)
      norm = Norm(kind, axis_name=self.axis_name, dtype=self.dtype)
      return jax.nn.leaky_relu(norm(conv(hidden), train=train), 0.1)

    spectral = int(self.norm == "spectral")
    options = {"kernel_init": INIT, "dtype": self.dtype, "spectral": spectral}
    hidden = layer(images, 1, 1, "none")
    for factor in (2, 4, 8):
      hidden = layer(layer(hidden, factor, 2, self.norm), factor, 1, self.norm)
    hidden = hidden.reshape(hidden.shape[0], -1)
    last = Dense(1, **options)
    logits = last(hidden)[:, 0].astype(jnp.float32)
    if self.num_classes:
      project = ProjectionLogit(self.num_classes, INIT, spectral, name=PROJECTION)
      logits = logits + project(hidden, labels)
    return told(logits, hidden, last, self.outputs)


def build(spec: ModelSpec, *, flat_norm: bool = True) -> tuple[Network, Network]:
  """Returns (generator, discriminator) for square images whose side is a multiple of 8.

  Args:
    spec: `width`, 64, are the channels of the ends near the images; `discriminator_norm` is
      spectral by default.
    flat_norm: whether the generator's first batch statistics are of each unit, or of each channel.

  Raises:
    UserError: the side does not fit.
  """
  require_images("sndcgan", spec)
  if (size := spec.image_shape[0]) % 8:
    raise UserError(
      f"`model=sndcgan` cannot make images of {size}x{size}: the side must be divisible by 8; set "
      "`image_size`, or take `model=resnet`, which makes any multiple of 4"
    )
  shared = {"width": spec.width or 64, "num_classes": spec.num_classes}
  shared |= {"dtype": spec.dtype, "axis_name": spec.axis_name}
  return to_networks(
    Generator(spec.image_shape, flat_norm=flat_norm, **shared),
    Discriminator(norm=spec.discriminator_norm or "spectral", **shared),
    spec,
  )
