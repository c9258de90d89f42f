"""From image files to arrays of 8 bits."""

import io
import pathlib
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from gan.datasets import resize
from gan.errors import UserError
from gan.system import files

if TYPE_CHECKING:
  from PIL import Image

_GREY = {"1", "L", "LA"}
_COLOUR = {"RGB", "RGBA", "P", "CMYK", "YCbCr"}

# What of a file its pixels do not show: a bit each.
_ALPHA, _SEVERAL = 1, 2
_REMARKS = {
  _ALPHA: "with transparency, which is dropped",
  _SEVERAL: "with several pictures, of which the first is taken",
}


def read(
  file: pathlib.Path | io.BufferedIOBase, name: str, image_size: int | None
) -> tuple[UInt8[np.ndarray, "h w c"], int]:
  """The pixels of an image file, turned as its EXIF orientation says.

  Args:
    file: as for `files.image`.
    name: what to call it in an error.
    image_size: side length in pixels: the centred square, resized; None for the image as it is.

  Returns:
    The pixels, and a number for `remarks`.
  """
  from PIL import ImageOps

  with files.image(file, name) as picture:
    ImageOps.exif_transpose(picture, in_place=True)
    image = pixels(picture, name)
    several = getattr(picture, "is_animated", False)
    note = _ALPHA * picture.has_transparency_data + _SEVERAL * several
  return image if image_size is None else resize.fit(image, image_size), note


def remarks(notes: np.ndarray) -> str:
  """Of how many images the pixels do not show everything, in words, each after a semicolon."""
  counts = {words: np.count_nonzero(notes & bit) for bit, words in _REMARKS.items()}
  return "".join(f"; {count:,} {words}" for words, count in counts.items() if count)


def pixels(
  picture: "Image.Image", where: str, channels: int | None = None
) -> UInt8[np.ndarray, "h w c"]:
  """The pixels of an open image; palettes become colour, transparency is dropped.

  Args:
    picture: as `files.image` opens it.
    where: what to call it in an error.
    channels: 1 for grey, 3 for colour, or None for what the picture has.

  Returns:
    [H, W, C] uint8.

  Raises:
    UserError: if it has more than 8 bits a channel, or channels of another meaning.
  """
  if picture.mode not in _GREY | _COLOUR:
    raise UserError(f"{where} has the mode {picture.mode}: use 8-bit grey or colour images")
  grey = picture.mode in _GREY if channels is None else channels == 1
  array = np.asarray(picture.convert("L" if grey else "RGB"))
  return array[..., None] if grey else array


def png(image: UInt8[np.ndarray, "h w c"]) -> bytes:
  """A PNG file of an image, grey or colour."""
  from PIL import Image

  encoded = io.BytesIO()
  Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(encoded, format="png")
  return encoded.getvalue()
