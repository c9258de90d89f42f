"""README and docs say what is there: links, commands, flags, names, and lines of Python."""

import ast
import dataclasses
import fnmatch
import importlib
import importlib.util
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tomllib

import pytest
from test_imports import ROOMS

import gan
from experiments.cli import command
from experiments.cli.command import Command
from gan.augment import AUGMENTATIONS
from gan.datasets import DATASETS
from gan.losses import LOSSES
from gan.method.game import Game
from gan.method.update_rules import UPDATE_RULES
from gan.metrics import METRICS
from gan.models import MODELS
from gan.optimizers import OPTIMIZERS
from gan.penalties import PENALTIES
from gan.regularizers import REGULARIZERS
from gan.schedules import SCHEDULES
from gan.training.distributed import LOST
from gan.training.presets import PRESETS
from gan.training.validation import validate
from gan.training.writers import WRITERS

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"\b(?:python -m experiments\.([a-z0-9_.]*[a-z0-9])|(gan-[a-z]+))\b(.*)")
# Other names under which a flag takes an entry.
ALIASES = {"minimax"}
# (registry, page, head of the first column of its table)
TABLES = [
  (LOSSES, "losses", "`--loss`"),
  (PENALTIES, "losses", "`--penalty`"),
  (UPDATE_RULES, "losses", "`--update_rule`"),
  (REGULARIZERS, "losses", "`--regularizers`"),
  (AUGMENTATIONS, "losses", "augmentation"),
  (SCHEDULES, "losses", "schedule"),
  (MODELS, "models", "`--model`"),
  (PRESETS, "models", "`--preset`"),
  (DATASETS, "data", "`--dataset`"),
  (METRICS, "metrics", "`--metrics`"),
  (WRITERS, "run_folder", "`--log`"),
]


def name_of(page):
  return str(page.relative_to(ROOT))


def page_text(name):
  return (ROOT / "docs" / f"{name}.md").read_text()


FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)


def fenced(text, language):
  return [block for name, block in FENCE.findall(text) if name == language]


def code_lines(text):
  """Lines of code blocks, those that a backslash continues in one, and code within sentences."""
  for block in fenced(text, ""):
    yield from re.sub(r"\\\n\s*", "", block).splitlines()
  prose = FENCE.sub("", text)
  yield from re.findall(r"^ {4}(\S.*)$", prose, re.M)
  yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose))


def arguments(rest):
  """What follows the name of a command, up to the end of it; shell variables are left out."""
  try:
    words = shlex.split(rest, comments=True)
  except ValueError:  # the end of a quoted command
    words = rest.rstrip('"').split()
  end = next((i for i, word in enumerate(words) if word in ("&", "&&", "|", ";", ">")), len(words))
  return [word for word in words[:end] if "$" not in word]


def commands(text):
  """(module of experiments, console command or None, its flags) of every command of a page."""
  for line in code_lines(text):
    if found := COMMAND.search(line):
      module, script, words = found[1], found[2], arguments(found[3])
      if script == "gan-train":
        module, words = words[0] if words else "NAME", words[1:]
      if not (module or script.removeprefix("gan-")).isupper():
        yield module or script.removeprefix("gan-"), script, words


SHOWN = sorted(
  {
    (name_of(page), module, script, tuple(flags))
    for page in PAGES
    for module, script, flags in commands(page.read_text())
  },
  key=repr,
)


def command_of(module, monkeypatch):
  """The command line of a module, as its main function makes it; None where it has no flags."""
  where = f"experiments.{module}"
  spec = importlib.util.find_spec(where)
  assert spec, f"there is no {where}"
  page = importlib.import_module(f"{where}.__main__" if spec.submodule_search_locations else where)
  made = []
  monkeypatch.setattr(Command, "run", lambda self, *_: made.append(self) or 0)
  if "Command" in pathlib.Path(page.__file__).read_text() or hasattr(page, "DEFAULTS"):
    page.main(["command"])
  for found in made:
    found.add_plugin_flags()
  return made[0] if made else None


