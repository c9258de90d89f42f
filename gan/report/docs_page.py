"""A study as a page of the documentation: Markdown and pictures, all of it from the records."""

import pathlib
import re
import shutil
from collections.abc import Iterable, Sequence
from typing import Any

from gan.report import confirmation, figures, page, table, words
from gan.report.analysis import Analysis, metric_name
from gan.report.drawing import Drawing
from gan.training.run_folder import writable_folder

# What answers a study's question; report.html has all figures.
SHOWN = ("samples", "matrix_", "last_and_best", "metric_by_step", "search_budget")
SHOWN += ("search_distribution", "search_selection", "search_map")
PLACE = re.compile(r", /.*$")  # of data on the machine that trained, at the end of a line


def write(analysis: Analysis, pictures: pathlib.Path, path: pathlib.Path, command: str) -> None:
  """Writes a page, and the pictures that it shows into figures/<its name> beside it.

  Args:
    analysis: the study.
    pictures: the folder with a PNG of each of its figures.
    path: of the page, a .md file.
    command: that writes the page.

  Raises:
    UserError: the folder of pictures cannot be written to.
  """
  folder = writable_folder(path.parent / "figures" / path.stem)
  shown = [drawing for drawing in figures.drawings(analysis) if drawing.name.startswith(SHOWN)]
  for drawing in shown:
    shutil.copyfile(pictures / f"{drawing.name}.png", folder / f"{drawing.name}.png")
  page.write_file(path, render(analysis, shown, path.stem, command).encode())


def render(analysis: Analysis, shown: Sequence[Drawing], name: str, command: str) -> str:
  """Returns the page.

  Args:
    analysis: the study.
    shown: its figures that the page shows.
    name: of the page, and of the folder with its pictures.
    command: that writes the page.
  """
  commands, facts = "\n".join(analysis.study.commands), _facts(analysis)
  lead = [drawing for drawing in shown if drawing.name == "samples"]
  blocks = [
    f"# {page.title(analysis)}",
    f"Written by `{command}` from the records of:",
    f"```\n{commands}\n```",
    *(_figure(drawing, name) for drawing in lead),
    *_values(analysis),
    "## What is shown",
    "\n".join(f"* {line}" for line in words.findings(analysis)),
    *(f"Note: {line}" for line in words.notes(analysis)),
    *_differences(analysis),
    *_settings(analysis),
    *(_figure(drawing, name) for drawing in shown if drawing not in lead),
    "## What it is from",
    "\n".join(f"* {heading}: {'; '.join(lines)}" for heading, lines in facts),
  ]
  return "\n\n".join(blocks) + "\n"


def _facts(analysis):
  """The foot of report.html without the commands, which stand at the head, and places of data."""
  return [
    (heading, [PLACE.sub("", line) for line in lines])
    for heading, lines in words.facts(analysis)
    if heading != "Commands"
  ]


def _differences(analysis) -> list[str]:
  """Those that survive, of which there are few beside all pairs of many losses."""
  survivors = [found for found in analysis.comparisons if found.survives]
  if not survivors:
    return []
  survived = _table_of(page.comparison_table(survivors))
  return ["## Differences that survive the correction", survived, words.method(analysis)]


def _settings(analysis) -> list[str]:
  if analysis.search is None:
    return []
  return ["## The setting of each loss", _table_of(confirmation.settings(analysis))]


def _table_of(found: dict[str, Any]) -> str:
  """A table of report.html, in Markdown."""
  return _table(found["head"], [row["cells"] for row in found["rows"]])


def _values(analysis) -> list[str]:
  if analysis.metric is None:
    return []
  rows = [table.shown_cells(analysis, row) for row in table.shown_rows(analysis)]
  head = f"## The {metric_name(analysis.metric)} of each loss"
  return [head, _table(table.head(analysis), rows)]


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
  lines = [head, ["---"] * len(head), *rows]
  text = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
  return text.replace(" to ", "\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}")  # intervals stay on a line


def _figure(drawing: Drawing, name: str) -> str:
  picture = f"![{drawing.title}](figures/{name}/{drawing.name}.png)"
  return f"## {drawing.title}\n\n{picture}\n\n{drawing.caption}"
