"""What a user can get wrong: one line that says so, exit code 2, and nothing on disk is lost."""

import gzip
import json
import os
import subprocess
import sys
import time

import jax
import kill_and_resume
import numpy as np
import pytest

from experiments import mnist, ring, sample
from gan import datasets, models
from gan.losses import LOSSES
from gan.models import mlp
from gan.models.spec import to_networks
from gan.training.presets import PRESETS
from gan.training.run_folder import read_summary

QUICK = ("--dataset=digits", "--split=train[:20]", "--model=mlp", "--latent_dim=4")
QUICK += ("--batch_size=4", "--steps=2", "--checkpoint_every=1", "--parallel=none")
QUICK += ("--eval_every=0",)


@pytest.fixture(autouse=True)
def offline_and_quick(offline, monkeypatch):
  """No network, no data of the machine's own, and a model `mlp` that compiles in a moment."""

  def build(spec):
    generator = mlp.Generator(spec.image_shape, features=(4,), num_classes=spec.num_classes)
    discriminator = mlp.Discriminator(features=(4,), dropout=0.0, num_classes=spec.num_classes)
    return to_networks(generator, discriminator, spec)

  monkeypatch.setitem(models.MODELS, "mlp", models.Model(build))


@pytest.fixture
def refused(tmp_path, capsys):
  """refused(*flags) is the one line with which a command refuses them."""

  def run(*flags, main=mnist.main, workdir=tmp_path / "run"):
    before = everything_in(tmp_path)
    own = () if workdir is None else (f"--workdir={workdir}",)
    assert main(["command", *own, *flags]) == 2
    lines = capsys.readouterr().err.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1 and lines[-1] == errors[0] and len(errors[0]) > len("error: ")
    assert not any("Traceback" in line for line in lines)
    after = everything_in(tmp_path)
    assert {path: after.get(path) for path in before} == before
    return errors[0]

  return run


def everything_in(folder):
  return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def trained_run(tmp_path, capsys):
  folder = tmp_path / "run"
  assert mnist.main(["mnist", f"--workdir={folder}", *QUICK]) == 0
  capsys.readouterr()
  return folder


@pytest.fixture
def no_loading(monkeypatch):
  """Loading data fails the test."""
  monkeypatch.setattr(datasets, "load", lambda *args: pytest.fail("data were loaded"))


# Names.


@pytest.mark.parametrize(
  "flag, names", [("loss", LOSSES), ("model", models.MODELS), ("preset", PRESETS)]
)
def test_an_unknown_name_is_refused_with_the_list(refused, no_loading, flag, names):
  line = refused(f"--{flag}=nosuch")
  assert f"--{flag}=nosuch" in line and all(name in line for name in names)


def test_an_unknown_data_set_is_refused_with_the_list(refused):
  line = refused("--dataset=nosuch")
  assert "nosuch" in line and all(name in line for name in datasets.DATASETS)


def test_what_is_refused_leaves_no_new_folder(refused, tmp_path):
  refused("--dataset=nosuch")
  refused("--dataset=digits", "--model=points")
  assert not (tmp_path / "run").exists()


def test_an_unknown_flag_is_refused_with_a_near_one(refused, no_loading):
  line = refused("--los=sat")
  assert "'los'" in line and "loss" in line


def test_a_stray_argument_is_refused(refused, no_loading):
  assert "stray" in refused("stray")


# Numbers.


@pytest.mark.parametrize(
  "flag",
  ["--steps=-1", "--steps=0", "--batch_size=-4", "--batch_size=0", "--latent_dim=-1"]
  + ["--image_size=-28", "--width=0", "--discriminator_steps=0", "--seed=-1", "--b1=1"]
  + ["--real_label=2", "--log_every=0", "--generator_learning_rate=-1"],
)
def test_a_size_that_cannot_be_is_refused_by_its_flag(refused, no_loading, flag):
  assert flag.split("=")[0] in refused(flag)


@pytest.mark.parametrize("flag", ["--steps=many", "--steps=1.5", "--b1=x", "--conditional=maybe"])
def test_a_value_of_another_type_is_refused_by_its_flag(refused, no_loading, flag):
  assert flag.split("=")[0].removeprefix("--") in refused(flag)


