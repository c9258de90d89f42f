"""How the numbers of a method change with the step: any hyper-parameter, by optax's schedules.

A schedule here is a function `(start, progress) -> value`, where `progress` in [0, inf) is the
share of the schedule's images that has been seen; it ends at 1 and stays there.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from gan.errors import UserError
from gan.state import Hyperparameters
from gan.system.schema import check_whole

Progress = Float[Array, ""]
Schedule = Callable[[Float[Array, ""], Progress], Float[Array, ""]]
HyperSchedule = Callable[[Hyperparameters, Int[Array, ""]], Hyperparameters]


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

  def schedule(start, progress):
    # optax's own asks whether the factor is 0, which of a traced number nobody knows.
    return start * (end / start) ** jnp.minimum(progress, 1)

  return schedule


def warmup(share: float) -> Schedule:
  """From 0 to the number over a share of the images, then constant (`optax.linear_schedule`)."""
  line = optax.linear_schedule(0.0, 1.0, 1)
  return lambda start, progress: start * line(progress / share)


def warmup_cosine(share: float, end: float) -> Schedule:
  """`warmup` over a share of the images, half a cosine to `end` over the rest."""
  rise, fall = warmup(share), cosine(end)

  def schedule(start, progress):
    rest = jnp.maximum(progress - share, 0) / (1 - share)
    return jnp.where(progress < share, rise(start, progress), fall(start, rest))

  return schedule


def piecewise_constant(*shares_and_factors: float) -> Schedule:
  """The number times each factor from its share of the images on.

  As `optax.piecewise_constant_schedule`; of pairs share, factor: 0.5, 0.1 is a tenth in the second
  half.
  """
  pairs = list(zip(shares_and_factors[::2], shares_and_factors[1::2], strict=True))

  def schedule(start, progress):
    for share, factor in pairs:
      start = start * jnp.where(progress >= share, factor, 1.0)
    return start

  return schedule


def _between(falling: Callable, end: float) -> Schedule:
  """From the number to `end` along a schedule that falls from 1 to 0."""
  return lambda start, progress: end + (start - end) * falling(progress)


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
  "piecewise_constant": Entry(piecewise_constant, ("SHARE", "FACTOR"), repeated=True),
}


def parse(text: str) -> dict[str, tuple[str, tuple[float, ...]]]:
  """Reads "field=name:number:number;field=..." into {field: (name, numbers)}.

  Args:
    text: such as "generator_learning_rate=linear:0;penalty_weight=cosine:0.005".

  Raises:
    UserError: it is malformed, a schedule is unknown, or its numbers cannot be.
  """
  found, parts = {}, list(filter(None, map(str.strip, text.split(";"))))
  if text and not parts:
    raise UserError(f"schedules: {text!r} names no schedule: give field=name:numbers, or no text")
  for part in parts:
    field, equals, spec = map(str.strip, part.partition("="))
    name, *arguments = map(str.strip, spec.split(":"))
    if not (field and equals and name) or field in found:
      raise UserError(
        f"schedules: {part!r} must be field=name:numbers, each field once, as in "
        "generator_learning_rate=linear:0; fields are separated by ';'"
      )
    if name not in SCHEDULES:
      raise UserError(f"schedules: {name!r} is unknown: choose from {_usage()}")
    found[field] = name, _numbers(part, name, arguments)
  return found


def _usage() -> str:
  return ", ".join(":".join((name, *entry.arguments)) for name, entry in SCHEDULES.items())


def _numbers(part: str, name: str, arguments: list[str]) -> tuple[float, ...]:
  _, expected, repeated = SCHEDULES[name]
  try:
    numbers = tuple(map(float, arguments))
  except ValueError:
    numbers = (math.nan,)
  times = max(1, len(numbers) // len(expected)) if repeated else 1
  kinds = expected * times
  fits = len(numbers) == len(kinds)
  given = list(zip(kinds, numbers, strict=False))
  shares = [number for kind, number in given if kind == "SHARE"]
  if not (fits and _are_finite(numbers) and all(0 < np.float32(share) < 1 for share in shares)):
    raise UserError(
      f"schedules: {part!r} must be {':'.join((name, *expected))} in finite numbers, a SHARE of "
      "the images between 0 and 1"
    )
  for kind, number in given:
    if (name, kind) in _ABOVE_0 and not np.float32(number) > 0:
      raise UserError(f"schedules: {part!r} must have {kind} above 0")
  return numbers


def _are_finite(numbers: tuple[float, ...]) -> bool:
  """Whether all are, in the float32 of a step."""
  with np.errstate(over="ignore"):
    return bool(np.isfinite(np.float32(numbers)).all())


# A constant factor has no end at 0; to another power what falls to 0 stays 1, or is infinite.
_ABOVE_0 = {("exponential", "END"), ("polynomial", "POWER")}


class Scheduled(NamedTuple):
  """A schedule of a game: `(hyperparameters, step) -> hyperparameters` of that step.

  Attributes:
    fields: of the hyper-parameters that it changes.
    function: what it does.
  """

  fields: tuple[str, ...]
  function: HyperSchedule

  def __call__(self, hyper: Hyperparameters, step: Int[Array, ""]) -> Hyperparameters:
    return self.function(hyper, step)


def make_schedule(text: str, *, images_per_step: int, schedule_images: int) -> Scheduled:
  """Returns the schedule that a text describes, for `Game.schedule`.

  Args:
    text: "field=name:numbers;field=..." as for `parse`; names of SCHEDULES, fields of
      `Hyperparameters.names()`.
    images_per_step: real examples in a step.
    schedule_images: real examples over which schedules go from start to end.

  Raises:
    UserError: as `parse`.

  Examples:
    >>> import gan, jax.numpy as jnp
    >>> schedule = gan.make_schedule("b1=linear:0", images_per_step=10, schedule_images=100)
    >>> schedule(gan.Hyperparameters(b1=jnp.float32(0.5)), jnp.int32(5)).b1  # [], half way
    Array(0.25, dtype=float32)
  """
  return make(parse(text), images_per_step, schedule_images)


def make(
  specs: Mapping[str, tuple[str, tuple[float, ...]]], images_per_step: int, schedule_images: int
) -> Scheduled:
  """Returns the schedule of `parse`d texts.

  Args:
    specs: of `parse`; names are those of `Hyperparameters.names()`.
    images_per_step: real examples in a step.
    schedule_images: real examples over which schedules go from start to end.
  """
  for name, number in (("images_per_step", images_per_step), ("schedule_images", schedule_images)):
    check_whole(name, number, least=1)
  schedules = {field: SCHEDULES[name].make(*numbers) for field, (name, numbers) in specs.items()}

  def schedule(hyper: Hyperparameters, step: Int[Array, ""]) -> Hyperparameters:
    progress = step.astype(jnp.float32) * (images_per_step / schedule_images)
    return hyper.with_values(
      {field: of(hyper.get(field), progress) for field, of in schedules.items()}
    )

  return Scheduled(tuple(specs), schedule)


# (low, high): values of a hyper-parameter are in [low, high); others are at least 0.
RANGES = {name: (0.0, 1.0) for name in ("b1", "b2", "momentum", "ema_decay")}
RANGES |= {"real_label": (0.0, 1.0 + 1e-6), "augment_strength": (0.0, 1.0 + 1e-6)}


def out_of_range(
  specs: Mapping[str, tuple[str, tuple[float, ...]]], hyper: Hyperparameters
) -> list[str]:
  """Returns the fields whose values leave their range, or are not finite, on the way.

  Args:
    specs: of `parse`.
    hyper: the numbers before the first step.
  """
  found, progress = [], np.linspace(0, 1, 101, dtype=np.float32)
  for field, (name, numbers) in specs.items():
    low, high = RANGES.get(field, (0.0, math.inf))
    values = np.asarray(SCHEDULES[name].make(*numbers)(hyper.get(field), progress))
    if not (np.isfinite(values) & (values >= low) & (values < high)).all():
      found.append(field)
  return found


def in_turn(*schedules: HyperSchedule) -> HyperSchedule:
  """One schedule after the other, each of the numbers that the last returns."""

  def schedule(hyper: Hyperparameters, step: Int[Array, ""]) -> Hyperparameters:
    for each in schedules:
      hyper = each(hyper, step)
    return hyper

  return schedule


def annealed(field: str, steps: int) -> Scheduled:
  """A number that falls linearly to 0 in some steps, start max(0, 1 - step / steps).

  Args:
    field: of `Hyperparameters.names()`.
    steps: step at which the value is 0; at least 1.
  """

  def schedule(hyper: Hyperparameters, step: Int[Array, ""]) -> Hyperparameters:
    return hyper.with_values({field: hyper.get(field) * jnp.maximum(0, 1 - step / steps)})

  return Scheduled((field,), schedule)


def goodfellow2014(steps_per_epoch: float) -> HyperSchedule:
  """The first GAN's schedule on MNIST (`mnist.yaml` of https://github.com/goodfeli/adversarial).

  Momentum grows linearly to 0.7 from epoch 1 to epoch 250; rates fall by a factor 1.000004 at each
  update down to 1e-6.

  Args:
    steps_per_epoch: steps in which each example of the data is seen once.
  """

  def schedule(hyper: Hyperparameters, step: Int[Array, ""]) -> Hyperparameters:
    epoch = step.astype(jnp.float32) / steps_per_epoch
    progress = jnp.clip((epoch - 1) / 249, 0, 1)
    decay = jnp.exp(-step.astype(jnp.float32) * jnp.log1p(jnp.float32(4e-6)))
    return hyper.replace(
      momentum=hyper.momentum + progress * (0.7 - hyper.momentum),
      generator_learning_rate=jnp.maximum(hyper.generator_learning_rate * decay, 1e-6),
      discriminator_learning_rate=jnp.maximum(hyper.discriminator_learning_rate * decay, 1e-6),
    )

  return schedule


def unchanged(steps_per_epoch: float) -> HyperSchedule:
  """Every number as it is, at all steps."""
  del steps_per_epoch
  return lambda hyper, step: hyper


# Published schedules of several numbers at once: `steps_per_epoch -> HyperSchedule`.
PUBLISHED: dict[str, Callable[[float], HyperSchedule]] = {
  "constant": unchanged,
  "goodfellow2014": goodfellow2014,
}
