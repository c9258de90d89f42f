"""What the metrics of CIFAR-10's features see: held-out data, and the order of distortions."""

import functools

import numpy as np
import pytest
from PIL import Image, ImageFilter

from gan import datasets
from gan.metrics import evaluation, extractors

COUNT = 2000


@pytest.fixture(scope="module")
def measured(data_root, tmp_path_factory):
  """measured(change, amount) is (Frechet distance, coverage) of changed test images."""
  if not (data_root / "cifar10_subset").is_dir():
    pytest.skip(f"no cifar10_subset in {data_root}")
  root = str(data_root)
  train, test = (datasets.load("cifar10_subset", split, root) for split in ("train", "test"))
  extractor = extractors.load("cifar10")
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    data = evaluation.make_data(train, None, extractor, COUNT, seed=0)

  @functools.cache
  def values(change, amount):
    images = CHANGES[change](test.images[:COUNT], amount) if change else test.images[:COUNT]
    fake = evaluation.extract_features(images, extractor)
    found = evaluation.measure(data, fake, ["frechet_distance", "density_coverage"], seed=0)
    return found["frechet_distance"].value, found["coverage"].value

  return values


def noise(images, deviation):
  """Gaussian noise of a standard deviation, in levels of 0 .. 255."""
  moved = images + np.random.default_rng(0).normal(0, deviation, images.shape)
  return moved.clip(0, 255).astype(np.uint8)


def blur(images, radius):
  """Gaussian blur, its radius in pixels."""
  kernel = ImageFilter.GaussianBlur(radius)
  return np.stack([Image.fromarray(image).filter(kernel) for image in images])


def shuffled(images, parts):
  """The image in parts x parts squares, in another order for each image."""
  count, side, _, channels = images.shape
  size = side // parts
  squares = images.reshape(count, parts, size, parts, size, channels).swapaxes(2, 3)
  squares = squares.reshape(count, parts**2, size, size, channels)
  rng = np.random.default_rng(0)
  squares = np.stack([image[rng.permutation(parts**2)] for image in squares])
  squares = squares.reshape(count, parts, parts, size, size, channels).swapaxes(2, 3)
  return squares.reshape(images.shape)


def blend(images, share):
  """Each image with a share of the next one in it."""
  mixed = (1 - share) * images + share * np.roll(images, 1, axis=0)
  return mixed.round().astype(np.uint8)


CHANGES = {"noise": noise, "blur": blur, "shuffled": shuffled, "blend": blend}
AMOUNTS = {
  "noise": (4, 8, 16, 32),
  "blur": (0.5, 1, 2, 3),
  "shuffled": (2, 4, 8, 16),
  "blend": (0.1, 0.2, 0.35, 0.5),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", AMOUNTS)
def test_more_of_a_distortion_is_farther_and_covers_less(measured, change):
  values = [measured(change, amount) for amount in AMOUNTS[change]]
  distances, coverages = zip(*values, strict=True)
  assert list(distances) == sorted(distances) and distances[0] > measured("", 0)[0]
  # A blend of a tenth covers as much as no blend, to what 2,000 images tell.
  assert list(coverages) == sorted(coverages, reverse=True)


@pytest.mark.slow
def test_held_out_images_are_near_to_those_of_training(measured):
  distance, coverage = measured("", 0)
  assert distance < measured("noise", 4)[0] and coverage > 0.9
