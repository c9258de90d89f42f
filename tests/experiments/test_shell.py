"""What commands tell a shell: versions, and the flags that completions are made of."""

import pytest

import gan
from experiments import ring, sample
from experiments.cli import command, console


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
