"""Normalisation of activations."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gan.models.layers.linear import Dense, Embed

ONES, ZEROS = nn.initializers.ones, nn.initializers.zeros


class Norm(nn.Module):
  """Normalisation by name: "none", "batch" or "layer"; nothing for "spectral", of weights.

  Batch statistics are those of the global batch. Layer statistics are those of one whole example,
  and scale and bias belong to channels.

  Attributes:
    kind: the name.
    scale_init: initialiser of the scale.
    axis_name: the mapped axes that hold the rest of the batch; () where the batch is whole.
    momentum: decay of the batch statistics that are kept for sampling.
    epsilon: added to variances.
    affine: whether there are a scale and a bias.
  """

  kind: str
  scale_init: Callable[..., Array] = ONES
  axis_name: Any = ()
  momentum: float = 0.9
  dtype: Any = jnp.float32
  epsilon: float = 1e-5
  affine: bool = True

  @nn.compact
  def __call__(self, inputs: Float[Array, "b ..."], *, train: bool) -> Float[Array, "b ..."]:
    shared = {"epsilon": self.epsilon, "scale_init": self.scale_init, "dtype": self.dtype}
    shared |= {"use_scale": self.affine, "use_bias": self.affine}
    if self.kind in ("none", "spectral"):
      return inputs
    if self.kind == "layer":
      return nn.LayerNorm(reduction_axes=range(1, inputs.ndim), **shared)(inputs)
    norm = nn.BatchNorm(momentum=self.momentum, axis_name=self.axis_name, **shared)
    return norm(inputs, use_running_average=not train)


class ConditionalNorm(nn.Module):
  """Batch normalisation with a scale and a bias of each class.

  See "A learned representation for artistic style" by Dumoulin, Shlens and Kudlur
  (https://arxiv.org/abs/1610.07629).

  Attributes:
    num_classes: rows of the tables of scales and biases.
    scale_init: initialiser of the scales; 1 in the code of "cGANs with Projection Discriminator".
    bias_init: of the biases.
    add_one: whether 1 is added to what the table of scales holds.
    spectral: of the tables, as of Dense.
    axis_name, momentum, dtype, epsilon: as of Norm.
  """

  num_classes: int
  scale_init: Callable[..., Array] = ONES
  bias_init: Callable[..., Array] = ZEROS
  add_one: bool = False
  spectral: int = 0
  axis_name: Any = ()
  momentum: float = 0.9
  dtype: Any = jnp.float32
  epsilon: float = 1e-5

  @nn.compact
  def __call__(
    self, inputs: Float[Array, "b ... c"], labels: Int[Array, " b"], *, train: bool
  ) -> Float[Array, "b ... c"]:
    features = inputs.shape[-1]
    embed = functools.partial(Embed, self.num_classes, features, spectral=self.spectral)
    scale = embed(self.scale_init, name="scale")(labels)
    scale = 1 + scale if self.add_one else scale
    bias = embed(self.bias_init, name="bias")(labels)
    return modulate(_standardised(self, inputs, train), scale, bias)


class SelfModulatedNorm(nn.Module):
  """Batch normalisation whose scale and bias are functions of a vector, such as the latent.

  scale = 1 + A relu(U z + c) + a and bias = B relu(U z + c) + b, with all of c, a and b 0 at first;
  without hidden units 1 + A z + a and B z + b.

  See "On Self Modulation for Generative Adversarial Networks" by Chen et al.
  (https://arxiv.org/abs/1810.01365); sizes and initialisers from
  https://github.com/google/compare_gan.

  Attributes:
    hidden: units between the vector and the two; 0 for none.
    kernel_init: initialiser of weights.
    use_bias: whether the two have a and b.
    spectral: of all weights, as of Dense.
    axis_name, momentum, dtype, epsilon: as of Norm.
  """

  hidden: int = 32
  kernel_init: Callable[..., Array] = nn.initializers.normal(0.02)
  use_bias: bool = True
  spectral: int = 0
  axis_name: Any = ()
  momentum: float = 0.9
  dtype: Any = jnp.float32
  epsilon: float = 1e-5

  @nn.compact
  def __call__(
    self, inputs: Float[Array, "b ... c"], vectors: Float[Array, "b n"], *, train: bool
  ) -> Float[Array, "b ... c"]:
    features, shared = inputs.shape[-1], {"kernel_init": self.kernel_init, "dtype": self.dtype}
    shared |= {"spectral": self.spectral}
    if self.hidden:
      vectors = jax.nn.relu(Dense(self.hidden, name="hidden_layer", **shared)(vectors))
    scale = 1 + Dense(features, use_bias=self.use_bias, name="scale", **shared)(vectors)
    bias = Dense(features, use_bias=self.use_bias, name="bias", **shared)(vectors)
    return modulate(_standardised(self, inputs, train), scale, bias)


def modulate(
  inputs: Float[Array, "b ... c"], scale: Float[Array, "b c"], bias: Float[Array, "b c"]
) -> Float[Array, "b ... c"]:
  """Scales and shifts the channels of each example, in the inputs' type."""
  shape = (inputs.shape[0], *(1 for _ in inputs.shape[1:-1]), inputs.shape[-1])
  scale, bias = (each.astype(inputs.dtype).reshape(shape) for each in (scale, bias))
  return inputs * scale + bias


def _standardised(layer, inputs, train):
  """Batch normalisation with neither scale nor bias, a part of a conditional layer."""
  norm = Norm(
    "batch",
    axis_name=layer.axis_name,
    momentum=layer.momentum,
    dtype=layer.dtype,
    epsilon=layer.epsilon,
    affine=False,
  )
  return norm(inputs, train=train)
