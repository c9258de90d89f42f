"""What a config cannot be, in one line each; which part reads which field is in the registries."""

import dataclasses
import math
from typing import Any

from gan import schedules
from gan.augment import AUGMENTATIONS
from gan.datasets.base import parse_split
from gan.errors import UserError
from gan.losses import LOSSES
from gan.method.acting import check_acting, check_controls
from gan.method.game import PLAYERS, Game
from gan.method.lazy import check_lazy
from gan.method.update_rules import check_updates
from gan.models import check_conditioning, check_outputs
from gan.models.spec import conditioned
from gan.networks import Network
from gan.optimizers import OPTIMIZERS
from gan.penalties import make_penalty
from gan.regularizers import REGULARIZERS
from gan.state import Hyperparameters
from gan.system.schema import BY_TYPE
from gan.training.augmentations import check_named
from gan.training.build import game_parts, hyperparameters, lsgan_targets
from gan.training.config import Config, default
from gan.training.option_field import type_of
from gan.training.options import REGISTRIES, fields, parse, read_by, value, weight_of
from gan.training.parts import (
  arguments,
  check_loss,
  check_schedule,
  chosen,
  falling,
  made,
  names_in,
  needs,
  optimizer_names,
  regularizer_names,
  weighted,
)

BFLOAT16_SIGMA = 0.1  # least step of an approximated penalty


def validate(config: Config) -> None:
  """Raises UserError with one line about the first thing in a config that cannot be."""
  for field in dataclasses.fields(config):
    validate_field(field, getattr(config, field.name))
  for name, given in parse(config.options).items():
    validate_field(fields()[name], given)
  lsgan_targets(config)
  check_loss(config)
  _validate_batches(config)
  _validate_names(config)
  check_named(config.augment)
  _validate_weights(config)
  for name, rule in made(config, "update_rule").items():
    check_updates(rule, config.discriminator_steps, config.accumulate, name)
    if not rule.adversarial:
      _validate_alone(config, name)
    if config.batch_size < rule.least_batch:
      raise UserError(
        f"--update_rule={name} compares examples: use --batch_size={rule.least_batch} or more"
      )
  _validate_conditioning(config)
  _validate_options(config)
  _validate_penalty(config)
  _validate_augment(config)
  _validate_schedules(config)
  _validate_splits(config)
  _validate_acting(config)
  _validate_idle(config)


def validate_field(field: dataclasses.Field, value: Any) -> None:
  """Raises UserError where a field of Config cannot have a value, whatever the others are."""
  choices, minimum = field.metadata["choices"], field.metadata["minimum"]
  maximum, below = field.metadata["maximum"], field.metadata["below"]
  if value is None and field.default is None:
    return
  bits = 32 if field.name == "seed" else 31  # keys repeat from 2^32 on; counts are int32
  if type(value) is int and value >= 2**bits:
    raise UserError(f"--{field.name}={value} must be below 2^{bits}")
  if not (kind := BY_TYPE[type_of(field)]).fits(value):
    raise UserError(f"--{field.name}={value!r} must be {kind.words}")
  if choices is not None and value not in choices:
    raise UserError(f"--{field.name}={value} is unknown: choose from {', '.join(sorted(choices))}")
  if field.metadata["positive"] and value <= 0:
    raise UserError(f"--{field.name}={value} must be above 0")
  if minimum is not None and value < minimum:
    raise UserError(f"--{field.name}={value} must be at least {minimum}")
  if maximum is not None and value > maximum:
    raise UserError(f"--{field.name}={value} must be at most {maximum}")
  if below is not None and value >= below:
    raise UserError(f"--{field.name}={value} must be below {below}")


def _validate_alone(config: Config, rule: str) -> None:
  """Raises UserError for what is of a game, where the rule moves the generator alone."""
  names, usual = chosen(config), chosen(Config())
  given = [
    _chooser(config, part, names[part][0])
    for part in ("loss", "penalty", "regularizers", "augment")
    if names[part] != usual[part]
  ]
  given += ["conditional"] * config.conditional + ["packing"] * (config.packing > 1)
  given += ["heldout"] * bool(config.heldout)
  if given:
    raise UserError(
      f"--update_rule={rule} has no discriminator and knows no classes: leave out --{given[0]}"
    )


def _chooser(config: Config, choice: str, part: str) -> str:
  """The option that chooses a part of a config: that of its names, a controller, or a number."""
  if choice == "augment":
    return _strength(AUGMENTATIONS[part]) or choice
  if choice != "regularizers" or part in names_in(config.regularizers):
    return choice
  return "augment_control" if part == config.augment_control else weight_of(part)


