"""StyleGAN2: a mapping network, convolutions that styles modulate, and an equalised discriminator.

See "Analyzing and Improving the Image Quality of StyleGAN" by Karras et al.
(https://arxiv.org/abs/1912.04958); the configuration for CIFAR-10, the conditioning and the
constants are those of "Training Generative Adversarial Networks with Limited Data" by Karras et al.
(https://arxiv.org/abs/2006.06676) and of its code.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float, Int, Key

from gan.errors import UserError
from gan.models.layers import (
  Bias,
  EqualizedConv,
  EqualizedDense,
  LearntConstant,
  MappingNetwork,
  MinibatchStd,
  ModulatedConv,
  Noise,
  fir_down,
  fir_up,
  scaled_leaky_relu,
)
from gan.models.spec import ModelSpec, of_spec, require_choice, require_images, to_networks
from gan.networks import Network

ARCHITECTURES = ("orig", "skip", "resnet")
NOISES = ("random", "constant")
SMALLEST = 4  # side of the images that G starts from and D ends with
AVERAGE_DECAY = 0.995  # of the mean w
LABEL_LAYERS = 8  # of the mapping of labels in D
HALF = 0.5**0.5  # of two branches, so that their sum keeps its size


class StyledConv(nn.Module):
  """w -> style -> modulated convolution -> noise -> bias -> scaled leaky ReLU."""

  features: int
  up: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    images: Float[Array, "b h w c"],
    styles: Float[Array, "b s"],
    planes: Float[Array, "b p q 1"],
  ) -> Float[Array, "b p q f"]:
    scales = EqualizedDense(images.shape[-1], bias=1.0)(styles)
    hidden = ModulatedConv(self.features, up=self.up, dtype=self.dtype)(images, scales)
    return scaled_leaky_relu(Bias(self.dtype)(Noise()(hidden, planes)))


class ToImage(nn.Module):
  """A modulated convolution of 1 x 1 to the image's channels, not demodulated; float32."""

  channels: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w c"], styles: Float[Array, "b s"]
  ) -> Float[Array, "b h w d"]:
    scales = EqualizedDense(images.shape[-1], bias=1.0)(styles)
    layer = ModulatedConv(self.channels, kernel_size=1, demodulate=False, dtype=self.dtype)
    return Bias()(layer(images, scales).astype(jnp.float32))


