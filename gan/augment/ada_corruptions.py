"""Noise, and a box that is cut out."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from gan.augment.ada_draws import Draws, half_normal
from gan.augment.ada_geometry import Image

NOISE_SPREAD = 0.1  # of the standard deviation, in units of images in [-1, 1]
BOX = 0.5  # sides of the box, in sides of the image


def noisy(image: Image, draws: Draws, p: Float[Array, ""], key: Key[Array, ""]) -> Image:
  """Adds Gaussian noise whose standard deviation is the size of a Gaussian number."""
  sigma = draws.parameter("noise", p, lambda of: NOISE_SPREAD * half_normal(of), 0)
  return image + sigma.astype(image.dtype) * jax.random.normal(key, image.shape, image.dtype)


def cut_out(image: Image, draws: Draws, p: Float[Array, ""]) -> Image:
  """Sets a box of half the sides to 0, as much of it as is inside; its centre is anywhere."""
  inside = draws.gates["cutout"][0] < p
  for axis, centre in enumerate(draws.values["cutout"][::-1]):
    places = jax.lax.broadcasted_iota(jnp.float32, image.shape, axis)
    inside &= jnp.abs((places + 0.5) / image.shape[axis] - centre) < BOX / 2
  return jnp.where(inside, jnp.zeros((), image.dtype), image)
