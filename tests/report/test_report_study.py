"""Which runs are compared, what is refused, and what a study says of them."""

import json
import math
import shutil

import numpy as np
import pytest
from fake_studies import write_run, write_sweep

from gan.errors import UserError
from gan.metrics import NEAR_REFERENCE
from gan.metrics.best import directions
from gan.report import (
  analysis,
  figures,
  metric_figures,
  plots,
  sample_figures,
  series,
  study,
  training_figures,
  words,
)
from gan.report.analysis import analyse


def load(*folders):
  return study.load([str(folder) for folder in folders])


def refusal(*folders):
  with pytest.raises(UserError) as error:
    load(*folders)
  assert "\n" not in str(error.value)
  return str(error.value)


def one(values, **options):
  return {"values": {"frechet_distance": values}, "pictures": False} | options


# Which runs.


def test_a_sweep_a_run_and_a_folder_of_runs_are_found(tmp_path):
  write_sweep(tmp_path / "sweep", seeds=2, pictures=False)
  write_run(tmp_path / "deep" / "er" / "run", "wgan", 0, pictures=False)
  assert len(load(tmp_path / "sweep").runs) == 4
  assert load(tmp_path / "deep" / "er" / "run").losses == ["wgan"]
  assert load(tmp_path / "deep").losses == ["wgan"]
  assert load(tmp_path).losses == ["nonsat", "sat", "wgan"]


def test_what_lies_inside_a_run_is_no_run(tmp_path):
  write_run(tmp_path / "run", pictures=False)
  write_run(tmp_path / "run" / "checkpoints" / "10", seed=1, pictures=False)
  assert len(load(tmp_path).runs) == 1


def test_runs_that_have_not_begun_are_counted(tmp_path):
  write_sweep(tmp_path, seeds=1, waiting=["wgan-seed=0"], pictures=False)
  found = load(tmp_path)
  assert [path.rsplit("/", 1)[1] for path in found.waiting] == ["wgan-seed=0"]
  assert any("planned and not begun: wgan-seed=0" in note for note in found.notes)


def test_the_commands_of_sweeps_and_of_single_runs_are_kept_once(tmp_path):
  write_sweep(tmp_path / "sweep", seeds=2, pictures=False)
  write_run(tmp_path / "run", "wgan", 7, pictures=False)
  assert load(tmp_path).commands == [
    "python -m experiments.sweep --losses=nonsat,sat --seeds=2",
    "python -m experiments.mnist --loss=wgan --seed=7",
  ]


def test_varied_fields_follow_from_the_configs(tmp_path):
  write_run(tmp_path / "a", generator_learning_rate=1e-3, pictures=False)
  write_run(tmp_path / "b", generator_learning_rate=1e-4, pictures=False)
  write_run(tmp_path / "c", "wgan", 5, generator_learning_rate=1e-4, pictures=False)
  found = load(tmp_path)
  assert found.varied == ("generator_learning_rate",)
  assert [found.setting(run) for run in found.runs] == [(1e-4,), (1e-3,), (1e-4,)]


def test_the_same_run_twice_is_kept_once_and_said(tmp_path):
  write_run(tmp_path / "short", steps=20, pictures=False)
  write_run(tmp_path / "long", steps=40, pictures=False)
  found = load(tmp_path / "short", tmp_path / "long")
  assert [run.folder.name for run in found.runs] == ["long"]
  assert any("short repeats" in note and "long" in note for note in found.notes)


def test_a_folder_named_twice_is_read_once(tmp_path):
  write_run(tmp_path / "run", pictures=False)
  found = load(tmp_path, tmp_path / "run")
  assert len(found.runs) == 1 and not any("repeats" in note for note in found.notes)


# What merges.


def test_folders_that_differ_in_loss_and_seed_merge(tmp_path):
  write_run(tmp_path / "a", "nonsat", 0, pictures=False)
  write_run(tmp_path / "b", "wgan", 3, pictures=False)
  assert load(tmp_path / "a", tmp_path / "b").losses == ["nonsat", "wgan"]


