"""The parts of a game that was passed: what they are called, and where they are found again.

Nothing is pickled. A part that stands in a registry or in a plugin is found there by its name, and
so are networks of MODELS; numbers are kept as they are. Any other part has to be passed again.
"""

import collections
import dataclasses
import functools
import inspect
import json
import os
import pathlib
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from gan import models
from gan.augment import AUGMENTATIONS
from gan.errors import UserError
from gan.losses import LOSSES, make_loss
from gan.method.game import Game
from gan.method.update_rules import UPDATE_RULES
from gan.models import ModelSpec
from gan.networks import LATENTS, Network, latent_sampler
from gan.penalties import PENALTIES, make_penalty
from gan.regularizers import REGULARIZERS
from gan.schedules import make_schedule
from gan.system.recipe import Recipe, makes_parts
from gan.training import plugins, program
from gan.training.run_folder import CONFIG, PROGRAM, read_config

FIELD = "parts"  # of config.json
_REGISTRIES = {
  "LOSSES": LOSSES,
  "PENALTIES": PENALTIES,
  "REGULARIZERS": REGULARIZERS,
  "AUGMENTATIONS": AUGMENTATIONS,
  "UPDATE_RULES": UPDATE_RULES,
}
_NUMBERS = ("hyperparameters", "regularizers")  # fields whose words may hold such
_LIBRARIES = ("builtins", "flax", "functools", "gan", "jax", "optax")
# What makes parts, and is no entry of a registry.
_MAKERS = {each.__name__: each for each in (make_loss, make_penalty, make_schedule)}


def describe(game: Game) -> dict[str, str]:
  """Returns what a game was made of, in words: names of functions, numbers; for config.json."""
  return {name: _words(part) for name, part in _passed(game).items()}


def names_there(
  workdir: str | os.PathLike, parts: dict[str, str], described: dict[str, Any]
) -> dict[str, str]:
  """Returns the names of parts as a folder has them, where its game computes what this one does.

  Code may have moved to another module since. Numbers stay as they are here, for what a step
  computes is traced without them.

  Args:
    workdir: a run folder, or where one will be.
    parts: as `describe` returns them.
    described: the game, as `program.describe` returns it.
  """
  if not (pathlib.Path(workdir) / CONFIG).exists():
    return parts
  record = read_config(workdir)
  there = record.get(PROGRAM)
  if not there or program.incomparable(there) or program.changed(there, described):
    return parts
  before = record["determining"]
  names = (name for name in parts if name not in _NUMBERS)
  return parts | {name: before.get(f"game {name}", parts[name]) for name in names}


def differences_in_words(there: Mapping[str, Any], game: Game) -> list[str]:
  """Returns a phrase on each part that is called otherwise.

  Args:
    there: `determining` of config.json.
    game: that is compared.
  """
  here = {f"game {name}": what for name, what in describe(game).items()}
  names = sorted(name for name in there.keys() | here.keys() if name.startswith("game "))
  return [
    f"{name.removeprefix('game ')}: {there.get(name)} there, {here.get(name)} here"
    for name in names
    if there.get(name) != here.get(name)
  ]


def _passed(game: Game) -> dict[str, Any]:
  """The fields that are not at their defaults."""
  defaults = {field.name: field.default for field in dataclasses.fields(game)}
  return {
    name: getattr(game, name)
    for name in defaults
    if name != "axis_name" and getattr(game, name) not in (defaults[name], None, {})
  }


def _words(value: Any) -> str:
  if isinstance(value, Network) and value.name:
    return value.name
  if isinstance(value, Mapping):
    return ", ".join(f"{key} {_words(part)}" for key, part in sorted(value.items()))
  if isinstance(value, functools.partial):
    return f"{_words(value.func)}({', '.join(map(_words, value.args))} {_words(value.keywords)})"
  if isinstance(value, tuple) and hasattr(value, "_fields"):
    return " ".join(_words(part) for part in value if callable(part)) or repr(value)
  if callable(value):
    return f"{value.__module__}.{value.__qualname__}"
  return repr(value)


def references(game: Game) -> dict[str, Any]:
  """Returns where each part is found again, in JSON values; null where it has to be passed."""
  return {name: _reference(part) for name, part in _passed(game).items()}


def _reference(part: Any) -> Any:
  if part is None or isinstance(part, (int, float, str)):
    return {"value": part}
  if isinstance(part, Mapping):
    each = {name: _reference(value) for name, value in part.items()}
    return {"each": each} if all(each.values()) else None
  if type(part) is tuple:
    return {"value": list(part)}
  if isinstance(part, Network):
    return _named(part) or (json.loads(part.recipe) if part.recipe else None)
  recipe = getattr(part, "recipe", None)
  return _named(part) or (_call(part, recipe) if isinstance(recipe, Recipe) else _latent(part))


