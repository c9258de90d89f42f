"""What a metric is, and what it is given of a data set and of a generator."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Sample(NamedTuple):
  """Examples, and what a classifier makes of them.

  Attributes:
    examples: images [N, H, W, C] uint8, or points [N, 2].
    features: [N, D], or None for points.
    probabilities: [N, C] of classes; [N, K, C] of the K channels of stacked images; or None.
    labels: [N], the classes of data, or those that were asked for of a generator; or None.
  """

  examples: np.ndarray
  features: np.ndarray | None = None
  probabilities: np.ndarray | None = None
  labels: np.ndarray | None = None

  def rows(self, chosen: Any) -> "Sample":
    """Returns the examples of these numbers."""
    others = (None if array is None else array[chosen] for array in self[1:])
    return Sample(self.examples[chosen], *others)


class Data(NamedTuple):
  """What a generator is measured against.

  Attributes:
    reference: as many training examples as there are fakes, where there are as many.
    train: all training examples.
    held_out: data that training did not see, or None.
    mixture: (centres [K, 2], sigma) of points from a mixture, or None.
    mode_chances: [C^K] of the modes of stacked images whose distribution is known, or None.
    statistics: mean [D] and covariance [D, D] of features of real images from a file, or None.
  """

  reference: Sample
  train: Sample
  held_out: Sample | None
  mixture: tuple[np.ndarray, float] | None = None
  mode_chances: np.ndarray | None = None
  statistics: tuple[np.ndarray, np.ndarray] | None = None


class Value(NamedTuple):
  """A number and its standard error, None where the metric gives none."""

  value: float
  standard_error: float | None = None


Values = dict[str, Value]
Bounds = tuple[float, float]
ANY, POSITIVE, SHARE = (-math.inf, math.inf), (0.0, math.inf), (0.0, 1.0)

OF = "@"  # between the name of a number and that of the extractor, where it is not the first
NEAR_REFERENCE = "reference"  # the direction of a number that is best near its held-out one
DIRECTIONS = ("lower", "higher", NEAR_REFERENCE)


class Metric(NamedTuple):
  """One metric.

  Attributes:
    function: `(data, fake, rng) -> {name: Value}`.
    better: name -> one of DIRECTIONS; NEAR_REFERENCE: the nearer to real data the better.
    range: `data -> {name: (least, largest)}`, between which each number of `better` lies.
    applies: `data -> bool`, whether the data have what the function reads.
    resample: whether half-samples tell the standard error.
    perfect: `(data, count, rng) -> {name: Value}`, what a perfect sampler scores with that many
      samples, or {} where these data do not tell; None for the score of held-out data.
    notice: `(data, fake) -> str`, a line for the user on what it makes no use of, or ""; or None.
    quick: whether runs measure themselves by it while they train, where it applies: seconds at a
      few thousand samples.
    extractors: names of those on whose features it is defined; () for any.
  """

  function: Callable[[Data, Sample, np.random.Generator], Values]
  better: dict[str, str]
  range: Callable[[Data], dict[str, Bounds]]
  applies: Callable[[Data], bool]
  resample: bool = True
  perfect: Callable[[Data, int, np.random.Generator], Values] | None = None
  notice: Callable[[Data, Sample], str] | None = None
  quick: bool = True
  extractors: tuple[str, ...] = ()
