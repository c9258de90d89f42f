"""Modes hit, their divergence and the share of good points, for samplers with known answers."""

import itertools
import math

import numpy as np
import pytest

from gan.datasets import grid, ring
from gan.errors import UserError
from gan.metrics.modes import (
  PERFECT_HIGH_QUALITY_SHARE,
  expected_kl,
  expected_mixture_modes,
  expected_modes,
  mixture_modes,
  stacked_modes,
)

SQUARE = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])


def sure(labels, classes=10):
  """Probabilities [N, K, C] of a sure classifier."""
  return np.eye(classes)[np.asarray(labels)]


def perfect_points(centres, sigma, samples, rng):
  labels = rng.integers(len(centres), size=samples)
  return centres[labels] + sigma * rng.standard_normal((samples, 2))


def assert_within_errors(draws, expected, errors=4):
  """The mean of the draws is the expectation to within standard errors."""
  draws = np.asarray(draws)
  assert abs(draws.mean() - expected) < errors * draws.std(ddof=1) / np.sqrt(len(draws))


def test_all_1000_stacks_alike_are_1000_modes_without_divergence():
  labels = list(itertools.product(range(10), repeat=3))
  assert stacked_modes(sure(labels * 2)) == pytest.approx((1000, 0), abs=1e-12)


def test_one_stack_is_one_mode_with_the_greatest_divergence():
  assert stacked_modes(sure([[3, 1, 4]] * 50)) == pytest.approx((1, math.log(1000)), rel=1e-12)


def test_channels_are_told_apart_and_shares_enter_the_divergence():
  # Two of nine modes with 3/4 and 1/4: log 9 + .75 log .75 + .25 log .25; (0, 2) is not (2, 0).
  modes, kl = stacked_modes(sure([[0, 2], [0, 2], [2, 0], [0, 2]], classes=3))
  assert modes == 2
  expected = math.log(9) + 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
  assert kl == pytest.approx(expected, rel=1e-12)


def test_the_most_likely_class_counts_and_nothing_else():
  labels = np.random.default_rng(0).integers(10, size=(500, 3))
  unsure = np.random.default_rng(1).uniform(0, 0.5, size=(500, 3, 10)) + sure(labels)
  assert stacked_modes(unsure) == stacked_modes(sure(labels))
  assert stacked_modes(np.log(unsure)) == stacked_modes(sure(labels))


def test_equal_shares_never_have_a_negative_divergence():
  divergences = [stacked_modes(np.eye(modes)[:, None])[1] for modes in range(1, 60)]
  assert min(divergences) >= 0 and max(divergences) < 1e-14


def test_half_of_the_modes_alike_have_the_divergence_log_2():
  labels = list(itertools.product(range(10), range(10), range(5)))
  assert stacked_modes(sure(labels)) == pytest.approx((500, math.log(2)), rel=1e-12)


def test_points_on_the_centres_are_all_modes_without_divergence():
  assert mixture_modes(SQUARE, SQUARE, 1.0) == (4, 1.0, 0.0)


def test_points_near_and_far_are_worked_by_hand():
  # 2.9 and 3.1 from a centre; three near the first, one near the second, two near none.
  points = [[0, 0], [2.9, 0], [0, -2.9], [10, 2.9], [0, 3.1], [5, 5]]
  modes, share, kl = mixture_modes(np.array(points), SQUARE, 1.0)
  assert modes == 2
  assert share == pytest.approx(4 / 6, rel=1e-12)
  expected = math.log(4) + 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
  assert kl == pytest.approx(expected, rel=1e-12)


def test_distance_is_euclidean_and_3_sigma_itself_is_too_far():
  # (2.5, 2.5) is 3.54 away, though either coordinate is within 3.
  points = np.array([[2.5, 2.5], [3.0, 0.0], [0.0, 0.0]])
  assert mixture_modes(points, SQUARE, 1.0) == pytest.approx((1, 1 / 3, math.log(4)), rel=1e-12)
  assert mixture_modes(points, SQUARE, 1.01)[1] == pytest.approx(2 / 3, rel=1e-12)


def test_a_point_that_is_near_two_centres_belongs_to_the_nearest():
  centres = np.array([[0.0, 0.0], [2.0, 0.0]])
  assert mixture_modes(np.array([[1.1, 0.0], [0.1, 0.0]]), centres, 1.0) == (2, 1.0, 0.0)
  assert mixture_modes(np.array([[1.1, 0.0]] * 2), centres, 1.0)[0] == 1


def test_no_good_point_is_infinitely_far_from_uniform():
  assert mixture_modes(np.full((5, 2), 5.0), SQUARE, 1.0) == (0, 0.0, math.inf)


@pytest.mark.parametrize("dataset", [ring, grid])
def test_a_generator_that_knows_one_mode_is_found_out(dataset):
  rng = np.random.default_rng(0)
  centres = dataset.centres()
  points = centres[3] + dataset.SIGMA * rng.standard_normal((2500, 2))
  modes, share, kl = mixture_modes(points, centres, dataset.SIGMA)
  # The share is binomial.
  q = PERFECT_HIGH_QUALITY_SHARE
  assert modes == 1 and kl == pytest.approx(math.log(len(centres)), rel=1e-12)
  assert abs(share - q) < 4 * math.sqrt(q * (1 - q) / 2500)


