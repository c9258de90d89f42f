"""Encoded images of any source as one array: small sets in memory, large ones decoded once to disk.

A large set is a folder of the user's cache folder: images.npy, written in blocks by threads and
mapped into memory, and blocks.jsonl, a line with the checksum of each block that is whole. So what
a kill interrupted goes on where it was, and a block that is not what its line says is made again.
"""

import concurrent.futures
import contextlib
import errno
import functools
import hashlib
import io
import json
import math
import os
import pathlib
import shutil
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Int64

from gan.datasets import base
from gan.errors import UserError
from gan.system import files, memory, schema
from gan.system.cache import lasting_folder
from gan.system.cores import cores
from gan.system.progress import CountProgress, say

try:
  import fcntl
except ImportError:  # not on Windows, where processes then decode the same bytes beside each other
  fcntl = None

# Bytes of decoded images. Smaller sets are decoded within seconds, and leave room in memory.
LARGE = 2**26
BLOCK = 2**23  # bytes of images that a thread decodes before it writes them
MAX_THREADS = 16
_ARRAY, _BLOCKS = "images.npy", "blocks.jsonl"
_LINE = schema.entries({"block": schema.COUNT, "crc32": schema.COUNT, "notes": schema.TEXT})
_LAYOUT = 1  # of the files

Notes = Int64[np.ndarray, " n"]


class Source(NamedTuple):
  """Encoded images in their order.

  Attributes:
    where: what to call all of them.
    count: N, how many there are.
    read: `numbers -> (image [H, W, C] uint8, note)` of each, a note being an integer; any thread
      calls it.
    name: `number -> what to call an image`.
    identity: `() -> text` that changes whenever the images may have changed, as with the names,
      sizes and times of their files.
  """

  where: str
  count: int
  read: Callable[[range], Iterable[tuple[np.ndarray, int]]]
  name: Callable[[int], str]
  identity: Callable[[], str]


