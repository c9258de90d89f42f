"""Where the time of a training step goes on the CPU, by kinds of XLA's operations.

  python -m experiments.benchmark.operations --case=dcgan-28

Convolutions of Eigen run on while XLA goes to the next operation, and the profiler sees only how
they begin. They are what is left of the step when all other operations are taken off; where others
ran beside them on another core, the rest is that much too small. Without convolutions, shares that
add up to more than the step are of operations that ran beside each other.
"""

import collections
import glob
import re
import sys
import tempfile
import time
from collections.abc import Mapping

from experiments.benchmark import cases, ours, results
from experiments.benchmark.worker import Work
from experiments.cli.command import OK, Command
from experiments.cli.common import prepare

STEPS = 10
# Kinds by the names that XLA gives, the first that matches.
KINDS = {
  "convolutions, and what waits for them": r"conv(?!ert)",
  "products and sums by YNNPACK": r"ynn",
  "other products": r"dot|matmul",
  "copies, transpositions, patches": r"copy|transpose|pad|concat|slice|reverse",
  "element-wise": r"fusion|multiply|add|select|while|call|broadcast",
}
REST = next(iter(KINDS))


def main(argv=None):
  command = Command(__doc__)
  command.add(str, "case", "dcgan-28", "which step, as in experiments.benchmark", "profile")
  return command.run(lambda: _print(command.values.case), argv)


def _print(name):
  case = cases.parse(name)
  prepare()
  work = ours.make_work(case)
  work.run(3)
  print(results.markdown(["operations", "ms", "share"], rows(*profile(work))))
  return OK


def profile(work: Work) -> tuple[float, dict[str, float]]:
  """Returns milliseconds of a step, and those of every operation by its name."""
  import jax

  with tempfile.TemporaryDirectory() as folder:
    with jax.profiler.trace(folder):
      began = time.perf_counter()
      work.run(STEPS)
      step = (time.perf_counter() - began) / STEPS * 1e3
    (path,) = glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)
    spent = collections.Counter()
    for plane in jax.profiler.ProfileData.from_file(path).planes:
      for event in (event for line in plane.lines for event in line.events):
        if "hlo_op" in dict(event.stats):
          spent[event.name] += event.duration_ns / 1e6 / STEPS
  return step, spent


def rows(step: float, spent: Mapping[str, float]) -> list[list[str]]:
  """Returns the table: kind, milliseconds, share of the step.

  Args:
    step: milliseconds of a step.
    spent: of them, milliseconds of every operation, by its name.
  """
  kinds = dict.fromkeys(KINDS, 0.0)
  for name, milliseconds in spent.items():
    kinds[kind(name)] += milliseconds
  if kinds.pop(REST):
    kinds = {REST: step - sum(kinds.values())} | kinds
  table = [[name, f"{spent:.1f}", f"{spent / step:.0%}"] for name, spent in kinds.items()]
  return [*table, ["the whole step", f"{step:.1f}", "100%"]]


def kind(name: str) -> str:
  """Returns the key of KINDS that an operation belongs to."""
  return next((kind for kind, names in KINDS.items() if re.search(names, name)), "element-wise")


if __name__ == "__main__":
  sys.exit(main())
