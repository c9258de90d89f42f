"""Wasserstein-2: all permutations of few points, closed forms, and equal counts."""

import itertools

import numpy as np
import pytest

from gan import datasets
from gan.errors import UserError
from gan.metrics import Sample, evaluation
from gan.metrics.wasserstein import wasserstein


def gaussians(seed, *shape):
  return np.random.default_rng(seed).standard_normal(shape)


def measured(real, fake, seed=0, **options):
  return wasserstein(real, fake, np.random.default_rng(seed), **options)


def test_the_best_of_all_permutations_is_found():
  real, fake = gaussians(0, 6, 2), gaussians(1, 6, 2)
  squares = [np.mean(np.sum((real - fake[list(s)]) ** 2, axis=1)) for s in permutations(6)]
  assert measured(real, fake) == pytest.approx(np.sqrt(min(squares)), rel=1e-12)


def permutations(count):
  return itertools.permutations(range(count))


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.0, -4.0)])
def test_a_shift_by_c_costs_its_length_in_any_order(shift):
  points = gaussians(0, 300, 2)
  moved = np.random.default_rng(1).permutation(points + np.array(shift))
  assert measured(points, moved) == pytest.approx(np.hypot(*shift), rel=1e-12, abs=1e-12)


def test_a_scale_costs_its_share_of_the_mean_square():
  # x -> 3 x is the gradient of a convex function, so that no other assignment is cheaper.
  points = gaussians(0, 200, 2)
  expected = 2 * np.sqrt(np.mean(np.sum(points**2, axis=1)))
  assert measured(points, 3 * points) == pytest.approx(expected, rel=1e-12)


def test_points_on_a_line_are_paired_in_their_order():
  real, fake = gaussians(0, 100, 1), 2 * gaussians(1, 100, 1) + 1
  expected = np.sqrt(np.mean((np.sort(real[:, 0]) - np.sort(fake[:, 0])) ** 2))
  assert measured(real, fake) == pytest.approx(expected, rel=1e-12)
  assert measured(fake, real) == pytest.approx(expected, rel=1e-12)


def test_the_larger_set_gives_as_many_points_as_the_smaller_has():
  # Fakes are all at c, so that it does not matter which of them are taken.
  real, fake = np.zeros((7, 2)), np.tile([3.0, 4.0], (50, 1))
  assert measured(real, fake) == pytest.approx(5) == measured(fake, real)
  # Of 3 real points at 0, 1 and 2 one is taken: its distance to the fake at 0 is one of theirs.
  line = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
  found = {round(measured(line, np.zeros((1, 2)), seed), 12) for seed in range(20)}
  assert found == {0.0, 1.0, 2.0}


def test_no_more_points_are_taken_than_asked_for():
  # Of points 0, 1, ..., 39 and their shift by 1,000, subsets of 2 have other distances than 1,000.
  line = np.stack([np.arange(40.0), np.zeros(40)], axis=1)
  moved = line + np.array([1000.0, 0.0])
  assert measured(line, moved, most=40) == pytest.approx(1000, rel=1e-12)
  assert measured(line, moved, most=2) != pytest.approx(1000, rel=1e-6)


def test_a_ring_is_measured_beside_two_draws_of_it():
  train, test = (datasets.load("ring", split) for split in ("train[:3000]", "test[:400]"))
  data, lines = evaluation.make_data(train, test, None, 300, seed=0), []
  fake = Sample(np.concatenate([test.images[:200]] * 2) + np.float32(1000))
  row = evaluation.rows(data, fake, ["wasserstein"], 0, lines.append)["wasserstein"]
  assert row.value == pytest.approx(1000 * np.sqrt(2), rel=0.01)
  assert row.low < row.value < row.high
  # Eight modes have not the same share in two draws of 400: some points go to the next mode.
  assert 0 < row.held_out_reference < 0.5
  assert not lines
  evaluation.rows(data, fake.rows(np.arange(300)), ["wasserstein"], 0, lines.append)
  assert lines == ["wasserstein: of 400 held-out points and 300 samples 300 each are paired."]


@pytest.mark.parametrize(
  ("real", "fake", "message"),
  [
    (np.zeros((0, 2)), gaussians(1, 5, 2), "real features .* 1 are needed"),
    (gaussians(0, 5, 2), np.full((5, 2), np.inf), "infinity"),
    (gaussians(0, 5, 3), gaussians(1, 5, 2), "dimensions"),
  ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_one_clear_line(real, fake, message):
  with pytest.raises(UserError, match=message) as error:
    measured(real, fake)
  assert "\n" not in str(error.value)
