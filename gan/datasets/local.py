"""Data sets from the user's own files: IDX, .npz, .zip, or images, told apart by what is there."""

import pathlib

from gan.datasets import base, folder, idx, npz, resize, zipped
from gan.errors import UserError
from gan.system import files

FORMS = (
  "the four IDX files, one .npz or .zip, images (one sub-folder a class), or a prepared TFDS set"
)
ARCHIVES = "a .npz, or a .zip of images"


def load(name: str, split: str, path: pathlib.Path, image_size: int | None) -> base.Dataset:
  """One split of the files at `path`.

  Args:
    name: what to call the set.
    split: a split the files have.
    path: a .npz, a .zip of images, or a folder with IDX files, with one .npz or one .zip, or with
      images.
    image_size: side length in pixels: each image's centred square, resized; None leaves them.

  Returns:
    Images [N, H, W, C] uint8, square.

  Raises:
    UserError: if nothing can be read there, or as the reader of the form does.
  """
  with files.readable(path):
    dataset = _read(name, split, path, image_size)
  if image_size is None:
    resize.check_square(dataset.images, str(path))
    return dataset
  return dataset._replace(images=resize.resize(dataset.images, image_size))


def _read(name, split, path, image_size) -> base.Dataset:
  if not path.is_dir():
    return _from_archive(name, split, path, str(path), image_size)
  idx_files, archives = idx.is_here(path), _archives(path, ".npz")
  if not (idx_files or archives):
    zips = _archives(path, ".zip")
    # Images beside a zip may be what was taken out of it.
    archives = [] if zips and folder.has_images_below(path) else zips
  if not (idx_files or archives) and (path / zipped.LABELS).is_file():
    images, labels, count, notice = zipped.load(path, split, image_size)
    return base.Dataset(name, images, labels, count, str(path), notice)
  if not (idx_files or archives):
    images, labels, names, notice = folder.load(path, split, image_size)
    return base.Dataset(name, images, labels, len(names), str(path), notice, names)
  if idx_files:
    dataset = base.Dataset(name, *idx.load(path, split), str(path))
  else:
    if len(archives) > 1:
      names = ", ".join(archive.name for archive in archives)
      kind = archives[0].suffix.lower()
      raise UserError(f"{path} holds several {kind} ({names}): name one of these files")
    dataset = _from_archive(name, split, archives[0], str(path), image_size)
  return base.add_notice(dataset, _left_out(path, idx_files, archives))


def _archives(path: pathlib.Path, suffix: str) -> list[pathlib.Path]:
  found = (file for file in path.iterdir() if not folder.is_hidden(file.name))
  return sorted(file for file in found if file.suffix.lower() == suffix)


def _from_archive(name, split, path, source, image_size) -> base.Dataset:
  files.check_ordinary(path)
  suffix = path.suffix.lower()
  if suffix not in (".npz", ".zip"):
    raise UserError(
      f"{path} is a file, but no .npz or .zip: give {ARCHIVES}, or a folder with {FORMS}"
    )
  read = zipped.load(path, split, image_size) if suffix == ".zip" else npz.load(path, split)
  images, labels, count, notice = read
  return base.Dataset(name, images, labels, count, source, notice)


def _left_out(path, idx_files, archives) -> str:
  """A line where a folder holds data in another form than the one that was read."""
  others = ["an .npz"] * bool(idx_files and archives) + ["images"] * folder.has_images(path)
  read = "the IDX files" if idx_files else archives[0].name
  return f"{path}: {read} of it; {' and '.join(others)} beside left out" if others else ""
