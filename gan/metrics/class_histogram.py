"""Which classes the samples belong to."""

import numpy as np
from jaxtyping import Float

from gan.metrics.checks import check_probabilities


def class_histogram(probabilities: Float[np.ndarray, "n c"]) -> Float[np.ndarray, " c"]:
  """Share of samples in each class, #{x: argmax_y p(y|x) = c} / N; the lowest class wins a tie.

  Args:
    probabilities: [N, C], p(y|x) of a classifier on generated samples, rows that sum to 1, N >= 1.

  Returns:
    [C], shares in [0, 1] that sum to 1.

  Raises:
    UserError: see `checks.check_probabilities`.
  """
  probabilities = check_probabilities(probabilities)
  samples, classes = probabilities.shape
  return np.bincount(probabilities.argmax(axis=1), minlength=classes) / samples
