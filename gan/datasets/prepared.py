"""The records of a prepared set of tensorflow-datasets, which a stranger may have written.

By itself TFDS imports whatever module a set's features.json names, and opens images in every format
that Pillow knows, however deep within a feature they are.
"""

import contextlib
import io
import pathlib
from collections.abc import Iterator
from unittest import mock

import numpy as np

from gan.datasets import base, decode, decoded, resize
from gan.errors import UserError
from gan.system import files

_BLOCK = 1024
_NAMES = "label.labels.txt"  # as TFDS calls the file of a feature "label"


def read(folder: pathlib.Path, split: str, image_size: int | None) -> dict[str, np.ndarray]:
  """Decodes one split of a prepared set, in the order of its records.

  Args:
    folder: a version folder in the format array_record.
    split: a split of the set.
    image_size: side length in pixels: the centred square, resized; None for images as they are.

  Returns:
    "images" [N, H, W, C] uint8; "labels" [N] int32 where the set has the feature "label" and it is
    known; "num_classes", 0 without labels; "notice" without labels, why they were left out, or "".

  Raises:
    UserError: for another split, features of others than TFDS, a set without images or with images
      of several sizes, labels that are none, or damaged files.
  """
  try:
    return _read(folder, split, image_size)
  except (UserError, MemoryError):
    raise
  # TFDS and its parsers raise nearly everything on damaged files.
  except Exception as error:
    raise UserError(
      f"cannot read {folder}: {line(error)}; delete it to prepare it again"
    ) from error


@contextlib.contextmanager
def own_features(folder: pathlib.Path) -> Iterator[None]:
  """Keeps TFDS from importing what a features.json names: classes of tfds.features alone are known.

  Args:
    folder: of the set, for the error.
  """
  from tensorflow_datasets import features

  classes = [value for value in vars(features).values() if isinstance(value, type)]
  known = {f"{found.__module__}.{found.__name__}": found for found in classes}

  def class_of(name):
    if name not in known:
      raise UserError(
        f"features.json in {folder} names the class {str(name)!a:.100}, which is no feature of "
        "tensorflow_datasets: nothing of it was imported; prepare the set with features of "
        "tensorflow_datasets alone"
      )
    return known[name]

  with mock.patch.object(features.FeatureConnector, "cls_from_name", class_of):
    yield


def line(error: Exception) -> str:
  """The first line of an error, with its type."""
  return f"{type(error).__name__}: {str(error).strip()}".split("\n")[0]


def class_names(folder: pathlib.Path, count: int) -> tuple[str, ...]:
  """The names of the classes, as TFDS keeps them beside the records; () where they have none.

  Args:
    folder: a version folder.
    count: of classes.

  Raises:
    UserError: the names are not `count` different ones.
  """
  path = folder / _NAMES
  if not path.exists():
    return ()
  lines = path.read_text("utf-8", errors="surrogateescape").split("\n")
  names = tuple(filter(None, (" ".join(line.split()) for line in lines)))
  if len(names) != count or len(set(names)) != count or not "".join(names).isprintable():
    raise UserError(
      f"{path} does not name the {count:,} classes of the set: write one name a line, all different"
    )
  return names


def _read(folder, split, image_size) -> dict[str, np.ndarray]:
  import tensorflow_datasets as tfds

  with own_features(folder):
    builder = tfds.builder_from_directory(folder)
  base.check_split(split, tuple(builder.info.splits), str(folder))
  features = _wanted(builder.info.features, folder)
  records = _records(builder, split, folder)
  images, notes = decoded.load(_source(records, features, image_size, folder, split))
  labels = notes if "label" in features else None
  # TFDS has -1 for what is not known, as the classes of many a test split.
  if labels is None or (labels == -1).all():
    notice = np.array(_left_out(builder.info.features, labels))
    return {"images": images, "num_classes": np.int32(0), "notice": notice}
  count = features["label"].num_classes
  examples = sum(split.num_examples for split in builder.info.splits.values())
  base.check_classes(count, examples, str(folder))
  labels = base.as_labels(labels, len(images), f"the feature 'label' in {folder}")
  return {"images": images, "labels": labels, "num_classes": np.int32(count)}


