"""What contributors rely on: versions, types, hooks and templates agree with what there is."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from conftest import ROOT

import gan
from gan.training.run_folder import CONFIG, ENVIRONMENT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
CHANGES = (ROOT / "CHANGELOG.md").read_text()


def test_versions_are_semantic_and_the_changes_have_that_of_the_package():
  headings = re.findall(r"^## (\S+)", CHANGES, re.M)
  numbers = [tuple(map(int, head.split("."))) for head in headings if head != "Unreleased"]
  assert all(len(number) == 3 for number in numbers) and numbers == sorted(numbers, reverse=True)
  assert headings.index("Unreleased") == 0 and headings[1] == gan.__version__


def test_every_module_of_the_public_api_is_type_checked():
  files = PROJECT["tool"]["mypy"]["files"]
  assert all((ROOT / file).exists() for file in files)
  for module in sorted(set(gan._HOMES)):
    path = module.replace(".", "/")
    assert {path, f"{path}.py", f"{path}/__init__.py"} & set(files), f"{module} is not checked"


def test_the_types_reach_users():
  assert (ROOT / "gan" / "py.typed").exists()
  assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"]["gan"]


def test_a_wrong_argument_of_the_public_api_is_an_error(tmp_path):
  pytest.importorskip("mypy")
  script = "import gan\ngan.Loss(discriminator=3, generator=lambda real, fake: -fake)\n"
  script += "gan.Config(steps='many')\ngan.load('runs/mine').sample('four')\n"
  (tmp_path / "script.py").write_text(script)
  words = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
  found = subprocess.run(
    [*words, "--cache-dir", str(tmp_path / "cache"), str(tmp_path / "script.py")],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  lines = re.findall(r"script\.py:(\d): error", found.stdout)
  assert lines and set(lines) == {"2", "3", "4"}, found.stdout


def test_hooks_run_what_lint_runs():
  (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
  assert local["repo"] == "local"  # nothing is fetched
  lint = (ROOT / "Makefile").read_text().split("\nlint:")[1].split("\n\n")[0]
  hooks = {" ".join(hook["entry"].split()[2:4]) for hook in local["hooks"]}
  assert hooks == {
    re.sub(r" (--check )?\.$", "", words) for words in re.findall(r"-m (.+)$", lint, re.M)
  }


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_issue_templates_are_forms(path):
  form = yaml.safe_load(path.read_text())
  if path.stem == "config":
    assert form["blank_issues_enabled"] is True
    return
  assert form["name"] and form["description"]
  named = [field["id"] for field in form["body"]]
  assert len(named) == len(set(named)) and all(field["attributes"] for field in form["body"])


def test_a_report_of_a_fault_asks_for_what_it_is_found_by():
  (bug,) = (yaml.safe_load(path.read_text()) for path in TEMPLATES if path.stem == "bug")
  required = {
    field["attributes"]["label"]
    for field in bug["body"]
    if field.get("validations", {}).get("required")
  }
  labels = [field["attributes"]["label"] for field in bug["body"]]
  assert f"{ENVIRONMENT} of the run folder" in required
  assert f"{CONFIG} of the run folder" in labels
  assert any(label.startswith("The command") for label in required)


def test_contributors_are_told_of_goals_and_files_that_there_are():
  text = (ROOT / "CONTRIBUTING.md").read_text()
  goals = set(re.findall(r"`make ([\w-]+)", text)) | set(re.findall(r"^make ([\w-]+)", text, re.M))
  makefile = (ROOT / "Makefile").read_text()
  assert len(goals) > 5 and all(re.search(rf"^{goal}:", makefile, re.M) for goal in goals)
  for path in re.findall(r"`((?:gan|tests|docs)/[\w./]+)`", text):
    assert (ROOT / path).exists(), path
  for target in re.findall(r"\]\(((?!http)[^)#]+)", text + CHANGES):
    assert (ROOT / target).exists(), target
