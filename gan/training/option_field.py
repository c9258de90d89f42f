"""A field of a schema with what its flag needs: meaning, choices, range."""

import dataclasses
import typing
from collections.abc import Collection
from typing import Any


def option(
  default: Any,
  group: str,
  text: str,
  *,
  choices: Collection[str] | None = None,
  positive: bool = False,
  minimum: float | None = None,
  maximum: float | None = None,
  below: float | None = None,
  resumable: bool = False,
  added: bool = False,
) -> Any:
  """A field of Config, or an option that is none, with what its flag needs.

  Args:
    default: the default; its type, or the annotation where it is None, is the flag's type.
    group: the heading under which `--help` lists the flag.
    text: what it means, with its unit.
    choices: the names it may take, read when a value is checked; or None.
    positive: whether it must be above 0.
    minimum: the least value it may take, or None.
    maximum: the greatest, or None.
    below: what it must be below, or None.
    resumable: whether a run may be continued with another value.
    added: whether earlier versions had no such field; its default then means "as before", and is
      left out of what a run is known by.
  """
  metadata = {
    "group": group,
    "help": text,
    "choices": choices,
    "positive": positive,
    "minimum": minimum,
    "maximum": maximum,
    "below": below,
    "resumable": resumable,
    "added": added,
  }
  return dataclasses.field(default=default, metadata=metadata)


def type_of(field: dataclasses.Field) -> type:
  """Returns the type of a field of Config, or of an option that is none."""
  kinds = [kind for kind in typing.get_args(field.type) if kind is not type(None)]
  return typing.cast(type, kinds[0] if kinds else field.type)
