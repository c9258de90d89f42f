"""TFDS builders that prepare a set without TensorFlow. Importing this imports TFDS.

Each keeps the stock builder's features, version, addresses, checksums and example keys, so that
what it writes is what TFDS writes; only the reading of the raw files, where the stock builders call
TensorFlow, is done here.
"""

import io
import pathlib
import tarfile
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from gan.datasets import decode, idx
from gan.errors import UserError

_CIFAR = "cifar-10-batches-bin"
_CIFAR_RECORD = 1 + 3 * 32 * 32
_CIFAR_FILES = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}
_IDX_FILES = {
  f"{prefix}-{kind}": f"{prefix}-{kind}-ubyte.gz"
  for prefix in ("train", "t10k")
  for kind in ("images-idx3", "labels-idx1")
}


def find(name: str) -> type[tfds.core.GeneratorBasedBuilder] | None:
  """The builder class that prepares the TFDS set `name` without TensorFlow, if there is one."""
  if name in ("mnist", "fashion_mnist"):
    return _idx_builder(name)
  return _cifar10_builder() if name == "cifar10" else None


def _idx_builder(set_name: str) -> type[tfds.core.GeneratorBasedBuilder]:
  stock = tfds.builder_cls(set_name)

  class IdxBuilder(stock, skip_registration=True):
    """The four files of MNIST."""

    name = set_name
    url_infos = stock.url_infos

    def _split_generators(self, downloads):
      paths = downloads.download({key: self.URL + file for key, file in _IDX_FILES.items()})
      return {
        split: self._generate_examples(
          paths[f"{prefix}-images-idx3"], paths[f"{prefix}-labels-idx1"]
        )
        for split, prefix in (("train", "train"), ("test", "t10k"))
      }

    def _generate_examples(self, images_path, labels_path):
      images = idx.read(pathlib.Path(images_path), ndim=3)
      labels = idx.read(pathlib.Path(labels_path), ndim=1)
      for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        yield index, {"image": _png(image[..., None]), "label": int(label)}

  return IdxBuilder


def _cifar10_builder() -> type[tfds.core.GeneratorBasedBuilder]:
  stock = tfds.builder_cls("cifar10")

  class Cifar10Builder(stock, skip_registration=True):
    """The binary version of CIFAR-10."""

    name = "cifar10"
    url_infos = stock.url_infos

    def _split_generators(self, downloads):
      archive = pathlib.Path(downloads.download(self._cifar_info.url))
      names = next(_members(archive, ["batches.meta.txt"])).decode().split()
      self.info.features["label"].names = names
      return {split: self._generate_examples(split, archive) for split in _CIFAR_FILES}

    def _generate_examples(self, split, archive):
      content = b"".join(_members(archive, _CIFAR_FILES[split]))
      for index, record in enumerate(np.frombuffer(content, np.uint8).reshape(-1, _CIFAR_RECORD)):
        image = record[1:].reshape(3, 32, 32).transpose(1, 2, 0)
        identity = f"{split}_{index:05d}"
        yield index, {"id": identity, "image": _png(image), "label": int(record[0])}

  return Cifar10Builder


def _members(archive: pathlib.Path, names: list[str]) -> Iterator[bytes]:
  try:
    with tarfile.open(archive) as tar:
      for name in names:
        yield tar.extractfile(f"{_CIFAR}/{name}").read()
  except (tarfile.TarError, KeyError, EOFError, OSError) as error:
    raise UserError(f"{archive} is damaged: {error}; delete it to fetch it again") from error


def _png(image: np.ndarray) -> io.BytesIO:
  # Encoded here, since TFDS encodes arrays by TensorFlow.
  return io.BytesIO(decode.png(image))
