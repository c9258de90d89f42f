"""Frechet distance within each class: whether a generator draws the class that it is given."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gan.errors import UserError
from gan.metrics.checks import check_labels, check_pair
from gan.metrics.frechet import frechet_distance

LEAST = 2  # samples of a class in each set: one has no covariance


class ClassDistances(NamedTuple):
  """The distance within each class that has enough samples in both sets.

  Attributes:
    classes: [K], their numbers, rising.
    values: [K], the distance within each, in squared units of the features.
    left_out: [L], the numbers of classes that only one set has, or with too few samples in one.
  """

  classes: Int[np.ndarray, " k"]
  values: Float[np.ndarray, " k"]
  left_out: Int[np.ndarray, " l"]


def shared_classes(
  real_labels: Int[np.ndarray, " n"], fake_labels: Int[np.ndarray, " m"]
) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " l"]]:
  """Returns the classes with at least 2 samples in both sets, and the others of either."""
  classes = np.union1d(real_labels, fake_labels)
  enough = np.isin(classes, np.intersect1d(_large(real_labels), _large(fake_labels)))
  return classes[enough], classes[~enough]


def _large(labels: Int[np.ndarray, " n"]) -> Int[np.ndarray, " k"]:
  """The classes with at least LEAST samples."""
  classes, counts = np.unique(labels, return_counts=True)
  return classes[counts >= LEAST]


def intra_class_frechet(
  real: Float[np.ndarray, "n d"],
  real_labels: Int[np.ndarray, " n"],
  fake: Float[np.ndarray, "m d"],
  fake_labels: Int[np.ndarray, " m"],
) -> ClassDistances:
  """Squared Frechet distances between data and samples of the same class.

  d_c = `frechet_distance` of the rows with label c; their mean over classes is the Intra FID of
  conditional generators. Unlike the distance of whole sets it sees samples of another class than
  was asked for, and a class whose samples are all alike. A class has few samples, and the bias of
  the distance is large at few: compare only values at equal counts in each class.

  See "cGANs with Projection Discriminator" by Miyato and Koyama (https://arxiv.org/abs/1802.05637).

  Args:
    real: [N, D], features of data.
    real_labels: [N], their classes, >= 0.
    fake: [M, D], features of generated samples.
    fake_labels: [M], the classes that were asked for.

  Returns:
    The distance within each class of at least 2 samples in both sets, and the classes left out.

  Raises:
    UserError: see `checks.check_pair` and `checks.check_labels`; or no class has enough samples.
  """
  real, fake = check_pair(real, fake)
  real_labels = check_labels("real", real_labels, len(real))
  fake_labels = check_labels("fake", fake_labels, len(fake))
  classes, left_out = shared_classes(real_labels, fake_labels)
  if not len(classes):
    raise UserError(f"no class has {LEAST} real and {LEAST} fake samples: take more samples")
  pairs = ((real[real_labels == each], fake[fake_labels == each]) for each in classes)
  return ClassDistances(classes, np.array([frechet_distance(*pair) for pair in pairs]), left_out)
