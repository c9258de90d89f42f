"""MIND: closed forms, another route to each integral, and what every distance has."""

import numpy as np
import pytest
from scipy import stats

from gan.errors import UserError
from gan.metrics.mind import mind


def gaussians(seed, *shape):
  return np.random.default_rng(seed).standard_normal(shape)


def measured(real, fake, seed=0, **options):
  return mind(real, fake, np.random.default_rng(seed), **options)


def test_one_dimension_is_worked_by_hand():
  # Both directions, 1 and -1, pair 0 with 1 and 2 with 5: 3 (1 + 9)/2.
  assert measured(np.array([[2.0], [0.0]]), np.array([[1.0], [5.0]])) == pytest.approx(15)


def test_unequal_counts_are_the_integral_of_the_steps_by_hand():
  # Quantiles 0, 6 on halves and 0, 3, 6 on thirds: they differ on the middle third, by 3 twice.
  # 3 (1/6 3^2 + 1/6 3^2)
  real, fake = np.array([[0.0], [6.0]]), np.array([[0.0], [3.0], [6.0]])
  assert measured(real, fake) == pytest.approx(9)
  assert measured(fake, real) == pytest.approx(9)


def test_unequal_counts_agree_with_copies_of_all_samples():
  real, fake = gaussians(0, 30, 4), gaussians(1, 42, 4)
  copies = measured(np.repeat(real, 7, axis=0), np.repeat(fake, 5, axis=0))
  assert measured(real, fake) == pytest.approx(copies, rel=1e-12)


def test_a_shift_of_one_set_is_3_times_its_square():
  # (u.c)^2 has the mean |c|^2/D over directions, and 3 D times that is 3 |c|^2, whatever the set.
  # Its relative deviation over one direction is sqrt(2 (D - 1)/(D + 2)), below sqrt 2.
  points, shift = gaussians(0, 50, 6), np.array([1.0, -2.0, 0.5, 0.0, 3.0, 0.1])
  value = measured(points, points + shift, directions=20_000)
  assert value == pytest.approx(3 * shift @ shift, rel=4 * np.sqrt(2 / 20_000))


def test_a_scale_of_a_gaussian_reaches_the_closed_form():
  # Each projection of N(0, I) and N(0, 4 I): (2 - 1)^2, so 3 D.
  value = measured(gaussians(0, 20_000, 3), 2 * gaussians(1, 20_000, 3), directions=200)
  assert value == pytest.approx(9, rel=0.03)


def test_the_mean_over_the_circle_agrees_with_quadrature():
  real, fake = gaussians(0, 40, 2), 2 * gaussians(1, 40, 2) + 1
  angles = 2 * np.pi * np.arange(720) / 720
  circle = np.stack([np.cos(angles), np.sin(angles)])
  gaps = np.sort(real @ circle, axis=0) - np.sort(fake @ circle, axis=0)
  assert measured(real, fake, directions=20_000) == pytest.approx(6 * np.mean(gaps**2), rel=0.02)


def test_in_one_dimension_it_is_at_least_the_first_wasserstein_distance_squared():
  # Jensen: W1 <= W2, with SciPy's W1 along the same direction; equal where all gaps are.
  real, fake = gaussians(0, 20, 1), gaussians(1, 35, 1)
  first = stats.wasserstein_distance(real[:, 0], fake[:, 0])
  assert measured(real, fake) >= 3 * first**2
  assert measured(real, real + 2) == pytest.approx(12)


def test_equal_sets_score_0_in_any_order_and_exchange_changes_nothing():
  real, fake = gaussians(0, 60, 5), gaussians(1, 45, 5)
  assert measured(real, real[::-1]) == pytest.approx(0, abs=1e-24)
  assert measured(real, fake) == pytest.approx(measured(fake, real), rel=1e-12)


def test_blocks_of_directions_do_not_change_the_directions():
  real, fake = gaussians(0, 20, 3), gaussians(1, 20, 3)
  units = np.random.default_rng(5).standard_normal((130, 3))
  units /= np.linalg.norm(units, axis=1, keepdims=True)
  gaps = np.sort(real @ units.T, axis=0) - np.sort(fake @ units.T, axis=0)
  expected = 9 * np.mean(gaps**2)
  assert measured(real, fake, seed=5, directions=130) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
  ("real", "fake", "message"),
  [
    (np.zeros((0, 2)), gaussians(1, 5, 2), "real features .* 1 are needed"),
    (gaussians(0, 5, 2), np.full((5, 2), np.nan), "NaN"),
    (gaussians(0, 5, 3), gaussians(1, 5, 2), "dimensions"),
  ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_one_clear_line(real, fake, message):
  with pytest.raises(UserError, match=message) as error:
    measured(real, fake)
  assert "\n" not in str(error.value)
