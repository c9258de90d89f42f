"""Optuna's search: its points, its studies as Optuna reads them, and going on after a kill."""

import contextlib
import functools
import itertools
import json
import math
import sqlite3
import sys

import pytest

from gan.errors import UserError
from gan.sweeps import tpe
from gan.sweeps.spaces import space_of
from gan.training.config import Config
from gan.training.options import with_values

optuna = pytest.importorskip("optuna", reason="needs the extra optuna")

RATES = "generator_learning_rate+discriminator_learning_rate"
SPACE = space_of(
  f"{RATES}=log:1e-5:1e-2; b1=0:1; discriminator_steps=2:5; penalty_weight=log:0.1:100; "
  "penalty=none|r1; weight_clip=log:0.001:1"
)
LOSSES = ("nonsat", "wgan")
SAMPLES = 12  # two after the ten random ones


def config(point):
  return with_values(Config(model="mlp"), point)


def arguments(losses=LOSSES, metric="frechet_distance", seed=3):
  return losses, SPACE, config, metric, seed


def in_memory(*args, **options):
  return tpe.Searches(optuna.storages.InMemoryStorage(), *arguments(*args, **options))


def value(point):
  """Best at a rate of 1e-3; diverges at high b1."""
  if point.get("b1", 0.5) > 0.8:
    return math.nan
  return (math.log10(point.get("generator_learning_rate", 2e-4)) + 3) ** 2


def search(searches, samples=range(SAMPLES), losses=LOSSES):
  """{loss: points} of a search by `value`."""
  for sample, loss in itertools.product(samples, losses):
    searches.ask(loss, sample)
    searches.tell(loss, sample, value(searches.points(loss)[sample]))
  return {loss: searches.points(loss) for loss in losses}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
  folder = tmp_path_factory.mktemp("odd ?name%20#")
  with tpe.opened(folder, *arguments()) as searches:
    return folder, search(searches)


@contextlib.contextmanager
def study(folder, loss):
  """A study, read as anybody reads one."""
  connect = functools.partial(sqlite3.connect, folder / tpe.FILE)
  storage = optuna.storages.RDBStorage("sqlite:///any.db", engine_kwargs={"creator": connect})
  yield optuna.load_study(study_name=loss, storage=storage)
  storage.remove_session()
  storage.engine.dispose()


def test_points_lie_in_the_space_and_hold_what_a_loss_reads(searched):
  for loss, (first, *points) in searched[1].items():
    assert first == {} and len(points) == SAMPLES - 1
    for point in points:
      rate = point["generator_learning_rate"]
      assert 1e-5 <= rate <= 1e-2 and point["discriminator_learning_rate"] == rate
      assert 0 <= point["b1"] < 1 and point["discriminator_steps"] in (2, 3, 4, 5)
      assert type(point["discriminator_steps"]) is int
      has_penalty = point["penalty"] == "r1"
      assert has_penalty == ("penalty_weight" in point)
      # Of the losses here, wgan alone bounds its weights, and does not beside a penalty.
      assert ("weight_clip" in point) == (loss == "wgan" and not has_penalty)
    assert len({json.dumps(point) for point in points}) == SAMPLES - 1
  bounds = {tpe._name(axis): tpe.distribution(axis) for axis in SPACE}
  assert (bounds[RATES].low, bounds[RATES].high, bounds[RATES].log) == (1e-5, 1e-2, True)
  assert bounds["b1"].high == math.nextafter(1, 0) and not bounds["b1"].log
  assert bounds["penalty"].choices == ("none", "r1")


def test_a_search_follows_from_its_seed_whatever_was_searched_beside_it(searched):
  points = searched[1]["wgan"]
  assert search(in_memory(["wgan"]), losses=["wgan"])["wgan"] == points
  other = search(in_memory(["wgan"], seed=4), range(3), ["wgan"])["wgan"]
  assert all(one["b1"] != two["b1"] for one, two in zip(other[1:], points[1:], strict=False))


def test_a_killed_search_goes_on_with_the_points_of_one_that_was_not(searched, tmp_path):
  with tpe.opened(tmp_path, *arguments(["wgan"])) as searches:
    search(searches, range(10), ["wgan"])
    searches.ask("wgan", 10)  # and the process is killed
  with tpe.opened(tmp_path, *arguments(["wgan"])) as searches:
    assert searches.waits("wgan", 10)
    searches.ask("wgan", 10)
    assert len(searches.points("wgan")) == 11
    searches.tell("wgan", 10, value(searches.points("wgan")[10]))
    searches.tell("wgan", 10, -1.0)  # told already
    assert not searches.waits("wgan", 10) and searches.waits("wgan", 11)
    assert search(searches, range(11, SAMPLES), ["wgan"])["wgan"] == searched[1]["wgan"]


def test_optuna_reads_the_studies_back(searched):
  folder, points = searched
  for loss in LOSSES:
    found_values = [value(point) for point in points[loss]]
    expected = [math.inf if math.isnan(found) else found for found in found_values]
    assert math.inf in expected  # some diverge
    with study(folder, loss) as found:
      assert found.direction == optuna.study.StudyDirection.MINIMIZE
      assert found.user_attrs == {"metric": "frechet_distance"}
      assert {trial.state for trial in found.trials} == {optuna.trial.TrialState.COMPLETE}
      assert [trial.value for trial in found.trials] == expected
      assert found.best_value == min(expected)
      assert tpe._point(found.best_params) == points[loss][expected.index(min(expected))]
      # The values as they stand; one step is below the range, and clipping is switched off.
      first = found.trials[0]
    assert first.params == {RATES: 2e-4, "b1": 0.5, "penalty": "none"}
    clip = {"weight_clip": None} if loss == "wgan" else {}
    assert first.user_attrs == {"discriminator_steps": 1} | clip


def test_a_metric_that_is_to_be_high_is_maximized():
  searches = in_memory(["nonsat"], metric="precision")
  searches.ask("nonsat", 0)
  searches.tell("nonsat", 0, math.nan)
  found = searches._studies["nonsat"]
  assert found.direction == optuna.study.StudyDirection.MAXIMIZE
  assert found.trials[0].value == -math.inf


def test_the_search_goes_where_values_are_good():
  points = search(in_memory(["nonsat"]), range(24), ["nonsat"])["nonsat"][1:]
  distances = [(math.log10(point["generator_learning_rate"]) + 3) ** 2 for point in points]
  assert sum(distances[9:]) / 14 < sum(distances[:9]) / 9 / 2


def test_what_is_no_study_is_refused_in_a_line(tmp_path):
  (tmp_path / tpe.FILE).write_text("no database at all" * 100)
  message = r"optuna.db cannot be read by Optuna [^\n]*: restore it, or use another[^\n]*$"
  with pytest.raises(UserError, match=message), tpe.opened(tmp_path, *arguments()):
    pass


def test_optuna_missing_is_said_in_a_line(monkeypatch):
  monkeypatch.setitem(sys.modules, "optuna", None)
  with pytest.raises(UserError, match=r"needs Optuna: pip install 'gan-jax\[optuna\]'"):
    tpe.require()
