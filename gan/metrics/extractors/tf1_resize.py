"""The bilinear resize of TensorFlow 1, by which the FID of papers is computed."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8


def resize(images: UInt8[Array, "n h w c"], size: int) -> Float[Array, "n size size c"]:
  """Returns images of size x size, pixels 0 .. 255, as TensorFlow 1 resizes without align_corners.

  Output i lies at s = i * in / out of the input, in float32, with no shift by half a pixel and no
  filter before: pixel floor(s) and the next, or the last at the edge, are mixed by s - floor(s).

  Args:
    images: of any size.
    size: H and W of the result.
  """
  low, high, share = _places(images.shape[2], size)
  columns = _mixed(
    images[:, :, low].astype(jnp.float32), images[:, :, high].astype(jnp.float32), share[:, None]
  )
  low, high, share = _places(images.shape[1], size)
  return _mixed(columns[:, low], columns[:, high], share[:, None, None])


def _mixed(low, high, share):
  return low + (high - low) * share.reshape((1,) * (low.ndim - share.ndim) + share.shape)


def _places(given: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Of each output the pixels between which it lies, and how far it is from the first."""
  places = np.arange(size, dtype=np.float32) * np.float32(given / size)
  low = np.minimum(places.astype(np.int32), given - 1)
  return low, np.minimum(low + 1, given - 1), places - low.astype(np.float32)
