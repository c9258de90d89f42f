"""The direction in which each number of a metric is better, and the best and last of a run."""

from collections.abc import Iterable
from typing import Any

from gan.metrics import METRICS, NEAR_REFERENCE
from gan.metrics.base import OF

RANKED = {"lower": 1, "higher": -1}  # sign under which the smallest is the best


def better(name: str) -> str | None:
  """Returns "lower", "higher" or NEAR_REFERENCE for a number of METRICS, or None."""
  return directions().get(name.partition(OF)[0])


def directions() -> dict[str, str]:
  """Returns {number: "lower", "higher" or NEAR_REFERENCE}, in the order of METRICS."""
  return {
    name: direction for metric in METRICS.values() for name, direction in metric.better.items()
  }


def in_order(names: Iterable[str]) -> list[str]:
  """Returns the numbers that have a direction: in the order of METRICS, and by their extractors."""
  order = list(directions())
  found = [name.partition(OF) for name in names if better(name)]
  found.sort(key=lambda parts: (parts[2], order.index(parts[0])))
  return ["".join(parts) for parts in found]


def best_and_last(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
  """Returns {name: {"last": [step, value], "best": [step, value]}} of evaluation records."""
  result = {}
  for name in in_order({name for record in records for name in record}):
    direction = better(name)
    points = [[record["step"], record[name]] for record in records if name in record]
    # An infinite value is a string in the records.
    finite = [point for point in points if isinstance(point[1], (int, float))]
    if finite and direction != NEAR_REFERENCE:
      choose = min if direction == "lower" else max
      result[name] = {"last": points[-1], "best": choose(finite, key=lambda point: point[1])}
  return result
