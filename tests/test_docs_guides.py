"""Every block of commands and of Python in the documentation is run, or says why it is not."""

import re
import sys

import numpy as np
import pytest
from PIL import Image
from test_documents import COMMAND, PAGES, ROOT, SMALL, arguments, name_of, run, with_smaller

# The README has a test of its own, which runs the installed commands.
GUIDES = [ROOT / "CONTRIBUTING.md", *(page for page in PAGES if page.name != "README.md")]
HOW_TO = [page for page in GUIDES if page.parent.name == "how_to"]
NOT_RUN = re.compile(r"^<!-- not run: [^\n]+ -->\n```\w*\n.*?^```$", re.S | re.M)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$|^ {4}(\S[^\n]*)$", re.S | re.M)
FILE = re.compile(r"# (\w+\.py)\b")
# Commands that no test runs from its page, and where they are run.
ELSEWHERE = {
  "theory": "tests of the theory lab run each case",
  "small_data": "tests/experiments/small_data has a tiny study",
  "benchmark": "it measures for minutes; tests/experiments/benchmark runs its parts",
}
TINY = ["--batch_size=8", "--steps=2", "--eval_every=2", "--eval_samples=50"]
# Take the place of a command's own flags, so that it is quick; by its module.
SMALLER = {
  "mnist": SMALL,
  "fashion_mnist": SMALL,
  "ring": TINY,
  "images": [*TINY, "--width=8"],
  "cifar10": [*TINY, "--dataset=digits", "--width=8", "--generator_batch_size=8"],
  "sweep": ["--seeds=1"],  # beside those of its experiment
  "study": ["--samples=2", "--seeds=1"],
  "evaluate": ["--samples=50"],
  "train_classifier": ["--epochs=1"],
  "best": [],
  "compare": [],
  "completion": [],
  "export": [],
  "losses": [],
  "sample": [],
}
# The same, where a command has the flag.
WHERE_GIVEN = ["--count=50"]
HALVED = ["--halving=2", "--eval_every=1"]  # of two steps
OF_STUDIES = ["--losses=nonsat,hinge", "--grid=penalty=none,r1"]
# What a page of reference leaves to its reader: before its Python, and after it.
OWN_GAME = """
import gan, jax, jax.numpy as jnp, numpy as np, optax
from flax import linen as nn
class MyG(nn.Module):
  @nn.compact
  def __call__(self, latents):
    return nn.tanh(nn.Dense(784)(latents)).reshape(-1, 28, 28, 1)
class MyD(nn.Module):
  @nn.compact
  def __call__(self, images):
    return nn.Dense(1)(images.reshape(-1, 784))[:, 0]
my_loss, my_network, key = gan.LOSSES["hinge"], MyD(), jax.random.key(0)
images = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1), np.uint8)
batches = [images[:8]]
game = gan.Game(generator=gan.from_linen(MyG()), discriminator=gan.from_linen(MyD()), loss=my_loss)
"""
USED = """
pixels = jnp.float32(images[:8]) / 127.5 - 1
assert jnp.isfinite(discriminator_objective(my_network.init(key, pixels), pixels, -pixels))
game = game.replace(discriminator=discriminator)
state, metrics = jax.jit(game.step)(game.init(key), images[:8], key)
assert jnp.isfinite(metrics["discriminator_loss"])
"""
GIVEN = {"docs/python.md": (OWN_GAME, USED), "docs/metrics.md": (OWN_GAME, "")}


def blocks(page):
  """(language, text) of the blocks that are run, in their order; a line set in is one of them."""
  for language, fenced, line in BLOCK.findall(NOT_RUN.sub("", page.read_text())):
    if fenced or COMMAND.search(line):
      yield language, fenced or line


def commands(page):
  """(variables before it, module, flags) of each command of a page that is run."""
  for language, block in blocks(page):
    for line in re.sub(r"\\\n\s*", "", block).splitlines() if not language else []:
      variables, module, flags = command(line)
      if module.split(".")[0] not in ELSEWHERE:
        yield variables, module, flags


def is_run(page):
  """Whether a page has a command or Python that is run."""
  return any(commands(page)) or "python" in dict(blocks(page))


