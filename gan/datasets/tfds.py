"""Image sets of tensorflow-datasets, read, and where possible prepared, without TensorFlow.

A set lies in a folder <root>/<name>/<version> as array_record files, the one format of TFDS that
can be read without TensorFlow. Decoding it takes seconds to minutes, so the arrays are kept beside
the records and read from there the next time.
"""

import contextlib
import difflib
import importlib.util
import logging
import os
import pathlib
import queue
import re
import sys
import threading
from collections.abc import Iterator
from unittest import mock

import numpy as np

from gan.datasets import base, decoded, prepared
from gan.errors import UserError
from gan.system import files, schema
from gan.system.archive import Archive
from gan.system.cache import cache_folder

PATIENCE = 4.0  # seconds for a first answer of the server, the name look-up included
STALL = 20.0  # seconds without a byte before a transfer is given up
RETRIES = 2
_INFO = "dataset_info.json"
_INFO_KIND = schema.entries(
  optional={
    "name": schema.TEXT,
    "configName": schema.TEXT,
    "fileFormat": schema.TEXT,
    "alternativeFileFormats": schema.list_of(schema.TEXT),
  }
)
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def default_root() -> pathlib.Path:
  """TFDS's own data folder: TFDS_DATA_DIR or ~/tensorflow_datasets."""
  given = os.environ.get("TFDS_DATA_DIR")
  if given:
    return files.expanded_path(given)
  root = pathlib.Path(os.path.expanduser("~/tensorflow_datasets"))
  # A user may have no home.
  return root if root.is_absolute() else cache_folder() / root.name


def find(root: pathlib.Path, name: str) -> pathlib.Path | None:
  """The newest version folder of the prepared set `name`, whatever its format, or None.

  Args:
    root: a data folder of TFDS, or this set's folder in one, or its version folder.
    name: such as "mnist" or "emnist/letters".
  """
  inside = (path.parent for place in (root, root / name) for path in place.glob(f"*/{_INFO}"))
  folders = [root, *inside]
  ours = [path for path in folders if _VERSION.fullmatch(path.name) and _describes(path, name)]
  return max(ours, key=lambda path: [int(n) for n in path.name.split(".")], default=None)


def load(name: str, split: str, image_size: int | None) -> base.Dataset:
  """One split from TFDS's own data folder, fetched and prepared on the first call.

  Args:
    name: a set of TFDS with the feature "image"; mnist, fashion_mnist and cifar10 are prepared
      without TensorFlow, the others need it the first time.
    split: a split of the set.
    image_size: as for `read`.

  Returns:
    As `read`.

  Raises:
    base.UnavailableError: if the set is not there and cannot be fetched or prepared.
    UserError: as for `read`, or if TFDS knows no such set.
  """
  root = default_root()
  # Only TensorFlow reads tfrecord, so beside such a set another copy is made.
  for place in (root, root / "array_record"):
    folder = find(place, name)
    if folder is None:
      with _quiet(), prepared.own_features(place):
        folder = _prepared(name, place, root / "downloads")
    if _format(folder) == "array_record":
      break
  return read(folder, name, split, image_size)


def read(folder: pathlib.Path, name: str, split: str, image_size: int | None) -> base.Dataset:
  """One split of a prepared set, in the order of its records.

  Args:
    folder: a version folder in the format array_record.
    name: the set's name.
    split: a split of the set.
    image_size: side length in pixels: the centred square, resized; None for images as they are.

  Returns:
    Images [N, H, W, C] uint8; labels [N] int32 where the set has the feature "label" of classes,
    with their names where it has these; else a notice that says why.

  Raises:
    UserError: for another format or split, a set without images or with images of several sizes,
      or damaged files.
  """
  if _format(folder) != "array_record":
    raise UserError(
      f"{folder} is prepared as {_format(folder)}, which only TensorFlow reads: prepare it with "
      "file_format='array_record'"
    )
  _check_entries(folder)
  cache = folder / f"gan_{split}{f'_{image_size}' if image_size else ''}.npz"
  arrays = _read_cache(cache)
  if arrays is None:
    arrays = _decode(folder, split, image_size)
    if not decoded.is_mapped(arrays["images"]):  # those are kept already
      _write_cache(cache, arrays)
  source = f"tensorflow-datasets {name} {folder.name} in {folder}"
  images, labels, count = _checked(arrays, str(folder))
  names = prepared.class_names(folder, count) if count else ()
  dataset = base.Dataset(name, images, labels, count, source, class_names=names)
  notice = str(arrays.get("notice", ""))
  dataset = base.add_notice(dataset, notice and f"{folder}: {notice}")
  return dataset._replace(path=base.absolute(folder))


def is_prepared_folder(folder: pathlib.Path) -> bool:
  """Whether `folder` is the version folder of a prepared set, whichever it is."""
  return (folder / _INFO).is_file()


def reachable(url: str) -> bool:
  """Whether the server of `url` answers within PATIENCE seconds, through a proxy if one is set."""
  import requests

  answers = queue.SimpleQueue()

  def ask():
    try:
      with requests.get(url, stream=True, timeout=PATIENCE) as response:
        answers.put(response.status_code > 0)
    except OSError:
      answers.put(False)

  # In a thread because looking up a host's name has no time limit of its own.
  threading.Thread(target=ask, daemon=True).start()
  try:
    return answers.get(timeout=PATIENCE)
  except queue.Empty:
    return False