class Synthesis(nn.Module):
  """Styles [B, L, S], one for each layer, and a key of noise an example -> images.

  Each side above 4 has two convolutions, 4 has one. "skip" adds up images of every side, "resnet"
  adds a convolution of 1 x 1 around each side's two, "orig" does neither.
  """

  image_shape: tuple[int, ...]
  channels: tuple[int, ...]  # from side 4 on
  architecture: str
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, styles: Float[Array, "b l s"], keys: Key[Array, " b"]
  ) -> Float[Array, "b h w c"]:
    hidden = LearntConstant(SMALLEST, self.channels[0])(styles.shape[0]).astype(self.dtype)
    images, layer, planes = None, 0, self._planes(keys)
    for channels in self.channels:
      inputs = hidden
      if layer:
        hidden = self._styled(channels, hidden, styles, planes, layer - 1, up=True)
      hidden = self._styled(channels, hidden, styles, planes, layer)
      if layer and self.architecture == "resnet":
        around = EqualizedConv(channels, 1, use_bias=False, dtype=self.dtype)(inputs)
        hidden = HALF * (hidden + fir_up(around))
      layer += 2
      if self.architecture == "skip" or layer == 2 * len(self.channels):
        made = ToImage(self.image_shape[-1], self.dtype)(hidden, styles[:, layer - 1])
        images = made if images is None else made + fir_up(images)
    return images

  def _planes(self, keys):
    """Noise N(0, 1) of each layer, [B, side, side, 1]; of one draw, which compiles much faster."""
    sides = [SMALLEST * 2 ** ((layer + 1) // 2) for layer in range(2 * len(self.channels) - 1)]
    *ends, pixels = np.cumsum(np.square(sides))
    drawn = jax.vmap(lambda key: jax.random.normal(key, (int(pixels),)))(keys)
    # XLA would else draw it again for every channel, within what uses it.
    drawn = lax.optimization_barrier(drawn)
    parts = zip(jnp.split(drawn, ends, axis=1), sides, strict=True)
    return [part.reshape(-1, side, side, 1) for part, side in parts]

  def _styled(self, channels, hidden, styles, planes, layer, *, up=False):
    return StyledConv(channels, up, self.dtype)(hidden, styles[:, layer], planes[layer])


class Generator(nn.Module):
  """Latents [B, Z] -> w -> a style for each layer -> images, unbounded.

  In training the mean w moves, and of a share `style_mixing` of the examples the later layers, from
  one drawn at random on, have the w of another latent, N(0, 1). In inference w is drawn towards the
  mean, w' = mean + truncation (w - mean).

  Noise is drawn from the key in training. In inference it is a function of the latent: of the same
  latent the same, also in another batch ("random"); or of nothing, and so the same for all images
  ("constant"), which on a path between latents does not flicker.
  """

  image_shape: tuple[int, ...]
  channels: tuple[int, ...]
  style_dim: int
  mapping_layers: int
  architecture: str = "skip"
  style_mixing: float = 0.0
  truncation: float = 1.0
  inference_noise: str = "random"
  num_classes: int = 0
  dtype: Any = jnp.float32
  axis_name: Any = ()

  def setup(self):
    self.mapping = MappingNetwork(self.style_dim, self.mapping_layers, self.num_classes)
    self.synthesis = Synthesis(self.image_shape, self.channels, self.architecture, self.dtype)
    # Not of "batch_stats": it is an average already, and is copied beside averaged parameters.
    self.mean = self.variable("mean_style", "w", jnp.zeros, (self.style_dim,))

  def __call__(
    self, latents: Float[Array, "b z"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, "b h w c"]:
    styles = self.styles(latents, labels, train=train)
    return self.synthesis(styles, self._noise_keys(latents, train))

  def styles(
    self, latents: Float[Array, "b z"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, "b l s"]:
    """The style of each layer, [B, L, S]."""
    w, layers = self.mapping(latents, labels), 2 * len(self.channels)
    if train:
      mean = lax.pmean(jnp.mean(lax.stop_gradient(w), axis=0), self.axis_name)
      self.mean.value = mean + AVERAGE_DECAY * (self.mean.value - mean)
    else:
      mean = self.mean.value.reshape(1, -1)
      w = w if self.truncation == 1 else mean + self.truncation * (w - mean)
    styles = jnp.broadcast_to(w[:, None], (w.shape[0], layers, self.style_dim))
    return self._mixed(styles, latents, labels) if train and self.style_mixing else styles

  def synthesise(
    self, styles: Float[Array, "b l s"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, "b h w c"]:
    """Images of styles, with the noise of the key; in inference with constant noise."""
    del labels
    blank = jnp.zeros((styles.shape[0], 1))
    return self.synthesis(styles, self._noise_keys(blank, train))

  def _mixed(self, styles, latents, labels):
    # Apart from the keys of the noise also where this half of the network has the key to itself.
    key = jax.random.fold_in(self.make_rng("dropout"), 1)
    share, layer, other = jax.random.split(key, 3)
    count, layers, _ = styles.shape
    others = self.mapping(jax.random.normal(other, latents.shape), labels)
    first = jax.random.randint(layer, (count,), 1, layers)  # of the other's layers
    first = jnp.where(jax.random.uniform(share, (count,)) < self.style_mixing, first, layers)
    is_other = jnp.arange(layers).reshape(1, -1, 1) >= first.reshape(-1, 1, 1)
    return jnp.where(is_other, others[:, None], styles)

  def _noise_keys(self, latents, train):
    """One key for each example."""
    if train:
      return jax.random.split(self.make_rng("dropout"), len(latents))
    if self.inference_noise == "constant":
      latents = jnp.zeros_like(latents)
    bits = lax.bitcast_convert_type(latents.astype(jnp.float32), jnp.uint32)
    odd = 2 * lax.iota(jnp.uint32, bits.shape[1]) + 1
    # A sum with odd weights: a latent that differs in one number differs in it.
    digest = jnp.sum(bits * odd.reshape(1, -1), axis=1, dtype=jnp.uint32)
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), digest)


class Discriminator(nn.Module):
  """Images [B, H, W, C] -> logits [B], with the batch's own standard deviation as a channel.

  "resnet" adds a convolution of 1 x 1 around each side's two, "skip" joins the image of every side,
  "orig" does neither. With classes the logit is <features, mapping(label)> / sqrt(their number).
  """

  channels: tuple[int, ...]  # from the image's side down to 4
  architecture: str = "orig"
  group_size: int = 32
  num_classes: int = 0
  dtype: Any = jnp.float32
  axis_name: Any = ()

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w c"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, " b"]:
    hidden = self._conv(self.channels[0], images, kernel_size=1)
    for before, after in zip(self.channels, self.channels[1:], strict=False):
      hidden = self._halve(hidden, before, after)
      if self.architecture == "skip":
        images = fir_down(images)
        hidden = hidden + self._conv(after, images, kernel_size=1)
    hidden = MinibatchStd(self.group_size, self.axis_name)(hidden, train=train)
    hidden = self._conv(self.channels[-1], hidden)
    return self._logits(hidden.reshape(len(hidden), -1), labels)

  def _conv(self, features, images, **options):
    return scaled_leaky_relu(EqualizedConv(features, dtype=self.dtype, **options)(images))

  def _halve(self, images, before, after):
    hidden = self._conv(after, self._conv(before, images), down=True)
    if self.architecture != "resnet":
      return hidden
    around = EqualizedConv(after, 1, use_bias=False, dtype=self.dtype)
    return HALF * (hidden + around(fir_down(images)))

  def _logits(self, hidden, labels):
    width = self.channels[-1]
    hidden = scaled_leaky_relu(EqualizedDense(width, dtype=self.dtype)(hidden))
    hidden = hidden.astype(jnp.float32)
    if not self.num_classes:
      return EqualizedDense(1)(hidden)[:, 0]
    directions = MappingNetwork(width, LABEL_LAYERS, self.num_classes)(None, labels)
    return jnp.sum(EqualizedDense(width)(hidden) * directions, axis=-1) * width**-0.5


def build(
  spec: ModelSpec,
  *,
  channel_base: int = 32768,
  channel_max: int = 512,
  style_dim: int = 0,
  mapping_layers: int = 2,
  generator_architecture: str = "skip",
  discriminator_architecture: str = "orig",
  style_mixing: float = 0.0,
  truncation: float = 1.0,
  inference_noise: str = "random",
  deviation_group: int = 32,
) -> tuple[Network, Network]:
  """Returns StyleGAN2's two networks, by default those of the configuration for CIFAR-10.

  Images of side r have min(channel_base / r, channel_max) channels in both. None of the options
  after the architectures changes parameters or state: a network with another truncation is built
  with the options of the run, and applied to its parameters.

  Args:
    spec: sides of 4 times a power of 2, from 8 on; `width` stands for channel_base / side.
    channel_base: channels at a side of 1 pixel; at side r there are this over r.
    channel_max: channels at most, at any side.
    style_dim: length of w; 0 for that of the latents.
    mapping_layers: layers of the mapping network, at least 1.
    generator_architecture: how the generator joins its sides, orig, skip or resnet.
    discriminator_architecture: how the discriminator joins its sides, orig, skip or resnet.
    style_mixing: probability of two latents for an image, in training.
    truncation: psi, the share of its distance from the mean that w keeps in samples; 1 for all.
    inference_noise: noise inputs of samples, random (a function of the latent) or constant (the
      same in all).
    deviation_group: size of the groups of the minibatch standard deviation in the discriminator.

  Raises:
    UserError: the networks cannot be made so.
  """
  base = channel_base if spec.width is None else spec.width * spec.image_shape[0]
  _check(spec, base, (generator_architecture, discriminator_architecture), inference_noise)
  for name, value, least in (
    ("channel_max", channel_max, 1),
    ("style_dim", style_dim, 0),
    ("mapping_layers", mapping_layers, 1),
    ("deviation_group", deviation_group, 1),
  ):
    if value < least:
      raise UserError(f"`model=stylegan2` needs `{name}` of at least {least} (given: {value})")
  if not 0 <= style_mixing <= 1:
    raise UserError(f"`style_mixing={style_mixing}` is a probability: choose from 0 to 1")
  if not 0 <= truncation <= 1:
    raise UserError(
      f"`truncation={truncation}` must be from 0, the mean style, to 1, which is none"
    )
  doublings = (spec.image_shape[0] // SMALLEST).bit_length()
  sides = [SMALLEST * 2**doubling for doubling in range(doublings)]
  channels = tuple(min(base // side, channel_max) for side in sides)
  shared = of_spec(spec)
  generator = Generator(
    spec.image_shape,
    channels,
    style_dim or spec.latent_dim,
    mapping_layers,
    generator_architecture,
    style_mixing,
    truncation,
    inference_noise,
    **shared,
  )
  discriminator = Discriminator(
    channels[::-1], discriminator_architecture, deviation_group, **shared
  )
  made, judge = to_networks(generator, discriminator, spec)
  stages = tuple(functools.partial(made.apply, method=name) for name in ("styles", "synthesise"))
  return made._replace(stages=stages), judge


def _check(spec, base, architectures, noise):
  """Raises UserError where the side, the channels or a choice do not fit."""
  require_images("stylegan2", spec)
  side = spec.image_shape[0]
  if side < 2 * SMALLEST or side & (side - 1):
    raise UserError(
      f"`model=stylegan2` cannot make images of {side}x{side}: the side must be a power of 2, from "
      "8 on (32, 64, 128, ...); set `image_size`"
    )
  if base < side:
    raise UserError(
      f"`model=stylegan2` has no channels at side {side} with a base of {base}: give "
      f"`channel_base` of at least {side}, or `width` of at least 1"
    )
  for name, value in zip(("generator", "discriminator"), architectures, strict=True):
    require_choice(f"{name}_architecture", value, ARCHITECTURES)
  require_choice("inference_noise", noise, NOISES)
