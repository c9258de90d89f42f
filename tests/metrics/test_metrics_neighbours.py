"""Neighbours, precision and recall, density and coverage: loops by hand, closed forms, ties."""

import numpy as np
import pytest

from gan.errors import UserError
from gan.metrics.density_coverage import density_coverage, expected_coverage
from gan.metrics.neighbours import kth_distance, memberships, nearest
from gan.metrics.precision_recall import precision_recall

METRICS = (precision_recall, density_coverage)


def gaussians(seed, *shape):
  return np.random.default_rng(seed).standard_normal(shape)


def whole_numbers(seed, *shape):
  return np.random.default_rng(seed).integers(0, 5, shape).astype(np.float64)


def distance(first, second):
  return np.sqrt(sum((a - b) ** 2 for a, b in zip(first, second, strict=True)))


def radius_by_hand(points, index, k):
  others = [distance(points[index], points[i]) for i in range(len(points)) if i != index]
  return sorted(others)[k - 1]


def precision_by_hand(real, fake, k):
  """Recall is the same with the two exchanged."""
  radii = [radius_by_hand(real, i, k) for i in range(len(real))]
  inside = [any(distance(y, x) <= r for x, r in zip(real, radii, strict=True)) for y in fake]
  return sum(inside) / len(fake)


def density_coverage_by_hand(real, fake, k):
  radii = [radius_by_hand(real, i, k) for i in range(len(real))]
  counts = [sum(distance(y, x) < r for y in fake) for x, r in zip(real, radii, strict=True)]
  return sum(counts) / (k * len(fake)), sum(count > 0 for count in counts) / len(real)


# Squares of whole numbers are exact, so that distances often tie and <= differs from <.
CLOUDS = pytest.mark.parametrize(
  ("real", "fake"),
  [
    (gaussians(0, 30, 3), gaussians(1, 20, 3)),
    (gaussians(2, 12, 1), gaussians(3, 40, 1) / 3 + 1),
    (whole_numbers(4, 25, 2), whole_numbers(5, 35, 2)),
    (whole_numbers(6, 40, 3), whole_numbers(7, 15, 3) + 1),
  ],
)


@CLOUDS
@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_and_recall_agree_with_loops(real, fake, k):
  expected = precision_by_hand(real, fake, k), precision_by_hand(fake, real, k)
  assert precision_recall(real, fake, k=k) == pytest.approx(expected, abs=1e-12)


@CLOUDS
@pytest.mark.parametrize("k", [1, 3, 5])
def test_density_and_coverage_agree_with_loops(real, fake, k):
  expected = density_coverage_by_hand(real, fake, k)
  assert density_coverage(real, fake, k=k) == pytest.approx(expected, abs=1e-12)


def test_the_edge_counts_for_precision_and_not_for_coverage():
  # On a line the data 0, 1, 3 have radii 1, 1, 2 at k = 1; the fakes -1 and 5 lie on edges, of the
  # balls of 0 and of 3. Of the fakes' own balls, of radius 6, each reaches all data.
  real = np.array([[0.0], [1.0], [3.0]])
  fake = np.array([[-1.0], [5.0]])
  assert precision_recall(real, fake, k=1) == (1.0, 1.0)
  assert density_coverage(real, fake, k=1) == (0.0, 0.0)


def test_kth_distance_is_the_entry_of_the_sorted_row_after_the_point_itself():
  points = gaussians(0, 50, 4)
  rows = np.sort(np.linalg.norm(points[:, None] - points[None], axis=-1), axis=1)
  for k in (1, 2, 7, 49):
    np.testing.assert_allclose(kth_distance(points, k), rows[:, k], rtol=1e-12)


def test_duplicates_are_neighbours_at_distance_0():
  points = np.repeat(gaussians(0, 20, 6), 2, axis=0)
  np.testing.assert_array_equal(kth_distance(points, 1), 0)
  assert (kth_distance(points, 2) > 0).all()


def test_nearest_finds_the_point_and_its_distance():
  queries, points = gaussians(0, 30, 5), gaussians(1, 40, 5)
  distances, indices = nearest(queries, points)
  rows = np.linalg.norm(queries[:, None] - points[None], axis=-1)
  np.testing.assert_array_equal(indices, rows.argmin(axis=1))
  np.testing.assert_allclose(distances, rows.min(axis=1), rtol=1e-12)


def test_memberships_count_along_both_axes():
  queries, points, radii = gaussians(0, 30, 2), gaussians(1, 20, 2), np.linspace(0, 2, 20)
  inside = np.linalg.norm(queries[:, None] - points[None], axis=-1) <= radii
  counts = memberships(queries, points, radii, closed=True)
  np.testing.assert_array_equal(counts.balls_per_query, inside.sum(axis=1))
  np.testing.assert_array_equal(counts.queries_per_ball, inside.sum(axis=0))


@pytest.mark.parametrize("closed", [True, False])
def test_blocks_do_not_change_the_result(closed):
  queries, points = whole_numbers(0, 60, 3), whole_numbers(1, 50, 3)
  radii = kth_distance(points, 3)
  whole = memberships(queries, points, radii, closed=closed)
  row = 50 * 8 / 2**20  # MiB
  for working_memory in (row, 7.5 * row, 1000.0):
    blocks = memberships(queries, points, radii, closed=closed, working_memory=working_memory)
    np.testing.assert_array_equal(blocks.balls_per_query, whole.balls_per_query)
    np.testing.assert_array_equal(blocks.queries_per_ball, whole.queries_per_ball)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("dims", [2, 64, 1000])
