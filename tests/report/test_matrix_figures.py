"""Losses crossed with one static choice, and losses with a penalty of their own."""

import itertools
import re

import pytest
from fake_studies import write_run

from gan.report import docs_page, figures, matrix_figures, plots, study
from gan.report.analysis import analyse
from gan.training.run_folder import RUNS_FOLDER, SWEEP, write_json

LEVELS = {("sat", "none"): 4.0, ("sat", "r1"): 6.0, ("wgan", "none"): 8.0, ("wgan", "r1"): 1.0}


def write(folder, label, penalty, seed, level, **options):
  """One run whose last coverage is `level` and a seed's tenth of it."""
  values = {"coverage": [level * (1 + seed / 10)]}
  loss = label.partition("+")[0]
  options = {"values": values, "pictures": False, "steps": 10} | options
  write_run(folder, loss, seed, penalty=penalty, **options)


@pytest.fixture(scope="module")
def crossed(tmp_path_factory):
  folder = tmp_path_factory.mktemp("crossed")
  for (loss, penalty), seed in itertools.product(LEVELS, (0, 1, 2)):
    status = "diverged at step 20" if (penalty, seed) == ("r1", 2) else "finished"
    name = f"{loss},{penalty},{seed}"
    write(folder / name, loss, penalty, seed, LEVELS[loss, penalty], status=status)
  return analyse(study.load([folder]))


def test_a_cell_has_the_median_and_range_of_runs_that_did_not_diverge(crossed):
  assert matrix_figures.crossed(crossed) == "penalty"
  assert matrix_figures.metrics(crossed) == ["coverage"]
  figure = plots.render(lambda: matrix_figures.matrix(crossed, "coverage", plots.NARROW))
  (axes,) = figure.axes
  said = [(text.get_position()[0], text.get_text()) for text in axes.texts]
  # Losses by rows, without a penalty first: medians of 4, 4.4, 4.8; 6, 6.6; 8, 8.8, 9.6; 1, 1.1.
  assert said == [
    *((0, "4.4"), (0, "4\N{EN DASH}4.8"), (1, "6.3"), (1, "1 diverged")),
    *((0, "8.8"), (0, "8\N{EN DASH}9.6"), (1, "1.05"), (1, "1 diverged")),
  ]
  assert [tick.get_text() for tick in axes.get_xticklabels()] == ["none", "r1"]
  assert [tick.get_text() for tick in axes.get_yticklabels()] == ["sat", "wgan"]
  # The best of the medians, 8.8, is the darkest; 1.05 has no colour.
  assert [round(cell.get_alpha(), 3) for cell in axes.collections] == [
    *(round(0.65 * (value - 1.05) / 7.75, 3) for value in (4.4, 6.3, 8.8, 1.05)),
  ]


def test_the_caption_of_a_matrix_says_what_real_data_have(crossed):
  real = {"coverage": 0.96875, "held_out_samples": 300, "eval_samples": 300}
  known = crossed._replace(study=crossed.study._replace(real=real))
  (caption,) = (it.caption for it in figures.drawings(known) if it.name == "matrix_coverage")
  assert caption.endswith("Real data have 0.969: 300 of the test split in the place of samples.")
  assert "Dashed" not in caption


def test_a_field_that_goes_with_the_choice_is_no_second_one(tmp_path):
  clips = {"spectral": 0.0, "none": None}
  for loss, (norm, clip) in itertools.product(("sat", "wgan"), clips.items()):
    options = {"discriminator_norm": norm, "weight_clip": clip}
    write(tmp_path / f"{loss},{norm}", loss, "none", 0, 1.0, **options)
  found = analyse(study.load([tmp_path]))
  assert found.study.varied == ("discriminator_norm", "weight_clip")
  assert matrix_figures.crossed(found) == "discriminator_norm"
  (axes,) = matrix_figures.matrix(found, "coverage", plots.WIDE).axes
  assert [tick.get_text() for tick in axes.get_xticklabels()] == ["none", "spectral"]
  write(tmp_path / "more", "sat", "none", 0, 1.0, discriminator_norm="none", weight_clip=0.0)
  assert matrix_figures.crossed(analyse(study.load([tmp_path]))) is None


def test_curves_are_left_out_where_a_matrix_has_more_losses_than_they_can_show(
  crossed, monkeypatch
):
  names = [drawing.name for drawing in figures.drawings(crossed)]
  assert names[0] == "matrix_coverage"
  assert {"metric_by_step", "sensitivity_penalty"} < set(names)
  monkeypatch.setattr(matrix_figures, "MOST_CURVES", 1)
  names = [drawing.name for drawing in figures.drawings(crossed)]
  assert "matrix_coverage" in names
  assert not {"metric_by_step", "other_metrics", "sensitivity_penalty"} & set(names)


def test_a_page_of_documentation_has_the_numbers_of_the_study_and_its_pictures(crossed, tmp_path):
  (tmp_path / "drawn").mkdir()
  for drawing in figures.drawings(crossed):
    (tmp_path / "drawn" / f"{drawing.name}.png").write_bytes(drawing.name.encode())
  docs_page.write(crossed, tmp_path / "drawn", tmp_path / "study_fake.md", "the command")
  text = (tmp_path / "study_fake.md").read_text().replace("\N{NO-BREAK SPACE}", " ")
  assert text.startswith("# 2 losses on digits\n\nWritten by `the command`")
  # wgan without a penalty: 8, 8.8 and 9.6, whose mean is their IQM.
  assert "| wgan | none | 3 | 0 of 3 | 8.8 | 8 to 9.6 | 8.8 | 8 to 9.6 |" in text
  linked = re.findall(r"\]\((figures/study_fake/(\w+)[.]png)\)", text)
  assert "matrix_coverage" in dict(linked).values()
  assert all((tmp_path / path).read_bytes() == name.encode() for path, name in linked)
  facts = (
    "digits train: 1797 examples, /home/me/my data, mnist train: 9 examples, 8 Gaussians, seed 0"
  )
  assert [docs_page.PLACE.sub("", line) for line in facts.split(", mnist")] == [
    "digits train: 1797 examples",
    " train: 9 examples, 8 Gaussians, seed 0",
  ]


def write_labelled(folder, labels):
  members = []
  for (label, penalty), seed in itertools.product(labels.items(), (0, 1)):
    name = f"{label},seed={seed}"
    write(folder / RUNS_FOLDER / name, label, penalty, seed, 1.0)
    members.append({"name": name} | ({"label": label} if "+" in label else {}))
  write_json(folder / SWEEP, {"members": members})


def test_a_loss_with_a_penalty_of_its_own_is_a_row_paired_by_seed_alone(tmp_path):
  write_labelled(tmp_path / "a", {"wgan": "none", "wgan+wgan_gp": "wgan_gp", "sat+r1": "r1"})
  write_labelled(tmp_path / "b", {"hinge": "none"})
  found = study.load([tmp_path / "a", tmp_path / "b"])
  assert found.losses == ["hinge", "sat+r1", "wgan", "wgan+wgan_gp"]
  assert found.varied == ()
  result = analyse(found)
  assert matrix_figures.crossed(result) is None
  assert len(result.comparisons) == 6 and {each.count for each in result.comparisons} == {2}
