"""Which runs a sweep has: points of a grid and random draws over the fields of Config."""

import itertools
import math
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

import numpy as np

from gan.errors import UserError
from gan.regularizers import REGULARIZERS
from gan.state import Hyperparameters
from gan.training import plugins
from gan.training.config import Config
from gan.training.option_field import type_of
from gan.training.options import fields, typed, weight_of
from gan.training.parts import fingerprint, identity, weight_clip
from gan.training.validation import unread, validate, validate_field

MOST_TRIALS = 100_000  # each has a folder, and a place in one file
Point = dict[str, Any]  # options that a run has of its own
Range = tuple[float, float]
# Chosen in another way; targets of lsgan hold commas themselves, and so do lists of options.
NOT_VARIED = ("loss", "seed", "steps", "lsgan_targets", "options")


def array_names() -> list[str]:
  """Returns the options that are arrays: one program steps runs that differ in these."""
  names = (*Hyperparameters().names(), *map(weight_of, REGULARIZERS))
  return [name for name in names if name in fields()]


def static_names() -> list[str]:
  """Returns the options of which every value needs a program of its own."""
  left_out = {*array_names(), *NOT_VARIED}
  return [
    name
    for name, field in fields().items()
    if field.metadata["group"] in ("model", "loss", "training") and name not in left_out
  ]


class Trial(NamedTuple):
  """One run of a sweep.

  Attributes:
    name: of its folder; says in what it differs from others.
    config: what it runs.
    varied: the fields that the sweep chose for it.
  """

  name: str
  config: Config
  varied: Point


def parse_grid(text: str) -> dict[str, list[Any]]:
  """Reads "field=value,value;field=value" into lists of values of the fields' types.

  Raises:
    UserError: it is malformed, or a field is not one that runs may differ in.
  """
  grid = {}
  for part in filter(None, (part.strip() for part in text.split(";"))):
    name, equals, values = (piece.strip() for piece in part.partition("="))
    if not (equals and values) or name in grid:
      raise UserError(
        f"--grid: {part!r} must be field=value,value, each field once; fields are separated by ';'"
      )
    grid[name] = [_value(name, value) for value in map(str.strip, values.split(","))]
    if len(set(grid[name])) < len(grid[name]):
      raise UserError(f"--grid: {part!r} has a value twice")
  return grid


def _value(name: str, text: str) -> Any:
  arrays, static = array_names(), static_names()
  if name not in arrays + static:
    raise UserError(
      f"--grid: runs cannot differ in {name!r}. Arrays, in one program: {', '.join(arrays)}. "
      f"A program for each value: {', '.join(static)}. Losses and seeds: --losses, --seeds"
    )
  field = fields()[name]
  kind = type_of(field)
  try:
    value = typed(kind, text)
  except ValueError as error:
    raise UserError(f"--grid: {name}={text} must be of type {kind.__name__}") from error
  validate_field(field, value)
  return value


def grid_points(grid: dict[str, list[Any]]) -> list[Point]:
  """Returns the product of a grid; one empty point for an empty grid.

  Raises:
    UserError: there are more than a sweep holds.
  """
  _require_few(math.prod(map(len, grid.values())))
  return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def _lucic(
  rng: np.random.Generator,
  b1: Range,
  rates: Range,
  steps: tuple[int, ...],
  norms: tuple[str, ...],
  clips: Range,
  weights: Range,
) -> Point:
  def log_uniform(low: float, high: float) -> float:
    return float(10 ** rng.uniform(low, high))

  rate = log_uniform(*rates)
  return {
    "generator_learning_rate": rate,
    "discriminator_learning_rate": rate,
    "b1": float(rng.uniform(*b1)),
    "discriminator_steps": int(rng.choice(steps)),
    "discriminator_norm": str(rng.choice(norms)),
    "weight_clip": log_uniform(*clips),
    "penalty_weight": log_uniform(*weights),
  }


def _lucic_wide(rng: np.random.Generator) -> Point:
  """The first phase of the study: everything that an author may have chosen."""
  return _lucic(rng, (0, 1), (-5, -2), (1, 5), ("none", "batch"), (-3, 0), (-1, 2))


def _lucic_narrow(rng: np.random.Generator) -> Point:
  """Its second phase; the normalisation stays the model's."""
  point = _lucic(rng, (0.5, 0.5), (-4, -3), (1,), ("none",), (-2, 0), (-1, 1))
  return {name: value for name, value in point.items() if name != "discriminator_norm"}


