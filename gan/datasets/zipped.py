"""A zip or folder of images with dataset.json, StyleGAN's convention; `streamed` writes both.

Source: https://github.com/NVlabs/stylegan3, dataset_tool.py. {"labels": [["00000/a.png", 3], ...]}
gives each image the number of its class; null, or no dataset.json, gives none.
"""

import contextlib
import io
import os
import pathlib
from collections.abc import Iterator, Mapping

import numpy as np

from gan.datasets import base, decode, decoded, folder
from gan.errors import UserError
from gan.system import files, schema
from gan.system.archive import Zip

LABELS = "dataset.json"
_NUMBER = schema.whole(0, base.MAX_CLASSES - 1)
_PAIR = schema.Kind(
  f"a pair of a name and {_NUMBER.words}",
  lambda value: (
    isinstance(value, list)
    and len(value) == 2
    and isinstance(value[0], str)
    and _NUMBER.fits(value[1])
  ),
)
_KIND = schema.entries({"labels": schema.nullable(schema.list_of(_PAIR))})


def load(
  path: pathlib.Path, split: str, image_size: int | None
) -> tuple[base.Images, base.Labels | None, int, str]:
  """The images of a zip or folder in the natural order of names, with the labels of dataset.json.

  Names are keys and may have folders in them, which are no classes; nothing is extracted. Where all
  images lie in folders `train` or `test`, and `val`, `valid` or `validation` beside them, each is a
  split; else "train" is everything. Files are read as those of a folder without dataset.json are.

  Args:
    path: the file, or the folder.
    split: a split it has.
    image_size: side length in pixels: the centred square, resized; None takes images as they are.

  Returns:
    Images [N, H, W, C] uint8, labels [N] int32 or None, the number of classes, and a line on what
    was read and what was left out.

  Raises:
    UserError: for another split, a file that is no zip, damaged, encrypted or too large, no image,
      images of several sizes, or labels that are none, or not of every image.
  """
  with _opened(path) as archive:
    names, left_out = _names(archive)
    if not names:
      suffixes = ", ".join(sorted(files.SUFFIXES))
      raise UserError(f"{path} holds no image ({suffixes}){folder.skipped(left_out)}")
    splits = _splits(names)
    base.check_split(split, tuple(splits), str(path))
    labels, unused = _labels(archive, names, path)
    count = base.count_classes(labels, where=str(path))
    rows = splits[split]
    labels = None if labels is None else labels[rows]
    images, notes = decoded.load(_source(archive, [names[i] for i in rows], path, image_size))
  classes = f"{count:,} classes" if labels is not None else f"no classes, by {LABELS}"
  classes = classes if LABELS in archive else f"no classes, for there is no {LABELS}"
  root = path if len(rows) == len(names) else path / split
  return images, labels, count, folder.described(root, notes, classes, left_out + unused)


class _Tree(Mapping):
  """The files of a folder and of those below it, by their names in it, with `/` between folders."""

  def __init__(self, folder: pathlib.Path):
    self._folder = folder

  def __iter__(self) -> Iterator[str]:
    for root, _, names in os.walk(self._folder):
      for name in names:
        yield (pathlib.Path(root) / name).relative_to(self._folder).as_posix()

  def __len__(self) -> int:
    return sum(1 for _ in self)

  def __contains__(self, name: object) -> bool:
    return (self._folder / str(name)).is_file()

  def __getitem__(self, name: str) -> bytes:
    path = self._folder / name
    files.check_ordinary(path)
    with files.readable(path):
      return path.read_bytes()

  def version(self, name: str) -> str:
    """Returns text that changes whenever the file may have changed."""
    return decoded.files_identity([self._folder / name])


def _opened(path: pathlib.Path) -> contextlib.AbstractContextManager[Mapping]:
  is_folder = path.is_dir()
  return (
    contextlib.nullcontext(_Tree(path)) if is_folder else Zip(path, str(path), "a zip of images")
  )


def _names(archive: Mapping) -> tuple[list[str], list[tuple[str, str]]]:
  """The images in their order, and (reason, name) of what else there is."""
  names, left_out = [], []
  for name in sorted(archive, key=folder.natural_order):
    if name == LABELS or name.endswith("/"):
      continue
    if any(map(folder.is_hidden, name.split("/"))):
      left_out.append((folder.HIDDEN, name))
    elif folder.is_image(name):
      names.append(name)
    else:
      left_out.append((folder.NO_IMAGE, name))
  return names, left_out


def _splits(names: list[str]) -> dict[str, list[int]]:
  """Which of the images each split has: as in a folder, "train" has all where none is named."""
  tops = [name.partition("/")[0] if "/" in name else "" for name in names]
  if not {"train", "test"} & set(tops) or not set(tops) <= set(folder.SPLITS):
    return {"train": list(range(len(names)))}
  return {
    split: [i for i, top in enumerate(tops) if top == split]
    for split in folder.SPLITS
    if split in tops
  }


def _labels(
  archive: Mapping, names: list[str], path: pathlib.Path
) -> tuple[base.Labels | None, list[tuple[str, str]]]:
  """The labels of the images, and those of none."""
  if LABELS not in archive:
    return None, []
  where, remedy = f"{LABELS} in {path}", "give each image the number of its class, or null for all"
  pairs = schema.checked(archive[LABELS], _KIND, f"{where} is damaged", remedy)["labels"]
  if pairs is None:
    return None, []
  known = dict(pairs)
  if len(known) < len(pairs):
    raise UserError(f"{where} has several labels of one image: {remedy}")
  if missing := [name for name in names if name not in known]:
    raise UserError(
      f"{where} has no label of {len(missing):,} images ({base.some(missing, 3)}): {remedy}"
    )
  unused = [("a label without an image", name) for name in known.keys() - set(names)]
  return np.array([known[name] for name in names], np.int32), sorted(unused)


def _source(
  archive: Mapping, names: list[str], path: pathlib.Path, image_size: int | None
) -> decoded.Source:
  def name(number):
    return f"{base.some([names[number]], 1)} in {path}"

  def read(numbers):
    for i in numbers:
      yield decode.read(io.BytesIO(archive[names[i]]), name(i), image_size)

  def identity():
    sums = (f"{name}\0{archive.version(name)}" for name in names)
    return decoded.files_identity([path], image_size, *sums)

  return decoded.Source(str(path), len(names), read, name, identity)
