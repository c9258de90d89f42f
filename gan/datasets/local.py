"""Data sets from the user's own files: IDX, .npz, or images, told apart by what is there."""

import pathlib

from gan.datasets import base, folder, idx, npz, resize
from gan.errors import UserError

FORMS = "the four IDX files, one .npz, images (one sub-folder a class), or a prepared TFDS set"


def load(name: str, split: str, path: pathlib.Path, image_size: int | None) -> base.Dataset:
  """One split of the files at `path`.

  Args:
    name: what to call the set.
    split: a split the files have.
    path: a .npz file, or a folder with IDX files, with one .npz, or with images.
    image_size: side length in pixels; used here only where the files may differ in size.

  Returns:
    Images [N, H, W, C] uint8, square unless image_size says that they will be cut.

  Raises:
    UserError: if nothing can be read there, or as the reader of the form does.
  """
  images, labels, num_classes = _read(path, split, image_size)
  if image_size is None:
    resize.check_square(images, str(path))
  return base.Dataset(name, images, labels, num_classes, str(path))


def _read(path: pathlib.Path, split: str, image_size: int | None):
  if path.is_file():
    if path.suffix != ".npz":
      raise UserError(f"{path} is a file, but no .npz: give that, or a folder with {FORMS}")
    return npz.load(path, split)
  if idx.is_here(path):
    return idx.load(path, split)
  archives = sorted(path.glob("*.npz"))
  if len(archives) > 1:
    names = ", ".join(archive.name for archive in archives)
    raise UserError(f"{path} holds several .npz ({names}): name one of these files")
  return npz.load(archives[0], split) if archives else folder.load(path, split, image_size)
