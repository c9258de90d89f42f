"""Folders of image files."""

import collections
import os
import pathlib
import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from gan.datasets import base, decode, decoded
from gan.errors import UserError
from gan.system import files

SPLITS = ("train", "test", "val", "valid", "validation")
HIDDEN = "hidden"
NO_IMAGE = "no suffix of an image"
_NO_IMAGES = "a folder without images"


class Read(NamedTuple):
  """One split of a folder.

  Attributes:
    images: [N, H, W, C] uint8.
    labels: [N] int32, or None for a flat folder.
    class_names: the names of the sub-folders, by label; () for a flat folder.
    notice: a line on what was read and what was left out.
  """

  images: base.Images
  labels: base.Labels | None
  class_names: tuple[str, ...]
  notice: str


class _Listing(NamedTuple):
  """What a folder holds, in natural order; `left_out` are pairs (reason, name)."""

  images: list[pathlib.Path]
  folders: list[pathlib.Path]
  left_out: list[tuple[str, str]]


class _Split(NamedTuple):
  """The files of a split by class, or under the name "" where there are none."""

  root: pathlib.Path
  files: dict[str, list[pathlib.Path]]
  left_out: list[tuple[str, str]]


def load(folder: pathlib.Path, split: str, image_size: int | None) -> Read:
  """One split of a folder of images, in the natural order of their names: 2 before 10.

  A sub-folder is a class, numbered in natural order; a flat folder has no labels. With sub-folders
  `train` or `test` each is one split, and so are `val`, `valid` and `validation` beside them;
  without, "train" is everything and there is no other. Hidden names and `__MACOSX` are passed over.
  Grey files stay grey, palettes become colour, transparency is dropped, and images are turned as
  their EXIF orientation says.

  Args:
    folder: holds images, or one sub-folder a class, or `train` and `test` of either.
    split: a split the folder has.
    image_size: side length in pixels: the centred square, resized; None takes the files as they
      are, which must then have one size.

  Returns:
    The split, with a notice.

  Raises:
    UserError: for another split, no image, a file that is none, images where no class can be told,
      or sizes or modes that differ.
  """
  roots, left_out = _roots(folder)
  base.check_split(split, tuple(roots), str(folder))
  splits = {name: _split(root) for name, root in roots.items()}
  names = _class_names(splits.values())
  chosen = splits[split]
  paths = [path for name in (names or ("",)) for path in chosen.files.get(name, [])]
  if not paths:
    suffixes = ", ".join(sorted(files.SUFFIXES))
    raise UserError(f"{chosen.root} holds no image ({suffixes}){skipped(chosen.left_out)}")
  images, notes = decoded.load(_source(chosen.root, paths, image_size))
  counts = [len(chosen.files.get(name, [])) for name in names]
  labels = np.repeat(np.arange(len(names), dtype=np.int32), counts) if names else None
  classes = f"{len(names):,} classes ({base.some(names, 20)})" if names else "no classes"
  notice = described(chosen.root, notes, classes, left_out + chosen.left_out)
  return Read(images, labels, names, notice)


def has_images(folder: pathlib.Path) -> bool:
  """Whether there are images where `load` reads them from a folder without splits."""
  here = _list(folder)
  return bool(here.images) or any(_list(path).images for path in here.folders)


def has_images_below(folder: pathlib.Path) -> bool:
  """Whether there are images in a folder or anywhere below it."""
  here = _list(folder)
  return bool(here.images) or any(map(_holds_images, here.folders))


def _holds_images(folder: pathlib.Path) -> bool:
  """Whether an image lies anywhere in `folder`, hidden names aside."""

  def fail(error):
    raise error

  with files.readable(folder):
    for _, folders, names in os.walk(folder, onerror=fail):
      folders[:] = [name for name in folders if not is_hidden(name)]
      if any(is_image(name) for name in names):
        return True
  return False


def natural_order(name: str) -> tuple[str, str]:
  """A key that sorts names with numbers by these: "2" before "10"."""
  return re.sub("[0-9]+", lambda digits: digits[0].zfill(255), name), name


def is_hidden(name: str) -> bool:
  """Whether a file or folder of this name is passed over."""
  return name.startswith(".") or name == "__MACOSX"


