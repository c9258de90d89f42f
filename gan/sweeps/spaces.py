"""Spaces of hyper-parameters that a search draws from: typed ones, published ones, samplers."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import qmc

from gan.errors import UserError
from gan.sweeps.search import (
  Point,
  Trial,
  field_kind,
  field_value,
  require_few,
  typed_value,
)
from gan.training.options import fields
from gan.training.validation import unread, validate_field


class Axis(NamedTuple):
  """One dimension of a space.

  Attributes:
    names: options that all have the value.
    values: (low, high) of a range, or what is chosen from.
    scale: "uniform" or "log" of a range; "choice".
    integer: whether a range is of whole numbers, both ends among them.
  """

  names: tuple[str, ...]
  values: tuple[Any, ...]
  scale: str = "choice"
  integer: bool = False

  def at(self, share: float) -> Any:
    """Returns the value below which a share of the axis lies, 0 <= share < 1."""
    if self.scale == "choice":
      return self.values[int(share * len(self.values))]
    low, high = self.values
    end = high + self.integer  # so that the last whole number has as much room as the others
    if self.scale == "log":
      value = 10 ** (math.log10(low) + (math.log10(end) - math.log10(low)) * share)
    else:
      value = low + (end - low) * share
    # Rounding may leave the range by a bit.
    return min(max(math.floor(value) if self.integer else value, low), high)

  def draw(self, rng: np.random.Generator) -> Any:
    """Returns a random value: uniform on the axis."""
    if self.scale == "choice":
      return self.values[int(rng.integers(len(self.values)))]
    return self.at(rng.random())


Space = tuple[Axis, ...]

_RATES = ("generator_learning_rate", "discriminator_learning_rate")
# Ranges of "Are GANs Created Equal?" by Lucic et al. (https://arxiv.org/abs/1711.10337) as in the
# authors' `params.py` (https://github.com/google/compare_gan, branch v1). Their steps are D's: with
# k = 5 their generator takes a fifth of ours. The first phase has everything that an author may
# have chosen; in the second the normalisation stays the model's.
# `rates` has their rates of the first phase, one for each player, and leaves all else as it is.
SPACES: dict[str, Space] = {
  "rates": tuple(Axis((name,), (1e-5, 1e-2), "log") for name in _RATES),
  "lucic_wide": (
    Axis(_RATES, (1e-5, 1e-2), "log"),
    Axis(("b1",), (0.0, 1.0), "uniform"),
    Axis(("discriminator_steps",), (1, 5)),
    Axis(("discriminator_norm",), ("none", "batch")),
    Axis(("weight_clip",), (1e-3, 1.0), "log"),
    Axis(("penalty_weight",), (0.1, 100.0), "log"),
  ),
  "lucic_narrow": (
    Axis(_RATES, (1e-4, 1e-3), "log"),
    Axis(("b1",), (0.5, 0.5), "uniform"),
    Axis(("discriminator_steps",), (1,)),
    Axis(("weight_clip",), (1e-2, 1.0), "log"),
    Axis(("penalty_weight",), (0.1, 10.0), "log"),
  ),
}


def space_of(text: str) -> Space:
  """Returns the space of a name in SPACES, or reads "field=RANGE;field=RANGE".

  A RANGE is low:high, log:low:high (uniform in the logarithm), or value|value. Fields joined by +
  have one value: generator_learning_rate+discriminator_learning_rate=log:1e-5:1e-2.

  Raises:
    UserError: there is no such space; or a field is not one that runs may differ in, stands twice,
      or cannot have these values.
  """
  if "=" not in text:
    if text.strip() in SPACES:
      return SPACES[text.strip()]
    raise UserError(
      f"--space={text} is unknown: choose from {', '.join(SPACES)}, or give field=low:high; "
      "field=log:low:high; field=value|value"
    )
  axes = tuple(_axis(part) for part in filter(None, map(str.strip, text.split(";"))))
  names = [name for axis in axes for name in axis.names]
  if repeated := [name for name in names if names.count(name) > 1]:
    raise UserError(f"--space has {repeated[0]} twice: give each field once")
  return axes


def _axis(part: str) -> Axis:
  left, equals, right = (piece.strip() for piece in part.partition("="))
  names = tuple(map(str.strip, left.split("+")))
  kinds = {field_kind("space", name) for name in names}
  if len(kinds) > 1:
    raise UserError(f"--space: {left} are of different types and cannot have one value")
  if "|" in right:
    return _choice(names, right.split("|"), part)
  *scale, low, high = ["", ""] if ":" not in right else map(str.strip, right.split(":"))
  if not (low and high) or scale not in ([], ["log"]):
    raise UserError(
      f"--space: {part!r} must be field=low:high, field=log:low:high or field=value|value; a value "
      "that all runs have is a flag"
    )
  return _range(names, (low, high), "log" if scale else "uniform", part)


def _choice(names: tuple[str, ...], texts: Iterable[str], part: str) -> Axis:
  texts = list(map(str.strip, texts))
  values, *_ = [tuple(field_value("space", name, text) for text in texts) for name in names]
  if len(set(values)) < len(values):
    raise UserError(f"--space: {part!r} has a value twice")
  return Axis(names, values)


def _range(names: tuple[str, ...], ends: tuple[str, str], scale: str, part: str) -> Axis:
  kind = field_kind("space", names[0])
  if kind not in (int, float):
    raise UserError(f"--space: {names[0]} is not numeric: give its values, value|value")
  low, high = (typed_value("space", names[0], text) for text in ends)
  if not low < high:
    raise UserError(f"--space: {part!r} is an empty range: the first end must be below the second")
  if scale == "log" and low <= 0:
    raise UserError(f"--space: {part!r} has no logarithm at {low}: begin above 0")
  for field in (fields()[name] for name in names):
    validate_field(field, low)
    if high != field.metadata["below"]:  # what is drawn stays below the end of a range
      validate_field(field, high)
  return Axis(names, (low, high), scale, kind is int)


def check_read(space: Space, trials: list[Trial]) -> None:
  """Raises UserError where no run of a search has a field of the space: no chosen loss reads it."""
  read = {name for trial in trials for name in trial.varied}
  for name in itertools.chain.from_iterable(axis.names for axis in space):
    if name not in read:
      choice, _, takers = unread(trials[0].config).get(name, ("loss", [], []))
      where = f": it is for --{choice}={' or '.join(takers)}" if takers else ""
      raise UserError(f"--space: no chosen loss reads {name}{where}; leave it out")


def draw_points(space: Space, samples: int, seed: int, sampler: str = "random") -> list[Point]:
  """Returns the points of a search; the first is empty: the values as they stand.

  All losses share the points, so that the i-th runs of two losses have the same values of what
  both read.

  Args:
    space: where they lie.
    samples: how many.
    seed: of the draws; a longer search by "random" or "sobol" begins with the points of a shorter.
    sampler: one of SAMPLERS.

  Raises:
    UserError: there are more than a sweep holds, or too few for a grid.
  """
  require_few(samples)
  names = [axis.names for axis in space]
  return [{}] + [
    {name: value for own, value in zip(names, values, strict=True) for name in own}
    for values in SAMPLERS[sampler](space, samples - 1, seed)
  ]


def _random(space: Space, count: int, seed: int) -> Iterator[list[Any]]:
  for i in range(1, count + 1):
    rng = np.random.default_rng([seed, i])
    yield [axis.draw(rng) for axis in space]


def _sobol(space: Space, count: int, seed: int) -> Iterator[list[Any]]:
  """Points of a Sobol sequence, whose scramble follows from the seed."""
  # `seed` is called `rng` from SciPy 1.15 on, which takes both names.
  engine = qmc.Sobol(len(space), seed=np.random.default_rng(seed))
  # A power of two, without which it warns; the points are those of a shorter sequence.
  for shares in engine.random_base2(count.bit_length())[:count].tolist():
    yield [axis.at(share) for axis, share in zip(space, shares, strict=True)]


def _grid(space: Space, count: int, seed: int) -> Iterator[list[Any]]:
  """Every choice, with as many levels of each range as fit: the middles of equal parts of it."""
  del seed
  choices = math.prod(len(axis.values) for axis in space if axis.scale == "choice")
  ranges = sum(axis.scale != "choice" for axis in space)
  if choices > count:
    raise UserError(
      f"--sampler=grid: {choices} combinations of choices and the values as they stand are more "
      f"than --samples={count + 1}: give --samples={choices + 1} or more"
    )
  levels = 1
  while ranges and choices * (levels + 1) ** ranges <= count:
    levels += 1
  yield from map(list, itertools.product(*(_levels(axis, levels) for axis in space)))


def _levels(axis: Axis, count: int) -> list[Any]:
  if axis.scale == "choice":
    return list(axis.values)
  return list(dict.fromkeys(axis.at((i + 0.5) / count) for i in range(count)))


SAMPLERS: dict[str, Callable[[Space, int, int], Iterator[list[Any]]]] = {
  "random": _random,
  "sobol": _sobol,
  "grid": _grid,
}
