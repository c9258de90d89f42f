"""How networks without normalisation start, and the layer that their generator starts from."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gan.models.layers.linear import Dense

# N(0, 1 / fan_in): keeps the variance where no activation follows.
unit_gain = nn.initializers.variance_scaling(1.0, "fan_in", "normal")


def fixup(blocks: int, layers: int = 3, slope: float = 0.2) -> Callable[..., Array]:
  """Initialiser N(0, gain^2 L^(-1/(m-1)) / fan_in) of the layers of a residual branch but the last.

  With the last layer of each branch at 0, a step moves the function by an amount that does not
  grow with the depth. gain^2 = 2 / (1 + slope^2) is that of a leaky rectifier, and the fan-in of a
  convolution in groups is that of one group.

  Args:
    blocks: L, residual blocks in the network.
    layers: m, layers of a branch.
    slope: of the leaky rectifier below 0.

  See "Fixup Initialization: Residual Learning Without Normalization" by Zhang, Dauphin and Ma
  (https://arxiv.org/abs/1901.09321).
  """
  gain_squared = 2 / (1 + slope**2)
  scale = gain_squared * blocks ** (-1 / (layers - 1))
  return nn.initializers.variance_scaling(scale, "fan_in", "normal")


class Basis(nn.Module):
  """Latents [B, Z] -> images [B, 4, 4, C], channel by channel a learnt image times a number.

  y[b, i, j, c] = basis[i, j, c] (z W)[b, c], basis ~ N(0, 1), W ~ N(0, 1/Z).

  Attributes:
    features: C.
  """

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, latents: Float[Array, "b z"]) -> Float[Array, "b 4 4 c"]:
    basis = self.param("basis", nn.initializers.normal(1.0), (4, 4, self.features))
    dense = Dense(self.features, use_bias=False, kernel_init=unit_gain, dtype=self.dtype)
    return jnp.einsum("bc,ijc->bijc", dense(latents), basis.astype(self.dtype))
