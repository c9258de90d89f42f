"""Files of trained classifiers: weights in float16, and what they were trained on."""

import functools
import hashlib
import io
import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from gan.errors import UserError
from gan.metrics.extractors.base import Extractor, Function, to_range
from gan.metrics.extractors.training import RECIPES
from gan.networks import Network
from gan.system import schema
from gan.system.archive import Archive
from gan.system.compilation import compiled

PLAIN = "plain"  # the network of files that name none
_ABOUT = schema.entries(
  {
    "dataset": schema.TEXT,
    "image_shape": schema.list_of(schema.whole(1, 2**16), lengths=(3,)),
    "num_classes": schema.whole(1, 2**31),
  }
)


def to_bytes(params: Any, about: dict[str, Any]) -> bytes:
  """Returns a file of weights, rounded to float16, and a description; equal weights, equal bytes.

  Args:
    params: of the network that `about` names, as its recipe's `finish` gives them.
    about: at least "dataset", "image_shape" and "num_classes"; "network" is a name in RECIPES.
  """
  arrays = {
    "/".join(name): np.asarray(value, np.float16) for name, value in flatten_dict(params).items()
  }
  file = io.BytesIO()
  np.savez_compressed(file, about=json.dumps(about, sort_keys=True), **arrays)
  return file.getvalue()


def from_bytes(content: bytes, where: str | os.PathLike) -> Extractor:
  """Returns the extractor that a file describes.

  Args:
    content: of `to_bytes`.
    where: what to call the file in an error.

  Raises:
    UserError: it is another file, or damaged.
  """
  try:
    return _parse(content, pathlib.Path(where).stem)
  # Of an archive, of Flax, and of JAX for sizes that no array can have.
  except (UserError, ArithmeticError, LookupError, TypeError, ValueError) as error:
    line = str(error).split("\n")[0] or type(error).__name__
    raise UserError(
      f"{where} is no extractor or is damaged ({line}): train one by "
      "python -m experiments.train_classifier"
    ) from error


def _parse(content: bytes, name: str) -> Extractor:
  with Archive(io.BytesIO(content), "it") as archive:
    if "about" not in archive:
      raise ValueError("it does not say what it is")
    about = schema.parse(str(archive["about"]), _ABOUT)
    arrays = {tuple(name.split("/")): archive[name] for name in archive if name != "about"}
  if any(array.dtype.kind != "f" for array in arrays.values()):
    raise ValueError("its weights are no floating-point numbers")
  shape = tuple(about["image_shape"])
  if (kind := about.get("network", PLAIN)) not in RECIPES:
    raise ValueError(f"it is of a network {kind}, and there are {', '.join(RECIPES)}")
  network = RECIPES[kind].saved(shape, about["num_classes"])
  params = jax.tree.map(lambda array: np.asarray(array, np.float32), unflatten_dict(arrays))
  _check_weights(network, params)
  digest, dataset = hashlib.sha256(content).hexdigest()[:12], about["dataset"]
  # Files of older versions have the label of a part of a set in the place of its name.
  dataset = dataset if "is_part" in about else dataset.removesuffix("_subset")
  return Extractor(
    name=name,
    digest=digest,
    function=_function(network, params),
    image_shape=shape,
    dataset=dataset,
    about=about,
  )


def _function(network: Network, params: Any) -> Function:
  # Compiled when it is first called: commands read extractors before processes join.
  return lambda images: _compiled(network)(jax.device_put(params), images)


@functools.cache
def _compiled(network: Network) -> Callable[..., Any]:
  return compiled(
    lambda params, images: network.apply(params, {}, to_range(images), train=False)[0]
  )


def _check_weights(network, params):
  # No device is asked for: commands read extractors before processes join.
  expected = jax.eval_shape(lambda: network.init(jax.random.key(0)))[0]
  if jax.tree.map(np.shape, params) != jax.tree.map(np.shape, expected):
    raise ValueError("its weights do not fit the classifier")
  if not all(np.isfinite(array).all() for array in jax.tree.leaves(params)):
    raise ValueError("its weights hold NaN or infinity")
