"""Which parts a config chooses and what they are given, its defaults resolved; what it is known by.

A part's entry in its registry says what belongs to it: its default weight, its options.
"""

import dataclasses
import hashlib
import json
from typing import Any

import jax.numpy as jnp

from gan.augment import AUGMENTATIONS, Augmentation
from gan.errors import UserError
from gan.losses import LOSSES, make_loss
from gan.method.fields import NEEDS, PLAYERS
from gan.models import MODELS
from gan.models.spec import conditioned
from gan.penalties import PENALTIES
from gan.regularizers import REGULARIZERS, Regularizer
from gan.schedules import SCHEDULES
from gan.schedules import parse as parse_schedules
from gan.system.schema import Kind, check_made, takes
from gan.training import earlier
from gan.training.augmentations import named
from gan.training.config import Config
from gan.training.options import REGISTRIES, parse, value, weight_of

# What entries of a registry make, and the registry's name, by the keys of REGISTRIES.
_MADE = {
  "update_rule": (
    "UPDATE_RULES",
    Kind("a gan.UpdateRule", lambda it: callable(getattr(it, "step", None))),
  ),
  "regularizers": (
    "REGULARIZERS",
    Kind(
      f"a gan.Regularizer whose needs are {NEEDS.words}",
      lambda it: isinstance(it, Regularizer) and NEEDS.fits(it.needs),
    ),
  ),
  "augment": (
    "AUGMENTATIONS",
    Kind(
      "a gan.Augmentation or a function (images, keys) -> images",
      lambda it: isinstance(it, Augmentation) or takes(it, "images", "keys"),
    ),
  ),
}
_SCHEDULE = Kind("a function (start, progress) -> value", lambda it: takes(it, "start", "progress"))
_SCHEDULED = Kind(
  "a number", lambda it: isinstance(it, (int, float)) or getattr(it, "shape", None) == ()
)


def names_in(text: str) -> list[str]:
  """Returns the names in a text that separates them by commas."""
  return [name.strip() for name in text.split(",") if name.strip()]


def regularizer_names(config: Config) -> list[str]:
  """Returns the regularisers of a config; where none is named, those that have a weight."""
  named = names_in(config.regularizers)
  if not named:
    named = [name for name in weighted() if value(config, weight_of(name))]
  return named if config.augment_control == "none" else [*named, config.augment_control]


def weighted() -> list[str]:
  """Returns the names of the regularisers that have a weight."""
  return [name for name, entry in REGULARIZERS.items() if entry.default_weight is not None]


def regularizer_weight(config: Config, name: str) -> float:
  """Returns the weight of a regulariser that has one, by default that of its paper."""
  given = value(config, weight_of(name))
  return REGULARIZERS[name].default_weight if given is None else given


def augmentation_names(config: Config) -> list[str]:
  """Returns the augmentations that a config runs, in order: none whose strength stays 0."""
  off = config.augment_strength == 0 and "augment_strength" not in parse_schedules(config.schedules)
  return [
    name for name in _chosen_augmentations(config) if not (off and AUGMENTATIONS[name].scaled)
  ]


def _chosen_augmentations(config: Config) -> list[str]:
  """First the named, then those with a number of their own."""
  strong = [
    name
    for name, entry in AUGMENTATIONS.items()
    if entry.strength and value(config, entry.strength) > 0
  ]
  return [*named(config.augment), *strong]


def augment_strength(config: Config) -> float:
  """Returns the strength of the augmentations at the first step."""
  return 1.0 if config.augment_strength is None else config.augment_strength


def falling(config: Config) -> dict[str, str]:
  """Returns the strengths that fall to 0 where no schedule has them, with the fields of steps."""
  entries = [AUGMENTATIONS[name] for name in augmentation_names(config)]
  return {entry.strength: entry.steps for entry in entries if entry.steps}


def weight_clip(config: Config) -> float:
  """Returns the bound on D's weights, 0 for none; by default the loss's, without penalty."""
  if config.weight_clip is not None:
    return config.weight_clip
  return LOSSES[config.loss].default_clip if PENALTIES[config.penalty].function is None else 0.0


def penalty_weight(config: Config) -> float:
  """Returns the weight of the penalty, by default that of the paper it is from."""
  given = config.penalty_weight
  return PENALTIES[config.penalty].default_weight if given is None else given


