"""experiments.study and experiments.best: three phases, that go on and grow, on a tiny ring."""

import contextlib
import csv
import dataclasses
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

import jax
import pytest
from conftest import ROOT
from interrupting import interrupt_at

from experiments import best
from experiments.cli.command_line import flags_of, given
from experiments.cli.common import ConfigCommand, starting_point
from experiments.mnist import DEFAULTS as MNIST
from experiments.ring import DEFAULTS
from experiments.study import __main__ as command
from experiments.study import budget
from gan import datasets
from gan.errors import UserError
from gan.metrics.evaluator import make_evaluator
from gan.report import figures
from gan.sweeps import plan as planning
from gan.sweeps import study, trainer
from gan.training import restore
from gan.training.presets import PRESETS
from gan.training.restore import recorded_config
from gan.training.run_folder import EVALUATIONS, plain, read_metrics

FLAGS = ["--experiment=ring", "--split=train[:200]", "--width=8", "--latent_dim=2"]
FLAGS += ["--batch_size=6", "--steps=4", "--eval_every=2", "--eval_samples=50"]
# Each run by the program of a run alone, so that studies of other sizes have the same bits.
FLAGS += ["--checkpoint_every=2", "--log_every=2", "--members_per_call=1"]
ASKED = ["--losses=sat,nonsat", "--samples=3", "--seeds=2"]


def run(folder, *flags):
  """(exit code, what was printed) of a study whose page has no figures; no step is measured."""
  printed = io.StringIO()
  with (
    pytest.MonkeyPatch.context() as patch,
    contextlib.redirect_stdout(printed),
    contextlib.redirect_stderr(printed),
  ):
    patch.setattr(figures, "drawings", lambda *args, **kwargs: [])
    patch.setattr(planning, "_measure", lambda *args: planning.Cost(1.0, 1, 1.0))
    code = command.main(["study", *FLAGS, *flags, f"--workdir={folder}"])
  return code, printed.getvalue()


def names(folder):
  return sorted(path.name for path in (folder / "members").iterdir())


def chosen(folder):
  """{loss: the name of its best setting}"""
  found = study.best_settings(folder / "search", study.metric_of(folder / "search"))
  return {label: each.setting for label, each in found.items()}


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
  """(folder, what was printed) of a study that was never interrupted; to be read only."""
  folder = tmp_path_factory.mktemp("study")
  code, printed = run(folder, *ASKED)
  assert code == 0
  return folder, printed


def test_a_study_searches_and_confirms_with_seeds_of_its_own(studied):
  folder, printed = studied
  assert "Search: 6 runs, 2 programs" in printed
  assert "Confirmation: 4 runs, 2 programs at most" in printed
  losses, settings = ("nonsat", "sat"), chosen(folder)
  assert names(folder / "search") == [f"{n},sample={i},seed=0" for n in losses for i in range(3)]
  assert names(folder / "confirm") == [f"{settings[n]},seed={s}" for n in losses for s in (1, 2)]
  for name in losses:
    searched, confirmed = (
      recorded_config(folder / phase / "members" / f"{settings[name]},seed={seed}")
      for phase, seed in (("search", 0), ("confirm", 2))
    )
    assert confirmed == dataclasses.replace(searched, seed=2)
  rows = csv.DictReader((folder / "summary.csv").read_text().splitlines())
  assert {row["phase"] for row in rows} == {"search", "confirmation"}


def test_the_chosen_runs_are_measured_again_by_other_samples(studied):
  search = studied[0] / "search"
  metric = study.metric_of(search)
  best = list(study.best_settings(search, metric).values())
  runs = [search / "members" / each.runs[0] for each in best]
  assert sorted(runs) == sorted(path.parent for path in search.rglob("reevaluation.json"))
  data = datasets.load("ring", "train[:200]")
  for each, folder in zip(best, runs, strict=True):
    again, own = study.read_reevaluation(folder), read_metrics(folder, EVALUATIONS)[-1]
    alike = ("step", "eval_samples", "reference_samples", "extractor", "split")
    assert {name: again[name] for name in alike} == {name: own[name] for name in alike}
    assert again["eval_seed"] == 2**31 and own["eval_seed"] == 0
    evaluator, _ = make_evaluator(data, "train[:200]", 50, 2**31)
    by_hand = evaluator(restore.load(folder).sample(50, jax.random.key(2**31)))
    assert again == {"step": each.step} | {name: plain(it) for name, it in by_hand.items()}


