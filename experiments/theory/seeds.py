"""One function for many seeds, in one compiled program."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def over_seeds(function: Callable[[jax.Array], Any], seeds: int) -> Any:
  """Returns `function(key)` of every seed as NumPy arrays [seeds, ...]."""
  keys = jax.random.split(jax.random.key(0), seeds)
  return jax.tree.map(np.asarray, jax.jit(jax.vmap(function))(keys))
