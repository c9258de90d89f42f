"""Square images of one size, by Pillow's bilinear filter."""

import numpy as np
from jaxtyping import UInt8

from gan.datasets import base
from gan.errors import UserError
from gan.system import memory


def check_size(image_size: int | None) -> None:
  """Raises UserError unless `image_size` is None or a side length in pixels, >= 1."""
  if image_size is not None and image_size < 1:
    raise UserError(f"image_size is {image_size}: give a side length in pixels, 1 or more")
  if image_size is not None:
    # Resampled in floating point, beside its original.
    memory.require(16 * image_size**2, f"an image of {image_size:,} pixels a side", "image_size")


def fit(image: np.ndarray, size: int) -> np.ndarray:
  """One image as a square: the largest centred square, resampled.

  Pillow widens its bilinear filter when it shrinks an image, so nothing aliases.

  Args:
    image: [H, W, C] uint8, C = 1 or 3.
    size: side length in pixels.

  Returns:
    [size, size, C] uint8.
  """
  from PIL import Image, ImageOps

  if image.shape[:2] == (size, size):
    return image
  picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
  square = ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR)
  return np.asarray(square).reshape(size, size, image.shape[-1])


def resize(images: base.Images, size: int) -> UInt8[np.ndarray, "n {size} {size} c"]:
  """All images as squares, by `fit`; returned as they are where they have that size.

  Args:
    images: [N, H, W, C] uint8.
    size: side length in pixels.

  Returns:
    [N, size, size, C] uint8.
  """
  if images.shape[1:3] == (size, size):
    return images
  room = len(images) * size**2 * images.shape[-1]
  memory.require(room, f"{len(images):,} images of {size:,} pixels a side", "image_size")
  return np.stack([fit(image, size) for image in images])


def check_square(images: np.ndarray, where: str) -> None:
  """Raises UserError, saying what to do, where images [N, H, W, C] are not square."""
  height, width = images.shape[1:3]
  if height != width:
    raise UserError(
      f"the images of {where} are {height}x{width}, not square: give `image_size` to crop the "
      "centre and resize"
    )
