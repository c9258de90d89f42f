"""How many modes the samples hit and how evenly, beside what a perfect sampler reaches."""

import functools
import math

import numpy as np
from jaxtyping import Float, Int
from scipy.special import entr, xlogy
from scipy.stats import binom

from gan.errors import UserError
from gan.metrics.checks import check_table

REACH = 3.0  # standard deviations from its centre within which a point is of high quality
# Share of a two-dimensional Gaussian there: its squared radius is exponential with mean 2 sigma^2.
PERFECT_HIGH_QUALITY_SHARE = -math.expm1(-(REACH**2) / 2)


def stacked_modes(
  probabilities_per_channel: Float[np.ndarray, "n k c"],
) -> tuple[int, float]:
  """Modes of stacked images that are hit, of C^K, and KL(their histogram || uniform).

  A sample's mode is the tuple of its channels' classes, argmax in each with no threshold; the
  lowest class wins a tie. Stacked MNIST has K = 3 channels, C = 10 digits and 1000 modes. Both
  numbers depend on N: see `expected_modes` and `expected_kl` for a perfect sampler's.

  See "VEEGAN" by Srivastava et al. (https://arxiv.org/abs/1705.07761) and "PacGAN" by Lin et al.
  (https://arxiv.org/abs/1712.04086).

  Args:
    probabilities_per_channel: [N, K, C], p(y|channel) of a classifier, N >= 1; logits do as well.

  Returns:
    modes: in 1..C^K.
    kl: in nats, 0 to K log C.

  Raises:
    UserError: not [N, K, C], empty, or a NaN or infinity among them.
  """
  probabilities = np.asarray(probabilities_per_channel)
  if probabilities.ndim != 3 or 0 in probabilities.shape:
    raise UserError(
      f"probabilities have shape {list(probabilities.shape)}: give [N, channels, classes], N >= 1"
    )
  samples, channels, classes = probabilities.shape
  check_table("probabilities", probabilities.reshape(samples, -1))
  labels = probabilities.argmax(axis=2)  # [N, K]
  _, counts = np.unique(labels, axis=0, return_counts=True)
  return len(counts), _kl_to_uniform(counts, classes**channels)


def mixture_modes(
  points: Float[np.ndarray, "n 2"], centres: Float[np.ndarray, "k 2"], sigma: float
) -> tuple[int, float, float]:
  """Modes of a mixture that are hit, the share of good points, and KL(their histogram || uniform).

  A point is of high quality if its Euclidean distance to the nearest centre is below 3 sigma; a
  mode is hit if it is the nearest of at least one such point. The histogram is over the modes of
  the high-quality points alone; its divergence is the literature's "reverse KL". All three depend
  on N: see `expected_mixture_modes` for a perfect sampler's.

  See "PacGAN" by Lin et al. (https://arxiv.org/abs/1712.04086), 2500 points, and "VEEGAN" by
  Srivastava et al. (https://arxiv.org/abs/1705.07761).

  Args:
    points: [N, 2], generated, N >= 1.
    centres: [K, 2], means of equally likely modes, K >= 1, in units of the points.
    sigma: standard deviation of a mode along both axes, > 0, in the same units.

  Returns:
    modes: in 0..K.
    high_quality_share: in [0, 1].
    reverse_kl: in nats, 0 to log K; `math.inf` where no point is of high quality, for then there
      is no histogram, and any number would flatter.

  Raises:
    UserError: shapes that do not fit, a NaN or an infinity, or sigma that is not positive.
  """
  points, centres = check_table("points", points), check_table("centres", centres)
  if points.shape[1] != 2 or centres.shape[1] != 2:
    raise UserError(
      f"points have {points.shape[1]} coordinates and centres {centres.shape[1]}: give 2 for both"
    )
  if not 0 < sigma < math.inf:
    raise UserError(f"sigma is {sigma}: give the modes' standard deviation, above 0")
  distances = np.linalg.norm(points[:, None] - centres, axis=-1)  # [N, K]
  good = distances.min(axis=1) < REACH * sigma  # [N]
  counts = np.bincount(distances[good].argmin(axis=1), minlength=len(centres))
  reverse_kl = _kl_to_uniform(counts, len(centres)) if good.any() else math.inf
  return int(np.count_nonzero(counts)), float(good.mean()), reverse_kl


