"""What the study compares: data sets, shares of them, and means against overfitting (arms)."""

import dataclasses
import pathlib
from typing import Any, NamedTuple

from experiments import cifar10, mnist
from gan.sweeps.search import Trial
from gan.training.config import Config
from gan.training.options import with_values
from gan.training.run_folder import RUNS_FOLDER
from gan.training.validation import validate

NONE = "none"  # the arm beside which all others stand
SHARES = (1, 10, 100)  # per cent
TITLES = {"mnist": "MNIST", "cifar10": "CIFAR-10"}


class Source(NamedTuple):
  """A data set of the study.

  Attributes:
    config: of its runs without an arm, on all data.
    examples: in its training split.
  """

  config: Config
  examples: int


Form = dict[str, Source]  # by the name of the data set

# All arms share the rates; D learns as fast as G here, so that it can learn few data by heart.
QUICK: Form = {
  "mnist": Source(
    dataclasses.replace(
      mnist.DEFAULTS,
      dataset="mnist",
      width=16,
      discriminator_hidden=64,
      discriminator_learning_rate=2e-3,
      batch_size=32,
      steps=2000,
      sample_every=500,
      eval_every=200,
      eval_samples=1000,
      checkpoint_every=1000,
      reference_split="train",
      heldout="test",
    ),
    60_000,
  )
}
FULL: Form = {
  "mnist": Source(
    dataclasses.replace(
      mnist.DEFAULTS,
      dataset="mnist",
      discriminator_learning_rate=2e-3,
      steps=5000,
      sample_every=1000,
      eval_every=250,
      reference_split="train",
      heldout="test",
    ),
    60_000,
  ),
  "cifar10": Source(
    dataclasses.replace(
      cifar10.DEFAULTS,
      steps=20_000,
      sample_every=2000,
      eval_every=1000,
      reference_split="train",
      heldout="test",
    ),
    50_000,
  ),
}


class Arm(NamedTuple):
  """A means against overfitting.

  Attributes:
    about: in words.
    fields: of Config, and options, in which its runs differ from those of NONE.
  """

  about: str
  fields: dict[str, Any]


ARMS: dict[str, Arm] = {
  NONE: Arm("nothing beside the loss", {}),
  "diffaugment": Arm(
    "DiffAugment: colour, shifts and cutout on all that D sees",
    {"augment": "diffaugment:color,translation,cutout"},
  ),
  "ada": Arm(
    "ADA: pixel blitting, geometry and colour, as strong as D's signs on data ask for",
    # In 500,000 images the source's controller would have moved by a tenth in the quick study.
    {"augment": "ada:bgc", "augment_control": "ada", "ada_speed": 20_000},
  ),
  "lecam": Arm("the LeCam regulariser", {"regularizers": "lecam"}),
  "cr": Arm("consistency of D on an image and its shifted mirror image", {"regularizers": "cr"}),
}


class Cell(NamedTuple):
  """A share of a data set, on which all arms are compared."""

  dataset: str
  share: int  # per cent

  @property
  def title(self) -> str:
    """In words: MNIST, 1 %."""
    return f"{TITLES.get(self.dataset, self.dataset)}, {self.share} %"

  def examples(self, form: Form) -> int:
    """How many examples it has, the first of the data set."""
    return form[self.dataset].examples * self.share // 100

  def folder(self, outdir: pathlib.Path) -> pathlib.Path:
    """Where its sweeps lie, one for each arm."""
    return outdir / self.dataset / f"{self.share}_percent"

  def run(self, outdir: pathlib.Path, arm: str, seed: int) -> pathlib.Path:
    """The folder of one of its runs."""
    return self.folder(outdir) / arm / RUNS_FOLDER / _name(arm, seed)


def _name(arm, seed):
  return f"{arm}-seed={seed}"


def trials(form: Form, cell: Cell, arm: str, seeds: int) -> list[Trial]:
  """Returns the runs of an arm on a cell, one for each seed."""
  source, size = form[cell.dataset], cell.examples(form)
  split = "train" if cell.share == 100 else f"train[:{size}]"
  config = with_values(source.config, ARMS[arm].fields | {"split": split})
  validate(config)
  return [
    Trial(_name(arm, seed), dataclasses.replace(config, seed=seed), {"seed": seed})
    for seed in range(seeds)
  ]
