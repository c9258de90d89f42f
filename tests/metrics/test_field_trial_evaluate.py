"""What a field trial found in evaluation and in the data of runs, each with its kind."""

import ast
import contextlib
import importlib
import io
import json
import math
import pathlib
import re
import shutil

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from experiments import evaluate as evaluate_command
from experiments import images as images_command
from experiments import mnist, sweep, train_classifier
from gan import datasets, models
from gan.datasets import recorded
from gan.errors import UserError
from gan.metrics import METRICS, Data, Sample, evaluation, extractors
from gan.metrics.density_coverage import density_coverage
from gan.metrics.frechet import frechet_distance, frechet_infinity, gaussian_frechet_distance
from gan.metrics.intervals import score_interval
from gan.metrics.kernel import kernel_distance
from gan.metrics.memorisation import memorisation
from gan.metrics.modes import expected_kl, expected_modes, joint_chances, stacked_modes
from gan.metrics.ndb import ndb
from gan.metrics.parzen import parzen_log_likelihood
from gan.metrics.precision_recall import precision_recall
from gan.models import mlp
from gan.models.spec import to_networks

T = 2.262  # of nine degrees of freedom, 97.5 %
SMALL = ("--model=mlp", "--latent_dim=2", "--batch_size=4", "--steps=1", "--eval_every=0")
SMALL += ("--parallel=none",)


@pytest.fixture(autouse=True)
def apart(offline, monkeypatch, tmp_path):
  """A working directory of its own, no data of the machine's, and an `mlp` that compiles fast."""

  def build(spec):
    shared = {"features": (4,), "num_classes": spec.num_classes}
    generator = mlp.Generator(spec.image_shape, **shared)
    return to_networks(generator, mlp.Discriminator(**shared), spec)

  monkeypatch.setitem(models.MODELS, "mlp", models.Model(build))
  monkeypatch.chdir(tmp_path)


def noise(count, side=8, channels=1, seed=0):
  shape = (count, side, side, channels)
  return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


def write(folder, images):
  folder.mkdir(parents=True)
  for number, image in enumerate(images):
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(folder / f"{number}.png")
  return folder


def told(capsys, main, *flags):
  """(exit code, the lines on stderr)."""
  capsys.readouterr()
  code = main(["command", *map(str, flags)])
  return code, capsys.readouterr().err.splitlines()


def refusal(capsys, main, *flags):
  code, lines = told(capsys, main, *flags)
  assert code == 2 and lines[-1].startswith("error: "), lines
  assert sum(line.startswith("error: ") for line in lines) == 1
  return lines[-1]


# A name carries no state.


@pytest.mark.parametrize("name", ["x_subset", "mnist_subset", "stacked_x"])
def test_a_set_of_any_name_that_trains_can_be_evaluated(monkeypatch, tmp_path, capsys, name):
  np.savez(tmp_path / f"{name}.npz", images=noise(110))
  monkeypatch.setenv("GAN_DATA_DIR", str(tmp_path))
  assert mnist.main(["mnist", f"--dataset={name}", "--workdir=run", *SMALL]) == 0
  monkeypatch.delenv("GAN_DATA_DIR")
  code, lines = told(capsys, evaluate_command.main, "--workdir=run", "--samples=110")
  assert code == 0, lines
  record = json.loads(pathlib.Path("run/config.json").read_text())
  what = {"dataset": name, "split": "train", "data_dir": None, "image_size": None}
  assert record["asked"] == what
  assert (record["data"]["name"], record["data"]["is_part"]) == (name, False)
  assert record["data"]["path"] == str(tmp_path / f"{name}.npz")
  assert record["data"]["sha256"] == record["determining"]["data_sha256"]


@pytest.fixture
def run(tmp_path):
  """A run folder of a part of MNIST, as it was asked for by a path that is not absolute."""
  np.savez(tmp_path / "few.npz", images=noise(110, 28), labels=np.arange(110) % 10)
  flags = ("--dataset=mnist", "--data_dir=few.npz", "--workdir=run")
  assert mnist.main(["mnist", *flags, *SMALL]) == 0
  return tmp_path / "run"


