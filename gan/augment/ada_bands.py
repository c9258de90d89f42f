"""Strengths of four bands of frequencies, an octave each."""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan.augment.ada_draws import Draws, factor
from gan.augment.ada_geometry import EXACT, Image, reflected

GAIN_SPREAD = 1.0  # of log2 of the gain of a band
POWER = np.array([10, 1, 1, 1]) / 13  # of natural images in the bands, lowest first
# The low-pass filter of the wavelet sym2.
SYM2 = np.array([-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025])


def filtered(image: Image, gains: Float[Array, " 4"]) -> Image:
  """Filters along both sides, by a sum of the bands; beyond its border the image is mirrored.

  Args:
    image: [H, W, C].
    gains: [4], factors on the bands of each side, lowest first: at equal ones nothing changes.
  """
  rows, columns = (
    jnp.einsum("b,bpq->pq", gains, jnp.asarray(band_matrices(side), gains.dtype), precision=EXACT)
    for side in image.shape[:2]
  )
  image = jnp.einsum("ph,hwc->pwc", rows.astype(image.dtype), image, precision=EXACT)
  return jnp.einsum("qw,pwc->pqc", columns.astype(image.dtype), image, precision=EXACT)


def band_gains(draws: Draws, p: Float[Array, ""]) -> Float[Array, " 4"]:
  """The product of four times four gains, of which the i-th change the i-th band.

  Each four are divided by the root of the power that a natural image would have.
  """
  drawn = draws.parameters("filter", p, factor(GAIN_SPREAD), 1)
  gains = jnp.where(jnp.eye(4, dtype=bool), drawn[None], 1)
  power = jnp.sum(jnp.asarray(POWER, gains.dtype)[None] * gains**2, axis=1, keepdims=True)
  return jnp.prod(gains / jnp.sqrt(power), axis=0)


TAPS = 43  # of each band's filter


@functools.cache
def bank() -> np.ndarray:
  """[4, TAPS]: a filter for each band, lowest first, whose sum is the identity."""
  low = np.convolve(SYM2, SYM2[::-1]) / 2
  high = low * (-1.0) ** (np.arange(7) + 1)
  filters = np.eye(4, 1)
  for band in range(1, 4):
    filters = np.stack([filters, np.zeros_like(filters)], axis=2).reshape(4, -1)[:, :-1]
    filters = np.stack([np.convolve(each, low) for each in filters])
    middle = (filters.shape[1] - 7) // 2
    filters[band, middle : middle + 7] += high
  return filters


@functools.cache
def band_matrices(side: int) -> np.ndarray:
  """[4, side, side]: what the filters do to a side that is mirrored at its ends."""
  matrices, places = np.zeros((4, side, side)), np.arange(side)
  for tap, weights in enumerate(bank().T):
    matrices[:, places, reflected(places + tap - TAPS // 2, side)] += weights[:, None]
  return matrices
