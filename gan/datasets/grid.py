"""Twenty-five Gaussians on a square grid, as in PacGAN.

See "PacGAN" by Lin, Khetan, Fanti and Oh (https://arxiv.org/abs/1712.04086) and its
code: means on {-4, -2, 0, 2, 4} squared, standard deviation 0.05.
"""

import numpy as np
from jaxtyping import Float

from gan.datasets import base, mixtures

AXIS = (-4.0, -2.0, 0.0, 2.0, 4.0)
SIGMA = 0.05


def centres() -> Float[np.ndarray, "25 2"]:
  """The means of the modes, [25, 2], row by row: x changes slowest."""
  return np.stack(np.meshgrid(AXIS, AXIS, indexing="ij"), axis=-1).reshape(-1, 2)


def load(split: str, data_dir: str | None = None, image_size: int | None = None) -> base.Dataset:
  """The points, [N, 2] float32, with the mode as label; see `mixtures.load`."""
  del data_dir, image_size
  return mixtures.load("grid", split, centres(), SIGMA)
