"""What several extractors see of the same data and of the same generator.

Numbers of the first keep their names; those of another get its name: frechet_distance@inception.
"""

from collections.abc import Sequence
from typing import NamedTuple

from gan import datasets
from gan.metrics import METRICS
from gan.metrics.base import OF, Data, Sample
from gan.metrics.evaluation import applicable, make_data
from gan.metrics.extractors import Extractor


class FeatureSpace(NamedTuple):
  """Data as one extractor sees them.

  Attributes:
    data: what generators are measured against.
    extractor: of their features, or None.
    first: whether it is the first of its run, which has the metrics without features.
  """

  data: Data
  extractor: Extractor | None = None
  first: bool = True

  def metrics(self) -> list[str]:
    """Returns the names of METRICS that are measured in this space."""
    names = [name for name in applicable(self.data) if _takes(METRICS[name], self.extractor)]
    if self.first:
      return names
    without = applicable(_without_features(self.data))
    return [name for name in names if name not in without]

  def number(self, name: str) -> str:
    """Returns what a number of a metric is called in records."""
    return name if self.first else f"{name}{OF}{self.extractor.name}"


def _takes(metric, extractor):
  return not metric.extractors or (extractor and extractor.name in metric.extractors)


def _without_features(data):
  return data._replace(
    **{
      part: sample and Sample(sample.examples, labels=sample.labels)
      for part, sample in data._asdict().items()
      if part in ("reference", "train", "held_out")
    }
  )


def make_spaces(
  train: datasets.Dataset,
  held_out: datasets.Dataset | None,
  extractors: Sequence[Extractor],
  count: int,
  seed: int,
  labelled: bool = False,
) -> tuple[FeatureSpace, ...]:
  """Returns the spaces of some extractors, or the one of none.

  Args:
    train: the training examples.
    held_out: others of the same kind, or None.
    extractors: of the features, each of another name; the first gives numbers their plain names.
    count: size of the reference, at most.
    seed: of the choice of the reference.
    labelled: whether fakes have labels, beside which those of the data are read.
  """
  return tuple(
    FeatureSpace(
      make_data(train, held_out, extractor, count, seed, labelled), extractor, first=number == 0
    )
    for number, extractor in enumerate(extractors or [None])
  )
