"""The study of few data: its plan, that nothing is made twice, its tests by hand, its page."""

import csv
import dataclasses
import json
import signal
import threading
import time

import numpy as np
import pytest
from fake_studies import write_run
from PIL import Image

from experiments.cli.deadline import interrupted_after
from experiments.small_data import __main__ as command
from experiments.small_data import arms, memorised, page, results, training, words
from experiments.small_data.arms import ARMS, Cell
from gan.datasets import Dataset
from gan.errors import UserError
from gan.metrics.best import better
from gan.metrics.memorisation import Memorisation
from gan.report import statistics
from gan.training.config import Config
from gan.training.parts import identity
from gan.training.run_folder import RUNS_FOLDER, write_json

TINY = Config(
  dataset="digits",
  model="mlp",
  latent_dim=4,
  batch_size=8,
  steps=4,
  log_every=2,
  eval_every=2,
  eval_samples=50,
  reference_split="train",
  heldout="test",
)
RATIO = {"step": 40, "ratio": 0.5, "samples": 1000, "held_out": 1000, "extractor": "none"}


@pytest.fixture(autouse=True)
def digits(monkeypatch, programs_of_the_tests):
  """A study of a moment, on data that need no files."""
  monkeypatch.setattr(arms, "QUICK", {"digits": arms.Source(TINY, 1500)})


def run(outdir, *flags):
  return command.main(["small_data", "--quick", f"--outdir={outdir}", *flags])


def write_cell(outdir, cell, values, judged=False):
  """Writes finished runs: {arm: [the distances of each seed]}."""
  for arm, seeds in values.items():
    for seed, distances in enumerate(seeds):
      folder = cell.run(outdir, arm, seed)
      found = {"frechet_distance": distances}
      if judged:
        found |= {f"discriminator_accuracy_{kind}": [0.6] * 4 for kind in ("train", "held_out")}
      write_run(folder, seed=seed, values=found, **ARMS[arm].fields)
      write_json(folder / memorised.RECORD, RATIO)
      Image.new("L", (80, 16)).save(folder / memorised.PICTURE)
  counts = {"examples": 600, "classes": [60] * 9 + [59]}
  write_json(cell.folder(outdir) / training.FACTS, counts)


# The plan.


@pytest.mark.parametrize("form", [arms.FULL, {"mnist": arms.Source(TINY, 60_000)}])
def test_every_arm_has_its_seeds_on_every_share_and_is_measured_against_all_data(form, tmp_path):
  cells = [Cell(name, share) for name in form for share in arms.SHARES]
  work = training.tasks(form, cells, ARMS, 3, tmp_path)
  assert [(task.cell, task.arm) for task in work] == [(c, a) for c in cells for a in ARMS]
  configs = [trial.config for task in work for trial in task.trials]
  assert len({json.dumps(identity(config), sort_keys=True) for config in configs}) == len(configs)
  assert {(config.reference_split, config.heldout) for config in configs} == {("train", "test")}
  assert [config.seed for config in configs[:3]] == [0, 1, 2]
  splits = [task.trials[0].config.split for task in work[:: len(ARMS)][:3]]
  assert splits == ["train[:600]", "train[:6000]", "train"]
  assert len({trial.name for task in work for trial in task.trials}) == 3 * len(ARMS)


def test_runs_of_the_arm_without_a_means_are_those_of_the_source():
  (trial,) = arms.trials({"digits": arms.Source(TINY, 1500)}, Cell("digits", 100), arms.NONE, 1)
  assert trial.config == TINY


# What is trained.


@pytest.fixture
def fake_training(monkeypatch):
  """Sweeps that leave their runs in a moment; the list of those that were made."""
  made = []

  def fit(plan, folder, say):
    made.append(folder)
    for trial in plan:
      fields = {
        name: v for name, v in identity(trial.config).items() if name not in ("loss", "seed")
      }
      path = folder / RUNS_FOLDER / trial.name
      write_run(path, seed=trial.config.seed, level=5.0, **fields)

  monkeypatch.setattr(training, "make_plan", lambda trials, *args, **options: trials)
  monkeypatch.setattr(training.local, "fit", fit)
  monkeypatch.setattr(
    memorised, "measure", lambda run, *data: write_json(run / memorised.RECORD, RATIO)
  )
  return made


