"""Frechet distance within classes: classes apart by hand, and what the whole set does not see."""

import numpy as np
import pytest

from gan.errors import UserError
from gan.metrics.frechet import frechet_distance
from gan.metrics.intra_class_frechet import intra_class_frechet


def gaussians(seed, *shape):
  return np.random.default_rng(seed).standard_normal(shape)


def test_two_classes_are_worked_by_hand():
  # Means 1 and 3, 10 and 10; deviations sqrt 2 and sqrt 2, sqrt 8 and sqrt 2: 2^2 and sqrt(2)^2
  real = np.array([[0.0], [8.0], [2.0], [12.0]])
  fake = np.array([[2.0], [9.0], [11.0], [4.0]])
  found = intra_class_frechet(real, np.array([0, 1, 0, 1]), fake, np.array([0, 1, 1, 0]))
  np.testing.assert_array_equal(found.classes, [0, 1])
  np.testing.assert_allclose(found.values, [4, 2], rtol=1e-12)
  assert not len(found.left_out)


def test_each_class_has_the_distance_of_its_rows_alone():
  real, fake = gaussians(0, 90, 4), 2 * gaussians(1, 60, 4) + 1
  real_labels, fake_labels = np.arange(90) % 3, np.arange(60) % 3
  found = intra_class_frechet(real, real_labels, fake, fake_labels)
  expected = [frechet_distance(real[each::3], fake[each::3]) for each in range(3)]
  np.testing.assert_allclose(found.values, expected, rtol=1e-12)


def test_equal_sets_score_0_in_any_order():
  features, labels = gaussians(0, 60, 3), np.arange(60) % 4
  order = np.random.default_rng(1).permutation(60)
  found = intra_class_frechet(features, labels, features[order], labels[order])
  np.testing.assert_allclose(found.values, 0, atol=1e-12)


def test_exchanged_classes_are_seen_that_the_whole_set_hides():
  # Each class is its centre and little else: exchanged, each distance is |(10, 10)|^2.
  labels = np.arange(100) % 2
  features = 10 * np.stack([labels, 1 - labels], axis=1) + 0.1 * gaussians(0, 100, 2)
  assert frechet_distance(features, features) == pytest.approx(0, abs=1e-9)
  found = intra_class_frechet(features, labels, features, 1 - labels)
  np.testing.assert_allclose(found.values, 200, rtol=0.05)


def test_classes_without_enough_samples_are_left_out_and_named():
  # 0: two of both; 1: one real; 2: no fake; 3: in neither set; 4: fakes only; 5: two of both.
  real_labels = np.array([0, 0, 1, 2, 2, 2, 5, 5])
  fake_labels = np.array([0, 0, 1, 1, 4, 4, 5, 5])
  found = intra_class_frechet(gaussians(0, 8, 2), real_labels, gaussians(1, 8, 2), fake_labels)
  np.testing.assert_array_equal(found.classes, [0, 5])
  np.testing.assert_array_equal(found.left_out, [1, 2, 4])


@pytest.mark.parametrize(
  ("real_labels", "fake_labels", "message"),
  [
    (np.zeros(4, int), np.ones(4, int), "no class has 2 real and 2 fake samples"),
    (np.zeros(3, int), np.zeros(4, int), r"real labels are int64 \[3\] beside 4 samples"),
    (np.zeros(4, int), np.zeros(4), "fake labels are float64"),
    (np.zeros(4, int), np.array([0, 0, -1, 0]), "fake labels hold -1"),
  ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_labels_are_one_clear_line(real_labels, fake_labels, message):
  with pytest.raises(UserError, match=message) as error:
    intra_class_frechet(gaussians(0, 4, 2), real_labels, gaussians(1, 4, 2), fake_labels)
  assert "\n" not in str(error.value)
