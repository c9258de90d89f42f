"""`pip install .` in a new environment, used from a folder with packages of the same names."""

import json
import os
import pathlib
import shutil
import site
import subprocess
import sys

import pytest
from plugin_parts import PARTS
from test_documents import fenced, page_text
from user_script import SCRIPT

import gan

pytestmark = pytest.mark.install
ROOT = pathlib.Path(__file__).resolve().parents[1]
COMMANDS = ("gan-train", "gan-sample", "gan-evaluate", "gan-sweep")
COMMANDS += ("gan-compare", "gan-export", "gan-study", "gan-best", "gan-theory")
COMMANDS += ("gan-completion",)
QUICK = ("--plugin=own_parts", "--dataset=noise", "--model=tiny", "--batch_size=4")
QUICK += ("--latent_dim=2", "--steps=2", "--eval_every=0")


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
  """The folder of the console commands of a new environment, which has our dependencies."""
  folder = tmp_path_factory.mktemp("install")
  source = folder / "source"  # building leaves files beside the sources
  shutil.copytree(ROOT / "gan", source / "gan", ignore=shutil.ignore_patterns("__pycache__"))
  ignored = shutil.ignore_patterns("__pycache__")
  shutil.copytree(ROOT / "experiments", source / "experiments", ignore=ignored)
  for name in ("pyproject.toml", "README.md", "LICENSE"):
    shutil.copy(ROOT / name, source)
  subprocess.run([sys.executable, "-m", "venv", folder / "new"], check=True)
  python = folder / "new" / "bin" / "python"
  subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", source], check=True)
  shutil.rmtree(source)
  (packages,) = (folder / "new" / "lib").glob("python*/site-packages")
  # Its own files come first; a .pth in the other folder, which leads to a clone, is not read.
  (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
  return python.parent


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  """A user's folder with an `experiments` and a `gan` of its own, and a plugin."""
  folder = tmp_path_factory.mktemp("user")
  for name in ("experiments", "gan"):
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(f"raise SystemExit('another {name} was imported')")
  (folder / "own_parts.py").write_text(PARTS)
  return folder


@pytest.fixture
def run(scripts, place):
  """run(command, *arguments, code, folder) is what a console command prints in a folder."""

  def run(command, *arguments, code=0, folder=place):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
      [scripts / command, *arguments],
      cwd=folder,
      env=environment | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"},
      capture_output=True,
      text=True,
    )
    output = done.stdout + done.stderr
    assert done.returncode == code and "Traceback" not in output, output
    return output

  return run


def test_the_package_is_whole_and_has_its_name_and_version(run):
  code = (
    "import importlib.metadata as m, importlib.resources as r, sys; sys.path.remove('');"
    "import gan, experiments; assert 'site-packages' in gan.__file__ + experiments.__file__;"
    f"assert m.version('gan-jax') == gan.__version__ == '{gan.__version__}';"
    "assert r.files('gan.report').joinpath('page.html').is_file();"
    "names = {f.name for f in r.files('gan.metrics.extractors').iterdir()};"
    "assert {'mnist.npz', 'fashion_mnist.npz', 'digits.npz'} <= names, names"
  )
  run("python", "-c", code)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_console_command_has_help(run, command):
  assert "--plugin" in run(command, "--help")


@pytest.mark.parametrize("arguments", [(), ("nosuch",), ("--loss=sat", "mnist"), ("",)])
def test_a_missing_or_wrong_experiment_is_one_line_with_the_choices(run, arguments):
  (line,) = run("gan-train", *arguments, code=2).splitlines()
  assert line.startswith("error: ")
  assert "choose from cifar10, fashion_mnist, images, mnist, ring" in line


def test_a_run_and_a_sweep_of_a_user_s_own_parts(run, place):
  run("gan-train", "mnist", *QUICK, "--loss=exponential", "--workdir=run")
  record = json.loads((place / "run" / "config.json").read_text())
  assert record["command"].startswith("gan-train mnist --plugin=own_parts --dataset=noise")
  run("gan-sample", "--workdir=run")
  assert (place / "run" / "drawn" / "grid.png").exists()
  assert "brightness" in run("gan-evaluate", "--workdir=run", "--samples=50")
  said = run("gan-sweep", *QUICK, "--losses=exponential,minimax", "--seeds=1", "--workdir=sweep")
  assert "gan-compare --workdir=sweep" in said
  run("gan-compare", "--workdir=sweep")
  assert (place / "sweep" / "report.html").exists()


def test_a_script_of_twenty_lines_runs_outside_of_the_clone(run, tmp_path):
  (tmp_path / "mine.py").write_text(SCRIPT)
  assert "finished (16, 2)" in run("python", "mine.py", "runs/mine", folder=tmp_path)
  assert (tmp_path / "runs" / "mine" / "summary.json").exists()


def test_the_plugin_of_the_page_is_trained_and_drawn_from(run, place):
  (plugin,) = (text for text in fenced(page_text("python"), "python") if "# my_module.py" in text)
  (place / "my_module.py").write_text(plugin)
  small = ("--dataset=digits", "--model=mlp", "--batch_size=8", "--steps=2", "--eval_every=0")
  run("gan-train", "mnist", "--plugin=my_module", "--loss=my_loss", *small, "--workdir=mine")
  assert json.loads((place / "mine" / "config.json").read_text())["plugins"] == ["my_module"]
  run("gan-sample", "--workdir=mine")
  assert (place / "mine" / "drawn" / "grid.png").exists()


def test_processes_that_a_command_starts_import_the_same_package(run, scripts, place):
  flags = (
    "--case=generator_costs,parallel_lines",
    "--quick",
    "--jobs=2",
    "--plugin=own_parts",
    "--outdir=theory",
  )
  run("gan-theory", *flags)
  code = (
    "import subprocess, sys; sys.path.remove('');"
    "from experiments.cli import children;"
    "command = children.command('experiments.benchmark.device');"
    "print(subprocess.run(command, capture_output=True, text=True, check=True).stdout)"
  )
  assert json.loads(run("python", "-c", code))["backend"] == "cpu"
