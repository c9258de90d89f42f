"""Layers of the Inception network of the FID, as data: convolutions, pools and their order."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float


class Conv(NamedTuple):
  """A convolution with batch normalisation, before a ReLU; `kernel` is (height, width)."""

  name: str
  features: int
  kernel: tuple[int, int] = (1, 1)
  stride: int = 1
  padding: str = "SAME"


Step = Any  # a Conv, a pool, a list of steps in order, or a tuple of those whose results are joined


def max_pool(images: Float[Array, "n h w c"]) -> Float[Array, "n a b c"]:
  """Returns the maxima of windows of 3 x 3, with stride 2 and no padding."""
  return _reduced(images, 2, jnp.maximum)


def same_max_pool(images: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
  """Returns the maxima of windows of 3 x 3 around each pixel, where there are any."""
  edges = ((0, 0), (1, 1), (1, 1), (0, 0))
  return _reduced(jnp.pad(images, edges, constant_values=-np.inf), 1, jnp.maximum)


def average_pool(images: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
  """Returns the means of windows of 3 x 3 around each pixel, over those that there are."""
  padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
  shares = 1 / np.outer(*map(_neighbours, images.shape[1:3]))
  return _reduced(padded, 1, jnp.add) * shares.astype(np.float32)[None, :, :, None]


def _neighbours(side):
  """How many of the places before, at and after each place there are."""
  places = np.arange(side)
  return 3 - (places == 0) - (places == side - 1)


def _reduced(images, stride, combine):
  """Windows of 3 x 3, one axis after the other: faster on a CPU than XLA's own."""
  for axis in (1, 2):
    last = images.shape[axis] - 2
    parts = [lax.slice_in_dim(images, at, at + last, stride, axis) for at in range(3)]
    images = functools.reduce(combine, parts)
  return images


# Blocks, with the names that they have in the file.


def _block_a(name: str, pooled: int) -> Step:
  return (
    Conv(f"{name}.branch1x1", 64),
    [Conv(f"{name}.branch5x5_1", 48), Conv(f"{name}.branch5x5_2", 64, (5, 5))],
    [
      Conv(f"{name}.branch3x3dbl_1", 64),
      Conv(f"{name}.branch3x3dbl_2", 96, (3, 3)),
      Conv(f"{name}.branch3x3dbl_3", 96, (3, 3)),
    ],
    [average_pool, Conv(f"{name}.branch_pool", pooled)],
  )


def _block_b(name: str) -> Step:
  return (
    Conv(f"{name}.branch3x3", 384, (3, 3), 2, "VALID"),
    [
      Conv(f"{name}.branch3x3dbl_1", 64),
      Conv(f"{name}.branch3x3dbl_2", 96, (3, 3)),
      Conv(f"{name}.branch3x3dbl_3", 96, (3, 3), 2, "VALID"),
    ],
    max_pool,
  )


def _block_c(name: str, inner: int) -> Step:
  return (
    Conv(f"{name}.branch1x1", 192),
    [
      Conv(f"{name}.branch7x7_1", inner),
      Conv(f"{name}.branch7x7_2", inner, (1, 7)),
      Conv(f"{name}.branch7x7_3", 192, (7, 1)),
    ],
    [
      Conv(f"{name}.branch7x7dbl_1", inner),
      Conv(f"{name}.branch7x7dbl_2", inner, (7, 1)),
      Conv(f"{name}.branch7x7dbl_3", inner, (1, 7)),
      Conv(f"{name}.branch7x7dbl_4", inner, (7, 1)),
      Conv(f"{name}.branch7x7dbl_5", 192, (1, 7)),
    ],
    [average_pool, Conv(f"{name}.branch_pool", 192)],
  )


def _block_d(name: str) -> Step:
  return (
    [
      Conv(f"{name}.branch3x3_1", 192),
      Conv(f"{name}.branch3x3_2", 320, (3, 3), 2, "VALID"),
    ],
    [
      Conv(f"{name}.branch7x7x3_1", 192),
      Conv(f"{name}.branch7x7x3_2", 192, (1, 7)),
      Conv(f"{name}.branch7x7x3_3", 192, (7, 1)),
      Conv(f"{name}.branch7x7x3_4", 192, (3, 3), 2, "VALID"),
    ],
    max_pool,
  )


def _block_e(name: str, pool: Callable) -> Step:
  return (
    Conv(f"{name}.branch1x1", 320),
    [Conv(f"{name}.branch3x3_1", 384), _cross(f"{name}.branch3x3_2")],
    [
      Conv(f"{name}.branch3x3dbl_1", 448),
      Conv(f"{name}.branch3x3dbl_2", 384, (3, 3)),
      _cross(f"{name}.branch3x3dbl_3"),
    ],
    [pool, Conv(f"{name}.branch_pool", 192)],
  )


def _cross(name: str) -> Step:
  return (Conv(f"{name}a", 384, (1, 3)), Conv(f"{name}b", 384, (3, 1)))


# By the number of features, which are the means over places after a stage.
STAGES: dict[str, Step] = {
  "64": [
    Conv("Conv2d_1a_3x3", 32, (3, 3), 2, "VALID"),
    Conv("Conv2d_2a_3x3", 32, (3, 3), 1, "VALID"),
    Conv("Conv2d_2b_3x3", 64, (3, 3)),
    max_pool,
  ],
  "192": [
    Conv("Conv2d_3b_1x1", 80),
    Conv("Conv2d_4a_3x3", 192, (3, 3), 1, "VALID"),
    max_pool,
  ],
  "768": [
    *(_block_a(f"Mixed_{name}", pooled) for name, pooled in (("5b", 32), ("5c", 64), ("5d", 64))),
    _block_b("Mixed_6a"),
    *(
      _block_c(f"Mixed_{name}", inner)
      for name, inner in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192))
    ),
  ],
  "2048": [
    _block_d("Mixed_7a"),
    _block_e("Mixed_7b", average_pool),
    _block_e("Mixed_7c", same_max_pool),
  ],
}


def convs(step: Step, channels: int) -> Iterator[tuple[Conv, int]]:
  """Every convolution of a step, and the channels that it sees."""
  if isinstance(step, Conv):
    yield step, channels
  elif isinstance(step, tuple):
    for branch in step:
      yield from convs(branch, channels)
  elif isinstance(step, list):
    for part in step:
      yield from convs(part, channels)
      channels = _out(part, channels)


def _out(step: Step, channels: int) -> int:
  if isinstance(step, Conv):
    return step.features
  if isinstance(step, tuple):
    return sum(_out(branch, channels) for branch in step)
  if isinstance(step, list):
    return functools.reduce(lambda count, part: _out(part, count), step, channels)
  return channels
