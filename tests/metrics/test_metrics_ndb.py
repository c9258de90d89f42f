"""NDB: tests and divergences by hand, equal distributions, a mode that is missing."""

import numpy as np
import pytest
from scipy import stats

from gan.errors import UserError
from gan.metrics.ndb import bin_shares, js_divergence, ndb, two_proportion_p_values

MODES = 10.0 * np.array([[x, y] for x in range(5) for y in range(2)])  # ten, far apart


def clusters(seed, count, modes=10):
  """Points around the first modes, as many around each."""
  rng = np.random.default_rng(seed)
  return MODES[np.arange(count) % modes] + 0.1 * rng.standard_normal((count, 2))


def gaussians(seed, *shape):
  return np.random.default_rng(seed).standard_normal(shape)


def test_p_values_by_hand():
  # Shares 30/100 and 20/100: pooled 1/4, error sqrt(3/16 x 2/100), z = 0.1 / 0.0612372 = 1.632993,
  # p = 0.102470. Shares 0 and 10/200: pooled 1/30, z = -2.274294, p = 0.022949.
  p_values = two_proportion_p_values(np.array([0.3, 0.0]), 100, np.array([0.2, 0.05]), 100)
  assert p_values[0] == pytest.approx(0.102470, abs=1e-6)
  p_values = two_proportion_p_values(np.array([0.0]), 100, np.array([0.05]), 200)
  assert p_values[0] == pytest.approx(0.022949, abs=1e-6)


def test_squared_z_is_the_chi_squared_of_the_table():
  first, second = np.array([17, 40, 3]), np.array([30, 9, 5])
  p_values = two_proportion_p_values(first / 60, 60, second / 90, 90)
  expected = [
    stats.chi2_contingency([[a, 60 - a], [b, 90 - b]], correction=False).pvalue
    for a, b in zip(first, second, strict=True)
  ]
  np.testing.assert_allclose(p_values, expected, rtol=1e-9)


def test_bins_that_both_leave_empty_or_both_fill_do_not_differ():
  shares = np.array([0.0, 1.0])
  np.testing.assert_array_equal(two_proportion_p_values(shares, 10, shares, 20), 1)


def test_divergence_by_hand():
  # p = (1, 0), q = (1/2, 1/2), m = (3/4, 1/4): KL(p, m) = log(4/3);
  # KL(q, m) = log(2/3) / 2 + log(2) / 2 = log(4/3) / 2; mean of the two 3/4 log(4/3)
  first, second = np.array([1.0, 0.0]), np.array([0.5, 0.5])
  assert js_divergence(first, second) == pytest.approx(0.75 * np.log(4 / 3), rel=1e-12)
  assert js_divergence(second, first) == js_divergence(first, second)
  assert js_divergence(first, first) == 0
  assert js_divergence(first, 1 - first) == pytest.approx(np.log(2), rel=1e-12)


def test_shares_are_counts_of_the_nearest_centroids():
  train_shares, fake_shares = bin_shares(
    clusters(0, 1000), clusters(1, 500, modes=5), np.random.default_rng(0), 10
  )
  # k-means may split one mode and join two; the modes are equal, so shares are counted in tenths.
  assert train_shares.sum() == pytest.approx(1, rel=1e-12)
  assert fake_shares.sum() == pytest.approx(1, rel=1e-12)
  assert np.count_nonzero(fake_shares) < np.count_nonzero(train_shares) == 10


def test_equal_distributions_differ_in_the_share_that_the_level_allows():
  results = [
    ndb(gaussians(seed, 4000, 4), gaussians(100 + seed, 4000, 4), np.random.default_rng(0), bins=50)
    for seed in range(8)
  ]
  share, divergence = np.mean(results, axis=0)
  assert 0.005 < share < 0.08
  # (K - 1) (1/N + 1/M) / 8
  assert divergence == pytest.approx(49 / 16000, rel=0.25)


def test_a_stricter_level_finds_fewer_bins():
  train, fake = gaussians(0, 2000, 2), gaussians(1, 2000, 2) + 0.1
  shares = [
    ndb(train, fake, np.random.default_rng(0), bins=30, significance=level)[0]
    for level in (0.2, 0.05, 0.001)
  ]
  assert shares == sorted(shares, reverse=True)
  assert shares[0] > shares[2]


def test_a_dropped_mode_is_found():
  # 5 of 10 modes get all: the bins there hold twice their share, and the others nothing.
  train = clusters(0, 2000)
  share, divergence = ndb(train, clusters(1, 2000, modes=5), np.random.default_rng(0), bins=10)
  assert share == 1
  # p = 1/10 each, q = 1/5 on half: m = 3/20 and 1/20, up to how k-means cuts the modes.
  # (log(2/3) / 2 + log(2) / 2 + log(4/3)) / 2 = 0.215762
  assert divergence == pytest.approx(0.215762, abs=0.005)
  # 9 of 10: one bin empty, the others at 10/9 of their share, which 2,000 samples cannot tell.
  share, _ = ndb(train, clusters(1, 1998, modes=9), np.random.default_rng(0), bins=10)
  assert 0 < share <= 0.2


def test_a_collapsed_generator_differs_in_nearly_all_bins():
  train = gaussians(0, 4000, 4)
  share, divergence = ndb(train, np.repeat(train[:1], 1000, axis=0), np.random.default_rng(0))
  assert share > 0.95
  assert divergence > 0.6  # log 2 is 0.693


def test_the_generator_alone_decides_the_bins():
  train, fake = gaussians(0, 1000, 3), gaussians(1, 1000, 3)
  first, again, other = (
    ndb(train, fake, np.random.default_rng(seed), bins=20) for seed in (0, 0, 1)
  )
  assert first == again
  assert first != other


@pytest.mark.parametrize(
  ("train", "fake", "bins", "message"),
  [
    (gaussians(0, 9, 2), gaussians(1, 9, 2), 10, "9 real samples for 10 bins: take at least 10"),
    (gaussians(0, 9, 2), gaussians(1, 9, 2), 1, "bins is 1: choose at least 2"),
    (gaussians(0, 9, 2), np.full((9, 2), np.nan), 3, "NaN"),
    (gaussians(0, 9, 2), gaussians(1, 9, 3), 3, "dimensions"),
    (gaussians(0, 9, 2), np.zeros((0, 2)), 3, "1 are needed"),
  ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_one_clear_line(train, fake, bins, message):
  with pytest.raises(UserError, match=message) as error:
    ndb(train, fake, np.random.default_rng(0), bins=bins)
  assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_repeated_rows_cannot_fill_more_bins():
  train = np.repeat(gaussians(0, 3, 2), 10, axis=0)
  with pytest.raises(UserError, match="3 different rows"):
    ndb(train, train, np.random.default_rng(0), bins=5)