def _validate_idle(config: Config) -> None:
  """Raises UserError for what the discriminator's updates read, where the rule makes none."""
  if all(rule.adversarial for rule in made(config, "update_rule").values()):
    return
  idle = {*_any_game(config, update_rule=None).read_numbers()} - {*_any_game(config).read_numbers()}
  idle -= {"discriminator_learning_rate"}  # experiments have one: commands refuse it where typed
  for name in (*sorted(idle), "discriminator_optimizer", "freeze_d"):
    if getattr(config, name) != default(name):
      raise UserError(
        f"--{name} has no meaning for --update_rule={config.update_rule}: it moves the generator "
        "alone; leave it out"
      )


def _validate_batches(config: Config) -> None:
  for name in ("batch_size", "generator_batch_size"):
    size, unit = getattr(config, name), config.packing * config.accumulate
    if size is not None and size % unit:
      divisor = f"--packing={config.packing}"
      if config.accumulate > 1:
        divisor = f"--accumulate={config.accumulate}" + (
          f" times {divisor}" if config.packing > 1 else ""
        )
      fitting = max(unit, size - size % unit)
      raise UserError(f"--{name}={size} is not divisible by {divisor}: use --{name}={fitting}")
    if LOSSES[config.loss].witness and size == unit:
      raise UserError(
        f"--loss={config.loss} compares pairs of examples, and of --{name}={size} D judges one at "
        f"a time: use --{name}={2 * unit}"
      )
  if config.packing > 1 and config.conditional:
    raise UserError("--packing joins examples of any class: leave out --conditional or --packing")
  if config.shared_latents and config.generator_batch_size not in (None, config.batch_size):
    raise UserError(
      "--shared_latents gives G the fakes of D's update, of which there are --batch_size: leave "
      "out --generator_batch_size or --shared_latents"
    )


def _validate_names(config: Config) -> None:
  names, choose = names_in(config.regularizers), f"choose from {', '.join(sorted(REGULARIZERS))}"
  if config.regularizers and not names:
    raise UserError(f"--regularizers={config.regularizers} names none: {choose}")
  for name in names:
    if name not in REGULARIZERS:
      raise UserError(f"--regularizers={name} is unknown: {choose}")


def _validate_weights(config: Config) -> None:
  on = regularizer_names(config)
  if config.augment_control in names_in(config.regularizers):
    raise UserError(
      f"two controllers of one strength: --augment_control={config.augment_control} and "
      f"--regularizers={config.regularizers} both name {config.augment_control}: leave out one"
    )
  if len(set(on)) < len(on):
    raise UserError(f"--regularizers={config.regularizers} has a name twice: give each once")
  for name in weighted():
    weight, given = weight_of(name), value(config, weight_of(name))
    if name in on and given == 0:
      raise UserError(
        f"--{weight}=0 turns off what --regularizers={config.regularizers} asks for: leave "
        "out one of the two"
      )
    if name not in on and given:
      raise UserError(
        f"--{weight} has no meaning for --regularizers={config.regularizers}: name {name} there "
        "too, or leave the weight out"
      )


def _validate_conditioning(config: Config) -> None:
  check_conditioning(config.model, config.conditioning)
  needed = needs(config)
  for part, each in needed.items():
    check_outputs(config.model, part, each, config.conditioning, conditional=config.conditional)
  if idle := set(conditioned(config.conditioning).outputs) - set(sum(needed.values(), ())):
    takers = [name for name, entry in REGULARIZERS.items() if idle & set(entry.needs)]
    raise UserError(
      f"--conditioning={config.conditioning} has D return {', '.join(idle)}, which nothing trains: "
      f"add --regularizers={' or '.join(takers)}"
    )
  if config.fake_labels != default("fake_labels") and not config.conditional:
    raise UserError("--fake_labels is of --conditional: give that or --conditioning too")


def _strength(entry: Any) -> str:
  """The number that chooses a part where it is above 0; "" where its name does."""
  return getattr(entry, "strength", "")


def _validate_augment(config: Config) -> None:
  """What is made says what is wrong with its options; some have no strength but a controller's."""
  parts = made(config, "regularizers").values()
  controlled = any("augment_strength" in (part.controls or {}) for part in parts)
  for name in made(config, "augment"):
    if AUGMENTATIONS[name].needs_strength and config.augment_strength is None and not controlled:
      raise UserError(
        f"--augment={name} needs --augment_strength, the probability of each of its transforms: "
        "0.3 is a start, and towards 1 samples come out transformed too; --augment_control=ada "
        "sets it as D overfits"
      )


def unread(config: Config) -> dict[str, tuple[str, list[str], list[str]]]:
  """Returns the options that no chosen part reads: {option: (choice, chosen, those with it)}."""
  found, names, known, read = {}, chosen(config), fields().keys(), set()
  for choice, (entries, *_) in REGISTRIES.items():
    read |= {
      option for name in names[choice] if name in entries for option in read_by(entries[name])
    }
  for choice, (entries, *_) in REGISTRIES.items():
    options = {option for entry in entries.values() for option in read_by(entry)}
    for option in sorted(options & known - read):
      takers = [name for name, entry in entries.items() if option in read_by(entry)]
      found[option] = (choice, names[choice], takers)
  return found


