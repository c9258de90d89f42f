"""Eight Gaussians on a circle, as in PacGAN.

See "PacGAN" by Lin, Khetan, Fanti and Oh (https://arxiv.org/abs/1712.04086) and its
code: radius 1, standard deviation 0.01.
"""

import numpy as np
from jaxtyping import Float

from gan.datasets import base, mixtures

MODES = 8
RADIUS = 1.0
SIGMA = 0.01


def centres() -> Float[np.ndarray, "8 2"]:
  """The means of the modes, [8, 2], counted against the clock from (1, 0)."""
  # The end stays out: with it the first and the last mode are one, of double mass.
  angles = np.linspace(0, 2 * np.pi, MODES, endpoint=False)
  return RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def load(split: str, data_dir: str | None = None, image_size: int | None = None) -> base.Dataset:
  """The points, [N, 2] float32, with the mode as label; see `mixtures.load`."""
  del data_dir, image_size
  return mixtures.load("ring", split, centres(), SIGMA)
