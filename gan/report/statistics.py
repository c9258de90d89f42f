"""Statistics over seeds: centres with bootstrap intervals, and paired comparisons of losses.

Few seeds tell little: the bootstrap of three values is narrower than its level says, and a t-test
of three pairs finds large differences only. See "Deep Reinforcement Learning at the Edge of the
Statistical Precipice" by Agarwal et al. (https://arxiv.org/abs/2108.13264), the source of the
interquartile mean with bootstrap intervals for such studies.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

LEAST_SEEDS = 3  # of an interval: two values have no spread worth the name
RESAMPLES = 2000
LEVEL = 0.95


class Centre(NamedTuple):
  """Where the values of some seeds lie.

  Attributes:
    count: number of values.
    median: of the values.
    median_interval: (low, high) at 95 %, None for fewer than three values or infinite ones.
    iqm: interquartile mean, the mean without a quarter of the values at each end.
    iqm_interval: as that of the median.
  """

  count: int
  median: float
  median_interval: tuple[float, float] | None
  iqm: float
  iqm_interval: tuple[float, float] | None


def centre(values: Sequence[float] | Float[np.ndarray, " n"]) -> Centre | None:
  """Returns median and interquartile mean with their intervals; None of no values."""
  if not len(values):
    return None
  values = np.sort(np.asarray(values, float))  # a set has no order, so the resamples have none
  return Centre(
    len(values),
    float(np.median(values)),
    _interval(values, np.median),
    float(iqm(values)),
    _interval(values, iqm),
  )


def iqm(values: Float[np.ndarray, " n *rest"], axis: int = 0) -> Float[np.ndarray, "..."] | float:
  """Returns the interquartile mean: n // 4 values are left out at each end, none of n < 4."""
  return stats.trim_mean(values, 0.25, axis=axis)


def _interval(values, statistic):
  if len(values) < LEAST_SEEDS or not np.isfinite(values).all():
    return None
  low, high = band(values[:, None], statistic)
  return float(low[0]), float(high[0])


def band(
  values: Float[np.ndarray, "seeds points"], statistic=iqm
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
  """Returns the 95 % percentile bootstrap interval of a statistic over seeds, at every point.

  Whole seeds are resampled, so a curve stays one curve. The resamples are always the same.

  Args:
    values: finite; at least two seeds.
    statistic: `(values, axis) -> values`.
  """
  result = stats.bootstrap(
    (values,),
    statistic,
    axis=0,
    n_resamples=RESAMPLES,
    confidence_level=LEVEL,
    method="percentile",
    vectorized=True,
    rng=np.random.default_rng(0),
  )
  return result.confidence_interval.low, result.confidence_interval.high


def holm(p_values: Sequence[float]) -> list[float]:
  """Returns p-values adjusted for their number: the k-th smallest of m times m - k + 1, monotone.

  See "A Simple Sequentially Rejective Multiple Test Procedure" by Holm (Scandinavian Journal of
  Statistics 6, 1979).
  """
  adjusted, least = [0.0] * len(p_values), 0.0
  for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
    least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
    adjusted[index] = least
  return adjusted


class Comparison(NamedTuple):
  """Two losses, paired by seed.

  Attributes:
    first: a loss.
    second: another.
    count: seeds that both have.
    difference: mean of first - second; None without a pair.
    interval: (low, high) at the level 1 - 0.05 / m (Bonferroni) for the m pairs with at least two
      seeds; None where no test is.
    p_value: of the paired t-test, two-sided; 1 where all differences are 0; None where there are
      fewer than two pairs, or where all differences are the same other number.
    adjusted: the p-value after Holm's correction for the m pairs.
    spread: standard deviation of the differences; None for fewer than two.
  """

  first: str
  second: str
  count: int
  difference: float | None
  interval: tuple[float, float] | None
  p_value: float | None
  adjusted: float | None
  spread: float | None = None

  @property
  def survives(self) -> bool:
    """Whether the difference is significant at 5 % after the correction."""
    return self.adjusted is not None and self.adjusted < 1 - LEVEL


def compare(
  values: Mapping[str, Mapping[tuple, float]], pairs: Sequence[tuple[str, str]] | None = None
) -> list[Comparison]:
  """Returns the comparisons of all pairs of losses, in the order of the losses, or of some pairs.

  Seeds are the repetitions: runs of one seed that differ in other hyper-parameters are no
  independent ones, so each seed gives one difference, the mean over the settings that both losses
  have with it.

  Args:
    values: loss -> {(seed, *setting): value}; pairs without a finite difference are left out.
    pairs: those that are compared, chosen before the values were seen; None for all.
  """
  differences = {
    pair: _differences(values[pair[0]], values[pair[1]])
    for pair in (itertools.combinations(values, 2) if pairs is None else pairs)
  }
  tested = [pair for pair, found in differences.items() if len(found) > 1]
  p_values = [_p_value(differences[pair]) for pair in tested]
  adjusted = holm([1.0 if p is None else p for p in p_values])
  tests = {
    pair: (p, None if p is None else a)
    for pair, p, a in zip(tested, p_values, adjusted, strict=True)
  }
  return [
    _comparison(pair, found, len(tested), *tests.get(pair, (None, None)))
    for pair, found in differences.items()
  ]


def _p_value(differences):
  """Of the t-test: 1 where all are zero, None where all are the same other number."""
  if np.ptp(differences) > 0:
    return float(stats.ttest_1samp(differences, 0).pvalue)
  return None if differences[0] else 1.0


def _comparison(pair, differences, tests, p_value, adjusted):
  mean = float(np.mean(differences)) if differences else None
  interval = None if p_value is None else _t_interval(differences, (1 - LEVEL) / tests)
  spread = float(np.std(differences, ddof=1)) if len(differences) > 1 else None
  return Comparison(*pair, len(differences), mean, interval, p_value, adjusted, spread)


def _t_interval(differences, alpha):
  half = stats.t.ppf(1 - alpha / 2, len(differences) - 1) * stats.sem(differences)
  return float(np.mean(differences) - half), float(np.mean(differences) + half)


def _differences(first, second) -> list[float]:
  """One difference a seed, the mean over the settings that both have."""
  kept = _shared_fields(first, second)
  first, second = (
    {_project(key, kept): value for key, value in values.items()} for values in (first, second)
  )
  by_seed = {}
  for seed, *setting in sorted(first.keys() & second.keys(), key=repr):
    key = (seed, *setting)
    # An infinite value has no difference to another.
    if math.isfinite(first[key]) and math.isfinite(second[key]):
      by_seed.setdefault(seed, []).append(first[key] - second[key])
  return [float(np.mean(found)) for found in by_seed.values()]


def _shared_fields(first, second) -> list[int]:
  """Places of (seed, *setting) by which two losses are paired.

  A random search draws for each loss what it reads. A field that only one of the two varies is left
  out where the others tell its settings apart: they still are the same draw.
  """
  kept = list(range(len(next(iter([*first, *second]), ()))))
  for place in kept[1:]:
    rest = [other for other in kept if other != place]
    varies = [len({key[place] for key in values}) > 1 for values in (first, second)]
    distinct = all(len({_project(k, rest) for k in v}) == len(v) for v in (first, second))
    kept = rest if varies[0] != varies[1] and distinct else kept
  return kept


def _project(key, places):
  return tuple(key[place] for place in places)
