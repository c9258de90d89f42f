"""The ring and the grid of Gaussians."""

import numpy as np
import pytest

from gan import datasets
from gan.datasets import grid, ring


@pytest.mark.parametrize("name, source, modes", [("ring", ring, 8), ("grid", grid, 25)])
@pytest.mark.parametrize("split, count", [("train", 100_000), ("test", 10_000)])
def test_each_mode_has_its_centre_spread_and_share(name, source, modes, split, count):
  dataset = datasets.load(name, split)
  assert dataset.images.shape == (count, 2) and dataset.images.dtype == np.float32
  assert dataset.labels.dtype == np.int32
  assert (dataset.name, dataset.num_classes) == (name, modes)
  for mode, centre in enumerate(source.centres()):
    points = dataset.images[dataset.labels == mode].astype(np.float64)
    share = 1 / modes
    assert abs(len(points) / count - share) < 5 * np.sqrt(share * (1 - share) / count)
    assert (abs(points.mean(0) - centre) < 5 * source.SIGMA / np.sqrt(len(points))).all()
    assert (abs(points.std(0) / source.SIGMA - 1) < 5 / np.sqrt(2 * len(points))).all()


def test_the_ring_has_eight_distinct_modes_of_radius_one():
  centres = ring.centres()
  np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1)
  gaps = np.linalg.norm(centres - np.roll(centres, 1, axis=0), axis=1)
  np.testing.assert_allclose(gaps, 2 * np.sin(np.pi / 8))  # the side of a regular octagon
  assert ring.SIGMA == 0.01


def test_the_grid_is_every_pair_of_its_axis():
  pairs = {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
  assert {tuple(centre) for centre in grid.centres()} == pairs and len(grid.centres()) == 25
  assert grid.SIGMA == 0.05


def test_a_sample_is_fixed_and_splits_differ():
  first, again = datasets.load("ring"), datasets.load("ring")
  np.testing.assert_array_equal(first.images, again.images)
  test = datasets.load("ring", "test")
  assert not set(map(tuple, test.images.tolist())) & set(map(tuple, first.images.tolist()))
