"""The run folder: whose it is, what it holds, and that a kill leaves it readable."""

import contextlib
import json
import math
import subprocess
import sys
from unittest import mock

import pytest

from gan.errors import UserError
from gan.training import run_folder
from gan.training.run_folder import RunFolder, read_config, read_metrics, read_summary, write_json


@pytest.fixture
def folder(tmp_path):
  with contextlib.closing(RunFolder(tmp_path / "run")) as folder:
    yield folder


def identity(**identity):
  return {"config": {"steps": 5}, "determining": identity}


def test_a_new_folder_is_made_with_its_parents(tmp_path):
  folder = RunFolder(tmp_path / "a" / "b")
  assert folder.path.is_dir() and not list(folder.path.iterdir())


def test_claim_makes_the_folder_of_pictures_and_a_refused_claim_does_not(folder):
  write_json(folder.path / "config.json", identity(loss="sat"))
  with pytest.raises(UserError):
    folder.claim(identity(loss="hinge"))
  assert not folder.samples.exists()
  folder.claim(identity(loss="sat"))
  assert folder.samples.is_dir()


def test_a_second_claim_is_refused_until_the_first_is_closed(folder):
  folder.claim(identity(loss="sat"))
  before = (folder.path / "config.json").read_bytes()
  with contextlib.closing(RunFolder(folder.path)) as second:
    with pytest.raises(UserError, match=f"another process is training in {folder.path}"):
      second.claim(identity(loss="sat") | {"config": {"steps": 9}})
    assert (folder.path / "config.json").read_bytes() == before
    folder.close()
    second.claim(identity(loss="sat"))


def test_a_killed_process_lets_go_of_its_folder(folder):
  script = (
    "import sys, time; from gan.training.run_folder import RunFolder;"
    "folder = RunFolder(sys.argv[1]);"
    "folder.claim({'determining': {}, 'config': {}}); print('claimed', flush=True); time.sleep(60)"
  )
  command = [sys.executable, "-c", script, str(folder.path)]
  with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
    assert process.stdout.readline() == "claimed\n"
    with pytest.raises(UserError, match="another process is training"):
      folder.claim(identity())
    process.kill()
    process.wait()
  folder.claim(identity())


@pytest.mark.parametrize(
  "locks", [None, mock.MagicMock(**{"flock.side_effect": OSError("no locks here")})]
)
def test_without_locks_a_folder_is_claimed_all_the_same(folder, monkeypatch, locks):
  monkeypatch.setattr(run_folder, "fcntl", locks)
  folder.claim(identity(loss="sat"))
  assert read_config(folder.path) == identity(loss="sat")


def test_claim_writes_the_config(folder):
  folder.claim(identity(loss="sat", seed=1))
  assert read_config(folder.path) == identity(loss="sat", seed=1)


def test_claim_accepts_an_equal_config_and_takes_over_what_does_not_determine(folder):
  folder.claim(identity(loss="sat"))
  folder.claim(identity(loss="sat") | {"config": {"steps": 9}})
  assert read_config(folder.path)["config"] == {"steps": 9}


def test_claim_refuses_another_config_and_lists_every_difference_in_one_line(folder):
  folder.claim(identity(loss="sat", seed=1, width=None, same=3))
  before = (folder.path / "config.json").read_bytes()
  with pytest.raises(UserError) as error:
    folder.claim(identity(loss="hinge", seed=1, width=8, same=3, extra=True))
  message = str(error.value)
  assert "\n" not in message and str(folder.path) in message
  assert "loss: sat there, hinge here" in message
  assert "width: None there, 8 here" in message
  assert "extra: not given there, True here" in message
  assert "seed:" not in message and "same:" not in message
  assert (folder.path / "config.json").read_bytes() == before


def test_each_session_adds_its_environment(folder):
  folder.add_environment({"jax": "1"})
  folder.add_environment({"jax": "2"})
  written = json.loads((folder.path / "environment.json").read_text())
  assert written == {"sessions": [{"jax": "1"}, {"jax": "2"}]}


def test_records_come_back_in_order(folder):
  written = [{"step": step, "d": step / 3} for step in (1, 2, 3)]
  for record in written:
    folder.append(record)
  assert read_metrics(folder.path) == written


