"""A study whose settings Optuna chooses, on the ring."""

import json
import sys

import pytest
from fake_studies import lines_of

from experiments.study import __main__ as command
from gan.sweeps import study, tpe

FLAGS = ["study", "--experiment=ring", "--split=train[:200]", "--width=8", "--batch_size=6"]
FLAGS += ["--steps=6", "--eval_every=3", "--eval_samples=50", "--losses=nonsat", "--seeds=1"]
FLAGS += ["--sampler=tpe", "--space=b1=0:0.9"]


@pytest.mark.slow
def test_a_study_asks_trains_tells_confirms_and_grows(tmp_path, capsys):
  optuna = pytest.importorskip("optuna", reason="needs the extra optuna")
  argv = [*FLAGS, f"--workdir={tmp_path}"]
  assert command.main([*argv, "--samples=2"]) == 0
  assert command.main([*argv, "--samples=3"]) == 0
  assert "one of each loss is trained at a time" in capsys.readouterr().err
  search = tmp_path / "search"
  record = json.loads((search / "sweep.json").read_text())
  assert record["sampler"] == "tpe" and len(record["members"]) == 3
  storage = optuna.storages.RDBStorage(f"sqlite:///{search / tpe.FILE}")
  trials = optuna.load_study(study_name="nonsat", storage=storage).trials
  storage.engine.dispose()
  metric = study.metric_of(search)
  runs = [search / "members" / f"nonsat,sample={i},seed=0" for i in range(3)]
  last = [lines_of(run / "evaluations.jsonl")[-1][metric] for run in runs]
  assert [trial.value for trial in trials] == last
  configs = [json.loads((run / "config.json").read_text())["config"] for run in runs]
  assert [trial.params["b1"] for trial in trials] == [config["b1"] for config in configs]
  best = study.best_settings(search, metric)["nonsat"]
  assert best.value == min(last)
  assert (tmp_path / "confirm" / "members" / f"{best.setting},seed=1").is_dir()
  assert "Mean rank" not in (tmp_path / "report.html").read_text()


def test_optuna_missing_is_said_before_anything_is_done(tmp_path, monkeypatch, capsys):
  monkeypatch.setitem(sys.modules, "optuna", None)
  assert command.main([*FLAGS, f"--workdir={tmp_path / 'study'}"]) != 0
  assert "needs Optuna: pip install 'gan-jax[optuna]'" in capsys.readouterr().err
  assert not (tmp_path / "study").exists()


def test_halving_is_for_settings_that_are_trained_side_by_side(tmp_path, capsys):
  assert command.main([*FLAGS, "--halving=2", f"--workdir={tmp_path / 'study'}"]) != 0
  assert "--halving=2 ranks settings that are trained side by side" in capsys.readouterr().err
