"""How many steps each call of the compiled program makes, and their batches, read ahead."""

import concurrent.futures
from collections.abc import Callable, Generator, Iterator
from typing import Any

import jax
import numpy as np

from gan.models import MODELS
from gan.training.config import Config

MAX_ROW_BYTES = 2**28  # of a call whose rows come from the host


def batches(
  config: Config,
  step: int,
  indices: Callable[[int, int], np.ndarray],
  gather: Callable[[np.ndarray], Any] | None = None,
  step_bytes: int = 0,
) -> Generator[tuple[int, Any], None, None]:
  """Yields how many steps each call makes, from `step` to the end, and its indices or rows.

  Args:
    config: of the run.
    step: where it stands.
    indices: `(step, count) -> indices` of so many steps.
    gather: `indices -> rows` of data on the host; they are made by a thread, those of the next call
      while the caller works on one. None for data on the devices.
    step_bytes: of the rows of a step.
  """

  def each(step: int) -> Iterator[tuple[int, Any]]:
    while step < config.steps:
      count = _steps_in_call(config, step, step_bytes)
      yield count, gather(indices(step, count)) if gather else indices(step, count)
      step += count

  return _ahead(each(step)) if gather else each(step)


def _ahead(items: Iterator[Any]) -> Generator[Any, None, None]:
  with concurrent.futures.ThreadPoolExecutor(1) as pool:
    coming = pool.submit(next, items, None)
    while (item := coming.result()) is not None:
      coming = pool.submit(next, items, None)
      yield item


def _steps_in_call(config: Config, step: int, step_bytes: int) -> int:
  """Steps until the next thing to write, at most `steps_per_call`.

  On the CPU a loop of steps inside one program runs the gradients of convolutions off the fast
  path, and dispatch costs nothing beside a step, but for the smallest networks; on accelerators
  networks wait for dispatch.
  """
  # A game that was passed may have convolutions.
  small = config.model in MODELS and MODELS[config.model].small
  one = jax.default_backend() == "cpu" and not small
  fitting = max(1, MAX_ROW_BYTES // max(1, step_bytes))
  most = config.steps_per_call or (1 if one else min(100, fitting))
  cadences = (config.log_every, config.sample_every, config.checkpoint_every, config.eval_every)
  cadences = [every for every in cadences if every]
  return min(most, config.steps - step, *(every - step % every for every in cadences))
