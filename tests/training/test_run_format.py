"""Versions of run folders: those of before open, a later major version is refused."""

import json

import pytest

from experiments import ring, sample
from gan.errors import UserError
from gan.training import run_format
from gan.training.restore import recorded_config
from gan.training.run_folder import CONFIG, check_claim, read_config, read_sessions

pytestmark = pytest.mark.usefixtures("programs_of_the_tests")
FLAGS = ("--steps=2", "--batch_size=4", "--log_every=1", "--latent_dim=8", "--parallel=none")
MAJOR, MINOR = map(int, run_format.FORMAT.split("."))
LATER = f"{MAJOR + 1}.0"


def states(folder, version):
  """A config.json of that version, of which nothing else is known."""
  (folder / CONFIG).write_text(json.dumps({run_format.FIELD: version, "layout": "another"}))


@pytest.mark.parametrize("read", [read_config, recorded_config])
def test_a_later_major_version_is_one_line_whatever_else_is_there(tmp_path, read):
  states(tmp_path, LATER)
  with pytest.raises(UserError) as caught:
    read(tmp_path)
  assert f"is a run folder of version {LATER}" in str(caught.value)
  assert f"up to {MAJOR}.x" in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_of_a_later_major_version_is_not_claimed(tmp_path):
  states(tmp_path, LATER)
  with pytest.raises(UserError, match="of version"):
    check_claim(tmp_path / CONFIG, {}, "a run")


@pytest.mark.parametrize("version", ["", "2", "1.x", "1.1.0", 1.1, None])
def test_what_is_no_version_is_damage(tmp_path, version):
  states(tmp_path, version)
  with pytest.raises(UserError, match="damaged.*a version such as"):
    read_config(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
  folder = tmp_path_factory.mktemp("runs") / "run"
  assert ring.main(["ring", *FLAGS, f"--workdir={folder}"]) == 0
  return folder


@pytest.fixture
def edit(trained):
  """edit(change) applies it to the run's config.json, which is put back at the end."""
  path = trained / CONFIG
  before = path.read_text()

  def edited(change):
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    return trained

  yield edited
  path.write_text(before)


def test_a_run_states_its_version_and_that_of_the_package(trained):
  import gan

  assert read_config(trained)[run_format.FIELD] == run_format.FORMAT
  assert read_sessions(trained)[-1]["gan"] == gan.__version__


def test_a_folder_without_a_version_is_drawn_from_and_continued(edit, capsys):
  folder = edit(lambda record: record.pop(run_format.FIELD))
  assert sample.main(["sample", f"--workdir={folder}"]) == 0
  assert ring.main(["ring", *FLAGS, "--steps=3", f"--workdir={folder}"]) == 0
  assert read_config(folder)[run_format.FIELD] == run_format.FORMAT


def test_a_later_minor_version_is_read_where_nothing_depends_on_what_is_new(edit):
  def later(record):
    record[run_format.FIELD] = f"{MAJOR}.{MINOR + 1}"
    record["config"]["invented"] = "as before"

  config = recorded_config(folder := edit(later))
  assert config.batch_size == 4 and not hasattr(config, "invented")
  edit(lambda record: record["determining"].update(invented="otherwise"))
  with pytest.raises(UserError, match="has invented, unknown here"):
    recorded_config(folder)


def test_the_page_states_the_version(trained):
  from conftest import ROOT

  text = (ROOT / "docs" / "run_folder.md").read_text()
  assert f"`{run_format.FIELD}` in config.json" in text and f"`{run_format.FORMAT}` now" in text
