"""What an extractor is: a function of images that gives features, and class logits or None."""

import re
import reprlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from gan.errors import UserError, failure
from gan.system.schema import check_whole

BATCH_SIZE = 500
_NAME = re.compile(r"[\w.-][\w .-]*")


class Features(NamedTuple):
  """Of N images: features [N, D] and class probabilities [N, C] or None, float32."""

  features: Float[np.ndarray, "n d"]
  probabilities: Float[np.ndarray, "n c"] | None


Function = Callable[
  [UInt8[Array, "n h w c"]], tuple[Float[Array, "n d"], Float[Array, "n c"] | None]
]


class Extractor(NamedTuple):
  """A function of images whose features metrics compare.

  Attributes:
    name: what it is called: "mnist", "inception", or the name of a file without its ending.
    digest: what names its version, for weights 12 hexadecimal digits: values are comparable, and
      features of data are kept, where these and the names of one's own extractors agree.
    function: `images [N, H, W, C] uint8 -> (features [N, D], logits [N, C] or None)`.
    image_shape: (H, W, C) of the images that it takes; None where it takes any.
    dataset: what it was trained on; None where it is used for any data.
    resize: how it brings images to its own size, in words.
    batch_size: images that it is given at once.
    about: all else that its file says of it.

  Examples:
    Means of colours as features, for `gan.fit(..., extractor=colours)`:

    >>> import gan, numpy as np
    >>> def mean_colours(images):
    ...   return images.mean(axis=(1, 2), dtype=np.float32) / 255, None
    >>> colours = gan.Extractor("colours", "version 1", mean_colours)
    >>> colours.extract(np.full((4, 8, 8, 3), 255, np.uint8)).features[0].tolist()
    [1.0, 1.0, 1.0]
  """

  name: str
  digest: str
  function: Function
  image_shape: tuple[int, int, int] | None = None
  dataset: str | None = None
  resize: str = "none"
  batch_size: int = BATCH_SIZE
  about: Mapping[str, Any] = MappingProxyType({})

  @property
  def identity(self) -> str:
    """What names it in records: the digest of its weights, or its name and version."""
    return self.digest if self.about else f"{self.name} {self.digest}"

  def extract(self, images: UInt8[np.ndarray, "n h w c"]) -> Features:
    """Returns the features of images, computed in batches.

    Raises:
      UserError: there are no images, or size or channels are not those that it takes.
    """
    self._check(images)
    starts = range(0, len(images), self.batch_size)
    batches = (images[start : start + self.batch_size] for start in starts)
    parts = [self._of_batch(self._padded(batch)) for batch in batches]
    features, logits = zip(*parts, strict=True)
    probabilities = None if logits[0] is None else _softmax(np.concatenate(logits)[: len(images)])
    return Features(np.concatenate(features)[: len(images)], probabilities)

  def _of_batch(self, images):
    found = jax.device_get(self._call(images))
    if not _is_pair(found, len(images)):
      raise UserError(
        f"the extractor {self.name} must return floats (features [{len(images)}, D], logits "
        f"[{len(images)}, C] or None) of {len(images)} images"
      )
    return tuple(part if part is None else np.asarray(part, np.float32) for part in found)

  def _call(self, images):
    try:
      return self.function(images)
    except UserError:
      raise
    except Exception as error:  # whatever a function of a user's own raises
      if failure(error) is not None:
        raise
      what = f"{type(error).__name__}: {error}".split("\n")[0]
      raise UserError(f"the extractor {self.name} ended with {what}") from error

  def _check(self, images):
    fits = self.image_shape in (None, images.shape[1:])
    if not fits or images.dtype != np.uint8:
      taken = f"{words(self.image_shape)} uint8" if self.image_shape else "uint8"
      raise UserError(
        f"images of {words(images.shape[1:])} {images.dtype} do not match the extractor "
        f"{self.name}, which takes {taken}: train one on your images "
        "(python -m experiments.train_classifier) and give `extractor=FILE`"
      )
    if images.ndim != 4 or not len(images):
      raise UserError(f"images are {list(images.shape)}: give at least one, [N, H, W, C]")

  def _padded(self, images):
    """A last batch of the usual size: one compiled program serves all."""
    return np.pad(images, ((0, self.batch_size - len(images)), (0, 0), (0, 0), (0, 0)))


def check(extractor: Extractor) -> None:
  """Raises UserError where an extractor cannot be called, or its name cannot stand in records."""
  for field in ("name", "digest"):
    value = getattr(extractor, field)
    if not (isinstance(value, str) and _NAME.fullmatch(value)):
      raise UserError(
        f"{field} of an extractor is {reprlib.repr(value)}: it must be of letters, digits, spaces "
        "and _ - . alone, as the name of its file"
      )
  if not callable(extractor.function):
    raise UserError(f"`function` of the extractor {extractor.name} must be a function of images")
  check_whole(f"batch_size of the extractor {extractor.name}", extractor.batch_size, least=1)


def _is_pair(found: Any, count: int) -> bool:
  """Whether it is (features, logits) of so many images, or (features, None)."""
  pair = isinstance(found, tuple) and len(found) == 2 and found[0] is not None
  return pair and all(_is_table(it, count) for it in found if it is not None)


def _is_table(found: Any, count: int) -> bool:
  table = np.asarray(found)
  return table.ndim == 2 and len(table) == count and np.issubdtype(table.dtype, np.floating)


def _softmax(logits: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "n c"]:
  return np.asarray(jax.nn.softmax(logits))


def to_range(images: UInt8[Array, "..."]) -> Float[Array, "..."]:
  """Maps pixels 0 .. 255 to [-1, 1], where classifiers work."""
  return images.astype(jnp.float32) / 127.5 - 1


def words(shape: tuple[int, ...]) -> str:
  """Returns a shape as 28x28x1."""
  return "x".join(map(str, shape))
