"""What published networks ask of a file of weights, and how images pass through them."""

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan.errors import UserError
from gan.system.compilation import compiled


def checked(
  arrays: Mapping[str, np.ndarray],
  expected: Mapping[str, tuple[int, ...]],
  path: str | os.PathLike,
  what: str,
) -> dict[str, np.ndarray]:
  """Returns the weights of a network as float32, by their names.

  Args:
    arrays: what the file holds, but for what is of training only.
    expected: the shape of every weight by its name.
    path: of the file, for an error.
    what: the network, and which file has its weights, in words.

  Raises:
    UserError: with the first difference between the two, or the first weight that is not finite.
  """
  names = list(expected) + [name for name in arrays if name not in expected]
  if fault := next(filter(None, (_fault(arrays, name, expected) for name in names)), ""):
    raise UserError(f"{path} does not hold {what}: {fault}")
  return {name: _float32(arrays[name]) for name in expected}


def _fault(arrays, name, expected) -> str:
  if name not in arrays:
    return f"{name} is missing"
  if name not in expected:
    return f"{name} is unknown"
  array = arrays[name]
  if array.shape != expected[name]:
    return f"{name} is {list(array.shape)} where {list(expected[name])} belongs"
  if not jnp.issubdtype(array.dtype, jnp.floating):
    return f"{name} holds no floating-point numbers"
  return "" if np.isfinite(_float32(array)).all() else f"{name} is not finite"


def _float32(array: np.ndarray) -> np.ndarray:
  with np.errstate(over="ignore"):  # what becomes infinite is refused
    return np.asarray(array, np.float32)


def on_device(
  params: Any, function: Callable, before: Callable = lambda images: images
) -> Callable:
  """Returns `images -> function(params, before(images))`, compiled, its weights moved there once.

  Args:
    params: on the host; no device is asked for before there are images.
    function: of the weights, and of images [n, h, w, c] of 1 or 3 channels.
    before: what is done to images outside of the compiled program.
  """

  def precise(params, images):
    # Elsewhere than on a CPU products of float32 are rounded to fewer digits unless this is said.
    with jax.default_matmul_precision("highest"):
      return function(params, images)

  @functools.cache
  def ready():
    return compiled(precise), jax.device_put(params)

  def extract(images):
    _check_images(images)
    run, placed = ready()
    return run(placed, before(images))

  return extract


def _check_images(images):
  if images.ndim != 4 or images.shape[-1] not in (1, 3) or images.dtype != np.uint8:
    shape = "x".join(map(str, images.shape[1:]))
    raise UserError(
      f"images of {shape} {images.dtype} do not match the extractor, which takes grey or colour "
      "images of uint8"
    )
