"""How all numbers of a method change with the step: the schedule of a game."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from gan.schedules.shapes import SCHEDULES
from gan.schedules.text import parse
from gan.state import Hyperparameters
from gan.system.recipe import Recipe, recorded
from gan.system.schema import Kind, are_finite, check_whole

HyperSchedule = Callable[[Hyperparameters, Int[Array, ""]], Hyperparameters]


class Scheduled(NamedTuple):
  """A schedule of a game: `(hyperparameters, step) -> hyperparameters` of that step.

  Attributes:
    fields: of the hyper-parameters that it changes.
    function: what it does.
    recipe: the call of `make_schedule`, or None.
  """

  fields: tuple[str, ...]
  function: HyperSchedule
  recipe: Recipe | None = None

  def __call__(self, hyper: Hyperparameters, step: Int[Array, ""]) -> Hyperparameters:
    return self.function(hyper, step)


@recorded
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
    >>> make = gan.schedules.make_schedule
    >>> schedule = make("b1=linear:0", images_per_step=10, schedule_images=100)
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


# (low, high, words): values of a hyper-parameter are in [low, high); others are at least 0.
_NUMBER = (0.0, math.inf, "at least 0")
RANGES = dict.fromkeys(
  ("b1", "b2", "momentum", "ema_decay"), (0.0, 1.0, "at least 0 and below 1")
) | {
  "real_label": (1e-30, 1.0 + 1e-6, "above 0 and at most 1"),
  "augment_strength": (0.0, 1.0 + 1e-6, "from 0 to 1"),
}


def range_of(name: str) -> Kind:
  """What a hyper-parameter may be; one that is traced passes."""
  low, high, words = RANGES.get(name, _NUMBER)
  return Kind(words, lambda value: are_finite(value, low, high))


def out_of_range(
  specs: Mapping[str, tuple[str, tuple[float, ...]]], hyper: Hyperparameters
) -> list[str]:
  """Returns the fields whose values leave their range, or are not finite, on the way.

  Args:
    specs: of `parse`.
    hyper: the numbers before the first step.
  """
  found, progress = [], np.linspace(0, 1, 101, dtype=np.float32)[None]
  for field, (name, numbers) in specs.items():
    start = np.reshape(hyper.get(field), (-1, 1))
    if not range_of(field).fits(SCHEDULES[name].make(*numbers)(start, progress)):
      found.append(field)
  return found


def in_turn(*schedules: HyperSchedule) -> Scheduled:
  """One schedule after the other, each of the numbers that the last returns.

  It changes the fields that they say they change.
  """

  def schedule(hyper: Hyperparameters, step: Int[Array, ""]) -> Hyperparameters:
    for each in schedules:
      hyper = each(hyper, step)
    return hyper

  fields = dict.fromkeys(name for each in schedules for name in getattr(each, "fields", ()))
  return Scheduled(tuple(fields), schedule)


def annealed(field: str, steps: int) -> Scheduled:
  """A number that falls linearly to 0 in some steps, start max(0, 1 - step / steps).

  Args:
    field: of `Hyperparameters.names()`.
    steps: step at which the value is 0; at least 1.
  """

  def schedule(hyper: Hyperparameters, step: Int[Array, ""]) -> Hyperparameters:
    return hyper.with_values({field: hyper.get(field) * jnp.maximum(0, 1 - step / steps)})

  return Scheduled((field,), schedule)
