"""The one exception for what a user can put right, and what failures of the machine are called."""

import errno
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class UserError(Exception):
  """Wrong input: the message says in one line what, which choices there are, and how to fix it.

  Commands print the message without a traceback and exit with a code that is not 0.

  Args:
    message: one line; what would break it, or act on the terminal, is escaped: names of files and
      values from files may hold anything.
  """

  def __init__(self, message: object = ""):
    super().__init__("".join(map(_printable, str(message))))


def _printable(character: str) -> str:
  if character.isprintable():
    return character
  return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def look_up(registry: Mapping[str, Any], name: str, what: str) -> Any:
  """Returns an entry of a registry; UserError with the names that it has where there is none.

  Args:
    registry: entries by name.
    name: of the entry.
    what: what an entry is called.
  """
  if name not in registry:
    raise UserError(f"{what} {name!r} is unknown: choose from {', '.join(sorted(registry))}")
  return registry[name]


class Failure(NamedTuple):
  """A failure of the machine or of the input, not of the program.

  Attributes:
    what: a few words, which become the status of a run: "disk full".
    line: what, where, and what to do.
    of_machine: whether the same command can succeed once the machine has more room; else the
      user named something that cannot be.
  """

  what: str
  line: str
  of_machine: bool


# (what, what to do) by the number of the system's error.
SHORTAGES = {
  errno.ENOSPC: ("disk full", "free some room there, or choose a folder on another disk"),
  errno.EDQUOT: ("disk quota used up", "free some room there, or choose another folder"),
  errno.EFBIG: ("file size limit reached", "raise the limit (ulimit -f)"),
  errno.EMFILE: ("too many open files", "raise the limit (ulimit -n)"),
  errno.ENFILE: ("too many open files on this machine", "close other programs"),
  errno.EIO: ("input or output error", "look after the disk, or choose a folder on another one"),
  errno.EAGAIN: ("no more processes or threads", "raise the limit (ulimit -u)"),
  errno.ENOMEM: ("out of memory", "give smaller sizes, or close other programs"),
}


def failure(error: BaseException) -> Failure | None:
  """Returns the Failure that caused an exception, or None if the program itself is at fault.

  Libraries wrap errors of the system in their own exceptions, or name them in the message: the
  chain of causes and the messages are searched.
  """
  return next(filter(None, map(_failure, _causes(error))), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
  while error is not None:
    yield error
    for inner in getattr(error, "exceptions", ()):
      yield from _causes(inner)
    error = error.__cause__


def _failure(error: BaseException) -> Failure | None:
  shortage = _shortage(error)
  if shortage is not None:
    what, remedy = SHORTAGES[shortage]
    where = _where(error)
    return Failure(what, f"{what}{where and f' ({where})'}: {remedy}", True)
  if isinstance(error, OSError):
    reason = error.strerror or str(error) or type(error).__name__
    return Failure(reason, ": ".join(filter(None, [_where(error), reason])), False)
  if isinstance(error, FloatingPointError):
    reason = " ".join(str(error).split())[:100]
    line = f"JAX_DEBUG_NANS stops at a number that is none ({reason} ...): unset it to go on"
    return Failure("not a number", line, False)
  if isinstance(error, RuntimeError) and "home directory" in str(error):
    return Failure("no home folder", "this user has no home folder, which ~ names: set HOME", False)
  if isinstance(error, RuntimeError | AssertionError) and _raised_in(error, "xla_bridge.py"):
    reason = "".join(str(error).strip().splitlines()[:1])
    line = f"JAX cannot start here ({reason}): check the variables JAX_* of the environment"
    if named := os.environ.get("JAX_PLATFORMS"):
      line = f"JAX_PLATFORMS={named}: JAX cannot start that here; unset it, or set it to cpu"
    return Failure("no such platform", line, False)
  if isinstance(error, UnicodeEncodeError):
    line = f"the output's encoding, {error.encoding}, lacks a character: set PYTHONIOENCODING=utf-8"
    return Failure("output that cannot be encoded", line, False)
  if isinstance(error, UnicodeDecodeError):
    return Failure("text that is no UTF-8", f"a file is no {error.encoding} text ({error})", False)
  return None


def _raised_in(error: BaseException, file: str) -> bool:
  """Whether a file of that name raised an exception."""
  trace = error.__traceback__
  while trace and trace.tb_next:
    trace = trace.tb_next
  return trace is not None and os.path.basename(trace.tb_frame.f_code.co_filename) == file


def _where(error: BaseException) -> str:
  if (name := getattr(error, "filename", None)) is not None:
    return os.fsdecode(name) if isinstance(name, bytes) else str(name)
  # As TensorStore, which writes checkpoints, names a file.
  found = re.search(r'local file "([^"]+)"', str(error))
  return found[1] if found else ""


def _shortage(error: BaseException) -> int | None:
  """The number of the system's error where it is one of SHORTAGES."""
  if isinstance(error, OSError) and error.errno is not None:
    return error.errno if error.errno in SHORTAGES else None
  if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED: Out of memory" in str(error):
    return errno.ENOMEM
  if isinstance(error, UnicodeError):
    return None
  text = str(error)
  return next((number for number in SHORTAGES if os.strerror(number) in text), None)
