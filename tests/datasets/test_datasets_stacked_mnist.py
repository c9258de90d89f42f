"""Stacked MNIST, from a stand-in whose digits tell themselves apart, and from the real one."""

import numpy as np
import pytest

from gan import datasets
from gan.datasets import base
from gan.errors import UserError

COUNTS = {"train": 128_000, "test": 26_000}
FIRST = {"train": 0, "test": 100}  # the grey level of the first image of a split; 20 train, 10 test


def archive(folder, **arrays):
  """Writes an .npz of 2x2 images, each of one grey level; its last figure is the label."""
  for split, size in (("train", 20), ("test", 10)):
    levels = FIRST[split] + np.arange(size, dtype=np.uint8)
    arrays[f"{split}_images"] = np.tile(levels[:, None, None], (1, 2, 2))
    arrays.setdefault(f"{split}_labels", levels % 10)
  np.savez(folder / "digits.npz", **arrays)
  return str(folder)


@pytest.fixture
def stand_in(tmp_path):
  return archive(tmp_path)


@pytest.mark.parametrize("split", COUNTS)
def test_each_channel_is_a_digit_of_the_split_and_the_label_reads_them_in_order(stand_in, split):
  stacks = datasets.load("stacked_mnist", split, stand_in)
  assert stacks.images.shape == (COUNTS[split], 2, 2, 3) and stacks.images.dtype == np.uint8
  assert stacks.labels.dtype == np.int32 and stacks.num_classes == 1000
  levels = stacks.images[:, 0, 0]
  assert np.array_equal(stacks.images, np.broadcast_to(levels[:, None, None], stacks.images.shape))
  size = {"train": 20, "test": 10}[split]
  for channel in range(3):
    assert set(levels[:, channel]) == set(range(FIRST[split], FIRST[split] + size))
  read = [int(f"{a}{b}{c}") for a, b, c in levels % 10]
  np.testing.assert_array_equal(stacks.labels, read)


def test_the_three_digits_are_independent_and_uniform(stand_in):
  counts = np.bincount(datasets.load("stacked_mnist", "train", stand_in).labels, minlength=1000)
  # Each class is binomial, 128,000 draws at 1/1000: 128 with a standard deviation of 11.3.
  assert counts.shape == (1000,) and abs(counts - 128).max() < 5 * 11.3
  # The statistic of a chi-squared test: 999 with a standard deviation of sqrt(2 * 999).
  assert abs(((counts - 128) ** 2 / 128).sum() - 999) < 5 * np.sqrt(2 * 999)


@pytest.mark.parametrize("split", COUNTS)
def test_every_call_gives_the_same_stacks(stand_in, split):
  first, again = (datasets.load("stacked_mnist", split, stand_in) for _ in range(2))
  np.testing.assert_array_equal(first.images, again.images)
  np.testing.assert_array_equal(first.labels, again.labels)


def test_a_part_of_mnist_gives_a_part_and_the_notice_comes_through(stand_in):
  stacks = datasets.load("stacked_mnist", "train[:5]", stand_in)
  assert stacks.name == "stacked_mnist_subset" and len(stacks.images) == 5
  assert stacks.notice == datasets.load("mnist", "train", stand_in).notice != ""
  assert stand_in in stacks.source and "128000 stacks, seed 0" in stacks.source


def test_without_mnist_the_error_is_that_of_mnist_and_nothing_stands_in(offline):
  with pytest.raises(base.UnavailableError, match="mnist is not at hand") as caught:
    datasets.load("stacked_mnist")
  assert "\n" not in str(caught.value)


def test_another_split_is_refused(stand_in):
  with pytest.raises(UserError, match="unknown split 'valid': stacked_mnist has train, test"):
    datasets.load("stacked_mnist", "valid", stand_in)


def colour(folder):
  images = np.zeros((4, 2, 2, 3), np.uint8)
  np.savez(folder / "digits.npz", images=images, labels=np.arange(4))


def unlabelled(folder):
  np.savez(folder / "digits.npz", images=np.zeros((4, 2, 2), np.uint8))


def letters(folder):
  archive(folder, train_labels=np.arange(20))


@pytest.mark.parametrize("write", [colour, unlabelled, letters])
def test_what_is_not_grey_digits_with_labels_is_refused(tmp_path, write):
  write(tmp_path)
  with pytest.raises(UserError, match=f"{tmp_path}.*grey images with labels 0 to 9"):
    datasets.load("stacked_mnist", "train", str(tmp_path))


@pytest.fixture
def mnist_root(data_root):
  if not (data_root / "mnist").is_dir():
    pytest.skip("GAN_DATA_DIR has no mnist")
  return str(data_root)


@pytest.mark.parametrize("split", COUNTS)
def test_real_stacks_are_stacks_of_real_digits(mnist_root, split):
  stacks = datasets.load("stacked_mnist", split, mnist_root)
  assert (stacks.name, stacks.notice) == ("stacked_mnist", "")
  assert stacks.images.shape == (COUNTS[split], 28, 28, 3) and stacks.images.dtype == np.uint8
  assert len(np.unique(stacks.labels)) == 1000
  digits = datasets.load("mnist", split, mnist_root)
  label_of = {
    image.tobytes(): label for image, label in zip(digits.images, digits.labels, strict=True)
  }
  for image, label in zip(stacks.images[:500], stacks.labels[:500], strict=True):
    a, b, c = (label_of[image[..., channel].tobytes()] for channel in range(3))
    assert label == 100 * a + 10 * b + c


def test_real_stacks_are_the_same_on_every_call(mnist_root):
  first, again = (datasets.load("stacked_mnist", "train", mnist_root) for _ in range(2))
  assert np.array_equal(first.images, again.images)
  assert np.array_equal(first.labels, again.labels)
