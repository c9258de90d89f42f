"""What every source of data returns, and what all of them share: splits, checks, sizes."""

import hashlib
import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, UInt8

from gan.errors import UserError
from gan.system import files

Images = UInt8[np.ndarray, "n h w c"]
Labels = Int32[np.ndarray, " n"]

# Numbers of files or users are no classes; ImageNet-21k, the largest set in use, has 21,841. A part
# of a set keeps the classes of the whole, however small it is: ImageNet's are 1000.
MAX_CLASSES = 100_000
CLASSES_OF_FEW = 1000

_SPLIT = re.compile(r"(?P<name>\w+)(\[(?P<start>\d+)?:(?P<stop>\d+)?\])?")


class Asked(NamedTuple):
  """The arguments of `datasets.load`; `data_dir` as an absolute path, or None."""

  dataset: str
  split: str
  data_dir: str | None
  image_size: int | None


class Dataset(NamedTuple):
  """One split of a data set; images may be mapped into memory from a file.

  Attributes:
    name: what the arrays really hold ("mnist", "digits"), never "auto"; a label, not to be parsed.
    images: [N, H, W, C] uint8 in 0..255 with C = 1 or 3; for points [N, 2] float32.
    labels: [N] int32 in 0..num_classes - 1, or None.
    num_classes: 0 without labels.
    source: one line, the path or the TFDS version the arrays came from.
    notice: a line the user has to see, such as that another set stands in; "" for none.
    class_names: the name of each class, or () where they have none.
    part_of: the published set of which the arrays are a part, "" for a whole set and one's own.
    path: of the files, absolute, where they can be read again by `data_dir`; "" for no files.
    asked: what was asked for; None where the arrays did not come from `datasets.load`.

  Examples:
    >>> import gan, numpy as np
    >>> images, labels = np.zeros((10, 8, 8, 1), np.uint8), np.arange(10, dtype=np.int32) % 2
    >>> dataset = gan.Dataset("blank", images, labels, num_classes=2, source="made here")
    >>> dataset.kind, gan.datasets.load("ring").images.shape[1:]
    ('blank', (2,))
  """

  name: str
  images: Images | Float32[np.ndarray, "n 2"]
  labels: Labels | None
  num_classes: int
  source: str
  notice: str = ""
  class_names: tuple[str, ...] = ()
  part_of: str = ""
  path: str = ""
  asked: Asked | None = None

  @property
  def kind(self) -> str:
    """The name of the set, whether this is all of it or a part."""
    return self.part_of or self.name


class UnavailableError(UserError):
  """The data set was not supplied and cannot be fetched; nothing that was supplied is broken."""


class UnknownError(UserError):
  """No source has a data set of this name; the message is a hint at the next best name, or ""."""


def absolute(path: str | os.PathLike) -> str:
  """The path as it is found from anywhere; links stay."""
  return str(files.expanded_path(path).absolute())


def digest(dataset: Dataset) -> str:
  """Returns 16 hexadecimal digits that name the images and labels of a data set."""
  content = hashlib.sha256(np.ascontiguousarray(dataset.images).data)
  content.update(b"" if dataset.labels is None else np.ascontiguousarray(dataset.labels).data)
  return content.hexdigest()[:16]


def parse_split(split: str) -> tuple[str, slice]:
  """Splits "train[:50000]" into its name and its window.

  Args:
    split: a name, or a name with a window of example numbers, as in tensorflow-datasets.

  Returns:
    The name, and a slice with bounds >= 0 or None.

  Raises:
    UserError: if it is neither.
  """
  match = _SPLIT.fullmatch(split)
  if match is None:
    raise UserError(
      f"unknown split {split!r}: use train, test, or a window such as train[:50000] or "
      "train[50000:]"
    )
  start, stop = (int(match[side]) if match[side] else None for side in ("start", "stop"))
  return match["name"], slice(start, stop)


def check_split(split: str, choices: tuple[str, ...], where: str) -> None:
  """Raises UserError, naming the choices, where `split` is not among them."""
  if split not in choices:
    raise UserError(
      f"unknown split {split!r}: {where} has {', '.join(choices)}; windows such as "
      f"{choices[0]}[:1000] work on each"
    )


def window(dataset: Dataset, part: slice) -> Dataset:
  """The examples of `dataset` inside `part`.

  Args:
    dataset: a whole split.
    part: bounds >= 0 or None; an end beyond the last example is cut there, as in TFDS.

  Returns:
    The same data set with fewer examples; num_classes stays that of the whole.

  Raises:
    UserError: if nothing is left.
  """
  images = dataset.images[part]
  if not len(images):
    raise UserError(
      f"the window [{part.start or 0}:{'' if part.stop is None else part.stop}] holds no example: "
      f"this split of {dataset.name} has {len(dataset.images)}"
    )
  labels = None if dataset.labels is None else dataset.labels[part]
  return dataset._replace(images=images, labels=labels)