def optimizer_names(config: Config) -> dict[str, str]:
  """Returns the optimiser of each player."""
  return {player: getattr(config, f"{player}_optimizer") or config.optimizer for player in PLAYERS}


def chosen(config: Config) -> dict[str, list[str]]:
  """Returns the names of the parts that a config chooses, by the keys of REGISTRIES."""
  return {
    "update_rule": [config.update_rule],
    "loss": [config.loss],
    "penalty": [config.penalty],
    "regularizers": regularizer_names(config),
    "augment": _chosen_augmentations(config),
    "optimizer": sorted(set(optimizer_names(config).values())),
    "model": [config.model],
  }


def arguments(config: Config, choice: str, name: str) -> dict[str, Any]:
  """Returns the options with which a part is made.

  Args:
    config: whose values they have.
    choice: key of REGISTRIES.
    name: of the part.
  """
  registry = REGISTRIES[choice]
  entry = registry.entries[name]
  own = {each: value(config, each) for each in entry.options if each not in registry.elsewhere}
  if getattr(entry, "ranged", False):
    own["image_range"] = MODELS[config.model].image_range
  if choice == "augment" and (typed := named(config.augment).get(name)):
    own[entry.argument] = typed
  return own


def made(config: Config, choice: str) -> dict[str, Any]:
  """Returns what the chosen entries of a registry make, by name: augmentations that run."""
  entries, (registry, kind) = REGISTRIES[choice].entries, _MADE[choice]
  names = augmentation_names(config) if choice == "augment" else chosen(config)[choice]
  return {
    name: check_made(
      entries[name].make(**arguments(config, choice, name)), kind, f"{registry}[{name!r}]"
    )
    for name in names
  }


def needs(config: Config) -> dict[str, tuple[str, ...]]:
  """Returns the fields of Outputs that the chosen loss and regularisers need, by the choice."""
  found = {f"loss={config.loss}": LOSSES[config.loss].needs}
  parts = made(config, "regularizers")
  return found | {f"regularizers={name}": part.needs for name, part in parts.items()}


def asked_outputs(config: Config) -> tuple[str, ...]:
  """Returns the fields of Outputs that D is built to return, beside logits and a conditioning's."""
  without = {"logits", *conditioned(config.conditioning).outputs}
  return tuple(sorted(set(sum(needs(config).values(), ())) - without))


def check_loss(config: Config) -> None:
  """Raises UserError where the loss cannot have its numbers, or is none for the model's logits."""
  make_loss(config.loss, **arguments(config, "loss", config.loss))
  field = MODELS[config.model].loss_needs
  if field and field not in LOSSES[config.loss].needs:
    fitting = ", ".join(name for name, loss in LOSSES.items() if field in loss.needs)
    raise UserError(
      f"--model={config.model} is for losses that need its {field}, and --loss={config.loss} reads "
      f"logits, which are never above 0 there: give --loss as one of {fitting}, or another --model"
    )


def check_schedule(name: str, numbers: tuple[float, ...]) -> None:
  """Checks what an entry of SCHEDULES makes, and what that returns.

  Args:
    name: of the entry.
    numbers: that are typed after it.

  Raises:
    UserError: either is something else.
  """
  of = check_made(SCHEDULES[name].make(*numbers), _SCHEDULE, f"SCHEDULES[{name!r}]")
  start, progress = jnp.float32(0.5), jnp.float32(0.5)
  check_made(of(start, progress), _SCHEDULED, f"a schedule of SCHEDULES[{name!r}]")


def identity(config: Config) -> dict[str, Any]:
  """Returns what the result of a run depends on, as JSON values: fields, and options that are none.

  What earlier versions did not have is left out where it means "as before".
  """
  values = {
    field.name: getattr(config, field.name)
    for field in dataclasses.fields(config)
    if not field.metadata["resumable"]
    and not (field.metadata["added"] and getattr(config, field.name) == field.default)
  }
  values |= parse(values.pop("options", ""))
  # As earlier versions wrote a weight: 0 where the term is off.
  on = regularizer_names(config)
  return values | {
    weight_of(name): regularizer_weight(config, name) if name in on else 0.0
    for name in earlier.REGULARIZERS
  }


def fingerprint(values: dict[str, Any]) -> str:
  """Returns 12 hexadecimal digits that name a set of JSON values."""
  return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
