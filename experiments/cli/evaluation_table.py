"""The table that `experiments.evaluate` prints, and its file."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from gan.metrics import NEAR_REFERENCE
from gan.metrics.base import OF
from gan.metrics.evaluation import Row
from gan.metrics.extractors import Extractor
from gan.system.progress import say
from gan.training.run_folder import plain, write_json

DISCRIMINATOR = "discriminator_"  # begins the names of its rows
HELD_OUT = "held-out reference"  # head of a column


def show(rows: Mapping[str, Row], facts: Mapping[str, Any], used: Sequence[Extractor]) -> None:
  """Prints the table of an evaluation, after a line of facts and one of each extractor."""
  print(", ".join(f"{name} {value}" for name, value in facts.items()))
  for extractor in used:
    print(f"features of {extractor.name}, {extractor.identity}, resize: {extractor.resize}")
  print(f"{'metric':34}{'value':>12}  {'95 % interval':24}{HELD_OUT:>18}  better")
  for name, row in rows.items():
    interval = "" if row.low is None else f"{row.low:.5g} to {row.high:.5g}"
    reference = "" if row.held_out_reference is None else f"{row.held_out_reference:.5g}"
    print(f"{name:34}{row.value:12.5g}  {interval:24}{reference:>18}  {row.better or ''}".rstrip())
  if any(row.held_out_reference is not None for row in rows.values()):
    print(
      f"{HELD_OUT}: what held-out data, or a perfect sampler, score in the place of the samples"
    )
  if any(row.better == NEAR_REFERENCE for row in rows.values()):
    print(f"better {NEAR_REFERENCE}: the nearer to the held-out reference the better")


def write(
  path: pathlib.Path,
  rows: Mapping[str, Row],
  facts: Mapping[str, Any],
  left_out: Sequence[str],
  used: Sequence[Extractor],
  judged: Mapping[str, int],
) -> None:
  """Writes evaluation.json: each number with the facts of the evaluation.

  Args:
    path: the file.
    rows: the numbers.
    facts: of all of them.
    left_out: lines on metrics that could not be had.
    used: the extractors.
    judged: counts of the rows of the discriminator, which are of no features.
  """
  without = dict.fromkeys(("extractor", "resize")) | judged
  numbers = {
    name: {field: plain(value) for field, value in row._asdict().items()}
    | facts
    | (without if name.startswith(DISCRIMINATOR) else _features(name, used))
    for name, row in rows.items()
  }
  write_json(path, {**facts, "metrics": numbers, "left_out": left_out})
  say(f"Written: {path}")


def _features(number, used) -> dict[str, Any]:
  """Which extractor a number is of, and how that brings images to its size."""
  _, _, name = number.partition(OF)
  of = [extractor for extractor in used if extractor.name == name] or used[:1]
  return {"extractor": of[0].identity, "resize": of[0].resize} if of else {}
