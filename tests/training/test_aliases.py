"""minimax is another name of sat: in flags, in records of earlier versions, in reports."""

import json
import pathlib

import jax
import numpy as np
import pytest

from experiments import evaluate, ring, sample, sweep
from experiments.cli import common
from gan.losses import LOSSES, of_logits
from gan.report import study
from gan.training import aliases, restore
from gan.training.config import Config
from gan.training.parts import fingerprint, identity
from gan.training.run_folder import read_config, read_metrics, read_summary

QUICK = ("--split=train[:200]", "--width=8", "--latent_dim=2", "--batch_size=6", "--log_every=1")
QUICK += ("--steps_per_call=1", "--checkpoint_every=2", "--eval_every=0")


def train(loss, folder, steps):
  own = ("--parallel=none", f"--workdir={folder}", f"--steps={steps}")
  return ring.main(["ring", *QUICK, f"--loss={loss}", *own])


def as_earlier(folder):
  """Rewrites a folder of `sat` as an earlier version wrote one of `minimax`."""
  for path in pathlib.Path(folder).rglob("*"):
    if path.suffix in (".json", ".jsonl") or path.name == "_CHECKPOINT_METADATA":
      path.write_text(path.read_text().replace('"sat"', '"minimax"'))
    elif "checkpoints" in path.parts and path.is_file() and b'"sat"' in path.read_bytes():
      path.write_bytes(path.read_bytes().replace(b'"sat"', b'"minimax"'))


def test_it_is_no_entry_of_its_own_and_leads_to_one():
  assert "minimax" not in LOSSES
  assert all(name in LOSSES for name in aliases.ALIASES["loss"].values())


@pytest.mark.parametrize(
  ("values", "expected"),
  [
    ({"loss": "minimax", "seed": 3}, {"loss": "sat", "seed": 3}),
    ({"loss": ["nonsat", "minimax"]}, {"loss": ["nonsat", "sat"]}),
    ({"loss": "hinge"}, {"loss": "hinge"}),
    ({"model": "minimax", "loss": None}, {"model": "minimax", "loss": None}),
    ({"loss": {"a": 1}, "b1": [0.5]}, {"loss": {"a": 1}, "b1": [0.5]}),
    ({}, {}),
  ],
)
def test_canonical_replaces_aliases_of_the_field_alone(values, expected):
  assert aliases.canonical(values) == expected


def test_the_flag_gives_sat_and_says_so(tmp_path, capsys):
  assert train("minimax", tmp_path, 1) == 0
  assert "--loss=minimax is another name of sat\n" in capsys.readouterr().err
  record = read_config(tmp_path)
  assert record["config"]["loss"] == record["determining"]["loss"] == "sat"
  assert "--loss=minimax" in record["command"]


def test_losses_of_a_sweep_give_sat_and_say_so(capsys):
  assert sweep.chosen_losses("nonsat,minimax") == ["nonsat", "sat"]
  assert capsys.readouterr().err == "--losses=minimax is another name of sat\n"
  assert sweep.chosen_losses("all") == of_logits()


def test_an_earlier_run_opens_continues_and_is_measured(tmp_path, capsys):
  whole, part = tmp_path / "whole", tmp_path / "part"
  assert train("sat", whole, 4) == train("sat", part, 2) == 0
  as_earlier(part)
  assert json.loads((part / "config.json").read_text())["config"]["loss"] == "minimax"
  assert restore.load(part).config.loss == "sat"
  assert sample.main(["sample", f"--workdir={part}"]) == 0
  assert evaluate.main(["evaluate", f"--workdir={part}", "--samples=200"]) == 0
  assert study.load([part]).losses == ["sat"]
  assert train("minimax", part, 4) == 0, capsys.readouterr().err
  assert read_summary(part)["status"] == "finished"
  here, there = (restore.load(folder).state for folder in (part, whole))
  for ours, theirs in zip(
    *(jax.tree.leaves(state.ema_params) for state in (here, there)), strict=True
  ):
    np.testing.assert_array_equal(ours, theirs)
  assert [record["step"] for record in read_metrics(part)] == [1, 2, 3, 4]


def test_another_loss_is_still_refused_in_an_earlier_folder(tmp_path, capsys):
  assert train("sat", tmp_path, 1) == 0
  as_earlier(tmp_path)
  capsys.readouterr()
  assert train("hinge", tmp_path, 1) == 2
  assert "loss: sat there, hinge here" in capsys.readouterr().err


def test_an_earlier_run_in_the_folder_of_its_default_goes_on_there(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  config = Config(loss="sat")
  own = identity(config)
  earlier = f"runs/ring/minimax-dcgan-{fingerprint(own | {'loss': 'minimax'})[:6]}"
  now = f"runs/ring/sat-dcgan-{fingerprint(own)[:6]}"
  assert common.default_workdir("ring", config) == now
  pathlib.Path(earlier).mkdir(parents=True)
  assert common.default_workdir("ring", config) == earlier
  pathlib.Path(now).mkdir()
  assert common.default_workdir("ring", config) == now


def test_an_earlier_sweep_continues_in_its_runs_folders(tmp_path, capsys):
  def run(losses, steps):
    flags = ["--experiment=ring", *QUICK, f"--losses={losses}", "--seeds=1", f"--steps={steps}"]
    return sweep.main(["sweep", *flags, f"--workdir={tmp_path}"])

  assert run("sat", 2) == 0
  as_earlier(tmp_path)
  record = json.loads((tmp_path / "sweep.json").read_text())
  record["members"][0]["name"] = "minimax,seed=0"
  (tmp_path / "sweep.json").write_text(json.dumps(record))
  runs = tmp_path / "members"
  (runs / "sat,seed=0").rename(runs / "minimax,seed=0")
  assert run("minimax", 4) == 0, capsys.readouterr().err
  assert sorted(path.name for path in runs.iterdir()) == ["sat,seed=0"]
  assert [record["step"] for record in read_metrics(runs / "sat,seed=0")] == [1, 2, 3, 4]
