"""An image set by its name: from the user's files, or from tensorflow-datasets."""

import os
import pathlib
import re

import numpy as np

from gan.datasets import base, local, tfds
from gan.errors import UserError
from gan.system import files

OWN_IMAGES = "the experiment images, which takes their folder as `data_dir`"
_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
# Examples of each class. They tell a part from the whole, and sets with MNIST's file names apart.
_CLASS_SIZES = {
  "mnist": {
    "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
  },
  "fashion_mnist": {"train": [6000] * 10, "test": [1000] * 10},
  "cifar10": {"train": [5000] * 10, "test": [1000] * 10},
}


def load(name: str, split: str, data_dir: str | None, image_size: int | None) -> base.Dataset:
  """The image set `name` from the first place that has it.

  The places are `data_dir`, and nowhere else where it is given; the sub-folder of GAN_DATA_DIR with
  the set's name; TFDS's data folder; a download.

  Args:
    name: a set of tensorflow-datasets, or any name for files of one's own.
    split: a split of the set.
    data_dir: files in one of the forms of `local`, a prepared TFDS set, or a folder of these.
    image_size: side length in pixels of images that do not come in one size; None if they do.

  Returns:
    The split. Where files hold fewer or more examples than the published set, it is `part_of` that,
    is named so, and the notice says so.

  Raises:
    base.UnavailableError: if no place has the set.
    UserError: if the name is unknown, or what was found is damaged or another set.
  """
  if not _NAME.fullmatch(name):
    raise UserError(f"unknown data set {name!r}: a name has letters, digits, _ - . and one /")
  with files.readable(pathlib.Path(data_dir or "")):
    place = _given(name, data_dir) if data_dir else _in_root(name)
    if place is not None:
      return _open(name, split, place, image_size)
  try:
    return tfds.load(name, split, image_size)
  except base.UnknownError as error:
    raise UserError(f"unknown data set {name!r}: {error}{_choices()}") from error
  except base.UnavailableError as error:
    raise base.UnavailableError(
      f"{name} is not at hand: {_root_line(name)}; from tensorflow-datasets: {error}. Supply it by "
      f"`data_dir=FOLDER` with {local.FORMS}; by a folder {name} in GAN_DATA_DIR; or by a network "
      "connection"
    ) from error


def load_images(split: str, data_dir: str | None, image_size: int | None) -> base.Dataset:
  """Images of one's own: all that lies in `data_dir`, whatever it and what is in it are called.

  Args:
    split: a split of the files.
    data_dir: a folder or file in one of the forms of `local`; without it, as `load` of "images".
    image_size: as for `load`.

  Raises:
    UserError: as for `load`.
  """
  if data_dir:
    return _open("images", split, _existing(data_dir), image_size)
  if _in_root("images") is None:
    raise UserError(
      "images are your own, which lie somewhere: name the folder, .npz or .zip by data_dir"
    )
  return load("images", split, None, image_size)


def _given(name: str, data_dir: str) -> pathlib.Path:
  path = _existing(data_dir)
  place = _inside(path, name) or path
  if place.is_dir() and not any(place.iterdir()):
    raise UserError(f"{place} is empty: put {local.FORMS} there")
  return place


def _existing(data_dir: str) -> pathlib.Path:
  path = files.expanded_path(data_dir)
  if not path.exists():
    raise UserError(
      f"data_dir {path} does not exist: give a folder with {local.FORMS}; or {local.ARCHIVES}"
    )
  return path


def _in_root(name: str) -> pathlib.Path | None:
  root = os.environ.get("GAN_DATA_DIR")
  if not root:
    return None
  path = files.expanded_path(root)
  if not path.is_dir():
    raise UserError(f"GAN_DATA_DIR is {path}, which is no folder: correct or unset it")
  return _inside(path, name)


def _inside(root: pathlib.Path, name: str) -> pathlib.Path | None:
  places = (tfds.find(root, name), *(root / f"{name}{end}" for end in ("", ".npz", ".zip")))
  return next((place for place in places if place is not None and place.exists()), None)


def _open(name: str, split: str, place: pathlib.Path, image_size: int | None) -> base.Dataset:
  prepared = tfds.find(place, name)
  if prepared is not None:
    return tfds.read(prepared, name, split, image_size)
  if tfds.is_prepared_folder(place):
    raise UserError(f"{place} is another prepared TFDS set than {name}: name the set that it is")
  dataset = local.load(name, split, place, image_size)
  return _identified(dataset._replace(path=base.absolute(place)), split)


def _identified(dataset: base.Dataset, split: str) -> base.Dataset:
  """Says so where the arrays are a part of the published set, and refuses those of another."""
  name = dataset.name
  sizes = _CLASS_SIZES.get(name, {}).get(split)
  if sizes is None:
    return dataset
  if len(dataset.images) == sum(sizes):
    if dataset.labels is None or np.array_equal(np.bincount(dataset.labels), sizes):
      return dataset
    raise UserError(
      f"{dataset.source} does not hold {name}: its classes have other sizes; name the set that it "
      f"is, or, for images of your own, take {OWN_IMAGES}"
    )
  return base.add_notice(
    dataset._replace(name=f"{name}_subset", part_of=name),
    f"{dataset.source} holds {len(dataset.images)} {split} images where {name} has {sum(sizes)}: "
    f"figures are not comparable with those of {name}; images of your own are for {OWN_IMAGES}",
  )


def _root_line(name: str) -> str:
  root = os.environ.get("GAN_DATA_DIR")
  return f"GAN_DATA_DIR={root} has no {name}" if root else "GAN_DATA_DIR is not set"


def _choices() -> str:
  from gan.datasets import DATASETS

  root = os.environ.get("GAN_DATA_DIR")
  inside = files.expanded_path(root).iterdir() if root else ()
  own = {path.name for path in inside if path.is_dir()}
  return f"choose {', '.join(sorted({*DATASETS, *own}))}, or a name of tensorflow-datasets"
