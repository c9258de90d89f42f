"""Schedules as they are typed: "field=name:number:number;field=..."."""

import math

import numpy as np

from gan.errors import UserError
from gan.schedules.shapes import SCHEDULES, SPELLINGS
from gan.system.schema import TEXT, check


def parse(text: str) -> dict[str, tuple[str, tuple[float, ...]]]:
  """Reads "field=name:number:number;field=..." into {field: (name, numbers)}.

  Args:
    text: such as "generator_learning_rate=linear:0;penalty_weight=cosine:0.005".

  Raises:
    UserError: it is malformed, a schedule is unknown, or its numbers cannot be.
  """
  check("text", text, TEXT)
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
    if (name := SPELLINGS.get(name, name)) not in SCHEDULES:
      raise UserError(f"schedules: {name!r} is unknown: choose from {_usage()}")
    found[field] = name, _numbers(part, name, arguments)
  return found


def _usage() -> str:
  return ", ".join(":".join((name, *entry.arguments)) for name, entry in SCHEDULES.items())


def _numbers(part: str, name: str, arguments: list[str]) -> tuple[float, ...]:
  expected, repeated = SCHEDULES[name].arguments, SCHEDULES[name].repeated
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
    share = ", a SHARE of the images between 0 and 1" if "SHARE" in expected else ""
    hint = "; fields are separated by ';'" if "," in part else ""
    raise UserError(
      f"schedules: {part!r} must be {':'.join((name, *expected))} in finite numbers{share}{hint}"
    )
  for kind, number in given:
    if kind in _ABOVE_0.get(name, ()) and not np.float32(number) > 0:
      raise UserError(f"schedules: {part!r} must have {kind} above 0")
    if kind == "CYCLES" and not (number == int(number) >= 1):
      raise UserError(f"schedules: {part!r} must have CYCLES that are a whole number above 0")
  if name in _IN_ORDER and not all(np.diff(np.array(shares, np.float32)) > 0):
    raise UserError(f"schedules: {part!r} must have each SHARE above the one before")
  return numbers


def _are_finite(numbers: tuple[float, ...]) -> bool:
  """Whether all are, in the float32 of a step."""
  with np.errstate(over="ignore"):
    return bool(np.isfinite(np.array(numbers, np.float32)).all())


# A constant factor has no end at 0; to another power what falls to 0 stays 1, or is infinite.
_ABOVE_0 = {
  "exponential": ("END",),
  "warmup_exponential": ("END",),
  "polynomial": ("POWER",),
  "linear_onecycle": ("DIVISOR", "LAST"),
  "cosine_onecycle": ("DIVISOR", "LAST"),
}
_IN_ORDER = ("piecewise_interpolate", "linear_onecycle")