def test_what_is_there_is_not_trained_again_and_the_rest_is(tmp_path, fake_training, monkeypatch):
  monkeypatch.setattr("gan.system.progress.LINES_EVERY", 0)
  monkeypatch.setattr(command, "_show", lambda *where: None)
  assert run(tmp_path, "--shares=10", "--arms=none", "--seeds=2") == 0
  assert fake_training == [tmp_path / "digits/10_percent/none"]
  assert run(tmp_path, "--shares=1,10", "--arms=none", "--seeds=2") == 0
  assert fake_training[1:] == [tmp_path / "digits/1_percent/none"]
  assert run(tmp_path, "--shares=1,10", "--arms=none", "--seeds=2") == 0
  assert len(fake_training) == 2
  facts = json.loads((tmp_path / "digits/10_percent" / training.FACTS).read_text())
  assert facts["examples"] == sum(facts["classes"]) == 150


def test_runs_of_another_study_in_the_folder_are_refused(
  tmp_path, fake_training, monkeypatch, capsys
):
  monkeypatch.setattr(command, "_show", lambda *where: None)
  flags = ("--shares=10", "--arms=none", "--seeds=1")
  assert run(tmp_path, *flags) == 0
  other = dataclasses.replace(TINY, batch_size=16)
  monkeypatch.setitem(arms.QUICK, "digits", arms.Source(other, 1500))
  capsys.readouterr()
  assert run(tmp_path, *flags) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert "is of another study (batch_size: 8 there, 16 here)" in line


def test_shares_of_a_part_are_refused(tmp_path, fake_training, monkeypatch, capsys):
  monkeypatch.setitem(arms.QUICK, "digits", arms.Source(TINY, 60_000))
  assert run(tmp_path) == 2 and not fake_training
  (line,) = capsys.readouterr().err.splitlines()
  assert "holds 1,500 training images of digits, and the shares of the study are of all 60," in line


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN])
def test_minutes_end_a_piece_as_ctrl_c_does(handler):
  before = signal.signal(signal.SIGINT, handler)
  try:
    with pytest.raises(KeyboardInterrupt), interrupted_after(0.06):
      time.sleep(10)
    assert signal.getsignal(signal.SIGINT) is handler
  finally:
    signal.signal(signal.SIGINT, before)


def test_more_minutes_than_a_timer_holds_end_no_piece(monkeypatch):
  failed = []
  monkeypatch.setattr(threading, "excepthook", failed.append)
  with interrupted_after(60.0 * 2**32):
    time.sleep(0.1)
  assert not failed


def test_a_signal_ends_the_piece_and_says_how_to_go_on(
  tmp_path, fake_training, monkeypatch, capsys
):
  fit = training.local.fit

  def interrupted(*args, **options):
    fit(*args, **options)
    signal.raise_signal(signal.SIGINT)

  monkeypatch.setattr(training.local, "fit", interrupted)
  assert run(tmp_path, "--shares=10", "--seeds=1") == 130
  assert len(fake_training) == 1
  told = capsys.readouterr()
  assert f"1 of {len(ARMS)} runs are at their end; the same command goes on" in told.err
  assert "digits, 10 %  none" in told.out
  assert (tmp_path / "report.html").is_file()


@pytest.mark.parametrize(
  ("flag", "told"),
  [
    ("--datasets=mnist", "--datasets=mnist is unknown: choose from digits of the quick study"),
    ("--shares=2", "--shares=2 is unknown: choose from 1, 10, 100, or all"),
    ("--arms=both", "--arms=both is unknown: choose from none, "),
    ("--seeds=0", "--seeds=0 must be above 0"),
    ("--minutes=0", "--minutes=0 must be above 0"),
  ],
)
def test_bad_input_is_one_line(tmp_path, flag, told, capsys):
  assert run(tmp_path / "new", flag) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert told in line and not (tmp_path / "new").exists()


# What is found.

RISING = [[9.0, 2.0, 4.0, 8.0], [9.0, 3.0, 2.0, 9.0], [9.0, 1.0, 5.0, 11.0]]
FLAT = [[9.0, 5.0, 4.0, 3.0], [9.0, 5.0, 4.0, 3.5], [9.0, 6.0, 5.0, 4.5]]


@pytest.fixture
def few(tmp_path):
  """A cell on which one arm rises again and the other does not."""
  write_cell(tmp_path, Cell("digits", 1), {"none": RISING, "lecam": FLAT}, judged=True)
  return results.load([Cell("digits", 1), Cell("digits", 10)], tmp_path)


