"""NumPy archives with images and labels."""

import pathlib

from gan.datasets import base
from gan.errors import UserError
from gan.system.archive import Archive

_KEYS = (("{}_images", "{}_labels"), ("x_{}", "y_{}"))
_UNSPLIT = ("images", "labels")
_FORMS = (
  "train_images/test_images (and _labels), x_train/x_test (and y_), images (and labels), or one "
  "array alone, which is the images"
)


def load(path: pathlib.Path, split: str) -> tuple[base.Images, base.Labels | None, int, str]:
  """One split of an archive.

  Args:
    path: a .npz file with the keys `train_images`, `train_labels` (and `test_`); or, as Keras
      names them, `x_train`, `y_train` (and `_test`); or `images` and `labels`, which is one split,
      "train". Labels may be left out. An array alone, of any other key, is the images of "train".
    split: a split the archive has.

  Returns:
    Images [N, H, W, C] uint8, labels [N] int32 or None, the number of classes in all splits, and a
    line that names the arrays that belong to no split, or "".

  Raises:
    UserError: for another split, an unreadable file, other keys, dtypes or shapes, and labels of
      any split that are none.
  """
  with Archive(path, str(path)) as archive:
    return _arrays(archive, path, split)


def _arrays(archive: Archive, path: pathlib.Path, split: str):
  splits = _splits(archive)
  if not splits:
    raise UserError(f"{path} has the keys {', '.join(archive) or '(none)'}: it needs {_FORMS}")
  base.check_split(split, tuple(splits), str(path))
  images_key, labels_key = splits[split]
  images = base.as_images(archive[images_key], f"{images_key} in {path}")
  notice = _unread(archive, splits, path)
  if labels_key not in archive:
    return images, None, 0, notice
  # Those of the other splits number the same classes.
  labels = {
    name: _labels(archive, path, *keys) for name, keys in splits.items() if keys[1] in archive
  }
  return images, labels[split], base.count_classes(*labels.values(), where=str(path)), notice


def _labels(archive: Archive, path: pathlib.Path, images_key: str, labels_key: str) -> base.Labels:
  count = next(iter(archive.shape(images_key)), 0)
  return base.as_labels(archive[labels_key], count, f"{labels_key} in {path}")


def _unread(archive: Archive, splits: dict[str, tuple[str, str]], path: pathlib.Path) -> str:
  others = [key for key in archive if key not in {key for keys in splits.values() for key in keys}]
  return f"{path}: {base.some(others, 5)} not read; keys are {_FORMS}" if others else ""


def _splits(archive: Archive) -> dict[str, tuple[str, str]]:
  if _UNSPLIT[0] in archive:
    return {"train": _UNSPLIT}
  keys = (
    (split, i.format(split), k.format(split)) for i, k in _KEYS for split in ("train", "test")
  )
  splits = {split: (images, labels) for split, images, labels in keys if images in archive}
  alone = {"train": (next(iter(archive)), _UNSPLIT[1])} if len(archive) == 1 else {}
  return splits or alone
