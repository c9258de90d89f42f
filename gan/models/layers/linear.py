"""Dense and convolutional layers, and the initialisers and the activation that models share."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gan.models.layers.convolution import conv, conv_transpose
from gan.models.layers.spectral import normalised


def torch_uniform(fan_in: int) -> Callable[..., Array]:
  """PyTorch's default initialiser of weights and biases, U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""

  def init(key, shape, dtype=jnp.float32):
    bound = fan_in**-0.5
    return jax.random.uniform(key, shape, dtype, minval=-bound, maxval=bound)

  return init


def leaky_relu(inputs: Float[Array, "..."]) -> Float[Array, "..."]:
  """max(x, 0.2 x), the activation of DCGAN's discriminator and of most GANs after it."""
  return jax.nn.leaky_relu(inputs, 0.2)


class Dense(nn.Module):
  """Affine layer [B, n] -> [B, features].

  `kernel_init` initialises the weights; None stands for PyTorch's default, for the bias too.
  `spectral` are the power iterations of spectral normalisation in a call in training, 0 for none.
  """

  features: int
  use_bias: bool = True
  kernel_init: Callable[..., Array] | None = None
  bias_init: Callable[..., Array] | None = None
  dtype: Any = jnp.float32
  spectral: int = 0

  @nn.compact
  def __call__(self, inputs: Float[Array, "b n"]) -> Float[Array, "b m"]:
    default = torch_uniform(inputs.shape[-1])
    zeros = nn.initializers.zeros
    return _Affine(
      self.features,
      use_bias=self.use_bias,
      kernel_init=self.kernel_init or default,
      bias_init=self.bias_init or (zeros if self.kernel_init else default),
      dtype=self.dtype,
      spectral=self.spectral,
      name="Dense_0",  # as checkpoints have it
    )(inputs)

  def weight(self) -> Float[Array, "n m"]:
    """Returns the weights of a layer that was called, before spectral normalisation."""
    return self.variables["params"]["Dense_0"]["kernel"]


class _Affine(nn.Module):
  features: int
  use_bias: bool
  kernel_init: Callable[..., Array]
  bias_init: Callable[..., Array]
  dtype: Any
  spectral: int

  @nn.compact
  def __call__(self, inputs: Float[Array, "b n"]) -> Float[Array, "b m"]:
    kernel = self.param("kernel", self.kernel_init, (inputs.shape[-1], self.features))
    kernel = normalised(self, kernel, self.spectral)
    outputs = inputs.astype(self.dtype) @ kernel.astype(self.dtype)
    if not self.use_bias:
      return outputs
    bias = self.param("bias", self.bias_init, (self.features,)).astype(self.dtype)
    return outputs + bias.reshape(1, -1)


class Embed(nn.Module):
  """Table of vectors: labels [B] -> [B, features]; `spectral` as of Dense."""

  num_embeddings: int
  features: int
  embedding_init: Callable[..., Array]
  spectral: int = 0

  @nn.compact
  def __call__(self, labels: Int[Array, " b"]) -> Float[Array, "b n"]:
    shape = (self.num_embeddings, self.features)
    table = self.param("embedding", self.embedding_init, shape)
    return jnp.take(normalised(self, table, self.spectral, rows=0), labels, axis=0)


class Conv(nn.Module):
  """Convolution with a square kernel; with `transpose` its adjoint, which grows images by `stride`.

  `kernel_init` initialises the kernel; None stands for PyTorch's default, for the bias too.
  `spectral` as of Dense.
  """

  features: int
  kernel_size: int = 4
  stride: int = 2
  transpose: bool = False
  use_bias: bool = True
  kernel_init: Callable[..., Array] | None = None
  dtype: Any = jnp.float32
  spectral: int = 0

  @nn.compact
  def __call__(self, images: Float[Array, "b h w c"]) -> Float[Array, "b p q f"]:
    channels = images.shape[-1]
    ends = (self.features, channels) if self.transpose else (channels, self.features)
    # PyTorch reads the fan-in of a transposed convolution off its output channels.
    default = torch_uniform(self.kernel_size**2 * ends[0])
    kernel = self.param(
      "kernel", self.kernel_init or default, (self.kernel_size, self.kernel_size, *ends)
    )
    kernel = normalised(self, kernel, self.spectral)
    apply = conv_transpose if self.transpose else conv
    outputs = apply(images.astype(self.dtype), kernel.astype(self.dtype), self.stride)
    if not self.use_bias:
      return outputs
    bias_init = nn.initializers.zeros if self.kernel_init else default
    bias = self.param("bias", bias_init, (self.features,)).astype(self.dtype)
    return outputs + bias.reshape(1, 1, 1, -1)
