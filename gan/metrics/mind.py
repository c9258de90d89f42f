"""Monge Inception distance (MIND, of any features): sliced transport between two sets."""

import numpy as np
from jaxtyping import Float

from gan.metrics.checks import check_pair
from gan.system.schema import check_whole

DIRECTIONS = 1000
_AT_ONCE = 50  # directions: 10,000 samples take 4 MB


def mind(
  real: Float[np.ndarray, "n d"],
  fake: Float[np.ndarray, "m d"],
  rng: np.random.Generator,
  *,
  directions: int = DIRECTIONS,
) -> float:
  """3 D times the mean squared Wasserstein-2 distance of the sets along random directions.

  MIND = 3 D mean_u integral_0^1 (Q_{u.x}(t) - Q_{u.y}(t))^2 dt, for unit vectors u uniform on the
  sphere and quantile functions Q of the projected sets. At equal counts the integral is the mean of
  (sort(u.x) - sort(u.y))^2; at unequal ones it is the exact integral of the two step functions, by
  which no sample is left out. N(a, I) and N(b, I) have 3 |a - b|^2. As every transport between
  samples it lies above that of the distributions: compare only values at equal N and equal M.

  See "MIND: Monge Inception Distance for Generative Models Evaluation" by Berthet et al.
  (https://arxiv.org/abs/2605.06797).

  Args:
    real: [N, D], features of data.
    fake: [M, D], features of generated samples.
    rng: source of the directions.
    directions: how many; 1000 in the paper.

  Returns:
    The distance in squared units of the features, >= 0; 0 for equal sets.

  Raises:
    UserError: see `checks.check_pair`; or no directions.
  """
  check_whole("directions", directions, least=1)
  real, fake = check_pair(real, fake)
  dimensions = real.shape[1]
  normals = rng.standard_normal((directions, dimensions))
  units = normals / np.linalg.norm(normals, axis=1, keepdims=True)
  shares, of_real, of_fake = _steps(len(real), len(fake))
  squares = [
    np.square(_sorted(real, some)[:, of_real] - _sorted(fake, some)[:, of_fake]) @ shares
    for some in (units[start : start + _AT_ONCE] for start in range(0, directions, _AT_ONCE))
  ]
  return float(3 * dimensions * np.concatenate(squares).mean())


def _sorted(features, directions):
  """[U, N], the order statistics of features [N, D] along directions [U, D]."""
  return np.sort(directions @ features.T, axis=1)


def _steps(first, second):
  """Where quantile functions of so many samples are both constant.

  Returns:
    The lengths [S] of the pieces of 0..1, and the order statistic of each set [S] on each piece.
  """
  # In units of 1/(first second): whole numbers, which do not round.
  ends = np.union1d(np.arange(1, first + 1) * second, np.arange(1, second + 1) * first)
  lengths = np.diff(ends, prepend=0) / (first * second)
  return lengths, (ends - 1) // second, (ends - 1) // first
