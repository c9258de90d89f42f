"""Kernel distance: a double loop by hand, closed forms, no bias, honest standard errors."""

import numpy as np
import pytest

from gan.errors import UserError
from gan.metrics.kernel import kernel_distance


def by_hand(real, fake):
  """The U-statistic of MMD^2 in Python loops."""
  size, dimensions = len(real), len(real[0])

  def kernel(x, y):
    return (sum(a * b for a, b in zip(x, y, strict=True)) / dimensions + 1) ** 3

  within = sum(kernel(x[i], x[j]) for x in (real, fake) for i in range(size) for j in range(i))
  across = sum(kernel(x, y) for x in real for y in fake)
  return 2 * within / (size * (size - 1)) - 2 * across / size**2


def draws(shift, samples, blocks_of, count, seed=0):
  """[count, 2]: values and standard errors for N(0, I) and N(shift, I) in two dimensions."""
  rng = np.random.default_rng(seed)
  pairs = (rng.normal(size=(2, samples, 2)) for _ in range(count))
  return np.array([kernel_distance(x, y + shift, rng, block_size=blocks_of) for x, y in pairs])


def test_two_blocks_of_two_agree_with_a_double_loop():
  # Two samples and their copies would be ambiguous: each block must be one of the 6 x 6 pairings.
  real = np.array([[1.0, 0.5], [0.0, -1.0], [2.0, 1.0], [-1.0, 0.3]])
  fake = np.array([[0.2, 0.1], [1.0, 1.0], [-2.0, 0.0], [0.5, -0.5]])
  value, error = kernel_distance(real, fake, np.random.default_rng(0))
  halves = [([0, i], [j for j in range(1, 4) if j != i]) for i in range(1, 4)]
  pairings = [
    (by_hand(real[a], fake[c]), by_hand(real[b], fake[d]))
    for a, b in halves
    for half in halves
    for c, d in (half, half[::-1])
  ]
  # mean (a + b)/2; standard error |a - b|/sqrt(2)/sqrt(2)
  found = [(np.mean(pair), abs(pair[0] - pair[1]) / 2) for pair in pairings]
  assert any(np.allclose(pair, (value, error), rtol=1e-12) for pair in found)


def test_value_is_worked_by_hand():
  # One dimension, every real sample 1, every fake 2: k = 2^3, 5^3 and across 3^3: 8 + 125 - 54
  real, fake = np.ones((4, 1)), np.full((4, 1), 2.0)
  assert kernel_distance(real, fake, np.random.default_rng(0)) == (79.0, 0.0)
  # Two dimensions (1, 0) and (0, 2): k = 1.5^3, 3^3 and across 1: 3.375 + 27 - 2
  real, fake = np.tile([1.0, 0.0], (4, 1)), np.tile([0.0, 2.0], (6, 1))
  assert kernel_distance(real, fake, np.random.default_rng(0)) == (28.375, 0.0)


def test_value_of_a_shift_reaches_the_closed_form():
  # k = 1 + 3 xy + 3 x^2 y^2 + x^3 y^3 in one dimension, so that MMD^2 is the sum of squared
  # differences of moments; N(0, 1) and N(1, 1) have 0, 1, 0 and 1, 2, 4: 3 + 3 + 16
  rng = np.random.default_rng(0)
  real, fake = rng.normal(size=(20_000, 1)), rng.normal(size=(20_000, 1)) + 1
  value, error = kernel_distance(real, fake, rng)
  assert abs(value - 22) < 4 * error and error < 1


@pytest.mark.parametrize("blocks_of", [2, 5])
def test_equal_distributions_have_the_mean_0_and_values_of_either_sign(blocks_of):
  values = draws(shift=0, samples=50, blocks_of=blocks_of, count=200)[:, 0]
  assert abs(values.mean()) < 3 * values.std(ddof=1) / np.sqrt(len(values))
  assert values.min() < 0 < values.max()


