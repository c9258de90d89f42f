"""Classifier score and class histogram: exact extremes, arithmetic by hand, splits."""

import numpy as np
import pytest

from gan.errors import UserError
from gan.metrics.class_histogram import class_histogram
from gan.metrics.classifier_score import classifier_score


@pytest.mark.parametrize("classes", [1, 2, 10, 1000])
def test_certain_and_uniform_predictions_score_the_number_of_classes(classes):
  probabilities = np.tile(np.eye(classes), (20, 1))
  assert classifier_score(probabilities) == pytest.approx((classes, 0), rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("row", [(1.0, 0.0, 0.0), (0.2, 0.3, 0.5), (1 / 3, 1 / 3, 1 / 3)])
def test_constant_predictions_score_1(row):
  assert classifier_score(np.tile(row, (40, 1))) == pytest.approx((1, 0), abs=1e-12)


def test_two_samples_are_worked_by_hand():
  # p(y) = (.75, .25); KL of the sure one: log(4/3); of the unsure one: .5 log(2/3) + .5 log 2
  # mean .5 log(4/3) + .25 log(4/3) = .75 log(4/3)
  probabilities = np.array([[1.0, 0.0], [0.5, 0.5]])
  mean, standard_deviation = classifier_score(probabilities, splits=1)
  assert mean == pytest.approx((4 / 3) ** 0.75, rel=1e-12)
  assert standard_deviation == 0


def test_every_split_has_its_own_marginal():
  # Split 1 sees both classes, each surely: 2. Split 2 one class: 1. Mean 1.5, standard deviation
  # 0.5.
  probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
  assert classifier_score(probabilities, splits=2) == pytest.approx((1.5, 0.5), rel=1e-12)
  # Together: p(y) = (3/4, 1/4), score exp(H) = 4 / 3^(3/4)
  assert classifier_score(probabilities, splits=1)[0] == pytest.approx(4 / 3**0.75, rel=1e-12)


def test_splits_are_equal_and_the_rest_is_unused():
  probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
  assert classifier_score(probabilities, splits=2) == pytest.approx((2, 0), abs=1e-12)


def test_agrees_with_the_divergence_as_it_is_written():
  probabilities = np.random.default_rng(0).dirichlet(np.ones(7), size=300)
  scores = [
    np.exp(np.mean(np.sum(part * (np.log(part) - np.log(part.mean(axis=0))), axis=1)))
    for part in np.split(probabilities, 10)
  ]
  assert classifier_score(probabilities) == pytest.approx(
    (np.mean(scores), np.std(scores)), rel=1e-12
  )


def test_the_least_probability_does_not_spoil_the_score():
  # Its share of the marginal is 0 in double precision, where a ratio would be infinite.
  probabilities = np.array([[1.0, 5e-324], [1.0, 0.0]])
  assert classifier_score(probabilities, splits=1)[0] == pytest.approx(1, abs=1e-12)


def test_histogram_counts_the_most_likely_class():
  probabilities = np.array(
    [[0.6, 0.3, 0.1, 0.0], [0.1, 0.2, 0.7, 0.0], [0.4, 0.4, 0.2, 0.0], [0.0, 0.5, 0.5, 0.0]]
  )
  # Classes 0, 2, then the lowest of each tie: 0, 1; class 3 is never the one.
  assert class_histogram(probabilities).tolist() == [0.5, 0.25, 0.25, 0.0]


def test_histogram_of_a_perfect_classifier_is_that_of_the_labels():
  labels = np.random.default_rng(0).integers(5, size=1000)
  shares = class_histogram(np.eye(6)[labels])
  assert shares.tolist() == [np.mean(labels == label) for label in range(6)]
  assert shares.sum() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize(
  ("probabilities", "words"),
  [
    (np.full((40, 2), np.nan), "NaN or infinity in 40 of 40 rows"),
    (np.tile([np.inf, 0.0], (40, 1)), "NaN or infinity"),
    (np.tile([3.0, -2.0], (40, 1)), "as low as -2 .* softmax"),
    (np.tile([0.7, 0.7], (40, 1)), "between 1.4 and 1.4, not 1"),
    (np.full(40, 1.0), r"shape \[40\]"),
    (np.ones((0, 1)), "0 samples"),
  ],
)
@pytest.mark.parametrize("metric", [classifier_score, class_histogram])
@pytest.mark.usefixtures("unchecked")
def test_wrong_probabilities_are_refused_in_one_line(metric, probabilities, words):
  with pytest.raises(UserError, match=words) as refusal:
    metric(probabilities)
  assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
  ("splits", "words"), [(0, "at least 1"), (3, "5 samples, and 6 are needed")]
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_splits_are_refused(splits, words):
  with pytest.raises(UserError, match=words):
    classifier_score(np.tile([0.5, 0.5], (5, 1)), splits)
