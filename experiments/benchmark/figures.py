"""Draws what was measured: the ratios beside their targets, and how times grow."""

import pathlib
from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from experiments.benchmark.results import Spread, spread
from gan.report import plots
from gan.report.plots import INK
from gan.training import pictures

OURS, PEER = plots.COLOURS[:2]
SIDES = {"ours": ("ours", OURS, "-"), "peer": ("PyTorch", PEER, "--")}
MARKERS = "os^vDP*X" * 4
Records = list[dict[str, Any]]


def save(records: Records, folder: pathlib.Path) -> None:
  """Writes ratios.png and growth.png, each where there is something to draw."""
  compared = [record for record in records if "ratios" in record]
  if compared:
    _save(lambda: ratios(compared), folder / "ratios.png")
  grown = curves(records)
  if grown:
    _save(lambda: growth(grown), folder / "growth.png")


def _save(draw, path):
  with plots.styled():
    figure = draw()
    plots.legends_below(figure)
    pictures.save(figure, path)


def ratios(records: Records) -> Figure:
  """Returns the ratio of every case, its range over the turns, and its target."""
  figure = Figure(figsize=(8, 1.2 + 0.3 * len(records)), dpi=100, layout="constrained")
  axes = figure.subplots()
  for place, record in enumerate(records):
    _draw_ratio(axes, place, Spread(**record["ratio"]), record["target"])
  axes.set_yticks(range(len(records)), [record["case"] for record in records])
  axes.set_ylim(len(records) - 0.4, -0.6)
  axes.axvline(1, color=INK, linewidth=0.8)
  axes.set_xlim(left=0)
  axes.set_xlabel("PyTorch's time over ours: median and range of the turns; above 1 ours is faster")
  axes.grid(axis="y", visible=False)
  axes.plot([], [], "|", color=INK, markersize=12, markeredgewidth=2, label="target")
  axes.plot([], [], "o", color=OURS, markerfacecolor="white", label="target not met")
  axes.legend()
  return figure


def _draw_ratio(axes, place, ratio, target):
  met = target is None or ratio.median >= target
  axes.plot([ratio.low, ratio.high], [place, place], color=OURS, linewidth=2)
  fill = OURS if met else "white"
  axes.plot(ratio.median, place, "o", color=OURS, markerfacecolor=fill)
  if target is not None:
    axes.plot(target, place, "|", color=INK, markersize=12, markeredgewidth=2)


# What grows -> the field of a record, or what is read off one.
_AXES: dict[str, Callable[[dict[str, Any]], int]] = {
  "batch": lambda record: record["batch_size"],
  "discriminator steps k": lambda record: record["discriminator_steps"],
  "pixels on a side": lambda record: record["size"],
  "members": lambda record: record["members"],
}


def curves(records: Records) -> dict[str, dict[str, Records]]:
  """Returns {what grows: {the network: its records in order}}, of two records at least.

  The records of a curve are training steps that differ in nothing else.
  """
  steps = [record for record in records if record["task"] == "step"]
  found = {}
  for label, value in _AXES.items():
    grouped = {}
    for record in filter(value, steps):  # a run alone has 0 runs in a call
      grouped.setdefault(_rest(record, label), {})[value(record)] = record
    lines = {
      name: [line[x] for x in sorted(line)] for name, line in grouped.items() if len(line) > 1
    }
    if lines:
      found[label] = lines
  return found


def _rest(record, label):
  """All that two records of a curve have in common, as a legend."""
  parts = [record["model"]]
  parts += [] if label == "pixels on a side" else [f"{record['size']} pixels"]
  parts += [] if record["penalty"] == "none" else [record["penalty"]]
  parts += [] if record["precision"] == "float32" else [record["precision"]]
  parts += [] if label == "batch" else [f"batch {record['batch_size']}"]
  k, count = record["discriminator_steps"], record["members"]
  parts += [] if label == "discriminator steps k" or k == 1 else [f"k = {k}"]
  parts += [] if label == "members" else [f"{count} runs"] if count else []
  return ", ".join(parts)


def growth(grown: dict[str, dict[str, Records]]) -> Figure:
  """Returns the time of a step against each thing that grows, both axes logarithmic."""
  rows, columns = -(-len(grown) // 2), min(len(grown), 2)
  figure = Figure(figsize=(5.5 * columns, 4 * rows), dpi=100, layout="constrained")
  panels = figure.subplots(rows, columns, squeeze=False).ravel()
  for axes, (label, lines) in zip(panels, grown.items(), strict=False):
    _draw_panel(axes, label, lines)
  for axes in panels[len(grown) :]:
    axes.set_visible(False)
  return figure


def _draw_panel(axes, label, lines):
  for marker, (name, records) in zip(MARKERS, lines.items(), strict=False):
    _draw_curve(axes, name, marker, records, _AXES[label])
  axes.set(xscale="log", yscale="log", xlabel=label, ylabel="a step, ms")
  ticks = sorted({_AXES[label](record) for line in lines.values() for record in line})
  axes.set_xticks(ticks, map(str, ticks))
  axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
  axes.yaxis.set_major_formatter("{x:g}")
  axes.minorticks_off()
  axes.legend(fontsize=8)


def _draw_curve(axes, name, marker, records, value):
  for side, (label, colour, line) in SIDES.items():
    measured = [record for record in records if side in record]
    middle = [spread(record[side]["milliseconds"]).median for record in measured]
    if measured:
      style = {"color": colour, "marker": marker, "linestyle": line}
      axes.plot([value(record) for record in measured], middle, label=f"{label}: {name}", **style)
