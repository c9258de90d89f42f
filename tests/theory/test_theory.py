"""The theory lab: divergences by quadrature against closed forms, landscapes, the command."""

import json
import math
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from experiments.theory import __main__ as command
from experiments.theory import case, page, perform, registry, style
from experiments.theory.insights import INSIGHTS
from gan.errors import UserError
from gan.losses import make_loss, of_logits
from gan.penalties import PENALTIES
from gan.report import plots
from gan.theory import densities, divergences, games, two_point


@pytest.fixture
def x64():
  with jax.enable_x64(True):
    yield


# Divergences by quadrature, of N(0, 1) and N(1, 4): KL = log 2 + (1 + 1)/8 - 1/2 and so on.


def gaussians(points):
  return (
    densities.density(densities.mixture([1.0], [mean], [standard_deviation]), points)
    for mean, standard_deviation in ((0.0, 1.0), (1.0, 2.0))
  )


KL = math.log(2) + 2 / 8 - 1 / 2
REVERSE_KL = -math.log(2) + (4 + 1) / 2 - 1 / 2
GAUSSIANS = {
  "kl": KL,
  "reverse_kl": REVERSE_KL,
  "jeffrey": KL + REVERSE_KL,
  # int p^2/q - 1 = s2^2/(s1 sqrt(2 s2^2 - s1^2)) exp(m^2/(2 s2^2 - s1^2)) - 1, s2 = 2, m = 1
  "pearson": 4 / math.sqrt(7) * math.exp(1 / 7) - 1,
  # 2 (1 - BC), BC = sqrt(2 s1 s2/(s1^2 + s2^2)) exp(-m^2/(4 (s1^2 + s2^2)))
  "hellinger": 2 * (1 - math.sqrt(4 / 5) * math.exp(-1 / 20)),
}


@pytest.mark.parametrize("name", GAUSSIANS)
def test_quadrature_of_two_gaussians_is_the_closed_form(x64, name):
  points, cell = densities.lattice(-25.0, 25.0, 4001)
  found = divergences.F_DIVERGENCES[name](*gaussians(points), cell)
  np.testing.assert_allclose(found, GAUSSIANS[name], rtol=1e-10)


@pytest.mark.parametrize("name", divergences.F_DIVERGENCES)
def test_every_bound_meets_its_divergence_at_the_optimal_logit(x64, name):
  p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.1, 0.3, 0.6])
  logits = jnp.nan_to_num(divergences.OPTIMAL_LOGITS[name](p / q), posinf=18.0, neginf=-18.0)
  bound = -divergences.expected_loss(make_loss(f"fgan_{name}"), logits, p, q)
  np.testing.assert_allclose(bound, divergences.F_DIVERGENCES[name](p, q), atol=1e-12)


def test_disjoint_pair_has_the_largest_divergences():
  p, q = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])
  np.testing.assert_allclose(divergences.js(p, q), math.log(2), rtol=1e-6)
  np.testing.assert_allclose(divergences.total_variation(p, q), 1.0)
  np.testing.assert_allclose(divergences.optimal_value(p, q), 0.0, atol=1e-6)


def test_optimal_discriminator_of_equal_densities_is_a_half():
  p = jnp.array([0.2, 0.8])
  np.testing.assert_allclose(divergences.optimal_discriminator(p, p), 0.5)
  np.testing.assert_allclose(divergences.optimal_value(p, p), -math.log(4), rtol=1e-6)


