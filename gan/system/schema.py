"""What JSON files must hold: a description of each kind of value, and one way to read and check it.

A description is data, as in `entries({"step": COUNT}, others=METRIC)`. A file that does not fit
gives one line: the file, its line, the field, what is there, what belongs there, and how to fix it.
"""

import inspect
import json
import math
import pathlib
import re
import reprlib
import sys
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from gan.errors import UserError

DEPTH = 32  # levels of lists and objects; no record has more than a few
SHOWN = 40  # characters of a wrong value in an error
NONE = MappingProxyType({})


class Kind(NamedTuple):
  """What may stand in one place of a file.

  Attributes:
    words: what that is, for an error.
    fits: whether a value is one, its parts apart.
    parts: `value -> (name, part, kind of the part)` of what a list or an object holds.
  """

  words: str
  fits: Callable[[Any], bool]
  parts: Callable[[Any], Iterable[tuple[str, Any, "Kind"]]] = lambda value: ()


class _Missing:
  """Stands where a field is missing; it fits no kind."""


_MISSING = _Missing()


def whole(least: int = -(2**63), most: int = 2**63 - 1) -> Kind:
  """An integer in [least, most]; true and false are none, nor is 2.0."""
  ends = [f" of at least {least}"] if least > -(2**63) else []
  ends += [f" of at most {most}"] if most < 2**63 - 1 else []
  words = f"a whole number{' and'.join(ends)}"
  return Kind(words, lambda value: type(value) is int and least <= value <= most)


def _is_number(value: Any) -> bool:
  return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _is_metric(value: Any) -> bool:
  # What is not finite is a string in the records; Python's own JSON has NaN, which is read too.
  return type(value) is float or _is_number(value) or value in ("nan", "inf", "-inf")


def _is_range(value: Any) -> bool:
  try:
    low, high = value
    return math.isfinite(high - low) and low < high
  except (TypeError, ValueError):
    return False


TEXT = Kind("text", lambda value: isinstance(value, str))
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
NUMBER = Kind("a finite number", _is_number)
METRIC = Kind('a number, or "nan", "inf" or "-inf"', _is_metric)
COUNT = whole(least=0)
POSITIVE = whole(least=1)
SCALAR = Kind(
  "text, a finite number, true, false or null",
  lambda value: value is None or isinstance(value, (str, bool)) or _is_number(value),
)
ANY = Kind("a value", lambda value: value is not _MISSING)
RANGE = Kind("two numbers, the lower one first, such as (-1, 1)", _is_range)
BY_TYPE = MappingProxyType({str: TEXT, bool: FLAG, int: whole(), float: NUMBER})


def plain_number(value: Any) -> Any:
  """A number of NumPy's as Python's own, which JSON has; any other value as it is."""
  return value.item() if isinstance(value, np.generic) else value


def are_finite(value: Any, least: float = -math.inf, below: float = math.inf) -> bool:
  """Whether a value is a finite number, or an array of such; what JAX traces passes.

  Args:
    value: anything.
    least: the least that it may be.
    below: what it must be below.
  """
  try:
    array = np.asarray(value)
  except (TypeError, ValueError) as error:  # of a tracer, and of rows of several lengths
    return isinstance(error, TypeError)
  try:
    inside = np.isfinite(array) & (array >= least) & (array < below)
    return array.dtype.kind != "b" and bool(inside.all())
  except TypeError:
    return False


def within(least: float, below: float = math.inf) -> Kind:
  """A finite number in [least, below), or an array of such; what JAX traces passes."""
  end = f" and below {below:g}" if below < math.inf else ""
  return Kind(f"a number of at least {least:g}{end}", lambda it: are_finite(it, least, below))


def check(name: str, value: Any, kind: Kind) -> Any:
  """Returns an argument, a number of NumPy's as Python's own; UserError, where it is none."""
  value = plain_number(value)
  if not kind.fits(value):
    raise UserError(f"`{name}={reprlib.repr(value)}` must be {kind.words}")
  return value


def check_whole(name: str, value: Any, least: int = -(2**63)) -> int:
  """Returns a whole number as Python's own; UserError, with its name, where it is none."""
  return check(name, value, whole(least))


def check_made(value: Any, kind: Kind, entry: str) -> Any:
  """Returns what an entry of a registry made; UserError where something else belongs there.

  Args:
    value: that it made.
    kind: what it has to be.
    entry: what made it, such as "MODELS['mlp']"; the library's own make what they have to.
  """
  if not kind.fits(value):
    raise UserError(
      f"{entry} of a plugin returns {type(value).__name__}, where {kind.words} belongs: correct "
      "the plugin"
    )
  return value


def takes(function: Any, *given: str, named: Iterable[str] = ()) -> bool:
  """Whether something can be called with so many arguments, and with others by name.

  Args:
    function: anything.
    *given: what the arguments are called; its parameters may have other names.
    named: those by name, where it has parameters of these names.
  """
  try:
    signature = inspect.signature(function)
    signature.bind(*given, **dict.fromkeys(signature.parameters.keys() & set(named)))
  except TypeError:
    return False
  except ValueError:  # one of C may tell nothing
    return True
  return True


def matching(pattern: str, words: str) -> Kind:
  """Text that a regular expression matches as a whole."""
  return Kind(words, lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value)))


def nullable(kind: Kind) -> Kind:
  """The kind, or null."""
  return kind._replace(
    words=f"{kind.words}, or null",
    fits=lambda value: value is None or kind.fits(value),
    parts=lambda value: () if value is None else kind.parts(value),
  )


