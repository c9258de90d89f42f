"""The .npz reader on good and on damaged archives."""

import numpy as np
import pytest

from gan import datasets
from gan.errors import UserError

COLOUR = np.random.default_rng(0).integers(256, size=(6, 8, 8, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2], np.uint8)


def load(path, split="train", **arrays):
  np.savez(path / "set.npz", **arrays)
  return datasets.load("own", split, str(path))


@pytest.mark.parametrize("images_key, labels_key", [("{}_images", "{}_labels"), ("x_{}", "y_{}")])
@pytest.mark.parametrize("split", ["train", "test"])
def test_both_families_of_keys_give_the_split(tmp_path, images_key, labels_key, split):
  other = {"train": "test", "test": "train"}[split]
  arrays = {
    images_key.format(split): COLOUR,
    labels_key.format(split): LABELS,
    images_key.format(other): COLOUR[:2],
    labels_key.format(other): np.array([0, 4]),
  }
  dataset = load(tmp_path, split, **arrays)
  np.testing.assert_array_equal(dataset.images, COLOUR)
  np.testing.assert_array_equal(dataset.labels, LABELS)
  assert dataset.labels.dtype == np.int32
  assert dataset.num_classes == 5  # the other split has the highest label


def test_keras_columns_of_labels_and_grey_images_without_channel(tmp_path):
  dataset = load(tmp_path, x_train=COLOUR[..., 0], y_train=LABELS[:, None])
  np.testing.assert_array_equal(dataset.images, COLOUR[..., :1])
  np.testing.assert_array_equal(dataset.labels, LABELS)


def test_images_alone_are_the_train_split_without_labels(tmp_path):
  dataset = load(tmp_path, images=COLOUR)
  assert dataset.labels is None and dataset.num_classes == 0
  with pytest.raises(UserError, match="unknown split 'test'"):
    load(tmp_path, "test", images=COLOUR)


@pytest.mark.parametrize("arrays", [{"arr_0": COLOUR}, {"samples": COLOUR}])
def test_an_array_alone_is_the_images_of_the_train_split_whatever_its_name(tmp_path, arrays):
  dataset = load(tmp_path, **arrays)
  np.testing.assert_array_equal(dataset.images, COLOUR)
  assert dataset.labels is None and dataset.num_classes == 0
  with pytest.raises(UserError, match="unknown split 'test'"):
    load(tmp_path, "test", **arrays)


def test_the_file_itself_may_be_named(tmp_path):
  np.savez(tmp_path / "a.npz", images=COLOUR, labels=LABELS)
  np.savez(tmp_path / "b.npz", images=COLOUR[:1])
  assert len(datasets.load("own", data_dir=str(tmp_path / "b.npz")).images) == 1
  with pytest.raises(UserError, match=r"several .npz \(a.npz, b.npz\)"):
    datasets.load("own", data_dir=str(tmp_path))


BAD = {
  "float images": (dict(images=COLOUR / 255.0), "float64: images must be uint8"),
  "channels first": (dict(images=COLOUR.transpose(0, 3, 1, 2)), r"shape \[6, 3, 8, 8\]"),
  "one image": (dict(images=COLOUR[0, 0]), r"shape \[8, 3\]"),
  "no image": (dict(images=COLOUR[:0]), "holds no image"),
  "float labels": (dict(images=COLOUR, labels=LABELS / 2), "labels must be integers"),
  "fewer labels": (dict(images=COLOUR, labels=LABELS[:5]), r"shape \[5\] beside 6 images"),
  "one-hot labels": (dict(images=COLOUR, labels=np.eye(6, dtype=int)), r"shape \[6, 6\]"),
  "negative label": (dict(images=COLOUR, labels=LABELS.astype(int) - 1), "labels count from 0"),
  "other keys": (dict(data=COLOUR, more=COLOUR), "has the keys data, more: it needs .* one array"),
  "labels alone": (dict(labels=LABELS), r"labels in .* has shape \[6\]"),
  "pickles": (dict(images=np.array([None, {}])), "cannot read"),
  "not square": (dict(images=COLOUR[:, :4]), "4x8, not square: give `image_size`"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_wrong_archive_is_one_line_that_names_it(tmp_path, kind):
  arrays, message = BAD[kind]
  with pytest.raises(UserError, match=message) as caught:
    load(tmp_path, **arrays)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [lambda content: content[:-40], lambda content: b"no archive"])
def test_a_damaged_archive_is_one_line_that_names_it(tmp_path, damage):
  path = tmp_path / "set.npz"
  np.savez_compressed(path, images=COLOUR, labels=LABELS)
  path.write_bytes(damage(path.read_bytes()))
  with pytest.raises(UserError, match="set.npz") as caught:
    datasets.load("own", data_dir=str(path))
  assert "\n" not in str(caught.value)


def test_flipped_bytes_are_noticed(tmp_path):
  path = tmp_path / "set.npz"
  np.savez_compressed(path, images=COLOUR)
  content = bytearray(path.read_bytes())
  content[200:240] = bytes(40)
  path.write_bytes(content)
  with pytest.raises(UserError, match="set.npz"):
    datasets.load("own", data_dir=str(path))


def test_another_file_is_refused(tmp_path):
  path = tmp_path / "images.tar"
  path.write_bytes(b"x")
  with pytest.raises(UserError, match="is a file, but no .npz"):
    datasets.load("own", data_dir=str(path))
