"""Options of parts, and those that Config has no field for: a plugin's, each a flag by itself.

An entry of a registry names its options; they are keyword-only parameters of the function that
makes the part. One that is no field of Config has its type and its default from there, and its
value in `Config.options`. The weight of a regulariser is an option of its own, `<name>_weight`.
"""

import collections
import dataclasses
import functools
import inspect
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gan.augment import AUGMENTATIONS
from gan.errors import UserError
from gan.losses import LOSSES
from gan.method.fields import NEEDS
from gan.method.game import GAME_METRICS
from gan.method.update_rules import UPDATE_RULES
from gan.models import MODELS, ModelSpec
from gan.optimizers import OPTIMIZERS
from gan.penalties import OF_STEP, PENALTIES
from gan.regularizers import REGULARIZERS
from gan.training.config import Config
from gan.training.option_field import option, type_of

FIELDS: Mapping[str, dataclasses.Field] = Config.__dataclass_fields__
KINDS = (bool, int, float, str)  # that a flag may have


class Registry(NamedTuple):
  """Parts of one kind.

  Attributes:
    entries: by name; each has `options`.
    takers: attributes of an entry: the functions that take its options.
    elsewhere: options that build.py hands to the part itself, and `made` does not.
    by_name: whether the part's functions have these too as keyword-only parameters.
  """

  entries: Mapping[str, Any]
  takers: tuple[str, ...] = ("make",)
  elsewhere: tuple[str, ...] = ()
  by_name: bool = False


_OF_LOSSES = ("real_label", "lsgan_targets", "fgan_generator", "axis_name")
_OF_OPTIMIZERS = ("b1", "b2", "momentum")

# By the field of Config that chooses the part.
REGISTRIES: dict[str, Registry] = {
  "update_rule": Registry(UPDATE_RULES),
  "loss": Registry(LOSSES, ("discriminator", "generator", "threshold"), _OF_LOSSES, by_name=True),
  "penalty": Registry(PENALTIES, ("function",), OF_STEP),
  "regularizers": Registry(REGULARIZERS),
  "augment": Registry(AUGMENTATIONS),
  "optimizer": Registry(OPTIMIZERS, elsewhere=_OF_OPTIMIZERS, by_name=True),
  "model": Registry(MODELS, ("build",), ModelSpec._fields),
}


def own_options() -> dict[str, dataclasses.Field]:
  """Returns the options that registered parts have and Config has not, by name, as fields."""
  return dict(_options_of(tuple(part[:3] for part in _entries())))


# A sweep reads values of configs thousands of times; parts change where a plugin adds one.
@functools.lru_cache(maxsize=2)
def _options_of(parts: tuple[tuple[str, str, Any], ...]) -> dict[str, dataclasses.Field]:
  found, owners = {}, collections.defaultdict(list)
  for choice, name, entry in parts:
    for own in _own(entry.options, REGISTRIES[choice]):
      owners[own].append((choice, name, entry))
  for own, ((choice, _, entry), *_) in owners.items():
    (first, *_) = _parameters(entry, REGISTRIES[choice], own)
    names = ", ".join(name for _, name, _ in owners[own])
    meaning = _meaning(getattr(entry, REGISTRIES[choice].takers[0]), own) or "option"
    text = f"{meaning} (--{choice}={names})"
    found[own] = _field(own, type(first.default), choice, first.default, text)
  for choice, name, entry in parts:
    weight = weight_of(name)
    if choice == "regularizers" and weight not in FIELDS and entry.default_weight is not None:
      text = f"weight of the regulariser {name} (named: {entry.default_weight}; else off)"
      found[weight] = _field(weight, float, choice, None, text, minimum=0)
  return found


def _meaning(function: Any, name: str) -> str:
  """What the docstring of a function says of an argument; "" where it says nothing."""
  text = inspect.getdoc(getattr(function, "func", function)) or ""
  told = re.search(rf"^  {name}: (.+?)(?=\n\s*\n|\n  \w+:|\Z)", text, re.DOTALL | re.MULTILINE)
  return " ".join(told[1].split()).rstrip(".") if told else ""