def table_names(text, head):
  """Code in the first column of the table with this head; ":..." of a schedule is left out."""
  rows = text.split(f"\n| {head} |", 1)[1].split("\n\n")[0].splitlines()[2:]
  spans = [span for row in rows for span in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
  return [span.split(":")[0] for span in spans]


def slugs(text):
  """Anchors of the headings of a page, as GitHub makes them."""
  heads = re.findall(r"^#+ (.*)$", text, re.M)
  return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_readme_has_at_most_700_words():
  assert len((ROOT / "README.md").read_text().split()) <= 700


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_images_exist(page):
  for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
    if not target.startswith(("http://", "https://")):
      path, _, anchor = target.partition("#")
      file = page.parent / path if path else page
      assert file.exists(), target
      assert not anchor or f'"{anchor}"' in file.read_text() or anchor in slugs(file.read_text())


def linked_pages(page):
  targets = re.findall(r"\]\(([^)\s#]+\.md)[^)\s]*\)", page.read_text())
  return {(page.parent / target).resolve() for target in targets if "://" not in target}


def test_every_page_can_be_reached_from_the_readme_or_the_navigation():
  tree = (ROOT / "mkdocs.yml").read_text().split("\nnav:\n")[1].split()
  reached, new = set(), {ROOT / "README.md"}
  new |= {page for page in PAGES if any(fnmatch.fnmatch(page.name, entry) for entry in tree)}
  while new:
    reached |= new
    new = set().union(*map(linked_pages, new)) - reached
  assert set(PAGES) <= reached


def test_commands_are_found_in_the_pages():
  assert len(SHOWN) > 30
  assert ("README.md", "mnist", "gan-train", ("--loss=nonsat", "--workdir=runs/nonsat")) in SHOWN
  assert ("docs/theory.md", "theory", None, ("--case=parzen",)) in SHOWN
  (two,) = (flags for page, _, _, flags in SHOWN if any("--coordinator" in flag for flag in flags))
  assert "--num_processes=2" in two and "--workdir=runs/two" in two


@pytest.mark.parametrize(
  "page, module, script, flags", SHOWN, ids=[" ".join((s[0], s[1], *s[3])) for s in SHOWN]
)
def test_commands_exist_and_know_their_flags(page, module, script, flags, monkeypatch):
  if script:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert script in scripts
  given = [flag for flag in flags if flag not in command.HELPS]
  assert all(flag.startswith("--") for flag in given)
  shown = command_of(module, monkeypatch)
  if shown is None:
    assert not given
  elif any(flag.startswith("--plugin") for flag in given):
    # Names of the plugin are choices once it is imported.
    assert {flag[2:].split("=")[0] for flag in given} <= set(shown.values)
  else:
    assert shown.values(["command", *given])[1:] == []
    if hasattr(defaults := importlib.import_module(f"experiments.{module}"), "DEFAULTS"):
      validate(shown.config(defaults.DEFAULTS))


@pytest.mark.parametrize("registry, page, head", TABLES, ids=[head for _, _, head in TABLES])
def test_a_page_lists_the_names_of_a_registry(registry, page, head):
  listed = table_names(page_text(page), head)
  assert sorted(set(listed) - ALIASES) == sorted(set(registry) - ALIASES)


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_a_page_has_the_commands_by_which_make_trains_on_cifar10():
  # ARGS of the `make` that these tests are run by would reach this one.
  words = ["make", "-n", "families", "cifar10", f"PYTHON={sys.executable}", "ARGS="]
  printed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
  made = [tuple(arguments(rest)) for rest in re.findall(r"-m experiments\.cifar10 (.*)", printed)]
  shown = {
    flags for page, module, _, flags in SHOWN if (page, module) == ("docs/models.md", "cifar10")
  }
  assert len(made) == 7 and len(set(made)) == 6 and set(made) <= shown


def test_optimizers_are_listed():
  assert all(f"`{name}`" in page_text("losses") for name in OPTIMIZERS)


def test_rooms_are_listed_in_their_order():
  assert table_names(page_text("house"), "room") == ROOMS


def test_the_citation_has_the_version_of_the_package():
  assert f"\nversion: {gan.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_exit_codes_are_listed():
  names = ("OK", "BAD_INPUT", "DIVERGED", "MACHINE_FAILED", "INTERRUPTED", "CLOSED_PIPE")
  listed = re.findall(r"^\| (\d+) \|", page_text("run_folder"), re.M)
  codes = {getattr(command, name) for name in names} | {LOST}
  assert set(map(int, listed)) == codes | {1}  # of the theory lab


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_of_the_pages_names_what_there_is(page):
  for block in fenced(page.read_text(), "python"):
    for node in ast.walk(ast.parse(block)):
      if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "gan":
        module = importlib.import_module(node.module)
        for alias in node.names:
          assert hasattr(module, alias.name) or importlib.util.find_spec(f"gan.{alias.name}")


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_names_of_the_front_door_exist(page):
  for name in sorted(set(re.findall(r"\bgan\.([A-Za-z_]\w*)", (ROOT / page).read_text()))):
    assert hasattr(gan, name) or importlib.util.find_spec(f"gan.{name}"), f"gan.{name}"


def test_arguments_of_a_game_exist():
  listed = table_names(page_text("python"), "argument of `gan.Game`")
  assert len(listed) > 10
  assert set(listed) <= {field.name for field in dataclasses.fields(Game)}


def test_the_lines_of_python_in_the_readme_are_at_most_twenty():
  (block,) = fenced((ROOT / "README.md").read_text(), "python")
  assert len([line for line in block.splitlines() if line.strip()]) <= 20


# Take the place of a command's own flags, so that it is quick.
SMALL = ["--dataset=digits", "--model=mlp", "--batch_size=8", "--steps=2", "--eval_every=2"]
SMALL += ["--eval_samples=50"]
SMALLER = {
  "mnist": SMALL,
  "sample": [],
  "evaluate": ["--samples=50"],
  "sweep": [*SMALL, "--losses=nonsat,hinge", "--seeds=1"],
  "compare": [],
  "study": [*SMALL, "--losses=nonsat,hinge", "--samples=2", "--seeds=1"],
  "best": [],
  "theory": ["--case=generator_costs"],
}


@pytest.fixture
def here(tmp_path):
  """A folder outside of the clone, with the plugin of the docs in it."""
  (plugin,) = (text for text in fenced(page_text("python"), "python") if "# my_module.py" in text)
  (tmp_path / "my_module.py").write_text(plugin)
  return tmp_path


def run(words, folder):
  environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
  result = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
  assert result.returncode == 0, f"{words}: {result.stdout}\n{result.stderr}"


def with_smaller(flags, smaller):
  """The flags of a command, less those that are given anew, and these."""
  given = {flag.partition("=")[0] for flag in smaller}
  return [flag for flag in flags if flag.partition("=")[0] not in given] + smaller


@pytest.mark.install
def test_commands_of_the_readme_run(here):
  beside = pathlib.Path(sys.executable).parent
  for module, script, flags in commands((ROOT / "README.md").read_text()):
    start = [sys.executable, "-m", f"experiments.{module}"]
    if script:
      start = [str(beside / script), *([module] if script == "gan-train" else [])]
    run([*start, *with_smaller(flags, SMALLER[module])], here)
  assert (here / "runs" / "study" / "report.html").exists()
  assert json.loads((here / "runs" / "theory" / "generator_costs" / "result.json").read_text())


@pytest.mark.install
def test_lines_of_python_in_the_readme_run(here):
  (block,) = fenced((ROOT / "README.md").read_text(), "python")
  (here / "script.py").write_text(block.replace("steps=1000", "steps=2"))
  run([sys.executable, "script.py"], here)
  assert (here / "runs" / "mine" / "summary.json").exists()
