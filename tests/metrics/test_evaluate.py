"""Both ends of every metric and what lies between; errors, seeds, and features that are kept."""

import math

import numpy as np
import pytest
import threadpoolctl

from gan import datasets
from gan.errors import UserError
from gan.metrics import (
  METRICS,
  NEAR_REFERENCE,
  Data,
  Sample,
  class_entries,
  evaluation,
  extractors,
)
from gan.metrics.best import best_and_last
from gan.metrics.density_coverage import expected_coverage
from gan.metrics.evaluator import (
  LEAST_REFERENCE,
  check_extractor,
  find_extractor,
  make_evaluator,
  origin,
)

# Of other data than images without labels of fakes.
OTHERS = {
  "stacked_modes",
  "mixture_modes",
  "wasserstein",
  "frechet_to_statistics",
  *class_entries.ENTRIES,
}
MANIFOLDS = ("precision_recall", "density_coverage")
SHARES = (0, 0.25, 0.5, 0.75, 1)
COUNTS = {"digits": 297, "mnist": 500}
# Numbers that fall or rise all the way as held-out images are replaced by noise, or by one image.
# Recall does neither: of what is left the balls grow, and reach as much of the data as before.
# Precision, density and memorisation ask nothing of variety, and praise one real image.
NOISE = ("frechet_distance", "frechet_infinity", "kernel_distance", "mind", "precision", "density")
NOISE += ("coverage", "classifier_score", "smallest_class_share", "largest_class_share")
NOISE += ("ndb_share", "ndb_js", "parzen_log_likelihood", "memorisation_ratio")
ONE = ("frechet_distance", "frechet_infinity", "kernel_distance", "mind", "coverage")
ONE += ("classifier_score",)
ONE += ("smallest_class_share", "largest_class_share", "ndb_share", "ndb_js")
ONE += ("parzen_log_likelihood",)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
  """The cache folder is empty, and is not the user's."""
  # Threads that wait for a processor which another process has are slower than none.
  with threadpoolctl.threadpool_limits(1), pytest.MonkeyPatch.context() as patch:
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    yield


class Case:
  """A data set with its extractor; `held_out` images stand in for the fakes."""

  def __init__(self, name):
    count = self.count = COUNTS[name]
    self.train, test = datasets.load(name, "train[:5000]"), datasets.load(name, "test")
    chosen = np.random.default_rng(0).permutation(len(test.images))[:count]
    self.held_out = test.images[chosen]
    self.extractor = extractors.load(name)
    held_out = test._replace(images=self.held_out)
    self.data = evaluation.make_data(self.train, held_out, self.extractor, count, seed=0)
    self.names = evaluation.applicable(self.data)
    found = evaluation.held_out_references(self.data, self.names, count, seed=0)
    self.held_out_references = self.numbers(found)
    noise = np.random.default_rng(1).integers(256, size=self.held_out.shape, dtype=np.uint8)
    one = np.broadcast_to(self.held_out[:1], self.held_out.shape)
    self.noise = [self.measure(self.blend(noise, share)) for share in SHARES]
    self.one = self.noise[:1] + [self.measure(self.blend(one, share)) for share in SHARES[1:]]

  def blend(self, end, share):
    replaced = np.random.default_rng(2).permutation(self.count) < share * self.count
    return np.where(replaced[:, None, None, None], end, self.held_out)

  def measure(self, images):
    fake = evaluation.extract_features(images, self.extractor)
    return self.numbers(evaluation.measure(self.data, fake, self.names, seed=0))

  @staticmethod
  def numbers(values):
    return {name: value.value for name, value in values.items()}


@pytest.fixture(scope="module", params=sorted(COUNTS))
def case(request):
  if request.param == "mnist":
    data_root = request.getfixturevalue("data_root")
    if not (data_root / "mnist").is_dir():
      pytest.skip(f"no mnist in {data_root}")
  return Case(request.param)


@pytest.fixture(scope="module")
def digits():
  train, test = datasets.load("digits", "train[:300]"), datasets.load("digits", "test")
  return train, test, extractors.load("digits")


# The held-out reference.


