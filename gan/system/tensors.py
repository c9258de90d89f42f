"""Files of weights of other libraries: arrays by their names, with nothing of a file run."""

import hashlib
import os
import pathlib

import numpy as np

from gan.errors import UserError
from gan.system import safetensors, torch_file
from gan.system.archive import Archive, Zip
from gan.system.files import check_ordinary, readable

MAX_BYTES = 2**33  # of a file, and of what it holds: several times what a network here has
_ZIP = b"PK\x03\x04"


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
  """Returns the arrays of a file of weights, read-only.

  By its content it is a state dict of PyTorch (.pth, .pt), safetensors, or .npz of NumPy.

  Args:
    path: the file.

  Raises:
    UserError: it cannot be read, is none of these, is damaged, or asks for code to be run.
  """
  path = pathlib.Path(path)
  check_ordinary(path)
  try:
    with readable(path):
      return _read(path)
  # NumPy and the parser of pickles add their own to ours.
  except (ValueError, ArithmeticError, LookupError, TypeError) as error:
    reason = str(error).split("\n")[0] or type(error).__name__
    raise UserError(
      f"cannot read {path} as weights: {reason}; download or write it again"
    ) from error


def digest(path: str | os.PathLike) -> str:
  """Returns the first 12 digits of a file's SHA-256, which name its weights in records."""
  with readable(pathlib.Path(path)), open(path, "rb") as stream:
    return hashlib.file_digest(stream, "sha256").hexdigest()[:12]


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
  size = path.stat().st_size
  if size > MAX_BYTES:
    raise ValueError(f"it has {size:,} bytes, and at most {MAX_BYTES:,} are read")
  with open(path, "rb") as stream:
    head = stream.read(len(torch_file.EARLIER))
    stream.seek(0)
    if head == torch_file.EARLIER:
      return torch_file.read_earlier(stream)
    if head[8:9] == b"{":
      return safetensors.read(stream, size)
  if head.startswith(_ZIP):
    return _unzipped(path, size)
  raise ValueError(
    "it is no state dict of PyTorch, no safetensors and no .npz; of a model, save "
    "model.state_dict() by torch.save"
  )


def _unzipped(path: pathlib.Path, size: int) -> dict[str, np.ndarray]:
  with Zip(path, str(path), "weights") as archive:
    if torch_file.is_archive(list(archive)):
      return torch_file.read_archive(archive, size)
  with Archive(path, str(path)) as archive:
    if sum(map(archive.size, archive)) > MAX_BYTES:
      raise ValueError(f"it holds more than {MAX_BYTES:,} bytes")
    return {name: archive[name] for name in archive}