def test_folders_of_different_configs_are_refused_with_every_difference(tmp_path):
  write_run(tmp_path / "a", model="mlp", batch_size=64, pictures=False)
  write_run(tmp_path / "b", model="dcgan", batch_size=32, pictures=False)
  line = refusal(tmp_path / "a", tmp_path / "b")
  assert "batch_size: 64 there, 32 here; model: mlp there, dcgan here" in line


def test_folders_may_differ_in_what_varies_inside_one(tmp_path):
  for rate in (1e-4, 1e-3):
    write_run(tmp_path / "a" / str(rate), generator_learning_rate=rate, pictures=False)
  write_run(tmp_path / "b", "wgan", generator_learning_rate=1e-2, pictures=False)
  assert len(load(tmp_path / "a", tmp_path / "b").runs) == 3


@pytest.mark.parametrize(
  "fields", [{"dataset": "ring"}, {"data_sha256": "d2"}, {"eval_samples": 50}]
)
def test_values_of_different_quantities_are_refused_in_one_folder_too(tmp_path, fields):
  write_run(tmp_path / "a", pictures=False)
  write_run(tmp_path / "b", "wgan", pictures=False, **fields)
  line = refusal(tmp_path)
  assert "not measured alike" in line
  assert all(name in line and str(value) in line for name, value in fields.items())


def test_another_extractor_is_refused(tmp_path):
  write_run(tmp_path / "a", pictures=False)
  write_run(tmp_path / "b", "wgan", pictures=False)
  path = tmp_path / "b" / "evaluations.jsonl"
  path.write_text(path.read_text().replace("6719f55dfab5", "other"))
  assert "extractor: 6719f55dfab5 there, other here" in refusal(tmp_path)


# What is missing or damaged.


def test_a_folder_that_is_none_is_refused(tmp_path):
  assert "is no folder" in refusal(tmp_path / "nowhere")


def test_a_folder_without_runs_is_refused(tmp_path):
  assert "has no run in it" in refusal(tmp_path)


def test_runs_without_a_record_are_refused(tmp_path):
  write_run(tmp_path / "run", steps=0, status=None, pictures=False)
  assert "none of one run has a record to compare yet" in refusal(tmp_path)


def test_a_sweep_of_which_nothing_began_is_refused(tmp_path):
  write_sweep(tmp_path, (), waiting=["sat-seed=0"])
  assert "none of 0 runs has a record" in refusal(tmp_path)


@pytest.mark.parametrize(
  "file, text, part",
  [
    ("metrics.jsonl", '{"step": 2}\nno record\n', "metrics.jsonl is damaged in line 2"),
    ("evaluations.jsonl", "[]\n", "evaluations.jsonl is damaged in line 1"),
    ("config.json", "{", "config.json is damaged"),
    ("config.json", '{"config": {}, "determining": {"loss": "sat"}}', "config.json is damaged"),
    ("summary.json", "[]", "summary.json is damaged"),
    ("environment.json", "{}", "environment.json is damaged"),
    ("../sweep.json", "{}", "sweep.json is damaged"),
  ],
)
def test_damaged_records_are_refused_with_the_file(tmp_path, file, text, part):
  write_run(tmp_path / "run", pictures=False)
  (tmp_path / "run" / file).write_text(text)
  assert part in refusal(tmp_path)


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path):
  write_run(tmp_path / "run", pictures=False, status="running")
  with open(tmp_path / "run" / "evaluations.jsonl", "a") as stream:
    stream.write('{"step": 50, "frechet_')
  assert load(tmp_path).runs[0].points("frechet_distance")[-1][0] == 40


def test_a_run_of_records_only_is_read(tmp_path):
  write_run(tmp_path / "run", status=None, pictures=False)
  (tmp_path / "run" / "environment.json").unlink()
  (run,) = load(tmp_path).runs
  assert (run.status, run.sessions) == ("running", [])


