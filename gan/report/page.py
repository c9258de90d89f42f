"""report.html: one page that needs nothing else, and the files beside it."""

import base64
import importlib.resources
import pathlib
import string
from collections.abc import Callable, Sequence
from typing import Any

import jinja2

from gan.metrics.best import better
from gan.report import (
  confirmation,
  contents,
  figures,
  metric_figures,
  plots,
  sample_figures,
  svg,
  table,
  words,
)
from gan.report.analysis import Analysis
from gan.report.drawing import Drawing
from gan.report.statistics import Comparison
from gan.training.run_folder import writable_folder


def write(
  analysis: Analysis | None,
  outdir: pathlib.Path,
  say: Callable[[str], None],
  search: Analysis | None = None,
) -> None:
  """Writes report.html, summary.csv and figures/*.png, *.svg; equal studies give equal bytes.

  Args:
    analysis: the study; of one in two phases the confirmation, None before it has begun.
    outdir: a folder that can be written to.
    say: prints one line to the user.
    search: of a study in two phases, shown by itself where the analysis is None.

  Raises:
    UserError: `figures` in the folder cannot be written to.
  """
  analysis = analysis or search
  folder = writable_folder(outdir / "figures")
  shown = []
  for drawing in figures.drawings(analysis):
    found = write_figure(drawing, folder)
    if drawing.name == "samples":
      found |= {"pictures": _pictures(analysis)}
    shown.append(found)
    say(f"Drawn: {drawing.title}.")
  write_file(outdir / "summary.csv", table.to_csv(analysis).encode())
  write_file(outdir / "report.html", render(analysis, shown).encode())


def write_figure(drawing: Drawing, folder: pathlib.Path) -> dict[str, Any]:
  """Writes both files of a figure, and returns what a page shows of it.

  Args:
    drawing: the figure.
    folder: of the files.

  Returns:
    Its name, title, part and caption, and the figure itself for wide and for narrow pages.
  """
  figure = plots.render(lambda: drawing.draw(plots.WIDE))
  wide = svg.from_figure(figure, drawing.name)
  write_file(folder / f"{drawing.name}.svg", svg.to_file(wide))
  write_file(folder / f"{drawing.name}.png", plots.to_png(figure))
  figure = plots.render(lambda: drawing.draw(plots.NARROW))
  narrow = svg.from_figure(figure, f"{drawing.name} narrow")
  found = {"name": drawing.name, "title": drawing.title, "caption": drawing.caption}
  found |= {"part": drawing.part}
  return found | {
    "wide": svg.to_page(wide, drawing.title),
    "narrow": svg.to_page(narrow, drawing.title),
  }


def _pictures(analysis):
  return [
    {
      "name": f"{picture.loss}, step {picture.step}",
      "source": source("png", picture.path.read_bytes()),
    }
    for picture in sample_figures.last_pictures(analysis)
  ]


def source(kind: str, content: bytes) -> str:
  """Returns a picture as an address that holds it; `kind` is "png" or "svg+xml"."""
  return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def write_file(path: pathlib.Path, content: bytes) -> None:
  """Writes a file whole or not at all: the page may be open while it is made anew."""
  part = path.with_name(path.name + ".part")
  part.write_bytes(content)
  part.replace(path)


def render(analysis: Analysis, shown: list[dict[str, Any]]) -> str:
  """Returns the page.

  Args:
    analysis: the study.
    shown: of each figure its title, caption and sources of pictures.
  """
  return fill(
    title=title(analysis),
    subtitle=_subtitle(analysis),
    findings=words.findings(analysis),
    notes=words.notes(analysis),
    lead=[figure for figure in shown if "pictures" in figure],
    figures=[figure for figure in shown if "pictures" not in figure],
    tables=_tables(analysis),
    table_note=_table_note(analysis),
    comparisons=_comparisons(analysis),
    settings=_settings(analysis),
    method=words.method(analysis) if analysis.metric else "",
    facts=words.facts(analysis),
  )


def fill(
  *,
  title: str,
  findings: Sequence[str],
  figures: Sequence[dict[str, Any]],
  tables: Sequence[dict[str, Any]],
  lead: Sequence[dict[str, Any]] = (),
  comparisons: dict[str, Any] | None = None,
  settings: dict[str, Any] | None = None,
  **texts: Any,
) -> str:
  """Returns page.html with its content.

  Args:
    title: of the page.
    findings: sentences.
    figures: as `write_figure` returns them, or with `pictures` in place of a figure.
    tables: with title, head and rows; the first leads, the others stand at the end.
    lead: figures before all else.
    comparisons: a table, the first after the findings.
    settings: a table, the next.
    **texts: subtitle; notes, sentences; table_note; method, of the comparisons; facts of the foot.
  """
  environment = jinja2.Environment(
    autoescape=True, trim_blocks=True, undefined=jinja2.ChainableUndefined
  )
  parts = contents.parts(lead, figures, tables, comparisons, settings)
  return environment.from_string(_resource("page.html")).render(
    title=title, findings=findings, style=style(), **parts, **texts
  )