def test_every_metric_of_images_has_a_reference(case):
  assert set(case.names) == set(METRICS) - OTHERS
  assert set(case.held_out_references) == set(case.noise[0])
  assert all(math.isfinite(value) for value in case.held_out_references.values())
  assert all(math.isfinite(value) for value in case.noise[0].values())


def test_real_images_score_near_the_ideal_of_every_metric(case):
  reference, noise = case.held_out_references, case.noise[-1]
  # Bias is all that there is of a distance, and it is small beside that of noise.
  for name in ("frechet_distance", "mind"):
    assert 0 < reference[name] < 0.03 * noise[name]
  assert abs(reference["frechet_infinity"]) < 0.03 * noise["frechet_infinity"]
  assert abs(reference["kernel_distance"]) < 0.1 * noise["kernel_distance"]
  assert reference["precision"] > 0.8 and reference["recall"] > 0.8
  assert reference["density"] == pytest.approx(1, abs=0.1)
  expected = expected_coverage(case.count, case.count, k=5)
  assert reference["coverage"] == pytest.approx(expected, abs=0.06)
  # Splits of 29 digits do not hold 10 classes evenly.
  assert {"digits": 7.8, "mnist": 8.5}[case.train.name] < reference["classifier_score"] <= 10
  assert 0.06 < reference["smallest_class_share"] <= 0.1 <= reference["largest_class_share"] < 0.15
  assert reference["ndb_share"] <= 0.12  # 0.05 by the level of the tests
  assert reference["ndb_js"] < 1.5 * 99 / 4 / case.count
  assert reference["memorisation_ratio"] == 1


def test_the_reference_is_what_held_out_images_score(case):
  # Of equal samples in another order; held-out images are what Parzen windows score, no samples.
  for name in ("frechet_distance", "mind", "precision", "recall", "density", "coverage", "ndb_js"):
    assert case.noise[0][name] == pytest.approx(case.held_out_references[name]), name


def test_held_out_images_that_are_sorted_by_class_give_the_same_reference(digits):
  train, test, extractor = digits
  references = []
  for order in (np.arange(len(test.images)), np.argsort(test.labels)):
    held_out = test._replace(images=test.images[order])
    data = evaluation.make_data(train, held_out, extractor, 297, seed=0)
    found = evaluation.held_out_references(data, ["classifier_score"], 297, seed=0)
    references.append(found["classifier_score"].value)
  assert references[0] == pytest.approx(references[1], abs=0.5) and references[0] > 7


# The other ends.


def test_noise_is_found_out_by_every_metric_with_a_direction(case):
  reference, noise = case.held_out_references, case.noise[-1]
  for name in ("frechet_distance", "frechet_infinity", "kernel_distance", "mind"):
    assert noise[name] > 10 * abs(reference[name]), name
  for name in ("precision", "density", "coverage", "recall", "classifier_score"):
    assert noise[name] < 0.5 * reference[name], name
  assert noise["recall"] == 0 and noise["classifier_score"] < 2
  assert noise["smallest_class_share"] == 0 and noise["largest_class_share"] > 0.4
  assert noise["ndb_share"] > 0.25 and noise["ndb_js"] > 5 * reference["ndb_js"]
  assert noise["parzen_log_likelihood"] < reference["parzen_log_likelihood"] - 500
  assert noise["memorisation_ratio"] > 1.5


def test_one_image_is_found_out_by_every_metric_that_asks_for_variety(case):
  reference, one = case.held_out_references, case.one[-1]
  for name in ("frechet_distance", "frechet_infinity", "kernel_distance", "mind"):
    assert one[name] > 20 * abs(reference[name]), name
  assert one["recall"] < 0.01 and one["coverage"] < 0.05
  assert one["classifier_score"] == pytest.approx(1)
  assert (one["smallest_class_share"], one["largest_class_share"]) == (0, 1)
  assert one["ndb_share"] > 0.25 and one["ndb_js"] > 5 * reference["ndb_js"]
  assert one["parzen_log_likelihood"] < reference["parzen_log_likelihood"] - 300


def test_one_real_image_is_more_precise_than_many(case):
  assert case.one[-1]["precision"] == 1 > case.held_out_references["precision"]