def in_older_form(run):
  """What was asked for is not in it, as in records of before."""
  record = json.loads((run / "config.json").read_text())
  assert record["config"]["dataset"] == "mnist_subset" and record["data"]["is_part"]
  assert record["asked"]["dataset"] == record["data"]["name"] == "mnist"
  del record["asked"], record["data"]
  (run / "config.json").write_text(json.dumps(record))


@pytest.mark.parametrize("older", [False, True])
def test_the_data_of_a_run_are_found_where_they_lay_and_else_by_flag(
  run, tmp_path, monkeypatch, capsys, older
):
  if older:
    in_older_form(run)
  else:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
  flags = (f"--workdir={run}", "--samples=50", "--metrics=frechet_distance")
  assert told(capsys, evaluate_command.main, *flags)[0] == 0
  shutil.move(tmp_path / "few.npz", tmp_path / "moved.npz")
  line = refusal(capsys, evaluate_command.main, *flags)
  assert "was trained on 110 examples of mnist_subset, train" in line and "--data_dir" in line
  assert "few.npz" in line and (older or "which is gone" in line)
  place = f"--data_dir={tmp_path / 'moved.npz'}"
  assert told(capsys, evaluate_command.main, *flags, place)[0] == 0
  # Other images where they lay, or in the place that is named, are told by their digest.
  np.savez(tmp_path / "few.npz", images=noise(110, 28, seed=1), labels=np.arange(110) % 10)
  for more in ((), (f"--data_dir={tmp_path / 'few.npz'}",)):
    line = refusal(capsys, evaluate_command.main, *flags, *more)
    assert "few.npz is not what" in line and "was trained on 110 examples" in line


@pytest.mark.parametrize(
  "damage", [{"data": 1}, {"data": {"name": 3}}, {"asked": []}, {"asked": {"data_dir": 7}}]
)
def test_a_damaged_record_of_the_data_is_as_none(tmp_path, damage):
  images = noise(8)
  np.savez(tmp_path / "own.npz", images=images)
  dataset = datasets.load("own", "train", str(tmp_path / "own.npz"))
  record = {"config": {"dataset": "own", "split": "train", "image_size": None}}
  record["determining"] = {"data_sha256": datasets.digest(dataset)}
  record |= recorded.describe(dataset, datasets.digest(dataset)) | {"source": dataset.source}
  found, load = recorded.reopen(record | damage, "run")
  np.testing.assert_array_equal(found.images, images)
  with pytest.raises(UserError, match="unknown split 'test'"):
    load("test")


def test_what_stands_in_for_another_set_is_found_again_when_that_can_be_had(monkeypatch, tmp_path):
  dataset = datasets.load("auto", "train[:20]")
  record = {"config": {"dataset": "digits", "split": "train[:20]", "image_size": None}}
  record["determining"] = {"data_sha256": datasets.digest(dataset)}
  record |= recorded.describe(dataset, datasets.digest(dataset))
  assert (record["asked"]["dataset"], record["data"]["name"]) == ("auto", "digits")
  np.savez(tmp_path / "mnist.npz", images=noise(30, 28))
  monkeypatch.setenv("GAN_DATA_DIR", str(tmp_path))
  assert datasets.load("auto").name == "mnist_subset"
  assert recorded.reopen(record, "run")[0].name == "digits"


# Images of one's own.


@pytest.mark.parametrize("side, channels", [(7, 1), (13, 3), (24, 3)])
def test_images_of_ones_own_are_trained_on_in_any_size(tmp_path, side, channels, capsys):
  folder = write(tmp_path / "my_photos", noise(12, side, channels))
  flags = (f"--data_dir={folder}", "--workdir=run", *SMALL)
  assert images_command.main(["images", *flags]) == 0
  record = json.loads(pathlib.Path("run/config.json").read_text())
  assert record["image_shape"] == [side, side, channels]
  assert (record["config"]["dataset"], record["num_examples"]) == ("images", 12)