def read_by(entry: Any) -> tuple[str, ...]:
  """Returns the options that a part reads, or that are read for it."""
  strength = ["augment_strength"] if getattr(entry, "scaled", False) else []
  return (*entry.options, *filter(None, [getattr(entry, "steps", "")]), *strength)


def fields() -> dict[str, dataclasses.Field]:
  """Returns the fields of Config and `own_options`, by name."""
  return {**FIELDS, **own_options()}


def weight_of(regularizer: str) -> str:
  """Returns the name of the option that weights a regulariser."""
  return f"{regularizer}_weight"


def _entries() -> Iterator[tuple[str, str, Any, Registry]]:
  for choice, registry in REGISTRIES.items():
    for name, entry in registry.entries.items():
      yield choice, name, entry, registry


def _own(options: tuple[str, ...], registry: Registry) -> list[str]:
  return [name for name in options if name not in FIELDS and name not in registry.elsewhere]


def _field(
  name: str, kind: type, choice: str, default: Any, text: str, **limits: Any
) -> dataclasses.Field:
  field = option(default, FIELDS[choice].metadata["group"], text, **limits)
  field.name, field.type = name, kind
  return field


def _parameters(entry: Any, registry: Registry, name: str) -> list[inspect.Parameter | None]:
  """The parameter of that name of each function that takes the options; None where one has none.

  A function of any keywords needs none.
  """
  found = []
  for function in filter(None, (getattr(entry, taker) for taker in registry.takers)):
    parameters = inspect.signature(function).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    if name in parameters or inspect.Parameter.VAR_KEYWORD not in kinds:
      found.append(parameters.get(name))
  return found


def typed(kind: type, text: str) -> Any:
  """Returns the value of a kind that a text names; ValueError where it names none."""
  if kind is not bool:
    return kind(text)
  if text.capitalize() not in ("True", "False"):
    raise ValueError(f"{text} is neither true nor false")
  return text.capitalize() == "True"


def parse(text: str) -> dict[str, Any]:
  """Reads `Config.options`, "name=value;name=value", into values of the options' types.

  Raises:
    UserError: it is malformed, or no registered part has an option of the name.
  """
  found, known = {}, own_options() if text else {}
  parts = list(filter(None, map(str.strip, text.split(";"))))
  if text and not parts:
    raise UserError(f"--options={text} names no option: give name=value, or leave it out")
  for part in parts:
    name, equals, value = map(str.strip, part.partition("="))
    if not (name and equals) or name in found:
      raise UserError(f"--options: {part!r} must be name=value, each name once, separated by ';'")
    if name not in known:
      raise UserError(
        f"--options: no part has an option {name!r}: choose from "
        f"{', '.join(sorted(known)) or 'none'}, or name the module that has the part by --plugin"
      )
    try:
      found[name] = typed(known[name].type, value)
    except ValueError as error:
      raise UserError(
        f"--options: {name}={value} must be of type {known[name].type.__name__}"
      ) from error
  return found


def value(config: Config, name: str) -> Any:
  """Returns the value of a field of a config, or of another option, by default the part's own."""
  if name in FIELDS:
    return getattr(config, name)
  given = parse(config.options)
  return given[name] if name in given else own_options()[name].default


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
  """Returns a config with other values of its fields and of options of plugins' parts.

  Args:
    config: any.
    values: by name; an option at its default is left out of `Config.options`.

  Raises:
    UserError: a value cannot be kept as text.
  """
  own = {name: value for name, value in values.items() if name not in FIELDS}
  of_config = {name: value for name, value in values.items() if name in FIELDS}
  config = dataclasses.replace(config, **of_config)
  if not own:
    return config
  given, known = parse(config.options) | own, own_options()
  for name, each in given.items():
    if isinstance(each, str) and (";" in each or each != each.strip()):
      raise UserError(f"--{name}={each} must have no ';', and no blank at its ends")
  kept = [f"{name}={given[name]}" for name in sorted(given) if given[name] != known[name].default]
  return dataclasses.replace(config, options=";".join(kept))


