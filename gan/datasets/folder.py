"""Folders of image files."""

import pathlib

import numpy as np

from gan.datasets import base, resize
from gan.errors import UserError

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_SPLITS = ("train", "test")
_GREY = {"1", "L", "LA"}
_COLOUR = {"RGB", "RGBA", "P", "CMYK", "YCbCr"}


def load(
  folder: pathlib.Path, split: str, image_size: int | None
) -> tuple[base.Images, base.Labels | None, int]:
  """One split of a folder of images, in the order of their sorted names.

  A sub-folder is a class, numbered in the order of sorted names; a flat folder has no labels. With
  sub-folders `train` and `test` each is one split; without, "train" is everything and there is no
  other. Grey files stay grey, palettes become colour, transparency is dropped.

  Args:
    folder: holds images, or one sub-folder a class, or `train` and `test` of either.
    split: "train" or "test".
    image_size: side length in pixels: the centred square, resized; None takes the files as they
      are, which must then have one size.

  Returns:
    Images [N, H, W, C] uint8, labels [N] int32 or None, and the number of classes.

  Raises:
    UserError: for another split, no image, a file that is none, or sizes or modes that differ.
  """
  roots = {name: folder / name for name in _SPLITS if (folder / name).is_dir()} or {"train": folder}
  base.check_split(split, tuple(roots), str(folder))
  classes = sorted({path.name for root in roots.values() for path in _classes(root)})
  files = _files(roots[split])
  images = np.stack(_same([_read(path, image_size) for path in files], files))
  if not classes:
    return images, None, 0
  labels = np.array([classes.index(path.parent.name) for path in files], np.int32)
  return images, labels, len(classes)


def _classes(root: pathlib.Path) -> list[pathlib.Path]:
  return [path for path in root.iterdir() if path.is_dir() and _images(path)]


def _images(folder: pathlib.Path) -> list[pathlib.Path]:
  return sorted(
    path
    for path in folder.iterdir()
    if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
  )


def _files(root: pathlib.Path) -> list[pathlib.Path]:
  loose, classes = _images(root), sorted(_classes(root))
  if loose and classes:
    raise UserError(
      f"{root} holds images both loose ({loose[0].name}) and in sub-folders ({classes[0].name}): "
      "put all in one folder a class, or none"
    )
  files = loose or [path for folder in classes for path in _images(folder)]
  if not files:
    raise UserError(f"{root} holds no image ({', '.join(sorted(SUFFIXES))})")
  return files


def _read(path: pathlib.Path, image_size: int | None) -> np.ndarray:
  from PIL import Image

  try:
    with Image.open(path) as picture:
      if picture.mode not in _GREY | _COLOUR:
        raise UserError(f"{path} has the mode {picture.mode}: use 8-bit grey or colour images")
      pixels = np.asarray(picture.convert("L" if picture.mode in _GREY else "RGB"))
  # Pillow's decoders raise all of these on damaged files.
  except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
    raise UserError(f"cannot read {path} as an image: {error}") from error
  image = pixels[..., None] if pixels.ndim == 2 else pixels
  return image if image_size is None else resize.fit(image, image_size)


def _same(images: list[np.ndarray], files: list[pathlib.Path]) -> list[np.ndarray]:
  first = images[0].shape
  for image, path in zip(images, files, strict=True):
    if image.shape[2] != first[2]:
      raise UserError(
        f"{files[0]} and {path} differ in mode, grey and colour: convert all to one of them"
      )
    if image.shape != first:
      raise UserError(
        f"{files[0]} is {first[0]}x{first[1]} and {path} {image.shape[0]}x{image.shape[1]}: give "
        "image_size to bring them to one size"
      )
  return images
