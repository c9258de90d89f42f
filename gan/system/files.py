"""Opening what a user names: ordinary files only, and images by a list of formats.

Pillow knows formats by their content, whatever a file is called. Some are programs: Encapsulated
PostScript is drawn by Ghostscript. So every image file is opened here.
"""

import contextlib
import io
import os
import pathlib
import stat
import threading
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gan.errors import UserError

if TYPE_CHECKING:
  from PIL import Image

# Pillow's names, and how files of these formats are called.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_BITS_PER_SAMPLE = 258  # the number of the tag of TIFF
_KINDS = {
  stat.S_IFDIR: "a folder",
  stat.S_IFIFO: "a pipe",
  stat.S_IFSOCK: "a socket",
  stat.S_IFCHR: "a device",
  stat.S_IFBLK: "a device",
}


def expanded(path: str) -> str:
  """Returns a path in which `~` and `~name` are what they are to a shell.

  Raises:
    ValueError: it is empty, no path can hold it, or there is no such home.
  """
  if not path:
    raise ValueError("must not be empty: name a file or folder, or leave it out")
  if "\0" in path:
    raise ValueError("must not hold a zero character: name a file or folder")
  whole = os.path.expanduser(path)
  if whole.startswith("~"):
    name = path.split(os.sep)[0]
    remedy = "set HOME" if name == "~" else f"write ./{name} for a folder of that name"
    raise ValueError(f"there is no home folder {name}: {remedy}")
  return whole


def check_ordinary(path: pathlib.Path) -> None:
  """Raises UserError unless `path` is a file: to read from a pipe or a device may never end."""
  with readable(path):
    mode = path.stat().st_mode
  if not stat.S_ISREG(mode):
    kind = _KINDS.get(stat.S_IFMT(mode), "no file")
    raise UserError(f"{path} is {kind}, where a file belongs: take it away, or name another")


def expanded_path(path: str | os.PathLike) -> pathlib.Path:
  """`expanded`, of what a caller named; UserError where it is no path."""
  try:
    return pathlib.Path(expanded(os.fspath(path)))
  except ValueError as error:
    raise UserError(f"{path}: {error}") from error


@contextlib.contextmanager
def readable(path: pathlib.Path) -> Iterator[None]:
  """Raises UserError for what the system says while `path` is looked at."""
  try:
    yield
  except OSError as error:
    place = path if error.filename is None else error.filename
    broken = isinstance(error, FileNotFoundError) and pathlib.Path(place).is_symlink()
    reason = "it is a link to nothing" if broken else error.strerror or error
    raise UserError(f"cannot read {place}: {reason}") from error


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[io.BufferedIOBase]:
  """Yields a file to write, which takes the place of `path` as a whole, or not at all."""
  unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
  try:
    with open(unfinished, "wb") as file:
      yield file
    os.replace(unfinished, path)
  finally:
    unfinished.unlink(missing_ok=True)


class _Strict:
  """What Pillow warns of while images are open, in any number of threads.

  Warnings are caught for the whole process: a thread that restored them at its own end would let
  the images of others pass.
  """

  def __init__(self):
    self._lock, self._inside, self._caught = threading.Lock(), 0, contextlib.ExitStack()

  def __enter__(self) -> None:
    from PIL import Image

    with self._lock:
      if not self._inside:
        self._caught.enter_context(warnings.catch_warnings())
        # Of metadata; but what has more pixels than a photograph is made to fill the memory.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
      self._inside += 1

  def __exit__(self, *error: Any) -> None:
    with self._lock:
      self._inside -= 1
      if not self._inside:
        self._caught.close()


_STRICT = _Strict()


@contextlib.contextmanager
def image(file: pathlib.Path | io.BufferedIOBase, name: str = "") -> Iterator["Image.Image"]:
  """Yields an image file as Pillow has it, for as long as it is open.

  Args:
    file: a path, or an open file of bytes.
    name: what to call the latter in an error.

  Raises:
    UserError: it is no ordinary file, of none of FORMATS, damaged or too large, has more than 8
      bits a channel, or the pixels cannot be had while it is open.
  """
  from PIL import Image, UnidentifiedImageError

  name = name or str(file)
  if isinstance(file, pathlib.Path):
    check_ordinary(file)
  try:
    with _STRICT:
      for checks in (True, False):
        if not isinstance(file, pathlib.Path):
          file.seek(0)
        with Image.open(file, formats=FORMATS) as picture:
          _check_depth(picture, name)
          if checks:
            picture.verify()  # checksums, where a format has them: after that it is opened anew
          else:
            yield picture
  except UserError:
    raise
  except UnidentifiedImageError as error:
    empty = isinstance(file, pathlib.Path) and not file.stat().st_size
    reason = "it is empty" if empty else f"by its content it is none of {', '.join(FORMATS)}"
    raise UserError(f"cannot read {name} as an image: {reason}") from error
  # Pillow's decoders raise nearly everything on damaged files.
  except Exception as error:
    reason = str(error).split("\n")[0] or type(error).__name__
    raise UserError(f"cannot read {name} as an image: {reason}") from error


def _check_depth(picture: "Image.Image", name: str) -> None:
  """Refuses what Pillow cuts to 8 bits a channel in silence, before it is read."""
  if picture.format == "TIFF":
    deep = max(picture.tag_v2.get(_BITS_PER_SAMPLE, (1,))) > 8
  elif picture.format in ("PNG", "PPM"):
    *_, layout = picture.tile[0]  # such as "RGB;16B", or ("RGB", 65535) with the largest value
    deep = ";16" in str(layout) or any(type(n) is int and n > 255 for n in layout)
  else:
    deep = False
  if deep:
    raise UserError(f"{name} has more than 8 bits a channel: use 8-bit grey or colour images")
