"""Which way a number of a metric is better, and the best of a run."""

from typing import Any

from gan.metrics import METRICS


def better(name: str) -> str | None:
  """Returns "lower", "higher" or "floor" for a number of METRICS, None for one of no direction."""
  return directions().get(name)


def directions() -> dict[str, str]:
  """Returns "lower", "higher" or "floor" by number, in the order of METRICS."""
  return {name: way for metric in METRICS.values() for name, way in metric.better.items()}


def best_and_last(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
  """Returns {name: {"last": [step, value], "best": [step, value]}} of evaluation records."""
  result = {}
  for name, direction in directions().items():
    points = [[record["step"], record[name]] for record in records if name in record]
    # An infinite value is a string in the records.
    finite = [point for point in points if isinstance(point[1], (int, float))]
    if finite and direction != "floor":
      choose = min if direction == "lower" else max
      result[name] = {"last": points[-1], "best": choose(finite, key=lambda point: point[1])}
  return result
