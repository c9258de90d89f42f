"""What a study in two phases says: which setting of each loss was chosen, and how it did again.

A search's best value is the lowest of several noisy ones, and lower than what its setting gives on
average. The confirmation's seeds chose nothing, so their values are free of that.
"""

import collections
import math
from typing import Any

import numpy as np

from gan.metrics.best import RANKED, better
from gan.report import table
from gan.report.analysis import Analysis, Outcome, Row, rank
from gan.report.statistics import Centre
from gan.report.study import number
from gan.sweeps.study import read_reevaluation


def selected(search: Analysis) -> list[Row]:
  """Returns the row of the chosen setting of each loss of a search, in the order of the study.

  A loss all of whose settings diverged has none, nor has any by a metric of no direction.
  """
  rows = [search.row(loss) for loss in search.study.losses if better(search.metric) in RANKED]
  return [row for row in rows if row and math.isfinite(rank(row))]


def optimism(analysis: Analysis) -> dict[str, float]:
  """Returns {loss: median of its confirmation - best value of its search}.

  Above 0, of a metric that is to be low, it is how much the search's best flatters the loss.

  Args:
    analysis: of a confirmation, with its search.
  """
  found = [(row, confirmed(analysis, row.loss)) for row in selected(analysis.search)]
  return {row.loss: last.median - value(row) for row, last in found if last}


def confirmed(analysis: Analysis, loss: str) -> Centre | None:
  """Returns where the last values of a loss lie in a confirmation; None without one."""
  row = analysis.row(loss) if loss in analysis.chosen else None
  return row.last if row else None


def value(row: Row) -> float:
  """Returns the value by which a setting is chosen, the median over the seeds of its search."""
  return RANKED[better(row.metric)] * rank(row) + 0.0  # no -0


def evaluated_again(row: Row) -> float | None:
  """Returns a setting's value by other samples: the median over seeds, None where one has none.

  They are those of the study's own second evaluation of the runs that it chose, at the step of
  the first.
  """
  found = [_again(outcome, row.metric) for outcome in row.outcomes]
  known = [each for each in found if each is not None]
  return float(np.median(known)) if known and len(known) == len(found) else None


def _again(outcome: Outcome, metric: str) -> float | None:
  record = read_reevaluation(outcome.run.folder)
  if record is None or outcome.last is None or record["step"] != outcome.last[0]:
    return None
  return number(record[metric]) if metric in record else None


def settings(analysis: Analysis) -> dict[str, Any]:
  """Returns the setting of each loss as a table: its values, what it was chosen from, and results.

  Args:
    analysis: of a confirmation, with its search.
  """
  search = analysis.search
  varied = search.study.varied
  head = ["loss", *varied, "settings tried", "diverged", "best of the search", "confirmed", "seeds"]
  return {"head": head, "rows": [{"cells": _cells(analysis, row)} for row in selected(search)]}


def _cells(analysis, row):
  """Of the chosen setting of one loss."""
  tried = [each for each in analysis.search.headline if each.loss == row.loss]
  last = confirmed(analysis, row.loss)
  return [
    row.loss,
    *("none" if each is None else table.text(each) for each in row.setting),
    len(tried),
    sum(each.diverged > 0 for each in tried),
    table.text(value(row)),
    table.text(last.median) if last else "",
    last.count if last else 0,
  ]


def sentence(analysis: Analysis) -> str:
  """Returns how the settings of a confirmation came about."""
  rows = selected(analysis.search)
  tried = collections.Counter(row.loss for row in analysis.search.headline)
  most, least = (f(tried[row.loss] for row in rows) for f in (max, min))
  count = f"its {most}" if most == least else f"up to {most}"
  seeds = len({run.seed for run in analysis.study.runs})
  fresh = "a fresh seed" if seeds == 1 else f"{seeds} fresh seeds"
  return (
    f"Each loss stands in the best of {count} settings by the search, trained again with {fresh}, "
    "which chose nothing: the search's own values are in no test."
  )


def notes(analysis: Analysis) -> list[str]:
  """Returns what a reader has to know of the search behind a confirmation."""
  there = set(analysis.study.losses)
  chosen = [row.loss for row in selected(analysis.search)]
  found = [f"In the search: {note}" for note in analysis.search.study.notes]
  none = [loss for loss in analysis.search.study.losses if loss not in chosen]
  if none:
    found.append(f"No setting of {', '.join(none)} has a value from a run that did not diverge.")
  if missing := [loss for loss in chosen if loss not in there]:
    found.append(f"The best setting of {', '.join(missing)} is not confirmed yet.")
  return found