def command(line):
  """(variables before it, module, flags) of a line that is a command of ours."""
  found = COMMAND.search(line)
  assert found, f"{line!r} is no command of ours: say why it is not run"
  module, script, words = found[1], found[2], arguments(found[3])
  if script == "gan-train":
    module, words = words[0], words[1:]
  return line[: found.start()].split(), module or script.removeprefix("gan-"), words


def smaller(page, module, flags):
  """The flags of a command at a small size: its own network stays."""
  given = {flag.partition("=")[0] for flag in flags}
  small = list(SMALLER[module])
  if module in ("sweep", "study"):
    experiment = [flag.split("=")[1] for flag in flags if flag.startswith("--experiment=")]
    small += SMALLER[(experiment or ["mnist"])[0]]
    small += ["--losses=nonsat,hinge"] * ("--losses" not in given)
  own = [flag for flag in flags if flag.startswith("--model=")]
  small = [flag for flag in small if not (own and flag.startswith("--model="))]
  small += ["--width=8"] * bool(own and own != ["--model=mlp"])
  if "--halving" in given:
    small = with_smaller(small, HALVED)
  less = WHERE_GIVEN + OF_STUDIES * page.name.startswith("study_")
  return with_smaller(flags, small + [flag for flag in less if flag.partition("=")[0] in given])


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_every_block_is_run_or_says_why_it_is_not(page):
  assert {language for language, _ in blocks(page)} <= {"", "python", "text"}
  for _, module, _ in commands(page):
    assert module in SMALLER


def test_a_reason_excuses_the_block_below_it_alone(tmp_path):
  page = tmp_path / "page.md"
  fence, reason = "```\n{}\n```\n\n", "<!-- not run: why -->\n"
  page.write_text(f"{reason}{fence}{fence}{reason}{fence}".format(*"abc"))
  assert list(blocks(page)) == [("", "b\n")]


def test_the_page_of_how_to_leads_to_all_of_them():
  index = (ROOT / "docs" / "how_to" / "index.md").read_text()
  assert set(re.findall(r"\]\((\w+\.md)\)", index)) == {page.name for page in HOW_TO} - {"index.md"}


@pytest.fixture
def here(tmp_path):
  """A folder outside of the clone, with images in it."""
  images = np.random.default_rng(0).integers(0, 256, (64, 64, 64, 3), np.uint8)
  for i, image in enumerate(images):
    for folder in (tmp_path / "my_images", tmp_path / "FOLDER" / f"class_{i % 2}"):
      folder.mkdir(parents=True, exist_ok=True)
      Image.fromarray(image).save(folder / f"{i}.png")
  np.save(tmp_path / "my_images.npy", images)
  grey = images[:, :28, :28, :1]
  np.savez(tmp_path / "A.npz", images=grey)
  np.savez(tmp_path / "B.npz", images=255 - grey)
  return tmp_path


def run_module(module, flags, here, variables=()):
  run(["env", *variables, sys.executable, "-m", f"experiments.{module}", *flags], here)


@pytest.mark.slow
@pytest.mark.parametrize("page", [*filter(is_run, GUIDES)], ids=name_of)
def test_blocks_of_a_page_run_one_after_the_other(page, here):
  script = []
  for language, block in blocks(page):
    if language == "python" and (named := FILE.match(block)):
      (here / named[1]).write_text(block)
    elif language == "python":
      block = re.sub(r"\bsteps=\d+,", "steps=2,", block)
      script.append(re.sub(r"\beval_every=\d+,", "eval_every=2, eval_samples=50,", block))
  if page.parent.name == "docs" and "--workdir=runs/nonsat" in page.read_text():
    run_module("mnist", [*SMALL, "--workdir=runs/nonsat"], here)  # the README's
  for variables, module, flags in commands(page):
    run_module(module, smaller(page, module, flags), here, variables)
  before, after = GIVEN.get(name_of(page), ("", ""))
  (here / "script.py").write_text("\n".join([before, *script, after]))
  run([sys.executable, "script.py"], here)
  if page in HOW_TO or page.stem == "start":
    assert list((here / "runs").iterdir())
