"""`datasets.load`: windows, sizes, places, and honest names."""

import subprocess
import sys

import numpy as np
import pytest

from gan import datasets
from gan.datasets import base, named
from gan.errors import UserError

pytestmark = pytest.mark.usefixtures("offline")
GREY = np.random.default_rng(0).integers(256, size=(10, 8, 8), dtype=np.uint8)


@pytest.fixture
def own(tmp_path):
  folder = tmp_path / "own"
  folder.mkdir()
  np.savez(folder / "set.npz", images=GREY, labels=np.arange(10))
  return folder


@pytest.mark.parametrize(
  "split, expected",
  [
    ("train", range(10)),
    ("train[:3]", range(3)),
    ("train[3:]", range(3, 10)),
    ("train[2:4]", range(2, 4)),
    ("train[:50000]", range(10)),
  ],
)
def test_a_window_takes_its_examples(own, split, expected):
  dataset = datasets.load("own", split, str(own))
  assert dataset.labels.tolist() == list(expected)
  np.testing.assert_array_equal(dataset.images[..., 0], GREY[expected.start : expected.stop])
  assert dataset.num_classes == 10


@pytest.mark.parametrize(
  "split", ["train[", "train[a:]", "train[-3:]", "train[1]", "", "train[:1]x"]
)
def test_a_split_that_cannot_be_read_says_how(own, split):
  with pytest.raises(UserError, match=r"unknown split .* train\[:50000\]"):
    datasets.load("own", split, str(own))


@pytest.mark.parametrize("split", ["train[10:]", "train[4:4]"])
def test_an_empty_window_is_refused(own, split):
  with pytest.raises(UserError, match="holds no example: this split of own has 10"):
    datasets.load("own", split, str(own))


@pytest.mark.parametrize("name", ["ring", "digits"])
def test_windows_join_to_the_whole_for_every_source(name):
  whole = datasets.load(name).images
  parts = [datasets.load(name, split).images for split in ("train[:700]", "train[700:]")]
  np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_equal_size_leaves_the_pixels(own):
  np.testing.assert_array_equal(
    datasets.load("own", data_dir=str(own), image_size=8).images[..., 0], GREY
  )


def test_halving_keeps_the_mean_so_nothing_aliases(tmp_path):
  board = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)
  np.savez(tmp_path / "a.npz", images=np.stack([board] * 2))
  small = datasets.load("own", data_dir=str(tmp_path), image_size=16).images
  assert small.shape == (2, 16, 16, 1) and small.dtype == np.uint8
  assert (abs(small[:, 1:-1, 1:-1].astype(int) - 127) <= 1).all()


def test_what_is_not_square_loses_its_sides(tmp_path):
  image = np.zeros((1, 4, 8, 3), np.uint8)
  image[:, :, 2:6] = [10, 20, 30]
  np.savez(tmp_path / "a.npz", images=image)
  square = datasets.load("own", data_dir=str(tmp_path), image_size=4).images
  np.testing.assert_array_equal(square, image[:, :, 2:6])


def test_sizes_that_mean_nothing_are_refused():
  with pytest.raises(UserError, match="image_size is 0"):
    datasets.load("digits", image_size=0)
  with pytest.raises(UserError, match="ring holds points"):
    datasets.load("ring", image_size=32)


@pytest.mark.parametrize("given", [True, False])
def test_a_root_holds_sets_by_name(own, monkeypatch, given):
  monkeypatch.setenv("GAN_DATA_DIR", str(own.parent))
  dataset = datasets.load("own", data_dir=str(own.parent) if given else None)
  assert dataset.name == "own" and dataset.source == str(own)


def test_a_root_holds_archives_by_name(own):
  (own / "set.npz").rename(own.parent / "other.npz")
  assert len(datasets.load("other", data_dir=str(own.parent)).images) == 10


def test_a_part_of_mnist_is_called_a_part(own):
  dataset = datasets.load("mnist", data_dir=str(own))
  assert dataset.name == "mnist_subset"
  assert "10 train images where mnist has 60000" in dataset.notice


def test_a_whole_with_other_classes_is_refused():
  images = np.zeros((10000, 1, 1, 1), np.uint8)
  labels = np.repeat(np.arange(10, dtype=np.int32), 1000)
  fake = base.Dataset("mnist", images, labels, 10, "here")
  with pytest.raises(UserError, match="here does not hold mnist"):
    named._identified(fake, "test")
  assert named._identified(fake._replace(name="fashion_mnist"), "test").notice == ""


@pytest.mark.parametrize("name", ["nosuch", "fashion-mnist", "a b", "", "../own"])
def test_an_unknown_name_lists_the_names(name, own, monkeypatch):
  monkeypatch.setenv("GAN_DATA_DIR", str(own.parent))
  with pytest.raises(UserError, match="unknown data set") as caught:
    datasets.load(name)
  assert "\n" not in str(caught.value)


def test_an_unknown_name_offers_the_nearest_and_the_users_own(own, monkeypatch):
  monkeypatch.setenv("GAN_DATA_DIR", str(own.parent))
  with pytest.raises(UserError, match="did you mean fashion_mnist.*digits.*mnist, own, ring"):
    datasets.load("fashion_mnst")


def test_folders_that_do_not_exist_are_refused(monkeypatch):
  for name in ("mnist", "auto"):
    with pytest.raises(UserError, match="data_dir /nowhere does not exist"):
      datasets.load(name, data_dir="/nowhere")
  monkeypatch.setenv("GAN_DATA_DIR", "/nowhere")
  with pytest.raises(UserError, match="GAN_DATA_DIR is /nowhere"):
    datasets.load("mnist")


def test_mnist_without_any_source_names_the_ways_to_supply_it(capsys):
  with pytest.raises(UserError, match="mnist is not at hand") as caught:
    datasets.load("mnist")
  for way in ("`data_dir=FOLDER`", "GAN_DATA_DIR", "prepared TFDS set", "network"):
    assert way in str(caught.value)
  assert "\n" not in str(caught.value)
  assert capsys.readouterr().out == ""


def test_auto_falls_back_to_digits_and_says_so():
  dataset = datasets.load("auto", "train[:100]")
  assert dataset.name == "digits" and len(dataset.images) == 100
  assert "MNIST was not found" in dataset.notice and "`data_dir=FOLDER`" in dataset.notice
  assert "\n" not in dataset.notice


def test_auto_does_not_hide_damaged_files(tmp_path, monkeypatch):
  folder = tmp_path / "mnist"
  folder.mkdir()
  (folder / "train-images-idx3-ubyte.gz").write_bytes(b"damaged")
  (folder / "train-labels-idx1-ubyte.gz").write_bytes(b"damaged")
  with pytest.raises(UserError, match="starts with"):
    datasets.load("auto", data_dir=str(tmp_path))
  monkeypatch.setenv("GAN_DATA_DIR", str(tmp_path))
  with pytest.raises(UserError, match="starts with"):
    datasets.load("auto")


def test_auto_is_mnist_under_its_own_name(mnist_root):
  dataset = datasets.load("auto", "test", mnist_root)
  assert (dataset.name, dataset.notice) == ("mnist", "")


@pytest.fixture
def mnist_root(data_root):
  if not (data_root / "mnist").is_dir():
    pytest.skip("GAN_DATA_DIR has no mnist")
  return str(data_root)


def test_loading_points_imports_neither_jax_nor_tfds():
  script = (
    "import sys; from gan import datasets; datasets.load('ring');"
    "assert not {'jax', 'tensorflow_datasets', 'sklearn', 'PIL'} & set(sys.modules)"
  )
  subprocess.run([sys.executable, "-c", script], check=True)
