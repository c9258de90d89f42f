"""The discriminator of a run on held-out data, while it trains: numbers, sweeps, refusals."""

import dataclasses
import math

import numpy as np
import pytest
import toys

from experiments import ring, sweep
from gan import datasets
from gan.errors import UserError
from gan.losses import LOSSES
from gan.training import heldout, restore
from gan.training.config import Config
from gan.training.judging import Judged, judged_logits
from gan.training.run_folder import EVALUATIONS, read_metrics
from gan.training.validation import validate

FLAGS = ["--steps=4", "--eval_every=2", "--eval_samples=60", "--batch_size=4", "--log_every=2"]
FLAGS += ["--checkpoint_every=2", "--width=4", "--split=train[:40]", "--heldout=test[:50]"]
NAMES = {f"discriminator_accuracy_{part}" for part in ("held_out", "train")}
NAMES |= {f"discriminator_logit_{part}" for part in ("held_out", "train", "samples")}
NAMES |= {"discriminator_overfitting"}


def test_values_are_means_shares_and_their_ratio():
  judged = Judged(*map(np.float32, ([2.0, -1.0], [3.0, 2.0, 1.0, -1.0], [-2.0, -1.0])))
  means = {"held_out": 0.5, "train": 1.25, "samples": -1.5}
  # All samples are judged right.
  accuracies = {"held_out": (1 / 2 + 1) / 2, "train": (3 / 4 + 1) / 2}
  expected = {f"discriminator_logit_{name}": value for name, value in means.items()}
  expected |= {"discriminator_overfitting": (1.25 - 0.5) / (1.25 + 1.5)}
  assert heldout.measured(judged, LOSSES["wgan"]) == pytest.approx(expected)
  expected |= {f"discriminator_accuracy_{name}": value for name, value in accuracies.items()}
  assert heldout.measured(judged, LOSSES["hinge"]) == pytest.approx(expected)
  same = Judged(*[np.ones(3, np.float32)] * 3)
  assert math.isnan(heldout.measured(same, LOSSES["hinge"])["discriminator_overfitting"])


def test_runs_in_parts_and_in_sweeps_record_what_judging_what_they_saved_tells(tmp_path):
  for steps in (2, 4):
    flags = [*FLAGS, f"--workdir={tmp_path / 'run'}", f"--steps={steps}"]
    assert ring.main(["ring", *flags]) == 0
  records = read_metrics(tmp_path / "run", EVALUATIONS)
  assert [record["step"] for record in records] == [2, 4]
  assert all(set(record) > NAMES and record["held_out_samples"] == 50 for record in records)

  run = restore.find(tmp_path / "run")
  data = [datasets.load("ring", split) for split in ("train[:40]", "test[:50]")]
  judged, counts = judged_logits(run.gan, run.state, *data, None, 0, 60)
  assert counts == {"samples": 60, "held_out_samples": 50, "reference_samples": 40}
  for name, value in heldout.measured(judged, LOSSES["nonsat"]).items():
    assert records[1][name] == pytest.approx(value, rel=1e-5), name

  flags = ["--experiment=ring", "--losses=nonsat", "--seeds=1", f"--workdir={tmp_path / 'sweep'}"]
  assert sweep.main(["sweep", *FLAGS, *flags]) == 0
  member = read_metrics(tmp_path / "sweep/members/nonsat,seed=0", EVALUATIONS)
  for there, here in zip(records, member, strict=True):
    assert {name: here[name] for name in NAMES} == {name: there[name] for name in NAMES}


@pytest.mark.parametrize(
  ("values", "message"),
  [
    ({"eval_every": 0}, "--heldout is read by --eval_every above 0 only: give that too"),
    (
      {"heldout": "", "eval_every": 0, "reference_split": "test"},
      "--reference_split is read by --eval_every above 0 only: give that too",
    ),
    ({"heldout": "train[90:100]"}, "--heldout=train\\[90:100\\] holds examples of --split="),
    ({"heldout": "train"}, "holds examples of --split=train\\[:100\\], which are trained on"),
    ({"heldout": "train[-5:]"}, "unknown split 'train\\[-5:\\]'"),
  ],
)
def test_what_is_not_held_out_is_refused(values, message):
  config = Config(heldout="train[100:]", split="train[:100]", eval_every=1)
  validate(config)
  with pytest.raises(UserError, match=message) as error:
    validate(dataclasses.replace(config, **values))
  assert "\n" not in str(error.value)


def test_a_split_that_is_not_there_is_refused():
  train = datasets.load("ring", "train[:10]")
  with pytest.raises(UserError, match="unknown split 'valid': ring has train, test"):
    heldout.make_judge(Config(heldout="valid", eval_every=1), toys.tanh_gan(), train)


def test_fewer_examples_than_are_judged_at_once_are_refused_as_the_judge_is_made():
  train, packed = datasets.load("ring", "train[:10]"), toys.tanh_gan()._replace(packing=3)
  assert heldout.make_judge(Config(heldout="test[:3]", eval_every=1), packed, train)
  with pytest.raises(UserError, match="--heldout=test\\[:2\\] gives 2 examples .* takes 3 at once"):
    heldout.make_judge(Config(heldout="test[:2]", eval_every=1), packed, train)
