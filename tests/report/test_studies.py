"""Studies of two phases: what of them is read, what is said, and how the search flatters."""

import csv
import io

import pytest
from fake_studies import write_study

from gan.report import confirmation, searches, studies, table, words

# By sample: the search's value of each setting; seeds 1 to 3 of the confirmation of the best.
SEARCHED = {"nonsat": (5.0, 3.0, 4.0, 9.0), "wgan": (6.0, 7.0, 2.0, 8.0)}
CONFIRMED = {"nonsat": (3.5, 3.1, 3.3), "wgan": (4.0, 4.4, 4.1)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """A study; a setting that a longer search has overtaken was confirmed before."""
  path = tmp_path_factory.mktemp("study")
  write_study(path, SEARCHED, CONFIRMED, overtaken={"nonsat": 2})
  return path


@pytest.fixture(scope="module")
def study(folder):
  return studies.load(folder)


def test_the_confirmation_has_each_loss_in_its_own_setting(study):
  confirmed, search = study
  assert confirmed.study.varied == () and confirmed.study.own == ("generator_learning_rate",)
  assert len(confirmed.study.runs) == 6  # the overtaken setting is not among them
  samples = {row.loss: searches.sample_of(row) for row in confirmed.headline}
  assert samples == {"nonsat": 1, "wgan": 2}
  assert confirmed.ranking == ["nonsat", "wgan"]  # the search has them the other way round
  assert len(search.headline) == 8 and confirmed.search is search


def test_losses_are_compared_by_the_seeds_of_the_confirmation_alone(study):
  (found,) = study[0].comparisons
  assert found.count == 3
  assert found.difference == pytest.approx((3.5 + 3.1 + 3.3 - 4.0 - 4.4 - 4.1) / 3)


def test_optimism_is_the_confirmation_above_the_best_of_the_search(study):
  assert confirmation.optimism(study[0]) == pytest.approx({"nonsat": 0.3, "wgan": 2.1})


def test_the_head_says_how_settings_were_chosen(study):
  said = words.findings(study[0])
  assert said[-1].startswith(
    "Each loss stands in the best of its 4 settings by the search, trained again with 3 fresh seeds"
  )
  assert "best is" not in " ".join(said) and "(over all settings" not in " ".join(said)
  assert "runs of the same seed paired, each loss in its own setting." in words.method(study[0])
  facts = dict(words.facts(study[0]))
  assert facts["Seeds"] == ["confirmation 1, 2, 3", "search 0"]


def test_the_table_of_settings_has_both_values(study):
  found = confirmation.settings(study[0])
  assert found["rows"][1]["cells"] == ["wgan", "0.001", 4, 0, "2", "4.1", 3]


def test_the_summary_names_the_phase_of_each_row(study):
  rows = list(csv.DictReader(io.StringIO(table.to_csv(study[0]))))
  assert [row["phase"] for row in rows] == ["confirmation"] * 2 + ["search"] * 8
  wgan = rows[1]
  assert (wgan["loss"], wgan["generator_learning_rate"], wgan["seeds"]) == ("wgan", "0.001", "3")
  chosen = [row["loss"] for row in rows[2:] if row["chosen"] == "yes"]
  assert chosen == ["nonsat", "wgan"]


def test_a_loss_without_a_value_is_said_and_one_in_waiting_too(tmp_path):
  lost = ("wgan", (0, 1, 2, 3))
  write_study(tmp_path, SEARCHED, {"nonsat": (3.5,)}, lost=lost)
  confirmed, search = studies.load(tmp_path)
  assert confirmed.study.losses == ["nonsat"] and len(search.study.losses) == 2
  assert "No setting of wgan has a value from a run that did not diverge." in words.notes(confirmed)
  write_study(tmp_path / "b", SEARCHED, {"nonsat": (3.5,)})
  confirmed, _ = studies.load(tmp_path / "b")
  assert "The best setting of wgan is not confirmed yet." in words.notes(confirmed)
  write_study(tmp_path / "c", SEARCHED, {})
  assert studies.load(tmp_path / "c")[0] is None