def test_a_run_that_is_to_go_on_is_not_finished(tmp_path):
  write_run(tmp_path / "run", pictures=False)
  assert load(tmp_path).runs[0].status == "finished"
  path = tmp_path / "run" / "config.json"
  path.write_text(path.read_text().replace('"loss"', '"steps": 80, "loss"', 1))
  assert load(tmp_path).runs[0].status == "interrupted"


def test_a_diverged_run_ends_before_its_divergence(tmp_path):
  values = [9.0, 8.0, 7.0, 6.0]
  write_run(tmp_path / "run", **one(values), status="diverged at step 30")
  (run,) = load(tmp_path).runs
  assert (run.status, run.diverged_at, run.step) == ("diverged", 30, 28)
  assert run.points("frechet_distance") == [(10, 9.0), (20, 8.0)]


# Last, best, and the common step.


def row_of(folder, loss="nonsat", metric="frechet_distance"):
  rows = analyse(load(folder), metric).rows
  return next(row for row in rows if (row.loss, row.metric) == (loss, metric))


@pytest.mark.parametrize("metric, best", [("frechet_distance", (20, 2.0)), ("coverage", (10, 5.0))])
def test_the_best_is_lowest_or_highest_by_the_direction_of_the_metric(tmp_path, metric, best):
  write_run(tmp_path / "run", values={metric: [5.0, 2.0, 3.0, 4.0]}, pictures=False)
  (outcome,) = row_of(tmp_path, metric=metric).outcomes
  assert outcome.best == best and outcome.last == (40, 4.0)


@pytest.mark.parametrize("metric", ["memorisation_ratio", "frechet_at_500"])
def test_a_metric_without_a_direction_has_a_last_value_only(tmp_path, metric):
  write_run(tmp_path / "run", values={metric: [5.0, 2.0]}, pictures=False)
  row = row_of(tmp_path, metric=metric)
  assert row.last.median == 2 and row.best is None and row.outcomes[0].best is None
  assert "no direction" in words.findings(analyse(load(tmp_path)))[0]


def test_last_values_are_compared_at_a_step_that_all_have_reached(tmp_path):
  write_run(tmp_path / "a", "nonsat", **one([9.0, 4.0, 3.0, 2.0]))
  write_run(tmp_path / "b", "wgan", **one([8.0, 5.0]), status="interrupted")
  found = analyse(load(tmp_path))
  assert {row.step for row in found.rows} == {20}
  assert [found.row(loss).last.median for loss in ("nonsat", "wgan")] == [4, 5]
  assert found.row("nonsat").best.median == 4
  assert any("interrupted" in run.status for run in found.study.runs)
  assert any("not finished" in note and "b" in note for note in words.notes(found))
  assert any(
    "up to step 20" in note and "1 run went further" in note for note in words.notes(found)
  )


def test_a_diverged_run_does_not_hold_the_others_back(tmp_path):
  write_run(tmp_path / "a", "nonsat", 0, **one([9.0, 4.0, 3.0, 2.0]))
  write_run(tmp_path / "b", "nonsat", 1, **one([8.0, 5.0]), status="diverged at step 25")
  found = analyse(load(tmp_path))
  row = found.row("nonsat")
  assert (row.step, row.diverged, row.last.count) == (40, 1, 2)
  assert [outcome.last for outcome in row.outcomes] == [(40, 2.0), (20, 5.0)]
  assert any("b at step 25" in note for note in words.notes(found))
  assert any("b (step 20)" in note for note in words.notes(found))


def test_where_all_diverged_the_last_step_of_any_counts(tmp_path):
  write_run(tmp_path / "a", "nonsat", 0, **one([9.0, 4.0]), status="diverged at step 25")
  write_run(tmp_path / "b", "wgan", 0, **one([8.0]), status="diverged at step 12")
  assert analyse(load(tmp_path)).headline[0].step == 20


def test_runs_without_evaluations_are_said_and_do_not_count(tmp_path):
  write_run(tmp_path / "a", "nonsat", **one([1.0, 2.0]))
  write_run(tmp_path / "b", "wgan", **one([]))
  found = analyse(load(tmp_path))
  assert found.row("wgan").last is None and found.row("nonsat").step == 20
  assert any("without an evaluation" in note and "b" in note for note in words.notes(found))


