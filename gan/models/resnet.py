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
  DownBlock,
  LabelledLatents,
  Norm,
  UpBlock,
  judged,
)
from gan.models.spec import (
  ModelSpec,
  conditioned,
  doublings,
  of_spec,
  require_choice,
  require_images,
  to_networks,
)
from gan.networks import Network, Outputs

GLOROT = nn.initializers.glorot_uniform()
GLOROT_2 = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")  # sqrt 2 times as wide
EPSILON = 2e-5  # Chainer's, in batch normalisation
CHANNELS = ("constant", "doubling")
POOLING = {"sum": jnp.sum, "mean": jnp.mean}


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
    first, *others = self.channels
    side = self.image_shape[0] // 2 ** len(others)
    inputs = LabelledLatents(0 if self.by_norm else self.num_classes)(latents, labels)
    hidden = Dense(side * side * first, kernel_init=GLOROT, dtype=self.dtype)(inputs)
    hidden = hidden.reshape(-1, side, side, first)
    shared = {"axis_name": self.axis_name, "dtype": self.dtype, "epsilon": EPSILON}
    plain = functools.partial(Norm, "batch", **shared)
    conditional = functools.partial(ConditionalNorm, self.num_classes, **shared)
    norm = conditional if self.by_norm and self.num_classes else plain
    condition = labels if norm is conditional else None
    for features in others:
      block = UpBlock(features, GLOROT_2, GLOROT, norm, dtype=self.dtype)
      hidden = block(hidden, condition, train=train)
    hidden = jax.nn.relu(plain()(hidden, train=train))
    last = Conv(self.image_shape[-1], 3, 1, kernel_init=GLOROT, dtype=self.dtype)
    return jnp.tanh(last(hidden).astype(jnp.float32))


class Discriminator(nn.Module):
  """Images [B, H, W, C] -> blocks -> ReLU -> sum or mean over pixels -> logits [B], or Outputs.

  Attributes:
    channels: of every block.
    downs: of every block, whether it halves the side.
    norm: one of NORMS.
    pooling: one of POOLING.
    logit_bias: whether the discriminator's last layer has a bias.
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
  outputs: tuple[str, ...] = ()

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w c"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, " b"] | Outputs:
    options = {"axis_name": self.axis_name, "dtype": self.dtype, "epsilon": EPSILON}
    shared = {"norm": functools.partial(Norm, self.norm, **options), "dtype": self.dtype}
    shared |= {"spectral": int(self.norm == "spectral")}
    hidden = images
    for place, (features, down) in enumerate(zip(self.channels, self.downs, strict=True)):
      block = DownBlock(features, GLOROT_2, GLOROT, down, first=place == 0, **shared)
      hidden = block(hidden, train=train)
    hidden = jax.nn.relu(hidden).astype(jnp.float32)
    return judged(
      POOLING[self.pooling](hidden, axis=(1, 2)),
      labels,
      self.num_classes,
      head=self.head,
      use_bias=self.logit_bias,
      outputs=self.outputs,
      kernel_init=GLOROT,
      spectral=shared["spectral"],
    )


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
    pooling: how the discriminator pools its last pixels, "sum" or "mean".
    logit_bias: whether the discriminator's last layer has a bias.

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
  count = doublings("resnet", size)
  if form == "constant":
    width = spec.width or 128
    generator = ((generator_scale or 2) * width,) * (count + 1)
    discriminator, downs = (width,) * 4, (True, True, False, False)
  else:
    width = spec.width or 64
    powers = [2**power for power in range(count + 1)]
    generator = tuple((generator_scale or 1) * width * power for power in reversed(powers))
    discriminator = tuple(width * power for power in powers)
    downs = tuple(size % (2 * power) == 0 for power in powers)
  conditioning = conditioned(spec.conditioning)
  shared = of_spec(spec)
  return to_networks(
    Generator(
      spec.image_shape,
      generator,
      by_norm=conditioning.by_norm,
      **shared,
    ),
    Discriminator(
      discriminator,
      downs,
      norm=spec.discriminator_norm or "spectral",
      pooling=pooling,
      logit_bias=logit_bias,
      head=conditioning.head,
      **shared,
    ),
    spec,
    joint=spec.discriminator_norm in ("none", "layer"),
  )