def test_copies_lie_on_the_edge_of_the_ball_despite_rounding(dims, offset):
  # An open ball of a point holds the copies of itself and of k - 1 neighbours: density k / k.
  points = gaussians(0, 300, dims) + offset
  assert density_coverage(points, points.copy()) == (1.0, 1.0)
  shuffled = np.random.default_rng(1).permutation(points)
  assert density_coverage(points, shuffled) == (1.0, 1.0)
  # The closed ball out to the k-th neighbour holds one more.
  closed = memberships(shuffled, points, kth_distance(points, 3), closed=True)
  np.testing.assert_array_equal(closed.queries_per_ball, 4)


def test_an_offset_costs_no_digits():
  real, fake = np.round(gaussians(0, 2, 200, 8), 3)
  for metric in METRICS:
    assert metric(real, fake) == pytest.approx(metric(real + 1e6, fake + 1e6), abs=1e-12)


def test_equal_gaussians_score_as_calibrated():
  # Draws of N = M = 2000 in 8 dimensions at k = 5: precision and recall .948 +- .007, density
  # 1.003 +- .022, coverage .969 +- .007 (one standard deviation of a draw). Four draws here.
  pairs = [gaussians(seed, 2, 2000, 8) for seed in range(4)]
  precision, recall = np.mean([precision_recall(*pair, k=5) for pair in pairs], axis=0)
  density, coverage = np.mean([density_coverage(*pair) for pair in pairs], axis=0)
  assert precision == pytest.approx(0.948, abs=0.014)
  assert recall == pytest.approx(0.948, abs=0.014)
  assert density == pytest.approx(1, abs=0.04)
  assert coverage == pytest.approx(expected_coverage(2000, 2000, 5), abs=0.014)


@pytest.mark.parametrize("dims", [2, 64])
def test_coverage_of_equal_distributions_does_not_depend_on_dimensions(dims):
  coverages = [density_coverage(*gaussians(seed, 2, 1000, dims))[1] for seed in range(4)]
  assert np.mean(coverages) == pytest.approx(0.96875, abs=0.015)


def test_expected_coverage_by_hand():
  # N = 3, M = 2, k = 2: 1 - (2 x 1) / (4 x 3)
  assert expected_coverage(3, 2, 2) == pytest.approx(5 / 6, rel=1e-12)
  assert expected_coverage(10**6, 10**6, 5) == pytest.approx(0.96875, abs=1e-6)
  assert expected_coverage(10**6, 10**6, 3) == pytest.approx(0.875, abs=1e-6)


@pytest.mark.parametrize(("real_count", "fake_count", "k"), [(6, 4, 2), (12, 30, 3), (40, 20, 5)])
def test_expected_coverage_is_the_mean_of_draws(real_count, fake_count, k):
  rng = np.random.default_rng(0)
  coverages = [
    density_coverage(rng.random((real_count, 2)), rng.random((fake_count, 2)), k=k)[1]
    for _ in range(300)
  ]
  error = np.std(coverages) / np.sqrt(len(coverages))
  expected = expected_coverage(real_count, fake_count, k)
  assert np.mean(coverages) == pytest.approx(expected, abs=4 * error)


def test_a_collapsed_generator_is_precise_and_reaches_little():
  real = gaussians(0, 1000, 8)
  fake = real[0] + 0.01 * gaussians(1, 1000, 8)
  precision, recall = precision_recall(real, fake)
  assert precision == 1
  assert recall < 0.01
  assert density_coverage(real, fake)[1] < 0.05


def test_samples_far_away_score_0():
  real, fake = gaussians(0, 2, 200, 4)
  for metric in METRICS:
    assert metric(real, fake + 100) == (0, 0)


def test_one_far_fake_cannot_lower_coverage_nor_raise_density():
  real, fake = gaussians(0, 2, 500, 4)
  density, coverage = density_coverage(real, fake)
  further = density_coverage(real, np.concatenate([fake, np.full((1, 4), 1e3)]))
  assert further == pytest.approx((density * 500 / 501, coverage), rel=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_result_is_that_of_the_numbers_whatever_their_type(metric, dtype):
  real, fake = gaussians(0, 2, 200, 4).astype(dtype)
  assert metric(real, fake) == metric(real.astype(np.float64), fake.astype(np.float64))
  assert all(type(value) is float for value in metric(real, fake))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
  ("real", "fake", "k", "message"),
  [
    (gaussians(0, 5, 2), gaussians(1, 9, 2), 5, "real .* 6 are needed"),
    (gaussians(0, 9, 2), gaussians(1, 5, 2), 5, "fake .* 6 are needed"),
    (gaussians(0, 9, 2), gaussians(1, 9, 2), 0, "k is 0"),
    (gaussians(0, 9, 2), np.full((9, 2), np.nan), 3, "NaN"),
    (np.full((9, 2), np.inf), gaussians(0, 9, 2), 3, "infinity"),
    (gaussians(0, 9, 2), gaussians(1, 9, 3), 3, "dimensions"),
  ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_one_clear_line(metric, real, fake, k, message):
  with pytest.raises(UserError, match=message) as error:
    metric(real, fake, k=k)
  assert "\n" not in str(error.value)