def test_a_run_without_records_has_none(folder):
  assert read_metrics(folder.path) == [] and read_summary(folder.path) is None


def test_rewind_drops_what_came_after_the_step(folder):
  for step in (2, 4, 6):
    folder.append({"step": step})
  folder.rewind(4)
  assert read_metrics(folder.path) == [{"step": 2}, {"step": 4}]
  folder.append({"step": 5})
  assert [record["step"] for record in read_metrics(folder.path)] == [2, 4, 5]
  folder.rewind(0)
  assert read_metrics(folder.path) == []


def test_rewind_drops_what_lies_between_the_records_of_a_cadence(folder):
  for step in (2, 4, 5, 6, 8):
    folder.append({"step": step})
  folder.rewind(7, every=2)
  assert read_metrics(folder.path) == [{"step": 2}, {"step": 4}, {"step": 6}]


@pytest.mark.parametrize("rest", ['{"step": 3, "d": 0.', '{"step": 3}', "{"])
def test_a_last_line_cut_short_is_ignored_and_written_over(folder, rest):
  folder.append({"step": 2})
  with open(folder.path / "metrics.jsonl", "a") as file:
    file.write(rest)
  assert read_metrics(folder.path) == [{"step": 2}]
  folder.rewind(2)
  folder.append({"step": 3})
  assert read_metrics(folder.path) == [{"step": 2}, {"step": 3}]


def test_what_is_not_finite_is_valid_json(folder):
  folder.append({"step": 1, "d": math.nan, "g": -math.inf})

  def refuse(constant):
    raise ValueError(f"{constant} is not JSON")

  line = (folder.path / "metrics.jsonl").read_text()
  record = json.loads(line, parse_constant=refuse)
  assert math.isnan(float(record["d"])) and float(record["g"]) == -math.inf


def test_the_summary_holds_the_last_and_the_extreme_values_of_each_metric(folder):
  for step, value in ((1, 3.0), (2, -1.0), (3, 7.0), (4, 2.0)):
    folder.append({"step": step, "seconds": 1.0, "d": value, "dataset": "digits"})
  folder.append({"step": 5, "d": math.nan})
  summary = folder.summarize("diverged at step 5", step=5, dataset="digits")
  assert summary == read_summary(folder.path)
  assert (summary["status"], summary["step"]) == ("diverged at step 5", 5)
  assert summary["dataset"] == "digits"
  assert summary["metrics"] == {"d": {"last": 2.0, "lowest": [2, -1.0], "highest": [3, 7.0]}}


@pytest.mark.parametrize("name", ["", "below", "below/further"])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path, name):
  # A file stands in for missing rights, which the superuser always has.
  (tmp_path / "file").write_text("mine")
  path = tmp_path / "file" / name if name else tmp_path / "file"
  with pytest.raises(UserError, match=f"{path} cannot be written to"):
    RunFolder(path)
  assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_is_no_run_is_named(tmp_path):
  with pytest.raises(UserError, match="is not a run folder"):
    read_config(tmp_path)


@pytest.mark.parametrize("content", ["", "{", '{"config": {', "\x00\x00"])
def test_a_damaged_config_is_named(folder, content):
  (folder.path / "config.json").write_text(content)
  with pytest.raises(UserError, match="config.json is damaged") as error:
    read_config(folder.path)
  assert "\n" not in str(error.value)


def test_a_record_damaged_in_the_middle_is_named(folder):
  for step in (1, 2, 3):
    folder.append({"step": step})
  path = folder.path / "metrics.jsonl"
  path.write_text(path.read_text().replace('"step": 2', '"step: 2'))
  with pytest.raises(UserError, match="metrics.jsonl"):
    read_metrics(folder.path)


def test_a_file_is_replaced_whole_or_not_at_all(folder, monkeypatch):
  folder.claim(identity(loss="sat"))

  def killed(self, target):
    raise KeyboardInterrupt

  monkeypatch.setattr("pathlib.Path.replace", killed)
  with pytest.raises(KeyboardInterrupt):
    folder.claim(identity(loss="sat") | {"config": {"steps": 9}})
  assert read_config(folder.path)["config"] == {"steps": 5}