def test_standard_error_is_the_spread_of_the_value():
  # Blocks are independent, so that its square is unbiased for the variance of the value.
  found = draws(shift=0.5, samples=200, blocks_of=10, count=400)
  squares = found[:, 1] ** 2
  spread = found[:, 0].var(ddof=1)
  # Relative standard deviation of a variance from 400 draws near to Gaussian: sqrt(2/399)
  tolerance = 4 * np.hypot(squares.std() / np.sqrt(400) / squares.mean(), np.sqrt(2 / 399))
  assert squares.mean() == pytest.approx(spread, rel=tolerance)


def test_value_grows_with_a_shift():
  values = [draws(shift, samples=400, blocks_of=40, count=1)[0, 0] for shift in (0, 0.5, 1, 2)]
  assert np.all(np.diff(values) > 0)


@pytest.mark.parametrize(
  ("samples", "options", "size", "blocks"),
  [
    (10_000, {}, 1000, 10),
    (12_500, {}, 1000, 12),
    (500, {}, 50, 10),
    (20, {}, 2, 10),
    (7, {}, 2, 3),
    (500, {"block_size": 20}, 20, 25),
    (500, {"blocks": 4}, 125, 4),
    (500, {"block_size": 20, "blocks": 4}, 20, 4),
    (500, {"block_size": 100, "blocks": 50}, 10, 50),
  ],
)
def test_blocks_share_no_sample_and_are_10_or_more_where_samples_suffice(
  samples, options, size, blocks, monkeypatch
):
  seen = []

  def record(real, fake):
    seen.append((real[:, 0], fake[:, 0]))
    return 0.0

  monkeypatch.setattr("gan.metrics.kernel._unbiased_mmd", record)
  real = np.arange(samples, dtype=np.float64)[:, None]
  kernel_distance(real, np.arange(samples + 9.0)[:, None], np.random.default_rng(0), **options)
  assert len(seen) == blocks and all(len(block) == size for pair in seen for block in pair)
  for blocks_of_one_set in zip(*seen, strict=True):
    drawn = np.concatenate(blocks_of_one_set)
    assert len(np.unique(drawn)) == len(drawn) and not np.array_equal(drawn, np.sort(drawn))


def test_the_generator_alone_decides_the_blocks():
  real, fake = np.random.default_rng(0).normal(size=(2, 40, 3))
  first, again, other = (
    kernel_distance(real, fake, np.random.default_rng(seed)) for seed in (1, 1, 2)
  )
  assert first == again != other


@pytest.mark.parametrize(
  ("real", "fake", "options", "words"),
  [
    (np.zeros((9, 2)), np.full((9, 2), np.nan), {}, "fake features hold NaN or infinity in 9 of 9"),
    (np.full((9, 2), -np.inf), np.zeros((9, 2)), {}, "real features hold NaN or infinity"),
    (np.zeros((9, 2)), np.zeros((9, 3)), {}, "2 dimensions and fake ones 3"),
    (np.zeros((3, 2)), np.zeros((9, 2)), {}, "real features are of 3 samples, and 4 are needed"),
    (np.zeros((9, 2)), np.zeros(9), {}, r"fake features have shape \[9\]"),
    (np.zeros((9, 2)), np.zeros((9, 2)), {"block_size": 1}, "block_size is 1"),
    (np.zeros((9, 2)), np.zeros((9, 2)), {"blocks": 1}, "choose 2 to 4"),
    (np.zeros((9, 2)), np.zeros((9, 2)), {"blocks": 5}, "choose 2 to 4"),
    (np.zeros((9, 2)), np.zeros((9, 2)), {"blocks": 0}, "choose 2 to 4"),
  ],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_input_is_refused_in_one_line(real, fake, options, words):
  with pytest.raises(UserError, match=words) as refusal:
    kernel_distance(real, fake, np.random.default_rng(0), **options)
  assert "\n" not in str(refusal.value)