def list_of(kind: Kind, lengths: Iterable[int] = ()) -> Kind:
  """A list of values of one kind, of one of the lengths where any is given."""
  lengths = tuple(lengths)
  length = f" of length {' or '.join(map(str, lengths))}" if lengths else ""

  def fits(value: Any) -> bool:
    return isinstance(value, list) and (not lengths or len(value) in lengths)

  def parts(value: Any) -> Iterable[tuple[str, Any, Kind]]:
    return ((f"[{place}]", item, kind) for place, item in enumerate(value))

  return Kind(f"a list{length}, each {kind.words},", fits, parts)


def entries(
  required: Mapping[str, Kind] = NONE, optional: Mapping[str, Kind] = NONE, others: Kind = ANY
) -> Kind:
  """An object.

  Args:
    required: kinds of the fields that must be there, by name.
    optional: kinds of those that may be left out.
    others: what any other field may hold.
  """
  known = {**required, **optional}

  def parts(value: Any) -> Iterable[tuple[str, Any, Kind]]:
    for name in required:
      if name not in value:
        yield name, _MISSING, required[name]
    for name, item in value.items():
      yield name, item, known.get(name, others)

  return Kind("an object", lambda value: isinstance(value, dict), parts)


def fault(value: Any, kind: Kind, name: str = "it") -> str:
  """Returns the first thing in a value that is not of its kind, in words, or "".

  Args:
    value: as `json.loads` returns it.
    kind: what it should be.
    name: what to call it.
  """
  if not kind.fits(value):
    return f"{name} is {_shown(value)} where {kind.words} belongs"
  for part, item, own in kind.parts(value):
    path = part if name == "it" else f"{name}{part}" if part[:1] == "[" else f"{name}.{part}"
    if found := fault(item, own, path):
      return found
  return ""


def _shown(value: Any) -> str:
  if value is _MISSING:
    return "missing"
  if type(value) is int and abs(value) >= 10**SHOWN:
    return f"an integer of {len(str(abs(value)))} digits"
  text = json.dumps(value)
  return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def parse(text: bytes | str, kind: Kind) -> Any:
  """Returns the value that JSON text describes.

  Args:
    text: in UTF-8 where it is bytes.
    kind: what it should be.

  Raises:
    ValueError: it is no JSON or not of its kind; the message is a phrase that says why.
  """
  try:
    value = json.loads(text if isinstance(text, str) else text.decode("utf-8"))
    _check_writable(value, text)
  except (ValueError, RecursionError) as error:
    raise ValueError(_reason(error)) from error
  if found := fault(value, kind):
    raise ValueError(found)
  return value


def checked(text: bytes | str, kind: Kind, where: str, remedy: str) -> Any:
  """`parse` for what a user can put right.

  Args:
    text: in UTF-8 where it is bytes.
    kind: what it should be.
    where: what is wrong where it does not fit, as "config.json is damaged".
    remedy: what the user can do about it.

  Raises:
    UserError: it does not fit.
  """
  try:
    return parse(text, kind)
  except ValueError as error:
    raise UserError(f"{where} ({error}): {remedy}") from error


def _check_writable(value: Any, text: bytes | str) -> None:
  """Refuses what cannot be written again: deep nesting, and halves of characters, as \\ud800."""
  level = [value]
  for _ in range(DEPTH):
    level = [part for outer in level for part in _inside(outer)]
  if level:
    raise RecursionError
  if (b"\\u" if isinstance(text, bytes) else "\\u") in text:
    json.dumps(value, ensure_ascii=False).encode("utf-8")


def _inside(value: Any) -> Iterable[Any]:
  return value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()


def _reason(error: Exception) -> str:
  if isinstance(error, RecursionError):
    return f"it is nested more than {DEPTH} levels deep"
  if isinstance(error, json.JSONDecodeError):
    return f"it is no JSON: {error.msg}, at character {error.pos + 1}"
  if isinstance(error, UnicodeError):
    return f"it is no UTF-8: {error.reason}, at byte {error.start + 1}"
  return "it holds an integer of thousands of digits"


def read(path: pathlib.Path, kind: Kind, remedy: str) -> Any:
  """Returns what a JSON file holds, or None where there is no file.

  Args:
    path: the file.
    kind: what it should hold.
    remedy: what the user can do where it is damaged.

  Raises:
    UserError: it cannot be read, or is damaged.
  """
  content = _content(path, remedy)
  return None if content is None else checked(content, kind, f"{path} is damaged", remedy)


def read_lines(path: pathlib.Path, kind: Kind, remedy: str) -> list[Any]:
  """Returns what each line of a file of JSON lines holds; nothing where there is no file.

  A last line without its line feed was cut short by a kill, and is left out.

  Args:
    path: the file.
    kind: what each line should hold.
    remedy: what the user can do where one is damaged.

  Raises:
    UserError: the file cannot be read, or a line is damaged.
  """
  lines = (_content(path, remedy) or b"").split(b"\n")[:-1]
  return [
    checked(line, kind, f"{path} is damaged in line {number}", remedy)
    for number, line in enumerate(lines, start=1)
  ]


def _content(path: pathlib.Path, remedy: str) -> bytes | None:
  try:
    # A pipe would be waited for, and a device may never end.
    if path.exists() and not path.is_file():
      raise UserError(f"{path} is not an ordinary file: {remedy}")
    return path.read_bytes()
  except (FileNotFoundError, NotADirectoryError):
    return None
  except OSError as error:
    raise UserError(f"{path} cannot be read ({error.strerror}): {remedy}") from error