def is_image(name: str) -> bool:
  """Whether a file of this name is read."""
  return not is_hidden(name) and pathlib.PurePath(name).suffix.lower() in files.SUFFIXES


def _list(folder: pathlib.Path) -> _Listing:
  listing = _Listing([], [], [])
  with files.readable(folder):
    for path in sorted(folder.iterdir(), key=lambda path: natural_order(path.name)):
      if is_hidden(path.name):
        listing.left_out.append((HIDDEN, path.name))
      elif path.is_dir():
        listing.folders.append(path)
      elif is_image(path.name):
        listing.images.append(path)
      else:
        listing.left_out.append((NO_IMAGE, path.name))
  return listing


def _roots(folder: pathlib.Path) -> tuple[dict[str, pathlib.Path], list[tuple[str, str]]]:
  """The folder of each split, and what lies beside these."""
  here = _list(folder)
  full = [path for path in here.folders if _holds_images(path)]
  roots = {name: folder / name for name in SPLITS if folder / name in full}
  if not {"train", "test"} & roots.keys():
    return {"train": folder}, []
  if beside := [path.name for path in [*full, *here.images] if path not in roots.values()]:
    raise UserError(
      f"{folder} holds {base.some(beside, 3)} beside {' and '.join(roots)}: put classes into a "
      "folder of each split, or, where train and test are classes, all of them into a folder train"
    )
  return roots, here.left_out + _empty(here.folders, full)


def _split(root: pathlib.Path) -> _Split:
  here = _list(root)
  inside = {path: _list(path) for path in here.folders}
  full = [path for path, listing in inside.items() if listing.images]
  for listing in inside.values():
    if deep := [path for path in listing.folders if _holds_images(path)]:
      raise UserError(
        f"{deep[0]} holds images too deep to tell their class: put them into the folder of a "
        f"class, {root / 'CLASS'}, or name the folder above the classes"
      )
  if here.images and full:
    raise UserError(
      f"{root} holds images both loose ({here.images[0].name}) and in sub-folders "
      f"({full[0].name}): put all in one folder a class, or none"
    )
  left_out = here.left_out + _empty(here.folders, full)
  for listing in inside.values():
    left_out += listing.left_out + _empty(listing.folders, [])
  by_class = {path.name: inside[path].images for path in full}
  return _Split(root, {"": here.images} if here.images else by_class, left_out)


def _empty(folders, full) -> list[tuple[str, str]]:
  return [(_NO_IMAGES, path.name) for path in folders if path not in full]


def _class_names(splits: Iterable[_Split]) -> tuple[str, ...]:
  """The names of all splits; () where they are flat."""
  forms = {"" in split.files: split.root for split in splits if split.files}
  if len(forms) == 2:
    raise UserError(f"{forms[False]} has a folder a class and {forms[True]} none: make both alike")
  names = {name for split in splits for name in split.files} - {""}
  if odd := [name for name in names if not name.isprintable()]:
    raise UserError(f"the folder {min(odd)!a} is no name of a class: give it letters and digits")
  return tuple(sorted(names, key=natural_order))


def _source(
  root: pathlib.Path, paths: list[pathlib.Path], image_size: int | None
) -> decoded.Source:
  return decoded.Source(
    str(root),
    len(paths),
    lambda numbers: (decode.read(paths[i], str(paths[i]), image_size) for i in numbers),
    lambda number: str(paths[number]),
    lambda: decoded.files_identity(paths, image_size),
  )


def described(
  root: pathlib.Path, notes: np.ndarray, classes: str, left_out: list[tuple[str, str]]
) -> str:
  """A line on what was read.

  Args:
    root: where.
    notes: [N], of `decode.read`.
    classes: how many there are, in words.
    left_out: pairs (reason, name).
  """
  many = "images" if len(notes) > 1 else "image"
  found = f"{root}: {len(notes):,} {many}, {classes}"
  return found + decode.remarks(notes) + (skipped(left_out) or "; 0 left out")


def skipped(left_out: list[tuple[str, str]]) -> str:
  """What was left out, in words after a semicolon; "" for nothing."""
  if not left_out:
    return ""
  reasons = collections.defaultdict(list)
  for reason, name in left_out:
    reasons[reason].append(name)
  parts = [f"{base.some(names, 3)} ({reason})" for reason, names in reasons.items()]
  return f"; {len(left_out):,} left out: {', '.join(parts)}"