def test_copies_of_training_images_are_told_from_fresh_ones(case):
  chosen = np.random.default_rng(3).permutation(len(case.train.images))[: case.count]
  copies = evaluation.extract_features(case.train.images[chosen], case.extractor)
  values = evaluation.measure(case.data, copies, ["memorisation", "frechet_distance"], seed=0)
  assert values["memorisation_ratio"].value == pytest.approx(0, abs=1e-3)
  assert values["frechet_distance"].value < 2 * case.held_out_references["frechet_distance"]


# Between the ends.


@pytest.mark.parametrize("name", NOISE)
def test_more_noise_is_never_better(case, name):
  assert_never_better(name, [values[name] for values in case.noise])


@pytest.mark.parametrize("name", ONE)
def test_more_of_one_image_is_never_better(case, name):
  assert_never_better(name, [values[name] for values in case.one])


def assert_never_better(name, values):
  rising = evaluation.better(name) in ("lower", NEAR_REFERENCE)
  steps = np.diff(values if rising else values[::-1])
  assert (steps >= 0).all() and values[0] != values[-1], values


@pytest.mark.parametrize("name", ["recall", "coverage"])
def test_fewer_classes_are_less_of_the_data(case, name):
  labels = case.train.labels
  values = []
  for classes in (10, 5, 2, 1):
    chosen = np.flatnonzero(labels < classes)[:120]
    fake = evaluation.extract_features(case.train.images[chosen], case.extractor)
    values.append(case.numbers(evaluation.measure(case.data, fake, MANIFOLDS, 0))[name])
  assert values == sorted(values, reverse=True) and values[-1] < 0.5 * values[0], values


# Errors and seeds.


def test_the_standard_error_is_the_spread_over_independent_draws():
  values, errors = {}, {}
  for seed in range(30):
    rng = np.random.default_rng(seed)
    real, fake = (Sample(np.empty((200, 0)), rng.normal(size=(200, 4))) for _ in range(2))
    fake.features[:, 0] += 1
    names = ("frechet_distance", "density_coverage")
    numbers = evaluation.measure(Data(real, real, None), fake, names, seed, errors=seed < 10)
    for name in ("frechet_distance", "coverage"):
      values.setdefault(name, []).append(numbers[name].value)
      if seed < 10:
        errors.setdefault(name, []).append(numbers[name].standard_error)
  for name, error in errors.items():
    assert 0.5 < np.mean(error) / np.std(values[name], ddof=1) < 2, name


def test_an_interval_is_two_standard_errors_to_each_side_of_the_value(digits):
  train, test, extractor = digits
  data = evaluation.make_data(train, test, extractor, 100, seed=0)
  fake = evaluation.held_out_sample(data, 100, seed=3)
  names = ("kernel_distance", "frechet_distance")
  rows = evaluation.rows(data, fake, names, seed=0)
  values = evaluation.measure(data, fake, names, seed=0, errors=True)
  row, error = rows["kernel_distance"], values["kernel_distance"].standard_error
  assert error > 0 and row.high - row.value == pytest.approx(2.262 * error, rel=1e-3)
  assert row.value - row.low == pytest.approx(2.262 * error, rel=1e-3)
  # Of what cannot fall below 0, the error at an end m is sqrt(m / value) as large.
  row, error = rows["frechet_distance"], values["frechet_distance"].standard_error
  for end in (row.low, row.high):
    expected = 2.262 * error * math.sqrt(end / row.value)
    assert end > 0 and abs(end - row.value) == pytest.approx(expected, rel=1e-3)
  assert row.better == "lower" and row.held_out_reference > 0


def test_equal_seeds_give_equal_numbers_and_another_seed_others(digits):
  train, test, extractor = digits

  def rows(seed):
    data = evaluation.make_data(train, test, extractor, 200, seed)
    fake = evaluation.extract_features(test.images[:200], extractor)
    return evaluation.rows(data, fake, evaluation.applicable(data), seed)

  first, second, third = rows(0), rows(0), rows(1)
  assert first == second
  for name in ("frechet_distance", "kernel_distance", "coverage", "ndb_js"):
    assert first[name].value != third[name].value, name


# Few samples and strange ones.


