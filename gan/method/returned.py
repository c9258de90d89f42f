"""What functions that were passed have returned, checked where it is used: one clear line."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan.errors import UserError


def checked(value: Any, fits: bool, what: str, function: Any, words: str) -> Any:
  """Returns what a function returned, where it is what the step needs.

  Args:
    value: that it returned.
    fits: whether it is.
    what: the part of the game, for the error.
    function: that returned it.
    words: what it must return.

  Raises:
    UserError: it is not.
  """
  if not fits:
    raise UserError(f"{what} {_name(function)} returned {_kind(value)}: it must return {words}")
  return value


def is_pair(value: Any) -> bool:
  """Whether two values can be unpacked, and it is no array."""
  return isinstance(value, (tuple, list)) and len(value) == 2


def images(value: Any, given: Array, what: str, function: Any) -> Float[Array, "b ..."]:
  """Returns images that a function made of others, one of each."""
  fits = getattr(value, "ndim", 0) == given.ndim and len(value) == len(given)
  return checked(value, fits, what, function, f"an image of each that it was given, {given.shape}")


def mean(values: Any, count: int, what: str, function: Callable) -> Float[Array, ""]:
  """The mean of what a function returned of some examples, or its only number.

  Raises:
    UserError: it returned anything else; [B, 1] and [B, B] have a mean too, of something else.
  """
  number = () if isinstance(values, (int, float)) else None
  if getattr(values, "shape", number) not in ((), (count,)):
    raise UserError(
      f"{what} {_name(function)} returned {_kind(values)} of {count} examples: it must return one "
      f"number for each, an array [{count}]"
    )
  return jnp.mean(values)


def _kind(value: Any) -> str:
  return str(list(getattr(value, "shape", ())) or f"a {type(value).__name__}")


def _name(function: Any) -> str:
  for wrapper in ("function", "apply", "step", "func"):  # of a part, of a partial
    function = getattr(function, wrapper, function)
  return getattr(function, "__qualname__", type(function).__name__)