def _describes(folder: pathlib.Path, name: str) -> bool:
  if not is_prepared_folder(folder):
    return False
  info = _info(folder)
  set_name, _, config = name.partition("/")
  return info.get("name") == set_name and (not config or info.get("configName") == config)


def _info(folder: pathlib.Path) -> dict:
  return schema.read(folder / _INFO, _INFO_KIND, "prepare the set again") or {}


def _format(folder: pathlib.Path) -> str:
  info = _info(folder)
  formats = [info.get("fileFormat", "tfrecord"), *info.get("alternativeFileFormats", [])]
  return "array_record" if "array_record" in formats else formats[0]


def _prepared(name: str, root: pathlib.Path, downloads: pathlib.Path) -> pathlib.Path:
  builder = _builder(name, root)
  # A bare name such as "emnist" stands for the first of its configurations.
  if not builder.is_prepared():
    try:
      root.mkdir(parents=True, exist_ok=True)
      _download_and_prepare(builder, downloads)
    except UserError:
      raise
    # TFDS raises bare Exception, AssertionError and others for what a user can put right.
    except Exception as error:
      # Another process may have prepared the same set meanwhile.
      if not builder.is_prepared():
        raise base.UnavailableError(
          f"preparing it in {root} failed: {prepared.line(error)}"
        ) from error
  return pathlib.Path(builder.data_dir)


def _builder(name: str, root: pathlib.Path):
  import tensorflow_datasets

  from gan.datasets import builders

  _check_name(name, tensorflow_datasets.list_builders(with_community_datasets=False))
  options = {"data_dir": root, "file_format": "array_record"}
  tf_free = builders.find(name)
  if tf_free is not None:
    return tf_free(**options)
  try:
    builder = tensorflow_datasets.builder(name, **options)
  except (ImportError, ValueError) as error:
    # TFDS puts the whole call before the reason, and lists the configurations on further lines.
    reason = " ".join(str(error).split('": ')[-1].split())
    raise base.UnavailableError(f"its builder cannot be made: {reason}") from error
  if not builder.is_prepared() and importlib.util.find_spec("tensorflow") is None:
    raise base.UnavailableError(
      f"it is not prepared in {root}, and preparing it needs TensorFlow: pip install tensorflow"
    )
  return builder


def _check_name(name: str, known: list[str]) -> None:
  if name.split("/")[0] not in known:
    close = difflib.get_close_matches(name, known, n=3)
    raise base.UnknownError(f"did you mean {' or '.join(close)}? " if close else "")


def _download_and_prepare(builder, downloads: pathlib.Path) -> None:
  import tensorflow_datasets

  tensorflow_datasets.disable_progress_bar()
  config = tensorflow_datasets.download.DownloadConfig(
    # MNIST and Fashion-MNIST share file names, and TFDS reuses what it once extracted by that name.
    extract_dir=downloads / "extracted" / builder.name,
    try_download_gcs=False,
  )
  with _impatient_downloads():
    builder.download_and_prepare(
      download_dir=downloads, download_config=config, file_format="array_record"
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Keeps TFDS's prints off standard output, which is the command's, and drops its warnings."""
  logger = logging.getLogger("absl")
  level = logger.level
  logger.setLevel(logging.ERROR)
  try:
    with contextlib.redirect_stdout(sys.stderr):
      yield
  finally:
    logger.setLevel(level)


@contextlib.contextmanager
def _impatient_downloads() -> Iterator[None]:
  """Makes TFDS give up in seconds; by itself it tries for minutes, or for ever on a silent line."""
  import requests
  from tensorflow_datasets.core.download import downloader

  get = requests.Session.get

  def impatient_get(session, url, **options):
    if not reachable(url):
      raise ConnectionError(f"no answer from {url}")
    return get(session, url, **{"timeout": STALL, **options})

  with (
    mock.patch.object(requests.Session, "get", impatient_get),
    mock.patch.object(downloader, "MAX_RETRIES", RETRIES),
  ):
    yield


def _decode(folder: pathlib.Path, split: str, image_size: int | None) -> dict[str, np.ndarray]:
  with _quiet():
    return prepared.read(folder, split, image_size)


def _check_entries(folder: pathlib.Path) -> None:
  # Others may write here meanwhile: what has gone is no fault.
  for path in folder.iterdir():
    if path.exists() and not path.is_dir():
      files.check_ordinary(path)


def _checked(arrays: dict[str, np.ndarray], where: str):
  """Images, labels and the number of classes, if they are what Dataset has."""
  images, count = base.as_images(arrays["images"], where), int(arrays["num_classes"])
  if "labels" not in arrays:
    # Caches of older versions do not say why, and are made again.
    if not str(arrays["notice"]).isprintable():
      raise UserError(f"{where} holds a line that is no text")
    return images, None, 0
  labels = base.as_labels(arrays["labels"], len(images), f"the feature 'label' in {where}")
  if labels.max() >= count:
    raise UserError(f"{where} has the label {labels.max()}, and {count} classes: prepare it again")
  return images, labels, count


def _read_cache(path: pathlib.Path) -> dict[str, np.ndarray] | None:
  try:
    with Archive(path, str(path)) as archive:
      arrays = {key: archive[key] for key in archive}
    _checked(arrays, str(path))
    return arrays
  # A cache that is absent or damaged in whatever way is made again.
  except Exception:
    return None


def _write_cache(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
  # A folder that others prepared may be closed for writing: then each run decodes.
  with contextlib.suppress(OSError), files.replacing(path) as file:
    np.savez(file, **arrays)