def entry_fault(entries: Mapping[str, Any], name: str) -> str:
  """Returns what is wrong with the options of an entry, in words, or "".

  Args:
    entries: the registry that holds it.
    name: of the entry.
  """
  for choice, registry in REGISTRIES.items():
    if registry.entries is entries:
      faults = [_name_fault(choice, name), *_option_faults(entries[name], registry)]
      faults.append(_metric_fault(name, dict(getattr(entries[name], "metrics", ()))))
      return next(filter(None, faults), "")
  return ""


def _name_fault(choice: str, name: str) -> str:
  """What is wrong with a name of a part: a regulariser's is a part of the name of its weight."""
  stated = {own for _, _, entry, registry in _entries() for own in _own(entry.options, registry)}
  if choice == "regularizers" and weight_of(name) in {*FIELDS, *stated}:
    return f"whose weight, {weight_of(name)}, is another option: give it another name"
  return ""


def _metric_fault(name: str, metrics: Mapping[str, str]) -> str:
  """What is wrong with the metrics that an entry says it adds to a step."""
  bad = sorted(set(metrics) & set(GAME_METRICS) | {m for m in metrics if not m.startswith(name)})
  return f"whose metrics {', '.join(bad)} must begin with its name" if bad else ""


def _option_faults(entry: Any, registry: Registry) -> Iterator[str]:
  options, takers = entry.options, ", ".join(registry.takers)
  if not NEEDS.fits(needs := getattr(entry, "needs", ())):
    yield f"whose needs are {needs!r} where {NEEDS.words} belongs"
  if (typed := getattr(entry, "argument", "")) and None in _parameters(entry, registry, typed):
    yield f"whose {takers} must take {typed}, what is typed behind its colon, by name"
  if taken := sorted({*getattr(entry, "choices", ())} & {*registry.entries}):
    yield f"which takes {taken[0]} behind its colon, the name of another: give that another name"
  for role in ("strength", "steps"):
    if (field := getattr(entry, role, "")) and field not in FIELDS:
      yield f"whose {role} {field!r} is no field of gan.Config: make it an option, and leave it out"
  if not (isinstance(options, tuple) and all(map(str.isidentifier, map(str, options)))):
    yield f"whose options are {options!r} where a tuple of names belongs"
    return
  if not all(callable(getattr(entry, taker) or len) for taker in registry.takers):
    yield f"whose {takers} is no function"
    return
  for name in options:
    own = name not in registry.elsewhere
    if not own and not registry.by_name:
      continue
    parameters = _parameters(entry, registry, name)
    if None in parameters or own and not parameters:
      yield f"whose {takers} must take its option {name} by name"
    elif own and name in map(weight_of, REGULARIZERS):
      yield f"whose option {name} is the weight of a regulariser: give it another name"
    elif own and name in FIELDS:
      yield _field_fault(name, parameters)
    elif own:
      yield _default_fault(name, parameters)


def _field_fault(name: str, parameters: list[inspect.Parameter]) -> str:
  kind = type_of(FIELDS[name])
  fitting = {kind, int} if kind is float else {kind}
  given = [each.default for each in parameters if each.default not in (each.empty, None)]
  if {type(default) for default in given} <= fitting:
    return ""
  return f"whose option {name} is of another type than the one of that name, {kind.__name__}"


def _default_fault(name: str, parameters: list[inspect.Parameter]) -> str:
  if not all(type(each.default) in KINDS for each in parameters):
    return f"whose option {name} needs a default for the type of its flag: a number, text or a bool"
  if not all(math.isfinite(each.default) for each in parameters if type(each.default) is float):
    return f"whose option {name} has a default that is no finite number"
  others = [
    _parameters(entry, registry, name)
    for _, _, entry, registry in _entries()
    if name in entry.options
  ]
  every = {(type(each.default), each.default) for found in others for each in filter(None, found)}
  return (
    "" if len(every) == 1 else f"whose option {name} has another default than the one elsewhere"
  )
