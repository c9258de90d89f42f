"""Data sets: `load(name, split)` gives uint8 images or 2-D points, as one array."""

import functools
from collections.abc import Callable

from gan.datasets import auto, base, digits, grid, named, resize, ring, stacked_mnist
from gan.datasets.base import Dataset, digest
from gan.datasets.streamed import write_zip
from gan.errors import UserError
from gan.system.schema import Kind, check_made

__all__ = ["DATASETS", "Dataset", "digest", "load", "write_zip"]

DATASETS: dict[str, Callable[..., Dataset]] = {
  "auto": auto.load,
  "celeb_a": functools.partial(named.load, "celeb_a"),
  "cifar10": functools.partial(named.load, "cifar10"),
  "digits": digits.load,
  "fashion_mnist": functools.partial(named.load, "fashion_mnist"),
  "grid": grid.load,
  "imagenet_resized/32x32": functools.partial(named.load, "imagenet_resized/32x32"),
  "imagenet_resized/64x64": functools.partial(named.load, "imagenet_resized/64x64"),
  "images": named.load_images,
  "mnist": functools.partial(named.load, "mnist"),
  "ring": ring.load,
  "stacked_mnist": stacked_mnist.load,
}

_DATASET = Kind("a gan.datasets.Dataset", lambda it: isinstance(it, Dataset))


def load(
  name: str, split: str = "train", data_dir: str | None = None, image_size: int | None = None
) -> Dataset:
  """One split of a data set, or a window of it.

  Args:
    name: a key of DATASETS, a folder in GAN_DATA_DIR, an image set of tensorflow-datasets, or any
      name for the files in `data_dir`.
    split: "train", "test", or a window such as "train[:50000]"; others where the set has them.
    data_dir: where the files are, see `named.load`; sets that are generated or bundled ignore it.
    image_size: side length in pixels: each image's centred square, resized; None leaves them.

  Returns:
    Images [N, H, W, C] uint8 in 0..255, or points [N, 2] float32, with labels where there are any.

  Raises:
    UserError: one line that says what is wrong, what there is, and what to do.
  """
  resize.check_size(image_size)
  whole, part = base.parse_split(split)
  loader = DATASETS.get(name) or functools.partial(named.load, name)
  where = f"DATASETS[{name!r}]"
  of_split = check_made(loader(whole, data_dir, image_size), _DATASET, where)
  base.check(of_split, where)
  dataset = base.window(of_split, part)
  if _is_own(dataset.name):
    # A small window of a known set has not all its classes, and need not.
    counted = dataset if _is_own(name) else of_split
    dataset = base.add_notice(dataset, base.empty_classes(counted))
  asked = base.Asked(name, split, data_dir and base.absolute(data_dir), image_size)
  dataset = dataset._replace(asked=asked)
  if image_size is None:
    return dataset
  if dataset.images.ndim == 2:
    raise UserError(f"image_size is {image_size}, but {name} holds points: leave image_size out")
  return dataset._replace(images=resize.resize(dataset.images, image_size))


def _is_own(name: str) -> bool:
  """Whether a set of this name is the user's, of which the classes are not known beforehand."""
  return name == "images" or name not in DATASETS
