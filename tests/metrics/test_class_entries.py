"""Metrics of samples with classes: who has them, what real digits score, and what is said."""

import functools

import numpy as np
import pytest

from gan import datasets
from gan.metrics import Data, Sample, class_entries, evaluation, extractors
from gan.metrics.classification import classification_accuracy

SMALL = functools.partial(classification_accuracy, steps=40)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
  """The cache folder is empty, and is not the user's."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    patch.setattr("gan.metrics.classification.classification_accuracy", SMALL)
    yield


@pytest.fixture(scope="module")
def digits():
  return datasets.load("digits", "train"), datasets.load("digits", "test")


@pytest.fixture(scope="module")
def data(digits):
  return evaluation.make_data(*digits, extractors.load("digits"), 297, seed=0, labelled=True)


def measured(data, fake, *names, lines=None):
  say = (lambda line: None) if lines is None else lines.append
  return evaluation.rows(data, fake, names, 0, say)


def test_they_apply_where_fakes_have_labels_as_the_data_have(digits):
  train, test = digits
  found = [
    set(evaluation.applicable(evaluation.make_data(train, *given))) & set(class_entries.ENTRIES)
    for given in (
      (test, None, 50, 0, True),
      (test._replace(labels=None), None, 50, 0, True),
      (test, None, 50, 0),
    )
  ]
  assert found == [{"ms_ssim", "classification_accuracy"}, {"ms_ssim"}, set()]


def test_labels_go_with_their_examples(data, digits):
  train, test = digits
  np.testing.assert_array_equal(data.train.labels, train.labels)
  np.testing.assert_array_equal(data.held_out.labels, test.labels)
  rows = [np.flatnonzero((train.images == image).all((1, 2, 3)))[0] for image in data.reference[0]]
  np.testing.assert_array_equal(data.reference.labels, train.labels[rows])
  chosen = data.held_out.rows(np.array([5, 2]))
  np.testing.assert_array_equal(chosen.labels, test.labels[[5, 2]])
  np.testing.assert_array_equal(chosen.examples, test.images[[5, 2]])


@pytest.mark.slow
def test_real_digits_score_as_held_out_ones_and_other_classes_do_not(data):
  names = ("intra_class_frechet", "ms_ssim", "classification_accuracy")
  right = evaluation.held_out_sample(data, 297, seed=0)
  found = measured(data, right, *names)
  assert found["intra_class_frechet"].held_out_reference == found["intra_class_frechet"].value
  assert found["worst_class_frechet"].value > found["intra_class_frechet"].value > 0
  assert found["ms_ssim"].value == found["ms_ssim"].held_out_reference
  assert 0.1 < found["ms_ssim"].low < found["ms_ssim"].value < found["ms_ssim"].high < 0.9
  # Of so few digits a few steps teach little less than of training images.
  share = found["classification_accuracy"]
  assert share.value > 0.8 < share.held_out_reference and share.low is None
  wrong = right._replace(labels=(right.labels + 1) % 10)
  others = evaluation.measure(data, wrong, names, seed=0)
  assert others["intra_class_frechet"].value > 5 * found["intra_class_frechet"].value
  assert others["classification_accuracy"].value < 0.1
  # Pairs are of one class all the same, under another name.
  assert others["ms_ssim"].value == pytest.approx(found["ms_ssim"].value, abs=0.05)


def test_a_class_that_collapsed_is_more_alike_than_real_digits(data):
  fake = evaluation.held_out_sample(data, 297, seed=0)
  first = np.array([np.flatnonzero(fake.labels == label)[0] for label in fake.labels])
  one = measured(data, fake._replace(examples=fake.examples[first]), "ms_ssim")["ms_ssim"]
  assert one.value == pytest.approx(1) and one.value > one.held_out_reference + 0.3


def test_what_is_left_out_is_said_in_one_line():
  rng = np.random.default_rng(0)
  images = rng.integers(256, size=(12, 12, 12, 1), dtype=np.uint8)
  labels = np.array([0] * 5 + [1] * 5 + [2, 3])
  real = Sample(images, rng.normal(size=(12, 3)), labels=labels)
  fake = Sample(images, rng.normal(size=(12, 3)), labels=np.array([0] * 5 + [1] * 5 + [3, 4]))
  lines = []
  measured(Data(real, real, None), fake, "intra_class_frechet", "ms_ssim", lines=lines)
  said = [line for line in lines if "left out" in line]
  assert said[0] == (
    "intra_class_frechet: classes 2, 3, 4 are left out, which have fewer than 2 real or generated "
    "samples."
  )
  assert said[1] == (
    "ms_ssim: images of 12x12 have 1 of 5 scales; classes 3, 4 are left out, which have one image."
  )
