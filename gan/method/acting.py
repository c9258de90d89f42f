"""Regularisers that act on a step: what they cannot be combined with, in one line each."""

from collections.abc import Collection, Mapping

from gan.errors import UserError
from gan.regularizers import Regularizer


def check_controls(
  regularizers: Mapping[str, Regularizer], given: Collection[str], read: Collection[str]
) -> None:
  """Checks that each number which regularisers control has one master, and is read.

  Args:
    regularizers: of a game, by name.
    given: numbers that a schedule moves, or that are set.
    read: numbers that a step of the game reads.

  Raises:
    UserError: two regularisers control one number, or something else sets it, or nothing reads it.
  """
  masters = {}
  for name, part in regularizers.items():
    for number in part.controls or {}:
      if number in masters:
        raise UserError(
          f"two controllers of one strength: the regularizers {masters[number]} and {name} both "
          f"set {number}: leave one of them out"
        )
      if number in given:
        raise UserError(
          f"{number} is set by the regularizer {name} at every step: leave out its schedule and "
          f"its own value, or {name}"
        )
      if number not in read:
        raise UserError(
          f"the regularizer {name} sets {number}, which nothing here reads: add an augmentation "
          f"that has a strength, or leave {name} out"
        )
      masters[number] = name