@pytest.mark.parametrize("flag", ["--steps", "--workdir"])
def test_a_flag_without_its_value_is_refused(refused, no_loading, flag):
  assert flag in refused(flag, workdir=None)


@pytest.mark.skipif(jax.local_device_count() < 2, reason="every batch is divisible by one device")
def test_a_batch_that_devices_cannot_share_is_refused_before_data_are_loaded(refused, no_loading):
  assert "--batch_size=7 is not divisible by the 2 devices" in refused("--batch_size=7")


def test_an_option_of_another_loss_is_refused(refused, no_loading):
  assert "--fgan_generator" in refused("--loss=hinge", "--fgan_generator=nonsat")


# Models.


@pytest.mark.parametrize(
  "flags",
  [
    ("--model=dcgan", "--image_size=29"),
    ("--model=infogan", "--image_size=30"),
    ("--model=firstgan_dcgan",),
    ("--model=tutorial_dcgan", "--image_size=32"),
    ("--model=points",),
    ("--model=goodfellow", "--width=8"),
  ],
)
def test_what_a_model_cannot_do_is_refused_by_its_name(refused, flags):
  assert flags[0] in refused("--dataset=digits", *flags)


def test_images_of_points_are_refused(refused):
  assert "--model=dcgan" in refused("--model=dcgan", main=ring.main)
  assert "image_size" in refused("--image_size=28", main=ring.main)


# Data.


def idx(array):
  header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
  return header + array.tobytes()


@pytest.fixture
def idx_files(tmp_path):
  folder = tmp_path / "files"
  folder.mkdir()
  images = np.random.default_rng(0).integers(256, size=(12, 28, 28), dtype=np.uint8)
  for stem in ("train", "t10k"):
    (folder / f"{stem}-images-idx3-ubyte").write_bytes(idx(images))
    (folder / f"{stem}-labels-idx1-ubyte").write_bytes(idx(np.arange(12, dtype=np.uint8) % 10))
  return folder


def truncate(folder):
  path = folder / "train-images-idx3-ubyte"
  path.write_bytes(path.read_bytes()[:-100])


def truncate_packed(folder):
  path = folder / "train-images-idx3-ubyte"
  path.write_bytes(gzip.compress(path.read_bytes())[:-100])


def spoil_magic(folder):
  path = folder / "train-images-idx3-ubyte"
  path.write_bytes(b"\x00\x00\x0d\x03" + path.read_bytes()[4:])


def swap(folder):
  """Labels where images belong."""
  path = folder / "train-images-idx3-ubyte"
  path.write_bytes((folder / "train-labels-idx1-ubyte").read_bytes())


def drop_a_label(folder):
  (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(11, np.uint8)))


def remove(folder):
  (folder / "train-images-idx3-ubyte").unlink()


@pytest.mark.parametrize(
  "damage", [truncate, truncate_packed, spoil_magic, swap, drop_a_label, remove]
)
@pytest.mark.parametrize("dataset", ["mnist", "auto", "own"])
def test_damaged_idx_files_are_refused_by_name(refused, idx_files, damage, dataset):
  damage(idx_files)
  line = refused(f"--dataset={dataset}", f"--data_dir={idx_files}")
  assert str(idx_files) in line


def test_whole_idx_files_are_accepted(tmp_path, idx_files):
  flags = [*QUICK, "--dataset=own", f"--data_dir={idx_files}", f"--workdir={tmp_path / 'run'}"]
  assert mnist.main(["mnist", *flags]) == 0


def test_a_data_dir_that_is_not_there_is_refused(refused, tmp_path):
  assert "nowhere" in refused("--dataset=mnist", f"--data_dir={tmp_path / 'nowhere'}")


def test_mnist_that_cannot_be_had_is_refused_with_the_ways_to_supply_it(refused):
  line = refused("--dataset=mnist")
  assert all(way in line for way in ("--data_dir", "GAN_DATA_DIR", "network"))


def test_labels_of_unlabelled_images_are_refused(refused, tmp_path):
  np.savez(tmp_path / "own.npz", images=np.zeros((8, 28, 28), np.uint8))
  line = refused("--dataset=own", f"--data_dir={tmp_path / 'own.npz'}", "--conditional")
  assert "--conditional" in line and "labels" in line