def test_a_folder_in_it_that_is_called_images_is_a_class_as_others_are(tmp_path):
  for name in ("images", "more"):
    write(tmp_path / "own" / name, noise(3))
  dataset = datasets.load("images", "train", str(tmp_path / "own"))
  assert len(dataset.images) == 6 and dataset.num_classes == 2


def test_what_images_of_ones_own_lack_is_told_before_anything_is_made(tmp_path, capsys):
  assert "--data_dir is missing" in refusal(capsys, images_command.main, "--steps=1")
  assert "data_dir" in refusal(capsys, sweep.main, "--experiment=images", "--workdir=s")
  assert not list(tmp_path.glob("runs*"))
  folder = write(tmp_path / "own", noise(6, 30))
  line = refusal(capsys, images_command.main, f"--data_dir={folder}", "--workdir=run", "--steps=1")
  assert "30x30" in line and "28, 32, 64" in line
  assert "--image_size" in line and "--model=mlp" in line


@pytest.mark.parametrize("name, shape", [("mnist", (28, 1)), ("cifar10", (32, 3))])
def test_foreign_images_are_sent_to_the_command_for_them(tmp_path, name, shape):
  np.savez(tmp_path / "few.npz", noise(12, *shape))
  notice = datasets.load(name, "train", str(tmp_path / "few.npz")).notice
  assert "the experiment images, which takes their folder as `data_dir`" in notice
  sizes = {"mnist": 60_000, "cifar10": 50_000}
  many = np.zeros((sizes[name], 1, 1, shape[1]), np.uint8)
  np.savez(tmp_path / "many.npz", images=many, labels=np.zeros(len(many), np.int64))
  with pytest.raises(
    UserError, match="the experiment images, which takes their folder as `data_dir`"
  ):
    datasets.load(name, "train", str(tmp_path / "many.npz"))


# Images of several sizes, and flags that errors name.


@pytest.fixture
def mixed(tmp_path):
  """A folder with two classes in two splits, of images of two sizes that are not square."""
  for split in ("train", "test"):
    for number, name in enumerate("ab"):
      images = noise(6, 12 + number, 1, seed=number)
      write(tmp_path / "mixed" / split / name, images[:, :10])
  return tmp_path / "mixed"


def test_images_of_several_sizes_are_brought_to_one_where_they_are_evaluated(mixed, capsys):
  flags = (f"--real={mixed}", f"--fake={mixed}", "--metrics=ndb")
  assert "image_size" in refusal(capsys, evaluate_command.main, *flags)
  line = refusal(capsys, evaluate_command.main, *flags, "--image_size=8")
  assert "12 real samples" in line
  assert "--image_size=0" in refusal(capsys, evaluate_command.main, *flags, "--image_size=0")


def test_images_of_several_sizes_are_brought_to_one_where_a_classifier_learns(mixed, capsys):
  flags = ("--dataset=own", f"--data_dir={mixed}", "--epochs=1", "--out=own.npz")
  assert "image_size" in refusal(capsys, train_classifier.main, *flags)
  assert "--image_size=-3" in refusal(capsys, train_classifier.main, *flags, "--image_size=-3")
  line = refusal(capsys, train_classifier.main, *flags, "--image_size=7")
  assert "side of 7 pixels" in line and "--image_size" in line
  assert told(capsys, train_classifier.main, *flags, "--image_size=8")[0] == 0
  assert extractors.load("own.npz").image_shape == (8, 8, 1)


def test_training_and_test_images_of_two_sizes_are_no_set_for_a_classifier(tmp_path, capsys):
  arrays = {f"{split}_labels": np.arange(8) % 2 for split in ("train", "test")}
  np.savez(tmp_path / "own.npz", train_images=noise(8), test_images=noise(8, 12), **arrays)
  flags = ("--dataset=own", f"--data_dir={tmp_path / 'own.npz'}")
  line = refusal(capsys, train_classifier.main, *flags)
  assert "8x8x1" in line and "12x12x1" in line and "--image_size" in line


