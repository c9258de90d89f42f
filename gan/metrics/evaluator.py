"""What a run measures of itself while it trains."""

from typing import Any, NamedTuple

import numpy as np

from gan import datasets
from gan.errors import UserError
from gan.metrics import METRICS, extractors
from gan.metrics.evaluation import extract_features, measure
from gan.metrics.extractors.base import Extractor, words
from gan.metrics.spaces import FeatureSpace, make_spaces
from gan.system.progress import say

LEAST_REFERENCE = 6  # density_coverage needs five neighbours


class Evaluator(NamedTuple):
  """What a run needs to measure its generator again and again.

  Attributes:
    spaces: what the generator is measured against, once for each extractor.
    count: number of fakes in an evaluation.
    facts: what goes with every value: sample counts, extractors, split, seed.
  """

  spaces: tuple[FeatureSpace, ...]
  count: int
  facts: dict[str, Any]

  def __call__(self, examples: np.ndarray) -> dict[str, Any]:
    """Returns the facts and the value of every quick metric of generated examples.

    One that cannot be had is left out, with a line to the user.
    """
    values = {}
    for space in self.spaces:
      fake = extract_features(examples, space.extractor)
      for name in quick(space):
        try:
          found = measure(space.data, fake, [name], self.facts["eval_seed"])
        except UserError as error:  # a run need not end for it
          say(f"Left out, {error}")
          continue
        values |= {space.number(name): value.value for name, value in found.items()}
    return self.facts | values


def quick(space: FeatureSpace) -> list[str]:
  """Returns the names of METRICS by which a run measures itself in a space."""
  return [name for name in space.metrics() if METRICS[name].quick]


def make_evaluator(
  train: datasets.Dataset,
  split: str,
  count: int,
  seed: int,
  named: tuple[Extractor, ...] = (),
) -> tuple[Evaluator | None, str]:
  """Returns an evaluator for the generator of a run, and a line for the user or "".

  Args:
    train: the training examples.
    split: the part of the data set that they are.
    count: number of fakes, and of reference examples where there are as many.
    seed: of the choice of the reference.
    named: the extractors of the features; () for the shipped one that fits the data, if one does.
  """
  found, notice = (None, "") if named else find_extractor(train)
  used = named or ((found,) if found else ())
  if len(train.images) < LEAST_REFERENCE:
    return None, f"No metrics while training: {len(train.images)} training examples are too few."
  order = np.random.default_rng(seed).permutation(len(train.images))
  reference = train._replace(images=train.images[np.sort(order[:count])], labels=None)
  spaces = make_spaces(reference, None, used, count, seed)
  if not any(map(quick, spaces)):
    remedy = "; `extractor=FILE` names one" if _are_images(train) else ""
    return None, f"No metrics while training: {notice}{remedy}."
  facts = {
    "eval_samples": count,
    "reference_samples": len(reference.images),
    "extractor": digests(used),
    "split": split,
    "eval_seed": seed,
  }
  return Evaluator(spaces, count, facts), notice


def digests(used: tuple[Extractor, ...]) -> str | None:
  """Returns what names extractors in records, in their order; None for none."""
  return ",".join(extractor.identity for extractor in used) or None


def find_extractor(dataset: datasets.Dataset) -> tuple[Extractor | None, str]:
  """Returns the shipped extractor that fits a data set, and what is to be said of that.

  Colour images of the size of CIFAR-10 that have none of their own get that of CIFAR-10. Where the
  first is None, the second says why.
  """
  name = extractors.for_dataset(dataset.kind)
  if dataset.images.ndim == 2:
    return None, "points need none"
  if dataset.images.dtype != np.uint8:
    return None, "extractors take uint8 images"
  if name not in extractors.shipped() and dataset.images.shape[1:] == (32, 32, 3):
    return extractors.load("cifar10"), stands_in("CIFAR-10")
  if name not in extractors.shipped():
    makes = "python -m experiments.train_classifier makes one"
    return None, f"no extractor of {name} comes with the package ({makes})"
  extractor = extractors.load(name)
  here, taken = _sizes(extractor, dataset)
  if here != taken:
    return None, f"images are {here}, and the extractor of {name} takes {taken}"
  return extractor, ""


def stands_in(name: str) -> str:
  """Returns a line on an extractor of other data that is used because the images fit."""
  return f"Features are those of the extractor of {name}; `extractor=FILE` names another."


def check_extractor(extractor: Extractor, dataset: datasets.Dataset, named: str) -> None:
  """Raises UserError where an extractor does not take the examples of a data set.

  Args:
    extractor: that a run is to measure itself by.
    dataset: what it is trained on.
    named: what the user called the extractor.
  """
  if dataset.images.ndim == 2:
    raise UserError(
      f"`extractor={named}` is for images, and {dataset.name} has points: leave it out"
    )
  if not _are_images(dataset):
    raise UserError(
      f"`extractor={named}` takes uint8 images, and those of {dataset.name} are "
      f"{dataset.images.dtype}: give uint8 images, or leave it out"
    )
  here, taken = _sizes(extractor, dataset)
  if extractor.image_shape and here != taken:
    raise UserError(
      f"`extractor={named}` takes images of {taken}, and those of {dataset.name} are {here}: train "
      "one on them (python -m experiments.train_classifier), or name another"
    )


def origin(extractor: Extractor, dataset: datasets.Dataset, named: str) -> str:
  """Returns a line where an extractor was trained on other data than a run, or "".

  Args:
    extractor: that was named for the run.
    dataset: what the run is trained on.
    named: what the user called the extractor.

  Raises:
    UserError: the data set has a shipped extractor, beside which those of other data mean nothing.
  """
  kind = extractors.for_dataset(dataset.kind)
  if extractor.dataset is None or extractors.for_dataset(extractor.dataset) == kind:
    return ""
  what = f"{extractor.dataset}, the run on {dataset.name}"
  if kind in extractors.shipped():
    raise UserError(
      f"`extractor={named}` was trained on {what}: its features mean nothing there; leave it out, "
      "or name another"
    )
  return f"The extractor was trained on {what}."


def _are_images(dataset) -> bool:
  return dataset.images.ndim == 4 and dataset.images.dtype == np.uint8


def _sizes(extractor, dataset) -> list[str]:
  """The size of images as an extractor sees them, and the size that it takes, in words."""
  shape = dataset.images.shape[1:]
  seen = (*shape[:2], 1) if dataset.kind in extractors.STACKED else shape
  return [words(size) for size in (seen, extractor.image_shape or ())]
