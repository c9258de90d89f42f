"""The points of a plane that the authors' toys of WGAN-GP are trained on."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from gan.datasets import grid
from gan.theory import densities

LIMIT = 2.0  # of what is drawn
SCALE = math.sqrt(8)  # of the grid in the authors' code, 2.828


def _ring(key):
  angles = np.arange(8) * np.pi / 4
  places = np.sqrt(2) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
  return densities.sample(densities.mixture([1 / 8] * 8, places, [0.02 / np.sqrt(2)] * 8), key)


def _grid(key):
  of = densities.mixture([1 / 25] * 25, grid.centres() / SCALE, [grid.SIGMA / SCALE] * 25)
  return densities.sample(of, key)


def _swiss_roll(key):
  """As scikit-learn's, noise 0.25, its first and last coordinate over 7.5."""
  angle_key, noise_key = jax.random.split(key)
  angle = 1.5 * jnp.pi * (1 + 2 * jax.random.uniform(angle_key))
  place = angle * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
  return (place + 0.25 * jax.random.normal(noise_key, (2,))) / 7.5


DATA = {"8 Gaussians": _ring, "25 Gaussians": _grid, "swiss roll": _swiss_roll}
QUICK_DATA = ("25 Gaussians", "swiss roll")


def draw(name: str, key, count: int):
  """Draws data [count, 2]."""
  return jax.vmap(DATA[name])(jax.random.split(key, count))
