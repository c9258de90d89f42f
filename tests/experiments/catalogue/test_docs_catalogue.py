"""The pages that are made of the registries: one for each entry, whose links and commands hold."""

import importlib
import pathlib
import posixpath
import re

import pytest
from test_documents import ROOT, SMALL, command_of, commands, slugs, with_smaller

from experiments.catalogue import figures, networks, pages, words
from gan.augment import AUGMENTATIONS
from gan.losses import LOSSES
from gan.method.update_rules import UPDATE_RULES
from gan.models import MODELS
from gan.penalties import PENALTIES
from gan.regularizers import REGULARIZERS
from gan.training.presets import PRESETS
from gan.training.run_folder import read_summary
from gan.training.validation import validate

FOLDERS = {"losses": LOSSES, "penalties": PENALTIES, "networks": MODELS, "presets": PRESETS}
KINDS = {
  "parts/regularisers.md": REGULARIZERS,
  "parts/augmentations.md": AUGMENTATIONS,
  "parts/update_rules.md": UPDATE_RULES,
}


@pytest.fixture(scope="module")
def made():
  """Every page, with a word in the place of each picture, which takes a second to draw."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(figures, "loss_figure", lambda name: f"slopes of {name}")
    patch.setattr(figures, "penalty_figure", lambda name: f"curve of {name}")
    return pages.pages()


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_name_of_a_registry_has_a_page(made, folder):
  names = {pathlib.PurePath(place).stem for place in made if place.startswith(f"{folder}/")}
  assert names - {"index"} == set(FOLDERS[folder])


@pytest.mark.parametrize("place", KINDS)
def test_a_page_has_every_part_of_its_kind(made, place):
  assert re.findall(r"^## (\w+)$", made[place], re.M) == list(KINDS[place])


def test_a_page_leads_to_every_loss_and_penalty_and_another_to_every_network_and_preset(made):
  for folder, leading in [("losses", "losses"), ("penalties", "losses")] + [
    (folder, "networks") for folder in ("networks", "presets")
  ]:
    inside = "" if folder == leading else f"../{folder}/"
    for name in FOLDERS[folder]:
      assert f"({inside}{name}.md)" in made[f"{leading}/index.md"]


def test_links_of_generated_pages_lead_somewhere(made):
  for place, text in made.items():
    assert text.startswith("# ")
    for target in re.findall(r"\]\(((?!https?:)[^)\s]+)\)", text):
      path, _, anchor = target.partition("#")
      found = posixpath.normpath(posixpath.join(posixpath.dirname(place), path))
      file = ROOT / "docs" / found
      assert found in made or file.exists(), (place, target)
      assert not anchor or anchor in slugs(file.read_text()), (place, target)


def test_a_page_of_a_loss_has_what_its_entry_says(made):
  text = made["losses/ebgan.md"]
  assert "$$\nL\\left( x \\right)" in text and "`--ebgan_margin`" in text
  assert "--loss=ebgan --model=autoencoder" in text and "slopes of" not in text
  assert "*experimental*" in made["losses/klwgan.md"] and "*experimental*" not in text
  assert "slopes of hinge" in made["losses/hinge.md"]
  assert "curve of r1" in made["penalties/r1.md"] and "curve" not in made["penalties/none.md"]


def test_a_page_of_a_preset_says_what_is_not_verified(made):
  assert "not verified: the length is that of `r3gan_cifar10`" in made["presets/r3gan_ffhq64.md"]
  assert "G 22,429,824, D 22,381,440" in made["presets/r3gan_ffhq64.md"]
  assert networks.NO_DIFFERENCE in made["presets/firstgan_vanilla.md"]


def test_commands_of_generated_pages_are_accepted(made, monkeypatch):
  known = {}
  for place, text in made.items():
    for module, _, flags in commands(text):
      if module not in known:
        known[module] = command_of(module, monkeypatch)
      shown = known[module]
      assert shown.values(["command", *flags])[1:] == [], place
      defaults = importlib.import_module(f"experiments.{module}").DEFAULTS
      validate(shown.config(defaults))
      for flag in shown.values:
        shown.values[flag].unparse()
  assert set(known) == {"mnist", "ring", "cifar10", "images"}


# Those of networks and presets are run by tests/experiments/test_experiments.py and
# tests/training/test_modern_presets.py, which have a size for each.
RUN = [f"{folder}/{name}.md" for folder in ("losses", "penalties") for name in FOLDERS[folder]]


@pytest.mark.slow
@pytest.mark.usefixtures("programs_of_the_tests")
@pytest.mark.parametrize("place", [*RUN, *KINDS])
def test_commands_of_generated_pages_run(made, place, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  for module, _, flags in commands(made[place]):
    smaller = ["--width=8", *(flag for flag in SMALL if not flag.startswith("--model"))]
    if module == "ring":
      smaller.remove("--dataset=digits")
    main = importlib.import_module(f"experiments.{module}").main
    assert main(["command", *with_smaller(flags, smaller)]) == 0, flags
    (workdir,) = (flag.removeprefix("--workdir=") for flag in flags if "--workdir" in flag)
    assert read_summary(workdir)["status"] == "finished"


def test_figures_are_the_same_each_time_and_take_the_colours_of_the_page():
  drawn = figures.loss_figure("nonsat")
  assert drawn == figures.loss_figure("nonsat")
  assert "var(--series-0)" in drawn and "#0072b2" not in drawn
  assert "slope of the cost" in drawn and "D, on fakes" in drawn


def test_rows_of_a_table_are_found_by_each_of_their_names():
  page = "\n| `--x` | what |\n| --- | --- |\n| `a`, `b:END` | \\|v\\| |\n| `b` | more |\n\n"
  found = words.rows(page, "`--x`")
  assert found == {"a": [["`a`, `b:END`", "\\|v\\|"]], "b": [found["a"][0], ["`b`", "more"]]}
