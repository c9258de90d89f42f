"""What a pickle of PyTorch describes, read without running it.

`pickle` calls what a file names, reserves the memory that it asks for, and hashes what it nests.
Here instructions are followed one by one, and only those that a state dict consists of: names of
what to call are compared with four kinds that are known, and nothing is imported or called.
"""

import io
import math
import pickletools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

MAX_BYTES = 2**20  # of pickles: a state dict takes about a hundred bytes a tensor
MAX_DIMENSIONS = 8
DTYPES = {
  "Double": np.dtype("<f8"),
  "Float": np.dtype("<f4"),
  "Half": np.dtype("<f2"),
  "BFloat16": np.dtype(jnp.bfloat16),
  "Long": np.dtype("<i8"),
  "Int": np.dtype("<i4"),
  "Short": np.dtype("<i2"),
  "Char": np.dtype("i1"),
  "Byte": np.dtype("u1"),
  "Bool": np.dtype("?"),
}
_STORAGES = {f"torch {name}Storage": dtype for name, dtype in DTYPES.items()}


class Storage(NamedTuple):
  """Numbers that tensors share: `count` of them, which the file holds under `key`."""

  key: str
  dtype: np.dtype
  count: int


class Tensor(NamedTuple):
  """A view of a storage; offset and strides count numbers and stay inside of it."""

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


class _Global(NamedTuple):
  """What a pickle would import: "module name"."""

  name: str


def load(stream: io.BytesIO) -> Any:
  """Returns what the next pickle describes: dicts, lists, tuples, numbers, text, Tensors.

  Args:
    stream: of at most MAX_BYTES, it is left behind the pickle.

  Raises:
    ValueError: it is damaged, or asks for anything else; the message is a phrase that says what.
  """
  stack = _Stack()
  try:
    for code, argument, _ in pickletools.genops(stream):
      _follow(stack, code.name, argument)
    return stack.pop()
  except (IndexError, KeyError) as error:
    raise ValueError("its pickle is damaged") from error


class _Stack(list):
  """Values of a pickle so far, where the open marks stand among them, and its memo."""

  def __init__(self):
    super().__init__()
    self.marks: list[int] = []
    self.memo: dict[int, Any] = {}

  def after_mark(self) -> list[Any]:
    start = self.marks.pop()
    values = self[start:]
    del self[start:]
    return values

  def last(self, count: int) -> tuple[Any, ...]:
    if len(self) < count:
      raise IndexError
    values = tuple(self[-count:])
    del self[-count:]
    return values


def _follow(stack: _Stack, code: str, argument: Any) -> None:
  if code in _ARGUMENTS:
    stack.append(argument)
  elif code in _VALUES:
    stack.append(_VALUES[code]())
  elif code in _ACTIONS:
    _ACTIONS[code](stack, argument)
  elif code not in ("PROTO", "STOP"):
    raise ValueError(f"its pickle has the instruction {code}, which no state dict needs")


def _put(stack: _Stack, place: int) -> None:
  stack.memo[place] = stack[-1]


def _get(stack: _Stack, place: int) -> None:
  stack.append(stack.memo[place])


def _import(stack: _Stack, name: str) -> None:
  if name not in _CALLS and name not in _STORAGES:
    raise ValueError(f"it asks for {name.replace(' ', '.')}, which no state dict needs")
  stack.append(_Global(name))


def _call(stack: _Stack, _: None) -> None:
  function, arguments = stack.last(2)
  if type(function) is not _Global or function.name not in _CALLS or type(arguments) is not tuple:
    raise ValueError("it calls what is no function of a state dict")
  stack.append(_CALLS[function.name](*_check_count(function.name, arguments)))


def _check_count(name: str, arguments: tuple) -> tuple:
  if len(arguments) not in _COUNTS[name]:
    raise ValueError(f"it gives {len(arguments)} arguments to {name.replace(' ', '.')}")
  return arguments


