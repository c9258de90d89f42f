"""An extractor that a run names: in training, resume, evaluation, sweeps and comparisons."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
import threadpoolctl
from conftest import ROOT
from PIL import Image

import gan
from experiments import evaluate, images, ring, sweep
from experiments.cli import common
from gan import UserError
from gan.metrics import extractors
from gan.models import classifier, mlp
from gan.models.spec import to_networks
from gan.report import study
from gan.training import measuring
from gan.training.config import Config
from gan.training.run_folder import EVALUATIONS, read_config, read_metrics, write_json

SMALL = ["--steps=4", "--eval_every=2", "--eval_samples=50", "--model=mlp", "--batch_size=4"]
SMALL += ["--log_every=2", "--latent_dim=4"]
PIXELS = np.random.default_rng(0).integers(256, size=(24, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module", autouse=True)
def tiny_mlp():
  """A model `mlp` that compiles in a moment; threads that wait for others' processors are none."""

  def build(spec):
    generator = mlp.Generator(spec.image_shape, features=(8,), num_classes=0)
    return to_networks(generator, mlp.Discriminator(features=(8,), num_classes=0), spec)

  with threadpoolctl.threadpool_limits(1), pytest.MonkeyPatch.context() as patch:
    patch.setitem(gan.models.MODELS, "mlp", gan.models.Model(build))
    yield


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch, tmp_path, programs_of_the_tests):
  """Tiny colour images in `pictures`, and extractors with weights as they are drawn."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  (tmp_path / "pictures").mkdir()
  for number, pixels in enumerate(PIXELS):
    Image.fromarray(pixels).save(tmp_path / "pictures" / f"{number}.png")
  write("own.npz")
  write("other.npz", seed=1)


def write(path, shape=(8, 8, 3), dataset="images", seed=0):
  params, _ = classifier.build(shape, 2).init(jax.random.key(seed))
  about = {"dataset": dataset, "image_shape": shape, "num_classes": 2}
  pathlib.Path(path).write_bytes(extractors.to_bytes(params, about))


def digest(path):
  return extractors.load(path).digest


def train(*flags, main=images.main, workdir="run"):
  return main(["command", "--data_dir=pictures", f"--workdir={workdir}", *SMALL, *flags])


@pytest.fixture
def refused(capsys):
  """refused(*flags) is the one line with which a command refuses them, beside notices."""

  def run(*flags, **options):
    capsys.readouterr()
    assert train(*flags, **options) == 2
    (line,) = [each for each in capsys.readouterr().err.splitlines() if each.startswith("error: ")]
    return line

  return run


def test_a_run_is_measured_by_the_extractor_that_it_names_and_records_it():
  assert train("--extractor=own.npz") == 0
  records = read_metrics("run", EVALUATIONS)
  assert [record["step"] for record in records] == [2, 4]
  assert {record["extractor"] for record in records} == {digest("own.npz")}
  assert all(record["frechet_distance"] > 0 for record in records)
  record = read_config("run")
  assert record["config"]["extractor"] == os.path.abspath("own.npz")
  assert record["determining"][measuring.DIGEST] == digest("own.npz")


def test_without_an_extractor_a_line_says_how_to_name_one(capsys):
  assert train() == 0
  assert "train_classifier makes one); --extractor=FILE names one" in capsys.readouterr().err
  record = read_config("run")
  assert record["config"]["extractor"] is None and measuring.DIGEST not in record["determining"]


def test_a_run_goes_on_by_the_same_file_wherever_it_lies_and_by_no_other(refused):
  assert train("--extractor=own.npz") == 0
  shutil.move("own.npz", "moved.npz")
  assert train("--extractor=moved.npz", "--steps=6") == 0
  assert [record["step"] for record in read_metrics("run", EVALUATIONS)] == [2, 4, 6]
  there = digest("moved.npz")
  line = refused("--extractor=other.npz", "--steps=8")
  assert f"extractor_digest: {there} there, {digest('other.npz')} here" in line
  shutil.copy("other.npz", "moved.npz")
  assert f"extractor_digest: {there} there" in refused("--extractor=moved.npz", "--steps=8")
  assert "not given here" in refused("--steps=8")


def test_a_run_of_an_earlier_version_goes_on_and_takes_no_extractor(refused):
  assert train() == 0
  record = read_config("run")
  del record["config"]["extractor"]
  write_json(pathlib.Path("run/config.json"), record)
  assert f"not given there, {digest('own.npz')} here" in refused("--extractor=own.npz")
  assert train("--steps=6") == 0
  assert read_config("run")["fingerprint"] == record["fingerprint"]


def test_another_extractor_gets_a_folder_of_its_own():
  plain, config = Config(eval_every=2), Config(eval_every=2, extractor="own.npz")
  other = Config(eval_every=2, extractor="other.npz")
  folders = {
    common.default_workdir("images", each, common.measured_by(each))
    for each in (plain, config, other)
  }
  assert len(folders) == 3 and common.default_workdir("images", plain) in folders


# What cannot be.


def test_a_file_that_cannot_be_read_is_refused_before_anything_is_loaded(refused, monkeypatch):
  monkeypatch.setattr("gan.datasets.load", lambda *args: pytest.fail("data were loaded"))
  content = pathlib.Path("own.npz").read_bytes()
  pathlib.Path("short.npz").write_bytes(content[: len(content) // 2])
  np.savez("set.npz", PIXELS)
  for name in ("nowhere.npz", "pictures"):
    assert f"no extractor {name}" in refused(f"--extractor={name}")
  for name in ("short.npz", "set.npz", "pictures/0.png"):
    assert f"{name} is no extractor or is damaged" in refused(f"--extractor={name}")
  assert "--eval_every above 0" in refused("--extractor=own.npz", "--eval_every=0")
  assert not os.path.exists("run")


@pytest.mark.parametrize(
  "shape, words", [((8, 8, 1), "8x8x1"), ((16, 16, 3), "16x16x3"), ((12, 12, 1), "12x12x1")]
)
def test_an_extractor_of_other_sizes_or_channels_is_refused_with_both(refused, shape, words):
  write("wrong.npz", shape)
  line = refused("--extractor=wrong.npz")
  assert f"--extractor=wrong.npz takes images of {words}, and those of images are 8x8x3" in line
  assert not os.path.exists("run")


def test_points_have_no_extractor(capsys):
  flags = ["--extractor=own.npz", "--steps=2", "--workdir=run"]
  assert ring.main(["ring", *flags]) == 2
  assert "is for images, and ring has points: leave it out" in capsys.readouterr().err


def test_an_extractor_of_other_data_is_said_and_refused_where_the_data_have_one(capsys):
  write("faces.npz", dataset="faces")
  assert train("--extractor=faces.npz") == 0
  assert "The extractor was trained on faces, the run on images." in capsys.readouterr().err
  write("faces.npz", (28, 28, 1), dataset="faces")
  assert images.main(["images", *SMALL, "--dataset=digits", "--extractor=faces.npz"]) == 2
  assert "was trained on faces, the run on digits" in capsys.readouterr().err


def test_an_extractor_is_read_before_a_device_is_asked_for():
  """Processes of several machines join between the two."""
  code = """
