"""Which runs a sweep has: losses, seeds and points over the fields of Config."""

import itertools
import math
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from gan.errors import UserError
from gan.regularizers import REGULARIZERS
from gan.state import Hyperparameters
from gan.sweeps.contestants import WITH, check_apart, choices_of
from gan.training import plugins
from gan.training.config import Config
from gan.training.option_field import type_of
from gan.training.options import fields, typed, weight_of
from gan.training.parts import fingerprint, identity, weight_clip
from gan.training.validation import unread, validate, validate_field

MOST_TRIALS = 100_000  # each has a folder, and a place in one file
Point = dict[str, Any]  # options that a run has of its own
# Chosen in another way; targets of lsgan hold commas themselves, and so do lists of options.
NOT_VARIED = ("loss", "seed", "steps", "init_from", "lsgan_targets", "options")


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

  @property
  def label(self) -> str:
    """Its loss, with the penalty where the sweep gave that loss one of its own."""
    first = self.name.partition(",")[0]
    return first if first.startswith(self.config.loss + WITH) else self.config.loss


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
    grid[name] = [field_value("grid", name, value) for value in map(str.strip, values.split(","))]
    if len(set(grid[name])) < len(grid[name]):
      raise UserError(f"--grid: {part!r} has a value twice")
  return grid


def field_kind(flag: str, name: str) -> type:
  """Returns the type of a field that runs may differ in; raises UserError for any other."""
  arrays, static = array_names(), static_names()
  if name not in arrays + static:
    raise UserError(
      f"--{flag}: runs cannot differ in {name!r}. Arrays, in one program: {', '.join(arrays)}. "
      f"A program for each value: {', '.join(static)}. Losses and seeds: --losses, --seeds"
    )
  return type_of(fields()[name])


def typed_value(flag: str, name: str, text: str) -> Any:
  """Returns a value of a field's type; raises UserError where the text is none, naming the flag."""
  kind = field_kind(flag, name)
  try:
    return typed(kind, text)
  except ValueError as error:
    raise UserError(f"--{flag}: {name}={text} must be of type {kind.__name__}") from error


def field_value(flag: str, name: str, text: str) -> Any:
  """Returns a value that a field can have; raises UserError where the text names none."""
  value = typed_value(flag, name, text)
  validate_field(fields()[name], value)
  return value


def grid_points(grid: dict[str, list[Any]]) -> list[Point]:
  """Returns the product of a grid; one empty point for an empty grid.

  Raises:
    UserError: there are more than a sweep holds.
  """
  require_few(math.prod(map(len, grid.values())))
  return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


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
    losses: keys of LOSSES, each perhaps with a penalty of its own, as in wgan+wgan_gp.
    seeds: of the runs.
    points: what else they differ in.
    make_config: `fields -> Config` with these values.
    searched: whether points are random draws, of which each loss takes what it reads, and which
      are named by their number.

  Raises:
    UserError: a run cannot be; the line names it. Or there are more than a sweep holds.
  """
  require_few(len(losses) * len(seeds) * len(points))
  check_apart(losses, points, make_config)
  trials, shown, drawn = [], _shown(points, searched), set()
  for seed, loss, (i, point) in itertools.product(seeds, losses, list(enumerate(points))):
    point = read_part(loss, point, make_config) if searched else point
    name = ",".join(filter(None, [loss, shown[i], f"seed={seed}"]))
    varied = {**choices_of(loss), "seed": seed, **point}
    config = _valid(name, make_config(varied))
    if config not in drawn:
      trials.append(Trial(name, config, varied))
    if searched:  # draws that differ in what the loss does not read are one run
      drawn.add(config)
  return trials


def read_part(loss: str, point: Point, make_config: Callable[[Point], Config]) -> Point:
  """Returns the part of a draw that a loss reads, with the parts that the draw itself chooses.

  A bound on weights chooses nothing: whether the loss has one is asked without it.
  """
  chosen = {name: value for name, value in point.items() if name != "weight_clip"}
  return applicable(point, make_config({**choices_of(loss), **chosen}))


def require_few(count: int) -> None:
  """Raises UserError where a sweep cannot hold so many runs."""
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
  # Of two sweeps that pair the same losses and penalties in another way the labels differ.
  configs = [identity(trial.config) | {"loss": trial.label} for trial in trials]
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
    "members": [member(trial) for trial in trials],
  }


def member(trial: Trial) -> dict[str, Any]:
  """Returns what sweep.json has of a run; its label where that is more than the loss."""
  own = {} if trial.label == trial.config.loss else {"label": trial.label}
  return {"name": trial.name, "varied": trial.varied, **own}


def _values(values: Iterable[Any]) -> Any:
  distinct = list(dict.fromkeys(values))
  return distinct[0] if len(distinct) == 1 else distinct
