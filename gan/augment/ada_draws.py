"""What is drawn for an example: where in its distribution each parameter of a transform is."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

# Parameters of each transform, in the order in which they are applied; two rotations are one.
PARAMETERS = {
  "xflip": 1,
  "rotate90": 1,
  "xint": 2,
  "scale": 1,
  "rotate": 1,
  "aniso": 1,
  "rotate_after": 1,
  "xfrac": 2,
  "brightness": 1,
  "contrast": 1,
  "lumaflip": 1,
  "hue": 1,
  "saturation": 1,
  "filter": 4,
  "noise": 1,
  "cutout": 2,
}
OWN_GATES = ("filter",)  # whose parameters are on or off each apart


class Draws(NamedTuple):
  """Of one example, by the names of transforms.

  Attributes:
    values: [n] each, in [0, 1): the parameters, as percentiles / 100 of their distributions.
    gates: [1], or one for each parameter, in [0, 1): on where below a probability.
  """

  values: dict[str, Float[Array, " n"]]
  gates: dict[str, Float[Array, " m"]]

  def parameters(
    self, name: str, probability: Float[Array, ""], of: Callable[[Array], Array], off: int
  ) -> Array:
    """Returns the parameters of a transform, [n].

    Args:
      name: of the transform.
      probability: with which it is on.
      of: from percentiles / 100 to parameters.
      off: what they are where it is off.
    """
    return jnp.where(self.gates[name] < probability, of(self.values[name]), off)

  def parameter(
    self, name: str, probability: Float[Array, ""], of: Callable[[Array], Array], off: int
  ) -> Array:
    """Returns the only parameter of a transform, []; arguments as of `parameters`."""
    return self.parameters(name, probability, of, off)[0]


def draw(key: Key[Array, ""]) -> Draws:
  """Returns the draws of an example: the same whichever transforms are used."""
  gates = {name: size if name in OWN_GATES else 1 for name, size in PARAMETERS.items()}
  counts = (*PARAMETERS.values(), *gates.values())
  numbers = jax.random.uniform(key, (sum(counts),), jnp.float32)
  ends = [sum(counts[: i + 1]) for i in range(len(counts) - 1)]
  parts = jnp.split(numbers, ends)
  names, half = list(PARAMETERS), len(PARAMETERS)
  return Draws(
    dict(zip(names, parts[:half], strict=True)), dict(zip(names, parts[half:], strict=True))
  )


def factor(spread: float) -> Callable[[Array], Array]:
  """Returns `quantile -> 2^(spread n)`, n ~ N(0, 1)."""
  return lambda quantile: jnp.exp2(spread * normal(quantile))


def normal(quantile: Float[Array, " n"]) -> Float[Array, " n"]:
  """The standard normal number of a quantile; those of 0 and 1 are finite."""
  return half_normal(2 * quantile - 1)


def half_normal(quantile: Float[Array, " n"]) -> Float[Array, " n"]:
  """The size of a standard normal number of a quantile of sizes; that of 1 is finite."""
  most = 1 - 2.0**-23
  return math.sqrt(2) * jax.lax.erf_inv(jnp.clip(quantile, -most, most))


def signed(quantile: Float[Array, " n"]) -> Float[Array, " n"]:
  """The number of U(-1, 1) of a quantile."""
  return 2 * quantile - 1


def one_of(count: int) -> Callable[[Array], Array]:
  """Returns `quantile -> one of 0 .. count - 1`, evenly, int32."""
  return lambda quantile: jnp.minimum(jnp.floor(quantile * count).astype(jnp.int32), count - 1)
