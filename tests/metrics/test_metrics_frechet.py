"""Frechet distance: closed forms, independent routes, symmetries, and the bias of few samples."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from gan.errors import UserError
from gan.metrics.frechet import frechet_distance, frechet_infinity, gaussian_frechet_distance

# Covariances that commute, so that the root of their product is the product of their roots:
#   |m1 - m2|^2 = 1^2 + 2^2 = 5;  Tr = (1 - 3)^2 + (2 - 1)^2 = 5 over standard deviations 1, 2; 3, 1
MEANS = np.array([0.0, 0.0]), np.array([1.0, 2.0])
STANDARD_DEVIATIONS = np.array([1.0, 2.0]), np.array([3.0, 1.0])
EXACT = 10.0


def gaussian(seed, samples, dimensions):
  """Features of a Gaussian whose mean and covariance are arbitrary."""
  rng = np.random.default_rng(seed)
  mixing = rng.normal(size=(dimensions, dimensions))
  return rng.normal(size=(samples, dimensions)) @ mixing + rng.normal(size=dimensions)


def rotation(seed, dimensions):
  return np.linalg.qr(np.random.default_rng(seed).normal(size=(dimensions, dimensions)))[0]


def by_sqrtm(real, fake):
  """The formula as it is written, with the root of the product that is not symmetric."""
  covariances = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
  root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
  shift = np.sum((real.mean(axis=0) - fake.mean(axis=0)) ** 2)
  return shift + np.trace(covariances[0] + covariances[1] - 2 * root.real)


def by_samples(real, fake):
  """No covariance: with C = X^T X, Tr((C1 C2)^(1/2)) is the nuclear norm of X1 X2^T."""
  centred = [(x - x.mean(axis=0)) / np.sqrt(len(x) - 1) for x in (real, fake)]
  overlap = np.linalg.norm(centred[0] @ centred[1].T, ord="nuc")
  shift = np.sum((real.mean(axis=0) - fake.mean(axis=0)) ** 2)
  return shift + sum(np.sum(x**2) for x in centred) - 2 * overlap


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_gaussians_with_commuting_covariances_have_the_closed_form(seed):
  axes = np.eye(2) if seed is None else rotation(seed, 2)
  covariances = [axes @ np.diag(sigma**2) @ axes.T for sigma in STANDARD_DEVIATIONS]
  distance = gaussian_frechet_distance(MEANS[0], covariances[0], MEANS[1], covariances[1])
  assert distance == pytest.approx(EXACT, rel=1e-12)


def test_samples_of_gaussians_reach_the_closed_form():
  # To first order in the errors of means and standard deviations, variances (s1^2 + s2^2)/n and
  # half that, the variance of the distance is, per axis,
  #   4 d^2 (s1^2 + s2^2)/n + 2 (s1 - s2)^2 (s1^2 + s2^2)/n
  #   axis 1: d = 1, s = 1, 3: (40 + 80)/n;  axis 2: d = 2, s = 2, 1: (80 + 10)/n;  both: 210/n
  samples = 100_000
  rng = np.random.default_rng(0)
  real, fake = (
    mean + standard_deviation * rng.standard_normal((samples, 2))
    for mean, standard_deviation in zip(MEANS, STANDARD_DEVIATIONS, strict=True)
  )
  assert frechet_distance(real, fake) == pytest.approx(EXACT, abs=4 * np.sqrt(210 / samples))


def test_covariances_that_do_not_commute_are_not_multiplied_by_element():
  # C1 = diag(1, 0) and C2 = v v^T with v = (1, 1)/sqrt(2): C1 C2 has the one eigenvalue 1/2, so
  # that Tr(C1 + C2 - 2 (C1 C2)^(1/2)) = 2 - 2 sqrt(1/2)
  zero = np.zeros(2)
  distance = gaussian_frechet_distance(zero, np.diag([1.0, 0.0]), zero, np.full((2, 2), 0.5))
  assert distance == pytest.approx(2 - np.sqrt(2), rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("samples", [2, 20, 500])
def test_distance_of_features_to_themselves_is_0_and_never_below(samples, seed):
  features = gaussian(seed, samples, 64)
  distance = frechet_distance(features, features)
  assert 0 <= distance <= 1e-13 * np.sum(features.var(axis=0))


def test_covariance_divides_by_one_less_than_the_samples():
  # means 1 and 2, variances 2/1 and 8/1: 1 + (sqrt(2) - sqrt(8))^2 = 1 + 2
  real, fake = np.array([[0.0], [2.0]]), np.array([[0.0], [4.0]])
  assert frechet_distance(real, fake) == pytest.approx(3, rel=1e-12)


@pytest.mark.parametrize("dimensions", [2, 8, 32])
def test_agrees_with_the_root_of_the_product(dimensions):
  real, fake = gaussian(1, 1000, dimensions), gaussian(2, 800, dimensions)
  assert frechet_distance(real, fake) == pytest.approx(by_sqrtm(real, fake), rel=1e-9)


@pytest.mark.parametrize("counts", [(5, 7), (40, 30), (200, 40), (40, 200), (300, 200)])
def test_agrees_with_a_route_without_covariances_at_any_rank(counts):
  # 100 dimensions: both covariances singular, one, none.
  real, fake = gaussian(1, counts[0], 100), gaussian(2, counts[1], 100)
  assert frechet_distance(real, fake) == pytest.approx(by_samples(real, fake), rel=1e-10)


@pytest.mark.parametrize("smallest", [1e-4, 1e-8])
def test_agrees_where_directions_differ_in_scale_by_orders(smallest):
  scales = np.geomspace(1, smallest, 64)
  rng = np.random.default_rng(0)
  real = rng.normal(size=(400, 64)) * scales
  fake = rng.normal(size=(300, 64)) * scales @ rotation(1, 64)
  assert frechet_distance(real, fake) == pytest.approx(by_samples(real, fake), rel=1e-9)


def test_constant_features_are_gaussians_without_spread():
  # One set at a point: the distance is |shift|^2 + Tr of the other covariance.
  features = gaussian(0, 50, 3)
  point = np.tile(features.mean(axis=0) + [1.0, 2.0, 2.0], (5, 1))
  spread = np.sum(features.var(axis=0, ddof=1))
  assert frechet_distance(features, point) == pytest.approx(9 + spread, rel=1e-12)
  assert frechet_distance(point, point + 2) == pytest.approx(12, rel=1e-12)


def test_single_precision_is_computed_in_double():
  real, fake = gaussian(1, 60, 8).astype(np.float32), gaussian(2, 50, 8).astype(np.float32)
  doubles = frechet_distance(real.astype(np.float64), fake.astype(np.float64))
  assert frechet_distance(real, fake) == doubles


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
  seed=st.integers(0, 2**32 - 1),
  samples=st.tuples(st.integers(2, 30), st.integers(2, 30)),
  dimensions=st.integers(1, 12),
)
def test_symmetric_not_negative_and_the_same_after_rotation_and_shift(seed, samples, dimensions):
  real, fake = (gaussian(seed + i, n, dimensions) for i, n in enumerate(samples))
  distance = frechet_distance(real, fake)
  # Distances can be small beside the traces, in which the rounding is.
  same = pytest.approx(distance, rel=1e-9, abs=1e-11 * (np.sum(real**2) + np.sum(fake**2)))
  turn, shift = rotation(seed, dimensions), 10 * gaussian(seed + 2, 1, dimensions)
  assert distance >= 0
  assert frechet_distance(fake, real) == same
  assert frechet_distance(real @ turn + shift, fake @ turn + shift) == same


def test_bias_falls_with_the_count_and_infinity_lies_nearer_the_truth():
  # The truth is the distance from this reference to the Gaussian that the fakes are drawn from.
  dimensions = 16
  rng = np.random.default_rng(0)
  real = rng.normal(size=(1000, dimensions)) * 1.2
  truth = gaussian_frechet_distance(
    real.mean(axis=0), np.cov(real, rowvar=False), np.zeros(dimensions), np.eye(dimensions)
  )
  runs = [frechet_infinity(real, rng.normal(size=(800, dimensions)), rng) for _ in range(20)]
  infinities = np.array([infinity for infinity, _, _ in runs])
  values = np.array([values for _, _, values in runs])  # [20, 8]
  means = values.mean(axis=0)
  assert np.all(np.diff(means) < 0) and np.all(means > truth)
  assert np.abs(infinities - truth).mean() < np.abs(values[:, -1] - truth).mean()
  error = infinities.std(ddof=1) / np.sqrt(len(runs))
  # The 1/n^2 that the line leaves out: a twentieth of the largest count's bias.
  assert abs(infinities.mean() - truth) < 3 * error + 0.05 * (means[-1] - truth)
  assert means[-1] - truth > 5 * error


def test_infinity_is_the_intercept_of_the_line_through_the_values():
  rng = np.random.default_rng(0)
  infinity, counts, values = frechet_infinity(
    gaussian(1, 100, 3), gaussian(2, 90, 3), rng, counts=(90, 30)
  )
  assert counts.tolist() == [30, 90]
  # Two points: v = a + b/n, a = (90 v90 - 30 v30) / 60
  assert infinity == pytest.approx((90 * values[1] - 30 * values[0]) / 60, rel=1e-9)


def test_infinity_takes_8_counts_from_a_quarter_of_the_fakes_to_all_of_them():
  real, fake = gaussian(1, 100, 3), gaussian(2, 80, 3)
  _, counts, values = frechet_infinity(real, fake, np.random.default_rng(0))
  assert counts.tolist() == [20, 28, 37, 45, 54, 62, 71, 80]  # 20 + 60 i/7, rounded down
  assert values[-1] == pytest.approx(frechet_distance(real, fake), rel=1e-9)
  again = frechet_infinity(real, fake, np.random.default_rng(0))[2]
  assert np.array_equal(values, again)
  _, counts, _ = frechet_infinity(real, fake[:3], np.random.default_rng(0))
  assert counts.tolist() == [2, 3]


@pytest.mark.parametrize(
  ("real", "fake", "words"),
  [
    (np.zeros((4, 2)), np.array([[0, 1], [np.nan, 1], [2, 2]]), "fake features hold NaN or inf"),
    (np.array([[0, 1], [np.inf, 1], [2, 2]]), np.zeros((4, 2)), "real features .* in 1 of 3 rows"),
    (np.zeros((4, 2)), np.zeros((4, 3)), "2 dimensions and fake ones 3"),
    (np.zeros((1, 2)), np.zeros((4, 2)), "real features are of 1 samples, and . are needed"),
    (np.zeros((4, 2)), np.zeros((0, 2)), "fake features are of 0 samples, and . are needed"),
    (np.zeros(4), np.zeros((4, 2)), r"real features have shape \[4\]"),
    (np.zeros((4, 2, 2)), np.zeros((4, 2)), r"real features have shape \[4, 2, 2\]"),
    (np.zeros((4, 0)), np.zeros((4, 0)), r"real features have shape \[4, 0\]"),
    (np.eye(3) * 1e200, np.eye(3), "moderate size"),
  ],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_features_are_refused_in_one_line(real, fake, words):
  with pytest.raises(UserError, match=words) as refusal:
    frechet_distance(real, fake)
  assert "\n" not in str(refusal.value)
  with pytest.raises(UserError, match=words):
    frechet_infinity(real, fake, np.random.default_rng(0))


@pytest.mark.parametrize("counts", [(), (5,), (5, 5), (1, 5), (5, 11)])
@pytest.mark.usefixtures("unchecked")
def test_wrong_counts_are_refused(counts):
  features = gaussian(0, 10, 2)
  with pytest.raises(UserError, match="between 2 and the 10 fake samples"):
    frechet_infinity(features, features, np.random.default_rng(0), counts=counts)


@pytest.mark.parametrize(
  ("mean", "cov", "words"),
  [
    (np.zeros(2), np.eye(3), r"\[2\] and covariance \[3, 3\]"),
    (np.zeros(2), np.ones(2), r"\[2\] and covariance \[2\]"),
    (np.zeros(2), np.full((2, 2), np.nan), "NaN"),
    (np.array([0, np.inf]), np.eye(2), "infinity"),
    (np.zeros(2), np.array([[1.0, 1.0], [0.0, 1.0]]), "not symmetric"),
    (np.zeros(3), np.eye(3), r"\[3\] and \[2\]"),
  ],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_moments_are_refused(mean, cov, words):
  with pytest.raises(UserError, match=words):
    gaussian_frechet_distance(mean, cov, np.zeros(2), np.eye(2))