def test_expectations_are_worked_by_hand():
  # 1 sample: 1 mode, all mass in one of m. 2 samples, 2 modes: alike or not with 1/2 each, so that
  # 1.5 modes are hit and the divergence is log 2 or 0.
  assert expected_modes(1, 7) == pytest.approx(1, rel=1e-12)
  assert expected_kl(1, 7) == pytest.approx(math.log(7), rel=1e-12)
  assert expected_modes(2, 2) == 1.5
  assert expected_kl(2, 2) == pytest.approx(math.log(2) / 2, rel=1e-12)
  assert expected_modes(0, 7) == 0
  assert (expected_modes(3, 1), expected_kl(3, 1)) == (1, 0)


@pytest.mark.parametrize(("samples", "modes"), [(4, 3), (3, 4)])
def test_expectations_are_the_average_over_all_outcomes(samples, modes):
  # Stacks of one channel: every sequence of labels is as likely as any other.
  outcomes = [
    stacked_modes(sure(np.array(labels)[:, None], modes))
    for labels in itertools.product(range(modes), repeat=samples)
  ]
  expected = expected_modes(samples, modes), expected_kl(samples, modes)
  assert np.mean(outcomes, axis=0) == pytest.approx(expected, rel=1e-12)


def test_kl_of_many_samples_follows_its_expansion():
  # (m - 1) / (2 n) + (m^2 - 1) / (12 n^2) of the expansion in 1/n
  assert expected_kl(26_000, 1000) == pytest.approx(999 / 52_000 + 1e6 / (12 * 26_000**2), rel=1e-3)
  assert expected_kl(1_000_000, 2) == pytest.approx(1 / 2_000_000, rel=1e-3)


@pytest.mark.parametrize("samples", [500, 4000])
def test_a_perfect_sampler_of_stacks_reaches_the_reference(samples):
  rng = np.random.default_rng(samples)
  draws = [stacked_modes(sure(rng.integers(10, size=(samples, 3)))) for _ in range(60)]
  modes, kl = np.array(draws).T
  assert_within_errors(modes, expected_modes(samples, 1000))
  assert_within_errors(kl, expected_kl(samples, 1000))


@pytest.mark.parametrize("dataset", [ring, grid])
@pytest.mark.parametrize("samples", [40, 2500])
def test_a_perfect_sampler_of_points_reaches_the_reference(dataset, samples):
  rng = np.random.default_rng(samples)
  centres = dataset.centres()
  draws = [
    mixture_modes(perfect_points(centres, dataset.SIGMA, samples, rng), centres, dataset.SIGMA)
    for _ in range(200)
  ]
  modes, share, kl = np.array(draws).T
  expected = expected_mixture_modes(samples, len(centres))
  if samples == 40:
    assert_within_errors(modes, expected[0])
  else:
    assert np.all(modes == len(centres)) and expected[0] == pytest.approx(len(centres))
  assert_within_errors(share, expected[1])
  assert_within_errors(kl, expected[2])


def test_reference_of_points_counts_the_good_ones_alone():
  # 100 (1 - exp(-9/2)) = 98.9 points go into the histogram.
  assert expected_mixture_modes(100, 8)[2] == expected_kl(99, 8) > expected_kl(100, 8)


def test_share_of_a_gaussian_within_3_sigma_is_that_of_its_radius():
  expected = 1 - math.exp(-(3**2) / 2)
  assert pytest.approx(expected, rel=1e-12) == PERFECT_HIGH_QUALITY_SHARE


@pytest.mark.parametrize(
  ("probabilities", "words"),
  [
    (np.ones((5, 30)), r"shape \[5, 30\]"),
    (np.ones((0, 3, 10)), r"shape \[0, 3, 10\]"),
    (np.full((5, 3, 10), np.nan), "NaN or infinity in 5 of 5 rows"),
  ],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_stacks_are_refused_in_one_line(probabilities, words):
  with pytest.raises(UserError, match=words) as refusal:
    stacked_modes(probabilities)
  assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
  ("points", "centres", "sigma", "words"),
  [
    (np.array([[0, np.nan]]), SQUARE, 1.0, "points hold NaN or infinity in 1 of 1 rows"),
    (SQUARE, np.array([[0, np.inf]]), 1.0, "centres hold NaN or infinity"),
    (np.zeros((0, 2)), SQUARE, 1.0, "points are of 0 samples"),
    (np.zeros((4, 3)), SQUARE, 1.0, "points have 3 coordinates and centres 2"),
    (np.zeros(4), SQUARE, 1.0, r"points have shape \[4\]"),
    (SQUARE, SQUARE, 0.0, "sigma is 0.0"),
    (SQUARE, SQUARE, math.nan, "sigma is nan"),
    (SQUARE, SQUARE, math.inf, "sigma is inf"),
  ],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_points_are_refused_in_one_line(points, centres, sigma, words):
  with pytest.raises(UserError, match=words) as refusal:
    mixture_modes(points, centres, sigma)
  assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("function", [expected_modes, expected_kl, expected_mixture_modes])
@pytest.mark.parametrize(("samples", "modes"), [(-1, 3), (3, 0)])
@pytest.mark.usefixtures("unchecked")
def test_wrong_samplers_are_refused(function, samples, modes):
  with pytest.raises(UserError, match=f"samples is {samples} and modes {modes}"):
    function(samples, modes)
