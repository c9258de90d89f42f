"""Start and the how-to pages: every block of code is run, or says why it is not."""

import re
import sys

import numpy as np
import pytest
from PIL import Image
from test_documents import COMMAND, FENCE, ROOT, SMALL, arguments, name_of, run, with_smaller

GUIDES = [ROOT / "docs" / "start.md", *sorted((ROOT / "docs" / "how_to").glob("*.md"))]
NOT_RUN = re.compile(r"^<!-- not run: (.+) -->\n```\w*\n.*?^```$", re.S | re.M)
TINY = ["--batch_size=8", "--steps=2", "--eval_every=2", "--eval_samples=50"]
# Take the place of a command's own flags, so that it is quick; by its module.
SMALLER = {
  "mnist": SMALL,
  "fashion_mnist": SMALL,
  "ring": TINY,
  "images": [*TINY, "--width=8"],
  "cifar10": [*TINY, "--dataset=digits", "--width=8", "--generator_batch_size=8"],
  "sweep": [*SMALL, "--seeds=1"],
  "evaluate": ["--samples=50"],
  "compare": [],
  "export": [],
  "sample": [],
}


def blocks(page):
  """(language, text) of the blocks that are run, in their order."""
  return FENCE.findall(NOT_RUN.sub("", page.read_text()))


def lines(block):
  return re.sub(r"\\\n\s*", "", block).splitlines()


def command(line):
  """(variables before it, module, flags) of a line that is a command of ours."""
  found = COMMAND.search(line)
  assert found, f"{line!r} is no command of ours: say why it is not run"
  module, script, words = found[1], found[2], arguments(found[3])
  if script == "gan-train":
    module, words = words[0], words[1:]
  return line[: found.start()].split(), module or script.removeprefix("gan-"), words


def smaller(module, flags):
  """The flags of a command at a small size: its own network stays."""
  own = [flag for flag in flags if flag.startswith("--model=")]
  small = [flag for flag in SMALLER[module] if not (own and flag.startswith("--model="))]
  return with_smaller(flags, small + ["--width=8"] * bool(own and own != ["--model=mlp"]))


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_every_block_is_run_or_says_why_it_is_not(page):
  for language, block in blocks(page):
    assert language in ("", "python")
    for line in lines(block) if not language else []:
      assert command(line)[1] in SMALLER


def test_the_page_of_how_to_leads_to_all_of_them():
  index = (ROOT / "docs" / "how_to" / "index.md").read_text()
  assert set(re.findall(r"\]\((\w+\.md)\)", index)) == {page.name for page in GUIDES[1:]} - {
    "index.md"
  }


@pytest.fixture
def here(tmp_path):
  """A folder outside of the clone, with images in it."""
  images = np.random.default_rng(0).integers(0, 256, (32, 64, 64, 3), np.uint8)
  (tmp_path / "my_images").mkdir()
  for i, image in enumerate(images):
    Image.fromarray(image).save(tmp_path / "my_images" / f"{i}.png")
  np.save(tmp_path / "my_images.npy", images)
  return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in GUIDES if blocks(page)], ids=name_of)
def test_blocks_of_a_page_run_one_after_the_other(page, here):
  for language, block in blocks(page):
    named = re.match(r"# (\w+\.py),", block)
    if named:
      (here / named[1]).write_text(block)
    elif language:
      small = re.sub(r"steps=\d+,", "steps=2, batch_size=8,", block)
      (here / "script.py").write_text(small)
      run([sys.executable, "script.py"], here)
    for line in lines(block) if not language else []:
      variables, module, flags = command(line)
      start = ["env", *variables, sys.executable, "-m", f"experiments.{module}"]
      run([*start, *smaller(module, flags)], here)
  assert list((here / "runs").iterdir())
