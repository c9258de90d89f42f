"""IDX files, the format of MNIST and the sets that took its place.

The format is described at the end of the MNIST page by LeCun, Cortes and Burges
(http://yann.lecun.com/exdb/mnist/).
"""

import gzip
import math
import pathlib
import struct
import zlib

import numpy as np
from jaxtyping import UInt8

from gan.datasets import base
from gan.errors import UserError

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
    Images [N, H, W, 1] uint8, labels [N] int32, and the number of classes.

  Raises:
    UserError: for another split; a missing, truncated or foreign file; lengths that differ.
  """
  base.check_split(split, tuple(_PREFIXES), str(folder))
  images_path = _find(folder, f"{_PREFIXES[split]}-images", "idx3-ubyte")
  labels_path = _find(folder, f"{_PREFIXES[split]}-labels", "idx1-ubyte")
  images = base.as_images(read(images_path, ndim=3), str(images_path))
  labels = base.as_labels(read(labels_path, ndim=1), images, str(labels_path))
  return images, labels, base.count_classes(labels, where=str(labels_path))


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
  content = _content(path)
  if content[:4] != bytes([0, 0, _UNSIGNED_BYTE, ndim]):
    raise UserError(
      f"{path} starts with 0x{content[:4].hex()}, not 0x00000{_UNSIGNED_BYTE}{ndim:02x}: it is no "
      f"IDX file of bytes with {ndim} axes; fetch it again"
    )
  header = 4 + 4 * ndim
  if len(content) < header:
    raise UserError(f"{path} ends inside its header: fetch it again")
  shape = struct.unpack(f">{ndim}I", content[4:header])
  if len(content) - header != math.prod(shape):
    raise UserError(
      f"{path} holds {len(content) - header} bytes of data where its header {list(shape)} asks for "
      f"{math.prod(shape)}: it is damaged; fetch it again"
    )
  return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _find(folder: pathlib.Path, stem: str, kind: str) -> pathlib.Path:
  for name in (f"{stem}-{kind}", f"{stem}.{kind}"):
    for path in (folder / name, folder / f"{name}.gz"):
      if path.is_file():
        return path
  raise UserError(f"{folder} lacks {stem}-{kind}.gz: put all four IDX files there")


def _content(path: pathlib.Path) -> bytes:
  try:
    content = path.read_bytes()
    # By content and not by name: browsers unpack a .gz and leave its name, or the reverse.
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
  except (OSError, EOFError, zlib.error) as error:
    raise UserError(f"cannot read {path}: {error}; fetch it again") from error
