"""Normalisation of activations."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float


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