@pytest.mark.parametrize("split", ["nosuch", "train[9999:]", "train["])
def test_a_split_that_is_not_there_is_refused(refused, split):
  assert "split" in refused("--dataset=digits", f"--split={split}")


# Run folders.


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_workdir_that_cannot_be_written_is_refused(refused, no_loading, tmp_path, name):
  # A file stands in for missing rights, which the superuser always has.
  (tmp_path / "file").write_text("mine")
  assert "cannot be written to" in refused(*QUICK, workdir=tmp_path / name)


@pytest.mark.skipif(os.getuid() == 0, reason="the superuser may write everywhere")
def test_a_workdir_without_rights_is_refused(refused, no_loading, tmp_path):
  (tmp_path / "locked").mkdir(mode=0o500)
  assert "cannot be written to" in refused(*QUICK, workdir=tmp_path / "locked" / "run")


def test_a_changed_config_is_refused_with_the_difference(refused, trained_run):
  line = refused(*QUICK, "--loss=hinge", "--seed=3")
  assert "loss: nonsat there, hinge here" in line and "seed: 0 there, 3 here" in line


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"determining": 1}'])
@pytest.mark.parametrize("main", [mnist.main, sample.main])
def test_a_damaged_config_is_refused(refused, trained_run, content, main):
  (trained_run / "config.json").write_text(content)
  flags = QUICK if main is mnist.main else ()
  assert "config.json" in refused(*flags, main=main)


def test_a_config_of_another_version_is_refused(refused, trained_run):
  record = json.loads((trained_run / "config.json").read_text())
  record["config"]["gone"] = record["determining"]["gone"] = 1
  (trained_run / "config.json").write_text(json.dumps(record))
  assert "gone" in refused(*QUICK)
  assert "gone" in refused(main=sample.main)


@pytest.mark.parametrize("name", ["metrics.jsonl", "environment.json"])
def test_a_damaged_record_is_refused(refused, trained_run, name):
  (trained_run / name).write_text('{"step": \n{"step": 2}\n')
  assert name in refused(*QUICK)


def flip_largest(folder):
  path = max(
    (path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
  )
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)


def test_a_damaged_checkpoint_is_said_and_the_one_before_is_used(trained_run, tmp_path, capsys):
  flip_largest(trained_run / "checkpoints" / "2")
  assert mnist.main(["mnist", f"--workdir={trained_run}", *QUICK]) == 0
  said = capsys.readouterr().err
  assert "checkpoint of step 2 is damaged" in said and "Continuing from step 1" in said
  assert read_summary(trained_run)["status"] == "finished"
  assert mnist.main(["mnist", f"--workdir={tmp_path / 'whole'}", *QUICK]) == 0
  assert all(kill_and_resume.compare(trained_run, tmp_path / "whole").values())


def test_with_no_whole_checkpoint_a_run_stops_and_leaves_all_as_it_is(trained_run, capsys):
  for step in (1, 2):
    flip_largest(trained_run / "checkpoints" / str(step))
  kept = {path: path.read_bytes() for path in trained_run.rglob("*") if path.is_file()}
  for _ in range(2):
    assert mnist.main(["mnist", f"--workdir={trained_run}", *QUICK]) == 2
    said = capsys.readouterr().err
    assert "step 2 is damaged" in said and "step 1 is damaged" in said
    assert "no checkpoint that can be read" in said
    assert {path: path.read_bytes() for path in trained_run.rglob("*") if path.is_file()} == kept


# Sampling.


def test_sampling_from_no_folder_is_refused(refused, tmp_path):
  assert "--workdir" in refused(main=sample.main, workdir=None)
  (tmp_path / "empty").mkdir()
  for folder in (tmp_path / "empty", tmp_path / "nowhere"):
    assert "is not a run folder" in refused(main=sample.main, workdir=folder)
  assert not (tmp_path / "nowhere").exists() and not list((tmp_path / "empty").iterdir())


def test_sampling_without_a_whole_checkpoint_is_refused(refused, trained_run, capsys):
  for step in (1, 2):
    (trained_run / "checkpoints" / str(step)).rename(trained_run / f"away{step}")
  assert "no checkpoint" in refused(main=sample.main)


def test_sampling_to_where_nothing_can_be_written_is_refused(refused, trained_run, tmp_path):
  (tmp_path / "file").write_text("mine")
  assert "cannot be written to" in refused(f"--outdir={tmp_path / 'file'}", main=sample.main)


