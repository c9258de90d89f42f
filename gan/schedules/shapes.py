"""Schedules of one number by name: optax's, over the share of images that has been seen.

A schedule here is a function `(start, progress) -> value`, where `progress` in [0, inf) is the
share of the schedule's images that has been seen; it ends at 1 and stays there.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

Numbers = Num[ArrayLike, "..."]
Progress = Float[Array, ""]
Schedule = Callable[[Float[Array, ""], Progress], Float[Array, ""]]


def constant() -> Schedule:
  """The number as it is."""
  return lambda start, progress: start


def linear(end: float) -> Schedule:
  """A straight line from the number to `end` (`optax.linear_schedule`)."""
  return _between(optax.linear_schedule(1.0, 0.0, 1), end)


def cosine(end: float) -> Schedule:
  """Half a cosine from the number to `end` (`optax.cosine_decay_schedule`)."""
  return _between(optax.cosine_decay_schedule(1.0, 1), end)


def polynomial(end: float, power: float) -> Schedule:
  """From the number to `end` by (1 - progress)^power (`optax.polynomial_schedule`)."""
  return _between(optax.polynomial_schedule(1.0, 0.0, power, 1), end)


def exponential(end: float) -> Schedule:
  """A constant factor an image, from the number to `end` (`optax.exponential_decay`); both above 0.

  start (end / start)^progress.
  """

  def schedule(start: Numbers, progress: Numbers) -> Numbers:
    # optax's own asks whether the factor is 0, which of a traced number nobody knows.
    return start * (end / start) ** jnp.minimum(progress, 1)

  return schedule


def warmup(share: float) -> Schedule:
  """From 0 to the number over a share of the images, then constant (`optax.linear_schedule`)."""
  line = optax.linear_schedule(0.0, 1.0, 1)
  return lambda start, progress: start * line(progress / share)


def warmup_cosine(share: float, end: float) -> Schedule:
  """`warmup` over a share of the images, half a cosine to `end` over the rest."""
  return _warmed_up(share, cosine(end))


def warmup_exponential(share: float, end: float) -> Schedule:
  """`warmup` over a share of the images, then `exponential` to `end`."""
  return _warmed_up(share, exponential(end))


def piecewise_constant(*shares_and_factors: float) -> Schedule:
  """The number times each factor from its share of the images on.

  As `optax.piecewise_constant_schedule`; of pairs share, factor: 0.5, 0.1 is a tenth in the second
  half.
  """
  pairs = list(zip(shares_and_factors[::2], shares_and_factors[1::2], strict=True))

  def schedule(start: Numbers, progress: Numbers) -> Numbers:
    for share, factor in pairs:
      start = start * jnp.where(progress >= share, factor, 1.0)
    return start

  return schedule


def piecewise_interpolate(*shares_and_factors: float) -> Schedule:
  """Straight lines between the values of `piecewise_constant`, each reached at its share.

  As `optax.piecewise_interpolate_schedule("linear", ...)`.
  """
  shares, values = [0.0], [1.0]
  for share, factor in zip(shares_and_factors[::2], shares_and_factors[1::2], strict=True):
    shares, values = [*shares, share], [*values, values[-1] * factor]
  return _through(shares, values)


def linear_onecycle(share: float, last_share: float, divisor: float, last: float) -> Schedule:
  """Lines from number / divisor up to the number, back, and down to number / (divisor last).

  As `optax.linear_onecycle_schedule`: up until `share`, back at `last_share`, the end at 1.
  """
  ends = 1 / divisor, 1 / (divisor * last)
  return _through([0.0, share, last_share, 1.0], [ends[0], 1.0, *ends])


def cosine_onecycle(share: float, divisor: float, last: float) -> Schedule:
  """Half a cosine from number / divisor up to the number, another to number / (divisor last).

  As `optax.cosine_onecycle_schedule`: up until `share`.
  """
  return _through([0.0, share, 1.0], [1 / divisor, 1.0, 1 / (divisor * last)], _half_cosine)


def sgdr(cycles: float, end: float) -> Schedule:
  """Half a cosine from the number to `end`, as many times: warm restarts.

  As `optax.sgdr_schedule` of equal cycles without warm-up; "SGDR" by Loshchilov and Hutter
  (https://arxiv.org/abs/1608.03983).
  """
  fall = cosine(end)
  return lambda start, progress: fall(start, jnp.where(progress < 1, progress * cycles % 1, 1.0))


def _between(falling: Callable, end: float) -> Schedule:
  """From the number to `end` along a schedule that falls from 1 to 0."""
  return lambda start, progress: end + (start - end) * falling(progress)


def _warmed_up(share: float, after: Schedule) -> Schedule:
  """`warmup` over a share of the images, another schedule over the rest."""
  rise = warmup(share)

  def schedule(start: Numbers, progress: Numbers) -> Numbers:
    rest = jnp.maximum(progress - share, 0) / (1 - share)
    return jnp.where(progress < share, rise(start, progress), after(start, rest))

  return schedule


def _half_cosine(part: Progress) -> Progress:
  """From 0 to 1 with slope 0 at both ends."""
  return (1 - jnp.cos(jnp.pi * part)) / 2


def _through(
  shares: Sequence[float], values: Sequence[float], ease: Callable = lambda part: part
) -> Schedule:
  """The number times a curve through `values` at `shares`, eased in between; then the last."""

  def schedule(start: Numbers, progress: Numbers) -> Numbers:
    factor = values[0]
    for i in range(1, len(shares)):
      part = jnp.clip((progress - shares[i - 1]) / (shares[i] - shares[i - 1]), 0, 1)
      factor = factor + (values[i] - values[i - 1]) * ease(part)
    return start * factor

  return schedule


class Entry(NamedTuple):
  """A schedule by name.

  Attributes:
    make: `(*arguments) -> Schedule`.
    arguments: what is typed after the name, for messages.
    repeated: whether all arguments may follow again, any number of times.
  """

  make: Callable[..., Schedule]
  arguments: tuple[str, ...] = ()
  repeated: bool = False


SCHEDULES: dict[str, Entry] = {
  "constant": Entry(constant),
  "linear": Entry(linear, ("END",)),
  "cosine": Entry(cosine, ("END",)),
  "exponential": Entry(exponential, ("END",)),
  "polynomial": Entry(polynomial, ("END", "POWER")),
  "warmup": Entry(warmup, ("SHARE",)),
  "warmup_cosine": Entry(warmup_cosine, ("SHARE", "END")),
  "warmup_exponential": Entry(warmup_exponential, ("SHARE", "END")),
  "piecewise_constant": Entry(piecewise_constant, ("SHARE", "FACTOR"), repeated=True),
  "piecewise_interpolate": Entry(piecewise_interpolate, ("SHARE", "FACTOR"), repeated=True),
  "linear_onecycle": Entry(linear_onecycle, ("SHARE", "SHARE", "DIVISOR", "LAST")),
  "cosine_onecycle": Entry(cosine_onecycle, ("SHARE", "DIVISOR", "LAST")),
  "sgdr": Entry(sgdr, ("CYCLES", "END")),
}

# optax's own spellings of the same.
SPELLINGS = {
  "constant_schedule": "constant",
  "linear_schedule": "linear",
  "cosine_decay_schedule": "cosine",
  "exponential_decay": "exponential",
  "polynomial_schedule": "polynomial",
  "warmup_constant_schedule": "warmup",
  "warmup_cosine_decay_schedule": "warmup_cosine",
  "warmup_exponential_decay_schedule": "warmup_exponential",
  "piecewise_constant_schedule": "piecewise_constant",
  "piecewise_interpolate_schedule": "piecewise_interpolate",
  "linear_onecycle_schedule": "linear_onecycle",
  "cosine_onecycle_schedule": "cosine_onecycle",
  "sgdr_schedule": "sgdr",
}
