"""scikit-learn's digits at MNIST's size."""

import numpy as np

from gan import datasets


def flat(dataset):
  return {image.tobytes() for image in dataset.images}


def test_the_splits_are_disjoint_and_whole():
  train, test = datasets.load("digits"), datasets.load("digits", "test")
  assert train.images.shape == (1500, 28, 28, 1) and test.images.shape == (297, 28, 28, 1)
  assert train.images.dtype == np.uint8 and train.labels.dtype == np.int32
  assert not flat(train) & flat(test)
  assert (train.name, train.num_classes, train.notice) == ("digits", 10, "")


def test_the_splits_are_stratified():
  train, test = (np.bincount(datasets.load("digits", s).labels) for s in ("train", "test"))
  np.testing.assert_allclose(test, (train + test) * 297 / 1797, atol=1)


def test_the_digits_do_not_change_between_calls():
  first, again = datasets.load("digits"), datasets.load("digits")
  np.testing.assert_array_equal(first.images, again.images)


def test_strokes_are_white_and_the_margin_black():
  images = datasets.load("digits").images
  assert images.max() == 255
  assert np.median(images.reshape(len(images), -1).max(axis=1)) > 240
  inside = images[:, 4:24, 4:24].astype(int).sum()
  assert inside == images.astype(int).sum()
