"""Which examples a step sees: a function of (seed, step), so that resuming needs nothing stored."""

import functools

import numpy as np
from jaxtyping import Int32


def batch_indices(
  seed: int, num_examples: int, step: int, steps: int, updates: int, batch_size: int
) -> Int32[np.ndarray, "s k b"]:
  """Returns the examples of `steps` steps from `step` on.

  The data are read as one endless sequence of epochs, each a seeded permutation; a batch may cross
  from one epoch into the next.

  Args:
    seed: of the run.
    num_examples: length of an epoch.
    step: the first step, from 0.
    steps: S, how many steps.
    updates: K discriminator updates in a step.
    batch_size: B, over all devices.
  """
  share = updates * batch_size
  places = np.arange(step * share, (step + steps) * share)
  epochs, offsets = np.divmod(places, num_examples)
  picked = np.empty(len(places), np.int32)
  for epoch in np.unique(epochs):
    inside = epochs == epoch
    picked[inside] = _permutation(seed, num_examples, int(epoch))[offsets[inside]]
  return picked.reshape(steps, updates, batch_size)


@functools.lru_cache(maxsize=4)
def _permutation(seed, num_examples, epoch):
  return np.random.default_rng((seed, epoch)).permutation(num_examples).astype(np.int32)
