"""The networks that are timed, and how a worker takes its orders."""

import sys
import time
from collections.abc import Callable

# Name -> model. Latents of 64, MNIST's shape, non-saturating loss, Adam 2e-4 (.5, .999), k = 1.
CASES = {"mlp": "mlp", "dcgan": "dcgan"}
LATENT_DIM = 64
WARM_UP = 5


def serve(parameters: tuple[int, int], steps: Callable[[int], None]) -> None:
  """Says how many parameters there are, then times steps as often as it is told to.

  Args:
    parameters: of generator and discriminator.
    steps: makes that many steps and returns when they are done.
  """
  steps(WARM_UP)
  print(*parameters, flush=True)
  for line in sys.stdin:
    began = time.perf_counter()
    steps(int(line))
    print((time.perf_counter() - began) / int(line) * 1e3, flush=True)