def test_a_dry_run_prints_both_phases_and_the_hours_of_all_losses(tmp_path):
  code, printed = run(tmp_path / "study", *ASKED, "--budget=2h", "--dry_run")
  assert code == 0 and "Search: 6 runs" in printed and "Confirmation: 4 runs" in printed
  assert "Ends after 4 h, 2h for each loss" in printed
  assert not (tmp_path / "study").exists()


def test_the_same_command_trains_nothing_again(studied, monkeypatch):
  folder, _ = studied
  before = (folder / "summary.csv").read_bytes()
  monkeypatch.setattr(trainer, "train", lambda *args: pytest.fail("it trained"))
  assert run(folder, *ASKED)[0] == 0
  assert (folder / "summary.csv").read_bytes() == before


def test_a_study_interrupted_in_each_phase_and_extended_is_the_study_made_at_once(
  studied, tmp_path, monkeypatch
):
  # One call makes the two steps of the two samples of a loss, on two devices.
  small = ["--losses=sat,nonsat", "--samples=2", "--seeds=1", "--steps=2"]
  with monkeypatch.context() as patch:
    interrupt_at(patch, 2)
    code, printed = run(tmp_path, *small)
    assert code == 130 and "The same command continues from there." in printed
    assert not (tmp_path / "confirm").exists()
  with monkeypatch.context() as patch:
    interrupt_at(patch, 4)
    code, printed = run(tmp_path, *small)
    assert code == 130 and (tmp_path / "confirm" / "sweep.json").exists()
  assert run(tmp_path, *ASKED)[0] == 0
  assert names(tmp_path / "confirm") == names(studied[0] / "confirm")
  assert (tmp_path / "summary.csv").read_bytes() == (studied[0] / "summary.csv").read_bytes()
  code, printed = run(tmp_path, *small)
  assert code == 2 and "samples: 3 there, 2 here; seeds: 2 there, 1 here" in printed


@pytest.mark.slow
def test_a_halved_study_interrupted_at_a_rung_is_the_one_made_at_once(tmp_path, monkeypatch):
  # Of three settings two go on from step 2, one from step 4; a third is stopped at each.
  halved = ["--losses=nonsat", "--samples=3", "--seeds=1", "--steps=8", "--halving=2"]
  code, printed = run(tmp_path / "whole", *halved)
  assert code == 0 and "goes on from step 2, 4: at most 58 % of all steps" in printed
  assert "1 of 3 runs finished, 0 diverged, 2 stopped" in printed
  with monkeypatch.context() as patch:
    interrupt_at(patch, 4)
    assert run(tmp_path / "cut", *halved)[0] == 130
  assert run(tmp_path / "cut", *halved)[0] == 0
  whole, cut = (tmp_path / name / "summary.csv" for name in ("whole", "cut"))
  assert cut.read_bytes() == whole.read_bytes()
  assert chosen(tmp_path / "cut") == chosen(tmp_path / "whole")


def test_a_loss_without_a_finite_setting_is_said_and_the_study_goes_on(
  studied, tmp_path, monkeypatch
):
  folder = shutil.copytree(studied[0], tmp_path / "copy")
  # All settings of sat diverged.
  for path in (folder / "search" / "members").glob("sat,*"):
    summary = json.loads((path / "summary.json").read_text())
    (path / "summary.json").write_text(
      json.dumps(summary | {"status": "diverged at step 1", "step": 1})
    )
  code, printed = run(folder, *ASKED)
  assert code == 0 and "sat: no setting has a finite" in printed
  assert all(name.startswith("nonsat,") for name in names(folder / "confirm"))


def test_best_prints_the_command_of_the_very_config(studied, capsys):
  folder, _ = studied
  assert best.main(["best", f"--workdir={folder}"]) == 0
  lines = capsys.readouterr().out.splitlines()
  for label, setting in chosen(folder).items():
    (at,) = (i for i, line in enumerate(lines) if line.startswith(f"{setting}: "))
    assert "by the search (seed 0)" in lines[at] and "(seed 2)" in lines[at]
    words = shlex.split(lines[at + 1])
    assert words[:4] == ["python", "-m", "experiments.ring", f"--loss={label}"]
    shown = ConfigCommand("")
    shown.add_config(DEFAULTS)
    assert shown.values(["command", *words[3:]])[1:] == []
    trained = recorded_config(folder / "search" / "members" / f"{setting},seed=0")
    assert dataclasses.replace(shown.config(DEFAULTS), parallel="none") == trained


