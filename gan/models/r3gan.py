"""R3GAN, residual networks without normalisation for a relativistic loss with R1 and R2.

See "The GAN is dead; long live the GAN! A Modern Baseline GAN" by Huang et al., configuration E
(https://arxiv.org/abs/2501.05441). Both players are stages of blocks, one for each side 4, 8, ...:

* `build`, the paper's network: 768 channels up to 32 pixels, half as many with each doubling then;
* `build_small`, 96, 64, 32 and 16 channels with one block a stage, for stacked digits. The paper's
  small network is not published; this one is ours.

A block has no bias behind its last layer and starts as the identity, so that at the start the
discriminator is linear in the image and the generator in the latent.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gan.errors import UserError
from gan.models.layers import (
  Basis,
  Conv,
  Dense,
  GroupedConv,
  fir_down,
  fir_up,
  fixup,
  leaky_relu,
  unit_gain,
)
from gan.models.spec import ModelSpec, require_images, to_networks
from gan.networks import Network

SMALLEST = 4  # side of the first stage
EXPANSION = 2  # channels within a block over those between blocks
GROUP_CHANNELS = 16  # within a block
LABEL_FEATURES = 64  # joined to the latent


class Stage(NamedTuple):
  """The blocks of one side.

  Attributes:
    width: channels between blocks.
    groups: of the middle convolution of a block, over twice as many channels.
    blocks: how many.
    dtype: of activations.
  """

  width: int
  groups: int
  blocks: int
  dtype: Any


class Block(nn.Module):
  """x + conv1(lrelu(grouped conv3(lrelu(conv1(x) + b)) + b)), the inner two with 2 C channels."""

  groups: int
  kernel_init: Callable[..., Array]
  dtype: Any

  @nn.compact
  def __call__(self, inputs: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    width, options = inputs.shape[-1], {"kernel_init": self.kernel_init, "dtype": self.dtype}
    wide = Conv(EXPANSION * width, 1, 1, **options)(inputs)
    wide = GroupedConv(EXPANSION * width, self.groups, **options)(leaky_relu(wide))
    return inputs + _linear(width, self.dtype, nn.initializers.zeros)(leaky_relu(wide))


def _linear(width, dtype, kernel_init=unit_gain):
  """A convolution of single pixels without bias."""
  return Conv(width, 1, 1, use_bias=False, kernel_init=kernel_init, dtype=dtype)


def _blocks(hidden, stage, stages):
  kernel_init = fixup(sum(each.blocks for each in stages))
  for _ in range(stage.blocks):
    hidden = Block(stage.groups, kernel_init, stage.dtype)(hidden)
  return hidden


def _embedding(labels, num_classes, features, dtype, kernel_init):
  dense = Dense(features, use_bias=False, kernel_init=kernel_init, dtype=dtype)
  return dense(jax.nn.one_hot(labels, num_classes))


class Generator(nn.Module):
  """Latents [B, Z] -> basis of 4x4 pixels -> stages, each up-sampled from the last -> images.

  The images are not bounded.

  Attributes:
    channels: of the images.
    stages: from 4 pixels on.
  """

  channels: int
  stages: tuple[Stage, ...]
  num_classes: int = 0

  @nn.compact
  def __call__(
    self, latents: Float[Array, "b z"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, "b h w c"]:
    del train
    first, last = self.stages[0], self.stages[-1]
    if self.num_classes:
      label = _embedding(labels, self.num_classes, LABEL_FEATURES, first.dtype, unit_gain)
      latents = jnp.concatenate([latents, label], axis=-1)
    hidden = Basis(first.width, first.dtype)(latents)
    hidden = _blocks(hidden, first, self.stages)
    for stage in self.stages[1:]:
      hidden = fir_up(_widened(hidden.astype(stage.dtype), stage))
      hidden = _blocks(hidden, stage, self.stages)
    return _linear(self.channels, last.dtype)(hidden).astype(first.dtype)


class Discriminator(nn.Module):
  """Images [B, H, W, C] -> stages, each down-sampled to the next -> logits [B].

  With labels the last layer has as many outputs as inputs, and the logit is their product with an
  embedding of the label.

  Attributes:
    stages: those of the generator, from 4 pixels on.
  """

  stages: tuple[Stage, ...]
  num_classes: int = 0

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w c"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, " b"]:
    del train
    last, first = self.stages[0], self.stages[-1]
    hidden = _linear(first.width, first.dtype)(images)
    for stage, following in zip(self.stages[:0:-1], self.stages[-2::-1], strict=True):
      hidden = _blocks(hidden.astype(stage.dtype), stage, self.stages)
      hidden = _widened(fir_down(hidden), following)
    hidden = _blocks(hidden.astype(last.dtype), last, self.stages)
    kernel = self.param("kernel", nn.initializers.normal(1 / SMALLEST), (4, 4, last.width))
    features = jnp.einsum("bijc,ijc->bc", hidden, kernel.astype(last.dtype))
    width = last.width if self.num_classes else 1
    outputs = Dense(width, use_bias=False, kernel_init=unit_gain, dtype=last.dtype)(features)
    if not self.num_classes:
      return outputs[:, 0]
    # N(0, 1 / (classes C)): the product of two vectors of C numbers is of the size of one.
    init = nn.initializers.variance_scaling(1 / width, "fan_in", "normal")
    return jnp.sum(outputs * _embedding(labels, self.num_classes, width, last.dtype, init), axis=-1)


def _widened(hidden, stage):
  """The channels of a stage, by a linear map where they are not there."""
  if hidden.shape[-1] == stage.width:
    return hidden
  return _linear(stage.width, hidden.dtype)(hidden)


def build(
  spec: ModelSpec, *, stage_widths: str = "", stage_groups: str = "", stage_blocks: str = "2"
) -> tuple[Network, Network]:
  """Returns the networks of configuration E for images of 4 times a power of 2.

  Args:
    spec: `width` are the channels of the widest stage, 768; all widths and all groups are scaled
      alike, so that groups stay as wide as they were. In bfloat16 the stage of 4 pixels, the latent
      and the logits stay in float32.
    stage_widths: channels of the stages from 4 pixels on, 96-64-32-16, or one number for all.
    stage_groups: groups of each stage's convolutions, over twice the channels; groups of 16
      channels by default.
    stage_blocks: residual blocks of each stage, or one number for all.

  Raises:
    UserError: the sides, the widths or the groups do not fit.
  """
  sides = _sides("r3gan", spec)
  widths = _by_stage("stage_widths", stage_widths, sides) or [
    768 * 32 // max(side, 32) for side in sides
  ]
  groups = _by_stage("stage_groups", stage_groups, sides) or _default_groups(widths)
  blocks = _by_stage("stage_blocks", stage_blocks or "2", sides)
  return _networks("r3gan", spec, widths, groups, blocks)


def build_small(spec: ModelSpec) -> tuple[Network, Network]:
  """Returns networks of 96, 64, 32, 16 (and so on) channels with one block a stage; see `build`."""
  sides = _sides("r3gan_small", spec)
  widths = [(96, 64, 32, 16)[min(stage, 3)] for stage in range(len(sides))]
  return _networks("r3gan_small", spec, widths, _default_groups(widths), [1] * len(sides))


def _sides(model, spec):
  require_images(model, spec)
  size, sides = spec.image_shape[0], [SMALLEST]
  while sides[-1] < size:
    sides.append(2 * sides[-1])
  if sides[-1] != size:
    fitting = " or ".join(f"`image_size={side}`" for side in sides[-2:])
    raise UserError(
      f"`model={model}` makes images of 4 times a power of 2, not {size}x{size}: set {fitting}"
    )
  return sides


def _by_stage(option, text, sides):
  """The numbers that a text gives, one for each stage; [] for no text."""
  numbers = text.split("-") if text else []
  if text and (
    len(numbers) not in (1, len(sides)) or not all(n.isdecimal() and int(n) for n in numbers)
  ):
    raise UserError(
      f"`{option}={text}` must be one number above 0, or {len(sides)} joined by '-', for the "
      f"stages of {', '.join(map(str, sides))} pixels"
    )
  return [int(n) for n in numbers] * (len(sides) if len(numbers) == 1 else 1)


def _default_groups(widths):
  return [max(1, EXPANSION * width // GROUP_CHANNELS) for width in widths]


def _networks(model, spec, widths, groups, blocks):
  widths, groups = _scaled(model, spec.width, widths, groups)
  for width, count in zip(widths, groups, strict=True):
    if EXPANSION * width % count:
      raise UserError(
        f"`model={model}`: {count} groups do not divide the {EXPANSION * width} channels within "
        f"blocks of width {width}: choose `stage_groups` as divisors of twice the widths"
      )
  # The source keeps the smallest stage, the latents and the logits in float32.
  dtypes = [jnp.promote_types(spec.dtype, jnp.float32), *[spec.dtype] * (len(widths) - 1)]
  stages = tuple(map(Stage, widths, groups, blocks, dtypes))
  return to_networks(
    Generator(spec.image_shape[-1], stages, spec.num_classes),
    Discriminator(stages, spec.num_classes),
    spec,
    joint=True,
  )


def _scaled(model, width, widths, groups):
  """Widths and groups in the same proportions, with `width` channels in the widest stage."""
  if width is None:
    return widths, groups
  widest, divisor = max(widths), math.gcd(*widths, *groups)
  if width < 1 or width % (widest // divisor):
    raise UserError(
      f"`model={model}` scales all its stages and groups by `width`, the channels of the widest: "
      f"choose a multiple of {widest // divisor}, not {width}"
    )
  return ([each * width // widest for each in numbers] for numbers in (widths, groups))
