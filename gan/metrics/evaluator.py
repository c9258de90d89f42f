"""What a run measures of itself while it trains."""

from typing import Any, NamedTuple

import numpy as np

from gan import datasets
from gan.errors import UserError
from gan.metrics import METRICS, Data, extractors
from gan.metrics.evaluation import applicable, extract_features, make_data, measure
from gan.metrics.extractors import Extractor
from gan.system.progress import say

LEAST_REFERENCE = 6  # density_coverage needs five neighbours


class Evaluator(NamedTuple):
  """What a run needs to measure its generator again and again.

  Attributes:
    data: what the generator is measured against.
    extractor: of the features, or None.
    count: number of fakes in an evaluation.
    facts: what goes with every value: sample counts, extractor, split, seed.
  """

  data: Data
  extractor: Extractor | None
  count: int
  facts: dict[str, Any]

  def __call__(self, examples: np.ndarray) -> dict[str, Any]:
    """Returns the facts and the value of every quick metric of generated examples.

    One that cannot be had is left out, with a line to the user.
    """
    fake, values = extract_features(examples, self.extractor), {}
    for name in quick(self.data):
      try:
        values |= measure(self.data, fake, [name], self.facts["eval_seed"])
      except UserError as error:  # a run need not end for it
        say(f"Left out, {error}")
    return self.facts | {name: value.value for name, value in values.items()}


def quick(data: Data) -> list[str]:
  """Returns the names of METRICS by which a run on these data measures itself."""
  return [name for name in applicable(data) if METRICS[name].quick]


def make_evaluator(
  train: datasets.Dataset,
  split: str,
  count: int,
  seed: int,
  extractor: Extractor | None = None,
) -> tuple[Evaluator | None, str]:
  """Returns an evaluator for the generator of a run, and a line for the user or "".

  Args:
    train: the training examples.
    split: the part of the data set that they are.
    count: number of fakes, and of reference examples where there are as many.
    seed: of the choice of the reference.
    extractor: of the features; None for the shipped one that fits the data, if one does.
  """
  extractor, notice = (extractor, "") if extractor else find_extractor(train)
  if len(train.images) < LEAST_REFERENCE:
    return None, f"No metrics while training: {len(train.images)} training examples are too few."
  order = np.random.default_rng(seed).permutation(len(train.images))
  reference = train._replace(images=train.images[np.sort(order[:count])], labels=None)
  data = make_data(reference, None, extractor, count, seed)
  if not quick(data):
    remedy = "; `extractor=FILE` names one" if _are_images(train) else ""
    return None, f"No metrics while training: {notice}{remedy}."
  facts = {
    "eval_samples": count,
    "reference_samples": len(reference.images),
    "extractor": extractor and extractor.digest,
    "split": split,
    "eval_seed": seed,
  }
  return Evaluator(data, extractor, count, facts), ""


def find_extractor(dataset: datasets.Dataset) -> tuple[Extractor | None, str]:
  """Returns the shipped extractor that fits a data set and "", or None and why there is none."""
  name = extractors.for_dataset(dataset.kind)
  if dataset.images.ndim == 2:
    return None, "points need none"
  if dataset.images.dtype != np.uint8:
    return None, "extractors take uint8 images"
  if name not in extractors.shipped():
    makes = "python -m experiments.train_classifier makes one"
    return None, f"no extractor of {name} comes with the package ({makes})"
  extractor = extractors.load(name)
  here, taken = _sizes(extractor, dataset)
  if here != taken:
    return None, f"images are {here}, and the extractor of {name} takes {taken}"
  return extractor, ""


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
  if here != taken:
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
  if extractors.for_dataset(extractor.dataset) == kind:
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
  return ["x".join(map(str, size)) for size in (seen, extractor.image_shape)]