def expected_modes(samples: int, modes: int | Float[np.ndarray, " m"]) -> float:
  """Modes that a perfect sampler hits on average, sum_j (1 - (1 - p_j)^n).

  Args:
    samples: n >= 0.
    modes: m >= 1 equally likely ones, p_j = 1 / m; or [m], the chance p_j of each.

  Returns:
    In 0..m, not whole.

  Raises:
    UserError: an argument out of range.
  """
  chances, times = _chances(modes)
  _check_sampler(samples, times.sum(), least=0)
  return float(np.sum(times * (1 - (1 - chances) ** samples)))


def expected_kl(samples: int, modes: int | Float[np.ndarray, " m"]) -> float:
  """KL(histogram || uniform) of a perfect sampler on average, with n samples of m modes.

  E[KL] = sum_j E[(X_j/n) log(m X_j/n)] with X_j ~ Binomial(n, p_j) the count of a mode, summed
  exactly over the distribution of X_j; about KL(p || uniform) + (m - 1) / (2 n) where n is well
  above m.

  Args:
    samples: n >= 1.
    modes: m >= 1 equally likely ones, p_j = 1 / m; or [m], the chance p_j of each.

  Returns:
    Nats, 0 to log m.

  Raises:
    UserError: an argument out of range.
  """
  chances, times = _chances(modes)
  modes = times.sum()
  _check_sampler(samples, modes, least=1)
  counts = np.arange(samples + 1)
  share = counts / samples
  terms = xlogy(share, modes * share)
  means = [binom.pmf(counts, samples, chance) @ terms for chance in chances]
  return float(times @ means)


def joint_chances(labels: Int[np.ndarray, "n k"], classes: int) -> Float[np.ndarray, " m"]:
  """The chance of each tuple of classes, where each of K channels is drawn by itself: C^K products.

  Args:
    labels: [N, K], the class of each channel of N samples, 0..C - 1.
    classes: C.

  Returns:
    [C^K], sum 1; tuples in the order of their digits, the last channel running fastest.
  """
  shares = [np.bincount(channel, minlength=classes) / len(labels) for channel in labels.T]
  return functools.reduce(np.multiply.outer, shares).ravel()


def expected_mixture_modes(samples: int, modes: int) -> tuple[float, float, float]:
  """What `mixture_modes` finds on average for a perfect sampler, at n points and m modes.

  A point is of high quality with probability q = 1 - exp(-9/2) = 0.98889, so that m (1 - (1 -
  q/m)^n) modes are hit; the divergence is `expected_kl` at the expected number of such points, n q
  to the next whole one. For modes 10 standard deviations apart or more: a point of one then comes
  within 3 of another with a chance below exp(-49/2).

  Args:
    samples: n >= 1.
    modes: m >= 1, equally likely.

  Returns:
    modes, high_quality_share and reverse_kl, in the units of `mixture_modes`.

  Raises:
    UserError: an argument out of range.
  """
  _check_sampler(samples, modes, least=1)
  hit = modes * (1 - (1 - PERFECT_HIGH_QUALITY_SHARE / modes) ** samples)
  good = round(samples * PERFECT_HIGH_QUALITY_SHARE)
  return float(hit), PERFECT_HIGH_QUALITY_SHARE, expected_kl(good, modes)


def _chances(modes):
  """The different chances of modes, and how many modes have each."""
  if np.ndim(modes) == 0:
    return np.array([1 / max(modes, 1)]), np.array([modes])
  # Products of the same factors differ by rounding.
  return np.unique(np.round(modes, 15), return_counts=True)


def _check_sampler(samples, modes, least):
  if samples < least or modes < 1:
    raise UserError(f"samples is {samples} and modes {modes}: give at least {least} and at least 1")


def _kl_to_uniform(counts, modes):
  """KL(counts / sum(counts) || uniform over `modes`), nats; modes without a count may be left out.

  The divergence is log(modes) less the entropy.
  """
  # Equal counts leave the difference within rounding of 0, on either side.
  return max(0.0, float(np.log(modes) - entr(counts / counts.sum()).sum()))
