"""Mixtures of round Gaussians: their densities and samples, and a lattice to integrate over."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Key

Numbers = ArrayLike | Sequence


class Mixture(NamedTuple):
  """A mixture of K Gaussians in d dimensions, each with one standard deviation along all axes.

  Attributes:
    weights: [K], sum 1.
    means: [K, d].
    standard_deviations: [K], above 0.
  """

  weights: Float[Array, " k"]
  means: Float[Array, "k d"]
  standard_deviations: Float[Array, " k"]


def mixture(weights: Numbers, means: Numbers, standard_deviations: Numbers) -> Mixture:
  """Returns the Mixture of lists of numbers; means of one dimension may be plain numbers."""
  means = jnp.asarray(means, float)
  means = means[:, None] if means.ndim == 1 else means
  return Mixture(jnp.asarray(weights, float), means, jnp.asarray(standard_deviations, float))


def density(of: Mixture, points: Float[Array, "n d"]) -> Float[Array, " n"]:
  """Density sum_k w_k N(x; m_k, s_k^2 I) at points [n, d], per unit of volume."""
  offsets = (points[:, None] - of.means[None]) / of.standard_deviations[None, :, None]  # [n, K, d]
  scale = (2 * jnp.pi * of.standard_deviations**2) ** (points.shape[1] / 2)  # [K]
  return jnp.exp(-jnp.sum(offsets**2, -1) / 2) @ (of.weights / scale)


def sample(of: Mixture, key: Key[Array, ""]) -> Float[Array, " d"]:
  """Draws one point [d]."""
  which_key, noise_key = jax.random.split(key)
  which = jax.random.choice(which_key, len(of.weights), p=of.weights)
  noise = jax.random.normal(noise_key, of.means.shape[1:])
  return of.means[which] + of.standard_deviations[which] * noise


def samples(of: Mixture, key: Key[Array, ""], count: int) -> Float[Array, "n d"]:
  """Draws `count` independent points [count, d]."""
  return jax.vmap(sample, (None, 0))(of, jax.random.split(key, count))


def lattice(
  low: float, high: float, count: int, dimensions: int = 1
) -> tuple[Float[Array, "n d"], float]:
  """Returns (points [count^d, d], volume of a cell) of a lattice over [low, high]^d.

  The sum of a smooth function times the volume is its integral to many digits where the function
  has fallen to 0 at the ends.
  """
  axis = jnp.linspace(low, high, count)
  axes = jnp.meshgrid(*[axis] * dimensions)
  points = jnp.stack([values.ravel() for values in axes], axis=-1)
  return points, ((high - low) / (count - 1)) ** dimensions


def bulk(heights: Float[Array, " n"], share: float) -> Bool[Array, " n"]:
  """Which cells hold the densest `share` of the mass, True and False [n].

  Args:
    heights: [n], a density on a lattice.
    share: in (0, 1).
  """
  order = jnp.argsort(-heights)
  mass = jnp.cumsum(heights[order]) / jnp.sum(heights)
  return jnp.zeros(len(heights), bool).at[order].set(mass <= share)
