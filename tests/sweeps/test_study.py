"""A study's folder: which setting is the best, what may grow, what is set aside."""

import pytest
from fake_studies import write_run

from gan.errors import UserError
from gan.sweeps import study
from gan.sweeps.study import Best, best_settings, claimed, set_aside
from gan.training.run_folder import read_summary, write_json

METRIC = "frechet_distance"
ASKED = {
  "command": "python -m experiments.study",
  "experiment": "mnist",
  "losses": ["sat", "wgan+wgan_gp"],
  "space": "rates",
  "sampler": "random",
  "samples": 4,
  "seed": 0,
  "seeds": 2,
  "steps": 40,
  "metric": None,
  "budget": "4runs",
  "config": {"batch_size": 64},
}


def write_search(folder, runs):
  """A sweep of runs: {name: [value of each evaluation]}, or a status in the place of values."""
  for name, found in runs.items():
    broken = isinstance(found, str)
    write_run(
      folder / "members" / name,
      values={METRIC: [0.0] if broken else found},
      steps=10 * (1 if broken else len(found)),
      status=found if broken else "finished",
      pictures=False,
    )
  members = [{"name": name, "varied": {"b1": i / 100}} for i, name in enumerate(runs)]
  write_json(folder / "sweep.json", {"members": members, "experiment": "mnist"})


@pytest.fixture(scope="module")
def search(tmp_path_factory):
  folder = tmp_path_factory.mktemp("search")
  write_search(
    folder,
    {
      "sat,sample=0,seed=0": [9.0, 5.0],
      "sat,sample=1,seed=0": [1.0, 3.0],  # its last value counts, not its best
      "sat,sample=2,seed=0": "diverged at step 7",
      "sat,sample=3,seed=0": [4.0, 3.0],  # a tie: the first
      "sat,sample=4,seed=0": [4.0, "nan"],
      "sat,sample=5,seed=0": [0.5],  # did not come as far
      "sat,sample=6,seed=0": "interrupted",
      "wgan+wgan_gp,sample=0,seed=0": [2.0, 2.0],
      "wgan+wgan_gp,sample=0,seed=1": [2.0, 8.0],
      "wgan+wgan_gp,sample=1,seed=0": [2.0, 1.0],
      "wgan+wgan_gp,sample=1,seed=1": "diverged at step 7",
      "hinge,sample=0,seed=0": "diverged at step 7",
    },
  )
  return folder


def test_the_best_setting_came_furthest_and_has_the_best_median(search):
  runs = ["wgan+wgan_gp,sample=0,seed=0", "wgan+wgan_gp,sample=0,seed=1"]
  assert best_settings(search, METRIC) == {
    "sat": Best("sat", "sat,sample=1", ["sat,sample=1,seed=0"], 20, 3.0),
    "wgan+wgan_gp": Best("wgan+wgan_gp", "wgan+wgan_gp,sample=0", runs, 20, 5.0),
    "hinge": None,
  }


def test_the_best_of_a_metric_of_which_more_is_better_is_the_highest(tmp_path):
  runs = {f"sat,sample={i},seed=0": [value] for i, value in enumerate((0.2, 0.7, 0.5))}
  for name, found in runs.items():
    write_run(tmp_path / "members" / name, values={"coverage": found}, steps=10, pictures=False)
  write_json(tmp_path / "sweep.json", {"members": [{"name": name} for name in runs]})
  assert study.metric_of(tmp_path) == "coverage"
  assert best_settings(tmp_path, "coverage")["sat"].setting == "sat,sample=1"


def test_a_metric_that_nothing_can_be_chosen_by_is_refused(search, tmp_path):
  assert study.metric_of(search) == study.metric_of(search, METRIC) == METRIC
  for metric, message in [
    ("coverage", f"`metric=coverage` was not evaluated in .*: there is {METRIC}"),
    ("likelihood_of_rain", "has no direction, or is unknown"),
  ]:
    with pytest.raises(UserError, match=message):
      study.metric_of(search, metric)
  with pytest.raises(UserError, match="no run has a metric to choose by in .*: there is none"):
    study.metric_of(tmp_path)


def claim(folder, **changes):
  with claimed(folder, ASKED | changes):
    return study.read_study(folder)


def test_a_study_grows_and_does_not_shrink_or_change(tmp_path):
  claim(tmp_path)
  more = {"losses": ["hinge", "wgan+wgan_gp", "sat"], "samples": 6, "seeds": 3, "steps": 80}
  free = {"metric": "coverage", "budget": "2h", "command": "another"}
  assert claim(tmp_path, **more, **free) == ASKED | more | free
  for changes, message in [
    ({"samples": 4}, "samples: 6 there, 4 here"),
    ({"losses": ["sat"]}, "losses: .*hinge.* there, .*sat.* here"),
    ({"space": "lucic_wide"}, "space: rates there, lucic_wide here"),
    ({"seed": 1, "steps": 40}, "seed: 0 there, 1 here; steps: 80 there, 40 here"),
    ({"config": {"batch_size": 32}}, "batch_size: 64 there, 32 here"),
  ]:
    with pytest.raises(UserError, match=f"holds a study with another config .{message}"):
      claim(tmp_path, **{**more, **changes})
  assert study.read_study(tmp_path) == ASKED | more | free


def test_a_search_that_follows_a_metric_keeps_it(tmp_path):
  claim(tmp_path, sampler="tpe", metric=METRIC)
  with pytest.raises(UserError, match=f"metric: {METRIC} there, coverage here"):
    claim(tmp_path, sampler="tpe", metric="coverage")
  # Its points follow from values at the last step.
  with pytest.raises(UserError, match="steps: 40 there, 80 here"):
    claim(tmp_path, sampler="tpe", metric=METRIC, steps=80)


@pytest.mark.parametrize(("file", "what"), [("sweep.json", "a sweep"), ("config.json", "a run")])
def test_the_folder_of_other_work_is_refused(tmp_path, file, what):
  write_json(tmp_path / file, {"determining": {}})
  with pytest.raises(UserError, match=f"holds {what}: give the study a --workdir of its own"):
    claim(tmp_path)
  with pytest.raises(UserError, match=r"lies (in the folder of|above) (a|other)"):
    claim(tmp_path / "below")


def test_confirmations_of_settings_that_are_overtaken_are_set_aside_and_come_back(tmp_path):
  confirm = tmp_path / "confirm"
  old, new, kept = (f"{name},seed=1" for name in ("sat,sample=0", "sat,sample=3", "wgan,sample=0"))
  write_search(confirm, {old: [1.0], kept: [2.0]})

  def names(folder):
    return sorted(path.name for path in folder.iterdir())

  set_aside(tmp_path, [kept, new])
  assert names(confirm / "members") == [kept] and names(tmp_path / "earlier") == [old]
  assert not (confirm / "sweep.json").exists()
  write_search(confirm, {new: [1.0], kept: [2.0]})
  set_aside(tmp_path, [kept, new])
  assert names(confirm / "members") == [new, kept] and (confirm / "sweep.json").exists()
  set_aside(tmp_path, [kept, old])
  assert names(confirm / "members") == [old, kept] and names(tmp_path / "earlier") == [new]
  assert read_summary(confirm / "members" / old)["status"] == "finished"
