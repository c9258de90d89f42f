"""Convolutions that are fast on every backend, and the small pieces that models share.

Images are NHWC. "SAME" padding: a stride of s divides or multiplies each side exactly by s.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.extend.random import threefry_2x32
from jaxtyping import Array, Float, Int

from gan.models import patches, plain
from gan.models.patches import Images, Kernel, Maps

# XLA's CPU backend is slow at convolutions of so few channels, and at wide transposed ones unless
# they are written as convolutions to blocks. docs/performance.md has the times.
FEW_CHANNELS = 8
# The work that blocks of padding may add: inputs of 7 x 7 and a kernel of 2 x 2 blocks, 64 for 49.
MOST_ADDED_WORK = 4 / 3


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv(images: Images, kernel: Kernel, stride: int) -> Maps:
  """Strided convolution: size h becomes h / stride."""
  if _few_channels(images.shape[1:3], kernel, stride):
    return patches.conv(images, kernel, stride)
  return plain.conv(images, kernel, stride)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv_transpose(inputs: Maps, kernel: Kernel, stride: int) -> Images:
  """Transposed convolution: the adjoint of `conv`, size p becomes stride * p.

  Args:
    inputs: [B, p, q, f].
    kernel: [k, k, c, f], the kernel of the convolution that this is the adjoint of.
    stride: the factor by which each side grows.
  """
  sides = [side * stride for side in inputs.shape[1:3]]
  if _few_channels(sides, kernel, stride):
    return patches.conv_transpose(inputs, kernel, stride)
  if _blocks_pay(sides, kernel, stride):
    return patches.conv_transpose_to_blocks(inputs, kernel, stride)
  return plain.conv_transpose(inputs, kernel, stride)


# The two are adjoint, <g, conv(x, w)> = <conv_transpose(g, w), x>: each is the other's gradient in
# its input, and the kernel's gradient is one function of (x, g). Said so, reverse derivatives of
# any order are made of these three. Automatic differentiation writes those of a transposed
# convolution, and so the second ones of a convolution, with a dilated left side instead, for which
# XLA's CPU backend has no fast path: 25 times slower.


def _kernel_gradient(images, cotangent, kernel, stride):
  """The gradient of <cotangent, conv(images, kernel)> in the kernel, at any kernel of its shape."""
  if jax.default_backend() == "cpu":
    return plain.kernel_gradient_in_order(images, cotangent, kernel, stride)
  return plain.kernel_gradient(images, cotangent, kernel, stride)


def _in_blocks(sides, kernel, stride):
  """Whether windows are made of whole blocks, and the backend is the one that gains by it."""
  whole = all(length % stride == 0 for length in (len(kernel), *sides))
  return whole and jax.default_backend() == "cpu"


def _few_channels(sides, kernel, stride):
  return kernel.shape[2] < FEW_CHANNELS and _in_blocks(sides, kernel, stride)


def _blocks_pay(sides, kernel, stride):
  rim = len(kernel) // stride - 1
  added = math.prod(1 + rim * stride / side for side in sides)
  return stride > 1 and added <= MOST_ADDED_WORK and _in_blocks(sides, kernel, stride)


def _conv_forward(images, kernel, stride):
  return conv(images, kernel, stride), (images, kernel)


def _conv_backward(stride, residuals, cotangent):
  images, kernel = residuals
  gradient = _kernel_gradient(images, cotangent, kernel, stride)
  return conv_transpose(cotangent, kernel, stride), gradient


def _conv_transpose_forward(inputs, kernel, stride):
  return conv_transpose(inputs, kernel, stride), (inputs, kernel)


def _conv_transpose_backward(stride, residuals, cotangent):
  inputs, kernel = residuals
  gradient = _kernel_gradient(cotangent, inputs, kernel, stride)
  return conv(cotangent, kernel, stride), gradient


conv.defvjp(_conv_forward, _conv_backward)
conv_transpose.defvjp(_conv_transpose_forward, _conv_transpose_backward)


def torch_uniform(fan_in: int) -> Callable[..., Array]:
  """PyTorch's default initialiser of weights and biases, U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""

  def init(key, shape, dtype=jnp.float32):
    bound = fan_in**-0.5
    return jax.random.uniform(key, shape, dtype, minval=-bound, maxval=bound)

  return init


class Dense(nn.Module):
  """Affine layer [B, n] -> [B, features].

  `kernel_init` initialises the weights; None stands for PyTorch's default, for the bias too.
  """

  features: int
  use_bias: bool = True
  kernel_init: Callable[..., Array] | None = None
  bias_init: Callable[..., Array] | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, inputs: Float[Array, "b n"]) -> Float[Array, "b m"]:
    default = torch_uniform(inputs.shape[-1])
    zeros = nn.initializers.zeros
    return nn.Dense(
      self.features,
      use_bias=self.use_bias,
      kernel_init=self.kernel_init or default,
      bias_init=self.bias_init or (zeros if self.kernel_init else default),
      dtype=self.dtype,
    )(inputs)


