"""State dicts of PyTorch, as `torch.save` writes them, read without PyTorch and running nothing.

Since 1.6 a file is a zip archive of a pickle and of the storages; before, it is four pickles and
the storages after each other.
"""

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gan.system import pickled
from gan.system.archive import Zip
from gan.system.pickled import Storage, Tensor

EARLIER = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickle of a number, first in the file
_PROTOCOL = 1001
_PICKLE = "/data.pkl"


def is_archive(names: list[str]) -> bool:
  """Whether an archive with members of these names is one of `torch.save`."""
  return any(name.endswith(_PICKLE) for name in names)


def read_archive(archive: Zip, size: int) -> dict[str, np.ndarray]:
  """Returns the tensors of a file since PyTorch 1.6.

  Args:
    archive: for which `is_archive` holds.
    size: of the file, in bytes.

  Raises:
    ValueError: it holds something else, or is damaged.
    UserError: a member cannot be read.
  """
  root = next(name for name in archive if name.endswith(_PICKLE)).removesuffix(_PICKLE)
  order = f"{root}/byteorder"
  if order in archive and archive.read(order, 16) != b"little":
    raise ValueError("it was written by a machine whose bytes have the other order")
  content = archive.read(root + _PICKLE, pickled.MAX_BYTES)
  tensors = _state_dict(pickled.load(io.BytesIO(content)))
  # PyTorch packs nothing: together the storages are smaller than the file.
  if sum(map(_bytes, _storages(tensors).values())) > size:
    raise ValueError("its pickle asks for more numbers than it can hold")
  return _arrays(tensors, lambda it: archive.read(f"{root}/data/{it.key}", _bytes(it)))


def read_earlier(stream: io.BufferedIOBase) -> dict[str, np.ndarray]:
  """Returns the tensors of a file before PyTorch 1.6, which starts with EARLIER.

  Raises:
    ValueError: it holds something else, or is damaged.
  """
  head = io.BytesIO(stream.read(pickled.MAX_BYTES))
  _, protocol, system, described, keys = (pickled.load(head) for _ in range(5))
  if protocol != _PROTOCOL or type(system) is not dict or system.get("little_endian") is not True:
    raise ValueError("it was written by a version of PyTorch, or by a machine, that is not known")
  tensors = _state_dict(described)
  storages = _storages(tensors)
  if not _are_keys(keys) or sorted(keys) != sorted(storages):
    raise ValueError("its list of storages is not that of its tensors")
  stream.seek(head.tell())
  contents = {key: _next(stream, storages[key]) for key in keys}
  return _arrays(tensors, lambda storage: contents[storage.key])


def _are_keys(keys: Any) -> bool:
  return type(keys) is list and all(type(key) is str for key in keys)


def _state_dict(described: Any) -> dict[str, Tensor]:
  if type(described) is not dict or not all(type(it) is Tensor for it in described.values()):
    raise ValueError("it holds something else than named tensors; save model.state_dict() alone")
  return described


def _storages(tensors: dict[str, Tensor]) -> dict[str, Storage]:
  found = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
  if any(tensor.storage != found[tensor.storage.key] for tensor in tensors.values()):
    raise ValueError("it describes one storage in two ways")
  return found


def _bytes(storage: Storage) -> int:
  return storage.count * storage.dtype.itemsize


def _next(stream: io.BufferedIOBase, storage: Storage) -> bytes:
  """The storage at which the stream stands: how many numbers it has, and these."""
  count = int.from_bytes(stream.read(8), "little")
  if count != storage.count:
    raise ValueError(f"storage {storage.key} has {count} numbers and {storage.count} are described")
  start = stream.tell()
  if _bytes(storage) > stream.seek(0, io.SEEK_END) - start:
    raise ValueError(f"it ends within storage {storage.key}")
  stream.seek(start)
  return stream.read(_bytes(storage))


def _arrays(
  tensors: dict[str, Tensor], content: Callable[[Storage], bytes]
) -> dict[str, np.ndarray]:
  flat = {key: _flat(storage, content(storage)) for key, storage in _storages(tensors).items()}
  return {name: _view(flat[it.storage.key], it) for name, it in tensors.items()}


def _flat(storage: Storage, content: bytes) -> np.ndarray:
  if len(content) != _bytes(storage):
    raise ValueError(f"storage {storage.key} has {len(content)} bytes, not {_bytes(storage)}")
  return np.frombuffer(content, storage.dtype)


def _view(flat: np.ndarray, tensor: Tensor) -> np.ndarray:
  if not math.prod(tensor.shape):
    return np.empty(tensor.shape, flat.dtype)
  strides = [flat.itemsize * stride for stride in tensor.strides]
  return np.lib.stride_tricks.as_strided(
    flat[tensor.offset :], tensor.shape, strides, writeable=False
  )
