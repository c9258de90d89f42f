"""Density and coverage: how densely fakes lie among the data, and how much of it they reach."""

import numpy as np
from jaxtyping import Float

from gan.metrics.checks import check_pair
from gan.metrics.neighbours import kth_distance, memberships


def density_coverage(
  real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d"], *, k: int = 5
) -> tuple[float, float]:
  """Fakes per ball around data over what is due, and share of these balls that hold a fake.

  density = sum_ij 1[|y_j - x_i| < r_k(x_i)] / (k M), coverage = mean_i 1[some j: the same], where
  r_k(x_i) is the distance of data x_i to its k-th nearest other data. Equal distributions have
  density 1 and the coverage of `expected_coverage`, in any dimension.

  See "Reliable Fidelity and Diversity Metrics for Generative Models" by Naeem et al.
  (https://arxiv.org/abs/2002.09797); the strict < is that of
  https://github.com/clovaai/generative-evaluation-prdc.

  Args:
    real: [N, D], features of data, N > k.
    fake: [M, D], features of generated samples, M > k.
    k: 5 in the paper.

  Returns:
    Density, at least 0 and unbounded, and coverage, in 0..1.

  Raises:
    UserError: too few samples for k, NaN, or dimensions that differ.
  """
  real, fake = check_pair(real, fake, k + 1)
  around_real = memberships(fake, real, kth_distance(real, k), closed=False)
  density = np.mean(around_real.balls_per_query) / k
  coverage = np.mean(around_real.queries_per_ball > 0)
  return float(density), float(coverage)


def expected_coverage(real_count: int, fake_count: int, k: int) -> float:
  """Coverage of equal distributions, 1 - (N-1)...(N-k) / ((M+N-1)...(M+N-k)).

  The fraction is the chance that the k nearest of the M + N - 1 other samples are all data. It
  comes near 1 - 2^-k for large M = N: 0.96875 at k = 5.

  See "Reliable Fidelity and Diversity Metrics for Generative Models" by Naeem et al.
  (https://arxiv.org/abs/2002.09797).

  Args:
    real_count: N, more than k.
    fake_count: M.
    k: of `density_coverage`.

  Returns:
    In 0..1.
  """
  others = real_count - np.arange(1, k + 1)  # [k]
  return float(1 - np.prod(others / (fake_count + others)))