def test_a_run_is_measured_in_another_size(run, capsys):
  flags = (f"--workdir={run}", "--samples=110", "--image_size=8")
  code, lines = told(capsys, evaluate_command.main, *flags)
  assert code == 0 and any("8x8x1" in line for line in lines)
  rows = json.loads((run / "evaluation.json").read_text())["metrics"]
  assert set(rows) == {"ndb_share", "ndb_js"}


COMMANDS = ["mnist", "fashion_mnist", "cifar10", "images", "ring", "sample", "evaluate", "sweep"]
COMMANDS += [
  "compare",
  "theory",
  "train_classifier",
  "losses",
  "scaling",
  "benchmark",
  "small_data",
  "study",
  "best",
  "completion",
]
TRAINING = COMMANDS[:5]
NAMED = re.compile(r"(?<![\w-])--([a-z]\w*)")
BAD = [("--nosuch=1",), ("stray",), ("--seed=-1",), ("--seed=4294967296",)]
BAD_TRAINING = [
  *BAD,
  ("--dataset=nosuch",),
  ("--dataset=digits", "--image_size=0"),
  ("--dataset=digits", "--model=dcgan", "--image_size=29"),
  ("--dataset=digits", "--model=infogan", "--image_size=29"),
  ("--dataset=digits", "--model=tutorial_dcgan"),
  ("--dataset=digits", "--model=goodfellow", "--width=8"),
  ("--dataset=digits", "--model=points"),
  ("--dataset=ring", "--model=dcgan"),
  ("--dataset=own", "--data_dir=mixed"),
  ("--dataset=own", "--data_dir=bare.npz", "--conditional"),
  ("--dataset=own", "--data_dir=nowhere"),
  ("--packing=3", "--batch_size=4"),
  ("--packing=2", "--conditional", "--batch_size=4"),
  ("--update_rule=extragradient", "--discriminator_steps=2"),
  ("--fgan_generator=alternative",),
  ("--lsgan_targets=1,2",),
  ("--b1=1",),
  ("--penalty_weight=3",),
  ("--workdir=bare.npz",),
]
TABLE = [(name, flags) for name in TRAINING[:1] + TRAINING[3:4] for flags in BAD_TRAINING]
TABLE += [("sweep", ("--losses=hinge", "--seeds=1", *flags)) for flags in BAD_TRAINING]
TABLE += [("sweep", (flag,)) for flag in ("--losses=a", "--grid=a", "--grid=b1=x", "--seeds=0")]
TABLE += [("study", (f"--{flag}",)) for flag in ("budget=a", "metric=a", "space=a", "eval_every=0")]
TABLE += [("best", flags) for flags in [*BAD[:2], (), ("--workdir=nowhere",)]]
TABLE += [("sample", flags) for flags in [*BAD, (), ("--workdir=nowhere",)]]
TABLE += [("theory", flags) for flags in [*BAD[:2], ("--case=a",), ("--seeds=0",)]]
TABLE += [("compare", flags) for flags in [*BAD[:2], ("--workdir=nowhere",)]]
TABLE += [("train_classifier", ("--dataset=own", "--data_dir=mixed"))]
TABLE += [("train_classifier", flags) for flags in [*BAD, ("--epochs=0",), ("--dataset=ring",)]]
TABLE += [("train_classifier", ("--dataset=own", "--data_dir=bare.npz"))]
SETS = ("--real=bare.npz", "--fake=bare.npz")
TABLE += [("evaluate", flags) for flags in [*BAD, (), ("--real=bare.npz",), ("--workdir=nowhere",)]]
TABLE += [
  ("evaluate", (*SETS, *flags))
  for flags in [
    ("--metrics=a",),
    ("--metrics=ndb",),
    ("--metrics=parzen",),
    ("--extractor=nowhere",),
    ("--extractor=mnist",),
    ("--data_dir=bare.npz",),
    ("--image_size=-1",),
    ("--fake=mixed",),
    ("--fake=nowhere",),
    ("--samples=0",),
    ("--workdir=a",),
  ]
]


def main_of(name):
  package = (ROOT / "experiments" / name).is_dir()
  return importlib.import_module(f"experiments.{name}{'.__main__' if package else ''}").main


