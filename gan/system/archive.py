"""Zip archives from whoever wrote them: of any files, and of arrays, the .npz of NumPy.

NumPy allocates what the header of an array asks for, and a damaged archive makes it and zipfile
raise a dozen kinds of errors. Here memory grows with what is read, nothing is unpickled or written
to a path that an archive names, and what cannot be read is one line.
"""

import contextlib
import io
import math
import os
import threading
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gan.errors import UserError

BLOCK = 2**22  # bytes read at once
MAX_MEMBER = 2**28  # bytes of a member that is read as a whole: no image file has more
_ENCRYPTED = 1  # of the flags of a member
_HEADERS = {
  (1, 0): np.lib.format.read_array_header_1_0,
  (2, 0): np.lib.format.read_array_header_2_0,
}


class Zip(Mapping):
  """Members by their names, which are keys and no paths; any number of threads may read them.

  Args:
    file: a path, or a stream that can seek.
    where: what to call it in an error.
    kind: what it should be, in words.
    suffix: of the members' names, left out.

  Raises:
    UserError: it cannot be read, is no archive, or is damaged; reading a member raises it too.
  """

  def __init__(
    self, file: str | os.PathLike | io.BufferedIOBase, where: str, kind: str, suffix: str = ""
  ):
    self._where, self._kind, self._lock = where, kind, threading.Lock()
    with self._told():
      _check_magic(file)
      self._zip = zipfile.ZipFile(file)
      self._members = _by_name(self._zip.filelist, suffix)

  def __enter__(self) -> "Zip":
    return self

  def __exit__(self, *error: Any) -> None:
    self._zip.close()

  def __iter__(self) -> Iterator[str]:
    return iter(self._members)

  def __len__(self) -> int:
    return len(self._members)

  def __contains__(self, name: object) -> bool:
    return name in self._members  # without reading it

  def __getitem__(self, name: str) -> Any:
    """Returns the bytes of a member, of at most MAX_MEMBER."""
    return self.read(name, MAX_MEMBER)

  def read(self, name: str, most: int) -> bytes:
    """Returns the bytes of a member, of at most so many."""
    member = self._members[name]
    with self._lock, self._opened(name) as stream:
      if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # Others take memory that their headers ask for.
        raise ValueError("it is packed by a method that is not read; store or deflate it")
      if member.file_size > most:
        raise ValueError(f"it has {member.file_size:,} bytes, and at most {most:,} are read")
      return bytes(read_up_to(stream, member.file_size + 1))

  def version(self, name: str) -> str:
    """Returns the CRC-32 of a member as the archive says it: reading the member checks it."""
    return f"{self._members[name].CRC:08x}"

  @contextlib.contextmanager
  def _opened(self, name: str) -> Iterator[Any]:
    member = self._members[name]
    with self._told(f"{name if name.isprintable() else ascii(name)}: "):
      if member.flag_bits & _ENCRYPTED:
        raise ValueError("it is encrypted; write it without a password")
      with self._zip.open(member) as stream:
        yield stream

  @contextlib.contextmanager
  def _told(self, name: str = "") -> Iterator[None]:
    try:
      yield
    except Exception as error:  # zipfile, its decompressors and NumPy raise whatever is provoked
      reason = str(error).split("\n")[0] or type(error).__name__
      raise UserError(
        f"cannot read {self._where} as {self._kind}: {name}{reason}; make it again"
      ) from error


class Archive(Zip):
  """Arrays by their names, each read when it is asked for.

  Args:
    file: a path, or a stream that can seek.
    where: what to call it in an error.

  Raises:
    UserError: as for `Zip`.
  """

  def __init__(self, file: str | os.PathLike | io.BufferedIOBase, where: str):
    super().__init__(file, where, ".npz", ".npy")

  def __getitem__(self, name: str) -> np.ndarray:
    with self._opened(name) as stream:
      return _array(stream)

  def size(self, name: str) -> int:
    """Returns how many bytes an array asks for, of which its header alone is read."""
    with self._opened(name) as stream:
      shape, _, dtype = _header(stream)
      return math.prod(shape) * dtype.itemsize

  def shape(self, name: str) -> tuple[int, ...]:
    """Returns the shape of an array, of which its header alone is read."""
    with self._opened(name) as stream:
      return _header(stream)[0]


def _check_magic(file: Any) -> None:
  """Tells a .npy, whose ending was changed, from other files that are no archive."""
  with contextlib.nullcontext(file) if hasattr(file, "read") else open(file, "rb") as stream:
    magic = stream.read(6)
    stream.seek(0)
  if magic == np.lib.format.MAGIC_PREFIX:
    raise ValueError("it is a .npy, one array; numpy.savez writes a .npz of it")


def _by_name(members: list[zipfile.ZipInfo], suffix: str) -> dict[str, zipfile.ZipInfo]:
  found = {}
  for member in members:
    name = member.filename.removesuffix(suffix)
    if name in found:
      raise ValueError(f"it holds {name if name.isprintable() else ascii(name)} twice")
    found[name] = member
  return found


def _header(stream: io.BufferedIOBase) -> tuple[tuple[int, ...], bool, np.dtype]:
  """Shape, whether columns come first, and dtype of an array."""
  version = np.lib.format.read_magic(stream)
  if version not in _HEADERS:
    raise ValueError(f"its arrays have the format {version}; plain ones have 1.0 or 2.0")
  shape, columns_first, dtype = _HEADERS[version](stream)
  if dtype.hasobject:
    raise ValueError("it holds Python objects, which are not read")
  if any(type(side) is not int or side < 0 for side in shape):
    raise ValueError(f"its header has the shape {shape}")
  return shape, columns_first, dtype


def _array(stream: io.BufferedIOBase) -> np.ndarray:
  shape, columns_first, dtype = _header(stream)
  size = math.prod(shape) * dtype.itemsize
  content = read_up_to(stream, size)
  if left := count_rest(stream):  # reading to the end checks the checksum
    raise ValueError(f"its header {list(shape)} asks for {size} bytes and {size + left} are there")
  if len(content) < size:
    raise ValueError(f"its header {list(shape)} asks for {size} bytes and {len(content)} are there")
  return np.ndarray(shape, dtype, content, order="F" if columns_first else "C")


def read_up_to(stream: io.BufferedIOBase, size: int) -> bytearray:
  """Returns `size` bytes, or as many as there are; memory grows with what is read.

  Args:
    stream: it is read from where it stands.
    size: what a header asks for, which need not be true.
  """
  content = bytearray()
  while len(content) < size and (block := stream.read(min(size - len(content), BLOCK))):
    content += block
  return content


def count_rest(stream: io.BufferedIOBase) -> int:
  """Reads a stream to its end and returns how many bytes were left; none are kept."""
  count = 0
  while block := stream.read(BLOCK):
    count += len(block)
  return count
