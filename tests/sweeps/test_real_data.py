"""What real data score in the place of samples: by two routes, and where there are none."""

import dataclasses

import pytest

from gan import datasets
from gan.metrics import evaluation
from gan.metrics.spaces import make_spaces
from gan.sweeps import real_data
from gan.sweeps.plan import Cost, Plan, Program
from gan.sweeps.search import Trial
from gan.training.config import Config
from gan.training.run_folder import REAL_DATA

CONFIG = dataclasses.replace(Config(), dataset="ring", eval_every=5, eval_samples=100, seed=3)


def test_real_data_score_what_evaluate_says_of_them():
  data = datasets.load("ring", "train")
  found = real_data.measure(CONFIG, data)
  (space,) = make_spaces(data, datasets.load("ring", "test"), (), 100, 3)
  expected = evaluation.held_out_references(space.data, ["mixture_modes"], 100, 3)
  assert {name: found[name] for name in expected} == {
    name: value.value for name, value in expected.items()
  }
  assert (found["eval_samples"], found["held_out_samples"], found["eval_seed"]) == (100, 100, 3)


def test_a_sweep_on_the_test_split_or_without_evaluations_has_none(tmp_path):
  said = []

  def record(**changes):
    config = dataclasses.replace(CONFIG, **changes)
    dataset = datasets.load("ring", config.split)
    program = Program([[Trial("a", config, {})]], 1, Cost(0.0, 0, 0.0))
    plan = Plan([program], dataset, {}, {})
    return real_data.record(plan, tmp_path, say=said.append)

  assert record(split="test") is None and record(eval_every=0) is None
  assert said == [
    "What real data score is not known: runs are trained on the test split, or measured against it"
  ]
  assert not (tmp_path / REAL_DATA).exists()
  assert record()["modes"] == pytest.approx(8, abs=1e-3)
  kept = (tmp_path / REAL_DATA).read_bytes()
  assert record() is None and (tmp_path / REAL_DATA).read_bytes() == kept
