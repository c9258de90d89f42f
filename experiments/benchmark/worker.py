"""Both ends of the pipe to a process that works when it is told to; imports no library of arrays.

A worker says in one JSON line what it is, then answers every line it reads with another.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from experiments.cli import children
from gan.errors import UserError
from gan.system import schema

MIB = 2**20


class Work(NamedTuple):
  """What a worker can do.

  Attributes:
    parameters: of generator and discriminator.
    run: does the work that many times and returns when it is done.
    rate: returns the rate of matrix products in GFLOP/s.
    peak_memory: returns the most memory that was held so far, in MiB.
    about: JSON values that go with the results.
  """

  parameters: list[int]
  run: Callable[[int], None]
  rate: Callable[[], float]
  peak_memory: Callable[[], float]
  about: dict[str, Any]


def serve(work: Work) -> None:
  """Does the work once, says what it is, and then answers "turn N" and "rate" until input ends."""
  work.run(1)
  _say({"parameters": work.parameters, **work.about})
  for line in sys.stdin:
    order, *count = line.split()
    _say(_turn(work, *map(int, count)) if order == "turn" else {"gflops": work.rate()})


def _turn(work, count):
  began = time.perf_counter()
  work.run(count)
  milliseconds = (time.perf_counter() - began) / count * 1e3
  return {"milliseconds": milliseconds, "peak_mib": work.peak_memory()}


def _say(answer):
  print(json.dumps(answer), flush=True)


def resident_mib() -> float:
  """Returns the most memory that this process has had resident, in MiB."""
  unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def product_rate(product: Callable[[], None], side: int) -> float:
  """Returns GFLOP/s of a product of two square matrices, the best of three.

  Args:
    product: computes it and waits for it.
    side: rows of a matrix.
  """
  product()
  seconds = []
  for _ in range(3):
    began = time.perf_counter()
    product()
    seconds.append(time.perf_counter() - began)
  return 2 * side**3 / min(seconds) / 1e9


class Worker:
  """A process that works when it is told to.

  Attributes:
    about: what it said of itself.
    seconds: from its start to the end of its first work.
  """

  def __init__(self, module: str, *arguments: str, environment: dict[str, str] | None = None):
    command = children.command(f"experiments.benchmark.{module}", *arguments)
    began = time.perf_counter()
    self._process = subprocess.Popen(
      command,
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
      env=os.environ | (environment or {}),
    )
    self.about = self._answer()
    self.seconds = time.perf_counter() - began

  def turn(self, count: int) -> dict[str, float]:
    """Returns the milliseconds of each of `count` pieces of work, and the peak memory in MiB."""
    return self._ask(f"turn {count}")

  def rate(self) -> float:
    """Returns the rate of matrix products in GFLOP/s."""
    return self._ask("rate")["gflops"]

  def close(self) -> None:
    self._process.communicate()  # the end of its input ends it

  def __enter__(self):
    return self

  def __exit__(self, *error):
    self.close()

  def _ask(self, order):
    try:
      self._process.stdin.write(f"{order}\n")
      self._process.stdin.flush()
    except BrokenPipeError:
      pass  # The worker has ended; reading says so.
    return self._answer()

  def _answer(self):
    line = self._process.stdout.readline()
    if not line:
      self.close()
      raise UserError(f"a worker ended with exit code {self._process.returncode}; see above")
    return schema.checked(line, schema.entries(), "a worker's answer is damaged", "see above")
