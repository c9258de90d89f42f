"""Times what a part costs in a training step: `python -m experiments.benchmark.parts`.

Steps of two configs take turns in one process, so that a change of the machine's speed meets both.
A ratio is the time of the steps with the part over that of the steps beside it.

  python -m experiments.benchmark.parts --parts=diffaugment,ada --turns=9

The steps are those of the case resnet-32: 64 images of 32 pixels, width 32.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from experiments.benchmark import cases, results
from experiments.cli.command import OK, Command
from gan.errors import look_up

CASE = "resnet-32"


class Part(NamedTuple):
  """Two configs of the same step.

  Attributes:
    beside: fields of Config of the step that it is compared with.
    fields: of the step with the part.
    most: the ratio that is aimed at, at most.
  """

  beside: dict[str, Any]
  fields: dict[str, Any]
  most: float


PARTS = {
  "diffaugment": Part({}, {"augment": "diffaugment"}, 1.05),
  "ada": Part({}, {"augment": "ada:bgc", "augment_strength": 0.5}, 1.3),
  "approx_r1r2": Part({"penalty": "r1r2"}, {"penalty": "approx_r1r2"}, 0.9),
  # A D that mixes no examples: D(x) is the loss's.
  "approx_r1r2_joint": Part(
    {"penalty": "r1r2", "discriminator_norm": "none"},
    {"penalty": "approx_r1r2", "discriminator_norm": "none"},
    0.9,
  ),
}


def main(argv=None):
  command = Command(__doc__)
  text = "what to time, by commas"
  command.add(str, "parts", ",".join(PARTS), f"{text} (default: all)", "benchmark")
  command.add(int, "turns", 7, "turns of each side", "benchmark")
  command.add(int, "steps", 2, "steps in a turn", "benchmark")
  return command.run(lambda: _main(command.values), argv)


def _main(values) -> int:
  from experiments.cli.common import prepare

  names = [name.strip() for name in values.parts.split(",")]
  parts = {name: look_up(PARTS, name, "--parts:") for name in names}
  prepare()
  rows = [_row(name, part, values.turns, values.steps) for name, part in parts.items()]
  print(results.markdown(["part", "seconds a step", "beside it", "ratio", "aimed at"], rows))
  return OK


def _row(name: str, part: Part, turns: int, steps: int) -> list[str]:
  from experiments.benchmark import ours

  case = cases.parse(CASE)
  sides = [ours.make_steps(case, **fields) for fields in (part.fields, part.beside)]
  own, beside = times(*sides, turns, steps)
  ratios = [a / b for a, b in zip(own, beside, strict=True)]
  spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
  shown = [f"{statistics.median(side):.3f}" for side in (own, beside)]
  return [name, *shown, f"{statistics.median(ratios):.2f} ({spread})", f"at most {part.most}"]


def times(
  one: Callable[[int], None],
  other: Callable[[int], None],
  turns: int,
  steps: int,
  clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[float], list[float]]:
  """Returns the seconds a step of two sides that take turns; the first turn of each is not timed.

  Args:
    one: `count -> that many steps`.
    other: the same of the other side.
    turns: of each side.
    steps: in a turn.
    clock: seconds.
  """
  found = [], []
  for turn in range(turns + 1):
    for run, own in zip((one, other), found, strict=True):
      began = clock()
      run(steps)
      seconds = clock() - began
      own += [seconds / steps] if turn else []
  return found


if __name__ == "__main__":
  raise SystemExit(main())
