"""Residual networks of SNGAN, of cGANs with a projection discriminator, and of WGAN-GP.

See "Spectral Normalization for Generative Adversarial Networks" by Miyato et al.
(https://arxiv.org/abs/1802.05957), "cGANs with Projection Discriminator" by Miyato and Koyama
(https://arxiv.org/abs/1802.05637), sizes and initialisers from
https://github.com/pfnet-research/sngan_projection, and "Improved Training of Wasserstein GANs" by
Gulrajani et al. (https://arxiv.org/abs/1704.00028), from
https://github.com/igul222/improved_wgan_training. The uniform "He" initialiser of the latter is the
Glorot initialiser times sqrt 2 of the former.

Theirs by the options of `build`, for images of 32 pixels and latents of 128 numbers:

* SNGAN: the defaults;
* SNGAN at 64 pixels: `width=64`, `logit_bias=True`;
* WGAN-GP: `generator_scale=1`, `discriminator_norm=none`, `pooling=mean`, `logit_bias=True`.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gan.errors import UserError
from gan.models.layers import (
  ConditionalNorm,
  Conv,
  Dense,
  LabelledLatents,
  Norm,
  ProjectionLogit,
  mean_pool,
  nearest_up,
)
from gan.models.spec import ModelSpec, require_choice, require_images, to_networks
from gan.networks import Network, Outputs

GLOROT = nn.initializers.glorot_uniform()
GLOROT_2 = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")  # sqrt 2 times as wide
EPSILON = 2e-5  # Chainer's, in batch normalisation
CHANNELS = ("constant", "doubling")
POOLING = {"sum": jnp.sum, "mean": jnp.mean}


class UpBlock(nn.Module):
  """Maps [B, h, w, c] -> [B, 2h, 2w, features]; norms have the labels where they have classes."""

  features: int
  norm_classes: int = 0
  dtype: Any = jnp.float32
  axis_name: Any = ()

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w c"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, "b p q f"]:
    def norm_relu(hidden):
      options = {"axis_name": self.axis_name, "dtype": self.dtype, "epsilon": EPSILON}
      if not self.norm_classes:
        return jax.nn.relu(Norm("batch", **options)(hidden, train=train))
      return jax.nn.relu(ConditionalNorm(self.norm_classes, **options)(hidden, labels, train=train))

    conv = functools.partial(Conv, self.features, stride=1, dtype=self.dtype)
    hidden = nearest_up(norm_relu(images))
    hidden = norm_relu(conv(kernel_size=3, kernel_init=GLOROT_2)(hidden))
    hidden = conv(kernel_size=3, kernel_init=GLOROT_2)(hidden)
    # A kernel of one pixel commutes with the repetition of pixels, at a quarter of the work.
    return hidden + nearest_up(conv(kernel_size=1, kernel_init=GLOROT)(images))


class Generator(nn.Module):
  """Latents [B, Z] -> dense -> blocks that double the side -> images in (-1, 1).

  Attributes:
    image_shape: (H, W, C); H is divisible by 2^n where there are n + 1 channels.
    channels: of the projected latent, and of every block.
    num_classes: of labels that are given; 0 for none.
    by_norm: whether norms have the labels, and not the latents.
  """

  image_shape: tuple[int, ...]
  channels: tuple[int, ...]
  num_classes: int = 0
  by_norm: bool = False
  dtype: Any = jnp.float32
  axis_name: Any = ()

  @nn.compact
  def __call__(
    self, latents: Float[Array, "b z"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, "b h w c"]:
    shared = {"dtype": self.dtype, "axis_name": self.axis_name}
    first, *others = self.channels
    side = self.image_shape[0] // 2 ** len(others)
    inputs = LabelledLatents(0 if self.by_norm else self.num_classes)(latents, labels)
    hidden = Dense(side * side * first, kernel_init=GLOROT, dtype=self.dtype)(inputs)
    hidden = hidden.reshape(-1, side, side, first)
    norm_classes = self.num_classes if self.by_norm else 0
    for features in others:
      hidden = UpBlock(features, norm_classes, **shared)(hidden, labels, train=train)
    hidden = jax.nn.relu(Norm("batch", epsilon=EPSILON, **shared)(hidden, train=train))
    last = Conv(self.image_shape[-1], 3, 1, kernel_init=GLOROT, dtype=self.dtype)
    return jnp.tanh(last(hidden).astype(jnp.float32))


class DownBlock(nn.Module):
  """Maps [B, h, w, c] -> [B, h, w, features], or half the sides.

  Attributes:
    features: channels of the result; those between the convolutions are c, or `features` in the
      first block.
    down: whether the sides are halved.
    first: whether the inputs are images: there is no norm, and no activation before.
    norm: one of NORMS.
  """

  features: int
  down: bool
  first: bool = False
  norm: str = "spectral"
  dtype: Any = jnp.float32
  axis_name: Any = ()

  @nn.compact
  def __call__(self, images: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b p q f"]:
    def norm_relu(hidden):
      kind = "none" if self.first else self.norm
      norm = Norm(kind, axis_name=self.axis_name, dtype=self.dtype, epsilon=EPSILON)
      return jax.nn.relu(norm(hidden, train=train))

    spectral = int(self.norm == "spectral")
    conv = functools.partial(Conv, stride=1, dtype=self.dtype, spectral=spectral)
    between = self.features if self.first else images.shape[-1]
    hidden = images if self.first else norm_relu(images)
    hidden = norm_relu(conv(between, 3, kernel_init=GLOROT_2)(hidden))
    hidden = conv(self.features, 3, kernel_init=GLOROT_2)(hidden)
    if not self.down and images.shape[-1] == self.features:
      return images + hidden
    pool = mean_pool if self.down else lambda same: same
    # A kernel of one pixel commutes with the mean of pixels, at a quarter of the work.
    return pool(hidden) + conv(self.features, 1, kernel_init=GLOROT)(pool(images))


class Discriminator(nn.Module):
  """Images [B, H, W, C] -> blocks -> ReLU -> sum or mean over pixels -> logits [B], or Outputs.

  Attributes:
    channels: of every block.
    downs: of every block, whether it halves the side.
    norm: one of NORMS.
    pooling: one of POOLING.
    logit_bias: whether the logit has a bias.
    num_classes: of labels that are given; 0 for none.
    head: whether the classes are predicted (AC-GAN) and not projected on.
  """

  channels: tuple[int, ...]
  downs: tuple[bool, ...]
  norm: str = "spectral"
  pooling: str = "sum"
  logit_bias: bool = False
  num_classes: int = 0
  head: bool = False
  dtype: Any = jnp.float32
  axis_name: Any = ()

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w c"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, " b"] | Outputs:
    shared = {"norm": self.norm, "dtype": self.dtype, "axis_name": self.axis_name}
    hidden = images
    for place, (features, down) in enumerate(zip(self.channels, self.downs, strict=True)):
      hidden = DownBlock(features, down, first=place == 0, **shared)(hidden, train=train)
    hidden = jax.nn.relu(hidden).astype(jnp.float32)
    hidden = POOLING[self.pooling](hidden, axis=(1, 2))
    options = {"kernel_init": GLOROT, "spectral": int(self.norm == "spectral")}
    logits = Dense(1, use_bias=self.logit_bias, name="logit", **options)(hidden)[:, 0]
    if not self.num_classes:
      return logits
    if self.head:
      return Outputs(logits, Dense(self.num_classes, name="classes", **options)(hidden))
    project = ProjectionLogit(self.num_classes, GLOROT, options["spectral"], name="projection")
    return logits + project(hidden, labels)


def build(
  spec: ModelSpec,
  *,
  generator_scale: int = 0,
  resnet_channels: str = "",
  pooling: str = "sum",
  logit_bias: bool = False,
) -> tuple[Network, Network]:
  """Returns (generator, discriminator) for square images whose side is a multiple of 4, from 8 on.

  The generator doubles a side of at least 4 that is odd or below 8: 28 is 7 doubled twice, 32 is 4
  doubled three times. With labels it has them beside the latents (concat, projection) or in its
  norms (cbn+projection, acgan), and the discriminator projects on them or, for acgan, predicts
  them.

  Args:
    spec: `width` are the channels of the discriminator's first block, 128, or 64 where they double;
      `discriminator_norm` is spectral by default, as in SNGAN.
    generator_scale: channels of the generator over those of the discriminator; 0 for 2, or 1 where
      they double.
    resnet_channels: "constant", with the discriminator's blocks halving the side twice and leaving
      it twice; or "doubling", each block with twice the channels at half the side; "" for constant
      below 64 pixels.
    pooling: over the last pixels, "sum" or "mean".
    logit_bias: whether the logit has a bias.

  Raises:
    UserError: an option is not one of its choices, a scale below 0, or the side does not fit.
  """
  require_images("resnet", spec)
  require_choice("pooling", pooling, POOLING)
  size = spec.image_shape[0]
  form = resnet_channels or ("constant" if size < 64 else "doubling")
  require_choice("resnet_channels", form, CHANNELS)
  if generator_scale < 0:
    raise UserError(f"`generator_scale={generator_scale}` must be above 0, or 0 for the default")
  doublings = _doublings(size)
  if form == "constant":
    width = spec.width or 128
    generator = ((generator_scale or 2) * width,) * (doublings + 1)
    discriminator, downs = (width,) * 4, (True, True, False, False)
  else:
    width = spec.width or 64
    powers = [2**power for power in range(doublings + 1)]
    generator = tuple((generator_scale or 1) * width * power for power in reversed(powers))
    discriminator = tuple(width * power for power in powers)
    downs = tuple(size % (2 * power) == 0 for power in powers)
  shared = {"num_classes": spec.num_classes, "dtype": spec.dtype, "axis_name": spec.axis_name}
  return to_networks(
    Generator(
      spec.image_shape,
      generator,
      by_norm=spec.conditioning in ("cbn+projection", "acgan"),
      **shared,
    ),
    Discriminator(
      discriminator,
      downs,
      norm=spec.discriminator_norm or "spectral",
      pooling=pooling,
      logit_bias=logit_bias,
      head=spec.conditioning == "acgan",
      **shared,
    ),
    spec,
    joint=spec.discriminator_norm in ("none", "layer"),
  )


def _doublings(size):
  """How often the generator doubles its first side."""
  if size < 8 or size % 4:
    raise UserError(
      f"`model=resnet` cannot make images of {size}x{size}: the side must be a multiple of 4, from "
      "8 on; set `image_size`, or take `model=mlp`, which makes any side"
    )
  count = 0
  while size % 2 == 0 and size >= 8:
    size, count = size // 2, count + 1
  return count
