"""A sweep: every run is the run trained alone, whatever happens to the others."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
import toys
from conftest import ROOT
from interrupting import interrupt_at

from experiments import sweep as command
from gan import losses
from gan.errors import UserError
from gan.sweeps import growing, local, trainer
from gan.sweeps import plan as planning
from gan.sweeps.search import make_trials, sweep_identity
from gan.training import loop, restore
from gan.training.config import Config
from gan.training.run_folder import EVALUATIONS, read_config, read_metrics, read_summary

# SGD: Adam would turn differences of rounding in tiny gradients into whole steps.
BASE = dataclasses.replace(
  toys.RING,
  optimizer="sgd",
  generator_learning_rate=0.05,
  discriminator_learning_rate=0.05,
  b1=Config().b1,
  steps=12,
  log_every=2,
  sample_every=12,
  eval_every=6,
  eval_samples=50,
  checkpoint_every=4,
)


def trials(points=({},), losses=("nonsat",), seeds=(0, 1), searched=False, **changes):
  base = dataclasses.replace(BASE, **changes)

  def make(point):
    return dataclasses.replace(base, **point)

  return make_trials(losses, seeds, list(points), make, searched)


def fit(folder, chosen, say=lambda line: None, **options):
  """({run: status}, the plan) of a sweep in a folder."""
  made = planning.make_plan(chosen, say=say, **options)
  return local.fit(made, folder, say=say), made


def own(folder, trial):
  return folder / "members" / trial.name


def records(folder, file="metrics.jsonl"):
  """Records without the clock."""
  found = read_metrics(folder, file)
  return [{name: value for name, value in r.items() if name != "seconds"} for r in found]


def assert_same_records(one, other, rtol=0.0, atol=0.0):
  for file in ("metrics.jsonl", EVALUATIONS):
    pairs = list(zip(records(one, file), records(other, file), strict=True))
    assert pairs
    for ours, theirs in pairs:
      assert set(ours) == set(theirs)
      for name, value in ours.items():
        if isinstance(value, float) and rtol:
          np.testing.assert_allclose(value, theirs[name], rtol, atol, err_msg=name)
        else:
          assert value == theirs[name], name


def assert_same_states(one, other, atol=0.0):
  states = [jax.tree.leaves(restore.load(folder).state) for folder in (one, other)]
  for ours, theirs in zip(*states, strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=10 * atol, atol=atol)


def assert_same_sweeps(one, other):
  names = sorted(path.name for path in (one / "members").iterdir())
  assert names == sorted(path.name for path in (other / "members").iterdir())
  for name in names:
    assert_same_records(one / "members" / name, other / "members" / name)
    assert_same_states(one / "members" / name, other / "members" / name)
    pictures = [
      sorted((folder / "members" / name / "samples").iterdir()) for folder in (one, other)
    ]
    assert [p.name for p in pictures[0]] == [p.name for p in pictures[1]]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(*pictures, strict=True))


RATES = ({"generator_learning_rate": 0.01}, {"generator_learning_rate": 0.05, "ema_decay": 0.5})


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
  """(folder, runs, plan) of two losses, two points and two seeds; to be read only."""
  folder, chosen = tmp_path_factory.mktemp("sweep"), trials(RATES, ("nonsat", "wgan"))
  statuses, plan = fit(folder, chosen, command="what was typed", experiment="ring")
  assert set(statuses.values()) == {"finished"}
  return folder, chosen, plan


def test_runs_that_differ_in_arrays_share_a_program(swept):
  _, chosen, plan = swept
  assert len(chosen) == 8 and len(plan.programs) == 2
  # Four runs on two devices, two each at once.
  assert [(program.size, len(program.run_groups)) for program in plan.programs] == [(4, 1)] * 2
  assert {m.config.loss for m in plan.programs[0].trials} == {"nonsat"}


def test_static_choices_and_what_is_switched_off_get_programs_of_their_own():
  points = [{}, {"discriminator_steps": 2}, {"instance_noise": 0.1}, {"instance_noise": 0.2}]
  points += [{"weight_clip": 0.1}, {"lecam_weight": 0.1}]
  groups = planning._groups(trials(points, seeds=(0,)))
  found = [[m.varied.get("instance_noise") for m in group] for group in groups]
  assert found == [[None], [None], [0.1, 0.2], [None], [None]]


@pytest.mark.parametrize("i", [0, 1, 4, 7])
def test_a_run_is_the_run_trained_alone(swept, tmp_path, i):
  folder, chosen, _ = swept
  alone = tmp_path / "alone"
  loop.fit(chosen[i].config, alone, say=lambda line: None)
  assert_same_states(own(folder, chosen[i]), alone, atol=1e-6)
  assert_same_records(own(folder, chosen[i]), alone, rtol=2e-4, atol=1e-6)
  ours, theirs = (read_config(path) for path in (own(folder, chosen[i]), alone))
  assert ours["fingerprint"] == theirs["fingerprint"]
  assert {p.name for p in own(folder, chosen[i]).iterdir()} == {p.name for p in alone.iterdir()}


def test_runs_differ(swept):
  folder, chosen, _ = swept
  # Clipped at 0.01, the critic of wgan moves G by less than rounding.
  last = [records(own(folder, m))[-1]["generator_loss"] for m in chosen if m.config.loss != "wgan"]
  assert len(set(last)) == len(last) == 4


def test_a_run_can_be_continued_alone(swept, tmp_path):
  folder, chosen, _ = swept
  copy = tmp_path / "copy"
  subprocess.run(["cp", "-r", own(folder, chosen[0]), copy], check=True)
  said = []
  longer = dataclasses.replace(chosen[0].config, steps=14)
  assert loop.fit(longer, copy, say=said.append)["status"] == "finished"
  assert "Continuing from step 12." in said


@pytest.mark.parametrize("devices", [1, 2])
def test_runs_one_at_a_time_are_runs_alone(tmp_path, monkeypatch, devices):
  # As large runs are on the CPU, without vmap: equal to the bit, on any number of devices.
  present = jax.local_devices()[:devices]
  monkeypatch.setattr(jax, "local_devices", lambda: present)
  chosen = trials(seeds=(0, 1, 2))
  statuses, plan = fit(tmp_path / "sweep", chosen, runs_per_call=1)
  assert set(statuses.values()) == {"finished"}
  assert plan.programs[0].size == devices
  assert [len(run_group) for run_group in plan.programs[0].run_groups] == {1: [1, 1, 1], 2: [2, 1]}[
    devices
  ]
  for trial in chosen[1:]:
    alone = tmp_path / trial.name
    loop.fit(trial.config, alone, say=lambda line: None)
    assert_same_states(own(tmp_path / "sweep", trial), alone)
    assert_same_records(own(tmp_path / "sweep", trial), alone)


def test_crews_are_even_and_their_size_is_that_of_all():
  cost = planning.Cost(flops=1.0, bytes=1, seconds=1.0)
  assert jax.local_device_count() == 2
  chosen = trials(seeds=range(7))
  program = planning._program(chosen, cost, per_device=2, devices=2)
  assert program.size == 4 and [len(run_group) for run_group in program.run_groups] == [4, 3]
  program = planning._program(chosen, cost, per_device=100, devices=2)
  assert program.size == 8 and [len(run_group) for run_group in program.run_groups] == [7]
  assert program.trials == chosen


def test_runs_go_together_where_they_gain_and_fit(monkeypatch):
  monkeypatch.setattr(planning, "_free_bytes", lambda device: 1000)
  assert planning._fitting(planning.Cost(flops=1e6, bytes=300, seconds=1)) == 3
  assert planning._fitting(planning.Cost(flops=1e6, bytes=3000, seconds=1)) == 1
  assert planning._fitting(planning.Cost(flops=1e9, bytes=300, seconds=1)) == 1
  # Each run holds files open, and half of those that there may be are on the other device.
  monkeypatch.setattr(planning, "_free_bytes", lambda device: 1e12)
  assert planning._fitting(planning.Cost(flops=1e6, bytes=300, seconds=1)) == planning.MOST_TOGETHER
  monkeypatch.setattr(planning, "_files", lambda: 10 * 2 * planning.FILES_PER_RUN)
  assert planning._fitting(planning.Cost(flops=1e6, bytes=300, seconds=1)) == 10


def test_one_that_diverges_does_not_disturb_the_others(tmp_path):
  calm, wild = ({"generator_learning_rate": rate} for rate in (0.02, 1e38))
  said = []
  fit(tmp_path / "calm", trials([{}, calm]))
  statuses, _ = fit(tmp_path / "wild", trials([{}, wild]), said.append)
  diverged = [name for name, status in statuses.items() if status.startswith("diverged at step")]
  assert diverged == [f"nonsat,generator_learning_rate=1e+38,seed={seed}" for seed in (0, 1)]
  for trial in trials([{}]):
    assert statuses[trial.name] == "finished"
    assert_same_records(own(tmp_path / "calm", trial), own(tmp_path / "wild", trial))
    assert_same_states(own(tmp_path / "calm", trial), own(tmp_path / "wild", trial))
  # As the run alone: same step, no checkpoint or picture after it, and it is said.
  alone = loop.fit(trials([wild])[0].config, tmp_path / "alone", say=said.append)
  summary = read_summary(tmp_path / "wild" / "members" / diverged[0])
  assert summary["status"] == alone["status"] and summary["step"] == alone["step"]
  assert any(diverged[0] in line and alone["status"] in line for line in said)


def test_diverged_and_finished_runs_are_not_trained_again(tmp_path, monkeypatch):
  chosen = trials([{}, {"generator_learning_rate": 1e38}])
  before, _ = fit(tmp_path, chosen)
  monkeypatch.setattr(trainer, "train", lambda *args: pytest.fail("it trained"))
  again, _ = fit(tmp_path, chosen)
  assert again == before


@pytest.mark.parametrize("steps", [pytest.param(4, marks=pytest.mark.slow), 18])
def test_an_interrupted_sweep_goes_on_to_the_same_bits(tmp_path, swept, monkeypatch, steps):
  folder, chosen, _ = swept
  said = []
  with monkeypatch.context() as patch:
    interrupt_at(patch, steps)
    statuses, _ = fit(tmp_path, chosen, said.append)
  assert set(statuses.values()) <= {"finished", "interrupted", "not started"}
  assert "interrupted" in statuses.values()
  assert sum("The same command continues" in line for line in said) == 1
  assert set(fit(tmp_path, chosen)[0].values()) == {"finished"}
  assert_same_sweeps(tmp_path, folder)


def test_runs_that_stand_at_different_steps_reach_the_same_bits(tmp_path, swept, monkeypatch):
  folder, chosen, _ = swept
  fit(tmp_path, chosen)
  # A kill while checkpoints are written leaves some runs a checkpoint behind.
  for trial in chosen[:2]:
    late = own(tmp_path, trial) / "checkpoints" / "12"
    subprocess.run(["rm", "-r", late], check=True)
    summary = own(tmp_path, trial) / "summary.json"
    summary.write_text(json.dumps({"status": "running", "step": 0}))
  assert set(fit(tmp_path, chosen)[0].values()) == {"finished"}
  assert_same_sweeps(tmp_path, folder)


def test_more_steps_train_every_run_on(tmp_path):
  fit(tmp_path, trials(steps=4))
  statuses, _ = fit(tmp_path, trials(steps=6))
  assert set(statuses.values()) == {"finished"}
  for trial in trials():
    assert records(own(tmp_path, trial))[-1]["step"] == 6


def test_a_sweep_that_grows_in_place_is_the_sweep_made_at_once(tmp_path):
  # One run on each device: by the program of a run alone, to the bit.
  grown = {"schedules": "discriminator_loss_scale=linear:0.5", "searched": True}
  more = {"points": ({}, RATES[1]), "losses": ("wgan", "nonsat"), "steps": 4}
  at_once = trials(schedule_images=12, **more, **grown)
  fit(tmp_path / "once", at_once, runs_per_call=1)
  small = growing.fix_schedules(trials(seeds=(0,), steps=2, **grown), tmp_path / "grown")
  fit(tmp_path / "grown", small, runs_per_call=1)
  chosen = growing.fix_schedules(trials(**more, **grown), tmp_path / "grown")
  assert [trial.config for trial in chosen] == [trial.config for trial in at_once]
  statuses, _ = fit(tmp_path / "grown", chosen, runs_per_call=1)
  assert set(statuses.values()) == {"finished"}
  assert len(json.loads((tmp_path / "grown" / "sweep.json").read_text())["members"]) == 8
  for trial in chosen:
    one, other = (own(tmp_path / folder, trial) for folder in ("grown", "once"))
    assert_same_states(one, other)
    assert_same_records(one, other)


def test_a_sweep_does_not_shrink_or_change_as_it_grows(tmp_path):
  def claim(points=({}, *RATES), **changes):
    chosen = trials(points, searched=True, **changes)
    identity = sweep_identity(chosen, {}, "", "")
    programs = [planning.Program([chosen], 1, planning.Cost(1.0, 1, 1.0))]
    growing.claim(tmp_path / "sweep.json", planning.Plan(programs, None, identity, {}))

  claim()
  before = (tmp_path / "sweep.json").read_bytes()
  for other, message in [
    ({"seeds": (1, 2)}, r"seed: \[0, 1\] there, \[1, 2\] here"),
    ({"batch_size": 8, "seeds": (0, 1, 2)}, "batch_size: 6 there, 8 here"),
    ({"points": ({}, *RATES[::-1])}, "run nonsat,sample=1,seed=0: ema_decay: not given there, 0.5"),
  ]:
    with pytest.raises(UserError, match=message):
      claim(**other)
  assert (tmp_path / "sweep.json").read_bytes() == before
  claim(points=({}, *RATES, {"ema_decay": 0.1}), seeds=(2, 1, 0), steps=14)
  assert len(json.loads((tmp_path / "sweep.json").read_text())["members"]) == 12


def test_another_sweep_and_a_run_are_refused_with_the_difference(tmp_path):
  fit(tmp_path / "sweep", trials(seeds=(0,), steps=2))
  with pytest.raises(UserError, match=r"holds a sweep.*loss: nonsat there, \['sat', 'wgan'\] here"):
    fit(tmp_path / "sweep", trials(losses=("sat", "wgan"), seeds=(0,), steps=2))
  loop.fit(dataclasses.replace(BASE, steps=2), tmp_path / "run", say=lambda line: None)
  with pytest.raises(UserError, match="holds a run: use another --workdir"):
    fit(tmp_path / "run", trials(seeds=(0,), steps=2))


def test_ended_runs_of_another_config_are_refused(tmp_path):
  fit(tmp_path, trials(seeds=(0,), steps=2))
  (tmp_path / "sweep.json").unlink()
  with pytest.raises(UserError, match="batch_size: 6 there, 8 here"):
    fit(tmp_path, trials(seeds=(0,), steps=2, batch_size=8))


def test_a_damaged_summary_is_refused_in_one_line(tmp_path):
  chosen = trials(seeds=(0,), steps=2)
  fit(tmp_path, chosen)
  (own(tmp_path, chosen[0]) / "summary.json").write_text("{}")
  with pytest.raises(UserError, match="summary.json is damaged"):
    fit(tmp_path, chosen)


def test_sweep_json_says_what_was_asked_for(swept):
  folder, chosen, _ = swept
  record = json.loads((folder / "sweep.json").read_text())
  assert record["command"] == "what was typed" and record["experiment"] == "ring"
  assert record["varied"] == ["ema_decay", "generator_learning_rate", "loss", "seed"]
  assert [m["name"] for m in record["members"]] == [m.name for m in chosen]
  assert record["determining"]["loss"] == ["nonsat", "wgan"]
  assert record["determining"]["seed"] == [0, 1]


def test_all_losses_are_taken_once():
  names = command.chosen_losses("all")
  assert len(names) == len({id(losses.LOSSES[name]) for name in names}) == len(losses.of_logits())
  assert "sat" in names and "minimax" not in names
  assert command.chosen_losses("nonsat, wgan") == ["nonsat", "wgan"]
  assert command.chosen_losses("wgan , wgan + wgan_gp") == ["wgan", "wgan+wgan_gp"]


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("wgan+gp", "--losses=wgan[+]gp has an unknown penalty: after [+] choose from none, wgan_gp"),
    ("wgen+r1", "--losses=wgen[+]r1 is unknown: choose from .*, or all"),
    ("sat,sat+r1,sat+r1", "--losses has one loss twice: sat[+]r1"),
  ],
)
def test_labels_that_are_none_are_refused_in_one_line(text, message):
  with pytest.raises(UserError, match=message) as refused:
    command.chosen_losses(text)
  assert "\n" not in str(refused.value)


FLAGS = ["--experiment=ring", "--split=train[:200]", "--width=8", "--batch_size=6", "--steps=12"]
FLAGS += ["--seeds=2", "--eval_samples=50", "--checkpoint_every=4"]
ONE_LOSS = [*FLAGS, "--losses=nonsat"]


def test_the_command_plans_trains_and_says_how_to_compare(tmp_path, capsys):
  argv = ["sweep", f"--workdir={tmp_path}", *ONE_LOSS, "--grid=b1=0,0.5"]
  assert command.main([*argv, "--dry_run"]) == 0
  assert "4 runs, 1 programs, 2 x cpu" in capsys.readouterr().out
  assert not list(tmp_path.iterdir())
  assert command.main(argv) == 0
  printed = capsys.readouterr()
  assert "4 of 4 runs finished, 0 diverged" in printed.err
  assert f"python -m experiments.compare --workdir={tmp_path}" in printed.err
  # An evaluation every eighth of the experiment's own 5,000 steps, and at the last.
  run = tmp_path / "members" / "nonsat,b1=0.5,seed=1"
  assert read_config(run)["config"]["eval_every"] == 625
  assert [record["step"] for record in records(run, EVALUATIONS)] == [12]


@pytest.mark.parametrize(
  ("flags", "message"),
  [
    (["--losses=nonstat"], "--losses=nonstat is unknown: choose from"),
    (["--losses=sat,sat"], "--losses has one loss twice: sat, sat"),
    (["--losses=sat,minimax"], "--losses has one loss twice: sat, minimax"),
    (["--seeds=0"], "--seeds=0 must be above 0"),
    (["--grid=b1"], "must be field=value,value"),
    (["--grid=dataset=ring"], "runs cannot differ in 'dataset'"),
    (["--grid=b1=0,1"], "--b1=1.0 must be below 1"),
    (["--grid=momentum=0,0.5"], "run nonsat,momentum=0.5,seed=0: --momentum has no meaning"),
    (["--search=lucic_wide", "--grid=b1=0"], "--grid and --search: give one of them"),
    (["--search=lucic_wide", "--samples=0"], "--samples=0 must be above 0"),
    (["--space=b1=0:0.9", "--search=lucic_wide"], "--search and --space: give one of them"),
    (["--space=b1=log:0:0.9"], "has no logarithm at 0.0"),
    (["--space=real_label=0.5:1;penalty_weight=1|2"], "no chosen loss reads penalty_weight"),
    (["--sampler=sobol"], "--sampler is read by --space only"),
    (["--sampler=tpe", "--space=b1=0:0.9"], "each point follows from values before it: python -m"),
    (["--space=b1=0|0.9", "--samples=2", "--sampler=grid"], "give --samples=3 or more"),
    (["--model=dcgan"], "the data are points: use --model=points"),
    (["--members_per_call=-1"], "--members_per_call=-1 must be a number above 0, or auto"),
    (["--b1=0.9", "--grid=b1=0,0.5"], "--b1 is in --grid already"),
  ],
)
def test_bad_input_gives_one_line(tmp_path, capsys, flags, message):
  given = FLAGS if flags[0].startswith("--losses") else ONE_LOSS
  assert command.main(["sweep", f"--workdir={tmp_path}", *given, *flags]) == 2
  printed = capsys.readouterr().err
  told = printed.removeprefix("--losses=minimax is another name of sat\n")
  assert message in told and told.startswith("error: ") and told.count("\n") == 1


@pytest.mark.cluster
def test_a_killed_sweep_goes_on_to_the_same_bits(tmp_path):
  flags = [*FLAGS, "--steps=300", "--checkpoint_every=50", "--eval_every=150", "--log_every=10"]
  line = [sys.executable, "-m", "experiments.sweep", *flags, "--losses=nonsat,sat"]
  environment = os.environ | {"JAX_PLATFORMS": "cpu"}

  def start(folder):
    return subprocess.Popen(
      [*line, f"--workdir={folder}"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )

  killed, unbroken = start(tmp_path / "killed"), start(tmp_path / "unbroken")
  mark = tmp_path / "killed" / "members" / "nonsat,seed=0" / "checkpoints" / "100"
  while not mark.exists() and killed.poll() is None:
    time.sleep(0.02)
  killed.kill()
  assert killed.wait() == -signal.SIGKILL, "it ended before it was killed"
  assert start(tmp_path / "killed").wait() == 0 and unbroken.wait() == 0
  assert_same_sweeps(tmp_path / "killed", tmp_path / "unbroken")