@pytest.fixture(scope="module")
def flags_of():
  found = {}
  for name in COMMANDS:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
      assert main_of(name)(["command", "--helpfull"]) == 0
    found[name] = set(re.findall(r"^  --(\w+):", printed.getvalue(), re.MULTILINE)) | {"help"}
  return found


def test_the_commands_are_those_that_there_are():
  pages = [
    path for path in (ROOT / "experiments").rglob("*.py") if "__name__ ==" in path.read_text()
  ]
  names = {path.parent.name if path.stem == "__main__" else path.stem for path in pages}
  assert names >= set(COMMANDS) and all(callable(main_of(name)) for name in COMMANDS)


def test_every_flag_that_an_error_names_is_one_of_its_command(mixed, tmp_path, flags_of, capsys):
  np.savez(tmp_path / "bare.npz", noise(30))
  for command, flags in TABLE:
    line = refusal(capsys, main_of(command), *flags)
    typed = {flag.split("=")[0].removeprefix("--") for flag in flags}
    # What is told by an example, --name=value, is of no command.
    unknown = set(NAMED.findall(line)) - flags_of[command] - typed - {"name"}
    assert not unknown, f"{command} {' '.join(flags)}: {line}"


def test_every_flag_in_the_text_of_an_error_is_one_that_there_is(flags_of):
  every = set().union(*flags_of.values())
  for path in [*(ROOT / "gan").rglob("*.py"), *(ROOT / "experiments").rglob("*.py")]:
    place = path.relative_to(ROOT).parts
    own = flags_of.get(place[1].removesuffix(".py")) if place[0] == "experiments" else None
    for text in texts_of_errors(path):
      # Another program's own flag is told within backticks.
      unknown = set(NAMED.findall(re.sub("`.*?`", "", text))) - (own or every) - {"name"}
      assert not unknown or "python -m experiments." in text, f"{path}: {text}"


