"""Studies of two phases: what of them is read, what is said, and how the search flatters."""

import csv
import io

import numpy as np
import pytest
from fake_studies import write_run, write_study

from gan.report import confirmation, figures, plots, searches, studies, study_figures, table, words
from gan.report.analysis import analyse
from gan.report.study import load
from gan.training.run_folder import write_json

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
  assert confirmed.study.varied == () and confirmed.study.own == ("b1", "generator_learning_rate")
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
  assert found["rows"][1]["cells"] == ["wgan", "0.3", "0.001", 4, 0, "2", "4.1", 3]


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
  assert confirmed.palette == ["nonsat", "wgan"]  # a colour each, in both phases
  write_study(tmp_path / "c", SEARCHED, {})
  assert studies.load(tmp_path / "c")[0] is None


# Figures.


def drawn(figure):
  """The panels of a figure in which something is drawn."""
  return [axes for axes in plots.render(figure).axes if axes.lines or axes.collections]


def test_the_figures_of_a_study_are_of_both_its_phases(study):
  names = [drawing.name for drawing in figures.drawings(study[0])]
  searched = ["selection", "budget", "distribution", "profile", "improvement", "ranks", "map"]
  assert [name for name in names if name.startswith("search_")] == [
    f"search_{it}" for it in searched
  ]
  assert "sensitivity_b1" in names and "metric_by_step" in names
  caption = next(it.caption for it in figures.drawings(study[0]) if it.name == "search_selection")
  assert caption.endswith("less the best of the search: nonsat 0.3, wgan 2.1.")


def test_what_choosing_flatters_is_drawn_mark_by_mark(study, tmp_path):
  confirmed, search = study
  best = confirmation.selected(search)[1].outcomes[0].run.folder / "reevaluation.json"
  record = {"step": 40, "eval_seed": 7, "eval_samples": 500, "frechet_distance": 2.7}
  write_json(best, record)
  (axes,) = drawn(lambda: study_figures.selection(confirmed, plots.WIDE))
  marks = {(line.get_marker(), *map(float, line.get_xdata())) for line in axes.lines}
  assert {("D", 3.0), ("D", 2.0), ("s", 2.7), ("o", 3.5, 3.1, 3.3), ("o", 4.0, 4.4, 4.1)} <= marks
  write_json(best, record | {"step": 20})
  assert confirmation.evaluated_again(confirmation.selected(search)[1]) is None  # not its last


def test_the_map_has_a_panel_a_loss_with_crosses_where_runs_diverged(tmp_path):
  write_study(tmp_path, SEARCHED, {}, lost=("wgan", (3,)))
  _, search = studies.load(tmp_path)
  fields = study_figures.map_fields(search)
  assert fields == ("generator_learning_rate", "b1")  # two decades and less than one
  first, second = drawn(lambda: study_figures.divergence_map(search, fields, plots.NARROW))[:2]
  (cross,), (points,) = second.lines, second.collections
  assert (list(cross.get_xdata()), list(cross.get_ydata())) == ([1e-2], [0.8])
  np.testing.assert_allclose(points.get_array(), [7, 2, 6])  # in the order of b1
  np.testing.assert_allclose(first.collections[0].get_array(), [3, 4, 5, 9])
  assert first.get_xscale() == "log"


def test_fields_that_were_drawn_as_one_make_no_map(tmp_path):
  for sample, (rate, end) in enumerate(zip((1e-4, 1e-3, 1e-2), (1.0, 2.0, 3.0), strict=True)):
    write_run(
      tmp_path / f"nonsat,sample={sample},seed=0",
      values={"frechet_distance": [end]},
      pictures=False,
      generator_learning_rate=rate,
      discriminator_learning_rate=rate,
      discriminator_steps=sample + 1,
    )
  search = analyse(load([tmp_path]))
  assert len(search.study.varied) == 3 and study_figures.map_fields(search) is None


def test_what_real_data_score_is_a_dashed_line_of_every_figure_of_the_metric(tmp_path):
  write_study(tmp_path, SEARCHED, CONFIRMED)
  real = {"eval_samples": 500, "held_out_samples": 300, "extractor": None, "frechet_distance": 1.5}
  for phase in ("search", "confirm"):
    write_json(tmp_path / phase / "real_data.json", real)
  found = figures.drawings(studies.load(tmp_path)[0])
  marked = {
    drawing.name
    for drawing in found
    for axes in drawn(lambda draw=drawing.draw: draw(plots.WIDE))
    if "real data" in {text.get_text() for text in axes.texts}
  }
  curves = {f"metric_by_{unit}" for unit in ("step", "images", "seconds")}
  searched = {f"search_{name}" for name in ("selection", "budget", "distribution")}
  fields = {"sensitivity_b1", "sensitivity_generator_learning_rate"}
  assert marked == curves | searched | fields | {"last_and_best"}
  assert "300 of the test split in the place of samples, fewer than the 500" in found[0].caption