# Ranges of "Are GANs Created Equal?" by Lucic et al. (https://arxiv.org/abs/1711.10337) as in the
# authors' `params.py` (https://github.com/google/compare_gan, branch v1). Their steps are D's: with
# k = 5 their generator takes a fifth of ours.
SEARCHES: dict[str, Callable[[np.random.Generator], Point]] = {
  "lucic_wide": _lucic_wide,
  "lucic_narrow": _lucic_narrow,
}


def search_points(name: str, samples: int, seed: int) -> list[Point]:
  """Returns `samples` points; the first is empty, the values as they stand, as in the study.

  Args:
    name: one of SEARCHES.
    samples: how many.
    seed: of the draws; a longer search begins with the points of a shorter one.

  Raises:
    UserError: there are more than a sweep holds.
  """
  _require_few(samples)
  drawn = [SEARCHES[name](np.random.default_rng([seed, i])) for i in range(1, samples)]
  return [{}, *drawn]


def applicable(point: Point, config: Config) -> Point:
  """Returns the part of a drawn point that a config reads: no weight of a penalty without one."""
  idle = {*unread(config), *(() if weight_clip(config) else ("weight_clip",))}
  return {name: value for name, value in point.items() if name not in idle}


def make_trials(
  losses: Collection[str],
  seeds: Collection[int],
  points: list[Point],
  make_config: Callable[[Point], Config],
  searched: bool,
) -> list[Trial]:
  """Returns a run for each loss, point and seed, those of a seed and a loss side by side.

  Args:
    losses: keys of LOSSES.
    seeds: of the runs.
    points: what else they differ in.
    make_config: `fields -> Config` with these values.
    searched: whether points are random draws, of which each loss takes what it reads, and which
      are named by their number.

  Raises:
    UserError: a run cannot be; the line names it. Or there are more than a sweep holds.
  """
  _require_few(len(losses) * len(seeds) * len(points))
  trials, shown = [], _shown(points, searched)
  for seed, loss, (i, point) in itertools.product(seeds, losses, list(enumerate(points))):
    point = applicable(point, make_config({"loss": loss})) if searched else point
    name = ",".join(filter(None, [loss, shown[i], f"seed={seed}"]))
    varied = {"loss": loss, "seed": seed, **point}
    trials.append(Trial(name, _valid(name, make_config(varied)), varied))
  return trials


def _require_few(count: int) -> None:
  if count > MOST_TRIALS:
    raise UserError(
      f"{count:,} runs are more than the {MOST_TRIALS:,} that a sweep holds: give fewer seeds, "
      "samples or values of a grid, or make several sweeps"
    )


def _shown(points: list[Point], searched: bool) -> list[str]:
  """Returns the name of each point: the fields in which points differ, or its number."""
  if searched:
    return [f"sample={i}" for i in range(len(points))]
  fields = dict.fromkeys(itertools.chain.from_iterable(points))
  differing = [name for name in fields if len({point.get(name) for point in points}) > 1]
  names = [",".join(f"{n}={point[n]}" for n in differing if n in point) for point in points]
  # File systems end at 255 bytes.
  return names if max(map(len, names)) < 150 else [f"point={i}" for i in range(len(points))]


def _valid(name: str, config: Config) -> Config:
  try:
    validate(config)
  except UserError as error:
    raise UserError(f"run {name}: {error}") from error
  return config


def sweep_identity(
  trials: list[Trial], shared: dict[str, str], command: str, experiment: str
) -> dict[str, Any]:
  """Returns what sweep.json holds; a field in which runs differ has the list of its values.

  Args:
    trials: of the sweep.
    shared: further fields of the identity of each: its data, and the extractor that was named.
    command: what the user typed.
    experiment: whose defaults the runs started from.
  """
  configs = [identity(trial.config) for trial in trials]
  # An option that a config leaves out is at its default.
  names = dict.fromkeys(itertools.chain.from_iterable(configs))
  identity_fields = {
    name: _values(config.get(name, fields()[name].default) for config in configs) for name in names
  }
  identity_fields |= {**shared, "members": len(trials)}
  return {
    **plugins.record(),
    "command": command,
    "experiment": experiment,
    "fingerprint": fingerprint(identity_fields),
    "determining": identity_fields,
    "varied": sorted({name for trial in trials for name in trial.varied}),
    "members": [{"name": trial.name, "varied": trial.varied} for trial in trials],
  }


def _values(values: Iterable[Any]) -> Any:
  distinct = list(dict.fromkeys(values))
  return distinct[0] if len(distinct) == 1 else distinct
