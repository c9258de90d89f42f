"""The page of the study: report.html, summary.csv and figures, from records alone."""

import csv
import io
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from experiments.small_data import figures, memorised, words
from experiments.small_data.arms import TITLES
from experiments.small_data.results import METRIC, Claim, Result, claims
from gan.report import metric_figures, page, table
from gan.training.run_folder import writable_folder

_COLUMNS = ("data", "arm", "up_to_step", "seeds", "diverged")
_COLUMNS += ("best_median", "best_median_95", "last_median", "last_median_95")
_COLUMNS += ("d_train", "d_held_out", "nearest")


def write(results: Sequence[Result], outdir: pathlib.Path, say: Callable[[str], None]) -> list[str]:
  """Writes report.html, summary.csv and figures/*; returns the sentences at the head of the page.

  Args:
    results: of the cells, at least one.
    outdir: a folder that can be written to.
    say: prints one line to the user.
  """
  folder, tested = writable_folder(outdir / "figures"), claims(results)
  shown = []
  for drawing in figures.drawings(results):
    shown.append(page.write_figure(drawing, folder))
    say(f"Drawn: {drawing.title}.")
  shown += [_neighbours(result) for result in _smallest(results) if _pictures(result)]
  rows = [_cells(result, arm) for result in results for arm in result.arms]
  found = words.findings(results, tested)
  page.write_file(outdir / "summary.csv", _csv(rows).encode())
  page.write_file(outdir / "report.html", _render(results, tested, found, shown, rows).encode())
  return found


def _render(results, tested, found, shown, rows) -> str:
  runs = [run for result in results for run in result.analysis.study.runs]
  statuses = [run.status for run in runs]
  names = dict.fromkeys(TITLES.get(result.cell.dataset, result.cell.dataset) for result in results)
  return page.fill(
    title=f"Few data: {' and '.join(names)}",
    subtitle=f"{len(runs)} runs, {statuses.count('finished')} finished",
    findings=found,
    notes=words.notes(results),
    figures=shown,
    tables=[_table(rows)],
    table_note=_TABLE_NOTE,
    comparisons=_comparisons(tested),
    method=words.method(tested),
    facts=words.facts(results),
  )


_TABLE_NOTE = (
  "Medians over seeds with 95 % percentile bootstrap intervals, which are too narrow for three "
  "seeds. Best: of each run's evaluations, picked from noise. D: what the discriminator makes of "
  "training and of held-out data beside the same samples at the last step. Nearest: median "
  "distance of samples to their nearest training image over that of held-out images, in features; "
  "1 for samples that are as far as fresh data, 0 for copies. Of few images fresh data are far "
  "from all, so that a ratio below 1 is no proof of copying: see the pairs."
)


def _cells(result: Result, arm: str) -> dict[str, Any]:
  """The values of a row, by column."""
  row = result.row(arm)
  found = table.cells(result.analysis, row, fields=())
  kept = {name: found[name] for name in found if name.startswith(("best_median", "last_median"))}
  cells = {"data": result.cell.title, "arm": arm, "up_to_step": row.step}
  cells |= {name: found[name] for name in ("seeds", "diverged", "members")} | kept
  for name, metric in zip(("d_train", "d_held_out"), result.judged or (), strict=False):
    centre = result.row(arm, metric).last
    cells[name] = centre and centre.median
  return {"d_train": None, "d_held_out": None} | cells | {"nearest": _nearest(result, arm)}


def _nearest(result, arm) -> float | None:
  found = [memorised.read(run.folder) for run in result.analysis.runs(arm)]
  ratios = [record["ratio"] for record in found if record]
  return float(np.median(ratios)) if ratios else None


def _table(rows) -> dict[str, Any]:
  head = [
    "data",
    "arm",
    "step",
    "seeds",
    "diverged",
    "best",
    "95 % interval",
    "last",
    "95 % interval",
  ]
  head += ["D, training", "D, held-out", "nearest"]
  name = metric_figures.title(METRIC)
  return {
    "title": f"{name} (lower is better), the discriminator, and nearest neighbours",
    "head": head,
    "rows": [{"cells": _shown(row), "mark": ""} for row in rows],
  }


def _shown(row) -> list[str]:
  found = {name: table.text(value, 3) for name, value in row.items()}
  for name in ("best", "last"):
    low, high = found[f"{name}_median_low"], found[f"{name}_median_high"]
    found[f"{name}_median_95"] = f"{low} to {high}" if low else ""
  found["diverged"] = f"{found['diverged']} of {found['members']}"
  return [found[name] for name in _COLUMNS]


def to_text(results: Sequence[Result]) -> str:
  """Returns the table for a terminal."""
  rows = [_cells(result, arm) for result in results for arm in result.arms]
  shown = _table(rows)
  lines = [shown["head"], *(row["cells"] for row in shown["rows"])]
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  return "\n".join(
    "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
    for line in lines
  )


def _csv(rows) -> str:
  stream = io.StringIO()
  writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
  writer.writeheader()
  writer.writerows({name: table.text(value, 8) for name, value in row.items()} for row in rows)
  return stream.getvalue()


def _comparisons(tested: Sequence[Claim]) -> dict[str, Any] | None:
  if not tested:
    return None
  return {"title": "Differences that were tested"} | page.comparison_table(
    [claim.comparison for claim in tested]
  )


def _smallest(results) -> list[Result]:
  """The smallest share of each data set."""
  found = {}
  for result in sorted(results, key=lambda result: result.cell.share):
    found.setdefault(result.cell.dataset, result)
  return list(found.values())


def _pictures(result) -> list[dict[str, str]]:
  """The nearest pairs of the first run of each arm that has some."""
  found = {}
  for arm in result.arms:
    for run in result.analysis.runs(arm):
      path = run.folder / memorised.PICTURE
      if path.is_file():
        found.setdefault(arm, {"name": arm, "source": page.source("png", path.read_bytes())})
  return list(found.values())


def _neighbours(result) -> dict[str, Any]:
  return {
    "title": f"{result.cell.title}: samples nearest to training images",
    "caption": (
      f"Above: of {memorised.SAMPLES:,} samples of the lowest seed's last step, for each class of "
      "training images, the sample that is nearest to one by features; below: that image."
    ),
    "pictures": _pictures(result),
  }
