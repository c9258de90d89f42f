"""Images made larger and smaller by two, as reshapes: reverse derivatives of them are reshapes too.

Two of them are adjoint up to a factor: <nearest_up(x), y> = 4 <x, mean_pool(y)>.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float


def nearest_up(images: Float[Array, "b h w c"]) -> Float[Array, "b p q c"]:
  """Repeats each pixel twice in height and width: [B, h, w, C] -> [B, 2h, 2w, C]."""
  batch, height, width, channels = images.shape
  split = images.reshape(batch, height, 1, width, 1, channels)
  repeated = jnp.broadcast_to(split, (batch, height, 2, width, 2, channels))
  return repeated.reshape(batch, 2 * height, 2 * width, channels)


def mean_pool(images: Float[Array, "b h w c"]) -> Float[Array, "b p q c"]:
  """Means of blocks of two by two pixels: [B, 2h, 2w, C] -> [B, h, w, C]; sides are even."""
  return jnp.mean(_blocks(images), axis=(2, 4))


def max_pool(images: Float[Array, "b h w c"]) -> Float[Array, "b p q c"]:
  """The largest of each block of two by two pixels; where several are, they share the gradient."""
  # The gradient of jnp.max divides by how many elements equal the maximum: 0 / 0 where XLA computes
  # them twice and rounds otherwise.
  blocks = _blocks(images)
  rows = jnp.maximum(blocks[:, :, 0], blocks[:, :, 1])  # [B, h, w, 2, C]
  return jnp.maximum(rows[:, :, :, 0], rows[:, :, :, 1])


def _blocks(images):
  batch, height, width, channels = images.shape
  return images.reshape(batch, height // 2, 2, width // 2, 2, channels)
