"""Sets of images written in parts, in constant memory: a folder, a .npz or a zip.

Each of WRITERS goes on where another process stopped, and equal images are equal files.
"""

import io
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float32, UInt8

from gan.datasets import base, decode, zipped
from gan.errors import UserError
from gan.system import files
from gan.system.zip_stream import ZipStream

Examples = UInt8[np.ndarray, "n h w c"] | Float32[np.ndarray, "n 2"]


class Writer(Protocol):
  """Takes the examples of a set part by part, in their order.

  Args:
    path: what is written, a file or a folder; nothing is there, or what another process left.
    shape: of all examples, [N, ...].
    mark: where to go on, as `mark` returned it; {} to begin.
  """

  def __init__(self, path: pathlib.Path, shape: tuple[int, ...], mark: dict[str, Any]): ...

  def add(self, examples: Examples) -> None:
    """Appends a part."""

  def mark(self) -> dict[str, Any]:
    """Returns where another process can go on, in JSON values."""

  def finish(self, labels: base.Labels | None) -> None:
    """Writes what comes after all examples, and closes the files."""

  def close(self) -> None:
    """Closes the files, for another process to go on."""


class Folder:
  """`000000.png` and so on, and where there are labels dataset.json, as in a zip."""

  def __init__(self, path: pathlib.Path, shape: tuple[int, ...], mark: dict[str, Any]):
    self._path, self._count = path, mark.get("count", 0)
    path.mkdir(exist_ok=True)

  def add(self, examples: Examples) -> None:
    for image in examples:
      (self._path / _file_name(self._count)).write_bytes(decode.png(image))
      self._count += 1

  def mark(self) -> dict[str, Any]:
    return {"count": self._count}

  def finish(self, labels: base.Labels | None) -> None:
    if labels is not None:
      with open(self._path / zipped.LABELS, "wb") as file:
        file.writelines(_labels_text(labels, _file_name))

  def close(self) -> None:
    """Each file is closed as it is written."""


class Npz:
  """A NumPy archive with `images` uint8 [N, H, W, C], or `points` float32 [N, 2], and `labels`."""

  def __init__(self, path: pathlib.Path, shape: tuple[int, ...], mark: dict[str, Any]):
    self._stream = ZipStream(path, mark)
    if not mark:
      name, dtype = ("points", np.float32) if len(shape) == 2 else ("images", np.uint8)
      self._stream.begin(f"{name}.npy")
      self._stream.write(_array_header(shape, np.dtype(dtype)))

  def add(self, examples: Examples) -> None:
    self._stream.write(np.ascontiguousarray(examples).tobytes())

  def mark(self) -> dict[str, Any]:
    return self._stream.mark()

  def finish(self, labels: base.Labels | None) -> None:
    self._stream.end()
    if labels is not None:
      header = _array_header(labels.shape, labels.dtype)
      self._stream.add("labels.npy", header + labels.tobytes())
    self._stream.finish()

  def close(self) -> None:
    self._stream.close()


class Zip:
  """PNG files and dataset.json, StyleGAN's convention, which `zipped` reads."""

  def __init__(self, path: pathlib.Path, shape: tuple[int, ...], mark: dict[str, Any]):
    self._stream, self._count = ZipStream(path, mark.get("stream", {})), mark.get("count", 0)

  def add(self, examples: Examples) -> None:
    for image in examples:
      self._stream.add(_member_name(self._count), decode.png(image))
      self._count += 1

  def mark(self) -> dict[str, Any]:
    return {"count": self._count, "stream": self._stream.mark()}

  def finish(self, labels: base.Labels | None) -> None:
    self._stream.begin(zipped.LABELS)
    for part in _labels_text(labels, _member_name):
      self._stream.write(part)
    self._stream.end()
    self._stream.finish()

  def close(self) -> None:
    self._stream.close()


WRITERS = {"png": Folder, "npz": Npz, "zip": Zip}


def write_zip(
  path: str | os.PathLike, images: np.ndarray, labels: np.ndarray | None = None
) -> pathlib.Path:
  """Writes images as PNG files of a zip, with dataset.json; whole, or not at all.

  Args:
    path: the file, a .zip, which is written over.
    images: [N, H, W, C] uint8 in 0..255, C = 1 or 3.
    labels: [N] integers from 0 on, or None.

  Returns:
    The path.

  Raises:
    UserError: images or labels are none, the path ends in another suffix, or the file cannot be
      written.
  """
  path = files.expanded_path(path)
  if path.suffix.lower() != ".zip":
    raise UserError(f"{path} is no name of a zip, which is read by its suffix: let it end in .zip")
  images = base.as_images(base.as_array("images", images), "images")
  if labels is not None:
    labels = base.as_labels(base.as_array("labels", labels), len(images), "labels")
  try:
    with tempfile.TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent) as aside:
      writer = Zip(pathlib.Path(aside) / path.name, images.shape, {})
      writer.add(images)
      writer.finish(labels)
      os.replace(pathlib.Path(aside) / path.name, path)
  except OSError as error:
    raise UserError(f"cannot write {path}: {error.strerror or error}") from error
  return path


def _file_name(number: int) -> str:
  return f"{number:06d}.png"


def _member_name(number: int) -> str:
  return f"{number // 1000:05d}/img{number:08d}.png"


def _labels_text(labels: base.Labels | None, name: Any) -> Iterator[bytes]:
  """The parts of dataset.json; `name` gives the name of an image by its number."""
  if labels is None:
    yield b'{"labels": null}'
    return
  yield b'{"labels": ['
  for number, label in enumerate(labels):
    yield (", " if number else "").encode() + json.dumps([name(number), int(label)]).encode()
  yield b"]}"


def _array_header(shape: tuple[int, ...], dtype: np.dtype) -> bytes:
  header = io.BytesIO()
  descr = np.lib.format.dtype_to_descr(dtype)
  fields = {"descr": descr, "fortran_order": False, "shape": shape}
  np.lib.format.write_array_header_1_0(header, fields)
  return header.getvalue()
