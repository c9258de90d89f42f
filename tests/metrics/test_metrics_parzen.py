"""Parzen windows: densities by hand, against scipy, and the score of real digits."""

import numpy as np
import pytest
from scipy import special, stats

from gan import datasets
from gan.errors import UserError
from gan.metrics.parzen import BANDWIDTHS, log_densities, parzen_log_likelihood


def uniform(seed, *shape):
  return np.random.default_rng(seed).random(shape)


def log_density_as_written(samples, points, bandwidth):
  squares = np.square(points[:, None] - samples[None]).sum(axis=-1)
  dims = samples.shape[1]
  mean = special.logsumexp(-squares / (2 * bandwidth**2), axis=1) - np.log(len(samples))
  return mean - dims * np.log(bandwidth * np.sqrt(2 * np.pi))


def test_one_centre_is_a_gaussian():
  centre, points = uniform(0, 1, 3), uniform(1, 5, 3)
  for bandwidth in (0.1, 1.0):
    expected = stats.multivariate_normal(centre[0], bandwidth**2).logpdf(points)
    densities = log_densities(centre, points, np.array([bandwidth]))
    np.testing.assert_allclose(densities[0], expected, rtol=1e-12)


def test_two_points_by_hand():
  # One centre, 0, in one dimension, sigma 1/2: log p(x) = -2 x^2 - log(sqrt(2 pi) / 2).
  # Test points 0 and 1: mean -1 - 0.225791, standard deviation 1, standard error 1 / sqrt(2).
  score = parzen_log_likelihood(
    np.zeros((1, 1)), np.zeros((1, 1)), np.array([[0.0], [1.0]]), bandwidths=np.array([0.5])
  )
  assert score == pytest.approx((-1.225791, np.sqrt(0.5), 0.5), abs=1e-6)


@pytest.mark.parametrize("dims", [1, 7, 784])
def test_agrees_with_the_sum_as_it_is_written(dims):
  samples, validation, test = uniform(0, 30, dims), uniform(1, 20, dims), uniform(2, 25, dims)
  choices = [log_density_as_written(samples, validation, s).mean() for s in BANDWIDTHS]
  bandwidth = BANDWIDTHS[np.argmax(choices)]
  expected = log_density_as_written(samples, test, bandwidth)
  score = parzen_log_likelihood(samples, validation, test)
  assert score.bandwidth == bandwidth
  assert score.mean == pytest.approx(expected.mean(), rel=1e-10)
  assert score.standard_error == pytest.approx(expected.std() / 5, rel=1e-10)


def test_blocks_do_not_change_the_result():
  samples, points = uniform(0, 40, 6), uniform(1, 50, 6)
  whole = log_densities(samples, points, BANDWIDTHS)
  row = 40 * 8 / 2**20  # MiB
  for working_memory in (row, 7.5 * row):
    blocks = log_densities(samples, points, BANDWIDTHS, working_memory=working_memory)
    np.testing.assert_allclose(blocks, whole, rtol=1e-12)


def test_points_far_from_every_centre_have_a_finite_density():
  # exp(-1e8 / 2) is 0 in double precision: its logarithm would be -inf.
  densities = log_densities(np.zeros((3, 1)), np.array([[1e4]]), np.array([1.0]))
  assert densities[0, 0] == pytest.approx(-0.5e8 - 0.5 * np.log(2 * np.pi), rel=1e-12)


def test_the_density_integrates_to_1():
  samples, line = uniform(0, 20, 1), np.linspace(-3, 4, 7001)[:, np.newaxis]
  density = np.exp(log_densities(samples, line, np.array([0.1, 0.5])))
  np.testing.assert_allclose(density.sum(axis=1) * 0.001, 1, rtol=1e-6)


def test_validation_chooses_the_width_and_test_does_not():
  # Validation at the centre wants the least width, at a distance of 1 in one dimension sigma = 1.
  samples, test = np.zeros((1, 1)), np.full((2, 1), 0.3)
  assert parzen_log_likelihood(samples, np.zeros((1, 1)), test).bandwidth == BANDWIDTHS[0]
  assert parzen_log_likelihood(samples, np.ones((1, 1)), test).bandwidth == BANDWIDTHS[-1]
  between = parzen_log_likelihood(samples, np.full((1, 1), BANDWIDTHS[4]), test)
  assert between.bandwidth == BANDWIDTHS[4]


def test_better_samples_score_higher():
  rng = np.random.default_rng(0)
  modes = rng.choice([0.2, 0.8], (3, 500, 1))
  good, validation, test = modes + rng.normal(0, 0.1, (3, 500, 4))
  collapsed = np.repeat(good[:1], 500, axis=0)
  score = parzen_log_likelihood(good, validation, test).mean
  assert score > parzen_log_likelihood(collapsed, validation, test).mean
  assert score > parzen_log_likelihood(good + 0.3, validation, test).mean


@pytest.mark.parametrize(
  ("samples", "validation", "test", "message"),
  [
    (np.zeros((0, 2)), uniform(0, 5, 2), uniform(1, 5, 2), "1 are needed"),
    (uniform(0, 5, 2), np.zeros((0, 2)), uniform(1, 5, 2), "validation .* 1 are needed"),
    (uniform(0, 5, 2), uniform(1, 5, 2), uniform(2, 1, 2), "test .* 2 are needed"),
    (np.full((5, 2), np.nan), uniform(0, 5, 2), uniform(1, 5, 2), "NaN"),
    (uniform(0, 5, 3), uniform(1, 5, 2), uniform(2, 5, 2), "dimensions"),
    (uniform(0, 5, 2), uniform(1, 5, 2), uniform(2, 5, 3), "dimensions"),
  ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_one_clear_line(samples, validation, test, message):
  with pytest.raises(UserError, match=message) as error:
    parzen_log_likelihood(samples, validation, test)
  assert "\n" not in str(error.value)


@pytest.mark.parametrize("bandwidths", [[], [0.1, 0.0], [-1.0], [np.nan]])
def test_a_bandwidth_is_above_0(bandwidths):
  points = uniform(0, 5, 2)
  with pytest.raises(UserError, match="bandwidths"):
    parzen_log_likelihood(points, points, points, bandwidths=np.array(bandwidths))


@pytest.mark.slow
def test_real_digits_score_what_a_perfect_generator_would(data_root):
  # 10,000 training images in the place of samples: 244.2 +- 2.1, at sigma = 0.1668.
  del data_root
  train, rest, test = (
    datasets.load("mnist", split).images.reshape(-1, 784) / 255
    for split in ("train[:50000]", "train[50000:]", "test")
  )
  samples = np.random.default_rng(0).choice(train, 10_000, replace=False)
  score = parzen_log_likelihood(samples, rest[:1000], test)
  assert score.bandwidth == pytest.approx(0.1668, abs=1e-4)
  assert score.mean == pytest.approx(244, abs=4)
  assert score.standard_error == pytest.approx(2.1, abs=0.1)
