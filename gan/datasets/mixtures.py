"""Points from mixtures of Gaussians with equal weights."""

import numpy as np
from jaxtyping import Float

from gan.datasets import base

SEED = 0
SIZES = {"train": 100_000, "test": 10_000}  # 100,000 is the fixed training set of PacGAN's code


def load(name: str, split: str, centres: Float[np.ndarray, "k 2"], sigma: float) -> base.Dataset:
  """A fixed sample of the mixture; the same on every call.

  Args:
    name: the data set's name.
    split: "train" or "test", drawn from independent streams.
    centres: [K, 2], the means.
    sigma: standard deviation along both axes, in units of the centres.

  Returns:
    Points [N, 2] float32, labels the index of the centre each was drawn around.

  Raises:
    UserError: for another split.
  """
  base.check_split(split, tuple(SIZES), name)
  rng = np.random.default_rng([SEED, list(SIZES).index(split)])
  labels = rng.integers(len(centres), size=SIZES[split], dtype=np.int32)
  points = centres[labels] + sigma * rng.standard_normal((SIZES[split], 2))
  source = f"{len(centres)} Gaussians, standard deviation {sigma}, seed {SEED}"
  return base.Dataset(name, points.astype(np.float32), labels, len(centres), source)
