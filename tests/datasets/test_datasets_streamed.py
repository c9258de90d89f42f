"""Sets that are written in parts, read back, and gone on with."""

import json
import pathlib

import numpy as np
import pytest

from gan import datasets
from gan.datasets.streamed import WRITERS

IMAGES = np.random.default_rng(0).integers(256, size=(11, 6, 6, 3), dtype=np.uint8)
LABELS = (np.arange(11) % 3).astype(np.int32)
SUFFIX = {"png": "", "npz": ".npz", "zip": ".zip"}


def written(path, form, images=IMAGES, labels=None, stop=None):
  """Writes in parts of four; where `stop` is given, another writer goes on before that part."""
  writer = WRITERS[form](path, images.shape, {})
  for start in range(0, len(images), 4):
    if start == stop:
      mark = json.loads(json.dumps(writer.mark()))
      writer.add(images[start:][:1])  # lost with the process
      writer.close()
      writer = WRITERS[form](path, images.shape, mark)
    writer.add(images[start : start + 4])
  writer.finish(labels)
  return path


def content(path):
  paths = sorted(path.iterdir()) if path.is_dir() else [path]
  return {pathlib.Path(each).name: each.read_bytes() for each in paths}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("form", WRITERS)
def test_every_form_is_read_as_it_was_written(tmp_path, form, channels):
  images = IMAGES[..., :channels]
  path = written(tmp_path / f"set{SUFFIX[form]}", form, images)
  read = datasets.load("images", data_dir=str(path))
  np.testing.assert_array_equal(read.images, images)
  assert read.labels is None


@pytest.mark.parametrize("form", ["npz", "zip"])
def test_labels_are_read_with_the_images(tmp_path, form):
  path = written(tmp_path / f"set{SUFFIX[form]}", form, labels=LABELS)
  read = datasets.load("images", data_dir=str(path))
  np.testing.assert_array_equal(read.labels, LABELS)
  assert read.num_classes == 3


def test_a_folder_has_dataset_json_beside_its_numbered_files(tmp_path):
  path = written(tmp_path / "set", "png", labels=LABELS)
  pairs = json.loads((path / "dataset.json").read_text())["labels"]
  assert pairs == [[f"{i:06d}.png", i % 3] for i in range(11)]
  assert sorted(each.name for each in path.glob("*.png")) == [name for name, _ in pairs]


@pytest.mark.parametrize("labels", [None, LABELS], ids=["no labels", "labels"])
@pytest.mark.parametrize("stop", [0, 4, 8])
@pytest.mark.parametrize("form", WRITERS)
def test_a_writer_goes_on_where_another_stopped(tmp_path, form, stop, labels):
  whole = written(tmp_path / "whole", form, labels=labels)
  other = content(written(tmp_path / "other", form, labels=labels, stop=stop))
  assert [*content(whole).values()] == [*other.values()]


def test_points_have_a_key_of_their_own(tmp_path):
  points = np.arange(22, dtype=np.float32).reshape(11, 2)
  with np.load(written(tmp_path / "points.npz", "npz", points, LABELS)) as archive:
    assert sorted(archive) == ["labels", "points"]
    np.testing.assert_array_equal(archive["points"], points)
    np.testing.assert_array_equal(archive["labels"], LABELS)
