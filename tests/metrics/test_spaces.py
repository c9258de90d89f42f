"""Several extractors at once: what each sees, and what its numbers are called."""

import numpy as np
import pytest

import gan
from gan import datasets
from gan.errors import UserError
from gan.metrics import METRICS, evaluation, extractors
from gan.metrics.best import best_and_last, better
from gan.metrics.evaluator import make_evaluator
from gan.metrics.spaces import make_spaces


def blocks(images):
  """Means of the four quarters of an image."""
  halves = images.reshape(len(images), 2, images.shape[1] // 2, 2, images.shape[2] // 2)
  return halves.mean(axis=(2, 4), dtype=np.float32).reshape(len(images), 4), None


BLOCKS = gan.Extractor("blocks", "version 1", blocks)
FEATURES = ("frechet_distance", "mind", "precision", "recall", "density", "coverage")
CLASSES = ("classifier_score", "smallest_class_share", "largest_class_share")


@pytest.fixture(scope="module")
def digits():
  return datasets.load("digits")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_numbers_of_the_second_extractor_have_its_name(digits):
  both = extractors.load("digits"), BLOCKS
  evaluator, notice = make_evaluator(digits, "train", 100, 0, both)
  values = evaluator(digits.images[:100])
  numbers = {name for name in values if name not in evaluator.facts}
  assert numbers == {*FEATURES, *CLASSES, *(f"{name}@blocks" for name in FEATURES)}
  assert notice == "" and values["extractor"] == f"{both[0].digest},blocks version 1"


def test_each_extractor_has_the_values_that_it_has_alone(digits):
  shipped, fakes = extractors.load("digits"), digits.images[:100]
  both = make_evaluator(digits, "train", 100, 0, (BLOCKS, shipped))[0](fakes)
  for extractor, end in ((BLOCKS, ""), (shipped, "@digits")):
    alone = make_evaluator(digits, "train", 100, 0, (extractor,))[0](fakes)
    for name in FEATURES:
      assert both[f"{name}{end}"] == alone[name]


def test_metrics_without_features_are_measured_once(digits):
  spaces = make_spaces(digits, digits, (BLOCKS, extractors.load("digits")), 100, 0)
  first, second = (space.metrics() for space in spaces)
  assert {"ndb", "parzen"} <= set(first) and not {"ndb", "parzen"} & set(second)
  assert "classifier_score" not in first and "classifier_score" in second


def test_a_metric_may_be_defined_on_the_features_of_one_extractor(digits, monkeypatch):
  metric = METRICS["frechet_distance"]._replace(extractors=("blocks",))
  monkeypatch.setitem(METRICS, "frechet_distance", metric)
  spaces = make_spaces(digits, None, (extractors.load("digits"), BLOCKS), 100, 0)
  assert ["frechet_distance" in space.metrics() for space in spaces] == [False, True]


def test_a_number_of_any_extractor_has_the_direction_of_its_metric():
  assert better("frechet_distance@blocks") == better("frechet_distance") == "lower"
  records = [
    {"step": step, "coverage@blocks": value, "frechet_distance@a": 2.0, "coverage": value}
    for step, value in ((1, 0.5), (2, 0.25))
  ]
  found = best_and_last(records)
  assert list(found) == ["coverage", "frechet_distance@a", "coverage@blocks"]
  assert found["coverage@blocks"] == {"last": [2, 0.25], "best": [1, 0.5]}


def test_features_of_ones_own_extractor_are_kept_by_its_version(digits, tmp_path):
  few = digits._replace(images=digits.images[:20], labels=digits.labels[:20])
  calls = []

  def counted(images):
    calls.append(len(images))
    return blocks(images)

  for version in ("1", "1", "2"):
    evaluation.make_data(few, None, gan.Extractor("blocks", version, counted), 20, 0)
  assert len(calls) == 2


@pytest.mark.parametrize(
  "returned", [None, np.zeros((500, 3)), (np.zeros((3, 3)), None), (np.zeros(500), None)]
)
def test_an_extractor_that_returns_something_else_is_one_line(digits, returned):
  wrong = gan.Extractor("wrong", "1", lambda images: returned)
  with pytest.raises(UserError, match="the extractor wrong must return") as error:
    wrong.extract(digits.images[:5])
  assert "\n" not in str(error.value)


def test_two_extractors_of_one_name_are_refused(tmp_path):
  copy = tmp_path / "digits.npz"
  copy.write_bytes((extractors.SHIPPED / "digits.npz").read_bytes())
  with pytest.raises(UserError, match="two extractors are called digits"):
    extractors.load_all(f"digits,{copy}")
  copy.rename(tmp_path / "other.npz")
  with pytest.raises(UserError, match="two of the extractors digits, other are one"):
    extractors.load_all(f"digits, {tmp_path / 'other.npz'}")


@pytest.mark.parametrize("names", ["", ",", "digits,", " ,digits"])
def test_an_empty_name_is_told_with_the_choices(names):
  with pytest.raises(UserError, match="has an empty name: there are cifar10, digits") as error:
    extractors.load_all(names)
  assert "\n" not in str(error.value)


@pytest.mark.parametrize(
  ("fields", "words"),
  [
    ({"name": "a@b"}, "name of an extractor is 'a@b'"),
    ({"name": ""}, "name of an extractor is ''"),
    ({"digest": "1,2"}, "digest of an extractor is '1,2'"),
    ({"digest": 3}, "digest of an extractor is 3"),
    ({"function": None}, "`function` of the extractor blocks"),
    ({"batch_size": 0}, "batch_size of the extractor blocks"),
  ],
)
def test_an_extractor_that_cannot_be_used_is_refused_before_training(fields, words):
  with pytest.raises(UserError, match=words):
    extractors.check_all([BLOCKS._replace(**fields)])


def test_what_an_extractor_raises_is_one_line_with_its_name(digits):
  with pytest.raises(UserError, match="the extractor blocks ended with ZeroDivisionError"):
    BLOCKS._replace(function=lambda images: 1 / 0).extract(digits.images[:3])


def test_names_are_placed_where_they_are_found_from_anywhere(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  placed = extractors.placed("mnist,own.npz,inception,inception:w.pth")
  assert placed == f"mnist,{tmp_path}/own.npz,inception,inception:{tmp_path}/w.pth"


def test_weights_that_do_not_come_with_the_package_are_asked_for(monkeypatch):
  monkeypatch.delenv("GAN_INCEPTION", raising=False)
  with pytest.raises(UserError, match="extractor=inception:FILE.*GAN_INCEPTION"):
    extractors.load("inception")


def test_a_network_of_a_paper_is_read_from_the_file_that_is_named(monkeypatch):
  found = []

  def make(path, **options):
    found.append((str(path), options))
    return BLOCKS

  monkeypatch.setattr("gan.metrics.extractors.dinov2.make", make)
  monkeypatch.setenv("GAN_DINOV2", "weights.pth")
  assert extractors.load("dinov2:other.pth").name == "dinov2"
  assert extractors.load("dinov2_bilinear").name == "dinov2_bilinear"
  assert found == [("other.pth", {}), ("weights.pth", {"resize": "bilinear"})]


def test_two_extractors_of_one_version_share_no_features(digits):
  def doubled(images):
    return 2 * blocks(images)[0], None

  few = digits._replace(images=digits.images[:20], labels=digits.labels[:20])
  one, other = (
    evaluation.make_data(few, None, gan.Extractor(name, "version 1", function), 20, 0)
    for name, function in (("blocks", blocks), ("doubled", doubled))
  )
  np.testing.assert_array_equal(other.train.features, 2 * one.train.features)


@pytest.mark.parametrize("shape", [(0, 28, 28, 1), (28, 28, 1)])
@pytest.mark.usefixtures("unchecked")
def test_what_are_no_images_are_one_line(shape):
  with pytest.raises(UserError, match="give at least one") as error:
    BLOCKS.extract(np.zeros(shape, np.uint8))
  assert "\n" not in str(error.value)


def test_a_grey_extractor_without_logits_sees_colours_apart(digits):
  grey = gan.Extractor("grey", "1", blocks, image_shape=(28, 28, 1))
  colour = np.repeat(digits.images[:5], 3, axis=3)
  found = evaluation.extract_features(colour, grey)
  assert found.features.shape == (5, 12) and found.probabilities is None