def test_infinite_values_are_kept_and_said(tmp_path):
  for seed, last in enumerate((math.inf, 1.0, 2.0)):
    write_run(tmp_path / str(seed), "nonsat", seed, values={"reverse_kl": [last]}, pictures=False)
  found = analyse(load(tmp_path))
  last = found.row("nonsat").last
  assert (last.count, last.median, last.iqm) == (3, 2, math.inf) and last.median_interval is None
  assert any("reverse_kl of 1 run" in note for note in words.notes(found))


def test_nan_is_no_value(tmp_path):
  write_run(tmp_path / "run", values={"reverse_kl": [1.0, math.nan]}, pictures=False)
  assert load(tmp_path).runs[0].points("reverse_kl") == [(10, 1.0)]


def test_the_first_metric_of_the_registry_leads_and_another_can_be_chosen(tmp_path):
  write_run(tmp_path / "run", pictures=False)
  found = load(tmp_path)
  assert analyse(found).metric == "frechet_distance"
  assert analyse(found, "coverage").metric == "coverage"
  with pytest.raises(UserError, match="choose from frechet_distance, coverage"):
    analyse(found, "nosuch")


def test_facts_of_an_evaluation_are_no_metrics(tmp_path):
  write_run(tmp_path / "run", pictures=False)
  assert load(tmp_path).metrics() == ["frechet_distance", "coverage"]


# Choosing, ranking, testing.


def test_each_loss_stands_in_the_setting_of_the_best_median(tmp_path):
  for rate, ends in ((1e-4, (1, 9, 9)), (1e-3, (5, 5, 5))):
    for seed, end in enumerate(ends):
      folder = tmp_path / f"{rate}-{seed}"
      write_run(folder, "nonsat", seed, **one([float(end)]), generator_learning_rate=rate)
  found = analyse(load(tmp_path))
  assert found.chosen == {"nonsat": (1e-3,)}
  assert {run.identity["generator_learning_rate"] for run in found.runs("nonsat")} == {1e-3}
  assert "chosen by the median over seeds of these very evaluations" in words.findings(found)[1]


def test_a_diverged_run_counts_as_the_worst_in_the_choice(tmp_path):
  status = {True: "diverged at step 25", False: "finished"}
  for rate, ends in ((1e-4, (1.0, 1.0, 1.0)), (1e-3, (5.0, 5.0, 5.0))):
    for seed, end in enumerate(ends):
      diverged = rate == 1e-4 and seed < 2
      write_run(
        tmp_path / f"{rate}-{seed}",
        "nonsat",
        seed,
        **one([9.0, end], status=status[diverged]),
        generator_learning_rate=rate,
      )
  assert analyse(load(tmp_path)).chosen == {"nonsat": (1e-3,)}


def test_losses_are_ranked_by_the_direction_of_the_metric(tmp_path):
  for loss, value in (("hinge", 3.0), ("nonsat", 1.0), ("wgan", 2.0)):
    values = {"frechet_distance": [value], "coverage": [value]}
    write_run(tmp_path / loss, loss, values=values, pictures=False)
  found = load(tmp_path)
  assert analyse(found).ranking == ["nonsat", "wgan", "hinge"]
  assert analyse(found, "coverage").ranking == ["hinge", "wgan", "nonsat"]


def write_levels(folder, levels, noise):
  rng = np.random.default_rng(0)
  for loss, level in levels.items():
    for seed in range(4):
      value = level + noise * rng.normal()
      write_run(folder / f"{loss}{seed}", loss, seed, **one([value]), steps=10)


def test_the_head_says_first_what_survives(tmp_path):
  write_levels(tmp_path, {"nonsat": 10.0, "wgan": 20.0}, noise=0.1)
  found = analyse(load(tmp_path))
  significance, unbeaten, values = words.findings(found)
  assert significance == (
    "1 of 1 differences between losses survives the correction: nonsat is better than wgan."
  )
  assert unbeaten == "No loss is shown to be better than nonsat."
  assert values.startswith("Median frechet distance at step 10: 10.0")
  assert " for nonsat (4 seeds, 95 % interval " in values and " for wgan (4 seeds" in values