def texts_of_errors(path):
  """What is written in the calls of UserError in a file, without what is computed."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "UserError":
      for part in node.args:
        pieces = part.values if isinstance(part, ast.JoinedStr) else [part]
        yield "".join(str(piece.value) for piece in pieces if isinstance(piece, ast.Constant))


# Few images.


@pytest.fixture(scope="module")
def digits():
  train_set, test = datasets.load("digits", "train[:300]"), datasets.load("digits", "test")
  return train_set, test, extractors.load("digits")


def test_a_metric_that_few_images_do_not_give_is_left_out_with_a_line(tmp_path, capsys):
  np.savez(tmp_path / "few.npz", images=datasets.load("digits").images[:50])
  flags = ("--real=few.npz", "--fake=few.npz", "--extractor=digits")
  code, lines = told(capsys, evaluate_command.main, *flags)
  assert code == 0
  (line,) = [line for line in lines if line.startswith("Left out")]
  assert "ndb" in line and "50 real samples" in line
  record = json.loads(pathlib.Path("evaluation.json").read_text())
  assert {"frechet_distance", "precision", "coverage"} < set(record["metrics"])
  assert "ndb_share" not in record["metrics"] and len(record["left_out"]) == 1
  line = refusal(capsys, evaluate_command.main, *flags, "--metrics=ndb")
  assert "50 real samples" in line and "--metrics" in line


@pytest.mark.parametrize("count", [1, 3, 5, 10, 19, 21])
def test_counts_in_lines_are_those_that_the_user_gave(tmp_path, capsys, count):
  np.savez(tmp_path / "few.npz", images=datasets.load("digits").images[:count])
  flags = ("--real=few.npz", "--fake=few.npz", "--extractor=digits")
  code, lines = told(capsys, evaluate_command.main, *flags)
  assert code == 0
  lines = [line for line in lines if "Left out" in line or "interval" in line]
  assert lines
  for line in lines:
    told_of = re.findall(r"(\d+) (?:real |generated |fake )?(?:samples|and)", line)
    assert told_of and set(told_of) <= {str(count)}, line


def test_held_out_data_that_are_too_few_cost_the_reference_alone(digits):
  train_set, test, extractor = digits
  few = test._replace(images=test.images[:3])
  data = evaluation.make_data(train_set, few, extractor, 50, seed=0)
  fake, lines = evaluation.extract_features(test.images[:50], extractor), []
  row = evaluation.rows(data, fake, ["density_coverage"], 0, lines.append)["coverage"]
  assert row.held_out_reference is None and row.low is not None
  assert len(lines) == 1 and "held-out" in lines[0] and "3 samples" in lines[0]


# Intervals.


@pytest.mark.filterwarnings("error")
def test_an_interval_holds_its_value_and_stays_in_its_range():
  rng = np.random.default_rng(0)
  ranges = [(0, 1), (0, math.inf), (1, 10), (0, 0.1), (0.1, 1), (-math.inf, math.inf)]
  for low, high in ranges:
    least, largest = max(low, -5.0), min(high, 5.0) if math.isinf(high) else high
    middle = rng.uniform(least, largest, 200)
    for value in [least, largest, *middle, least + 1e-12]:
      for error in (0.0, 1e-300, 1e-9, *rng.exponential(size=5), 1e9):
        for count in (None, 50) if low >= 0 and high <= 1 else (None,):
          ends = score_interval(value, error, T, (low, high), count)
          assert low <= ends[0] <= value <= ends[1] <= high
          assert all(map(math.isfinite, ends))


def test_a_small_error_gives_students_interval_and_an_unbounded_range_always():
  for bounds, value in [((0, 1), 0.4), ((0, math.inf), 3.0), ((1, 10), 4.0)]:
    low, high = score_interval(value, 1e-4, T, bounds)
    assert (value - low, high - value) == pytest.approx((T * 1e-4, T * 1e-4), rel=1e-2)
  assert score_interval(0.1, 2, T) == pytest.approx((0.1 - 2 * T, 0.1 + 2 * T))


def test_at_the_end_of_its_range_a_share_has_wilsons_interval_of_its_count():
  # n / (n + z^2) for n of n.
  low, high = score_interval(1.0, 0.0, 1.96, (0, 1), 50)
  assert high == 1 and low == pytest.approx(50 / (50 + 1.96**2))
  low, high = score_interval(0.0, 0.0, 1.96, (0, 0.5), 50)
  assert low == 0 and high == pytest.approx(1.96**2 / (50 + 1.96**2))


def test_at_the_end_of_its_range_what_is_no_share_has_an_interval_of_its_error():
  # (0 - m)^2 = q^2 e m; and with m (1 - m) in the place of m.
  assert score_interval(0.0, 0.2, T, (0, math.inf)) == pytest.approx((0, T**2 * 0.2))
  weight = T**2 * 0.01
  low, high = score_interval(1.0, 0.09, T, (1, 10))
  assert low == 1 and high == pytest.approx(1 + 9 * weight / (1 + weight))


@pytest.mark.parametrize("share, count", [(0.02, 50), (0.3, 50), (0.99, 200), (1.0, 50)])
def test_the_interval_of_a_share_holds_it_as_often_as_it_says(share, count):
  hits, rng = [], np.random.default_rng(0)
  for _ in range(600):
    draws = rng.random(count) < share
    halves = [rng.permutation(draws)[: count // 2].mean() for _ in range(10)]
    ends = score_interval(draws.mean(), np.std(halves, ddof=1), T, (0, 1), count)
    hits.append(ends[0] <= share <= ends[1])
  assert np.mean(hits) > 0.92


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_the_intervals_of_metrics_hold_their_mean_as_often_as_they_say(shift):
  names, drawn, held = ("frechet_distance", "density_coverage"), [], []

  def numbers(seed, errors):
    rng = np.random.default_rng([int(shift), seed])
    real, fake = (Sample(np.empty((60, 0)), rng.normal(size=(60, 3))) for _ in range(2))
    fake.features[:, 0] += shift
    data = Data(real, real, None)
    if errors:
      return evaluation.rows(data, fake, names, seed)
    return evaluation.measure(data, fake, names, seed)

  drawn = [numbers(seed, False) for seed in range(1000, 1300)]
  mean = {name: np.mean([values[name].value for values in drawn]) for name in drawn[0]}
  for seed in range(60):
    rows = numbers(seed, True)
    held.append([row.low <= mean[name] <= row.high for name, row in rows.items()])
  assert (np.mean(held, axis=0) > 0.85).all()


def test_every_number_with_a_direction_has_a_range_and_lies_in_it(digits):
  train_set, test, extractor = digits
  data = evaluation.make_data(train_set, test, extractor, 200, seed=0)
  constant = np.zeros((200, 28, 28, 1), np.uint8)
  for images in (test.images[:200], noise(200, 28), constant, train_set.images[:200]):
    fake = evaluation.extract_features(images, extractor)
    for name in evaluation.applicable(data):
      ranges = METRICS[name].range(data)
      assert set(ranges) == set(METRICS[name].better)
      rows = evaluation.rows(data, fake, [name], 0, lambda line: None)
      for number, (low, high) in ranges.items():
        row = rows[number]
        assert low - 1e-9 <= row.value <= high + 1e-9, number
        assert row.low is None or low - 1e-9 <= row.low <= row.value <= row.high <= high + 1e-9


# Floors.


def test_modes_of_unequal_chance_have_the_reference_of_their_chances():
  # Two draws from (p, 1 - p): both equal with p^2 + (1 - p)^2, and then one mode of two is hit.
  p = 0.8
  one = p**2 + (1 - p) ** 2
  assert expected_modes(2, np.array([p, 1 - p])) == pytest.approx(one + 2 * (1 - one))
  assert expected_kl(2, np.array([p, 1 - p])) == pytest.approx(one * math.log(2))
  # Endless samples leave the divergence of the chances themselves.
  exact = math.log(2) + p * math.log(p) + (1 - p) * math.log(1 - p)
  assert expected_kl(100_000, np.array([p, 1 - p])) == pytest.approx(exact, abs=1e-5)
  assert expected_kl(50, np.full(8, 1 / 8)) == pytest.approx(expected_kl(50, 8), rel=1e-12)
  assert expected_modes(50, np.full(8, 1 / 8)) == pytest.approx(expected_modes(50, 8), rel=1e-12)


def test_channels_that_are_drawn_alone_have_the_product_of_their_chances():
  labels = np.array([[0, 1], [0, 1], [1, 1], [0, 0]])
  np.testing.assert_allclose(joint_chances(labels, 2), [3 / 16, 9 / 16, 1 / 16, 3 / 16])


def test_the_reference_of_stacks_is_what_a_sampler_of_these_digits_scores(data_root):
  if not (data_root / "mnist").is_dir():
    pytest.skip(f"no mnist in {data_root}")
  digits = datasets.load("mnist", "train", str(data_root)).labels
  chances = joint_chances(np.repeat(digits[:, None], 3, axis=1), 10)
  assert expected_kl(26_000, chances) == pytest.approx(0.0237, abs=0.0005)
  assert expected_kl(26_000, 1000) == pytest.approx(0.0193, abs=0.0001)
  rng, scores = np.random.default_rng(0), []
  for _ in range(12):
    drawn = rng.choice(digits, (26_000, 3))
    scores.append(stacked_modes(np.eye(10, dtype=np.float32)[drawn])[1])
  error = np.std(scores, ddof=1) / math.sqrt(len(scores))
  assert expected_kl(26_000, chances) == pytest.approx(np.mean(scores), abs=4 * error)


def seen_stacks(shares, count, kind, seed=0):
  """Data of stacks of two channels with these shares, seen by a classifier that never errs."""
  labels = np.random.default_rng(seed).choice(len(shares), (count, 2), p=shares)
  probabilities = np.eye(len(shares))[labels]
  sample = Sample(np.zeros((count, 4, 4, 3), np.uint8), np.zeros((count, 2)), probabilities)
  dataset = datasets.Dataset(kind, sample.examples, None, 0, "here")
  return sample, dataset


def test_stacks_are_given_the_reference_of_their_own_shares_and_other_sets_that_of_held_out(
  monkeypatch,
):
  shares = [0.7, 0.2, 0.1]
  sample, dataset = seen_stacks(shares, 4000, "stacked_mnist")
  monkeypatch.setattr(evaluation, "_extract_from_data", lambda images, extractor: sample)
  data = evaluation.make_data(dataset, dataset, None, 100, seed=0)
  reference = evaluation.held_out_references(data, ["stacked_modes"], 100, seed=0)
  chances = np.multiply.outer(shares, shares).ravel()
  assert reference["modes_kl"].value == pytest.approx(expected_kl(100, chances), rel=0.05)
  assert reference["modes"].value == pytest.approx(expected_modes(100, chances), rel=0.05)
  # Channels of another set need not be drawn alone.
  data = evaluation.make_data(dataset._replace(name="images"), dataset, None, 100, seed=0)
  held_out = evaluation.held_out_references(data, ["stacked_modes"], 100, seed=0)
  expected = evaluation.measure(
    data, evaluation.held_out_sample(data, 100, 0), ["stacked_modes"], 0
  )
  assert held_out == expected
  data = evaluation.make_data(dataset._replace(name="images"), None, None, 100, seed=0)
  assert evaluation.held_out_references(data, ["stacked_modes"], 100, seed=0) == {}


# Features of any size.

PAIRS = {
  "frechet_distance": lambda real, fake, rng: frechet_distance(real, fake),
  "frechet_infinity": lambda real, fake, rng: frechet_infinity(real, fake, rng)[0],
  "kernel_distance": lambda real, fake, rng: kernel_distance(real, fake, rng),
  "precision_recall": lambda real, fake, rng: precision_recall(real, fake),
  "density_coverage": lambda real, fake, rng: density_coverage(real, fake),
  "memorisation": lambda real, fake, rng: memorisation(real[:20], real[20:], fake).ratio,
  "ndb": lambda real, fake, rng: ndb(real, fake, rng, bins=3),
  "parzen": lambda real, fake, rng: parzen_log_likelihood(fake, real[:20], real[20:]).mean,
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e-200, 1e-30, 1e-10, 1.0, 1e10, 1e23, 1e60, 1e100, 1e155, 1e200])
@pytest.mark.parametrize("metric", PAIRS)
def test_features_of_any_size_have_finite_numbers_or_one_line(metric, size):
  rng = np.random.default_rng(0)
  real, fake = rng.normal(size=(40, 3)) * size, rng.normal(size=(40, 3)) * size
  try:
    assert np.isfinite(PAIRS[metric](real, fake, np.random.default_rng(0))).all()
    assert size < 1e100
  except UserError as error:
    assert re.search("features are (as large as|no larger than) .*moderate size", str(error))
    assert not 1e-30 <= size <= 1e10 and "\n" not in str(error)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", PAIRS)
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("value", [1e200, -1e200, math.nan, math.inf])
def test_one_feature_that_is_no_number_or_too_large_is_refused_by_all_metrics(metric, which, value):
  sets = [np.random.default_rng(seed).normal(size=(40, 3)) for seed in (0, 1)]
  sets[which][7, 1] = value
  with pytest.raises(UserError, match="are as large as 1e.200|hold NaN or infinity") as refused:
    PAIRS[metric](*sets, np.random.default_rng(0))
  assert "\n" not in str(refused.value)


@pytest.mark.parametrize("mean, cov", [(1e200, 1.0), (0.0, 1e200)])
def test_moments_that_are_too_large_are_refused(mean, cov):
  with pytest.raises(UserError, match="moderate size"):
    gaussian_frechet_distance(np.full(2, mean), np.eye(2) * cov, np.zeros(2), np.eye(2))


def test_points_of_a_generator_that_left_the_plane_are_still_counted(tmp_path):
  # A float32 reaches 3e38: these are bad samples, not bad input.
  data = Data(Sample(np.zeros((5, 2))), Sample(np.zeros((5, 2))), None, evaluation.MIXTURES["ring"])
  fake = Sample(np.full((50, 2), 3e38))
  assert evaluation.measure(data, fake, ["mixture_modes"], 0)["high_quality_share"].value == 0