class Conv(nn.Module):
  """Convolution with a square kernel; with `transpose` its adjoint, which grows images by `stride`.

  `kernel_init` initialises the kernel; None stands for PyTorch's default, for the bias too.
  """

  features: int
  kernel_size: int = 4
  stride: int = 2
  transpose: bool = False
  use_bias: bool = True
  kernel_init: Callable[..., Array] | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, images: Float[Array, "b h w c"]) -> Float[Array, "b p q f"]:
    channels = images.shape[-1]
    ends = (self.features, channels) if self.transpose else (channels, self.features)
    # PyTorch reads the fan-in of a transposed convolution off its output channels.
    default = torch_uniform(self.kernel_size**2 * ends[0])
    kernel = self.param(
      "kernel", self.kernel_init or default, (self.kernel_size, self.kernel_size, *ends)
    )
    apply = conv_transpose if self.transpose else conv
    outputs = apply(images.astype(self.dtype), kernel.astype(self.dtype), self.stride)
    if not self.use_bias:
      return outputs
    bias_init = nn.initializers.zeros if self.kernel_init else default
    bias = self.param("bias", bias_init, (self.features,)).astype(self.dtype)
    return outputs + bias.reshape(1, 1, 1, -1)


class Norm(nn.Module):
  """Normalisation by name: "none", "batch" or "layer", epsilon 1e-5.

  Batch statistics are those of the global batch. Layer statistics are those of one whole example,
  and scale and bias belong to channels.

  Attributes:
    kind: the name.
    scale_init: initialiser of the scale.
    axis_name: the mapped axes that hold the rest of the batch; () where the batch is whole.
    momentum: decay of the batch statistics that are kept for sampling.
  """

  kind: str
  scale_init: Callable[..., Array] = nn.initializers.ones
  axis_name: Any = ()
  momentum: float = 0.9
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, inputs: Float[Array, "b ..."], *, train: bool) -> Float[Array, "b ..."]:
    shared = {"epsilon": 1e-5, "scale_init": self.scale_init, "dtype": self.dtype}
    if self.kind == "none":
      return inputs
    if self.kind == "layer":
      return nn.LayerNorm(reduction_axes=range(1, inputs.ndim), **shared)(inputs)
    norm = nn.BatchNorm(momentum=self.momentum, axis_name=self.axis_name, **shared)
    return norm(inputs, use_running_average=not train)


PROJECTION = "ClassScore_0"  # of ProjectionLogit in the parameters: checkpoints have this name


class ProjectionLogit(nn.Module):
  """<embedding(label), features>, the part of a conditional discriminator's logit with the label.

  See "cGANs with Projection Discriminator" by Miyato and Koyama (https://arxiv.org/abs/1802.05637).
  """

  num_classes: int

  @nn.compact
  def __call__(self, features: Float[Array, "b n"], labels: Int[Array, " b"]) -> Float[Array, " b"]:
    width = features.shape[-1]
    embed = nn.Embed(self.num_classes, width, embedding_init=nn.initializers.normal(width**-0.5))
    return jnp.sum(embed(labels) * features.astype(jnp.float32), axis=-1)


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
    embed = nn.Embed(self.num_classes, self.features, embedding_init=small)
    return jnp.concatenate([latents, embed(labels)], axis=-1)


class Dropout(nn.Module):
  """Sets a share `rate` of the inputs to 0 in training and scales the others, x / (1 - rate).

  The rate is rounded to 2^-16 and the scale is that of the rounded rate. Flax's own layer spends a
  whole hash on each input, an eighth of a fully connected training step on the CPU; here one hash
  serves four.
  """

  rate: float

  @nn.compact
  def __call__(self, inputs: Float[Array, "b ..."], *, train: bool) -> Float[Array, "b ..."]:
    if not train or not self.rate:
      return inputs
    draws = _draws(self.make_rng("dropout"), inputs.size).reshape(inputs.shape)
    kept = round((1 - self.rate) * 2**16)
    return jnp.where(draws < kept, inputs * jnp.asarray(2**16 / kept, inputs.dtype), 0)


def _draws(key, count):
  """`count` integers, uniform on 0 .. 2^16 - 1: each hash of a counter gives two words of two."""
  seed = jax.random.key_data(key)[-2:]  # a key of another generator than threefry has four words
  words = threefry_2x32(seed, lax.iota(jnp.uint32, 2 * -(-count // 4)))
  return lax.bitcast_convert_type(words, jnp.uint16).reshape(-1)[:count].astype(jnp.int32)


def leaky_relu(inputs: Float[Array, "..."]) -> Float[Array, "..."]:
  """max(x, 0.2 x), the activation of DCGAN's discriminator and of most GANs after it."""
  return jax.nn.leaky_relu(inputs, 0.2)
