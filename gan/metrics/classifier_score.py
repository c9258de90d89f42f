"""Inception-style score (classifier score): certainty and variety of a classifier's classes."""

import numpy as np
from jaxtyping import Float
from scipy.special import entr

from gan.errors import UserError
from gan.metrics.checks import check_probabilities


def classifier_score(
  probabilities: Float[np.ndarray, "n c"], splits: int = 10
) -> tuple[float, float]:
  """Inception score with any classifier, exp(E_x KL(p(y|x) || p(y))), p(y) = E_x p(y|x).

  Computed as exp(H(y) - H(y|x)), so that 0 log 0 = 0. Every split is scored by itself, with its own
  p(y). Splits are of equal size and taken in order: shuffle samples that are sorted by class. The
  up to `splits` - 1 samples left over at the end are unused. The score rises with the size of a
  split: compare only at equal size.

  See "Improved Techniques for Training GANs" by Salimans et al., section 4
  (https://arxiv.org/abs/1606.03498); 10 splits and the standard deviation over them as in the
  authors' code (https://github.com/openai/improved-gan).

  Args:
    probabilities: [N, C], p(y|x) of the classifier on generated samples, rows that sum to 1.
    splits: number of splits, 1 to N/2.

  Returns:
    mean: over splits, in [1, C] up to rounding.
    standard deviation: over splits, the root of the plain mean square; 0 for one split.

  Raises:
    UserError: see `checks.check_probabilities`; or splits out of range.
  """
  if splits < 1:
    raise UserError(f"splits is {splits}: choose at least 1, 10 are usual")
  probabilities = check_probabilities(probabilities, minimum=2 * splits)
  samples, classes = probabilities.shape
  size = samples // splits
  parts = probabilities[: size * splits].reshape(splits, size, classes)
  marginal_entropy = entr(parts.mean(axis=1)).sum(axis=-1)  # [splits]
  conditional_entropy = entr(parts).sum(axis=-1).mean(axis=-1)  # [splits]
  scores = np.exp(marginal_entropy - conditional_entropy)
  return float(scores.mean()), float(scores.std())
