"""Frechet distance between Gaussians fitted to features, and its limit for endless samples."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gan.errors import UserError
from gan.metrics.checks import LARGEST, check_features, check_pair

ROUNDING = 1e-4  # of eigenvalues, of files in float32 too, as a share of the largest
COUNTS = 8  # sample counts that `frechet_infinity` fits by default


class _Gaussian(NamedTuple):
  """A Gaussian as the distance needs it: mean [D], Tr(C), and F [D, R] with F F^T = C."""

  mean: np.ndarray
  trace: float
  factor: np.ndarray


def gaussian_frechet_distance(
  mean1: Float[np.ndarray, " d"],
  cov1: Float[np.ndarray, "d d"],
  mean2: Float[np.ndarray, " d"],
  cov2: Float[np.ndarray, "d d"],
) -> float:
  """Squared Frechet distance between two Gaussians, |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)).

  With C = F F^T from its eigen-decomposition, Tr((C1 C2)^(1/2)) is the sum of the singular values
  of F1^T F2. That neither takes the root of a product that is not symmetric nor doubles the digits
  that small eigenvalues lose, and covariances may be singular.

  See "The Frechet Distance between Multivariate Normal Distributions" by Dowson and Landau, Journal
  of Multivariate Analysis 12 (1982), 450-455, and "GANs Trained by a Two Time-Scale Update Rule
  Converge to a Local Nash Equilibrium" by Heusel et al. (https://arxiv.org/abs/1706.08500).

  Args:
    mean1: [D], in units of the features.
    cov1: [D, D], symmetric; eigenvalues within rounding of 0, or below it, count as 0.
    mean2: [D].
    cov2: [D, D].

  Returns:
    The distance in squared units of the features, >= 0; 0 for equal Gaussians.

  Raises:
    UserError: shapes that do not fit, a covariance that is not symmetric or has an eigenvalue
      below 0 by more than rounding, a NaN or an infinity, or numbers whose squares overflow.
  """
  if np.shape(mean1) != np.shape(mean2):
    raise UserError(
      f"means have shapes {list(np.shape(mean1))} and {list(np.shape(mean2))}: take both from the "
      "same layer of the same network"
    )
  return _distance(_gaussian(mean1, cov1), _gaussian(mean2, cov2))


def frechet_distance(real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d"]) -> float:
  """Squared Frechet distance between Gaussians fitted to two sets of features.

  Means and covariances, with N - 1, go into `gaussian_frechet_distance`. On average the estimate
  lies above the distance of the distributions, by about a/N + b/M with a and b that depend on both:
  compare only values at equal N and equal M, or see `frechet_infinity`. Features that are constant
  are legal: their variance is 0.

  See "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium" by Heusel
  et al. (https://arxiv.org/abs/1706.08500).

  Args:
    real: [N, D], features of data, N >= 2; N may be below D.
    fake: [M, D], features of generated samples, M >= 2.

  Returns:
    The distance in squared units of the features, >= 0.

  Raises:
    UserError: see `checks.check_pair`.
  """
  real, fake = check_pair(real, fake, minimum=2)
  return _distance(_fit(real), _fit(fake))


def frechet_to_statistics(
  mean: Float[np.ndarray, " d"],
  covariance: Float[np.ndarray, "d d"],
  fake: Float[np.ndarray, "m d"],
) -> float:
  """`frechet_distance`, with the mean and covariance of real features in the place of these.

  Args:
    mean: [D].
    covariance: [D, D].
    fake: [M, D], features of generated samples, M >= 2.

  Raises:
    UserError: see `gaussian_frechet_distance` and `checks.check_features`.
  """
  fake = check_features("fake", fake, 2)
  if np.shape(mean) != fake.shape[1:]:
    raise UserError(
      f"the mean has shape {list(np.shape(mean))} and fake features {list(fake.shape)}: take both "
      "from the same layer of the same network"
    )
  return _distance(_gaussian(mean, covariance), _fit(fake))


def frechet_infinity(
  real: Float[np.ndarray, "n d"],
  fake: Float[np.ndarray, "m d"],
  rng: np.random.Generator,
  counts: Sequence[int] | Int[np.ndarray, " c"] | None = None,
) -> tuple[float, Int[np.ndarray, " k"], Float[np.ndarray, " k"]]:
  """Frechet distance for endless fakes: the intercept of a line through (1/n, distance at n).

  Every count has its own random subset of the fakes, without replacement; the reference stays
  whole, and its own bias stays too. The 1/n law holds where the counts are well above D: where they
  are not, the intercept is no estimate and can be negative.

  See "Effectively Unbiased FID and Inception Score and where to find them" by Chong and Forsyth
  (https://arxiv.org/abs/1911.07023); counts at equal steps in n as in their code
  (https://github.com/mchong6/FID_IS_infinity), 8 here and 15 there.

  Args:
    real: [N, D], features of data, N >= 3.
    fake: [M, D], features of generated samples, M >= 3.
    rng: source of the subsets.
    counts: sample counts in 2..M, at least two different ones; None for 8 from M/4 to M.

  Returns:
    infinity: the intercept, in squared units of the features.
    counts: [K], rising.
    values: [K], the distance at each count: their fall with the count is the bias.

  Raises:
    UserError: see `checks.check_pair`; or counts out of range or too few.
  """
  real, fake = check_pair(real, fake, minimum=3)
  counts = _check_counts(counts, len(fake))
  reference = _fit(real)
  values = np.array(
    [_distance(reference, _fit(rng.choice(fake, n, replace=False))) for n in counts]
  )
  _, infinity = np.polyfit(1 / counts, values, deg=1)
  return float(infinity), counts, values


def _check_counts(counts, samples):
  """Different counts in rising order."""
  if counts is None:
    counts = np.linspace(max(2, samples // 4), samples, COUNTS).astype(int)
  counts = np.unique(counts)
  if len(counts) < 2 or counts[0] < 2 or counts[-1] > samples:
    raise UserError(
      f"counts are {counts.tolist()}: give at least two different ones between 2 and the {samples} "
      "fake samples"
    )
  return counts


def _fit(features):
  """The Gaussian with the mean and covariance of features [N, D]."""
  return _gaussian(features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False)))


def _gaussian(mean, cov):
  mean, cov = np.asarray(mean, np.float64), np.asarray(cov, np.float64)
  if mean.ndim != 1 or cov.shape != 2 * mean.shape:
    raise UserError(
      f"mean has shape {list(mean.shape)} and covariance {list(cov.shape)}: give [D] and [D, D]"
    )
  sized = (np.abs(mean) <= LARGEST).all() and (np.abs(cov) <= LARGEST**2).all()
  if not (sized and np.allclose(cov, cov.T)):
    raise UserError(
      "mean or covariance holds NaN or infinity, or the covariance is not symmetric: compute both "
      "from finite features of moderate size"
    )
  return _Gaussian(mean, np.trace(cov), _factor(cov))


def _factor(cov):
  """F [D, R] with F F^T = C [D, D] and R the rank of C."""
  eigenvalues, vectors = np.linalg.eigh(cov)
  if eigenvalues[0] < -ROUNDING * np.abs(eigenvalues).max():
    raise UserError(
      f"the covariance has an eigenvalue of {eigenvalues[0]:.3g}: those of a covariance are not "
      "below 0, so compute it again"
    )
  # The root of an eigenvalue that is 0 but for rounding, 1e-16, would weigh 1e-8.
  kept = eigenvalues > len(cov) * np.finfo(np.float64).eps * eigenvalues[-1]
  return vectors[:, kept] * np.sqrt(eigenvalues[kept])


def _distance(first, second):
  shift = np.sum(np.square(first.mean - second.mean))
  overlap = np.linalg.svd(first.factor.T @ second.factor, compute_uv=False).sum()
  # Rounding can leave the traces of equal covariances a little below twice their overlap.
  return float(shift + max(0.0, first.trace + second.trace - 2 * overlap))
