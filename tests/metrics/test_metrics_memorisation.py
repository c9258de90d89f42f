"""Memorisation: copies, fresh draws and what lies between."""

import numpy as np
import pytest

from gan.errors import UserError
from gan.metrics.memorisation import memorisation


def gaussians(seed, *shape):
  return np.random.default_rng(seed).standard_normal(shape)


def test_three_points_are_worked_by_hand():
  # Held-out data are 1, 2 and 4 from the training set, median 2; fakes 0, 1 and 3, median 1.
  train = np.array([[0.0, 0.0], [10.0, 0.0]])
  held_out = np.array([[0.0, 1.0], [12.0, 0.0], [0.0, -4.0]])
  fake = np.array([[10.0, 0.0], [-1.0, 0.0], [10.0, 3.0]])
  ratio, distances, indices = memorisation(train, held_out, fake)
  assert ratio == pytest.approx(0.5, rel=1e-12)
  np.testing.assert_allclose(distances, [0, 1, 3], rtol=1e-12)
  np.testing.assert_array_equal(indices, [1, 0, 1])


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_copies_score_0_and_name_their_originals(offset):
  train = gaussians(0, 500, 20) + offset
  rows = np.random.default_rng(1).integers(500, size=200)
  ratio, distances, indices = memorisation(train, gaussians(2, 200, 20) + offset, train[rows])
  assert ratio == 0
  np.testing.assert_array_equal(distances, 0)
  np.testing.assert_array_equal(indices, rows)


@pytest.mark.parametrize("dims", [2, 20])
def test_fresh_draws_score_1(dims):
  draws = [gaussians(seed, 3, 2000, dims) for seed in range(5)]
  ratios = [memorisation(*draw).ratio for draw in draws]
  assert np.mean(ratios) == pytest.approx(1, abs=0.03)


def test_the_ratio_is_the_share_of_the_way_from_a_copy_to_fresh_data():
  # Noise of 1% of the spread in 20 dimensions: the original stays the nearest row, at 0.01 |n|.
  train, held_out, noise = gaussians(0, 3, 1000, 20)
  ratio, distances, indices = memorisation(train, held_out, train + 0.01 * noise)
  np.testing.assert_array_equal(indices, np.arange(1000))
  np.testing.assert_allclose(distances, 0.01 * np.linalg.norm(noise, axis=1), rtol=1e-9)
  assert 0 < ratio < 0.03


def test_a_few_fakes_far_away_do_not_hide_copies():
  train, held_out = gaussians(0, 2, 400, 5)
  fake = np.concatenate([train[:300], 1e6 + gaussians(1, 100, 5)])
  assert memorisation(train, held_out, fake).ratio == 0


def test_units_do_not_matter():
  train, held_out, fake = gaussians(0, 3, 300, 5)
  expected = memorisation(train, held_out, fake).ratio
  assert memorisation(255 * train, 255 * held_out, 255 * fake).ratio == pytest.approx(expected)


@pytest.mark.parametrize(
  ("train", "held_out", "fake", "message"),
  [
    (np.zeros((0, 2)), gaussians(0, 5, 2), gaussians(1, 5, 2), "train .* 1 are needed"),
    (gaussians(0, 5, 2), np.zeros((0, 2)), gaussians(1, 5, 2), "held_out .* 1 are needed"),
    (gaussians(0, 5, 2), gaussians(1, 5, 2), np.zeros((0, 2)), "1 are needed"),
    (gaussians(0, 5, 2), gaussians(1, 5, 2), np.full((5, 2), np.nan), "NaN"),
    (gaussians(0, 5, 2), gaussians(1, 5, 2), gaussians(2, 5, 3), "dimensions"),
    (gaussians(0, 5, 3), gaussians(1, 5, 2), gaussians(2, 5, 2), "dimensions"),
    (gaussians(0, 5, 2), gaussians(0, 5, 2), gaussians(1, 5, 2), "outside"),
  ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_one_clear_line(train, held_out, fake, message):
  with pytest.raises(UserError, match=message) as error:
    memorisation(train, held_out, fake)
  assert "\n" not in str(error.value)
