"""Improved precision and recall: fakes among the data, and data among the fakes."""

import numpy as np
from jaxtyping import Float

from gan.metrics.checks import check_pair
from gan.metrics.neighbours import kth_distance, memberships


def precision_recall(
  real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d"], *, k: int = 3
) -> tuple[float, float]:
  """Share of fakes inside the data's manifold, and share of data inside the fakes'.

  A set's manifold is the union of closed balls around its points, each out to the point's k-th
  nearest other point: precision = mean_j 1[some i: |y_j - x_i| <= r_k(x_i)], and recall the same
  with data x and fakes y exchanged. Equal distributions do not score 1, and score less the higher
  the dimension, so compare only at equal N, M, D and k.

  See "Improved Precision and Recall Metric for Assessing Generative Models" by Kynkaanniemi et al.
  (https://arxiv.org/abs/1904.06991).

  Args:
    real: [N, D], features of data, N > k.
    fake: [M, D], features of generated samples, M > k.
    k: 3 in the paper.

  Returns:
    Precision and recall, both in 0..1.

  Raises:
    UserError: too few samples for k, NaN, or dimensions that differ.
  """
  real, fake = check_pair(real, fake, k + 1)
  around_real = memberships(fake, real, kth_distance(real, k), closed=True)
  around_fake = memberships(real, fake, kth_distance(fake, k), closed=True)
  precision = np.mean(around_real.balls_per_query > 0)
  recall = np.mean(around_fake.balls_per_query > 0)
  return float(precision), float(recall)
