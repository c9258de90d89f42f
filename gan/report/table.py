"""The table of a study: one set of cells for the terminal, the page and summary.csv."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from gan.metrics.best import better
from gan.report.analysis import Analysis, Row
from gan.report.statistics import Centre

MOST_ROWS = 24  # of the headline metric that are shown; beyond, each loss in its best setting
SHOWN = {
  "seeds": "seeds",
  "diverged": "diverged",
  "last_median": "median",
  "last_median_95": "95 % interval",
  "last_iqm": "IQM",
  "last_iqm_95": "95 % interval",
  "best_median": "best median",
  "best_median_95": "95 % interval",
  "best_iqm": "best IQM",
  "best_iqm_95": "95 % interval",
}


def text(value: Any, digits: int = 4) -> str:
  """A number to some digits; nothing for None."""
  if value is None:
    return ""
  return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def cells(analysis: Analysis, row: Row, fields: Sequence[str]) -> dict[str, Any]:
  """Returns the values of a row by the columns of summary.csv, with those of some fields."""
  statuses = [outcome.run.status for outcome in row.outcomes]
  setting = {name: row.outcomes[0].run.value(name) for name in fields}
  found = {"loss": row.loss}
  found |= {name: "none" if value is None else value for name, value in setting.items()}
  found |= {"metric": row.metric, "better": better(row.metric)}
  found |= {"members": len(statuses), "finished": statuses.count("finished")}
  found |= {"diverged": row.diverged, "seeds": row.last.count if row.last else 0}
  found |= {"up_to_step": row.step}
  found |= _centre("last", row.last) | _centre("best", row.best)
  return found | {"chosen": "yes" if analysis.chosen[row.loss] == row.setting else "no"}


def _centre(name: str, centre: Centre | None) -> dict[str, float | None]:
  result = {}
  for statistic in ("median", "iqm"):
    low, high = (centre and getattr(centre, f"{statistic}_interval")) or (None, None)
    result[f"{name}_{statistic}"] = centre and getattr(centre, statistic)
    result |= {f"{name}_{statistic}_low": low, f"{name}_{statistic}_high": high}
  return result


def to_csv(analysis: Analysis) -> str:
  """Returns all rows of all metrics as CSV, numbers to eight digits.

  A study has those of its confirmation and then those of its search, with the phase of each.
  """
  phases = [("confirmation", analysis), ("search", analysis.search)]
  found = [(name, phase) for name, phase in phases if phase is not None]
  varied = sorted({name for _, it in found for name in (*it.study.varied, *it.study.own)})
  rows = [
    ({"phase": name} if len(found) > 1 else {})
    | {column: text(value, 8) for column, value in cells(phase, row, varied).items()}
    for name, phase in found
    for row in phase.rows
  ]
  # Without an evaluation there are no rows and no names to learn from them.
  names = list(rows[0]) if rows else ["loss", *analysis.study.varied, "metric"]
  stream = io.StringIO()
  writer = csv.DictWriter(stream, names, lineterminator="\n")
  writer.writeheader()
  writer.writerows(rows)
  return stream.getvalue()


def shown_rows(analysis: Analysis, metric: str | None = None) -> list[Row]:
  """Returns the rows of a metric that are shown, the best loss first."""
  place = {loss: place for place, loss in enumerate(analysis.ranking)}
  rows = [row for row in analysis.rows if row.metric == (metric or analysis.metric)]
  if len(rows) > MOST_ROWS:
    rows = [row for row in rows if row.setting == analysis.chosen[row.loss]]
  return sorted(rows, key=lambda row: place[row.loss])


def head(analysis: Analysis) -> list[str]:
  """Returns the heads of the columns that are shown."""
  return ["loss", *analysis.study.varied, *SHOWN.values()]


def shown_cells(analysis: Analysis, row: Row) -> list[str]:
  """Returns the cells of a row that are shown: those of summary.csv, intervals in one cell."""
  varied = analysis.study.varied
  found = {name: text(value) for name, value in cells(analysis, row, varied).items()}
  found["diverged"] = f"{found['diverged']} of {found['members']}"
  for name in [name for name in SHOWN if name.endswith("_95")]:
    low, high = (found[name.removesuffix("95") + end] for end in ("low", "high"))
    found[name] = f"{low} to {high}" if low else ""
  return [found[name] for name in ("loss", *varied, *SHOWN)]


def to_text(analysis: Analysis) -> str:
  """Returns the shown rows of the headline metric for a terminal."""
  lines = [head(analysis), *(shown_cells(analysis, row) for row in shown_rows(analysis))]
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  return "\n".join(
    "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
    for line in lines
  )
