"""Layers of the StyleGAN line: equalised learning rates, styles, noise, batch statistics.

See "Analyzing and Improving the Image Quality of StyleGAN" by Karras et al.
(https://arxiv.org/abs/1912.04958), and "Progressive Growing of GANs for Improved Quality,
Stability, and Variation" by Karras et al. (https://arxiv.org/abs/1710.10196) for the equalised
learning rate, the pixel norm and the minibatch standard deviation.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gan.models.layers.convolution import conv
from gan.models.layers.fir_conv import fir_conv_down, fir_conv_up
from gan.models.layers.linear import leaky_relu

EPSILON = 1e-8  # under every root here


def scaled_leaky_relu(inputs: Float[Array, "..."]) -> Float[Array, "..."]:
  """sqrt(2) max(x, 0.2 x), which about keeps the size of normal inputs."""
  return 2**0.5 * leaky_relu(inputs)


def pixel_norm(inputs: Float[Array, "b n"]) -> Float[Array, "b n"]:
  """x / sqrt(mean x^2 + 1e-8): each row has a mean square of 1, whatever its scale was."""
  return inputs * jax.lax.rsqrt(jnp.mean(jnp.square(inputs), axis=-1, keepdims=True) + EPSILON)


def _over_images(rows):
  """[B, C] as [B, 1, 1, C]."""
  return rows.reshape(rows.shape[0], 1, 1, -1)


class EqualizedDense(nn.Module):
  """Affine layer whose weights are about 1 and are scaled where they are used.

  Stored weights are N(0, 1) / r, and r / sqrt(n) times them is used, for n inputs and a multiplier
  r of the learning rate; the bias is used times r. An optimiser that divides by the size of
  gradients then moves all layers at the same relative rate.
  """

  features: int
  rate_multiplier: float = 1.0
  bias: float = 0.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, inputs: Float[Array, "b n"]) -> Float[Array, "b m"]:
    width, rate = inputs.shape[-1], self.rate_multiplier
    kernel = self.param("kernel", nn.initializers.normal(1 / rate), (width, self.features))
    bias = self.param("bias", nn.initializers.constant(self.bias), (self.features,)) * rate
    scaled = kernel * (rate * width**-0.5)
    outputs = inputs.astype(self.dtype) @ scaled.astype(self.dtype)
    return outputs + bias.astype(self.dtype).reshape(1, -1)


class EqualizedConv(nn.Module):
  """Convolution with weights N(0, 1), used times 1 / sqrt(fan-in); see `EqualizedDense`.

  With `down` the images are filtered and halved, and the kernel's side is 3.
  """

  features: int
  kernel_size: int = 3
  down: bool = False
  use_bias: bool = True
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, images: Float[Array, "b h w c"]) -> Float[Array, "b p q f"]:
    shape = (self.kernel_size, self.kernel_size, images.shape[-1], self.features)
    kernel = self.param("kernel", nn.initializers.normal(1.0), shape)
    scaled = (kernel * _equalizer(shape)).astype(self.dtype)
    images = images.astype(self.dtype)
    outputs = fir_conv_down(images, scaled) if self.down else conv(images, scaled, 1)
    return Bias(self.dtype)(outputs) if self.use_bias else outputs


class Bias(nn.Module):
  """Adds a number to each channel, 0 at first."""

  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, images: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    bias = self.param("bias", nn.initializers.zeros, (images.shape[-1],))
    return images + bias.astype(self.dtype).reshape(1, 1, 1, -1)


def _equalizer(shape):
  """1 / sqrt(fan-in) of a kernel [k, k, c, f]."""
  return (shape[0] * shape[1] * shape[2]) ** -0.5


class ModulatedConv(nn.Module):
  """Convolution whose kernel an example's style scales, w' = s_i w, by the channel of the input.

  With `demodulate` each output channel is divided by the norm of its scaled kernel,
  sqrt(sum (s_i w)^2 + 1e-8), and no scale of styles or weights is left; without it the weights are
  used times 1 / sqrt(fan-in). Scaled are the inputs and the outputs, not kernels of each example.
  With `up` the images are doubled and filtered, and the kernel's side is 3.
  """

  features: int
  kernel_size: int = 3
  up: bool = False
  demodulate: bool = True
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w c"], styles: Float[Array, "b c"]
  ) -> Float[Array, "b p q f"]:
    shape = (self.kernel_size, self.kernel_size, images.shape[-1], self.features)
    kernel = self.param("kernel", nn.initializers.normal(1.0), shape)
    styles = styles.astype(jnp.float32)
    used = kernel if self.demodulate else kernel * _equalizer(shape)
    hidden = images.astype(self.dtype) * _over_images(styles).astype(self.dtype)
    used = used.astype(self.dtype)
    hidden = fir_conv_up(hidden, used) if self.up else conv(hidden, used, 1)
    if not self.demodulate:
      return hidden
    return hidden * _over_images(demodulation(kernel, styles)).astype(self.dtype)


def demodulation(
  kernel: Float[Array, "k k c f"], styles: Float[Array, "b c"]
) -> Float[Array, "b f"]:
  """1 / sqrt(sum over c and k of (s_c w)^2 + 1e-8), for each example and output channel."""
  energy = jnp.sum(jnp.square(kernel), axis=(0, 1))  # [C, F]
  return jax.lax.rsqrt(jnp.square(styles) @ energy + EPSILON)


class MappingNetwork(nn.Module):
  """Latents, labels or both -> w [B, features], by equalised layers of a hundredth of the rate.

  Latents are normalised to a mean square of 1; so is the embedding of the label, which is joined.
  """

  features: int
  layers: int
  num_classes: int = 0
  rate_multiplier: float = 0.01

  @nn.compact
  def __call__(
    self, latents: Float[Array, "b z"] | None, labels: Int[Array, " b"] | None
  ) -> Float[Array, "b w"]:
    parts = [] if latents is None else [pixel_norm(latents)]
    if self.num_classes:
      chosen = jax.nn.one_hot(labels, self.num_classes)
      parts.append(pixel_norm(EqualizedDense(self.features)(chosen)))
    hidden = jnp.concatenate(parts, axis=-1)
    for _ in range(self.layers):
      hidden = scaled_leaky_relu(EqualizedDense(self.features, self.rate_multiplier)(hidden))
    return hidden


class Noise(nn.Module):
  """Adds a plane of noise an example, times a learnt strength that is 0 at first."""

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w c"], planes: Float[Array, "b h w 1"]
  ) -> Float[Array, "b h w c"]:
    strength = self.param("strength", nn.initializers.zeros, ())
    return images + (strength * planes).astype(images.dtype)


class LearntConstant(nn.Module):
  """The same image [side, side, channels], N(0, 1) at first, for every example."""

  side: int
  channels: int

  @nn.compact
  def __call__(self, examples: Any) -> Float[Array, "b h w c"]:
    shape = (self.side, self.side, self.channels)
    constant = self.param("constant", nn.initializers.normal(1.0), shape)
    return jnp.broadcast_to(constant.reshape(1, *shape), (examples, *shape))


def minibatch_std(images: Float[Array, "b h w c"], group_size: int) -> Float[Array, " b"]:
  """How much the examples of a group differ: the mean over pixels and channels of their standard
  deviation, sqrt(variance + 1e-8).

  Args:
    images: [B, H, W, C].
    group_size: G at most; it is the largest divisor of B up to it. Example n is of group
      n mod (B / G).

  Returns:
    [B], float32.
  """
  count = len(images)
  size = max(size for size in range(1, min(group_size, count) + 1) if count % size == 0)
  groups = images.astype(jnp.float32).reshape(size, count // size, -1)
  standard_deviation = jnp.sqrt(jnp.var(groups, axis=0) + EPSILON)
  return jnp.tile(jnp.mean(standard_deviation, axis=-1), size)


class MinibatchStd(nn.Module):
  """Appends `minibatch_std` as a constant channel: [B, H, W, C] -> [B, H, W, C + 1].

  A group is of one device's examples. In inference, where examples must not influence each other,
  the channel is the running mean of the statistic, as batch normalisation has it; it starts at 1.
  """

  group_size: int
  axis_name: Any = ()
  momentum: float = 0.9

  @nn.compact
  def __call__(self, images: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h w d"]:
    running = self.variable("batch_stats", "std", jnp.ones, ())
    if train:
      statistic = minibatch_std(images, self.group_size)
      mean = jax.lax.pmean(jnp.mean(statistic), self.axis_name)
      running.value = self.momentum * running.value + (1 - self.momentum) * mean
    else:
      statistic = jnp.broadcast_to(running.value.reshape(1), (len(images),))
    plane = jnp.broadcast_to(_over_images(statistic), (*images.shape[:3], 1))
    return jnp.concatenate([images, plane.astype(images.dtype)], axis=-1)
