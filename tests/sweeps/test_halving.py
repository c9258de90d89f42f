"""Successive halving: what goes on is, to the bit, the run that was never paused."""

import dataclasses
import json
import math

import numpy as np
import pytest
from test_sweep import (
  BASE,
  assert_same_records,
  assert_same_states,
  interrupt_at,
  own,
  records,
)

from experiments import sweep as command
from gan.sweeps import halving, local, trainer
from gan.sweeps.launcher import statuses
from gan.sweeps.plan import Plan, Program, make_plan
from gan.sweeps.search import make_trials, sweep_identity
from gan.training import setting
from gan.training.run_folder import EVALUATIONS, read_summary, write_json

# The rungs 4 and 8 are steps of neither a record nor a checkpoint.
CONFIG = dataclasses.replace(BASE, log_every=3, eval_every=4, checkpoint_every=10)
POINTS = [{"generator_learning_rate": rate} for rate in (0.05, 0.2, 0.01, 1e38, 0.1, 0.4)]
METRIC = "frechet_distance"


def evaluate(examples):
  """A value that differs after a few steps already."""
  return {METRIC: float(np.abs(examples).mean()), "eval_samples": len(examples), "split": "train"}


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory):
  """(folder of all runs to their end, folder of the best, plan, launcher, what was said)."""
  chosen = make_trials(
    ["nonsat"], [0], POINTS, lambda point: dataclasses.replace(CONFIG, **point), searched=True
  )
  plan, launch = make_plan(chosen, say=lambda line: None), local.keeping_programs()
  whole, best, said = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("best"), []
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(setting, "make_evaluators", lambda *args: lambda seed: evaluate)
    launch(plan, whole, say=lambda line: None)
    halving.fit(plan, best, factor=2, say=said.append, launch=launch)
  return whole, best, plan, launch, said


def ranked(whole, trials, step):
  """Trials by the metric at a step, of the runs that were never paused; the diverged one last."""

  def value(trial):
    found = [r[METRIC] for r in records(own(whole, trial), EVALUATIONS) if r["step"] == step]
    return found[0] if found else np.inf

  return sorted(trials, key=value)


def expected(whole, plan):
  """{name: status}, by hand: three of six go on from step 4, two of three from step 8."""
  first = ranked(whole, plan.trials, 4)
  second = ranked(whole, [t for t in plan.trials if t in first[:3]], 8)
  found = {trial.name: "stopped at step 4" for trial in first[3:]}
  found |= {trial.name: "stopped at step 8" for trial in second[2:]}
  diverged = read_summary(own(whole, plan.trials[3]))["status"]
  return found | {trial.name: "finished" for trial in second[:2]} | {plan.trials[3].name: diverged}


def assert_as_never_paused(folder, whole, plan):
  for trial in plan.trials:
    run, unpaused = own(folder, trial), own(whole, trial)
    if read_summary(run)["status"] == "finished":
      assert_same_records(run, unpaused)
      assert_same_states(run, unpaused)
    else:
      last = read_summary(run)["step"]
      for file in ("metrics.jsonl", EVALUATIONS):
        until = [record for record in records(unpaused, file) if record["step"] <= last]
        assert records(run, file) == until


def test_the_best_go_on_as_if_they_had_never_paused(sweeps):
  whole, best, plan, _, said = sweeps
  found = {trial.name: read_summary(own(best, trial))["status"] for trial in plan.trials}
  assert found == expected(whole, plan)
  assert sorted(found.values())[1:] == ["finished"] * 2 + ["stopped at step 4"] * 2 + [
    "stopped at step 8"
  ]
  assert_as_never_paused(best, whole, plan)
  assert f"Step 4: the best settings by {METRIC} go on (3 of 6 of nonsat)" in said
  assert f"Step 8: the best settings by {METRIC} go on (2 of 3 of nonsat)" in said
  assert not any("interrupted" in line for line in said)


def test_an_interrupted_rung_and_the_same_command_again(sweeps, tmp_path, monkeypatch):
  whole, _, plan, launch, _ = sweeps

  def fit():
    return halving.fit(plan, tmp_path, factor=2, say=lambda line: None, launch=launch)

  with monkeypatch.context() as patch:
    interrupt_at(patch, 6)
    assert sorted(fit().values())[1:] == ["interrupted"] * 3 + ["stopped at step 4"] * 2
  assert fit() == expected(whole, plan)
  assert_as_never_paused(tmp_path, whole, plan)
  with monkeypatch.context() as patch:
    patch.setattr(trainer, "train", lambda *args: pytest.fail("it trained"))
    assert fit() == expected(whole, plan)
  # Without halving all go on from where they were stopped.
  launch(plan, tmp_path, say=lambda line: None)
  for trial in (trial for trial in plan.trials if trial != plan.trials[3]):
    assert_same_records(own(tmp_path, trial), own(whole, trial))
    assert_same_states(own(tmp_path, trial), own(whole, trial))


# Decisions alone, of runs that are written and not trained.


def plan_of(samples, losses=("nonsat", "wgan"), seeds=(0,)):
  points = [{"generator_learning_rate": 10.0**-i} for i in range(samples)]

  def make(point):
    return dataclasses.replace(CONFIG, **point)

  chosen = make_trials(losses, seeds, points, make, searched=True)
  identity = sweep_identity(chosen, {}, "", "")
  return Plan([Program([chosen], len(chosen), None)], None, identity, {})


