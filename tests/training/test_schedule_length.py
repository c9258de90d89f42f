"""The length of a run's schedules is that of its start, for good."""

import json

import numpy as np

from gan.training import loop
from gan.training.config import Config

RUN = {"dataset": "ring", "model": "points", "width": 8, "batch_size": 16, "log_every": 1}
RUN |= {"sample_every": 100, "checkpoint_every": 2, "eval_every": 0}


def fit(workdir, steps, **fields):
  schedules = "generator_learning_rate=linear:0;penalty_weight=cosine:0.1"
  config = Config(**RUN, penalty="r1", schedules=schedules, steps=steps, **fields)
  return loop.fit(config, workdir, say=lambda line: None)


def losses(workdir):
  lines = (workdir / "metrics.jsonl").read_text().splitlines()
  return [json.loads(line)["generator_loss"] for line in lines]


def test_more_steps_later_change_nothing_of_the_past(tmp_path):
  fit(tmp_path / "short", 4)
  fit(tmp_path / "longer", 4)
  past = losses(tmp_path / "longer")
  fit(tmp_path / "longer", 6)
  assert losses(tmp_path / "longer")[:4] == past == losses(tmp_path / "short")
  record = json.loads((tmp_path / "longer" / "config.json").read_text())
  assert record["config"]["schedule_images"] == 4 * 16
  # The rate has reached 0: the last two steps leave the generator where it was.
  whole = fit(tmp_path / "given", 6, schedule_images=4 * 16)
  assert whole["status"] == "finished" and losses(tmp_path / "given") == losses(tmp_path / "longer")
  assert np.isfinite(losses(tmp_path / "given")).all()
