"""Every experiment as a user runs it, in process and for two steps."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
from PIL import Image

from experiments import cifar10, fashion_mnist, mnist, ring, sample, sweep
from experiments.cli import command, common, console
from experiments.study.__main__ import main as study_main
from gan.losses import of_logits
from gan.method.update_rules import adversarial_rules
from gan.models import MODELS
from gan.regularizers import REGULARIZERS
from gan.training import pictures
from gan.training.config import Config
from gan.training.presets import PRESETS
from gan.training.run_folder import read_config, read_metrics, read_summary

DIGITS = ("--dataset=digits", "--split=train[:40]")
TWO_STEPS = ("--steps=2", "--batch_size=4", "--log_every=1", "--latent_dim=8", "--parallel=none")
TWO_STEPS += ("--eval_every=0",)
# What makes a model small, or lets it make images at all, and a loss that it has logits for.
SIZES = {"dcgan": ["--width=4"], "firstgan_dcgan": ["--image_size=64"]}
SIZES |= {
  "autoencoder": ["--width=4", "--loss=ebgan"],
  "tutorial_dcgan": ["--image_size=64"],
  "resnet": ["--width=4"],
}
NARROW = {"stylegan2": 4, "sndcgan": 4, "r3gan": 8, "r3gan_small": 24}
NARROW |= {"biggan": 1}
SIZES |= {"sagan": ["--image_size=16", "--width=1"]}
SIZES |= {name: ["--image_size=8", f"--width={width}"] for name, width in NARROW.items()}
POINTS = {"points", "pacgan"}
OF_OTHER_SIDES = {"firstgan_dcgan", "tutorial_dcgan", "sagan", *NARROW}
MODELS_OF_28_PIXELS = sorted(set(MODELS) - POINTS - OF_OTHER_SIDES)
OTHER_LOSSES = sorted({*of_logits()} - {"nonsat"})


pytestmark = pytest.mark.usefixtures("programs_of_the_tests")


@pytest.fixture
def run(tmp_path):
  """run(main, *flags) is the run folder of a command that finished."""

  def train(main, *flags):
    workdir = tmp_path / "run"
    assert main(["command", f"--workdir={workdir}", *flags]) == 0
    check(workdir)
    return workdir

  return train


def check(workdir):
  """A finished run has finite metrics, a picture and its status."""
  records = read_metrics(workdir)
  assert records and read_summary(workdir)["status"] == "finished"
  for record in records:
    numbers = [value for value in record.values() if not isinstance(value, str)]
    assert len(numbers) > 10 and all(math.isfinite(number) for number in numbers)
  assert records[-1]["generator_gradient_norm"] > 0
  assert records[-1]["discriminator_gradient_norm"] > 0
  (last,) = (workdir / "samples").glob(f"step_{records[-1]['step']:08d}.png")
  with Image.open(last) as picture:
    assert picture.convert("L").getextrema()[0] < 255


def drawn(workdir):
  """Names of what `experiments.sample` draws from a run."""
  assert sample.main(["sample", f"--workdir={workdir}"]) == 0
  return sorted(path.name for path in (workdir / "drawn").iterdir())


# Losses and models.


@pytest.mark.parametrize("loss", OTHER_LOSSES)
def test_every_loss_trains(run, loss):
  workdir = run(ring.main, *TWO_STEPS, f"--loss={loss}")
  assert [record["loss"] for record in read_metrics(workdir)] == [loss] * 2


# Those that a quick test trains by their preset.
BY_PRESET = {"biggan", "firstgan_dcgan", "goodfellow", "r3gan_small", "resnet", "tutorial_dcgan"}


@pytest.mark.parametrize(
  "model",
  [
    pytest.param(name, marks=pytest.mark.slow if name in BY_PRESET else ())
    for name in sorted(set(MODELS) - POINTS)
  ],
)
def test_every_model_trains(run, model):
  flags = SIZES.get(model, [])
  workdir = run(mnist.main, *DIGITS, *TWO_STEPS, f"--model={model}", "--loss=nonsat", *flags)
  assert read_config(workdir)["config"]["model"] == model


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(set(MODELS_OF_28_PIXELS) - {"dcgan", "autoencoder"}))
@pytest.mark.parametrize("loss", OTHER_LOSSES)
def test_every_loss_trains_every_model(run, loss, model):
  run(mnist.main, *DIGITS, *TWO_STEPS, f"--model={model}", f"--loss={loss}", *SIZES.get(model, []))


@pytest.mark.parametrize("rule", adversarial_rules())
def test_every_update_rule_trains(run, rule):
  own = {"unrolled": ["--unrolled_steps=1"], "consensus": ["--consensus_weight=0.1"]}
  workdir = run(ring.main, *TWO_STEPS, *own.get(rule, []), f"--update_rule={rule}")
  assert read_config(workdir)["config"]["update_rule"] == rule


def test_drifting_trains_and_records_nothing_of_the_discriminator(tmp_path, capsys):
  flags = [*TWO_STEPS, "--update_rule=drifting", f"--workdir={tmp_path / 'run'}"]
  assert ring.main(["command", *flags]) == 0
  last = read_metrics(tmp_path / "run")[-1]
  assert last["generator_gradient_norm"] > 0 and last["drifting_field"] > 0
  assert not [name for name in last if name.startswith(("discriminator_l", "real", "fake"))]
  assert f"  G {last['generator_loss']:.3f}  " in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp", "dcgan", "resnet"])
@pytest.mark.parametrize("augment", ["mirror", "diffaugment", "ada:bgcfnc"])
def test_every_augmentation_trains(run, augment, model):
  strength = [] if augment == "mirror" else ["--augment_strength=0.5"]
  flags = (f"--model={model}", f"--augment={augment}", *strength, *SIZES.get(model, []))
  workdir = run(mnist.main, *DIGITS, *TWO_STEPS, *flags, "--steps=3")
  assert read_metrics(workdir)[-1]["step"] == 3


# Those of modern networks have a file of their own.
OLD_PRESETS = [name for name in PRESETS if not re.search("cifar10|r3gan", name)]


@pytest.mark.parametrize("preset", OLD_PRESETS)
def test_every_preset_trains(run, preset):
  points = PRESETS[preset]["model"] in POINTS
  flags = ("--dataset=grid", *TWO_STEPS) if points else (*DIGITS, *TWO_STEPS)
  workdir = run(ring.main if points else mnist.main, *flags, f"--preset={preset}")
  config = read_config(workdir)["config"]
  given = {"split", "steps", "batch_size", "latent_dim"}
  expected = {name: value for name, value in PRESETS[preset].items() if name not in given}
  assert {name: config[name] for name in expected} == expected
  assert config["batch_size"] == 4


def test_several_discriminator_updates_a_step_are_counted(run):
  flags = ("--model=dcgan", "--width=4", "--discriminator_steps=2")
  last = read_metrics(run(mnist.main, *DIGITS, *TWO_STEPS, *flags))[-1]
  assert (last["step"], last["discriminator_steps"], last["images"]) == (2, 4, 16)


@pytest.mark.parametrize("model", ["mlp", "dcgan"])
def test_a_conditional_run_draws_its_classes(run, model):
  flags = (f"--model={model}", "--conditional", *SIZES.get(model, []))
  workdir = run(mnist.main, *DIGITS, *TWO_STEPS, *flags)
  assert drawn(workdir) == ["classes.png", "grid.png", "interpolation.png"]


def test_sample_draws_the_same_again_and_another_seed_draws_another(run, tmp_path):
  workdir = run(mnist.main, *DIGITS, *TWO_STEPS, "--model=dcgan", "--width=4")
  assert drawn(workdir) == ["grid.png", "interpolation.png"]
  content = {}
  for name, seed in (("first", 1), ("second", 1), ("third", 2)):
    flags = [f"--workdir={workdir}", f"--outdir={tmp_path / name}", f"--seed={seed}"]
    assert sample.main(["sample", *flags]) == 0
    with Image.open(tmp_path / name / "grid.png") as picture:
      content[name] = np.asarray(picture)[40:]  # without the title
  assert np.array_equal(content["first"], content["second"])
  assert not np.array_equal(content["first"], content["third"])


# The other experiments, on files of the same form as the published ones.


@pytest.mark.parametrize(
  "experiment, shape", [(fashion_mnist, (28, 28, 1)), (cifar10, (32, 32, 3))]
)
def test_an_experiment_trains_on_local_files_and_says_that_they_are_a_part(
  run, offline, tmp_path, experiment, shape
):
  name = experiment.DEFAULTS.dataset
  images = np.random.default_rng(0).integers(256, size=(12, *shape), dtype=np.uint8)
  np.savez(tmp_path / "part.npz", images=images, labels=np.arange(12) % 10)
  data = f"--data_dir={tmp_path / 'part.npz'}"
  workdir = run(experiment.main, *TWO_STEPS, "--width=4", data)
  assert {record["dataset"] for record in read_metrics(workdir)} == {f"{name}_subset"}
  assert read_config(workdir)["image_shape"] == list(shape)
  assert drawn(workdir) == ["grid.png", "interpolation.png"]


@pytest.mark.parametrize("dataset", ["ring", "grid"])
def test_points_train_and_are_drawn(run, dataset):
  workdir = run(ring.main, f"--dataset={dataset}", *TWO_STEPS)
  assert read_config(workdir)["image_shape"] == [2]
  assert drawn(workdir) == ["grid.png"]


# Real data, and where there are none.


def test_real_mnist_trains(run, data_root):
  if not (data_root / "mnist").is_dir():
    pytest.skip(f"no mnist in {data_root}")
  flags = ("--dataset=mnist", "--width=4", "--batch_size=16", "--steps=20", "--log_every=5")
  workdir = run(mnist.main, *flags, "--parallel=none")
  records = read_metrics(workdir)
  assert [record["step"] for record in records] == [5, 10, 15, 20]
  assert {record["dataset"] for record in records} == {"mnist"}
  assert records[-1]["epoch"] == pytest.approx(20 * 16 / 60_000)
  assert read_config(workdir)["num_examples"] == 60_000


def test_auto_takes_mnist_where_it_is(run, data_root):
  if not (data_root / "mnist").is_dir():
    pytest.skip(f"no mnist in {data_root}")
  workdir = run(mnist.main, *TWO_STEPS, "--width=4", "--split=train[:40]")
  assert read_config(workdir)["config"]["dataset"] == "mnist"


def test_auto_without_mnist_says_digits_in_every_place(run, offline, monkeypatch, capsys):
  titles, image_grid = [], pictures.image_grid

  def noted(images, columns, title, rows=()):
    titles.append(title)
    return image_grid(images, columns, title, rows)

  monkeypatch.setattr(pictures, "image_grid", noted)
  workdir = run(mnist.main, *TWO_STEPS, "--model=mlp")
  banner = [line for line in capsys.readouterr().err.splitlines() if "MNIST was not found" in line]
  assert len(banner) == 1 and "digits" in banner[0]
  config = read_config(workdir)
  assert config["config"]["dataset"] == config["determining"]["dataset"] == "digits"
  assert "digits" in config["source"]
  assert {record["dataset"] for record in read_metrics(workdir)} == {"digits"}
  assert read_summary(workdir)["dataset"] == "digits"
  drawn(workdir)
  assert len(titles) == 3 and all(title.startswith("digits ") for title in titles)


def test_a_run_on_digits_is_not_continued_on_mnist(run, offline, tmp_path, capsys):
  workdir = run(mnist.main, *TWO_STEPS, "--model=mlp")
  np.savez(tmp_path / "mnist.npz", images=np.zeros((8, 28, 28), np.uint8))
  flags = [*TWO_STEPS, "--model=mlp", f"--data_dir={tmp_path}", f"--workdir={workdir}"]
  assert mnist.main(["mnist", *flags]) == 2
  assert "dataset: digits there, mnist_subset here" in capsys.readouterr().err


# Command lines.


def flags_by_group(text):
  """{group: its flags} as a help lists them."""
  groups = {}
  for line in text.splitlines():
    if line and not line.startswith(" ") and line.endswith(":"):
      groups[line[:-1]] = names = []
    elif line.startswith("  --") and groups:
      names.append(line.split("--")[1].split(":")[0])
  return groups


@pytest.mark.parametrize("main", [mnist.main, fashion_mnist.main, cifar10.main, ring.main])
def test_the_full_help_lists_every_flag_under_its_group(main, capsys):
  assert main(["command", "--helpfull"]) == 0
  groups = flags_by_group(capsys.readouterr().out)
  for field in dataclasses.fields(Config):
    assert field.name in groups[field.metadata["group"]]
  assert sum(map(len, groups.values())) == len(
    {name for names in groups.values() for name in names}
  )
  assert {"workdir", "data_dir", "preset"} <= {name for names in groups.values() for name in names}


@pytest.mark.parametrize("main", [mnist.main, cifar10.main, ring.main, sweep.main, study_main])
def test_help_fits_two_screens_and_counts_what_it_leaves_out(main, capsys):
  assert main(["command", "--helpfull"]) == 0
  every = flags_by_group(capsys.readouterr().out)
  assert main(["command", "--help"]) == 0
  text = capsys.readouterr().out
  assert len(text.splitlines()) <= 100 and max(map(len, text.splitlines())) <= 100
  shown = flags_by_group(text)
  assert all(set(names) <= set(every[group]) for group, names in shown.items())
  rare = sum(map(len, every.values())) - sum(map(len, shown.values()))
  assert f"\n{rare} more flags" in text and "--helpfull" in text
  assert {"workdir", "data_dir", "plugin"} <= {name for names in shown.values() for name in names}


def test_help_says_what_options_of_parts_mean_and_which_names_a_list_takes(capsys):
  assert cifar10.main(["command", "--helpfull"]) == 0
  text = " ".join(capsys.readouterr().out.split())
  assert "--shared_embedding: length of a vector of each label that all norms" in text
  assert "(--model=biggan, sagan)" in text and ": option (" not in text
  assert f"--regularizers: <{' | '.join(sorted(REGULARIZERS))}>: further terms" in text


@pytest.mark.parametrize(
  "typed",
  [
    *(("train", name) for name in console.EXPERIMENTS),
    *((name,) for name in ("train", *command.CONSOLE)),
  ],
  ids=" ".join,
)
def test_help_of_a_console_command_names_console_commands(typed, monkeypatch, capsys):
  name, *experiment = typed
  monkeypatch.setattr("sys.argv", [f"gan-{name}", *experiment, "--help"])
  assert getattr(console, name)() == 0
  text = capsys.readouterr().out
  assert f"\n  {' '.join([f'gan-{name}', *experiment])} " in text
  assert "experiments." not in text


def test_help_of_a_module_names_modules(capsys):
  assert mnist.main(["mnist.py", "--help"]) == 0
  assert "\n  python -m experiments.mnist --loss=nonsat\n" in capsys.readouterr().out


def test_help_of_sample_lists_its_flags(capsys):
  assert sample.main(["sample", "--help"]) == 0
  text = capsys.readouterr().out
  assert all(f"--{name}" in text for name in ("workdir", "outdir", "seed"))


def test_the_default_folder_depends_on_what_determines_the_run():
  def folder(**values):
    return common.default_workdir("mnist", dataclasses.replace(mnist.DEFAULTS, **values))

  assert folder().startswith("runs/mnist/nonsat-dcgan-")
  assert folder(steps=7) == folder(parallel="none") == folder()
  assert len({folder(), folder(seed=1), folder(width=8), folder(loss="sat")}) == 4


def test_without_a_workdir_the_default_folder_is_used(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert mnist.main(["mnist", *DIGITS, *TWO_STEPS, "--model=mlp"]) == 0
  (path,) = tmp_path.glob("runs/mnist/nonsat-mlp-*/config.json")
  record = json.loads(path.read_text())
  assert record["config"]["model"] == "mlp"
  assert record["command"].startswith("python -m experiments.mnist --dataset=digits ")
