"""How a part was made: the function and its arguments, kept beside the part.

A part is found again by its name where it stands in a registry. One that a registry's entry made
stands nowhere; its recipe says by which call it can be made again.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Recipe(NamedTuple):
  """A call.

  Attributes:
    make: the function, as it was written.
    arguments: by name, those of `**options` among them.
  """

  make: Callable
  arguments: Mapping[str, Any]


def recorded(
  make: Callable, known: Callable[[Any], Mapping[str, Any]] = lambda part: {}
) -> Callable:
  """Returns the function, whose parts keep the call that made them.

  Args:
    make: returns a named tuple with a field `recipe`; anything else is returned as it is.
    known: `part -> further fields of the part`; none by default.
  """

  @functools.wraps(make)
  def making(*args: Any, **options: Any) -> Any:
    part = make(*args, **options)
    if getattr(part, "recipe", "") is not None:  # it has none to fill, or one already
      return part
    return part._replace(recipe=Recipe(make, _arguments(make, args, options)), **known(part))

  making.makes_parts = True
  return making


def makes_parts(function: Any) -> bool:
  """Whether a function is `recorded`: nothing else is called because a file names it."""
  return getattr(function, "makes_parts", False)


def _arguments(make: Callable, args: tuple, options: dict[str, Any]) -> dict[str, Any]:
  bound = inspect.signature(make).bind(*args, **options)
  given = dict(bound.arguments)
  for name, parameter in bound.signature.parameters.items():
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
      given |= given.pop(name, {})
  return given


@dataclasses.dataclass(frozen=True)
class Maker:
  """What makes parts by name: each knows its own call.

  Attributes:
    make: `(**options) -> part`.
  """

  make: Callable[..., Any]

  def __post_init__(self):
    if callable(self.make):
      object.__setattr__(self, "make", recorded(self.make, self.known))

  def known(self, part: Any) -> dict[str, Any]:
    """Returns what the entry knows of a part that it made, as fields of the part."""
    del part
    return {}
