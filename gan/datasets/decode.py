"""From image files to arrays of 8 bits."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from gan.errors import UserError

if TYPE_CHECKING:
  from PIL import Image

_GREY = {"1", "L", "LA"}
_COLOUR = {"RGB", "RGBA", "P", "CMYK", "YCbCr"}


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
