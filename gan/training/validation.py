"""What a config cannot be, in one line each; which part reads which field is in the registries."""

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Any

from gan import schedules
from gan.augment import AUGMENTATIONS
from gan.errors import UserError
from gan.losses import LOSSES
from gan.method.game import Game
from gan.method.update_rules import UPDATE_RULES, check
from gan.models import MODELS, check_outputs
from gan.optimizers import OPTIMIZERS
from gan.penalties import PENALTIES
from gan.regularizers import REGULARIZERS
from gan.training.build import hyperparameters, lsgan_targets, made, parts
from gan.training.config import (
  Config,
  default,
  optimizer_names,
  regularizer_names,
)


def validate(config: Config) -> None:
  """Raises UserError with one line about the first thing in a config that cannot be."""
  for field in dataclasses.fields(config):
    validate_field(field, getattr(config, field.name))
  if config.real_label > 1:
    raise UserError(f"--real_label={config.real_label} must be in (0, 1]")
  for name in ("b1", "b2", "momentum", "ema_decay", "lecam_decay"):
    if getattr(config, name) >= 1:
      raise UserError(f"--{name}={getattr(config, name)} must be below 1")
  lsgan_targets(config)
  _validate_batches(config)
  _validate_regularizers(config)
  _validate_options(config)
  _validate_schedules(config)
  rule = made(UPDATE_RULES[config.update_rule], config)
  check(rule, config.discriminator_steps, config.accumulate, config.update_rule)


def validate_field(field: dataclasses.Field, value: Any) -> None:
  """Raises UserError where a field of Config cannot have a value, whatever the others are."""
  choices, minimum = field.metadata["choices"], field.metadata["minimum"]
  if value is None:
    return
  if isinstance(value, float) and not math.isfinite(value):
    raise UserError(f"--{field.name}={value} must be a finite number")
  if choices is not None and value not in choices:
    raise UserError(f"--{field.name}={value} is unknown: choose from {', '.join(sorted(choices))}")
  if field.metadata["positive"] and value <= 0:
    raise UserError(f"--{field.name}={value} must be above 0")
  if minimum is not None and value < minimum:
    raise UserError(f"--{field.name}={value} must be at least {minimum}")
  bits = 32 if field.name == "seed" else 31  # keys repeat from 2^32 on; counts are int32
  if isinstance(value, int) and value >= 2**bits:
    raise UserError(f"--{field.name}={value} must be below 2^{bits}")


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
  if config.packing > 1 and config.conditional:
    raise UserError("--packing joins examples of any class: leave out --conditional or --packing")
  other = config.generator_batch_size not in (None, config.batch_size)
  if other and config.shared_latents:
    raise UserError(
      "--shared_latents gives G the fakes of D's update, of which there are --batch_size: leave "
      "out --generator_batch_size or --shared_latents"
    )


def _validate_regularizers(config: Config) -> None:
  for name in regularizer_names(config):
    if name not in REGULARIZERS:
      raise UserError(
        f"--regularizers={name} is unknown: choose from {', '.join(sorted(REGULARIZERS))}"
      )
    if getattr(config, f"{name}_weight", None) == 0:
      raise UserError(
        f"--{name}_weight=0 turns off what --regularizers={config.regularizers} asks for: leave "
        "out one of the two"
      )
    check_outputs(config.model, name, made(REGULARIZERS[name], config).needs)


def _chosen(config: Config) -> dict[str, tuple[Collection[str], Mapping[str, Any]]]:
  """By the field that chooses: the names chosen, and the registry whose entries say `options`."""
  augmentations = ["instance_noise"] if config.instance_noise else []
  return {
    "update_rule": ([config.update_rule], UPDATE_RULES),
    "loss": ([config.loss], LOSSES),
    "penalty": ([config.penalty], PENALTIES),
    "regularizers": (regularizer_names(config), REGULARIZERS),
    "instance_noise": (augmentations, AUGMENTATIONS),
    "optimizer": (sorted(set(optimizer_names(config).values())), OPTIMIZERS),
    "model": ([config.model], MODELS),
  }


def unread(config: Config) -> dict[str, tuple[str, list[str], list[str]]]:
  """Returns the fields that no chosen part reads: {field: (choice, chosen, those that read it)}."""
  found = {}
  known = {field.name for field in dataclasses.fields(config)}
  for choice, (chosen, registry) in _chosen(config).items():
    for name in sorted({option for entry in registry.values() for option in entry.options} & known):
      takers = [key for key, entry in registry.items() if name in entry.options]
      if not set(chosen) & set(takers):
        found[name] = (choice, list(chosen), takers)
  return found


def _validate_options(config: Config) -> None:
  """An option that nothing reads would change nothing, without a word."""
  for name, (choice, chosen, takers) in unread(config).items():
    if getattr(config, name) != default(name):
      raise UserError(
        f"--{name} has no meaning for --{choice}={', '.join(chosen)}; it is for "
        f"{', '.join(takers)}; leave it out, or at its default, {default(name)}"
      )
  if not config.instance_noise and config.instance_noise_steps != default("instance_noise_steps"):
    raise UserError("--instance_noise_steps is read where --instance_noise is above 0: give both")
  if config.ema_half_life is None and config.ema_ramp != default("ema_ramp"):
    raise UserError("--ema_ramp bounds --ema_half_life: give that too, or leave it out")


def _validate_schedules(config: Config) -> None:
  if config.schedule_images is not None and not config.schedules:
    raise UserError("--schedule_images is the length of --schedules: give these too")
  if not config.schedules:
    return
  if config.schedule != "constant":
    raise UserError(f"--schedules and --schedule={config.schedule} exclude each other: give one")
  specs = schedules.parse(config.schedules)
  names = Game(generator=None, discriminator=None, **parts(config)).read_numbers()
  if "instance_noise" in specs and config.instance_noise_steps != default("instance_noise_steps"):
    raise UserError(
      "--schedules=instance_noise=... and --instance_noise_steps both say how the noise falls: "
      "leave out one of the two"
    )
  for field in specs:
    if field not in names:
      raise UserError(
        f"--schedules: {field!r} is no number that a step of this run reads: choose from "
        f"{', '.join(names)}"
      )
  for field in schedules.out_of_range(specs, hyperparameters(config)):
    raise UserError(f"--schedules: {field} would leave its range: check the number it ends at")