def _validate_options(config: Config) -> None:
  """Raises UserError for an option that was changed and that no chosen part reads."""
  for name, (choice, names, takers) in unread(config).items():
    if value(config, name) != (usual := fields()[name].default):
      by = ", ".join(_chosen_by(choice, taker) for taker in takers)
      raise UserError(
        f"--{name} has no meaning for --{choice}={', '.join(names)}; it is for {by}; leave it out, "
        f"or at its default, {usual}"
      )
  if config.ema_half_life is None and config.ema_ramp != default("ema_ramp"):
    raise UserError("--ema_ramp bounds --ema_half_life: give that too, or leave it out")


def _chosen_by(choice: str, part: str) -> str:
  """What chooses a part: its name, or the number that is its strength."""
  strength = _strength(REGISTRIES[choice].entries[part])
  return f"--{strength} above 0" if strength else part


def _validate_splits(config: Config) -> None:
  for name in ("heldout", "reference_split"):
    if getattr(config, name) != default(name) and not config.eval_every:
      raise UserError(
        f"--{name} is read by --eval_every above 0 only: give that too, or leave it out"
      )
  if config.heldout:
    _validate_heldout(config)


def _validate_heldout(config: Config) -> None:
  if LOSSES[config.loss].witness:
    raise UserError(
      f"--heldout judges D by its logits, and --loss={config.loss} has none but of a whole batch: "
      "leave it out"
    )
  (held_out, few), (split, many) = map(parse_split, (config.heldout, config.split))
  starts = [window.start or 0 for window in (few, many)]
  stops = [math.inf if window.stop is None else window.stop for window in (few, many)]
  if held_out == split and max(starts) < min(stops):
    raise UserError(
      f"--heldout={config.heldout} holds examples of --split={config.split}, which are trained on: "
      f"name another split, or a window out of it, as in --split={split}[1000:] "
      f"--heldout={split}[:1000]"
    )


def _validate_acting(config: Config) -> None:
  """What a regulariser does to a step has a meaning; what it sets, nothing else sets."""
  parts, (rule,) = made(config, "regularizers"), made(config, "update_rule").values()
  check_acting(parts, LOSSES[config.loss], rule)
  if not any(part.controls for part in parts.values()):
    return
  changed = [
    name
    for name in Hyperparameters().names()
    if hasattr(config, name) and getattr(config, name) != default(name)
  ]
  given = {*schedules.parse(config.schedules), *changed}
  # Without them, so that what is wrong with them is said here, of flags.
  read = {*_any_game(config, regularizers={}).read_numbers()}
  check_controls(parts, given, read.union(*(part.reads for part in parts.values())))


def _any_game(config: Config, **others: Any) -> Game:
  """The game of a config, whose players can be any: none of what they read is a number."""
  return Game(**dict.fromkeys(PLAYERS, Network(None, None)), **game_parts(config) | others)


def _validate_penalty(config: Config) -> None:
  (rule,) = made(config, "update_rule").values()
  optimizer = OPTIMIZERS[optimizer_names(config)["discriminator"]]
  read = ("discriminator_learning_rate", *optimizer.options)
  check_lazy(config.lazy_correction, config.lazy_step, config.penalty_every, rule, read)
  options = arguments(config, "penalty", config.penalty)
  make_penalty(config.penalty, **options)
  # At 0.01 the penalty of an example is mostly rounding; at 0.1 within a fifth of float32's.
  sigma = options.get("approx_sigma", BFLOAT16_SIGMA)
  if config.precision == "bfloat16" and sigma < BFLOAT16_SIGMA:
    raise UserError(
      f"--approx_sigma={sigma} is a step that --precision=bfloat16 rounds away: give at least "
      f"{BFLOAT16_SIGMA}, or --precision=float32"
    )


def _validate_schedules(config: Config) -> None:
  if config.schedule_images is not None and not config.schedules:
    raise UserError("--schedule_images is the length of --schedules: give these too")
  if not config.schedules:
    return
  if config.schedule != default("schedule"):
    raise UserError(f"--schedules and --schedule={config.schedule} exclude each other: give one")
  specs = schedules.parse(config.schedules)
  names = _any_game(config).read_numbers()
  for strength, steps in falling(config).items():
    if strength in specs and getattr(config, steps) != default(steps):
      raise UserError(
        f"--schedules={strength}=... and --{steps} both say how it falls: leave out one of the two"
      )
  for field in specs:
    if field not in names:
      raise UserError(
        f"--schedules: {field!r} is no number that a step of this run reads: choose from "
        f"{', '.join(names)}"
      )
  for spec in specs.values():
    check_schedule(*spec)
  for field in schedules.out_of_range(specs, hyperparameters(config)):
    raise UserError(f"--schedules: {field} would leave its range: check the number it ends at")
