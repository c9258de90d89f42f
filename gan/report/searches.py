"""What a search over hyper-parameters tells of each loss: its budget, its spread, comparisons.

Values are those by which settings are chosen: the median over seeds of last values, with the sign
under which the smallest is the best, infinite for a setting that diverged.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from gan.metrics.best import RANKED, better
from gan.report.analysis import Analysis, Row, place, rank
from gan.report.statistics import LEVEL, RESAMPLES
from gan.report.study import StudyRun

_SAMPLE = re.compile(r"(?:^|,)sample=(\d+)(?:,|$)")  # in the name of a run of a search
Draw = tuple[str, int]  # folder of a sweep, number of the sample
Values = Float[np.ndarray, " n"]


class Search(NamedTuple):
  """The settings that a search tried.

  Attributes:
    sign: 1 or -1, by which values were multiplied.
    values: loss -> {draw: value}; losses in the order of the study, draws in that of the search.
    best_first: loss -> its draws, those that went further before those that were stopped.
    shares: loss -> {draw: steps made / steps of a run that goes to its end}.
    stopped: loss -> how many of its settings were stopped early.
    sequential: whether each draw followed from the values before it.
  """

  sign: int
  values: dict[str, dict[Draw, float]]
  best_first: dict[str, list[Draw]]
  shares: dict[str, dict[Draw, float]]
  stopped: dict[str, int]
  sequential: bool = False

  def array(self, loss: str) -> Values:
    """Returns the values of a loss, [draws]."""
    return np.array(list(self.values[loss].values()), float)

  def ordered(self, loss: str) -> Values:
    """Returns the values of a loss, [draws], the best setting first."""
    return np.array([self.values[loss][draw] for draw in self.best_first[loss]], float)

  def default(self, loss: str) -> float | None:
    """Returns the value of the first sample; None where there is no such or more than one."""
    first = [value for (_, sample), value in self.values[loss].items() if sample == 0]
    return first[0] if len(first) == 1 else None

  def paired(self) -> Float[np.ndarray, "draws losses"]:
    """Returns the values at the draws that all losses have; a sequential search has none."""
    shared = set.intersection(*map(set, [*self.values.values(), *[[]] * self.sequential]))
    return np.array(
      [[found[draw] for found in self.values.values()] for draw in sorted(shared)], float
    ).reshape(-1, len(self.values))


def search_of(analysis: Analysis) -> Search | None:
  """Returns the search that a study is by its headline metric.

  None where no loss has three settings that a search drew, or no metric that has a direction.
  """
  sign = RANKED.get(better(analysis.metric)) if analysis.metric else None
  rows = {}
  for row in analysis.headline if sign else ():
    if (draw := _draw(row)) and _counts(row):
      rows.setdefault(row.loss, {})[draw] = row
  if max(map(len, rows.values()), default=0) < 3:
    return None

  def each(function: Callable[[Row], float]) -> dict[str, dict[Draw, float]]:
    return {loss: {draw: function(own[draw]) for draw in sorted(own)} for loss, own in rows.items()}

  order = {loss: sorted(sorted(own), key=lambda d: place(own[d])) for loss, own in rows.items()}
  stopped = {
    loss: sum(row.reached < math.inf for row in own.values()) for loss, own in rows.items()
  }
  return Search(sign, each(rank), order, each(_share), stopped, analysis.study.sequential)


def _share(row: Row) -> float:
  """How much of its length a setting was trained for, the mean over seeds."""
  return float(np.mean([_share_of_run(found.run) for found in row.outcomes]))


def _share_of_run(run: StudyRun) -> float:
  steps = run.record["config"].get("steps")
  if run.status not in ("diverged", "stopped") or not steps:
    return 1.0
  return min(1.0, (run.diverged_at or run.step) / steps)


def _draw(row: Row) -> Draw | None:
  sample = sample_of(row)
  return None if sample is None else (str(row.outcomes[0].run.folder.parent), sample)


def sample_of(row: Row) -> int | None:
  """Returns the number of the sample that a setting is, by the name of its runs; None of others."""
  found = _SAMPLE.search(row.outcomes[0].run.folder.name)
  return int(found[1]) if found else None


def _counts(row: Row) -> bool:
  """Whether anything is known of a setting yet: a value, or that it diverged."""
  return row.last is not None or row.diverged > 0


def expected_minimum(values: Sequence[float] | Values) -> Values:
  """Returns the expected minimum of k draws without replacement, k = 1 to n.

  E min = sum over i of v_(i) C(n - i, k - 1) / C(n, k): the i-th best is the minimum where the
  other k - 1 draws are among the n - i worse ones. It is the mean over all orders in which a
  search could have come to its settings, the curve of "Are GANs Created Equal?" by Lucic et al.
  (https://arxiv.org/abs/1711.10337) in closed form.

  Args:
    values: [n], the best first, which is not the smallest where a search stopped settings early;
      infinite ones make the expectation infinite while all k draws may be such.

  Returns:
    [n], at k = 1 the mean, at k = n the minimum.
  """
  n = len(values)
  budget = np.arange(1, n + 1)
  weight, found = budget / n, np.zeros(n)
  for i, value in enumerate(values, start=1):
    found[weight > 0] += weight[weight > 0] * value
    # C(n - i - 1, k - 1) / C(n - i, k - 1), exactly 0 where fewer than k - 1 larger ones are left.
    weight = weight * np.maximum(n - i - budget + 1, 0) / max(n - i, 1)
  return found


def minimum_band(values: Sequence[float] | Values) -> tuple[Values, Values]:
  """Returns between what the minimum of k draws lies in 95 % of bootstrap orders, k = 1 to n.

  An order is n draws with replacement; the resamples are always the same.

  Args:
    values: [n], the best first.
  """
  rng, values = np.random.default_rng(0), np.asarray(values, float)
  orders = rng.integers(len(values), size=(RESAMPLES, len(values)))
  minima = values[np.minimum.accumulate(orders, axis=1)]
  # No interpolation: between a finite and an infinite value lies nothing.
  ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
  low, high = np.quantile(minima, ends, axis=0, method="inverted_cdf")
  return low, high


def probability_of_improvement(
  first: Float[np.ndarray, " n"], second: Float[np.ndarray, " m"]
) -> float:
  """Returns P(X < Y), a tie counting half: how often one setting of the first beats one of another.

  1 / (n m) times the sum over all pairs of 1 where x < y and 1/2 where x = y, as in "Deep
  Reinforcement Learning at the Edge of the Statistical Precipice" by Agarwal et al.
  (https://arxiv.org/abs/2108.13264), for one task and a score that is to be small.

  Args:
    first: [n].
    second: [m].
  """
  return float(_improvement(first[None], second[None])[0])


def improvement_interval(
  first: Float[np.ndarray, " n"], second: Float[np.ndarray, " m"]
) -> tuple[float, float]:
  """Returns the 95 % percentile bootstrap interval of `probability_of_improvement`."""
  rng = np.random.default_rng(0)
  low, high = np.quantile(
    _improvement(_resampled(first, rng), _resampled(second, rng)),
    [(1 - LEVEL) / 2, (1 + LEVEL) / 2],
  )
  return float(low), float(high)


def _resampled(values, rng) -> Float[np.ndarray, "resamples n"]:
  values = np.sort(values)
  return values[rng.integers(len(values), size=(RESAMPLES, len(values)))]


def _improvement(first, second):
  """Of each resample [resamples, n], [resamples, m], by ranks: U / (n m) of Mann and Whitney."""
  n, m = first.shape[1], second.shape[1]
  ranks = stats.rankdata(np.concatenate([first, second], axis=1), axis=1)[:, :n]
  return 1 - (ranks.sum(axis=1) - n * (n + 1) / 2) / (n * m)


def performance_profile(
  values: Values, thresholds: Float[np.ndarray, " t"]
) -> Float[np.ndarray, " t"]:
  """Returns the share of values at or below each threshold, the run-score distribution.

  F(tau) = 1 / n times the number of x <= tau; source as in `probability_of_improvement`, where
  scores are to be large and the share above tau is drawn.
  """
  return np.searchsorted(np.sort(values), thresholds, side="right") / len(values)


def ranks(values: Float[np.ndarray, "draws losses"]) -> Float[np.ndarray, "draws losses"]:
  """Returns the rank of each loss at each draw, 1 the smallest; equal values share their mean."""
  return stats.rankdata(values, axis=1)


def profile_thresholds(values: Mapping[str, Values]) -> Float[np.ndarray, " t"]:
  """Returns the finite values of all losses in order: the places at which a profile rises."""
  joined = np.concatenate(list(values.values()))
  return np.unique(joined[np.isfinite(joined)])


def diverged(values: Values) -> int:
  """Returns how many settings have no finite value."""
  return sum(not math.isfinite(value) for value in values)
