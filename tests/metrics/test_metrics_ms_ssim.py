"""MS-SSIM: closed forms of constant images, a loop over every place, and pairs within a class."""

import math

import numpy as np
import pytest

from gan.errors import UserError
from gan.metrics.ms_ssim import C1, C2, WEIGHTS, class_ms_ssim, ms_ssim, scale_count


def noise(seed, *shape):
  return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


def constant(level, side=32, count=1):
  return np.full((count, side, side, 1), level, np.uint8)


def luminance(a, b):
  return (2 * a * b + C1) / (a * a + b * b + C1)


def by_hand(first, second):
  """The definition for one grey image in Python loops, place by place."""
  window = {
    (i, j): math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / 4.5) for i in range(11) for j in range(11)
  }
  total = sum(window.values())

  def terms(x, y, top, left):
    def mean(function):
      return sum(w * function(top + i, left + j) for (i, j), w in window.items()) / total

    a, b = mean(lambda i, j: x[i][j]), mean(lambda i, j: y[i][j])
    spread = mean(lambda i, j: (x[i][j] - a) ** 2) + mean(lambda i, j: (y[i][j] - b) ** 2)
    together = mean(lambda i, j: (x[i][j] - a) * (y[i][j] - b))
    return luminance(a, b), (2 * together + C2) / (spread + C2)

  def halved(x):
    return [
      [sum(x[2 * i + a][2 * j + b] for a in (0, 1) for b in (0, 1)) / 4 for j in range(len(x) // 2)]
      for i in range(len(x) // 2)
    ]

  x, y = first.tolist(), second.tolist()
  scales = scale_count(len(x), len(x))
  result = 1.0
  for scale in range(scales):
    places = range(len(x) - 10)
    found = [terms(x, y, top, left) for top in places for left in places]
    values = [a * b if scale == scales - 1 else b for a, b in found]
    result *= max(sum(values) / len(values), 0) ** (WEIGHTS[scale] / sum(WEIGHTS[:scales]))
    x, y = halved(x), halved(y)
  return result


@pytest.mark.parametrize("side", [11, 23])
def test_a_loop_over_every_place_agrees(side):
  first = noise(0, 1, side, side, 1)
  second = (first // 2 + noise(1, 1, side, side, 1) // 2).astype(np.uint8)
  expected = by_hand(first[0, :, :, 0], second[0, :, :, 0])
  assert 0.1 < expected < 0.99
  assert ms_ssim(first, second)[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shape", [(3, 11, 40, 1), (2, 32, 32, 3), (1, 180, 176, 3)])
def test_equal_images_score_1(shape):
  images = noise(0, *shape)
  np.testing.assert_allclose(ms_ssim(images, images), 1, rtol=1e-12)


@pytest.mark.parametrize("side, scales", [(21, 1), (32, 2), (64, 3), (176, 5)])
def test_constant_images_differ_in_luminance_on_the_last_scale_alone(side, scales):
  power = WEIGHTS[scales - 1] / sum(WEIGHTS[:scales])
  found = ms_ssim(constant(100, side), constant(200, side))
  assert found[0] == pytest.approx(luminance(100, 200) ** power, rel=1e-9)
  assert scale_count(side, side) == scales


def test_the_weights_of_all_scales_sum_to_1():
  assert sum(WEIGHTS) == pytest.approx(1, abs=1e-3)


def test_each_pair_has_its_own_value_and_channels_are_averaged():
  dark, light = np.repeat(constant(10), 3, axis=3), np.repeat(constant(10), 3, axis=3)
  light[..., 2] = 90
  power = WEIGHTS[1] / sum(WEIGHTS[:2])
  expected = [(2 + luminance(10, 90) ** power) / 3, 1]
  found = ms_ssim(np.concatenate([dark, dark]), np.concatenate([light, dark]))
  np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_an_image_and_its_negative_score_0():
  # Structure is opposite on every scale, so that its means are below 0.
  images = noise(0, 4, 32, 32, 1)
  np.testing.assert_array_equal(ms_ssim(images, 255 - images), 0)


def test_pairs_are_of_two_images_of_one_class():
  # Class 3 has levels 50 and 150, of which each pair has both; class 7 one level; 9 one image.
  images = np.concatenate([constant(50), constant(90, count=2), constant(150), constant(0)])
  found = class_ms_ssim(images, np.array([3, 7, 7, 3, 9]), np.random.default_rng(0))
  np.testing.assert_array_equal(found.classes, [3, 7])
  np.testing.assert_array_equal(found.left_out, [9])
  power = WEIGHTS[1] / sum(WEIGHTS[:2])
  np.testing.assert_allclose(found.values, [luminance(50, 150) ** power, 1], rtol=1e-9)


def test_random_pairs_have_the_mean_of_all_pairs():
  levels = np.array([0, 20, 60, 140, 220])
  images = np.concatenate([constant(level, 11) for level in levels])
  alike = np.array([[luminance(float(a), float(b)) for a in levels] for b in levels])
  others = alike[~np.eye(5, dtype=bool)]
  rng = np.random.default_rng(0)
  (value,) = class_ms_ssim(images, np.zeros(5, int), rng, pairs=4000).values
  assert value == pytest.approx(others.mean(), abs=4 * others.std() / np.sqrt(4000))


def test_blocks_do_not_change_the_result(monkeypatch):
  images, labels = noise(0, 30, 16, 16, 3), np.arange(30) % 3
  whole, parts = [], []
  for limit, found in ((2**22, whole), (5000, parts)):
    monkeypatch.setattr("gan.metrics.ms_ssim._AT_ONCE", limit)
    found.append(class_ms_ssim(images, labels, np.random.default_rng(0)).values)
  np.testing.assert_allclose(whole, parts, rtol=1e-12)


@pytest.mark.parametrize(
  ("images", "labels", "message"),
  [
    (constant(1, 10, 4), np.zeros(4, int), "10x10, and .* window has 11 pixels"),
    (constant(1, 32, 4), np.arange(4), "no class has 2 images"),
    (constant(1, 32, 4), np.zeros(3, int), "beside 4 samples"),
  ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_one_clear_line(images, labels, message):
  with pytest.raises(UserError, match=message) as error:
    class_ms_ssim(images, labels, np.random.default_rng(0))
  assert "\n" not in str(error.value)