def test_the_head_says_that_no_difference_survives_and_what_would_have(tmp_path):
  write_levels(tmp_path, {"hinge": 10.0, "nonsat": 10.0, "wgan": 10.0}, noise=5.0)
  found = analyse(load(tmp_path))
  significance, power, values = words.findings(found)
  assert significance == (
    "No loss is shown to be better: no difference between two losses survives the correction for "
    "3 tests."
  )
  assert power.startswith("With 4 seeds and 3 tests this study would have seen a difference of ")
  assert values.startswith("Median frechet distance at step 10: ")
  assert "best is" not in " ".join([*words.findings(found), words.method(found)])


def test_losses_that_nothing_beats_are_named_together(tmp_path):
  write_levels(tmp_path, {"hinge": 10.0, "nonsat": 10.0, "wgan": 90.0}, noise=0.5)
  significance, unbeaten, _ = words.findings(analyse(load(tmp_path)))
  assert significance.startswith("2 of 3 differences between losses survive the correction: ")
  assert unbeaten in (
    "No loss is shown to be better than hinge or nonsat.",
    "No loss is shown to be better than nonsat or hinge.",
  )


def test_without_a_second_seed_no_loss_is_called_better(tmp_path):
  for loss, modes in (("nonsat", 8), ("wgan", 1)):
    write_run(tmp_path / loss, loss, values={"modes": [modes]}, pictures=False)
  first, second = words.findings(analyse(load(tmp_path)))
  assert first == (
    "No loss is shown to be better: no pair could be tested, which takes at least two seeds "
    "that both have."
  )
  assert second == ("Modes at step 10: 8 for nonsat (1 seed) and 1 for wgan (1 seed).")


def test_a_single_loss_and_a_single_seed_make_a_study(tmp_path):
  write_run(tmp_path / "run", **one([4.0]))
  found = analyse(load(tmp_path))
  assert words.findings(found) == [
    "Only nonsat has a value: frechet distance 4 at step 10 (1 seed, too few for an interval)."
  ]
  assert any("Fewer than 3 seeds" in note and "nonsat" in note for note in words.notes(found))


def test_without_an_evaluation_there_is_no_result(tmp_path):
  write_run(tmp_path / "run", **one([]))
  found = analyse(load(tmp_path))
  assert found.metric is None and found.rows == []
  assert words.findings(found) == [
    "No run has been evaluated by a metric of samples: there is no value to compare."
  ]


# Curves.


def test_a_curve_is_the_interquartile_mean_over_seeds_at_each_evaluation(tmp_path):
  for seed, values in enumerate(([4.0, 1.0], [4.0, 2.0], [7.0, 3.0])):
    write_run(tmp_path / str(seed), "nonsat", seed, **one(values))
  (curve,) = series.evaluated(load(tmp_path).runs, "frechet_distance", "images")
  np.testing.assert_array_equal(curve.x, [640, 1280])
  np.testing.assert_allclose(curve.y, [5, 2])
  np.testing.assert_allclose((curve.low, curve.high), [[4, 1], [7, 3]])


def test_fewer_than_three_seeds_have_their_own_curves(tmp_path):
  for seed in range(2):
    write_run(tmp_path / str(seed), "nonsat", seed, **one([4.0 + seed, 1.0]))
  curves = series.evaluated(load(tmp_path).runs, "frechet_distance", "step")
  assert [list(curve.y) for curve in curves] == [[4, 1], [5, 1]]
  assert all(np.isnan(curve.low).all() for curve in curves)


def test_a_band_ends_where_fewer_than_three_seeds_go_on(tmp_path):
  for seed, values in enumerate(([4.0, 1.0], [4.0, 2.0], [7.0])):
    write_run(tmp_path / str(seed), "nonsat", seed, **one(values))
  (curve,) = series.evaluated(load(tmp_path).runs, "frechet_distance", "step")
  np.testing.assert_allclose(curve.y, [5, 1.5])
  np.testing.assert_array_equal(np.isfinite(curve.low), [True, False])


