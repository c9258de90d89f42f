"""Extractors of features: the last hidden layer and the class probabilities of a classifier.

The weights of the classifiers of MNIST, Fashion-MNIST and the bundled digits come with the package;
`python -m experiments.train_classifier` made them and makes others. The first 12 digits of a file's
SHA-256 name it in every record: values are comparable where these agree.
"""

import functools
import hashlib
import io
import json
import os
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, UInt8

from gan.errors import UserError
from gan.models import classifier
from gan.networks import Network
from gan.system import schema
from gan.system.archive import Archive
from gan.system.compilation import compiled
from gan.system.files import expanded_path

SHIPPED = pathlib.Path(__file__).parent
BATCH_SIZE = 500
# Data sets that a classifier of another one sees channel by channel.
STACKED = {"stacked_mnist": "mnist"}
_ABOUT = schema.entries(
  {
    "dataset": schema.TEXT,
    "image_shape": schema.list_of(schema.whole(1, 2**16), lengths=(3,)),
    "num_classes": schema.whole(1, 2**31),
  }
)


class Features(NamedTuple):
  """Of N images: features [N, D] and class probabilities [N, C], float32."""

  features: Float[np.ndarray, "n d"]
  probabilities: Float[np.ndarray, "n c"]


class Extractor(NamedTuple):
  """A trained classifier.

  Attributes:
    digest: 12 hexadecimal digits that name its weights.
    dataset: what it was trained on.
    image_shape: (H, W, C) of the images it takes.
    about: all that its file says of it.
    network: of `classifier.build`.
    params: its weights, float32, on the host.
  """

  digest: str
  dataset: str
  image_shape: tuple[int, int, int]
  about: dict[str, Any]
  network: Network
  params: Any

  def extract(self, images: UInt8[np.ndarray, "n h w c"]) -> Features:
    """Returns the features of images, computed in batches.

    Raises:
      UserError: size or channels are not those of the images it was trained on.
    """
    if images.shape[1:] != self.image_shape or images.dtype != np.uint8:
      raise UserError(
        f"images of {_shape(images.shape[1:])} {images.dtype} do not match the extractor of "
        f"{self.dataset}, which takes {_shape(self.image_shape)} uint8: train one on your images "
        "(python -m experiments.train_classifier) and give `extractor=FILE`"
      )
    run, params = _compiled(self.network), jax.device_put(self.params)
    parts = [run(params, _padded(batch)) for batch in _batches(images)]
    features, probabilities = (
      np.concatenate(part)[: len(images)] for part in zip(*jax.device_get(parts), strict=True)
    )
    return Features(features, probabilities)


def to_range(images: UInt8[Array, "..."]) -> Float[Array, "..."]:
  """Maps pixels 0 .. 255 to [-1, 1], where the classifier works."""
  return images.astype(jnp.float32) / 127.5 - 1


@functools.cache
def _compiled(network):
  def run(params, images):
    (features, logits), _ = network.apply(params, {}, to_range(images), None, train=False)
    return features, jax.nn.softmax(logits)

  return compiled(run)


def _batches(images):
  return (images[start : start + BATCH_SIZE] for start in range(0, len(images), BATCH_SIZE))


def _padded(images):
  """A last batch of the usual size: one compiled program serves all."""
  return np.pad(images, ((0, BATCH_SIZE - len(images)), (0, 0), (0, 0), (0, 0)))


def _shape(shape):
  return "x".join(map(str, shape))


def to_bytes(params: Any, about: dict[str, Any]) -> bytes:
  """Returns a file of weights, rounded to float16, and a description; equal weights, equal bytes.

  Args:
    params: of `classifier.build`.
    about: at least "dataset", "image_shape" and "num_classes".
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
    return _parse(content)
  # Of an archive, of Flax, and of JAX for sizes that no array can have.
  except (UserError, ArithmeticError, LookupError, TypeError, ValueError) as error:
    line = str(error).split("\n")[0] or type(error).__name__
    raise UserError(
      f"{where} is no extractor or is damaged ({line}): train one by "
      "python -m experiments.train_classifier"
    ) from error


def load(name: str | os.PathLike) -> Extractor:
  """Returns the shipped extractor of a data set, or one from a file.

  Args:
    name: "mnist", "fashion_mnist", "digits", or the path of a file of `to_bytes`.

  Raises:
    UserError: there is none of this name; the file is damaged.
  """
  path = SHIPPED / f"{name}.npz" if name in shipped() else expanded_path(name)
  if not path.is_file():
    raise UserError(
      f"no extractor {name}: there are {', '.join(shipped())}; for another data set train one "
      "(python -m experiments.train_classifier) and give `extractor=FILE`"
    )
  try:
    return from_bytes(path.read_bytes(), path)
  except OSError as error:
    raise UserError(f"{path} cannot be read ({error.strerror})") from error


def shipped() -> list[str]:
  """Returns the names of the data sets whose extractors come with the package."""
  return sorted(path.stem for path in SHIPPED.glob("*.npz"))


def for_dataset(kind: str) -> str:
  """Returns the name of the shipped extractor for a kind of data, or the kind's own name."""
  return STACKED.get(kind, kind)


def _parse(content) -> Extractor:
  with Archive(io.BytesIO(content), "it") as archive:
    if "about" not in archive:
      raise ValueError("it does not say what it is")
    about = schema.parse(str(archive["about"]), _ABOUT)
    arrays = {tuple(name.split("/")): archive[name] for name in archive if name != "about"}
  if any(array.dtype.kind != "f" for array in arrays.values()):
    raise ValueError("its weights are no floating-point numbers")
  shape = tuple(about["image_shape"])
  network = classifier.build(shape, about["num_classes"])
  params = jax.tree.map(lambda array: np.asarray(array, np.float32), unflatten_dict(arrays))
  _check_weights(network, params)
  digest, dataset = hashlib.sha256(content).hexdigest()[:12], about["dataset"]
  # Files of older versions have the label of a part of a set in the place of its name.
  dataset = dataset if "is_part" in about else dataset.removesuffix("_subset")
  return Extractor(digest, dataset, shape, about, network, params)


def _check_weights(network, params):
  # No device is asked for: commands read extractors before processes join.
  expected = jax.eval_shape(lambda: network.init(jax.random.key(0)))[0]
  if jax.tree.map(np.shape, params) != jax.tree.map(np.shape, expected):
    raise ValueError("its weights do not fit the classifier")
  if not all(np.isfinite(array).all() for array in jax.tree.leaves(params)):
    raise ValueError("its weights hold NaN or infinity")