def test_the_best_step_is_that_of_the_other_seeds(few):
  (result,) = few
  # Means of the others at the second step and at the third: 2, 3.5; 1.5, 4.5; 2.5, 3.
  expected = {(0,): 2.0, (1,): 3.0, (2,): 1.0}
  assert results.at_best_of_others(result.row("none")) == expected
  assert results.at_best_of_others(result.row("lecam")) == result.last("lecam")


def test_claims_are_paired_by_seed_and_corrected_together(few):
  rise, beside = results.claims(few)
  assert (rise.arm, beside.arm) == ("none", "lecam")
  assert rise.comparison.difference == pytest.approx((6 + 6 + 10) / 3)
  assert beside.comparison.difference == pytest.approx((-5 - 5.5 - 6.5) / 3)
  p_values = [claim.comparison.p_value for claim in (rise, beside)]
  assert [claim.comparison.adjusted for claim in (rise, beside)] == statistics.holm(p_values)


def test_the_head_of_the_page_claims_what_survives_and_nothing_else(few, tmp_path):
  said = words.findings(few, results.claims(few))
  # t of the rise is 22 / 4 = 5.5 and that of the arm 12.85, with two degrees of freedom.
  assert [claim.comparison.survives for claim in results.claims(few)] == [True, True]
  assert "2 at its best and 9 at step 40 (3 seeds)" in said[0]
  assert said[0].endswith("+7.33, survives the correction.")
  assert said[1].startswith("1 of 1 differences to none in the last frechet distance survives")
  noisy = [[9.0, 2.0, 2.0, 2.1], [9.0, 2.0, 2.0, 4.0], [9.0, 2.0, 2.0, 1.9]]
  write_cell(tmp_path / "noise", Cell("digits", 1), {"none": noisy, "lecam": FLAT})
  few = results.load([Cell("digits", 1)], tmp_path / "noise")
  said = words.findings(few, results.claims(few))
  assert "does not survive" in said[0] and said[1].startswith("Of 1 differences to none")


def test_the_page_is_one_file_with_figures_pairs_and_a_table(few, tmp_path):
  page.write(few, tmp_path, lambda line: None)
  text = (tmp_path / "report.html").read_text()
  assert "Differences that were tested" in text and "59 to 60 of a class" in text
  assert text.count('alt="Samples of') == 2 and "http" not in text.split("</style>")[1]
  names = {path.stem for path in (tmp_path / "figures").glob("*.svg")}
  kinds = ("metric_by_step", "last_and_best", "discriminator")
  assert names == {f"digits_{kind}" for kind in kinds}
  with open(tmp_path / "summary.csv", newline="") as file:
    none, lecam = csv.DictReader(file)
  assert (none["arm"], lecam["arm"]) == ("none", "lecam")
  assert (none["best_median"], none["last_median"], none["nearest"]) == ("2", "9", "0.5")
  assert better(results.METRIC) == "lower"


def test_runs_of_an_arm_that_is_not_known_are_refused(few, tmp_path):
  write_run(tmp_path / "digits/1_percent/spells/members/spells-seed=0", width=3)
  with pytest.raises(UserError, match="is of an arm spells that is none of the study's, none, "):
    results.load([Cell("digits", 1)], tmp_path)


def test_the_picture_has_the_nearest_sample_of_each_class_above_its_neighbour():
  train, fakes = (np.full((n, 1, 1, 1), 1, np.uint8).cumsum(0, np.uint8) for n in (4, 3))
  labels = np.array([0, 0, 1, 1], np.int32)
  found = Memorisation(1.0, np.array([3.0, 1.0, 2.0]), np.array([0, 1, 3]))
  dataset = Dataset("numbers", 10 * train, labels, 2, "made here")
  assert np.asarray(memorised._picture(dataset, fakes, found)).tolist() == [[2, 3], [20, 40]]


@pytest.mark.slow
def test_a_tiny_study_from_the_command_to_the_page(tmp_path, capsys):
  flags = ("--shares=10", "--seeds=1", "--arms=none,lecam")
  assert run(tmp_path, *flags) == 0
  for arm in ("none", "lecam"):
    folder = Cell("digits", 10).run(tmp_path, arm, 0)
    assert memorised.read(folder)["step"] == 4
    with Image.open(folder / memorised.PICTURE) as picture:
      assert picture.size[0] % 28 == 0 and picture.size[1] == 2 * 28
  (result,) = results.load([Cell("digits", 10)], tmp_path)
  assert result.judged == results.JUDGED[0] and result.arms == ["none", "lecam"]
  capsys.readouterr()
  assert run(tmp_path, *flags) == 0
  assert "digits, 10 %: " not in capsys.readouterr().err  # a line of each sweep that is trained