def load(source: Source) -> tuple[base.Images, Notes]:
  """Decodes a source, or maps what was decoded before.

  Args:
    source: N images.

  Returns:
    Images [N, H, W, C] uint8, read-only where they lie on disk, and the notes [N].

  Raises:
    UserError: images of several sizes, or grey ones beside colour; or as `source.read`.
  """
  ((first, _),) = source.read(range(1))
  shape = base.as_images(first[None], source.where).shape[1:]
  blocks = _cut(source.count, max(1, BLOCK // math.prod(shape)))
  if source.count * math.prod(shape) < LARGE:
    return _in_memory(source, shape, blocks, lambda make: [*map(make, blocks)])
  with files.readable(pathlib.Path(source.where)):
    identity = source.identity()
  try:
    with (
      _folder(identity, source.where) as folder,
      _removed_when_full(folder),
      _opened(folder, (source.count, *shape), source.where) as file,
    ):
      return _mapped(source, shape, blocks, folder, file)
  except OSError as error:
    say(f"{source.where}: decoded in memory, for it cannot be kept on disk: {error}")
  return _in_memory(source, shape, blocks, functools.partial(_decode, source=source, blocks=blocks))


def is_mapped(images: np.ndarray) -> bool:
  """Whether images of `load` lie on disk, where the next call finds them."""
  return isinstance(images.base, np.memmap)


def files_identity(paths: Iterable[pathlib.Path], *how: object) -> str:
  """Text that changes with the names, sizes and times of files, and with how they are read."""
  states = ((path.absolute(), path.stat()) for path in paths)
  found = (f"{path}\0{state.st_size}\0{state.st_mtime_ns}" for path, state in states)
  return "\0".join([*map(str, how), *found])


def _cut(count: int, length: int) -> list[range]:
  return [range(start, min(start + length, count)) for start in range(0, count, length)]


def _block(source: Source, shape: tuple[int, ...], numbers: range) -> tuple[base.Images, Notes]:
  images, notes = np.empty((len(numbers), *shape), np.uint8), np.empty(len(numbers), np.int64)
  # What the system says of the source is no fault of the folder it is kept in.
  with files.readable(pathlib.Path(source.where)):
    for place, (image, note) in enumerate(source.read(numbers)):
      if image.shape != shape:
        raise UserError(_differ(source.name(0), shape, source.name(numbers[place]), image.shape))
      images[place], notes[place] = image, note
  return images, notes


def _differ(name: str, shape: tuple[int, ...], other: str, other_shape: tuple[int, ...]) -> str:
  if shape[2] != other_shape[2]:
    return f"{name} and {other} differ in mode, grey and colour: convert all to one of them"
  sizes = ["x".join(map(str, sides[:2])) for sides in (shape, other_shape)]
  return f"{name} is {sizes[0]} and {other} {sizes[1]}: give `image_size` to bring them to one size"


def _in_memory(source, shape, blocks, each) -> tuple[base.Images, Notes]:
  size = source.count * math.prod(shape)
  memory.require(size, f"the {source.count:,} images of {source.where}", "image_size")
  images, notes = np.empty((source.count, *shape), np.uint8), np.empty(source.count, np.int64)

  def make(numbers):
    part = slice(numbers.start, numbers.stop)
    images[part], notes[part] = _block(source, shape, numbers)

  each(make)
  return images, notes


def _decode(make, *, source, blocks) -> None:
  """Calls `make` of each block, in threads, and shows how many images are done."""
  done = source.count - sum(map(len, blocks))
  progress = CountProgress(f"Decoding {source.where}", source.count, done, "image")
  _in_parallel(make, blocks, progress)


def _in_parallel(call, blocks, progress) -> list:
  """What `call` returns of each block, in threads; `progress` counts their images."""
  found = []
  with progress, _threads() as pool:
    # An error, or an interrupt, leaves out what has not begun.
    for numbers, result in zip(blocks, pool.map(call, blocks), strict=True):
      found.append(result)
      progress.advance(len(numbers))
  return found


def _threads() -> concurrent.futures.ThreadPoolExecutor:
  return concurrent.futures.ThreadPoolExecutor(min(len(cores()), MAX_THREADS))


@contextlib.contextmanager
def _folder(identity: str, where: str) -> Iterator[pathlib.Path]:
  """The folder of a source in the cache folder, for this process alone meanwhile."""
  import PIL

  root = lasting_folder()
  if root is None:
    raise OSError("there is no cache folder that can be written to")
  # Releases of Pillow may decode to other pixels.
  identity = f"{_LAYOUT} {PIL.__version__} {BLOCK}\0{identity}"
  digest = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:32]
  folder = root / "decoded" / digest
  folder.mkdir(parents=True, exist_ok=True)
  with open(folder / ".lock", "wb") as file:
    _lock(file, where)
    yield folder


def _lock(file: BinaryIO, where: str) -> None:
  if fcntl is None:
    return
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    say(f"{where}: another process decodes it; waiting for that.")
    fcntl.flock(file, fcntl.LOCK_EX)
  except OSError:
    pass  # some network file systems have no locks: both then write the same bytes


@contextlib.contextmanager
def _removed_when_full(folder: pathlib.Path) -> Iterator[None]:
  """Takes away what was decoded into a folder when its disk fills, so that others have the room."""
  try:
    yield
  except OSError as error:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not (folder / _ARRAY).exists():
      raise
    _remove(folder)
    raise OSError(f"{error}; what was decoded there is removed") from error


def _remove(folder: pathlib.Path) -> None:
  for name in (_ARRAY, _BLOCKS):
    (folder / name).unlink(missing_ok=True)


@contextlib.contextmanager
def _opened(folder: pathlib.Path, shape: tuple[int, ...], where: str) -> Iterator[BinaryIO]:
  """The array of a folder, open to read and write; begun where there is none of this shape."""
  path, header = folder / _ARRAY, _header(shape)
  size = len(header) + math.prod(shape)
  if not _begins(path, header, size):
    another = path.exists()
    # Removed and not written over: another process may have it mapped.
    _remove(folder)
    if shutil.disk_usage(folder).free < size:
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    if another:
      say(f"{path} is not the array of these images: decoding them again.")
    else:
      kept = f"decoded once and kept in {folder}, {memory.shown(size)}"
      say(f"{where}: {kept}; delete that folder when these images are no longer used")
    with open(path, "xb") as file:
      file.write(header)
      file.truncate(size)
  with open(path, "r+b", buffering=0) as file:
    yield file


def _header(shape: tuple[int, ...]) -> bytes:
  stream = io.BytesIO()
  about = {"descr": "|u1", "fortran_order": False, "shape": shape}
  np.lib.format.write_array_header_1_0(stream, about)
  return stream.getvalue()


def _begins(path: pathlib.Path, header: bytes, size: int) -> bool:
  if not path.is_file() or path.stat().st_size != size:
    return False
  with open(path, "rb") as file:
    return file.read(len(header)) == header


def _mapped(source, shape, blocks, folder, file) -> tuple[base.Images, Notes]:
  """The array of an open file, once all of its blocks are there."""
  notes, begin = np.empty(source.count, np.int64), len(_header((source.count, *shape)))
  images = np.memmap(file, np.uint8, "r", begin, (source.count, *shape))
  missing = _missing(source, blocks, folder, images, notes)
  if not missing:
    return np.asarray(images), notes
  writing = threading.Lock()
  with open(folder / _BLOCKS, "ab", buffering=0) as lines:

    def make(numbers):
      pixels, of_block = _block(source, shape, numbers)
      place = begin + numbers.start * math.prod(shape)
      notes[numbers.start : numbers.stop] = of_block
      line = _line(numbers.start // len(blocks[0]), pixels, of_block)
      with writing:
        file.seek(place)
        # Through a map of a full disk the system ends the process.
        if file.write(pixels.data) != pixels.nbytes:
          raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        lines.write(line)

    _decode(make, source=source, blocks=missing)
  return np.asarray(images), notes


def _missing(source, blocks, folder, images, notes) -> list[range]:
  """The blocks that are not as their lines say; of all others the notes are filled in."""
  lines = _lines(folder)
  known = {blocks[number]: line for number, line in sorted(lines.items()) if number < len(blocks)}

  def whole(numbers):
    part, kept = slice(numbers.start, numbers.stop), _notes(known[numbers], len(numbers))
    if kept is None or _checksum(images[part], kept) != known[numbers]["crc32"]:
      return False
    notes[part] = kept
    return True

  found = {}
  if known:
    progress = CountProgress(f"Checking {source.where}", sum(map(len, known)), 0, "image")
    found = dict(zip(known, _in_parallel(whole, list(known), progress), strict=True))
  if damaged := sum(not ok for ok in found.values()):
    say(f"{folder}: {damaged} of {len(blocks)} blocks are damaged: decoding these again.")
  missing = [numbers for numbers in blocks if not found.get(numbers)]
  if missing:
    # Written anew without what is damaged, and without the end that a kill cut short.
    text = b"".join(_text(known[numbers]) for numbers, ok in found.items() if ok)
    with files.replacing(folder / _BLOCKS) as file:
      file.write(text)
  return missing


def _lines(folder: pathlib.Path) -> dict[int, dict]:
  try:
    found = schema.read_lines(folder / _BLOCKS, _LINE, "decoding again")
  except UserError as error:
    say(f"{error}.")
    return {}
  return {line["block"]: line for line in found}


def _line(number: int, pixels: np.ndarray, notes: Notes) -> bytes:
  checksum = _checksum(pixels, notes)
  return _text({"block": number, "crc32": checksum, "notes": notes.astype("<i8").tobytes().hex()})


def _text(line: dict) -> bytes:
  return json.dumps(line).encode() + b"\n"


def _notes(line: dict, count: int) -> Notes | None:
  try:
    return np.frombuffer(bytes.fromhex(line["notes"]), "<i8", count).astype(np.int64)
  except ValueError:
    return None


def _checksum(pixels: np.ndarray, notes: Notes) -> int:
  return zlib.crc32(notes.astype("<i8"), zlib.crc32(pixels))
