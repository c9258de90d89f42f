"""The notebooks of docs/tutorials: as they are committed, and executed again."""

import json
import re

import pytest
from notebooks import TUTORIALS, executed, without_data

NAMES = ("first_gan", "saturating", "your_own", "study")
MOST_BYTES = 1_500_000  # of all, with their pictures


def read(name):
  return json.loads((TUTORIALS / f"{name}.ipynb").read_text())


def cells(notebook, kind):
  return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def printed(notebook):
  """All text that the cells of a notebook have printed or returned."""
  outputs = [output for cell in cells(notebook, "code") for output in cell["outputs"]]
  texts = [
    output["text"] if "text" in output else output.get("data", {}).get("text/plain", "")
    for output in outputs
  ]
  return "".join("".join(text) for text in texts)


def test_notebooks_are_these_and_small():
  found = {path.stem: path.stat().st_size for path in TUTORIALS.glob("*.ipynb")}
  assert set(found) == set(NAMES)
  assert sum(found.values()) < MOST_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_committed_as_executed_from_top_to_bottom(name):
  code = cells(read(name), "code")
  assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
  outputs = [output for cell in code for output in cell["outputs"]]
  assert not any(output["output_type"] == "error" for output in outputs)
  assert any("image/png" in output.get("data", ()) for output in outputs)


@pytest.mark.parametrize("name", NAMES)
def test_notebook_shows_nothing_of_the_machine_it_ran_on(name):
  assert not re.search(r"(^|[\s'\"=(])/(root|home|tmp|work|usr|opt)/", printed(read(name)))


@pytest.mark.parametrize("name", NAMES)
def test_links_of_a_notebook_exist(name):
  for cell in cells(read(name), "markdown"):
    for target in re.findall(r"\]\(([^)\s]+)\)", "".join(cell["source"])):
      assert target.startswith("https://") or (TUTORIALS / target.partition("#")[0]).exists()


@pytest.mark.notebooks
@pytest.mark.parametrize("name", NAMES)
def test_notebook_runs_and_what_it_asserts_holds(name, tmp_path):
  pytest.importorskip("nbclient", reason="needs nbclient and ipykernel, of the extra dev")
  notebook = executed(TUTORIALS / f"{name}.ipynb", tmp_path, without_data(tmp_path))
  assert all(cell["execution_count"] for cell in cells(notebook, "code"))
