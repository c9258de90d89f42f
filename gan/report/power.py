"""What a study could have seen: the power of its paired t-tests, and the smallest difference."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

from gan.report.statistics import LEVEL, Comparison

POWER = 0.8  # of the smallest difference that is said to be seen
_QUANTILES = (np.arange(4000) + 0.5) / 4000


class Detectable(NamedTuple):
  """The smallest difference that a study would find.

  Attributes:
    difference: of the means of two losses, above 0.
    count: seeds that a pair has, at most.
    tests: pairs that are corrected for.
  """

  difference: float
  count: int
  tests: int


def power(difference: float, spread: float, count: int, tests: int) -> float:
  """Returns how probably a paired t-test finds a difference, two-sided at 0.05 / tests.

  E over s of Phi(d - t s) + Phi(-d - t s) with d = difference sqrt(count) / spread, t the critical
  value and s^2 chi-squared over its count - 1 degrees of freedom: the noncentral t distribution,
  integrated over quantiles of s, which stays exact where one degree needs differences of hundreds
  of standard errors. At this level, Bonferroni's, Holm's correction rejects or is less strict.

  Args:
    difference: true mean of the paired differences.
    spread: true standard deviation of the paired differences, above 0.
    count: pairs, at least two.
    tests: how many are corrected for.
  """
  degrees = count - 1
  critical = stats.t.ppf(1 - (1 - LEVEL) / tests / 2, degrees)
  bound = critical * np.sqrt(stats.chi2.ppf(_QUANTILES, degrees) / degrees)
  shift = difference * math.sqrt(count) / spread
  return float(np.mean(stats.norm.cdf(shift - bound) + stats.norm.cdf(-shift - bound)))


def smallest(spread: float, count: int, tests: int) -> float:
  """Returns the difference that is found with probability POWER; arguments as those of `power`."""
  return spread * _smallest_of_one(count, tests)


@functools.cache
def _smallest_of_one(count, tests) -> float:
  """The smallest difference where the spread is 1."""

  def missing(difference: float) -> float:
    return power(difference, 1.0, count, tests) - POWER

  high = 1.0
  while missing(high) < 0:
    high *= 2
  return float(optimize.brentq(missing, 0, high))


def detectable(comparisons: Sequence[Comparison]) -> Detectable | None:
  """Returns the smallest difference that a study would have found; None where nothing is tested.

  The spread is that of the differences of all pairs together, sqrt(sum (n - 1) s^2 / sum (n - 1)):
  a pair of few seeds by itself says too little of it.
  """
  tested = [found for found in comparisons if found.spread is not None]
  degrees = sum(found.count - 1 for found in tested)
  squares = sum((found.count - 1) * found.spread**2 for found in tested)
  if not squares:
    return None
  count = max(found.count for found in tested)
  return Detectable(smallest(math.sqrt(squares / degrees), count, len(tested)), count, len(tested))