def _call(part: Any, recipe: Recipe) -> dict[str, Any] | None:
  """The call that makes a part again, where its function has a name and its arguments do."""
  # A part that was changed after it was made has the call of another.
  if _words(recipe.make(**recipe.arguments)) != _words(part):
    return None
  arguments, make = _reference(recipe.arguments), inspect.unwrap(recipe.make)
  for (kind, place), values in _places().items():
    for name, value in values.items():
      if inspect.unwrap(getattr(value, "make", value)) is make and arguments:
        return {kind: place, "name": name, "arguments": arguments}
  return None


def _named(part: Any) -> dict[str, str] | None:
  for (kind, place), values in _places().items():
    for name, value in values.items():
      if value is part:
        return {kind: place, "name": name}
  return None


def _places() -> dict[tuple[str, str], Mapping[str, Any]]:
  """Where parts have names: (kind, place) -> parts by name."""
  places = {("registry", name): registry for name, registry in _REGISTRIES.items()}
  places[("registry", "makers")] = _MAKERS
  return places | {("plugin", name): vars(sys.modules[name]) for name in plugins.loaded()}


def _latent(part: Any) -> dict[str, Any] | None:
  if not callable(part) or getattr(part, "__qualname__", "").split(".")[0] != "latent_sampler":
    return None
  (latent_dim,) = jax.eval_shape(part, jax.random.key(0)).shape
  kinds = [kind for kind in LATENTS if latent_sampler(kind, latent_dim) is part]
  return {"latent": kinds[0], "latent_dim": latent_dim} if kinds else None


def find(record: Mapping[str, Any], workdir: str | os.PathLike) -> Game:
  """Returns the game of a run folder, of parts that are registered or in its plugins.

  Args:
    record: config.json; its plugins have been loaded.
    workdir: the folder.

  Raises:
    UserError: a part has to be passed; the line names all of these and no other.
  """
  places = record.get(FIELD, {})
  found, missing = {}, []
  for name, words in _recorded(record).items():
    try:
      found[name] = _find(places[name])
    except (KeyError, TypeError, AttributeError, ValueError, UserError):
      missing.append(f"{name} {_own_name(words)}".rstrip())
  if missing:
    raise UserError(
      f"{workdir} was trained with a game that was passed, and its folder has no code of "
      f"{', '.join(missing)}: give it in Python, gan.load(workdir, game); for commands, name these "
      "parts in a module, import it by gan.training.plugins.load and call gan.fit again"
    )
  return Game(**found)


def _own_name(words: Any) -> str:
  """What the user calls a part, by what it is called in config.json; "" for what a library made."""
  first = re.match(r"[\w.<>]*", str(words))[0]
  name = first.rpartition(".")[2]
  return "" if first.split(".")[0] in _LIBRARIES or name.startswith("<") else name


def were_passed(record: Mapping[str, Any]) -> bool:
  """Whether a run is of a game that was passed, and not of a config of names."""
  return bool(_recorded(record))


def _recorded(record: Mapping[str, Any]) -> dict[str, str]:
  fields = record["determining"].items()
  return {name.removeprefix("game "): what for name, what in fields if name.startswith("game ")}


def _find(place: Any) -> Any:
  (kind, value), *_ = place.items()
  finders: dict[str, Callable] = {
    "value": lambda: tuple(value) if isinstance(value, list) else value,
    "each": lambda: {name: _find(part) for name, part in value.items()},
    "latent": lambda: latent_sampler(value, place["latent_dim"]),
    "model": lambda: _player(**place),
  }
  if kind in finders:
    return finders[kind]()
  part = _entry(kind, value, place["name"])
  if "arguments" not in place:
    return part
  make = getattr(part, "make", part)
  if not (makes_parts(make) or make in _MAKERS.values()):
    raise ValueError(f"{value} {place['name']} makes no part")
  return make(**_find(place["arguments"]))


def _entry(kind: str, place: str, name: str) -> Any:
  """A part by its name; that of a plugin which is absent is looked for in those that are loaded."""
  places = _places()
  if kind == "plugin" and (kind, place) not in places:
    loaded = (vars(sys.modules[each]) for each in plugins.loaded())
    return collections.ChainMap(*loaded)[name]
  return places[kind, place][name]


def _player(model: str, player: str, spec: Mapping[str, Any]) -> Network:
  own = {"image_shape": tuple(spec["image_shape"]), "dtype": getattr(jnp, spec["dtype"])}
  return getattr(models.build(model, ModelSpec(**{**spec, **own})), player)
