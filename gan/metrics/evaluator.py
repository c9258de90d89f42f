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
  train: datasets.Dataset, split: str, count: int, seed: int
) -> tuple[Evaluator | None, str]:
  """Returns an evaluator for the generator of a run, and a line for the user or "".

  Args:
    train: the training examples.
    split: the part of the data set that they are.
    count: number of fakes, and of reference examples where there are as many.
    seed: of the choice of the reference.
  """
  extractor, notice = find_extractor(train)
  if len(train.images) < LEAST_REFERENCE:
    return None, f"No metrics while training: {len(train.images)} training examples are too few."
  order = np.random.default_rng(seed).permutation(len(train.images))
  reference = train._replace(images=train.images[np.sort(order[:count])], labels=None)
  data = make_data(reference, None, extractor, count, seed)
  if not quick(data):
    return None, f"No metrics while training: {notice}."
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
    makes = "experiments.train_classifier makes one that experiments.evaluate takes"
    return None, f"no extractor of {name} comes with the package ({makes})"
  extractor, shape = extractors.load(name), dataset.images.shape[1:]
  stacked = dataset.kind in extractors.STACKED
  if extractor.image_shape != ((*shape[:2], 1) if stacked else shape):
    sizes = ["x".join(map(str, size)) for size in (shape, extractor.image_shape)]
    return None, f"images are {sizes[0]}, and the extractor of {name} takes {sizes[1]}"
  return extractor, ""
