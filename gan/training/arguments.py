"""What is said to a user of a function, in whose messages a command names its flags."""

import contextlib
import re
from collections.abc import Callable, Iterator, Set

from gan.errors import UserError

_WORDS = {"same command": "same call", "same flags": "same arguments", "the flags": "the arguments"}


def as_arguments(line: str, names: Set[str]) -> str:
  """Returns a line with a function and its arguments in the place of a command and its flags.

  Args:
    line: for a user, as in "--steps=0 must be above 0".
    names: of the arguments: other flags stay.
  """
  for of_command, of_function in _WORDS.items():
    line = line.replace(of_command, of_function)
  return re.sub(r"(?<![\w/.-])--([a-z]\w*)", lambda flag: flag[flag[1] in names], line)


def saying_arguments(say: Callable[[str], None], names: Set[str]) -> Callable[[str], None]:
  """Returns `say` for lines that name flags; `names` as for as_arguments."""
  return lambda line: say(as_arguments(line, names))


@contextlib.contextmanager
def raising_arguments(names: Set[str]) -> Iterator[None]:
  """Within it a UserError names arguments where it named flags; `names` as for as_arguments."""
  try:
    yield
  except UserError as error:
    raise UserError(as_arguments(str(error), names)) from error
