"""The IDX reader on good and on damaged files."""

import gzip
import struct

import numpy as np
import pytest

from gan import datasets
from gan.datasets import idx
from gan.errors import UserError

MNIST_TRAIN_HISTOGRAM = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def encode(array):
  return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_set(folder, name="{}-{}-idx{}-ubyte.gz", count=12):
  folder.mkdir(parents=True, exist_ok=True)
  arrays = {}
  for split, prefix in (("train", "train"), ("test", "t10k")):
    rng = np.random.default_rng(len(split))
    images = rng.integers(256, size=(count, 28, 28), dtype=np.uint8)
    labels = (np.arange(count) % 10).astype(np.uint8)
    for kind, ndim, array in (("images", 3, images), ("labels", 1, labels)):
      path = folder / name.format(prefix, kind, ndim)
      content = encode(array)
      path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    arrays[split] = images[..., None], labels
  return arrays


@pytest.mark.parametrize(
  "name",
  ["{}-{}-idx{}-ubyte.gz", "{}-{}-idx{}-ubyte", "{}-{}.idx{}-ubyte.gz", "{}-{}.idx{}-ubyte"],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_form_of_the_file_names_gives_the_arrays_back(tmp_path, name, split):
  images, labels = write_set(tmp_path, name)[split]
  dataset = datasets.load("own", split, str(tmp_path))
  np.testing.assert_array_equal(dataset.images, images)
  np.testing.assert_array_equal(dataset.labels, labels)
  assert (dataset.images.dtype, dataset.labels.dtype) == (np.uint8, np.int32)
  assert (dataset.name, dataset.num_classes, dataset.notice) == ("own", 10, "")
  assert dataset.source == str(tmp_path)


def test_an_unpacked_file_may_keep_its_gz_name(tmp_path):
  array = np.arange(6, dtype=np.uint8)
  path = tmp_path / "labels.gz"
  path.write_bytes(encode(array))
  np.testing.assert_array_equal(idx.read(path, ndim=1), array)


GOOD = encode(np.zeros((2, 3, 3), np.uint8))
DAMAGED = {
  "truncated": (GOOD[:-1], "17 bytes of data"),
  "too long": (GOOD + b"\0", "19 bytes of data"),
  "wrong magic": (b"\x89PNG" + GOOD[4:], "starts with 0x89504e47, not 0x00000803"),
  "labels": (encode(np.zeros(18, np.uint8)), "starts with 0x00000801"),
  "floats": (b"\0\0\x0d\x03" + GOOD[4:], "starts with 0x00000d03"),
  "header cut": (GOOD[:10], "ends inside its header"),
  "empty": (b"", "starts with 0x,"),
  "gzip cut": (gzip.compress(GOOD)[:-9], "cannot read"),
  "gzip damaged": (gzip.compress(GOOD)[:12] + b"\xff" * 20, "cannot read"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_one_line_that_names_it(tmp_path, kind):
  content, message = DAMAGED[kind]
  path = tmp_path / "train-images-idx3-ubyte"
  path.write_bytes(content)
  with pytest.raises(UserError) as caught:
    idx.read(path, ndim=3)
  assert message in str(caught.value) and str(path) in str(caught.value)
  assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
  write_set(tmp_path)
  (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
  with pytest.raises(UserError, match="lacks t10k-labels-idx1-ubyte"):
    datasets.load("own", "test", str(tmp_path))


def test_labels_of_another_length_are_refused(tmp_path):
  write_set(tmp_path)
  labels = encode(np.zeros(11, np.uint8))
  (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
  with pytest.raises(UserError, match=r"shape \[11\] beside 12 images"):
    datasets.load("own", "train", str(tmp_path))


def test_no_image_at_all_is_refused(tmp_path):
  write_set(tmp_path, count=0)
  with pytest.raises(UserError, match="holds no image"):
    datasets.load("own", "train", str(tmp_path))


def test_an_unknown_split_lists_the_splits(tmp_path):
  write_set(tmp_path)
  with pytest.raises(UserError, match="unknown split 'validation'.*train, test"):
    datasets.load("own", "validation", str(tmp_path))


def need(root, *names):
  for name in names:
    if not (root / name).is_dir():
      pytest.skip(f"GAN_DATA_DIR has no {name}")


def test_the_real_mnist_has_its_published_counts(data_root):
  need(data_root, "mnist")
  train = datasets.load("mnist", "train", str(data_root))
  test = datasets.load("mnist", "test", str(data_root))
  assert train.images.shape == (60000, 28, 28, 1) and test.images.shape == (10000, 28, 28, 1)
  assert np.bincount(train.labels).tolist() == MNIST_TRAIN_HISTOGRAM
  assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
  assert (train.name, train.num_classes, train.notice) == ("mnist", 10, "")


def test_fashion_mnist_is_not_taken_for_mnist(data_root):
  need(data_root, "fashion_mnist")
  folder = str(data_root / "fashion_mnist")
  with pytest.raises(UserError, match="does not hold mnist"):
    datasets.load("mnist", "train", folder)
  assert datasets.load("fashion_mnist", "test", folder).name == "fashion_mnist"


def test_a_part_of_cifar10_is_never_called_cifar10(data_root):
  need(data_root, "cifar10_subset")
  part = datasets.load("cifar10_subset", "train", str(data_root))
  assert (part.name, part.images.shape) == ("cifar10_subset", (10000, 32, 32, 3))
  asked = datasets.load("cifar10", "test", str(data_root / "cifar10_subset"))
  assert asked.name == "cifar10_subset"
  assert "2000 test images where cifar10 has 10000" in asked.notice
