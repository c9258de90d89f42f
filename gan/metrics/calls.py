"""Calls of what a metric is made of, which may be a plugin's, and checks of what they return."""

import traceback
from collections.abc import Callable
from types import NoneType
from typing import Any

import numpy as np

from gan.errors import UserError, failure
from gan.metrics.base import Value
from gan.system.schema import Kind


def are_values(found: object) -> bool:
  """Whether something is a dict of Values whose numbers are such."""
  return isinstance(found, dict) and all(
    isinstance(each, Value)
    and isinstance(plain(each.value), (int, float))
    and isinstance(plain(each.standard_error), (int, float, NoneType))
    for each in found.values()
  )


VALUES = Kind("a dict of gan.metrics.Value by name", are_values)
RANGES = Kind(
  "a dict of (least, largest) by name",
  lambda it: isinstance(it, dict) and all(np.shape(each) == (2,) for each in it.values()),
)


def plain(number: Any) -> Any:
  """Returns a number as Python's own, whatever array [] it was."""
  return number.item() if getattr(number, "shape", None) == () else number


def call(before: str, function: Callable, *arguments: Any) -> Any:
  """Returns what a function of a metric returns.

  Args:
    before: what the line of an error begins with.
    function: of a Metric.
    *arguments: what it is given.

  Raises:
    UserError: it ends with an error, whose line is named. The machine's failures are told as such
      by who runs commands.
  """
  try:
    return function(*arguments)
  except UserError:
    raise
  except Exception as error:
    known = failure(error)
    if known and known.of_machine:
      raise
    # Its own line says more than that of a library which it called.
    frame = traceback.extract_tb(error.__traceback__)[:2][-1]
    what = f"{type(error).__name__}: {error}"
    raise UserError(f"{before}{what} ({frame.filename}, line {frame.lineno})") from error
