"""What was measured of a case, and what follows from it; JSON in and out, no library of arrays.

Ratios are PyTorch's time over ours: above 1 this library is faster.
"""

import statistics
from typing import Any, NamedTuple

from experiments.benchmark import cases, flops
from experiments.benchmark.cases import Case

FORMAT = 1  # of benchmark.json
COLUMNS = (
  *("case", "ours, ms", "PyTorch, ms", "form", "ratio", "target"),
  *("GFLOP", "of product rate: ours, PyTorch", "peak MiB: ours, PyTorch"),
)


class Spread(NamedTuple):
  """The middle and the ends of some numbers."""

  median: float
  low: float
  high: float


def spread(values: list[float]) -> Spread:
  """Returns median, least and greatest."""
  return Spread(statistics.median(values), min(values), max(values))


def ratios(ours: list[float], peer: list[float]) -> list[float]:
  """Returns peer over ours, turn by turn: above 1 we are faster."""
  return [b / a for a, b in zip(ours, peer, strict=True)]


def summary(
  case: Case, device: str, ours: dict[str, Any], peer: dict[str, Any] | None
) -> dict[str, Any]:
  """Returns the record of a case in benchmark.json.

  Args:
    case: what was done.
    device: "cpu" or "gpu".
    ours: "milliseconds" of each turn, "gflops" of matrix products beside each, "peak_mib", and
      what the worker says of itself.
    peer: the same of PyTorch, or None where it was not asked or has none.
  """
  sides = {"ours": ours} | ({"peer": peer} if peer else {})
  rate = max(statistics.median(side["gflops"]) for side in sides.values())
  work, fields = operations(case), case._asdict().items()
  record = {
    "case": case.name,
    **{"members" if name == "runs_per_call" else name: value for name, value in fields},
    "operations": work,
    "product_gflops": rate,
    **sides,
  }
  del record["name"]
  if work:
    record["share"] = {name: _share(work, side, rate) for name, side in sides.items()}
    record["share_target"] = cases.share_target(case)
  if peer:
    pairs = ratios(ours["milliseconds"], peer["milliseconds"])
    record |= {"ratios": pairs, "ratio": spread(pairs)._asdict()}
    record["target"] = cases.target(case, device)
  return record


def operations(case: Case) -> int | None:
  """Returns the operations of the products in a piece of work, or None where nobody counts them."""
  if case.model in cases.GAMES:
    return None
  if case.task == "sampling":
    return flops.sampling_flops(case)
  return flops.step_flops(case) * max(case.runs_per_call, 1) if case.task == "step" else None


def _share(work, side, rate):
  return work / (statistics.median(side["milliseconds"]) * 1e6) / rate


def start_summary(case: Case, seconds: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
  """Returns the record of a start: {"ours": {"cold": [s], "warm": [s]}, "peer": {...}}."""
  warm = {name: statistics.median(side["warm"]) for name, side in seconds.items()}
  record = {"case": case.name, "task": "start", "seconds": seconds, "targets": cases.START_TARGETS}
  if "peer" in warm:
    record["ratio"] = spread([warm["peer"] / warm["ours"]])._asdict()
  return record


def line(record: dict[str, Any]) -> str:
  """Returns a record as one line for the terminal."""
  if record["task"] == "start":
    rows = [
      f"{cache}: ours {a} s (target {b})" + (f", PyTorch {c} s" if c else "")
      for _, cache, a, b, c, _ in start_rows(record)
    ]
    return f"{record['case']}: {'; '.join(rows)}"
  cells = dict(zip(COLUMNS, row(record), strict=True))
  told = [f"{column} {cells[column]}" for column in COLUMNS[1:] if cells[column]]
  return f"{record['case']}: {'; '.join(told)}; {record['ours']['count']} in a turn"


def table(records: list[dict[str, Any]]) -> str:
  """Returns all records as Markdown: one table of work, one of starts."""
  work = [record for record in records if record["task"] != "start"]
  starts = [record for record in records if record["task"] == "start"]
  parts = [markdown(COLUMNS, map(row, work))] if work else []
  if starts:
    columns = ("start", "cache", "ours, s", "target", "PyTorch, s", "ratio")
    parts.append(markdown(columns, (line for record in starts for line in start_rows(record))))
  return "\n\n".join(parts)


def markdown(columns, rows) -> str:
  """Returns a Markdown table with its columns aligned."""
  cells = [list(columns), *map(list, rows)]
  widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
  lines = [
    "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
    for line in cells
  ]
  rule = "| " + " | ".join("-" * width for width in widths) + " |"
  return "\n".join([lines[0], rule, *lines[1:]])


def row(record: dict[str, Any]) -> list[str]:
  """Returns the cells of a record under COLUMNS."""
  peer = record.get("peer")
  share = record.get("share", {})
  sides = [record["ours"], *([peer] if peer else [])]
  return [
    record["case"],
    *[_milliseconds(side) for side in sides],
    *([] if peer else [""]),
    peer["form"] if peer else "",
    *_ratio_cells(record),
    f"{record['operations'] / 1e9:.3g}" if record["operations"] else "",
    _share_cell(share, record.get("share_target")),
    ", ".join(f"{side['peak_mib']:.0f}" for side in sides),
  ]


def _milliseconds(side):
  middle = spread(side["milliseconds"])
  median, low, high = (f"{value:.{1 if value < 100 else 0}f}" for value in middle)
  return f"{median} ({low} to {high})"


def _share_cell(share, target):
  """Ours with whether it meets its target, then PyTorch's."""
  cells = [f"{share[side]:.0%}" for side in ("ours", "peer") if side in share]
  if target is not None:
    cells[0] += f" (target {target:.0%} {_met(share['ours'] >= target)})"
  return ", ".join(cells)


def _ratio_cells(record):
  """The ratio with its range, and its target with whether the median meets it."""
  if "ratio" not in record:
    return ["", ""]
  ratio, target = Spread(**record["ratio"]), record["target"]
  cell = f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
  return [cell, "" if target is None else f"{target:.1f} {_met(ratio.median >= target)}"]


def _met(is_met):
  return "met" if is_met else "not met"


def start_rows(record: dict[str, Any]) -> list[list[str]]:
  """Returns the cells of a start: a row without, a row with what earlier starts left in caches."""
  return [_start_row(record, cache) for cache in ("cold", "warm")]


def _start_row(record, cache):
  seconds = {name: statistics.median(side[cache]) for name, side in record["seconds"].items()}
  ours, peer, target = seconds["ours"], seconds.get("peer"), record["targets"][cache]
  return [
    record["case"],
    cache,
    f"{ours:.1f}",
    f"{target:.0f} {_met(ours <= target)}",
    "" if peer is None else f"{peer:.1f}",
    "" if peer is None else f"{peer / ours:.2f}",
  ]