def style() -> str:
  """Returns how pages look, as CSS: light and dark, wide, narrow and printed."""
  themes = {"light": svg.variables(plots.LIGHT), "dark": svg.variables(plots.DARK)}
  return string.Template(_resource("page.css")).substitute(themes)


def _resource(name):
  return importlib.resources.files("gan.report").joinpath(name).read_text("utf-8")


def title(analysis: Analysis) -> str:
  """Returns what is compared on which data."""
  names, study = analysis.study.losses, analysis.study
  dataset = study.runs[0].record["config"].get("dataset", "data")
  return f"{len(names)} losses on {dataset}" if len(names) > 1 else f"{names[0]} on {dataset}"


def _subtitle(analysis) -> str:
  runs = analysis.study.runs
  statuses = [run.status for run in runs]
  counts = [f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}"]
  counts += [
    f"{statuses.count(status)} {status}"
    for status in ("finished", "running", "interrupted", "failed", "diverged", "stopped")
    if status in statuses
  ]
  counts += [f"{len(analysis.study.waiting)} not started"] if analysis.study.waiting else []
  if search := analysis.search:
    counts[0] += f" of a confirmation after {len(search.study.runs)} of a search"
  return ", ".join([*counts, f"losses: {', '.join(analysis.study.losses)}"])


def _tables(analysis) -> list[dict[str, Any]]:
  metrics = analysis.study.metrics()
  ordered = sorted(metrics, key=lambda name: name != analysis.metric)
  return [_table(analysis, metric) for metric in ordered]


def _table(analysis, metric):
  rows = table.shown_rows(analysis, metric)
  direction = better(metric)
  said = f", {direction} is better" if direction in ("lower", "higher") else ""
  return {
    "title": f"{metric_figures.title(metric)} up to step {rows[0].step}{said}",
    "head": table.head(analysis),
    "rows": [
      {
        "cells": table.shown_cells(analysis, row),
        "mark": "chosen" if _is_chosen(analysis, row) else "",
      }
      for row in rows
    ],
  }


def _is_chosen(analysis, row):
  return bool(analysis.study.varied) and analysis.chosen[row.loss] == row.setting


def _table_note(analysis) -> str:
  text = (
    "Median, interquartile mean (IQM) and their 95 % percentile bootstrap intervals over seeds, of "
    "each run's last value and of its best. Of fewer than four seeds the IQM is their mean: a "
    "quarter of them is no run. Of few seeds such intervals are too narrow: those of three hold "
    "the truth far less often than 95 %. The best of a run is picked from noise and "
    "looks better than the last."
  )
  if analysis.study.varied:
    text += " Coloured: the setting of each loss that all figures show. All are in summary.csv."
  return text


def _comparisons(analysis) -> dict[str, Any] | None:
  if not any(found.count for found in analysis.comparisons):
    return None
  return {"title": "Differences between losses"} | comparison_table(analysis.comparisons)


def _settings(analysis) -> dict[str, Any] | None:
  if analysis.search is None:
    return None
  title = "The setting of each loss, the best of its search"
  return {"title": title} | confirmation.settings(analysis)


def comparison_table(comparisons: Sequence[Comparison]) -> dict[str, Any]:
  """Returns comparisons as a table, the most certain first."""
  found = sorted(comparisons, key=lambda c: (c.p_value is None, c.p_value if c.p_value else 0.0))
  head = ["pair", "seeds", "difference", "interval", "p", "p, corrected", "survives"]
  return {"head": head, "rows": [_comparison(comparison) for comparison in found]}


def _comparison(comparison):
  numbers = (comparison.p_value, comparison.adjusted)
  interval = comparison.interval
  tested = "yes" if comparison.survives else "no"
  return {
    "cells": [
      f"{comparison.first} - {comparison.second}",
      comparison.count,
      table.text(comparison.difference),
      f"{table.text(interval[0])} to {table.text(interval[1])}" if interval else "",
      *("" if value is None else f"{value:.3g}" for value in numbers),
      "not tested" if comparison.p_value is None else tested,
    ],
    "mark": "survives" if comparison.survives else "",
  }