@pytest.mark.parametrize("count, metric", [(1, "frechet_distance"), (3, "kernel_distance")])
def test_too_few_samples_are_refused_with_the_metric_and_the_way_out(digits, count, metric):
  train, test, extractor = digits
  data = evaluation.make_data(train, test, extractor, count, seed=0)
  fake = evaluation.extract_features(test.images[:count], extractor)
  with pytest.raises(UserError, match=f"^{metric}: .*needed: take more samples"):
    evaluation.measure(data, fake, evaluation.applicable(data), seed=0)


@pytest.mark.parametrize("metric", sorted(set(METRICS) - OTHERS))
def test_no_metric_meets_few_samples_with_anything_but_a_line(digits, metric):
  train, test, extractor = digits
  for count in (1, 2, 3, 5, 8, 13):
    data = evaluation.make_data(train, test, extractor, count, seed=0)
    fake = evaluation.extract_features(test.images[:count], extractor)
    try:
      rows = evaluation.rows(data, fake, [metric], seed=0)
      assert all(math.isfinite(row.value) for row in rows.values())
    except UserError as error:
      assert str(error).startswith(f"{metric}: ") and "\n" not in str(error)


@pytest.mark.filterwarnings("error")
def test_one_repeated_image_has_a_value_and_an_interval_in_every_metric(digits):
  train, test, extractor = digits
  data = evaluation.make_data(train, test, extractor, 200, seed=0)
  for pixel in (0, 255):
    constant = evaluation.extract_features(np.full((200, 28, 28, 1), pixel, np.uint8), extractor)
    for row in evaluation.rows(data, constant, evaluation.applicable(data), seed=0).values():
      assert math.isfinite(row.value)
      assert row.low is None or row.low <= row.value <= row.high


def test_features_that_are_no_numbers_are_refused_with_the_metric(digits):
  train, test, extractor = digits
  data = evaluation.make_data(train, test, extractor, 50, seed=0)
  fake = evaluation.extract_features(test.images[:50], extractor)
  fake.features[3] = np.nan
  with pytest.raises(UserError, match="^frechet_distance: fake features hold NaN"):
    evaluation.measure(data, fake, ["frechet_distance"], seed=0)


# Features that are kept.


@pytest.fixture
def counted(monkeypatch, tmp_path):
  """Numbers of images of which features were computed, in an empty cache folder."""
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  extract, calls = extractors.Extractor.extract, []

  def count(self, images):
    calls.append(len(images))
    return extract(self, images)

  monkeypatch.setattr(extractors.Extractor, "extract", count)
  return calls


def assert_same(first, second):
  for one, other in zip(first.train, second.train, strict=True):
    np.testing.assert_array_equal(one, other)


def test_features_of_data_are_computed_once(digits, counted, tmp_path):
  train, test, extractor = digits
  first = evaluation.make_data(train, test, extractor, 20, seed=0)
  assert counted == [300, 297]
  second = evaluation.make_data(train, test, extractor, 50, seed=1)
  assert counted == [300, 297] and len(second.reference.examples) == 50
  assert_same(first, second)
  kept = [path for path in tmp_path.rglob("*") if path.is_file()]
  assert {path.parent for path in kept} == {tmp_path / "gan" / "features"}
  assert len(kept) == 2


def test_other_images_and_other_extractors_are_not_taken_for_each_other(digits, counted):
  train, _, extractor = digits
  evaluation.make_data(train, None, extractor, 20, seed=0)
  evaluation.make_data(train._replace(images=train.images ^ 1), None, extractor, 20, seed=0)
  evaluation.make_data(train, None, extractors.load("mnist"), 20, seed=0)
  assert counted == [300] * 3


@pytest.mark.parametrize("content", [b"", b"half of it", "cut", "fewer", "other"])
def test_what_is_damaged_there_is_computed_anew(digits, counted, tmp_path, content):
  train, _, extractor = digits
  first = evaluation.make_data(train, None, extractor, 20, seed=0)
  (path,) = tmp_path.rglob("*.npz")
  whole = path.read_bytes()
  if content in ("fewer", "other"):
    name = "features" if content == "fewer" else "more"
    np.savez(path, **{name: np.zeros((3, 64)), "probabilities": np.zeros((3, 10))})
  else:
    path.write_bytes(whole[:-500] if content == "cut" else content)
  assert_same(evaluation.make_data(train, None, extractor, 20, seed=0), first)
  assert counted == [300, 300] and path.read_bytes() == whole


