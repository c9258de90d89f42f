"""IDX files, the format of MNIST and the sets that took its place.

The format is described at the end of the MNIST page by LeCun, Cortes and Burges
(http://yann.lecun.com/exdb/mnist/).
"""

import contextlib
import gzip
import io
import math
import os
import pathlib
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

from gan.datasets import base
from gan.errors import UserError
from gan.system import files
from gan.system.archive import count_rest, read_up_to

_PREFIXES = {"train": "train", "test": "t10k"}
_UNSIGNED_BYTE = 8


def is_here(folder: pathlib.Path) -> bool:
  """Whether `folder` holds any IDX file."""
  return any(folder.glob("*idx[13]-ubyte*"))


def load(folder: pathlib.Path, split: str) -> tuple[base.Images, base.Labels, int]:
  """One split from a folder with the four files, gzipped or not.

  Args:
    folder: holds `train-images-idx3-ubyte` and its fellows, or `train-images.idx3-ubyte`.
    split: "train" or "test".

  Returns:
    Images [N, H, W, 1] uint8, labels [N] int32, and the number of classes in both splits.

  Raises:
    UserError: for another split; a missing, truncated or foreign file; lengths that differ.
  """
  base.check_split(split, tuple(_PREFIXES), str(folder))
  images_path = _find(folder, f"{_PREFIXES[split]}-images", "idx3-ubyte")
  labels_path = _find(folder, f"{_PREFIXES[split]}-labels", "idx1-ubyte")
  images = base.as_images(read(images_path, ndim=3), str(images_path))
  labels = base.as_labels(read(labels_path, ndim=1), len(images), str(labels_path))
  (other,) = _PREFIXES.keys() - {split}
  beside = (f"{_PREFIXES[other]}-labels", "idx1-ubyte")
  others = [read(_find(folder, *beside), ndim=1)] if _there(folder, *beside) else []
  return images, labels, base.count_classes(labels, *others, where=str(folder))


def read(path: pathlib.Path, ndim: int) -> UInt8[np.ndarray, "..."]:
  """The array in one IDX file of bytes.

  Args:
    path: a file, gzipped or not.
    ndim: 3 for images, 1 for labels.

  Returns:
    uint8 with `ndim` axes.

  Raises:
    UserError: if the file cannot be read, is no such IDX file, or is too short or too long.
  """
  with _opened(path) as stream:
    shape = _shape(stream, path, ndim)
    size = math.prod(shape)
    content = read_up_to(stream, size)
    found = len(content) + count_rest(stream)
  if found != size:
    raise UserError(
      f"{path} holds {found} bytes of data where its header {list(shape)} asks for {size}: it is "
      "damaged; fetch it again"
    )
  return np.frombuffer(content, np.uint8).reshape(shape)


def _shape(stream, path, ndim) -> tuple[int, ...]:
  magic = stream.read(4)
  if magic != bytes([0, 0, _UNSIGNED_BYTE, ndim]):
    count_rest(stream)  # raises where it is the packing that is damaged
    raise UserError(
      f"{path} starts with 0x{magic.hex()}, not 0x00000{_UNSIGNED_BYTE}{ndim:02x}: it is no "
      f"IDX file of bytes with {ndim} axes; fetch it again"
    )
  header = stream.read(4 * ndim)
  if len(header) < 4 * ndim:
    raise UserError(f"{path} ends inside its header: fetch it again")
  return struct.unpack(f">{ndim}I", header)


def _find(folder: pathlib.Path, stem: str, kind: str) -> pathlib.Path:
  there = _there(folder, stem, kind)
  if not there:
    raise UserError(f"{folder} lacks {stem}-{kind}.gz: put all four IDX files there")
  files.check_ordinary(there[0])
  return there[0]


def _there(folder: pathlib.Path, stem: str, kind: str) -> list[pathlib.Path]:
  """What has one of the names of a file, files first."""
  names = [f"{stem}{mark}{kind}{end}" for mark in "-." for end in ("", ".gz")]
  found = [folder / name for name in names if os.path.lexists(folder / name)]
  return sorted(found, key=lambda path: not path.is_file())


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[io.BufferedIOBase]:
  """The file, unpacked while it is read where it is packed."""
  try:
    with open(path, "rb") as file:
      # By content and not by name: browsers unpack a .gz and leave its name, or the reverse.
      packed = file.read(2) == b"\x1f\x8b"
      file.seek(0)
      with gzip.GzipFile(fileobj=file) if packed else contextlib.nullcontext(file) as stream:
        yield stream
  except (OSError, EOFError, zlib.error) as error:
    raise UserError(f"cannot read {path}: {error}; fetch it again") from error