def write_instead(truth, made):
  """A launcher that writes `truth(trial, step)` of every evaluation, and notes what it made."""

  def launch(plan, workdir, *, say):
    for trial in (trial for trial in plan.trials if trial.name in plan.working):
      run = own(workdir, trial)
      before = (read_summary(run) or {"step": 0})["step"]
      if before < plan.end:
        run.mkdir(parents=True, exist_ok=True)
        with open(run / EVALUATIONS, "a") as file:
          for step in range(before + 4, plan.end + 1, 4):
            file.write(json.dumps(record(trial, step)) + "\n")
        status = "finished" if plan.end == 12 else "interrupted"
        write_json(run / "summary.json", {"status": status, "step": plan.end})
        made.append((trial.name, before, plan.end))
    return statuses(plan, workdir)

  def record(trial, step):
    counts = {"step": step, "images": step, "epoch": 0.0, "seconds": 0.0}
    return counts | {METRIC: float(truth(trial, step))}

  return launch


def statuses_of(found, loss, seed=0):
  return [found[name] for name in found if name.startswith(loss) and name.endswith(f"={seed}")]


def test_more_samples_rank_anew_and_take_nothing_back(tmp_path):
  made, values = [], {"nonsat": [3, 1, 2, 4, 0, 5], "wgan": [1, 2, 3, 4, 5, 6]}

  def truth(trial, step):
    return values[trial.config.loss][int(trial.name.split("sample=")[1][0])]

  launch = write_instead(truth, made)

  def fit(samples):
    return halving.fit(plan_of(samples), tmp_path, factor=2, say=lambda line: None, launch=launch)

  # Of three two go on from step 4, one from 8.
  found = fit(3)
  assert statuses_of(found, "nonsat") == ["stopped at step 4", "finished", "stopped at step 8"]
  assert statuses_of(found, "wgan") == ["finished", "stopped at step 8", "stopped at step 4"]
  made.clear()
  # Of six three go on from step 4 (nonsat: 4, 1, 2), two from 8; none of the three is made again.
  found = fit(6)
  steps = {4: "stopped at step 4", 8: "stopped at step 8", 12: "finished"}
  assert statuses_of(found, "nonsat") == [steps[n] for n in (4, 12, 8, 4, 12, 4)]
  assert statuses_of(found, "wgan") == [steps[n] for n in (12, 12, 8, 4, 4, 4)]
  assert sorted(each for each in made if each[1]) == [
    ("nonsat,sample=4,seed=0", 4, 8),
    ("nonsat,sample=4,seed=0", 8, 12),
    ("wgan,sample=1,seed=0", 8, 12),
    ("wgan,sample=2,seed=0", 4, 8),
  ]
  made.clear()
  assert fit(6) == found and not made


def test_a_setting_goes_on_with_all_its_seeds(tmp_path):
  # Medians over seeds at step 4: 2, 3, inf, 4; a mean would take another.
  values = [(2, 2, 90), (3, 3, 3), (0, math.inf, math.inf), (4, 4, 4)]

  def truth(trial, step):
    return values[int(trial.name.split("sample=")[1][0])][trial.config.seed]

  found = halving.fit(
    plan_of(4, ["nonsat"], (0, 1, 2)),
    tmp_path,
    factor=2,
    metric=METRIC,
    say=lambda line: None,
    launch=write_instead(truth, []),
  )
  for seed in range(3):
    ends = statuses_of(found, "nonsat", seed)
    assert ends == ["finished", "stopped at step 8", "stopped at step 4", "stopped at step 4"]


FLAGS = ["--experiment=ring", "--losses=sat", "--seeds=1", "--steps=100", "--dry_run"]
SPACE = "--space=generator_learning_rate=log:1e-4:1e-2"


@pytest.mark.parametrize(
  ("flags", "message"),
  [
    (["--halving=1", SPACE], "--halving=1 must be 2 or more, or 0 for none"),
    (["--halving=3"], "chooses among settings, and there is one"),
    (["--halving=3", SPACE, "--eval_every=0"], "give an --eval_every above 0"),
    (["--halving=3", SPACE, "--eval_every=90"], "no evaluation near step 33"),
  ],
)
def test_what_cannot_be_halved_is_refused_in_one_line(tmp_path, capsys, flags, message):
  assert command.main(["sweep", f"--workdir={tmp_path}", *FLAGS, *flags]) == 2
  told = capsys.readouterr().err
  assert message in told and told.startswith("error: ") and told.count("\n") == 1


def test_the_plan_has_the_rungs(tmp_path, capsys):
  flags = [*FLAGS, SPACE, "--samples=9", "--halving=3", "--eval_every=11", "--width=8"]
  assert command.main(["sweep", f"--workdir={tmp_path}", *flags]) == 0
  # 9 to step 11, 3 to 33, 1 to 100: 99 + 66 + 67 of 900.
  line = "Halving: one of 3 settings of each loss goes on from step 11, 33: at most 26 % of all"
  assert line in capsys.readouterr().out
