"""Classification accuracy: what can be learned, what cannot, and the chances of guessing."""

import numpy as np
import pytest

from gan import datasets
from gan.errors import UserError
from gan.metrics.classification import _batches, classification_accuracy


def stripes(labels, seed=0):
  """Images of 4 x 4 of which the row with the number of their class is bright."""
  images = np.random.default_rng(seed).integers(50, size=(len(labels), 4, 4, 1), dtype=np.uint8)
  images[np.arange(len(labels)), labels] += 200
  return images


TRAIN, TEST = np.arange(120) % 4, np.arange(60) % 4


def test_classes_that_show_are_learned_and_no_test_label_is():
  images, test = stripes(TRAIN), stripes(TEST, seed=1)
  assert classification_accuracy(images, TRAIN, test, TEST, 0, steps=40) == 1
  # The same images under other names: each test image is given the name that it was taught.
  assert classification_accuracy(images, (TRAIN + 1) % 4, test, TEST, 0, steps=40) == 0


def test_one_class_is_all_that_it_knows():
  ones = np.full(120, 2)
  share = classification_accuracy(stripes(TRAIN), ones, stripes(TEST, 1), TEST, 0, steps=40)
  assert share == pytest.approx(np.mean(TEST == 2))


def test_classes_that_only_test_images_have_are_missed():
  images, labels = stripes(TRAIN)[TRAIN < 2], TRAIN[TRAIN < 2]
  share = classification_accuracy(images, labels, stripes(TEST, 1), TEST, 0, steps=40)
  assert share == pytest.approx(np.mean(TEST < 2))


def test_fewer_digits_teach_less_and_equal_seeds_the_same():
  train, test = datasets.load("digits", "train"), datasets.load("digits", "test")
  few = train.images[:30], train.labels[:30]
  whole, again, less = (
    classification_accuracy(*given, test.images, test.labels, 3, steps=30)
    for given in (train[1:3], train[1:3], few)
  )
  assert whole == again and whole > 0.9 and 0.2 < less < whole - 0.1


def test_batches_take_every_image_once_in_a_pass():
  rows = _batches(300, 75, seed=0)
  assert rows.shape == (75, 128)
  counts = np.bincount(rows.reshape(-1), minlength=300)
  assert counts.min() == 32 == counts.max()  # 75 x 128 = 32 x 300
  assert _batches(10, 3, seed=0).shape == (3, 10)


@pytest.mark.parametrize(
  ("images", "labels", "test", "message"),
  [
    (stripes(TRAIN[:0]), TRAIN[:0], stripes(TEST), "0 images to train on and 60 to test"),
    (stripes(TRAIN), TRAIN, stripes(TEST)[:, :2], "training images are 4x4x1, test images 2x4x1"),
    (stripes(TRAIN)[:, :2], TRAIN, stripes(TEST)[:, :2], "images are 2x4, .* multiples of 4"),
    (stripes(TRAIN), TRAIN[:5], stripes(TEST), "training labels .* beside 120 samples"),
  ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_one_clear_line(images, labels, test, message):
  with pytest.raises(UserError, match=message) as error:
    classification_accuracy(images, labels, test, TEST, 0)
  assert "\n" not in str(error.value)