def test_best_of_a_sweep_has_no_confirmation(studied, capsys):
  assert best.main(["best", f"--workdir={studied[0] / 'search'}"]) == 0
  assert capsys.readouterr().out.count("by the search (seed 0), not confirmed yet") == 2


def test_a_flag_is_found_in_a_command_that_was_typed():
  line = "python -m experiments.study --data_dir '/a b' --data_dir=c --losses=sat"
  assert given(line, "data_dir") == ["/a b", "c"]
  assert given(line, "data") == given(line, "plugin") == []


@pytest.mark.parametrize("preset", [None, *PRESETS])
def test_a_config_read_back_from_its_command_line_is_the_same(preset):
  model = PRESETS[preset]["model"] if preset else "dcgan"
  start = starting_point(MNIST, preset, model)
  config = dataclasses.replace(start, dataset="digits", b1=0.25, conditional=True)
  shown = ConfigCommand("")
  shown.add_config(MNIST)
  assert shown.values(["command", *flags_of(config, MNIST, preset)])[1:] == []
  assert shown.config(MNIST) == config


def test_a_budget_is_runs_or_images_or_hours_of_each_loss():
  assert budget.read("96runs").runs == 96 and budget.read("2h").seconds == 7200
  assert budget.read("1.5Mimages").images == 1_500_000
  # Draws with k = 1, 5, 1, 5 see 100, 500, 100, 500 images: 700 are enough for three.
  points = [{}, *[{"discriminator_steps": k} for k in (5, 1, 5) * 100]]

  def images(point):
    return 100 * point.get("discriminator_steps", 1)

  def samples(text):
    return budget.samples_within(budget.read(text), lambda count: points[:count], images)

  assert samples("700images") == samples("1199images") == 3 and samples("1200images") == 4
  assert samples("12runs") == 12
  with pytest.raises(UserError, match="below one run of each loss, which sees 100 images"):
    samples("99images")


@pytest.mark.parametrize(
  ("flags", "message"),
  [
    (["--budget=96"], "--budget=96 is no budget of a loss: give a number with its unit"),
    (["--budget=0runs"], "--budget=0runs is below one run of each loss"),
    (["--budget=23images"], "--budget=23images is below one run of each loss, which sees 24"),
    (["--budget=3runs", "--samples=3"], "--samples and --budget=3runs: give one of them"),
    (["--budget=99images", "--sampler=grid"], "--budget=99images is known before the search for"),
    (["--metric=rain"], "--metric=rain has no direction, or is unknown"),
    (["--seeds=0"], "--seeds=0 must be above 0"),
    (["--space=b1=log:0:0.9"], "has no logarithm at 0.0"),
    (["--losses=sat,sat"], "--losses has one loss twice"),
  ],
)
def test_what_cannot_be_is_refused_in_one_line(flags, message, tmp_path, capsys):
  assert command.main(["study", *FLAGS, f"--workdir={tmp_path}", *flags]) == 2
  printed = capsys.readouterr().err
  assert message in printed and printed.startswith("error: ") and printed.count("\n") == 1


def test_a_folder_without_a_search_has_no_best(tmp_path, capsys):
  for flags, message in [([], "--workdir is missing"), ([f"--workdir={tmp_path}"], "holds no")]:
    assert best.main(["best", *flags]) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1


@pytest.mark.cluster
@pytest.mark.parametrize(
  ("flags", "places"),
  [
    ([], [("search", 100), ("confirm", 100)]),
    (["--halving=2"], [("search", 50), ("search", 150)]),  # on either side of the rung at 100
  ],
)
def test_a_study_killed_in_each_phase_has_the_same_summary(tmp_path, flags, places):
  longer = ["--steps=200", "--eval_every=100", "--checkpoint_every=50", "--log_every=50"]
  line = [sys.executable, "-m", "experiments.study", *FLAGS, *ASKED, *longer, *flags]
  environment = os.environ | {"JAX_PLATFORMS": "cpu"}

  def start(folder):
    return subprocess.Popen(
      [*line, f"--workdir={tmp_path / folder}"],
      cwd=ROOT,
      env=environment,
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
    )

  for phase, step in places:
    killed = start("killed")
    while not list((tmp_path / "killed" / phase).glob(f"members/*/checkpoints/{step}")):
      assert killed.poll() is None, "it ended before it was killed"
      time.sleep(0.02)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
  assert start("killed").wait() == 0 and start("unbroken").wait() == 0
  summaries = [tmp_path / folder / "summary.csv" for folder in ("killed", "unbroken")]
  assert len({path.read_bytes() for path in summaries}) == 1
