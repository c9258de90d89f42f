"""Extractors: those that come with the package, what a file has to hold, and what they refuse."""

import hashlib
import io
import json

import jax
import numpy as np
import pytest

from gan import datasets
from gan.errors import UserError
from gan.metrics import evaluation, extractors
from gan.models import classifier

SHIPPED = ("cifar10", "digits", "fashion_mnist", "mnist")
LEAST_ACCURACY = {"cifar10": 0.9, "digits": 0.97, "fashion_mnist": 0.91, "mnist": 0.992}


def path_of(name):
  return extractors.SHIPPED / f"{name}.npz"


def make(shape=(8, 8, 1), num_classes=3, seed=0, **about):
  """The bytes of an extractor with weights as they are drawn."""
  params, _ = classifier.build(shape, num_classes).init(jax.random.key(seed))
  about = {"dataset": "own", "image_shape": shape, "num_classes": num_classes} | about
  return extractors.to_bytes(params, about)


def images(shape=(8, 8, 1), count=5, seed=0):
  return np.random.default_rng(seed).integers(256, size=(count, *shape), dtype=np.uint8)


# Those that come with the package.


def test_the_extractors_that_come_with_the_package_are_listed():
  assert extractors.shipped() == list(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_extractor_says_what_it_is_and_is_named_by_its_bytes(name):
  extractor = extractors.load(name)
  shape = (32, 32, 3) if name == "cifar10" else (28, 28, 1)
  assert extractor.dataset == name and extractor.image_shape == shape
  assert extractor.digest == hashlib.sha256(path_of(name).read_bytes()).hexdigest()[:12]
  assert {"epochs", "seed", "test_accuracy"} <= set(extractor.about)
  assert extractors.load(path_of(name)).digest == extractor.digest


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_extractor_is_small_and_of_half_precision(name):
  assert path_of(name).stat().st_size < (1_500_000 if name == "cifar10" else 1_000_000)
  with np.load(path_of(name)) as archive:
    assert {archive[key].dtype for key in archive if key != "about"} == {np.dtype(np.float16)}


@pytest.mark.parametrize(
  "name", [pytest.param("cifar10", marks=pytest.mark.slow), *(n for n in SHIPPED if n != "cifar10")]
)
def test_the_recorded_accuracy_is_that_on_the_test_images(name, request):
  if name != "digits":
    data_root = request.getfixturevalue("data_root")
    if not (data_root / name).is_dir():
      pytest.skip(f"no {name} in {data_root}")
  test, extractor = datasets.load(name, "test"), extractors.load(name)
  if test.name != name:
    pytest.skip(test.notice)
  right = extractor.extract(test.images).probabilities.argmax(axis=1) == test.labels
  assert right.mean() >= LEAST_ACCURACY[name]
  # One image may lie so near to the border that another processor decides otherwise.
  assert extractor.about["test_accuracy"] == pytest.approx(right.mean(), abs=1.5 / len(right))


@pytest.mark.parametrize(
  "dataset, name",
  [
    ("mnist", "mnist"),
    ("stacked_mnist", "mnist"),
    ("digits", "digits"),
    ("own", "own"),
    ("mnist_subset", "mnist_subset"),
  ],
)
def test_a_kind_of_data_has_one_extractor_and_a_name_is_not_parsed(dataset, name):
  assert extractors.for_dataset(dataset) == name


# What they see.


def test_features_and_probabilities_have_a_row_an_image():
  extractor = extractors.from_bytes(make(), "file")
  seen = extractor.extract(images(count=7))
  assert seen.features.shape == (7, classifier.FEATURES) and seen.features.dtype == np.float32
  assert seen.probabilities.shape == (7, 3)
  np.testing.assert_allclose(seen.probabilities.sum(axis=1), 1, rtol=1e-5)
  assert (seen.features >= 0).all()  # the layer ends in a ReLU


def test_an_image_is_seen_alike_in_any_company():
  extractor = extractors.from_bytes(make(), "file")
  batch = images(count=extractor.batch_size + 3)
  whole = extractor.extract(batch).features
  np.testing.assert_allclose(extractor.extract(batch[-1:]).features, whole[-1:], rtol=1e-5)
  np.testing.assert_allclose(extractor.extract(batch[:2]).features, whole[:2], rtol=1e-5)


def test_channels_of_stacked_images_are_seen_on_their_own():
  extractor, stacked = extractors.from_bytes(make(), "file"), images((8, 8, 3))
  seen = evaluation.extract_features(stacked, extractor)
  assert seen.features.shape == (5, 3 * classifier.FEATURES)
  assert seen.probabilities.shape == (5, 3, 3)
  second = extractor.extract(stacked[..., 1:2])
  np.testing.assert_array_equal(seen.probabilities[:, 1], second.probabilities)
  middle = slice(classifier.FEATURES, 2 * classifier.FEATURES)
  np.testing.assert_array_equal(seen.features[:, middle], second.features)


def test_colour_is_seen_whole_by_an_extractor_of_colour():
  extractor = extractors.from_bytes(make((8, 8, 3)), "file")
  assert evaluation.extract_features(images((8, 8, 3)), extractor).probabilities.shape == (5, 3)


@pytest.mark.parametrize(
  "takes, given",
  [
    ((8, 8, 1), images((12, 12, 1))),
    ((8, 8, 1), images((12, 12, 3))),
    ((8, 8, 3), images((8, 8, 1))),
    ((8, 8, 1), images() / np.float32(255)),
    ((8, 8, 1), np.zeros((5, 2), np.float32)),
  ],
)
@pytest.mark.usefixtures("unchecked")
def test_other_images_are_refused_with_both_shapes(takes, given):
  extractor = extractors.from_bytes(make(takes), "file")
  with pytest.raises(UserError, match="train one on your images") as caught:
    evaluation.extract_features(given, extractor)
  for shape in (takes, given.shape[1:]):
    assert "x".join(map(str, shape)) in str(caught.value)
  assert str(given.dtype) in str(caught.value)


# Files.


def test_equal_weights_give_equal_bytes_and_come_back_rounded():
  assert make() == make() != make(seed=1)
  params, _ = classifier.build((8, 8, 1), 3).init(jax.random.key(0))
  rounded = jax.tree.map(lambda array: array.astype("float16").astype("float32"), params)
  network, batch = classifier.build((8, 8, 1), 3), images()
  inputs = extractors.to_range(jax.numpy.asarray(batch))
  (features, _), _ = network.apply(rounded, {}, inputs, train=False)
  found = extractors.from_bytes(make(), "f").extract(batch)
  np.testing.assert_allclose(found.features, features, rtol=1e-5, atol=1e-6)


def test_a_file_is_loaded_by_its_path(tmp_path):
  (tmp_path / "own.npz").write_bytes(make())
  for name in (tmp_path / "own.npz", str(tmp_path / "own.npz")):
    extractor = extractors.load(name)
    assert (extractor.dataset, extractor.image_shape) == ("own", (8, 8, 1))


@pytest.mark.parametrize("name", ["nosuch", "."])
def test_an_unknown_name_is_refused_with_those_that_there_are(name):
  with pytest.raises(UserError) as caught:
    extractors.load(name)
  assert all(word in str(caught.value) for word in (f"no extractor {name}", *SHIPPED))


def archive(**arrays):
  file = io.BytesIO()
  np.savez(file, **arrays)
  return file.getvalue()


def changed(**changes):
  """An extractor's bytes with other or missing arrays and facts."""
  with np.load(io.BytesIO(make())) as content:
    arrays = {name: content[name] for name in content}
  about = json.loads(str(arrays["about"])) | changes
  arrays["about"] = json.dumps({name: value for name, value in about.items() if value is not None})
  return archive(**arrays)


def poisoned():
  with np.load(io.BytesIO(make())) as content:
    arrays = {name: content[name].copy() for name in content}
  kernel = max((n for n in arrays if n != "about"), key=lambda n: arrays[n].size)
  arrays[kernel].flat[3] = np.nan
  return archive(**arrays)


DAMAGED = {
  "empty": b"",
  "text": b"no archive at all",
  "cut": make()[:-2000],
  "half": make()[: len(make()) // 2],
  "flipped": make()[:3000] + bytes(200) + make()[3200:],
  "images": archive(images=images()),
  "no weights": archive(about=json.dumps({"dataset": "own", "image_shape": [8, 8, 1]})),
  "pickles": archive(about=np.array([None, {}])),
  "no data set": changed(dataset=None),
  "no classes": changed(num_classes=None),
  "other classes": changed(num_classes=4),
  "other size": changed(image_shape=[16, 16, 1]),
  "no list": changed(image_shape=8),
  "not a number": poisoned(),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_refused_in_one_line_that_names_it(tmp_path, kind):
  (tmp_path / "own.npz").write_bytes(DAMAGED[kind])
  with pytest.raises(UserError, match="own.npz is no extractor or is damaged") as caught:
    extractors.load(tmp_path / "own.npz")
  assert "\n" not in str(caught.value) and "train_classifier" in str(caught.value)