def test_where_the_cache_folder_cannot_be_features_are_kept_for_the_process(
  digits, counted, tmp_path, monkeypatch
):
  (tmp_path / "file").write_text("mine")
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
  train, _, extractor = digits
  for _ in range(2):
    evaluation.make_data(train, None, extractor, 20, seed=0)
  assert counted == [300] and (tmp_path / "file").read_text() == "mine"


# What a run asks for.


def test_a_data_set_without_an_extractor_or_of_another_form_has_none_and_the_reason(digits):
  train = digits[0]
  assert find_extractor(train)[1] == ""
  cases = {
    "no extractor of own": train._replace(name="own"),
    "images are 14x14x1": train._replace(images=train.images[:, ::2, ::2]),
    "images are 28x28x3": train._replace(images=np.repeat(train.images, 3, axis=-1)),
  }
  for words, dataset in cases.items():
    extractor, notice = find_extractor(dataset)
    assert extractor is None and words in notice
    evaluator, line = make_evaluator(dataset, "train", 100, seed=0)
    assert evaluator is None and words in line and line.startswith("No metrics while training")


def test_an_extractor_that_is_named_measures_data_that_have_none(digits):
  train, extractor = digits[0]._replace(name="own"), digits[2]
  check_extractor(extractor, train, "mine.npz")
  assert origin(extractor, train, "mine.npz") == (
    "The extractor was trained on digits, the run on own."
  )
  evaluator, line = make_evaluator(train, "train", 100, 0, (extractor,))
  found, _ = make_evaluator(digits[0], "train", 100, 0)
  assert line == "" and evaluator.facts == found.facts
  assert evaluator(train.images[:100]) == found(train.images[:100])


def test_data_that_an_extractor_does_not_take_are_refused_with_the_reason(digits):
  train, extractor = digits[0], digits[2]
  cases = {
    "takes images of 28x28x1, and those of digits are 14x14x1": train.images[:, ::2, ::2],
    "takes images of 28x28x1, and those of digits are 28x28x3": np.repeat(train.images, 3, -1),
    "takes uint8 images, and those of digits are float32": train.images.astype(np.float32),
    "is for images, and digits has points": np.zeros((9, 2), np.float32),
  }
  for words, images in cases.items():
    with pytest.raises(UserError, match=f"^`extractor=mine.npz` {words}"):
      check_extractor(extractor, train._replace(images=images), "mine.npz")


def test_stacked_images_are_seen_channel_by_channel(digits):
  stacked = digits[0]._replace(name="stacked_mnist", images=np.repeat(digits[0].images, 3, -1))
  check_extractor(extractors.load("mnist"), stacked, "mnist")
  assert origin(extractors.load("mnist"), stacked, "mnist") == ""


def test_data_with_a_shipped_extractor_take_none_of_other_data(digits):
  with pytest.raises(UserError, match="`extractor=mnist` was trained on mnist, the run on digits"):
    origin(extractors.load("mnist"), digits[0], "mnist")


def test_too_few_training_examples_are_told_before_the_first_step(digits):
  train = digits[0]
  few = train._replace(images=train.images[: LEAST_REFERENCE - 1])
  assert "5 training examples are too few" in make_evaluator(few, "train", 50, 0)[1]
  enough = train._replace(images=train.images[:LEAST_REFERENCE])
  evaluator, line = make_evaluator(enough, "train", 50, 0)
  assert line == "" and math.isfinite(evaluator(train.images[:50])["coverage"])


def test_best_is_the_lowest_or_highest_by_the_direction_and_an_infinite_last_is_told():
  numbers = [(1, 3.0, 0.2), (2, 1.0, 0.9), (3, 2.0, 0.4)]
  records = [{"step": s, "frechet_distance": f, "coverage": c} for s, f, c in numbers]
  records.append({"step": 4, "frechet_distance": "inf", "memorisation_ratio": 0.5})
  assert best_and_last(records) == {
    "frechet_distance": {"last": [4, "inf"], "best": [2, 1.0]},
    "coverage": {"last": [3, 0.4], "best": [2, 0.9]},
  }
