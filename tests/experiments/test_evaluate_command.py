"""What a run measures of itself, and the command that measures runs and sets of images."""

import contextlib
import json
import shutil

import jax
import kill_and_resume
import numpy as np
import pytest
import threadpoolctl
from PIL import Image

from experiments import evaluate, mnist, ring
from experiments.cli import common
from gan import datasets, models
from gan.metrics import extractors
from gan.models import classifier, mlp
from gan.models.spec import to_networks
from gan.training import loop
from gan.training.config import Config
from gan.training.run_folder import EVALUATIONS, read_metrics, read_summary

SMALL = {
  "dataset": "digits",
  "split": "train[:120]",
  "model": "mlp",
  "latent_dim": 4,
  "batch_size": 6,
  "steps": 8,
  "log_every": 2,
  "sample_every": 8,
  "checkpoint_every": 4,
  "eval_every": 3,
  "eval_samples": 60,
  "parallel": "none",
}
JUDGED = ("discriminator_accuracy_held_out", "discriminator_accuracy_train")
ABOUT_A_VALUE = {"samples", "reference_samples", "held_out_samples", "extractor", "split", "seed"}
COLUMNS = {"value", "low", "high", "held_out_reference", "better"}
QUICK = "--metrics=frechet_distance,density_coverage"


