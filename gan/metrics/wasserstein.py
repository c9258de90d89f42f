"""Wasserstein-2 distance between two sets of points, by the assignment that is best."""

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from gan.metrics.checks import check_pair

MOST = 2000  # points of each set: an assignment of 2,000 takes about a second, of 10,000 minutes


def wasserstein(
  real: Float[np.ndarray, "n d"],
  fake: Float[np.ndarray, "m d"],
  rng: np.random.Generator,
  *,
  most: int = MOST,
) -> float:
  """Exact Wasserstein-2 distance between two sets of equally many points.

  W2 = sqrt(min_s 1/n sum_i |x_i - y_{s(i)}|^2) over permutations s, of n = min(N, M, `most`) points
  of each set, drawn at random without replacement where a set has more. On average it lies above
  the distance of the distributions, the more the fewer points: compare only values at equal n.

  See "Computational Optimal Transport" by Peyre and Cuturi, section 2.2
  (https://arxiv.org/abs/1803.00567).

  Args:
    real: [N, D], points of the data.
    fake: [M, D], generated points.
    rng: source of the subsets.
    most: largest n; time grows with its third power.

  Returns:
    The distance in units of the points, >= 0; 0 for equal sets, |c| for sets that c parts.

  Raises:
    UserError: see `checks.check_pair`.
  """
  real, fake = check_pair(real, fake)
  count = min(len(real), len(fake), most)
  real, fake = (_subset(points, count, rng) for points in (real, fake))
  costs = cdist(real, fake, "sqeuclidean")
  return float(np.sqrt(costs[linear_sum_assignment(costs)].mean()))


def _subset(points, count, rng):
  return points if len(points) == count else rng.choice(points, count, replace=False)
