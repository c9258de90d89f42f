"""Confidence intervals that stay in the range of what they are of."""

import math


def score_interval(
  value: float,
  error: float,
  quantile: float,
  bounds: tuple[float, float] = (-math.inf, math.inf),
  count: int | None = None,
) -> tuple[float, float]:
  """The numbers m of which the value lies within `quantile` standard errors of m, |v - m| = q e(m).

  Without bounds e(m) is the standard error, as for Student's t. At a bound an error vanishes: above
  one alone e(m)^2 is proportional to the distance from it, and between two to x (1 - x) for m at
  the share x of the way; both are scaled to have the standard error at the value, or one error
  away from a bound that is nearer than that.

  Of a share of `count` samples that is the interval of Wilson ("Probable Inference, the Law of
  Succession, and Statistical Inference", Journal of the American Statistical Association 22, 1927),
  e(m)^2 = m (1 - m) / n with the number n of independent samples that would have this standard
  error, at most `count` (Korn and Graubard, "Confidence Intervals for Proportions with Small
  Expected Number of Positive Counts Estimated from Survey Data", Survey Methodology 24, 1998): 50
  of 50 are no proof of 100 %.

  Args:
    value: v, within the bounds up to rounding.
    error: its standard error, >= 0.
    quantile: q, that of Student's t or of the normal distribution.
    bounds: least and largest value; the upper one is infinite where the lower is.
    count: number of samples that the value is a share of, in 0..1; None for what is no share.

  Returns:
    The lower end, at most v, and the upper end, at least v; both within the bounds.
  """
  least, largest = bounds
  if math.isinf(least):
    low, high = value - quantile * error, value + quantile * error
  elif math.isinf(largest):
    low, high = (least + end for end in _above_zero(value - least, error, quantile))
  elif count:
    low, high = _wilson(value, quantile**2 / _alike(value, error, quantile, count))
  else:
    width = largest - least
    ends = _between((value - least) / width, error / width, quantile)
    low, high = (least + width * end for end in ends)
  return min(max(least, low), value), max(min(largest, high), value)


def _above_zero(value, error, quantile):
  """Solves (v - m)^2 = q^2 c m with c m = e^2 at v."""
  if not error:
    return value, value
  value = max(0.0, value)
  slope = quantile**2 * error * (error / max(value, error)) / 2
  spread = math.sqrt(slope * (2 * value + slope))
  return value + slope - spread, value + slope + spread


def _between(share, error, quantile):
  """Solves (p - m)^2 = q^2 c m (1 - m) with c m (1 - m) = e^2 at p."""
  if not error:
    return share, share
  return _wilson(share, quantile**2 * error * (error / max(share * (1 - share), error)))


def _alike(share, error, quantile, count):
  """How many independent samples would have this error, at most `count`."""
  # At 0 and 1 they would have none: the middle of Wilson's interval of `count` stands for them.
  middle = (count * share + quantile**2 / 2) / (count + quantile**2)
  variance = middle * (1 - middle)
  return variance / max(error**2, variance / count)


def _wilson(share, weight):
  """Solves (p - m)^2 = w m (1 - m)."""
  share = min(1.0, max(0.0, share))
  middle = (share + weight / 2) / (1 + weight)
  spread = math.sqrt(weight * (share * (1 - share) + weight / 4)) / (1 + weight)
  return middle - spread, middle + spread