def _wanted(features, folder):
  """The image and its class: others may be sounds and films, which other programs decode."""
  from tensorflow_datasets import features as kinds

  found = dict(features) if isinstance(features, kinds.FeaturesDict) else {}
  if "image" not in found:
    raise UserError(f"{folder} has no feature 'image', but {', '.join(found) or 'no names'}")
  image, label = found["image"], found.get("label")
  is_array = type(image) is kinds.Tensor and image.np_dtype == np.uint8 and len(image.shape) == 3
  if not (is_array or isinstance(image, kinds.Image)):
    raise UserError(
      f"the feature 'image' in {folder} is a {type(image).__name__}: nothing of it was decoded; it "
      "must be an Image, or a Tensor of uint8 [H, W, C]"
    )
  labelled = {"label": label} if isinstance(label, kinds.ClassLabel) else {}
  return kinds.FeaturesDict({"image": image} | labelled)


def _left_out(features, labels) -> str:
  """A line where a set has the feature "label", and no classes come of it."""
  if "label" not in features:
    return ""
  if labels is not None:
    return "no label of this split is known, all are -1"
  return (
    f"labels left out: the feature 'label' is a {type(features['label']).__name__}, no ClassLabel"
  )


def _records(builder, split, folder):
  """The records of a split, undecoded, if they are as many as dataset_info.json says."""
  import tensorflow_datasets as tfds

  said = builder.info.splits[split].num_examples
  if said < 1:
    raise UserError(
      f"dataset_info.json in {folder} gives {split} no record: name a split with some"
    )
  raw = tfds.decode.DeserializeMethod.RAW_BYTES
  records = builder.as_data_source(split, deserialize_method=raw)
  shards = records.dataset_info.splits[split].file_instructions
  source = type(records.data_source)  # of array_record, which counts what a file holds
  found = sum(len(source([shard.filename])) for shard in shards)
  if said != found:
    raise UserError(
      f"dataset_info.json in {folder} gives {split} {said:,} records, and {found:,} are "
      "there: correct it, or prepare the set again in another folder"
    )
  return records


def _source(records, features, image_size, folder, split) -> decoded.Source:
  """The records, each with its label as the note."""

  def read(numbers):
    for index, example in zip(numbers, _examples(records, features, numbers), strict=True):
      image = _pixels(example["image"], features["image"], f"record {index} of {folder}")
      fitted = image if image_size is None else resize.fit(image, image_size)
      yield fitted, example.get("label", 0)

  return decoded.Source(
    str(folder),
    len(records),
    read,
    lambda number: f"record {number} of {folder}",
    lambda: decoded.files_identity(_files(folder), split, image_size),
  )


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
  """The files of a set; not those that are kept beside them here."""
  return sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("gan_"))


def _examples(records, features, numbers: range) -> Iterator[dict]:
  import tensorflow_datasets as tfds

  encoded = isinstance(features["image"], tfds.features.Image)
  skip = {"image": tfds.decode.SkipDecoding()} if encoded else None
  # One record at a time takes four times as long.
  for start in range(numbers.start, numbers.stop, _BLOCK):
    for record in records.__getitems__(range(start, min(start + _BLOCK, numbers.stop))):
      yield features.deserialize_example_np(record, decoders=skip)


def _pixels(content, feature, where: str) -> np.ndarray:
  """The image of a record; an array already where the feature is no tfds.features.Image."""
  if isinstance(content, np.ndarray):
    return content
  if feature.np_dtype != np.uint8 or feature.shape[-1] not in (1, 3, None):
    raise UserError(
      f"{where} has an image of {feature.np_dtype.__name__} with {feature.shape[-1]} channels: "
      "images must be uint8 with 1 or 3"
    )
  with files.image(io.BytesIO(content), where) as picture:
    return decode.pixels(picture, where, feature.shape[-1])