def _set(stack: _Stack, pairs: list[Any]) -> None:
  target = stack[-1]
  # Python hashes nested tuples by recursion without an end.
  if type(target) is not dict or len(pairs) % 2 or any(type(key) is not str for key in pairs[::2]):
    raise ValueError("it holds a dict whose keys are no text")
  target.update(zip(pairs[::2], pairs[1::2], strict=True))


def _extend(stack: _Stack, values: list[Any]) -> None:
  if type(stack[-1]) is not list:
    raise ValueError("its pickle is damaged")
  stack[-1].extend(values)


def _build(stack: _Stack, _: None) -> None:
  """Leaves out the versions of modules, which PyTorch hangs on the dict."""
  target, _state = stack.last(2)
  if type(target) is not dict:
    raise ValueError("it sets attributes of what is no dict")
  stack.append(target)


def _storage(stack: _Stack, _: None) -> None:
  match stack.pop():
    case ("storage", _Global(name), str(key), _, int(count), *view) if (
      name in _STORAGES and count >= 0 and view in ([], [None])
    ):
      stack.append(Storage(key, _STORAGES[name], count))
    case _:
      raise ValueError("it names a storage in a form that is not read")


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
  if type(storage) is not Storage or not _are_sizes((offset,), shape, strides):
    raise ValueError("it holds a tensor in a form that is not read")
  tensor = Tensor(storage, offset, shape, strides)
  numbers = math.prod(shape)
  last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
  # Strides of 0 would make an array of any size out of one number.
  if numbers > storage.count or (numbers and last >= storage.count):
    raise ValueError(f"it holds a tensor {list(shape)} that reaches out of its storage")
  return tensor


def _are_sizes(offset: tuple, shape: Any, strides: Any) -> bool:
  if type(shape) is not tuple or type(strides) is not tuple:
    return False
  fits = len(shape) == len(strides) <= MAX_DIMENSIONS
  return fits and all(type(n) is int and 0 <= n < 2**62 for n in offset + shape + strides)


def _parameter(tensor: Any, *_: Any) -> Tensor:
  if type(tensor) is not Tensor:
    raise ValueError("it holds a parameter that is no tensor")
  return tensor


_CALLS: dict[str, Callable[..., Any]] = {
  "collections OrderedDict": dict,
  "torch._utils _rebuild_tensor_v2": _tensor,
  "torch._utils _rebuild_parameter": _parameter,
}
_COUNTS = {
  "collections OrderedDict": (0,),
  "torch._utils _rebuild_tensor_v2": (6, 7),
  "torch._utils _rebuild_parameter": (3,),
}
_ARGUMENTS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
_ARGUMENTS |= {"BINUNICODE", "SHORT_BINSTRING", "BINSTRING"}
_VALUES: dict[str, Callable[[], Any]] = {
  "NONE": lambda: None,
  "NEWTRUE": lambda: True,
  "NEWFALSE": lambda: False,
  "EMPTY_TUPLE": tuple,
  "EMPTY_LIST": list,
  "EMPTY_DICT": dict,
}
_ACTIONS: dict[str, Callable[[_Stack, Any], None]] = {
  "MARK": lambda stack, _: stack.marks.append(len(stack)),
  "TUPLE": lambda stack, _: stack.append(tuple(stack.after_mark())),
  "TUPLE1": lambda stack, _: stack.append(stack.last(1)),
  "TUPLE2": lambda stack, _: stack.append(stack.last(2)),
  "TUPLE3": lambda stack, _: stack.append(stack.last(3)),
  "BINPUT": _put,
  "LONG_BINPUT": _put,
  "BINGET": _get,
  "LONG_BINGET": _get,
  "GLOBAL": _import,
  "REDUCE": _call,
  "BUILD": _build,
  "BINPERSID": _storage,
  "SETITEM": lambda stack, _: _set(stack, list(stack.last(2))),
  "SETITEMS": lambda stack, _: _set(stack, stack.after_mark()),
  "APPEND": lambda stack, _: _extend(stack, list(stack.last(1))),
  "APPENDS": lambda stack, _: _extend(stack, stack.after_mark()),
}