def test_a_training_curve_is_the_mean_over_seeds_with_their_range(tmp_path):
  for seed, shift in enumerate((0.0, 2.0)):
    write_run(tmp_path / str(seed), "nonsat", seed, **one([]), steps=4)
    path = tmp_path / str(seed) / "metrics.jsonl"
    lines = [f'{{"step": {step}, "loss_of_d": {step + shift}}}\n' for step in (2, 4)]
    path.write_text("".join(lines))
  curve = series.trained(load(tmp_path).runs, "loss_of_d")
  np.testing.assert_array_equal(curve.x, [2, 4])
  np.testing.assert_allclose((curve.low, curve.y, curve.high), [[2, 4], [3, 5], [4, 6]])
  logarithmic = series.trained(load(tmp_path).runs, "loss_of_d", logarithmic=True)
  np.testing.assert_allclose(logarithmic.y, [math.sqrt(2 * 4), math.sqrt(4 * 6)])


def test_a_long_run_is_drawn_with_few_points(tmp_path):
  write_run(tmp_path / "run", **one([]), steps=1000)
  curve = series.trained(load(tmp_path).runs, "discriminator_loss")
  assert len(curve.x) == series.BINS and (np.diff(curve.x) > 0).all()


@pytest.mark.parametrize("count, panels", [(8, 1), (10, 10)])
def test_few_losses_share_a_panel_and_many_get_one_each(tmp_path, count, panels):
  losses = [f"loss{i}" for i in range(count)]
  write_sweep(tmp_path, losses, 1, steps=4, every=2, pictures=False)
  found = analyse(load(tmp_path))
  figure = plots.render(lambda: metric_figures.curves(found, found.metric, "step", plots.WIDE))
  assert sum(axes.get_visible() for axes in figure.axes) == panels
  assert len(set(plots.colours(losses).values())) == count


def test_a_hyper_parameter_over_decades_has_a_logarithmic_axis_and_words_have_ticks(tmp_path):
  for rate in (1e-4, 1e-2):
    for norm in (None, "batch"):
      fields = {"generator_learning_rate": rate, "discriminator_norm": norm}
      write_run(tmp_path / f"{rate}{norm}", **one([1.0]), **fields)
  found = analyse(load(tmp_path))
  rates, norms = (
    plots.render(lambda field=field: metric_figures.sensitivity(found, field, plots.WIDE)).axes[0]
    for field in ("generator_learning_rate", "discriminator_norm")
  )
  assert rates.get_xscale() == "log" and norms.get_xscale() == "linear"
  assert [label.get_text() for label in norms.get_xticklabels()] == ["none", "batch"]


def test_numbers_keep_their_axis_beside_runs_that_have_none(tmp_path):
  for loss, weight in (("wgan", 0.1), ("wgan", 10.0), ("wgan", None), ("nonsat", None)):
    write_run(tmp_path / f"{loss}{weight}", loss, **one([1.0]), penalty_weight=weight)
  found = analyse(load(tmp_path))
  figure = plots.render(lambda: metric_figures.sensitivity(found, "penalty_weight", plots.WIDE))
  (axes,) = figure.axes
  assert axes.get_xscale() == "log"
  lines = {line.get_label(): [*line.get_xdata()] for line in axes.lines}
  assert lines["wgan"] == [0.1, 10.0] and "nonsat" not in lines


@pytest.mark.parametrize("seeds, joined", [(1, 0), (2, 8)])
def test_values_that_were_tried_once_are_not_joined(tmp_path, seeds, joined):
  for place in range(8):
    for seed in range(seeds):
      status = "finished" if place or seed else "diverged at step 25"
      fields = {"status": status, "generator_learning_rate": 1e-4 * (place + 1)}
      write_run(tmp_path / f"{place}-{seed}", "nonsat", seed, **one([1.0, 2.0]), **fields)
  found = analyse(load(tmp_path))
  axes = metric_figures.sensitivity(found, "generator_learning_rate", plots.WIDE).axes[0]
  (line,) = [line for line in axes.lines if line.get_label() == "nonsat"]
  assert len(line.get_xdata()) == joined


