"""Confidence intervals that stay in the range of what they are of."""

import math


def score_interval(
  value: float,
  error: float,
  quantile: float,
  count: int,
  bounds: tuple[float, float] = (-math.inf, math.inf),
) -> tuple[float, float]:
  """The numbers m of which the value lies within `quantile` standard errors of m, |v - m| = q e(m).

  Without bounds e(m) is the standard error, as for Student's t. At a bound an error vanishes, so
  between two of them e(m)^2 = x (1 - x) / n for m at the share x of the way, and above one alone it
  is proportional to the distance from it; both are scaled to have the standard error at the value.
  The first is the interval of Wilson ("Probable Inference, the Law of Succession, and Statistical
  Inference", Journal of the American Statistical Association 22, 1927) with the number n of
  independent samples that would have this standard error, at most `count` (Korn and Graubard,
  "Confidence Intervals for Proportions with Small Expected Number of Positive Counts Estimated from
  Survey Data", Survey Methodology 24, 1998): 50 of 50 is no proof of 100 %. What lies in 0..1 is a
  share even where its own bounds are narrower.

  Args:
    value: v, within the bounds up to rounding.
    error: its standard error, >= 0.
    quantile: q, that of Student's t or of the normal distribution.
    count: number of samples that the value is of, >= 1.
    bounds: least and largest value; the upper one is infinite where the lower is.

  Returns:
    The lower end, at most v, and the upper end, at least v; both within the bounds.
  """
  least, largest = bounds
  if math.isinf(least):
    return value - quantile * error, value + quantile * error
  if math.isinf(largest):
    start, width, ends = least, 1.0, _above_zero(max(0.0, value - least), error, quantile)
  else:
    start, width = (0.0, 1.0) if least >= 0 and largest <= 1 else (least, largest - least)
    share = min(1.0, max(0.0, (value - start) / width))
    ends = _of_share(share, error / width, quantile, count)
  low, high = (min(largest, max(least, start + width * end)) for end in ends)
  return min(low, value), max(high, value)


def _above_zero(value, error, quantile):
  """Solves (v - m)^2 = q^2 c m, where c = e^2 / v; nearer to 0 than e the value tells no c."""
  if not error:
    return value, value
  slope = quantile**2 * error * (error / max(value, error)) / 2
  return _around(value + slope, math.sqrt(slope * (2 * value + slope)))


def _of_share(share, error, quantile, count):
  """Solves (p - m)^2 = q^2 m (1 - m) / n."""
  square = quantile**2
  # The variance at 0 and 1 would be none: that of the middle of Wilson's interval is not.
  middle = (count * share + square / 2) / (count + square)
  variance = middle * (1 - middle)
  alike = variance / max(error**2, variance / count)
  weight = square / alike
  spread = math.sqrt(weight * (share * (1 - share) + weight / 4))
  return _around((share + weight / 2) / (1 + weight), spread / (1 + weight))


def _around(middle, half):
  return middle - half, middle + half