from gan.training import measuring
from gan.training.config import Config
assert measuring.read(Config(extractor="own.npz", eval_every=1))
from jax._src import xla_bridge
assert not xla_bridge._backends, list(xla_bridge._backends)
"""
  environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
  subprocess.run([sys.executable, "-c", code], env=environment, check=True)


# Beyond training.


def test_evaluation_takes_the_run_s_own_unless_another_is_named(capsys):
  assert train("--extractor=own.npz") == 0
  flags = ["evaluate", "--workdir=run", "--samples=50", "--metrics=frechet_distance"]

  def measured():
    return json.loads(pathlib.Path("run/evaluation.json").read_text())["extractor"]

  assert evaluate.main(flags) == 0 and measured() == digest("own.npz")
  assert evaluate.main([*flags, "--extractor=other.npz"]) == 0
  assert measured() == digest("other.npz")
  for change in (lambda: shutil.copy("other.npz", "own.npz"), lambda: os.remove("own.npz")):
    there = read_config("run")["determining"][measuring.DIGEST]
    change()
    capsys.readouterr()
    assert evaluate.main(flags) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"the extractor {there}, and {os.path.abspath('own.npz')} is gone or another" in line


def test_all_runs_of_a_sweep_have_its_extractor(capsys, refused):
  flags = ["--experiment=images", "--losses=nonsat,sat", "--seeds=1"]
  assert train(*flags, "--extractor=own.npz", main=sweep.main) == 0
  for run in ("nonsat,seed=0", "sat,seed=0"):
    records = read_metrics(f"run/members/{run}", EVALUATIONS)
    assert {record["extractor"] for record in records} == {digest("own.npz")}
  line = refused(*flags, "--extractor=other.npz", main=sweep.main)
  assert f"extractor_digest: {digest('own.npz')} there" in line
  assert train(*flags, "--extractor=own.npz", main=sweep.main) == 0
  line = refused(*flags, "--grid=extractor=own.npz,other.npz", main=sweep.main)
  assert "runs cannot differ in 'extractor'" in line


def test_values_of_two_extractors_are_not_compared():
  for name in ("own", "other"):
    assert train(f"--extractor={name}.npz", workdir=f"runs/{name}") == 0
  digests = {digest("own.npz"), digest("other.npz")}
  for folders in (["runs"], ["runs/own", "runs/other"]):
    with pytest.raises(UserError) as error:
      study.load(folders)
    line = str(error.value)
    assert "\n" not in line and all(each in line for each in digests)


# A game that is passed.


def fit(steps=2, **options):
  players = gan.models.build("mlp", gan.ModelSpec((8, 8, 3), latent_dim=4))
  options = {"eval_every": 2, "eval_samples": 50, "batch_size": 4} | options
  game = gan.Game(**players._asdict())
  return gan.fit(game, PIXELS, steps=steps, workdir="run", say=lambda line: None, **options)


def test_fit_takes_a_file_or_a_loaded_extractor_and_they_are_the_same(tmp_path, capsys):
  fit(extractor=extractors.load("own.npz"))
  assert read_metrics("run", EVALUATIONS)[-1]["extractor"] == digest("own.npz")
  assert read_config("run")["config"]["extractor"] is None
  with pytest.raises(UserError, match="an extractor that was passed, .*--extractor"):
    measuring.recorded(read_config("run"), "run")
  assert fit(4, extractor=tmp_path / "own.npz").summary["step"] == 4
  (found,) = measuring.recorded(read_config("run"), "run")
  assert found.digest == digest("own.npz")
  with pytest.raises(UserError, match="extractor_digest: .* there, .* here"):
    fit(6, extractor="other.npz")


def test_fit_refuses_what_is_no_extractor_or_is_not_read(unchecked):
  cases = {
    "`extractor=3` must be a name": {"extractor": 3},
    "no extractor nowhere": {"extractor": "nowhere"},
    "extractor is read by eval_every above 0": {"extractor": "own.npz", "eval_every": 0},
    "takes images of 28x28x1": {"extractor": extractors.load("mnist")},
  }
  for words, options in cases.items():
    with pytest.raises(UserError, match=words) as error:
      fit(**options)
    assert "--" not in str(error.value)
  assert not os.path.exists("run")