@pytest.fixture(scope="module", autouse=True)
def own_cache_and_tiny_mlp(tmp_path_factory):
  """A cache folder that is not the user's; a model `mlp` that compiles in a moment, and once."""

  def build(spec):
    shared = {"features": (8,), "num_classes": spec.num_classes}
    generator = mlp.Generator(spec.image_shape, **shared)
    return to_networks(generator, mlp.Discriminator(**shared), spec)

  # Threads that wait for a processor which another process has are slower than none.
  with threadpoolctl.threadpool_limits(1), pytest.MonkeyPatch.context() as patch:
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    patch.setitem(models.MODELS, "mlp", models.Model(build))
    before = jax.config.jax_persistent_cache_min_compile_time_secs
    patch.setattr(common, "use_compilation_cache", lambda: None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
    yield
    jax.config.update("jax_persistent_cache_min_compile_time_secs", before)


def fit(folder, **changes):
  """(summary, lines said) of a run."""
  said = []
  summary = loop.fit(Config(**(SMALL | changes)), folder, say=said.append)
  return summary, said


def evaluations(folder):
  return read_metrics(folder, EVALUATIONS)


def untimed(folder):
  return [kill_and_resume.untimed(record) for record in evaluations(folder)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A finished run; to be read only."""
  folder = tmp_path_factory.mktemp("finished")
  fit(folder)
  return folder


# What a run measures of itself.


def test_a_run_is_evaluated_at_its_cadence_and_at_its_end(run):
  assert [record["step"] for record in evaluations(run)] == [3, 6, 8]


def test_every_evaluation_says_what_its_values_depend_on(run):
  for record in evaluations(run):
    assert record["eval_samples"] == record["reference_samples"] == 60
    assert record["extractor"] == extractors.load("digits").digest
    assert record["split"] == "train[:120]" and record["eval_seed"] == 0
    assert record["images"] == 6 * record["step"] and record["seconds"] > 0
    assert record["frechet_distance"] > 0 and 0 <= record["coverage"] <= 1


def test_fewer_training_examples_than_samples_are_counted(tmp_path):
  fit(tmp_path, split="train[:40]", steps=3)
  (record,) = evaluations(tmp_path)
  assert (record["eval_samples"], record["reference_samples"]) == (60, 40)


def test_the_summary_holds_best_and_last_with_their_steps(run):
  records, summary = evaluations(run), read_summary(run)["evaluation"]
  points = [[record["step"], record["frechet_distance"]] for record in records]
  best = min(points, key=lambda point: point[1])
  assert summary["frechet_distance"] == {"last": points[-1], "best": best}
  scores = [[record["step"], record["classifier_score"]] for record in records]
  assert summary["classifier_score"]["best"] == max(scores, key=lambda point: point[1])
  assert {"precision", "recall", "density", "coverage"} < set(summary)


def test_a_resumed_run_has_the_evaluations_of_an_unbroken_one(tmp_path, run):
  fit(tmp_path, steps=5)
  assert [record["step"] for record in evaluations(tmp_path)] == [3, 5]
  fit(tmp_path)
  assert untimed(tmp_path) == untimed(run)
  assert read_summary(tmp_path)["evaluation"] == read_summary(run)["evaluation"]


def test_evaluations_past_the_last_checkpoint_are_made_again_alike(tmp_path, run):
  shutil.copytree(run, tmp_path / "killed")
  shutil.rmtree(tmp_path / "killed" / "checkpoints" / "8")
  assert fit(tmp_path / "killed")[1].count("Continuing from step 4.") == 1
  assert untimed(tmp_path / "killed") == untimed(run)


def test_evaluating_changes_nothing_that_is_trained(tmp_path, run):
  fit(tmp_path, eval_every=0)
  # The lines of metrics.jsonl hold what the step computed, gradients and all.
  first, second = (read_metrics(folder) for folder in (tmp_path, run))
  assert list(map(kill_and_resume.untimed, first)) == list(map(kill_and_resume.untimed, second))


def test_a_run_that_is_not_to_be_evaluated_writes_none(tmp_path):
  summary, said = fit(tmp_path, eval_every=0, steps=3)
  assert not (tmp_path / EVALUATIONS).exists() and summary["evaluation"] == {}
  assert not any("metrics" in line for line in said)


def test_a_conditional_run_is_evaluated(tmp_path):
  fit(tmp_path, conditional=True, steps=3)
  assert evaluations(tmp_path)[0]["classifier_score"] >= 1
  classes = "--metrics=frechet_distance,intra_class_frechet,ms_ssim"
  assert command("--workdir", tmp_path, classes, "--samples=60") == 0
  rows = rows_of(tmp_path)
  numbers = ("frechet_distance", "intra_class_frechet", "worst_class_frechet", "ms_ssim")
  assert tuple(rows) == numbers
  assert all(row["held_out_reference"] is not None for row in rows.values())
  assert rows["worst_class_frechet"]["value"] >= rows["intra_class_frechet"]["value"] > 0


def test_a_run_without_an_extractor_says_so_in_one_line_and_trains_on(tmp_path):
  summary, said = fit(tmp_path / "run", image_size=16, steps=3)
  assert summary["status"] == "finished" and evaluations(tmp_path / "run") == []
  (line,) = [line for line in said if "No metrics while training" in line]
  assert "16x16" in line and "28x28" in line


def test_points_count_the_modes_of_their_mixture(tmp_path):
  flags = ("--steps=2", "--batch_size=8", "--eval_every=2", "--eval_samples=100")
  assert ring.main(["ring", f"--workdir={tmp_path}", "--parallel=none", *flags]) == 0
  (record,) = evaluations(tmp_path)
  assert 0 <= record["modes"] <= 8 and 0 <= record["high_quality_share"] <= 1
  assert record["extractor"] is None and record["eval_samples"] == 100
  # Two steps from its start a generator has no good point, and JSON no infinity.
  assert command("--workdir", tmp_path, "--samples=200") == 0
  content = (tmp_path / "evaluation.json").read_text()
  rows = json.loads(content, parse_constant=pytest.fail)["metrics"]
  assert set(rows) == {"modes", "high_quality_share", "reverse_kl", "wasserstein", *JUDGED}
  assert rows["modes"]["held_out_reference"] == pytest.approx(8)
  assert rows["reverse_kl"]["held_out_reference"] < 0.1
  assert rows["reverse_kl"]["value"] == "inf" or rows["high_quality_share"]["value"] > 0


def test_stacked_mnist_counts_its_thousand_modes(tmp_path, data_root):
  if not (data_root / "mnist").is_dir():
    pytest.skip(f"no mnist in {data_root}")
  fit(tmp_path, dataset="stacked_mnist", split="train[:200]", steps=3, eval_samples=100)
  (record,) = evaluations(tmp_path)
  assert 1 <= record["modes"] <= 100 and 0 < record["modes_kl"] <= np.log(1000)
  assert record["extractor"] == extractors.load("mnist").digest


# The command on a run.


def command(*flags):
  """The exit code of the command; `--workdir, path` are joined by "="."""
  words = list(flags)
  if words[0] == "--workdir":
    words[:2] = [f"--workdir={words[1]}"]
  return evaluate.main(["evaluate", *words])


def rows_of(folder):
  return json.loads((folder / "evaluation.json").read_text())["metrics"]


@pytest.fixture(scope="module")
def measured(run, tmp_path_factory):
  """(rows of evaluation.json, printed) of a run by every metric."""
  folder, printed = tmp_path_factory.mktemp("measured"), tmp_path_factory.mktemp("p") / "out"
  with open(printed, "w") as stream, contextlib.redirect_stdout(stream):
    assert command("--workdir", run, f"--outdir={folder}", "--samples=110", "--seed=3") == 0
  return rows_of(folder), printed.read_text()


def test_a_run_is_measured_by_every_metric_of_images(measured):
  rows, _ = measured
  assert {"frechet_distance", "frechet_infinity", "kernel_distance", "precision", "recall"} < set(
    rows
  )
  assert {"density", "coverage", "classifier_score", "ndb_share", "parzen_log_likelihood"} < set(
    rows
  )
  assert all(row["held_out_reference"] is not None for row in rows.values() if row["better"])
  assert rows["memorisation_ratio"]["held_out_reference"] == 1
  assert "ms_ssim" not in rows  # the run has no labels
  assert tuple(rows)[-2:] == JUDGED and all(0 <= rows[name]["value"] <= 1 for name in JUDGED)


def test_every_value_in_the_file_has_all_that_it_depends_on(measured, run):
  digest = extractors.load("digits").digest
  for name, row in measured[0].items():
    assert set(row) >= COLUMNS | ABOUT_A_VALUE
    # A discriminator judges 2,000 samples, all 120 training images, and all 297 held out.
    counts = (2000, 120, 297) if name in JUDGED else (110, 110, 110)
    assert (row["samples"], row["reference_samples"], row["held_out_samples"]) == counts
    used = None if name in JUDGED else digest
    assert (row["extractor"], row["split"], row["seed"]) == (used, "train[:120]", 3)
    assert (row["run"], row["step"], row["dataset"]) == (str(run), 8, "digits")
    assert row["low"] is None or row["low"] <= row["value"] <= row["high"]


def test_the_table_has_the_reference_beside_the_value(measured):
  rows, printed = measured
  head, features, columns, *lines, legend, nearest = printed.splitlines()
  digest = extractors.load("digits").digest
  assert features == f"features of digits, {digest}, resize: none"
  assert all(f"{name} " in head for name in ABOUT_A_VALUE)
  assert " ".join(columns.split()) == "metric value 95 % interval held-out reference better"
  assert [line.split()[0] for line in lines] == list(rows)
  assert legend.startswith("held-out reference: what held-out data")
  assert nearest.startswith("better reference: the nearer")
  for line in lines:
    name, value, *rest = line.split()
    row = rows[name]
    assert value == f"{row['value']:.5g}"
    assert row["better"] is None or rest[-2:] == [f"{row['held_out_reference']:.5g}", row["better"]]
    assert row["low"] is None or rest[:3] == [f"{row['low']:.5g}", "to", f"{row['high']:.5g}"]


def test_equal_seeds_give_equal_numbers_and_another_seed_others(run, tmp_path):
  for name, seed in (("first", 1), ("second", 1), ("third", 2)):
    flags = (QUICK, "--samples=60", f"--seed={seed}", f"--outdir={tmp_path / name}")
    assert command("--workdir", run, *flags) == 0
  first, second, third = (rows_of(tmp_path / name) for name in ("first", "second", "third"))
  assert first == second and set(first) == {"frechet_distance", "density", "coverage"}
  assert first["frechet_distance"]["value"] != third["frechet_distance"]["value"]


def test_the_file_lies_in_the_run_folder_and_leaves_the_run_as_it_was(run, tmp_path):
  shutil.copytree(run, tmp_path / "run")
  before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
  assert command("--workdir", tmp_path / "run", QUICK, "--samples=60") == 0
  after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
  assert set(after) - set(before) == {tmp_path / "run" / "evaluation.json"}
  assert all(after[path] == before[path] for path in before)


# The command on sets of images.


def test_metrics_of_classes_are_had_of_sets_that_both_have_labels(tmp_path, capsys):
  train, test = datasets.load("digits", "train[:100]"), datasets.load("digits", "test")
  real = {"train_images": train.images, "train_labels": train.labels}
  real |= {"test_images": test.images[:60], "test_labels": test.labels[:60]}
  fake = {"images": test.images[100:160], "labels": test.labels[100:160]}
  np.savez(tmp_path / "real.npz", **real)
  np.savez(tmp_path / "fake.npz", **fake)
  np.savez(tmp_path / "unlabelled.npz", images=fake["images"])
  flags = (f"--real={tmp_path / 'real.npz'}", "--metrics=ms_ssim", f"--outdir={tmp_path}")
  assert command(*flags, f"--fake={tmp_path / 'fake.npz'}", "--extractor=digits") == 0
  row = rows_of(tmp_path)["ms_ssim"]
  # Labels go with the images into their random order: pairs of digits are alike as those of data.
  assert row["value"] == pytest.approx(row["held_out_reference"], abs=0.1)
  assert row["value"] > 0.5
  capsys.readouterr()
  assert command(*flags, f"--fake={tmp_path / 'unlabelled.npz'}", "--extractor=digits") == 2
  assert "--metrics=ms_ssim does not apply here" in capsys.readouterr().err


def test_labels_of_folders_with_other_names_are_left_aside(tmp_path, capsys):
  images = datasets.load("digits").images
  for folder, names in (("real", "ab"), ("fake", "bc")):
    for name in names:
      write_images(tmp_path / folder / name, images[:20])
  flags = (f"--real={tmp_path / 'real'}", f"--fake={tmp_path / 'fake'}", "--extractor=digits")
  assert command(*flags, f"--outdir={tmp_path}", "--metrics=ms_ssim") == 2
  told = capsys.readouterr().err
  assert "Labels are left aside: the classes of --real and --fake have other names" in told
  assert command(*flags, f"--outdir={tmp_path}", "--metrics=frechet_distance") == 0


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
  """A folder with sets of digits in every form."""
  folder, images = tmp_path_factory.mktemp("sets"), datasets.load("digits").images
  real, fake = images[:150], images[200:310]
  np.savez(folder / "real.npz", images=real)
  np.savez(folder / "split.npz", train_images=real, test_images=images[400:500])
  np.savez(folder / "alone.npz", fake)
  np.savez(folder / "grey.npz", fake[..., 0])
  write_images(folder / "flat", fake)
  write_images(folder / "half" / "a", fake[:50])
  write_images(folder / "half" / "b", fake[50:])
  return folder


def write_images(folder, images):
  folder.mkdir(parents=True)
  for number, image in enumerate(images):
    Image.fromarray(image[..., 0]).save(folder / f"{number:04d}.png")


@pytest.mark.parametrize("form", ["alone.npz", "grey.npz", "flat", "half"])
def test_sets_are_measured_in_every_form_alike(sets, tmp_path, form):
  for name, fake in (("own", form), ("reference", "alone.npz")):
    flags = (f"--real={sets / 'real.npz'}", f"--fake={sets / fake}", f"--outdir={tmp_path / name}")
    assert command(*flags, QUICK, "--extractor=digits") == 0
  rows, reference = rows_of(tmp_path / "own"), rows_of(tmp_path / "reference")
  for name, row in rows.items():
    assert row["value"] == pytest.approx(reference[name]["value"])
    assert (row["samples"], row["reference_samples"], row["held_out_reference"]) == (110, 110, None)
    assert row["extractor"] == extractors.load("digits").digest and row["split"]


def test_several_extractors_stand_side_by_side_in_the_table(sets, tmp_path, capsys):
  own = write_extractor(tmp_path / "own.npz", (28, 28, 1))
  flags = (f"--real={sets / 'real.npz'}", f"--fake={sets / 'flat'}", f"--outdir={tmp_path}")
  assert command(*flags, QUICK, f"--extractor=digits,{own}") == 0
  rows = rows_of(tmp_path)
  shipped, other = extractors.load("digits").digest, extractors.load(own).digest
  assert rows["coverage"]["extractor"] == shipped
  assert rows["coverage@own"]["extractor"] == other
  assert rows["coverage@own"]["resize"] == "none"
  lines = capsys.readouterr().out.splitlines()
  assert f"features of own, {other}, resize: none" in lines
  line = f"--extractor=digits,{own.with_name('no.npz')}"
  assert command(*flags, QUICK, line) == 2
  assert "no extractor" in capsys.readouterr().err


def test_statistics_are_written_and_measured_against(sets, tmp_path, capsys):
  file, other = tmp_path / "real_statistics.npz", write_extractor(tmp_path / "own.npz", (28, 28, 1))
  flags = (f"--real={sets / 'real.npz'}", f"--fake={sets / 'flat'}", f"--outdir={tmp_path}")
  digits = (*flags, "--metrics=frechet_distance", "--extractor=digits")
  assert command(*digits, f"--write_statistics={file}") == 0
  both = "--metrics=frechet_distance,frechet_to_statistics"
  assert command(*flags, both, "--extractor=digits", f"--statistics={file}") == 0
  rows = rows_of(tmp_path)
  assert {"frechet_distance", "frechet_to_statistics"} == set(rows)
  # The file is of all real images, the reference of as many as there are fakes.
  assert rows["frechet_to_statistics"]["value"] > 0
  capsys.readouterr()
  assert command(*flags, both, f"--extractor={other}", f"--statistics={file}") == 2
  assert "is of features with digest" in capsys.readouterr().err


def test_a_test_split_of_the_real_set_gives_the_reference(sets, tmp_path, capsys):
  flags = (f"--real={sets / 'split.npz'}", f"--fake={sets / 'flat'}", f"--outdir={tmp_path}")
  assert command(*flags, "--extractor=digits") == 0
  rows = rows_of(tmp_path)
  assert all(row["held_out_reference"] is not None for row in rows.values() if row["better"])
  assert {"parzen_log_likelihood", "memorisation_ratio"} < set(rows)
  assert rows["frechet_distance"]["held_out_samples"] == 100


def test_sets_of_mnist_form_get_the_extractor_of_mnist_and_are_told(sets, tmp_path, capsys):
  flags = (f"--real={sets / 'real.npz'}", f"--fake={sets / 'alone.npz'}", f"--outdir={tmp_path}")
  assert command(*flags, QUICK) == 0
  assert "extractor of MNIST" in capsys.readouterr().err
  assert rows_of(tmp_path)["coverage"]["extractor"] == extractors.load("mnist").digest


def test_sets_of_other_sizes_are_measured_by_what_needs_no_features(tmp_path, capsys):
  images = np.random.default_rng(0).integers(256, size=(240, 12, 12, 3), dtype=np.uint8)
  np.savez(tmp_path / "real.npz", images[:120])
  np.savez(tmp_path / "fake.npz", images[120:])
  flags = (f"--real={tmp_path / 'real.npz'}", f"--fake={tmp_path / 'fake.npz'}")
  assert command(*flags, f"--outdir={tmp_path}") == 0
  assert "Metrics of features are left out" in capsys.readouterr().err
  assert set(rows_of(tmp_path)) == {"ndb_share", "ndb_js"}


def test_colour_sets_are_measured_by_an_extractor_of_their_own(tmp_path):
  images = np.random.default_rng(0).integers(256, size=(60, 8, 8, 3), dtype=np.uint8)
  np.savez(tmp_path / "real.npz", images[:30])
  np.savez(tmp_path / "fake.npz", images[30:])
  flags = (f"--real={tmp_path / 'real.npz'}", f"--fake={tmp_path / 'fake.npz'}")
  own = f"--extractor={write_extractor(tmp_path / 'own.npz', (8, 8, 3))}"
  assert command(*flags, QUICK, own, f"--outdir={tmp_path}") == 0
  assert rows_of(tmp_path)["coverage"]["samples"] == 30


def write_extractor(path, shape, dataset="own"):
  params, _ = classifier.build(shape, 10).init(jax.random.key(0))
  about = {"dataset": dataset, "image_shape": shape, "num_classes": 10}
  path.write_bytes(extractors.to_bytes(params, about))
  return path


# What is refused.


@pytest.fixture
def refused(tmp_path, capsys, monkeypatch):
  """refused(*flags) is the one line with which the command refuses them, writing nothing."""
  monkeypatch.chdir(tmp_path)

  def listed():
    return {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}

  def run(*flags):
    before = listed()
    assert evaluate.main(["evaluate", *flags]) == 2
    captured = capsys.readouterr()
    (line,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert captured.err.splitlines()[-1] == line and "Traceback" not in captured.err
    assert captured.out == "" and listed() == before
    return line

  return run


@pytest.fixture
def pair(tmp_path):
  """pair(real=array, fake=array) gives the flags of two files; what is left out are digits."""
  digits = datasets.load("digits").images[:30]

  def write(**arrays):
    for name in ("real", "fake"):
      np.savez(tmp_path / f"{name}.npz", arrays.get(name, digits))
    return [f"--{name}={tmp_path / f'{name}.npz'}" for name in ("real", "fake")]

  return write


def test_a_run_or_two_sets_have_to_be_named_and_not_both(refused, pair, run):
  real, fake = pair()
  for flags in ((), (real, fake, f"--workdir={run}"), (real, f"--workdir={run}")):
    assert "give --workdir of a run, or --real and --fake" in refused(*flags)
  for flags in ((real,), (fake,)):
    assert "--real and --fake belong together" in refused(*flags)


def test_files_that_are_not_there_are_named(refused, pair, tmp_path):
  real, fake = pair()
  assert "nowhere does not exist" in refused(real, f"--fake={tmp_path}/nowhere")
  assert "nowhere does not exist" in refused(f"--real={tmp_path}/nowhere", fake)
  assert "nowhere is not a run folder" in refused(f"--workdir={tmp_path}/nowhere")
  assert "no extractor nowhere" in refused(real, fake, "--extractor=nowhere")


def test_an_empty_folder_is_refused(refused, pair, tmp_path):
  (tmp_path / "empty").mkdir()
  assert "empty holds no image" in refused(pair()[0], f"--fake={tmp_path / 'empty'}")
  assert "is not a run folder" in refused(f"--workdir={tmp_path / 'empty'}")


@pytest.mark.parametrize(
  "flag", ["--samples=0", "--samples=-1", "--samples=many", "--seed=-1", f"--seed={2**32}"]
)
def test_a_number_out_of_range_is_refused_by_its_flag(refused, run, flag):
  assert flag.split("=")[0].removeprefix("--") in refused(f"--workdir={run}", flag)


@pytest.mark.parametrize("name", ["nosuch", "frechet_distance,nosuch", "", "coverage"])
def test_an_unknown_metric_is_refused_with_the_list(refused, run, name):
  line = refused(f"--workdir={run}", f"--metrics={name}")
  assert "is unknown" in line and "density_coverage" in line and "mixture_modes" in line


def test_a_metric_of_other_data_is_refused_with_those_that_apply(refused, pair):
  flags = (*pair(), "--extractor=digits")
  line = refused(*flags, "--metrics=mixture_modes")
  assert "does not apply here" in line and "coverage" in line
  assert "--metrics=parzen does not apply here" in refused(*flags, "--metrics=parzen")


@pytest.mark.parametrize("count, metric", [(1, "frechet_distance"), (5, "density_coverage")])
def test_too_few_samples_are_refused_with_the_metric(refused, pair, count, metric):
  fake = datasets.load("digits").images[:count]
  line = refused(*pair(fake=fake), "--extractor=digits", f"--metrics={metric}")
  assert metric in line and "take more samples" in line


def test_fewer_training_images_than_bins_are_refused_with_the_metric(refused, pair):
  assert "ndb: there are 30 real samples for 100 bins: take at least 100" in refused(
    *pair(), "--metrics=ndb"
  )


def test_images_of_two_shapes_are_refused_with_both(refused, pair):
  other = np.zeros((30, 16, 16), np.uint8)
  line = refused(*pair(fake=other))
  assert "[28, 28, 1]" in line and "[16, 16, 1]" in line and "brings them to one size" in line


@pytest.mark.parametrize("flags", [(), ("--image_size=8",)])
def test_grey_images_beside_colour_are_refused_with_both(refused, pair, flags):
  line = refused(*pair(fake=np.zeros((30, 16, 16, 3), np.uint8)), *flags)
  assert "grey and colour: convert" in line and "image_size" not in line


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, bool])
def test_images_of_another_type_are_refused_with_the_one_that_is_taken(refused, pair, dtype):
  line = refused(*pair(fake=np.ones((30, 28, 28), dtype)))
  assert np.dtype(dtype).name in line and "uint8 in 0..255" in line


def test_images_that_do_not_match_the_extractor_are_refused_with_both_shapes(refused, pair):
  small, colour = np.zeros((30, 16, 16), np.uint8), np.zeros((30, 16, 16, 3), np.uint8)
  line = refused(*pair(real=small, fake=small), "--extractor=mnist")
  assert "16x16x1 uint8" in line and "28x28x1 uint8" in line
  assert "16x16x3 uint8" in refused(*pair(real=colour, fake=colour), "--extractor=mnist")


def test_an_extractor_of_another_data_set_is_refused(refused, run):
  line = refused(f"--workdir={run}", "--extractor=mnist")
  assert "--extractor=mnist was trained on mnist, the run on digits" in line


def test_an_extractor_of_ones_own_for_the_data_set_is_taken(run, tmp_path):
  own = write_extractor(tmp_path / "own.npz", (28, 28, 1), dataset="digits")
  flags = (f"--extractor={own}", f"--outdir={tmp_path}", QUICK, "--samples=50")
  assert command("--workdir", run, *flags) == 0
  assert rows_of(tmp_path)["coverage"]["extractor"] == extractors.load(own).digest


def test_a_damaged_extractor_is_refused(refused, run, tmp_path):
  (tmp_path / "own.npz").write_bytes(b"no archive")
  line = refused(f"--workdir={run}", f"--extractor={tmp_path / 'own.npz'}")
  assert "own.npz is no extractor or is damaged" in line


def test_data_that_the_run_was_not_trained_on_are_refused(refused, run, monkeypatch):
  load = datasets.load

  def changed(*args):
    dataset = load(*args)
    return dataset._replace(images=dataset.images ^ 1)

  monkeypatch.setattr(datasets, "load", changed)
  assert "is not what" in refused(f"--workdir={run}")


def test_where_nothing_can_be_written_nothing_is_measured(refused, run, tmp_path, monkeypatch):
  monkeypatch.setattr(datasets, "load", lambda *args: pytest.fail("data were loaded"))
  (tmp_path / "file").write_text("mine")
  for path in ("file", "file/below"):
    assert "cannot be written to" in refused(f"--workdir={run}", f"--outdir={tmp_path / path}")


def test_a_run_on_files_without_a_test_split_is_measured_without_reference(tmp_path, capsys):
  np.savez(tmp_path / "own.npz", images=datasets.load("digits").images[:120])
  flags = ["--dataset=own", f"--data_dir={tmp_path / 'own.npz'}", f"--workdir={tmp_path / 'run'}"]
  small = ["--model=mlp", "--latent_dim=4", "--batch_size=6", "--steps=2", "--parallel=none"]
  assert mnist.main(["mnist", *flags, *small]) == 0
  assert "No metrics while training: no extractor of own" in capsys.readouterr().err
  assert evaluate.main(["evaluate", *flags[1:], "--samples=110"]) == 0
  assert "no held-out data" in capsys.readouterr().err
  assert {row["held_out_reference"] for row in rows_of(tmp_path / "run").values()} == {None}


def test_help_lists_every_flag(capsys):
  assert evaluate.main(["evaluate", "--help"]) == 0
  text = capsys.readouterr().out
  flags = ("workdir", "real", "fake", "data_dir", "outdir", "samples", "seed", "extractor")
  assert all(f"--{name}" in text for name in (*flags, "metrics"))
