"""A zip of stored members that is appended to in constant memory, and goes on after a kill.

`zipfile` keeps what it knows of every member in memory and writes it at the end: an archive that
was cut off has no list of its members. Here the list grows in a file beside the archive, and a
mark, a few numbers, says how far both are.

Source: APPNOTE.TXT 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections
4.3.7, 4.3.12, 4.3.14 to 4.3.16 and 4.5.3. Sizes are of 64 bits throughout.
"""

import os
import pathlib
import struct
import zlib
from typing import Any, NamedTuple

from gan.errors import UserError

_VERSION = 45  # of the format, the first with sizes of 64 bits
_UTF8 = 1 << 11
_DATE = 0x21  # 1 January 1980: equal members are equal files
_IN_EXTRA = 2**32 - 1
_MANY = 2**16 - 1


class _Member(NamedTuple):
  """One that is being written: where its header is, its size so far and the CRC-32 of that."""

  name: str
  offset: int
  size: int
  checksum: int


class ZipStream:
  """Writes members one after the other; `close` leaves them for another process to go on.

  Args:
    path: the archive; the list of members grows in `path`.index.
    mark: where to go on, as `mark` returned it; {} to begin. What was written after it goes.

  Raises:
    UserError: there is less than the mark says.
  """

  def __init__(self, path: pathlib.Path, mark: dict[str, Any]):
    self._archive = _opened(path, mark.get("archive", 0))
    self._index = _opened(path.with_name(path.name + ".index"), mark.get("index", 0))
    self._count = mark.get("members", 0)
    self._member = _Member(*mark["member"]) if mark.get("member") else None

  def begin(self, name: str) -> None:
    """Begins a member, of which `write` takes the content."""
    self._member = _Member(name, self._archive.tell(), 0, 0)
    self._archive.write(_local_header(self._member))

  def write(self, content: bytes | memoryview) -> None:
    """Appends to the member that was begun."""
    self._archive.write(content)
    size = self._member.size + memoryview(content).nbytes
    checksum = zlib.crc32(content, self._member.checksum)
    self._member = self._member._replace(size=size, checksum=checksum)

  def end(self) -> None:
    """Ends the member, whose size and checksum are known now."""
    self._archive.seek(self._member.offset)
    self._archive.write(_local_header(self._member))
    self._archive.seek(0, os.SEEK_END)
    self._index.write(_listed(self._member))
    self._count, self._member = self._count + 1, None

  def add(self, name: str, content: bytes) -> None:
    """Writes a whole member."""
    self.begin(name)
    self.write(content)
    self.end()

  def mark(self) -> dict[str, Any]:
    """Returns where another process can go on, in JSON values; all before is on the disk."""
    for file in (self._archive, self._index):
      file.flush()
      os.fsync(file.fileno())
    return {
      "archive": self._archive.tell(),
      "index": self._index.tell(),
      "members": self._count,
      "member": self._member and list(self._member),
    }

  def finish(self) -> None:
    """Appends the list of members, with which the archive is whole, and closes both files.

    `path`.index stays: until the archive has its last name a mark still tells where to go on.
    """
    start, size = self._archive.tell(), self._index.tell()
    self._index.seek(0)
    while block := self._index.read(2**20):
      self._archive.write(block)
    self._archive.write(_ending(self._count, start, size))
    self.close()

  def close(self) -> None:
    """Closes both files."""
    self._archive.close()
    self._index.close()


def _opened(path: pathlib.Path, size: int):
  file = open(path, "r+b" if size else "w+b")  # noqa: SIM115
  if file.seek(0, os.SEEK_END) < size:
    file.close()
    raise UserError(f"{path} is cut off: remove {path.parent} and begin again")
  file.truncate(size)
  file.seek(size)
  return file


def _fields(member: _Member, name: bytes, extra: bytes) -> bytes:
  """What both headers have in common: bytes 4 .. 30 of a local one, 6 .. 32 of a listed one."""
  sizes = (member.checksum, _IN_EXTRA, _IN_EXTRA, len(name), len(extra))
  return struct.pack("<5H3L2H", _VERSION, _UTF8, 0, 0, _DATE, *sizes)


def _local_header(member: _Member) -> bytes:
  name = member.name.encode()
  extra = struct.pack("<2H2Q", 1, 16, member.size, member.size)
  return b"PK\3\4" + _fields(member, name, extra) + name + extra


def _listed(member: _Member) -> bytes:
  name = member.name.encode()
  extra = struct.pack("<2H3Q", 1, 24, member.size, member.size, member.offset)
  rest = struct.pack("<3H2L", 0, 0, 0, 0o600 << 16, _IN_EXTRA)
  made_by = struct.pack("<H", _VERSION | 3 << 8)  # on Unix
  return b"PK\1\2" + made_by + _fields(member, name, extra) + rest + name + extra


def _ending(count: int, start: int, size: int) -> bytes:
  """The records after the list, which is `size` bytes from `start` on."""
  record = struct.pack("<Q2H2L4Q", 44, _VERSION, _VERSION, 0, 0, count, count, size, start)
  locator = struct.pack("<LQL", 0, start + size, 1)
  last = struct.pack("<4H2LH", 0, 0, _MANY, _MANY, _IN_EXTRA, _IN_EXTRA, 0)
  return b"PK\6\6" + record + b"PK\6\7" + locator + b"PK\5\6" + last