def test_sampling_falls_back_and_says_so(trained_run, capsys):
  flip_largest(trained_run / "checkpoints" / "2")
  assert sample.main(["sample", f"--workdir={trained_run}"]) == 0
  assert "damaged" in capsys.readouterr().err


# The whole command.


def test_a_wrong_loss_ends_within_seconds_with_the_list():
  began = time.monotonic()
  command = [sys.executable, "-m", "experiments.mnist", "--loss=nonstat"]
  result = subprocess.run(
    command, cwd=kill_and_resume.ROOT, capture_output=True, text=True, timeout=60, check=False
  )
  # 15 s are asked for on an idle machine; tests may share theirs.
  assert time.monotonic() - began < 45
  assert result.returncode == 2 and result.stdout == ""
  assert len(result.stderr.splitlines()) == 1
  assert all(loss in result.stderr for loss in LOSSES)


RING = f"{sys.executable} -m experiments.ring --steps=2 --eval_every=0"


def shell(command, **environment):
  return subprocess.run(
    command,
    shell=True,
    cwd=kill_and_resume.ROOT,
    env=os.environ | environment,
    capture_output=True,
    text=True,
    timeout=100,
    check=False,
  )


def test_a_platform_that_is_not_here_is_refused(tmp_path):
  result = shell(f"{RING} --workdir={tmp_path / 'run'}", JAX_PLATFORMS="nosuch")
  (line,) = result.stderr.splitlines()[-1:]
  assert result.returncode == 2 and "JAX_PLATFORMS=nosuch: JAX cannot start that" in line
  assert "Traceback" not in result.stderr


@pytest.mark.parametrize("wrong", ["JAX_NUM_CPU_DEVICES=x", "JAX_ENABLE_X64=maybe"])
def test_a_variable_that_jax_cannot_read_is_refused(tmp_path, wrong):
  name, value = wrong.split("=")
  result = shell(f"{RING} --workdir={tmp_path / 'run'}", **{name: value})
  (line,) = result.stderr.splitlines()
  assert result.returncode == 2 and value in line and "JAX_*" in line


def test_nans_that_jax_looks_for_end_a_run_in_one_line(tmp_path):
  flags = f"--workdir={tmp_path / 'run'} --generator_learning_rate=1e39"
  result = shell(f"{RING} {flags}", JAX_DEBUG_NANS="1")
  assert result.returncode == 2 and "error: JAX_DEBUG_NANS stops at" in result.stderr
  assert "Traceback" not in result.stderr


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_a_command_without_its_streams_runs(tmp_path, closed):
  assert shell(f"{RING} --workdir={tmp_path} {closed}").returncode == 0
  assert json.loads((tmp_path / "summary.json").read_text())["status"] == "finished"


def test_too_few_files_end_a_run_in_time(tmp_path):
  result = shell(f"ulimit -n 10; {RING} --workdir={tmp_path}")
  assert result.returncode == 5 and "too many open files" in result.stderr


WAITS = """
import concurrent.futures, errno, sys, threading
from experiments.cli.command import Command

def work():
  concurrent.futures.ThreadPoolExecutor(1).submit(threading.Event().wait)
  raise OSError(errno.EMFILE, "Too many open files")

sys.exit(Command("A command.").run(work))
"""


def test_a_command_whose_machine_failed_ends_though_a_worker_waits(tmp_path):
  (tmp_path / "waits.py").write_text(WAITS)
  result = shell(f"{sys.executable} {tmp_path / 'waits.py'}", PYTHONPATH=str(kill_and_resume.ROOT))
  assert result.returncode == 5 and "too many open files" in result.stderr


def test_a_flag_of_absl_that_cannot_be_is_refused(refused, tmp_path):
  assert "noanimate" in refused("--noanimate=1", main=ring.main)


def test_a_reader_that_closes_the_pipe_gets_no_traceback():
  result = subprocess.run(
    f"{sys.executable} -m experiments.mnist --help | head -n 1",
    shell=True,
    cwd=kill_and_resume.ROOT,
    capture_output=True,
    text=True,
    timeout=60,
    check=False,
  )
  assert "Traceback" not in result.stderr
