"""Files of mu and sigma: their round trip, the distance to them, and what is refused."""

import json

import numpy as np
import pytest

import gan
from gan.errors import UserError
from gan.metrics import statistics_file
from gan.metrics.frechet import frechet_distance, frechet_to_statistics

EXTRACTOR = gan.Extractor("own", "version 1", lambda images: (images, None))


def features(count, seed=0):
  return np.random.default_rng(seed).normal(size=(count, 5)).astype(np.float32)


def write(path, **arrays):
  given = {"mu": np.zeros(5), "sigma": np.eye(5)} | arrays
  np.savez(path, **{name: array for name, array in given.items() if array is not None})
  return path


def test_the_distance_to_a_file_of_features_is_that_to_the_features(tmp_path):
  real, fake = features(200), features(100, seed=1) + 1
  statistics_file.write(tmp_path / "real.npz", real, EXTRACTOR, "own")
  found = statistics_file.read(tmp_path / "real.npz", EXTRACTOR, 5)
  expected = frechet_distance(real.astype(np.float64), fake)
  assert frechet_to_statistics(*found[:2], fake) == pytest.approx(expected, rel=1e-9)
  assert found.about == {
    "extractor": "own",
    "digest": "own version 1",
    "resize": "none",
    "dataset": "own",
    "images": 200,
  }


def test_a_file_of_pytorch_fid_is_read_and_says_nothing_of_itself(tmp_path):
  # mu and sigma, as numpy.savez writes them there.
  real = features(300)
  path = write(tmp_path / "a.npz", mu=np.mean(real, axis=0), sigma=np.cov(real, rowvar=False))
  found = statistics_file.read(path, EXTRACTOR, 5)
  assert found.about == {} and found.covariance.dtype == np.float64
  np.testing.assert_array_equal(found.covariance, np.cov(real, rowvar=False))


@pytest.mark.parametrize(
  ("arrays", "words"),
  [
    ({"sigma": None}, "has no sigma"),
    ({"mu": np.zeros(4)}, r"mu \[4\] and sigma \[5, 5\].* 5 numbers"),
    ({"mu": np.zeros(5, int)}, "mu of int64"),
    ({"about": "{"}, "is damaged"),
    ({"about": "[" * 200_000}, "is damaged"),
    ({"about": "7"}, "is damaged"),
    ({"about": json.dumps({"digest": "own version 2"})}, "digest own version 2.* here have own"),
    ({"about": json.dumps({"resize": "bicubic"})}, "resize bicubic"),
  ],
)
def test_what_does_not_fit_is_one_line(tmp_path, arrays, words):
  path = write(tmp_path / "a.npz", **arrays)
  with pytest.raises(UserError, match=words) as error:
    statistics_file.read(path, EXTRACTOR, 5)
  assert "\n" not in str(error.value) and str(path) in str(error.value)


@pytest.mark.parametrize(
  ("mean", "covariance", "words"),
  [
    (np.full(5, np.nan), np.eye(5), "NaN or infinity"),
    (np.zeros(5), np.triu(np.ones((5, 5))), "not symmetric"),
    (np.zeros(5), -np.eye(5), "an eigenvalue of -1"),
    (np.zeros(4), np.eye(4), "same layer"),
  ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_is_no_gaussian_of_these_features_is_one_line(mean, covariance, words):
  with pytest.raises(UserError, match=words) as error:
    frechet_to_statistics(mean, covariance, features(100))
  assert "\n" not in str(error.value)


def test_statistics_of_one_image_are_refused_and_nothing_is_written(tmp_path):
  with pytest.raises(UserError, match="of 1 samples, and 2 are needed"):
    statistics_file.write(tmp_path / "a.npz", features(1), EXTRACTOR, "own")
  assert not [*tmp_path.iterdir()]