def test_minimise_finds_the_minimum_of_a_function_that_is_not_convex_everywhere(x64):
  # Rosenbrock's valley, minimum at (1, 1).
  def function(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2

  np.testing.assert_allclose(divergences.minimise(function, jnp.array([-1.2, 1.0])), 1.0, rtol=1e-8)


def test_mixture_has_unit_mass_and_the_moments_of_its_samples():
  of = densities.mixture([0.25, 0.75], [[-1.0, 0.0], [1.0, 2.0]], [0.5, 1.0])
  points, cell = densities.lattice(-6.0, 8.0, 201, 2)
  heights = densities.density(of, points)
  np.testing.assert_allclose(jnp.sum(heights) * cell, 1.0, rtol=1e-5)
  drawn = densities.samples(of, jax.random.key(0), 20_000)
  np.testing.assert_allclose(drawn.mean(axis=0), [0.5, 1.5], atol=0.05)
  # Second moments: .25 (1 + .25) + .75 (1 + 1), .25 (0 + .25) + .75 (4 + 1).
  np.testing.assert_allclose(jnp.square(drawn).mean(axis=0), [1.8125, 3.8125], rtol=0.03)


def test_bulk_is_the_densest_cells():
  dense = densities.bulk(jnp.array([1.0, 5.0, 3.0, 1.0]), 0.8)
  assert dense.tolist() == [False, True, True, False]


def test_rates_fall_to_zero_along_half_a_cosine():
  gan = games.dirac_gan(1.0, -1.0)
  game = games.make_game(gan, schedule=games.falling_rates(10))
  hyper = games.start(jax.random.key(0), game).hyperparameters
  rates = [game.schedule(hyper, jnp.int32(step)).generator_learning_rate for step in (0, 5, 10)]
  np.testing.assert_allclose(rates, [0.1, 0.05, 0.0], atol=1e-7)


# The landscape of Sun et al.

LANDSCAPE = {
  "none": (0.0, 0.0),
  "matched": (-0.3466, -0.3466),
  "collapsed": (-0.4774, -0.3466),
  "both": (-0.6931, -0.6931),
}


@pytest.mark.parametrize("state", LANDSCAPE)
def test_landscape_has_the_published_values(x64, state):
  places, (js, paired) = two_point.STATES[state], LANDSCAPE[state]
  np.testing.assert_allclose(two_point.js_value(places), js, atol=1e-4)
  np.testing.assert_allclose(two_point.paired_value(places), paired, atol=1e-4)
  np.testing.assert_allclose(two_point.trained_value("sat", places) / 2, js, atol=1e-4)
  np.testing.assert_allclose(two_point.trained_value("rsgan", places), paired, atol=1e-4)


@pytest.mark.parametrize("places", [(1, 0, 0, 3), (1, 2, 3, -1), (1, 2, 0, 0)])
def test_paired_value_counts_the_pairs_on_cycles(x64, places):
  trained = two_point.trained_value("rsgan", places)
  np.testing.assert_allclose(two_point.paired_value(places), trained, atol=1e-6)


@pytest.mark.parametrize("count, expected", [(2, 2), (3, 21)])
def test_suboptimal_minima_are_all_that_do_not_cover_the_data(x64, count, expected):
  assert two_point.local_minima(count) == expected == count**count - math.factorial(count)


# The command.

FRAME = Image.new("RGB", (8, 8))

CHECKS = {
  "good": case.close("two", 2.0, 2.001, absolute=0.01, source="arithmetic"),
  "bad": case.at_most("three", [1.0, 3.0], 2.0, source="arithmetic"),
  "silent": case.reported("four", 4.0),
}


def fake(*names):
  def run(settings):
    """Counts to four.

    By ones.
    """
    records = [{"seed": seed, "value": math.inf} for seed in range(settings.seeds_or(3, 2))]
    films = {"steps": [FRAME, FRAME], "ended": []}
    return case.Result([CHECKS[name] for name in names], {}, records, ["It does."], films)

  return run


def broken(settings):
  """Ends with an error."""
  raise UserError("there is no data set")


def crashed(settings):
  """Ends with a traceback."""
  raise ZeroDivisionError("division by zero")


@pytest.fixture
def lab(tmp_path, monkeypatch):
  """Runs the command on cases of our own; returns `(*flags) -> exit code` and the folder."""
  cases = {"counts": fake("good", "silent"), "broken": broken, "crashed": crashed}
  for name, run in (cases | {"fails": fake("good", "bad")}).items():
    monkeypatch.setitem(registry.CASES, name, run)
  typed = ["theory", f"--outdir={tmp_path}", "--jobs=1"]
  return lambda *flags: command.main([*typed, *flags]), tmp_path


def test_command_prints_ours_beside_the_expected_value(lab, capsys):
  run, folder = lab
  assert run("--case=counts", "--quick") == 0
  lines = capsys.readouterr().out.splitlines()
  assert lines[0].startswith("counts: Counts to four (")
  assert lines[2].split() == ["two", "2", "2.001", "+-", "0.01", "pass"]
  assert lines[3].split() == ["four", "4"]
  lines = (folder / "counts" / "records.jsonl").read_text().splitlines()
  rows = [json.loads(line) for line in lines]
  assert rows == [{"seed": 0, "value": "inf"}, {"seed": 1, "value": "inf"}]
  assert "Counts to four" in (folder / "report.html").read_text()


def test_criterion_that_is_not_met_gives_exit_code_1(lab, capsys):
  run, _ = lab
  assert run("--case=fails") == 1
  assert "FAIL" in capsys.readouterr().out


ERRORS = {"broken": "no data set", "crashed": "ZeroDivisionError"}


@pytest.mark.parametrize("name, words", ERRORS.items())
def test_case_that_ends_with_an_error_does_not_keep_others_from_running(lab, capsys, name, words):
  run, folder = lab
  assert run(f"--case={name},counts", "--seeds=1") == 1
  printed = capsys.readouterr().out
  assert words in printed and "counts: Counts to four" in printed
  assert words in (folder / "report.html").read_text()


def test_unknown_case_lists_the_names_in_one_line(lab, capsys):
  run, _ = lab
  assert run("--case=dirac,diracs") == 2
  lines = capsys.readouterr().err.strip().splitlines()
  assert len(lines) == 1
  assert "diracs" in lines[0] and "two_cluster" in lines[0]


def test_no_seed_is_refused(lab):
  run, _ = lab
  assert run("--case=counts", "--seeds=0") == 2


def told(folder, name):
  lines = (folder / name / "records.jsonl").read_text()
  result = json.loads((folder / name / "result.json").read_text())
  return lines, result["checks"], result["notes"], result["error"], result["figures"]


@pytest.mark.cluster
def test_cases_side_by_side_find_what_they_find_one_after_the_other(tmp_path, capsys):
  names = ("generator_costs", "bilinear")
  for jobs in (1, 2):
    flags = [f"--case={','.join(names)}", "--quick", f"--jobs={jobs}"]
    assert command.main(["theory", f"--outdir={tmp_path / str(jobs)}", *flags]) == 0
    printed = capsys.readouterr().out
    assert all(f"{name}: " in printed for name in names)
  for name in names:
    assert told(tmp_path / "1", name) == told(tmp_path / "2", name)


def die(name, settings):
  os._exit(9)


def test_killed_process_is_told_in_one_line(tmp_path, monkeypatch):
  monkeypatch.setattr(perform, "perform", die)
  with pytest.raises(UserError, match="killed.*--jobs=1"):
    list(perform.each(("dirac", "bilinear"), case.Settings(outdir=tmp_path), jobs=2))


def test_docs_hold_every_case_of_the_folder_and_copies_of_the_pictures(lab, tmp_path):
  run, folder = lab
  assert run("--case=fails") == 1
  page = tmp_path / "docs" / "theory.md"
  assert run("--case=generator_costs,counts", f"--docs={page}") == 0
  text, figures = page.read_text(), page.parent / "figures" / "theory"
  assert (figures / "generator_costs_figure_16.png").exists()
  assert (figures / "counts_steps.gif").exists() and "(figures/theory/counts_steps.gif)" in text
  assert "ended" not in text
  assert "Run with" not in text
  assert "data:image/gif" in (folder / "report.html").read_text()
  assert "| two | 2 | 2.00 +- 0.01 | pass | arithmetic |" in text
  assert "1 of 2" in text  # of the case that fails, from the run before
  assert "jax" in text and text.count("\n## ") == 3


def test_docs_keep_what_they_had_of_a_case_that_the_folder_does_not_hold(lab, tmp_path):
  run, folder = lab
  page = tmp_path / "docs" / "theory.md"
  assert run("--case=counts,fails", f"--docs={page}") == 1
  before = page.read_text()
  shutil.rmtree(folder / "counts")
  assert run("--case=fails", "--seeds=1", f"--docs={page}") == 1
  after = page.read_text()
  own = [line for line in before.splitlines() if "fails" not in line and "time" not in line]
  assert [line for line in own if line not in after.splitlines()] == []
  assert "--seeds=1" not in before and "Run with `--seeds=1`" in after.partition("## fails")[2]
  assert after.count("\n## ") == 2 and after.count("[`counts`]") == 1


# Each case, as quick as it gets.


def outcome(name, **settings):
  return registry.CASES[name](case.Settings(quick=True, **settings))


def assert_met(result):
  missed = [check for check in result.checks if check.passed is False]
  assert not missed, missed


def assert_readable(figure):
  """Of the width of a page, its axes named on both sides, no legend over what is drawn."""
  assert figure.get_figwidth() == style.WIDTH
  panels = [axes for axes in figure.axes if axes.get_visible() and axes.axison]
  parts = [figure, *figure.subfigs]
  for side in ("x", "y"):
    named = [getattr(axes, f"get_{side}label")() for axes in panels]
    named += [getattr(part, f"get_sup{side}label")() for part in parts]
    assert any(named), side
  assert not any(axes.get_legend() for axes in panels)
  figure.draw_without_rendering()
  frame = figure.bbox.padded(1)  # rounding
  for axes in panels:
    for text in (axes.title, *axes.texts):
      box = text.get_window_extent()
      assert frame.x0 <= box.x0 and box.x1 <= frame.x1, text.get_text()


@pytest.mark.parametrize("name", ["generator_costs", "dirac", "bilinear"])
def test_exact_case_meets_its_criteria_and_draws_figures_that_can_be_read(name):
  with plots.styled():
    result = outcome(name)
  assert_met(result)
  for figure in result.figures.values():
    assert_readable(figure)


def test_every_case_has_a_heading_of_one_line_and_an_explanation():
  for name, run in registry.CASES.items():
    title, _, about = run.__doc__.partition(".\n\n")
    assert "\n" not in title and about.strip(), name


def test_values_of_two_points_meet_their_criteria(monkeypatch):
  from experiments.theory import two_point as page

  monkeypatch.setattr(page, "MORE", {})
  assert_met(outcome("two_point"))


def test_matrix_has_every_pair_of_loss_and_penalty(monkeypatch):
  from experiments.theory import dirac_matrix

  monkeypatch.setattr(dirac_matrix, "QUICK", ("simultaneous",))
  records = outcome("dirac_matrix").records
  found = {(row["loss"], row["penalty"]): row["outcome"] for row in records}
  assert len(found) == len(records) == len(of_logits()) * len(PENALTIES)
  assert found["sat", "none"] == "farther out" and found["wgan", "wgan_gp"] != "converges"
  assert found["nonsat", "r1"] == found["sat", "r2"] == found["wgan", "gp0"] == "converges"


def test_exact_optima_of_the_f_gan_fit_are_the_published_ones(x64):
  from experiments.theory import fgan_gaussian

  value, mu, sigma = fgan_gaussian.optimum("kl")
  np.testing.assert_allclose([value, mu, sigma], [0.2831, 1.0100, 1.8308], atol=1e-3)
  # KL(p, q) is least at the mean and the variance of the mixture.
  np.testing.assert_allclose(mu, 0.33 * -1 + 0.67 * 2, rtol=1e-6)
  variance = 0.33 * (0.065 + 1) + 0.67 * (2 + 4) - float(mu) ** 2
  np.testing.assert_allclose(sigma**2, variance, rtol=1e-6)


def test_few_steps_of_the_trained_cases_run(monkeypatch):
  from experiments.theory import fgan_gaussian, optimal_discriminator, parallel_lines, two_cluster

  pair = optimal_discriminator.PAIRS["one dimension"]()._replace(batch=8)
  logits = optimal_discriminator.train(pair, jax.random.key(0), 2)
  error, value, exact = optimal_discriminator.judge(pair, logits)
  assert 0 < error < 1 and value < exact < 0
  assert np.isfinite(fgan_gaussian.fit("js", 1, 2)).all()
  assert parallel_lines.measure("wgan", 1, 60)["slope"].shape == (len(parallel_lines.THETAS), 1)
  assert two_cluster.train("rsgan", 2, 3).shape == (2, 3)


def test_clusters_are_taken_by_turns():
  from experiments.theory import two_cluster

  points = np.asarray(two_cluster.clusters(jax.random.key(0)))[:, 0]
  assert (points[::2] >= 0).all() and (points[::2] <= 0.3).all()
  assert (points[1::2] >= 4).all() and (points[1::2] <= 4.3).all()


def test_each_loss_of_the_two_clusters_is_counted_at_its_own_collapse():
  from experiments.theory import two_cluster

  # Half of D's pairs are told apart without loss, and half are of equal points: log 2 of each.
  at_collapse = {"nonsat": 0.4774, "rsgan": math.log(2) / 2}
  for name, kind in two_cluster.LOSSES.items():
    for other, value in at_collapse.items():
      counted = two_cluster.epochs_collapsed(name, np.array([[value, 0.693, value]]))
      assert counted.tolist() == [2 if other == name else 0]
    assert kind.band[1] - kind.band[0] == pytest.approx(0.07)


def test_every_case_has_an_insight_of_one_sentence_with_which_its_docs_begin():
  assert set(INSIGHTS) == set(registry.CASES)
  text = (ROOT / "docs" / "theory.md").read_text()
  for name, insight in INSIGHTS.items():
    assert insight.endswith(".") and "\n" not in insight
    assert f"\n## {name}\n\n**{insight}**\n\n" in text, name


@pytest.mark.parametrize(
  "text, short",
  [
    ("-0.00502517 +- 1e-06", "-0.00503 +- 1e-06"),
    ("5.55112e-17 to 0.079", "5.55e-17 to 0.079"),
    ("12345.678 and 226.31", "12346 and 226"),
    ("0.999219 to 1.004988", "0.9992 to 1.0050"),
    ("3 of 30; 0.0; 2.5 %", "3 of 30; 0.0; 2.5 %"),
  ],
)
def test_docs_have_numbers_in_three_digits(text, short):
  assert page.three_digits(text) == short
