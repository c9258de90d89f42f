"""What commands tell a shell: their list, their versions, and how it completes them."""

import contextlib
import importlib.metadata
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys
import tomllib

import pytest
from conftest import ROOT

import gan
from experiments import completion, ring, sample
from experiments.cli import command, common, console
from gan import __main__ as front
from gan.losses import LOSSES

SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
# Ctrl-A goes to the start of a line, Ctrl-E to its end.
TAB, START, END = "\t", "\x01", "\x05"
SHELLS = {
  "bash": ["bash", "--norc", "--noprofile", "-i"],
  "zsh": ["zsh", "-f", "-i"],
}
READY = {"bash": "", "zsh": "bindkey -e; autoload -U compinit; compinit -u -D; "}


@pytest.mark.parametrize("name", ["train", *command.CONSOLE])
def test_every_console_command_prints_the_version(name, monkeypatch, capsys):
  monkeypatch.setattr("sys.argv", [f"gan-{name}", "--version"])
  assert getattr(console, name)() == 0
  assert capsys.readouterr().out == f"gan-jax {gan.__version__}\n"


def test_the_version_is_printed_in_the_place_of_a_run(capsys, tmp_path):
  assert ring.main(["ring", f"--workdir={tmp_path / 'run'}", "--version"]) == 0
  assert capsys.readouterr().out == f"gan-jax {gan.__version__}\n"
  assert not (tmp_path / "run").exists()


def test_a_command_is_described_without_being_run(capsys):
  made = command.made_by(sample.main)
  assert {"workdir", "seed", "plugin"} <= set(made.values)
  assert capsys.readouterr() == ("", "")
  assert sample.main(["sample"]) == 2  # it runs again


def test_the_commands_are_those_of_the_package():
  assert {
    f"gan-{name}": f"experiments.cli.console:{name}" for name in ("train", *command.CONSOLE)
  } == SCRIPTS


class Installed:
  """A distribution with the commands of pyproject.toml."""

  entry_points = importlib.metadata.EntryPoints(
    importlib.metadata.EntryPoint(name, value, "console_scripts") for name, value in SCRIPTS.items()
  )


def test_the_list_says_what_every_command_does(monkeypatch, capsys):
  monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed)
  assert front.main([]) == 0
  lines = capsys.readouterr().out.splitlines()
  rows = [line.split(maxsplit=1) for line in lines if line.startswith("  gan-")]
  assert [name for name, _ in rows] == list(SCRIPTS)
  for name, meaning in rows:
    assert meaning == getattr(console, name.removeprefix("gan-")).__doc__.splitlines()[0]


def test_the_list_imports_no_command():
  code = """
import runpy, sys
sys.argv = ["gan", "--help"]
try:
  runpy.run_module("gan", run_name="__main__")
except SystemExit as end:
  assert end.code in (0, 2)  # not installed
loaded = {name.split(".")[0] for name in sys.modules}
assert not loaded & {"experiments", "jax", "absl", "numpy"}, loaded
"""
  subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_without_an_installation_the_list_is_one_line(monkeypatch, capsys):
  def missing(name):
    raise importlib.metadata.PackageNotFoundError(name)

  monkeypatch.setattr(importlib.metadata, "distribution", missing)
  assert front.main([]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert "is not installed" in line and "pip install" in line
  assert front.main(["--version"]) == 0
  assert front.main(["mnist"]) == 2


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
  """The file that each shell reads."""
  folder = tmp_path_factory.mktemp("completion")
  for shell in SHELLS:
    (folder / shell).write_text(completion.script(shell))
  return folder


@pytest.fixture(params=SHELLS)
def completed(request, scripts, tmp_path):
  """completed(line) is what a shell makes of a line by Tab, less a blank or slash at its end."""
  shell = request.param
  if not shutil.which(shell):
    pytest.skip(f"needs {shell}")
  master, slave = pty.openpty()
  process = subprocess.Popen(
    SHELLS[shell],
    stdin=slave,
    stdout=slave,
    stderr=slave,
    cwd=tmp_path,
    env={"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(tmp_path), "COLUMNS": "500"},
    start_new_session=True,
  )
  os.close(slave)

  def ask(keys, answer):
    os.write(master, keys.encode())
    text = ""
    while not (found := re.search(answer, text)):
      text += os.read(master, 4096).decode()
    return found[1]

  def line(typed):
    printed = f"{typed}{TAB}{START}printf 'got<%s>\\n' \"{END}\"\n"
    return ask(printed, r"\ngot<(gan[^>%]*)>").rstrip(" /")

  with contextlib.ExitStack() as stack:
    stack.callback(os.close, master)
    stack.callback(process.wait)
    stack.callback(os.killpg, process.pid, signal.SIGKILL)
    ask(f"stty cols 500; {READY[shell]}source {scripts / shell}; echo re''ady\n", "(ready)")
    yield line


def test_tab_completes_experiments_flags_and_names(completed, tmp_path):
  (tmp_path / "my_run").mkdir()
  expected = {
    "gan-train mn": "gan-train mnist",
    "gan-train ring --anim": "gan-train ring --animate",
    "gan-train mnist --anim": "gan-train mnist --anim",
    "gan-train mnist --discriminator_le": "gan-train mnist --discriminator_learning_rate=",
    "gan-train mnist --loss=lsg": "gan-train mnist --loss=lsgan",
    "gan-train mnist --loss=hinge --penal": "gan-train mnist --loss=hinge --penalty",
    "gan-sweep --losses=sat,kl": "gan-sweep --losses=sat,klwgan",
    "gan-sample --format=n": "gan-sample --format=npz",
    "gan-export --format=o": "gan-export --format=onnx",
    "gan-sample --workdir=my": "gan-sample --workdir=my_run",
  }
  assert {typed: completed(typed) for typed in expected} == expected


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_names_are_those_of_the_registries_and_of_plugins(shell, monkeypatch):
  monkeypatch.setitem(LOSSES, "own_loss", LOSSES["sat"])
  (line,) = (line for line in completion.script(shell).splitlines() if "*' --loss')" in line)
  assert line.split("echo '")[1].split("'")[0].split() == sorted(LOSSES)


def test_a_shell_that_is_missing_is_one_line(capsys):
  assert completion.main(["completion"]) == 2
  assert capsys.readouterr().err == "error: --shell is missing: choose from bash, zsh\n"


@pytest.mark.parametrize(
  "status, code, ending",
  [
    (
      "finished",
      0,
      "; next: gan-sample --workdir='my run' (pictures), gan-evaluate --workdir='my run' (metrics)",
    ),
    ("interrupted", 130, "; the same command continues"),
    ("diverged at step 7", 3, ""),
  ],
)
def test_the_last_line_of_a_run_says_what_comes_next(capsys, status, code, ending):
  workdir = pathlib.Path("my run")
  assert common._report({"status": status}, workdir, {}, ["gan-train mnist"]) == code
  seen = f"{workdir / 'samples'} and {workdir / 'summary.json'}"
  assert capsys.readouterr().err == f"{status}; see {seen}{ending}\n"
