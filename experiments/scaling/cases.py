"""The models that the cost sheet is about, as their experiments train them."""

from typing import NamedTuple

import jax
import numpy as np

from experiments import mnist, ring
from gan.method.game import Batch
from gan.training.build import Algorithm, DataInfo, build
from gan.training.config import Config

EXAMPLES = 1024
MNIST, COLOUR = (28, 28, 1), (64, 64, 3)


class Case(NamedTuple):
  """A model.

  Attributes:
    config: how it is trained.
    shape: of an example.
    timed: whether its steps are short enough to time on a CPU.
  """

  config: Config
  shape: tuple[int, ...] = MNIST
  timed: bool = False


CASES = {
  "points": Case(ring.DEFAULTS, (2,), True),
  "mlp": Case(Config(model="mlp", batch_size=128), timed=True),
  "goodfellow": Case(Config(model="goodfellow", batch_size=128)),
  "infogan": Case(Config(model="infogan", batch_size=128)),
  "dcgan": Case(mnist.DEFAULTS, timed=True),
  "dcgan, 64 x 64 x 3": Case(Config(model="dcgan", batch_size=128), COLOUR),
}


def algorithm(case: Case, axis_name=()) -> Algorithm:
  """Returns what trains a case."""
  mean = None if len(case.shape) == 1 else np.full(case.shape, 0.5)
  return build(case.config, DataInfo(case.shape, 0, EXAMPLES, mean), axis_name)


def data(case: Case) -> Batch:
  """Returns EXAMPLES examples of noise."""
  rng = np.random.default_rng(0)
  if len(case.shape) == 1:
    return Batch(rng.standard_normal((EXAMPLES, *case.shape), np.float32), None)
  return Batch(rng.integers(0, 256, (EXAMPLES, *case.shape), np.uint8), None)


def key():
  """Returns the key of every case."""
  return jax.random.key(0)
