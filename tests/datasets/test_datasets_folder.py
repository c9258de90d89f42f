"""Folders of image files."""

import numpy as np
import pytest
from PIL import Image

from gan import datasets
from gan.errors import UserError


def paint(path, value=100, size=(6, 6), mode="L"):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.new(mode, size, value if mode in ("L", "I;16") else (value,) * len(mode)).save(path)


def test_sub_folders_are_classes_in_the_order_of_their_names(tmp_path):
  for name, value in (("dog/a.png", 1), ("cat/b.png", 2), ("cat/a.png", 3)):
    paint(tmp_path / name, value)
  (tmp_path / "notes.txt").write_text("not an image")
  dataset = datasets.load("pets", data_dir=str(tmp_path))
  assert dataset.images[:, 0, 0, 0].tolist() == [3, 2, 1]
  assert dataset.labels.tolist() == [0, 0, 1]
  assert (dataset.labels.dtype, dataset.num_classes, dataset.name) == (np.int32, 2, "pets")


def test_a_flat_folder_has_no_labels_and_keeps_colour(tmp_path):
  paint(tmp_path / "a.png", 7, mode="RGB")
  dataset = datasets.load("photos", data_dir=str(tmp_path))
  assert dataset.images.shape == (1, 6, 6, 3) and (dataset.images == 7).all()
  assert dataset.labels is None and dataset.num_classes == 0


def test_without_split_folders_there_is_no_test_split(tmp_path):
  paint(tmp_path / "a.png")
  with pytest.raises(UserError, match="unknown split 'test'"):
    datasets.load("photos", "test", str(tmp_path))


def test_split_folders_number_their_classes_together(tmp_path):
  for name in ("train/a/1.png", "train/b/1.png", "test/b/1.png"):
    paint(tmp_path / name)
  test = datasets.load("own", "test", str(tmp_path))
  assert test.labels.tolist() == [1] and test.num_classes == 2


def test_sizes_that_differ_need_image_size(tmp_path):
  paint(tmp_path / "a.png", size=(6, 6))
  paint(tmp_path / "b.png", size=(12, 8))
  with pytest.raises(UserError, match="8x12: give `image_size`"):
    datasets.load("own", data_dir=str(tmp_path))
  dataset = datasets.load("own", data_dir=str(tmp_path), image_size=4)
  assert dataset.images.shape == (2, 4, 4, 1) and (dataset.images == 100).all()


def test_images_that_are_not_square_need_image_size(tmp_path):
  paint(tmp_path / "a.png", size=(8, 6))
  with pytest.raises(UserError, match="6x8, not square: give `image_size`"):
    datasets.load("own", data_dir=str(tmp_path))


def test_grey_beside_colour_is_refused(tmp_path):
  paint(tmp_path / "a.png")
  paint(tmp_path / "b.png", mode="RGB")
  with pytest.raises(UserError, match="differ in mode"):
    datasets.load("own", data_dir=str(tmp_path), image_size=4)


def test_sixteen_bits_are_refused(tmp_path):
  paint(tmp_path / "a.png", mode="I;16")
  with pytest.raises(UserError, match="more than 8 bits a channel: use 8-bit"):
    datasets.load("own", data_dir=str(tmp_path))


@pytest.mark.parametrize("keep", [0, 60, 75])
def test_an_unreadable_image_is_named(tmp_path, keep):
  path = tmp_path / "a.png"
  pixels = np.random.default_rng(0).integers(256, size=(32, 32), dtype=np.uint8)
  Image.fromarray(pixels).save(path)
  path.write_bytes(path.read_bytes()[:keep])
  with pytest.raises(UserError, match="a.png as an image") as caught:
    datasets.load("own", data_dir=str(tmp_path))
  assert "\n" not in str(caught.value)


def test_loose_images_beside_classes_are_refused(tmp_path):
  paint(tmp_path / "a.png")
  paint(tmp_path / "cat" / "b.png")
  with pytest.raises(UserError, match="both loose"):
    datasets.load("own", data_dir=str(tmp_path))


def test_folders_without_images_are_refused(tmp_path):
  with pytest.raises(UserError, match="is empty"):
    datasets.load("own", data_dir=str(tmp_path))
  (tmp_path / "deeper").mkdir()
  with pytest.raises(UserError, match="holds no image"):
    datasets.load("own", data_dir=str(tmp_path))
