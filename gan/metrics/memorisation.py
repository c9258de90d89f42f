"""Memorisation: whether fakes lie nearer to the training set than fresh data do."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gan.errors import UserError
from gan.metrics.checks import check_features, check_pair
from gan.metrics.neighbours import nearest


class Memorisation(NamedTuple):
  """How near fakes come to the training set, and to which rows of it.

  Attributes:
    ratio: 1 for a generator as far from the training set as fresh data, 0 for one that copies it.
    distances: [M], from each fake to its nearest training row.
    indices: [M], those rows, to show beside the fakes.
  """

  ratio: float
  distances: Float[np.ndarray, " m"]
  indices: Int[np.ndarray, " m"]


def memorisation(
  train: Float[np.ndarray, "n d"],
  held_out: Float[np.ndarray, "h d"],
  fake: Float[np.ndarray, "m d"],
) -> Memorisation:
  """Distance of fakes to the training set over that of data which training did not see.

  ratio = median_j min_i |y_j - x_i| / median_l min_i |h_l - x_i|, for fakes y, training x and
  held-out h. The median, for a mean would let a few fakes far from everything hide many copies;
  copies that are fewer than half show in `distances`. Blurred images are near to everything: a
  ratio below 1 in pixels is a reason to look at the pairs, no proof of copying.

  Held-out data as the measure is the idea of "A Non-Parametric Test to Detect Data-Copying in
  Generative Models" by Meehan et al. (https://arxiv.org/abs/2004.05675), who make a test of it.

  Args:
    train: [N, D], features or pixels of the training set.
    held_out: [H, D], of data outside it.
    fake: [M, D], of generated samples.

  Returns:
    The ratio, at least 0, with distances and nearest rows for every fake.

  Raises:
    UserError: no samples, NaN, dimensions that differ, or held-out data out of the training set.
  """
  held_out, fake = check_pair(check_features("held_out", held_out), fake)
  train, fake = check_pair(check_features("train", train), fake)
  fresh = np.median(nearest(held_out, train)[0])
  if fresh == 0:
    raise UserError("half of the held-out data are in the training set: pass data outside it")
  distances, indices = nearest(fake, train)
  return Memorisation(float(np.median(distances) / fresh), distances, indices)