def test_a_note_names_the_first_of_many_runs(tmp_path):
  for seed in range(11):
    status = "diverged at step 15" if seed < 10 else "finished"
    write_run(tmp_path / str(seed), "nonsat", seed, **one([1.0, 2.0]), status=status)
  (note,) = [note for note in words.notes(analyse(load(tmp_path))) if "earlier step" in note]
  assert note.count("(step 10)") == 8 and note.endswith(" and 2 more.")


# Pictures, and the line of a discriminator that cannot tell.


def test_pictures_are_of_one_seed_and_one_step(tmp_path):
  write_run(tmp_path / "a0", "nonsat", 0)
  write_run(tmp_path / "a1", "nonsat", 1)
  write_run(tmp_path / "b1", "wgan", 1)
  shutil.copy(*(tmp_path / "a1" / "samples" / f"step_000000{step}.png" for step in (40, 60)))
  found = sample_figures.last_pictures(analyse(load(tmp_path)))
  assert [picture[:3] for picture in found] == [("nonsat", 1, 40), ("wgan", 1, 40)]


def test_a_damaged_picture_is_left_out_and_said(tmp_path):
  write_run(tmp_path / "a", "nonsat")
  write_run(tmp_path / "b", "wgan")
  (tmp_path / "b" / "samples" / "step_00000040.png").write_bytes(b"no picture")
  found = analyse(load(tmp_path))
  assert [picture.loss for picture in sample_figures.last_pictures(found)] == ["nonsat"]
  (drawing,) = [drawing for drawing in figures.drawings(found) if drawing.name == "samples"]
  assert "There is none of wgan." in drawing.caption


def test_held_out_data_are_drawn_where_they_were_recorded(tmp_path):
  values = {"train": [1.0, 2.0], "held_out": [0.5, 0.25], "samples": [-1.0, -2.0]}
  values = {f"discriminator_logit_{kind}": each for kind, each in values.items()}
  write_run(tmp_path / "a", values=values, steps=20, pictures=False)
  found = analyse(load(tmp_path / "a"))
  (drawing,) = [each for each in figures.drawings(found) if each.name.startswith("held_out")]
  (axes,) = drawing.draw(plots.WIDE).axes
  lines = {line.get_linestyle(): list(line.get_ydata()) for line in axes.lines}
  assert lines == dict(zip(("-", "--", ":"), values.values(), strict=True))


def test_the_strength_that_a_controller_gives_is_drawn_where_it_was_recorded(tmp_path):
  write_run(tmp_path / "a", steps=4, pictures=False)
  names = [each.name for each in figures.drawings(analyse(load(tmp_path / "a")))]
  assert "strengths" not in names
  with open(tmp_path / "a" / "metrics.jsonl", "a") as records:
    for step, strength in ((6, 0.25), (8, 0.5)):
      records.write(json.dumps({"step": step, "apa_strength": strength}) + "\n")
  found = figures.drawings(analyse(load(tmp_path / "a")))
  (drawing,) = [each for each in found if each.name == "strengths"]
  (axes,) = drawing.draw(plots.WIDE).axes
  assert list(axes.lines[0].get_ydata()) == [0.25, 0.5]


def test_the_line_of_equal_logits_is_what_the_losses_give():
  jnp = pytest.importorskip("jax.numpy")
  from gan.losses import LOSSES

  for name, multiple in training_figures.EQUILIBRIUM.items():
    value = LOSSES[name].discriminator(jnp.zeros(4), jnp.zeros(4)).mean()
    assert float(value) == pytest.approx(multiple * math.log(2), rel=1e-6)


def test_every_metric_of_a_direction_can_lead():
  assert set(directions().values()) <= {*analysis.RANKED, NEAR_REFERENCE}