def check(dataset: Dataset, where: str) -> None:
  """Raises UserError where the arrays of a data set are not as Dataset says.

  Args:
    dataset: as a loader returned it.
    where: what to call it in an error.
  """
  images, labels, classes = dataset.images, dataset.labels, dataset.num_classes
  points = images.ndim == 2 and images.dtype == np.float32 and np.isfinite(images).all()
  if not (points or (images.ndim == 4 and images.dtype == np.uint8)) or not len(images):
    raise UserError(
      f"{where} returned images {images.dtype} {list(images.shape)}: it must return uint8 "
      "[N, H, W, C], or finite float32 points [N, 2]"
    )
  if labels is None:
    return
  labels = as_labels(labels, len(images), f"labels of {where}")
  if labels.max() >= classes:
    raise UserError(f"{where} returned label {labels.max()}, and num_classes={classes}")


def as_array(where: str, rows: Any) -> np.ndarray:
  """Returns rows as one array; UserError where they are not of one size.

  Args:
    where: what to call them in an error.
    rows: an array, or what can be one.
  """
  if isinstance(rows, Dataset):
    raise UserError(f"{where} are a gan.Dataset: give its `images`, and its labels as `labels`")
  if np.ma.is_masked(rows):
    raise UserError(f"{where} have a mask, which nothing here reads: fill or drop what it hides")
  try:
    return np.asarray(rows)
  except ValueError as error:
    raise UserError(f"{where} are not all of one size: give one array of them") from error


def as_images(array: np.ndarray, where: str) -> Images:
  """Checks an array of images and gives grey ones their channel axis.

  Args:
    array: [N, H, W] or [N, H, W, C].
    where: what to call the array in an error.

  Returns:
    [N, H, W, C] uint8, C = 1 or 3, N >= 1.

  Raises:
    UserError: for another dtype or shape, or no image.
  """
  if array.dtype != np.uint8:
    raise UserError(f"{where} is {array.dtype}: images must be uint8 in 0..255")
  images = array[..., None] if array.ndim == 3 else array
  if images.ndim != 4 or images.shape[-1] not in (1, 3):
    raise UserError(
      f"{where} has shape {list(array.shape)}: images must be [N, H, W] or [N, H, W, C] with C = 1 "
      "or 3 last"
    )
  if not images.size:
    raise UserError(f"{where} holds no image: its shape is {list(array.shape)}")
  return images


def as_labels(array: np.ndarray, count: int, where: str) -> Labels:
  """Checks the labels of some images.

  Args:
    array: [N] or [N, 1], integers >= 0.
    count: N, how many images there are.
    where: what to call the labels in an error.

  Returns:
    [N] int32.

  Raises:
    UserError: for another dtype, shape, length, a label below 0, or one of MAX_CLASSES or more.
  """
  # NumPy counts spans of time among the integers.
  if array.dtype.kind not in "iu":
    raise UserError(f"{where} is {array.dtype}: labels must be integers")
  if array.shape not in ((count,), (count, 1)):
    raise UserError(
      f"{where} has shape {list(array.shape)} beside {count} images: give one label an image"
    )
  if array.min(initial=0) < 0:
    raise UserError(f"{where} holds {array.min()}: labels count from 0")
  if array.max(initial=0) >= MAX_CLASSES:
    raise UserError(
      f"{where} holds {array.max()}: labels number the classes 0, 1, 2, ..., below {MAX_CLASSES:,}"
    )
  return array.reshape(-1).astype(np.int32)


def count_classes(*labels: np.ndarray | None, where: str = "the labels") -> int:
  """One more than the highest label of all arrays; 0 where none has labels.

  Args:
    *labels: of each split, [N] integers >= 0, or None.
    where: what to call them in an error.

  Raises:
    UserError: if that is more than `check_classes` lets pass.
  """
  arrays = [array for array in labels if array is not None and len(array)]
  count = max((int(array.max()) + 1 for array in arrays), default=0)
  check_classes(count, sum(map(len, arrays)), where)
  return count


def check_classes(count: int, examples: int, where: str) -> None:
  """Raises UserError for more classes than examples, and than CLASSES_OF_FEW, or MAX_CLASSES."""
  limit = min(max(examples, CLASSES_OF_FEW), MAX_CLASSES)
  if count > limit:
    raise UserError(
      f"{where}: {count:,} classes of {examples:,} examples; at most {limit:,} can be: number the "
      "classes 0, 1, 2, ... without gaps"
    )


def empty_classes(dataset: Dataset) -> str:
  """A line on the classes of a data set that have no example; "" where all have."""
  if dataset.labels is None:
    return ""
  counts = np.bincount(dataset.labels, minlength=dataset.num_classes)
  empty = [
    dataset.class_names[i] if dataset.class_names else i for i in np.flatnonzero(counts == 0)
  ]
  if not empty:
    return ""
  return (
    f"{dataset.name} has no example of {len(empty):,} of its {dataset.num_classes:,} classes: "
    f"{some(empty, 20)}"
  )


def add_notice(dataset: Dataset, line: str) -> Dataset:
  """The data set with one more thing in its notice; `line` may be empty."""
  return dataset._replace(notice="; ".join(filter(None, (dataset.notice, line))))


def some(names: Sequence, count: int) -> str:
  """Returns the first `count` names by commas, and the number of the others."""
  shown = (str(name) if str(name).isprintable() else ascii(name) for name in names[:count])
  more = f" and {len(names) - count:,} more" if len(names) > count else ""
  return ", ".join(shown) + more
