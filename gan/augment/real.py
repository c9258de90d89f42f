"""What is done to the real images of a step: drawn anew each time that an image is seen."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

Images = Float[Array, "b h w c"]
Keys = Key[Array, " b"]


def mirror(images: Images, keys: Keys) -> Images:
  """Flips each image from left to right with probability 1/2.

  Args:
    images: [B, H, W, C].
    keys: [B], one for each image.
  """
  flipped = jax.vmap(jax.random.bernoulli)(keys)
  return jnp.where(flipped.reshape(-1, 1, 1, 1), images[:, :, ::-1], images)


def crop(images: Images, keys: Keys, padding: int) -> Images:
  """Shifts each image by up to `padding` pixels a direction; what it uncovers is its reflection.

  Args:
    images: [B, H, W, C].
    keys: [B], one for each image.
    padding: pixels, below H and W.
  """
  sides = ((0, 0), (padding, padding), (padding, padding), (0, 0))
  padded = jnp.pad(images, sides, mode="reflect")

  def cut(image: Float[Array, "p q c"], key: Key[Array, ""]) -> Float[Array, "h w c"]:
    row, column = jax.random.randint(key, (2,), 0, 2 * padding + 1)
    return jax.lax.dynamic_slice(image, (row, column, 0), images.shape[1:])

  return jax.vmap(cut)(padded, keys)


def dequantize(images: Images, keys: Keys, image_range: tuple[float, float]) -> Images:
  """Spreads the 256 levels x of a pixel evenly, (x + u) / 256 with u ~ U(0, 1).

  In the range (-1, 1) it is x / 128 - 1 + U(0, 1 / 128), as in the code of "Spectral Normalization
  for Generative Adversarial Networks" by Miyato et al. (https://arxiv.org/abs/1802.05957).

  Args:
    images: [B, H, W, C], level x at low + (high - low) x / 255.
    keys: [B], one for each image.
    image_range: (low, high).
  """
  low, high = image_range
  noise = jax.vmap(lambda key: jax.random.uniform(key, images.shape[1:]))(keys)
  return low + (images - low) * (255 / 256) + noise * ((high - low) / 256)


def make_prepare(
  mirrored: bool, padding: int, dequantized: bool, image_range: tuple[float, float]
) -> Callable[[Images, Keys], Images] | None:
  """Returns what is done to real images, one after the other; None for nothing.

  Args:
    mirrored: whether images are mirrored at random.
    padding: pixels at each side before a random crop; 0 for no crop.
    dequantized: whether noise of one grey level is added.
    image_range: of the model.
  """
  if not (mirrored or padding or dequantized):
    return None

  def prepare(images: Images, keys: Keys) -> Images:
    for_mirror, for_crop, for_levels = jax.vmap(lambda key: jax.random.split(key, 3))(keys).T
    images = mirror(images, for_mirror) if mirrored else images
    images = crop(images, for_crop, padding) if padding else images
    return dequantize(images, for_levels, image_range) if dequantized else images

  return prepare
