"""What the study found so far, from records: each cell analysed, and what survives the tests."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.small_data.arms import ARMS, NONE, Cell
from gan.errors import UserError
from gan.report import statistics, study
from gan.report.analysis import Analysis, Row, analyse
from gan.report.statistics import Comparison
from gan.report.study import StudyRun
from gan.training.run_folder import EVALUATIONS

METRIC = "frechet_distance"
# What D makes of data that it is trained on, and of others; those of critics, which do not decide.
JUDGED = (
  ("discriminator_accuracy_train", "discriminator_accuracy_held_out"),
  ("discriminator_logit_train", "discriminator_logit_held_out"),
)
EARLIER = "the step that is best for the other seeds"


class Result(NamedTuple):
  """A cell of the study.

  Attributes:
    cell: which.
    folder: of the cell.
    analysis: of its runs, in which arms stand in the place of losses.
  """

  cell: Cell
  folder: pathlib.Path
  analysis: Analysis

  @property
  def arms(self) -> list[str]:
    """Those with a run, in the order of ARMS."""
    return self.analysis.study.losses

  @property
  def judged(self) -> tuple[str, str] | None:
    """The metrics of D on training and on held-out data that were recorded; None for none."""
    known = self.analysis.study.metrics()
    return next((pair for pair in JUDGED if set(pair) <= set(known)), None)

  def row(self, arm: str, metric: str = METRIC) -> Row:
    """Returns what the runs of an arm reached on a metric."""
    return next(row for row in self.analysis.rows if (row.loss, row.metric) == (arm, metric))

  def last(self, arm: str) -> dict[tuple, float]:
    """Returns the last value of each seed."""
    return {(found.run.seed,): found.last[1] for found in self.row(arm).outcomes if found.last}


def load(cells: Sequence[Cell], outdir: pathlib.Path) -> list[Result]:
  """Returns the cells of which something is measured.

  Raises:
    UserError: records are damaged, of another arm, or the runs of a cell do not belong together.
  """
  folders = {cell: cell.folder(outdir) for cell in cells}
  begun = {cell: folder for cell, folder in folders.items() if any(folder.rglob(EVALUATIONS))}
  return [Result(cell, folder, _analyse(folder)) for cell, folder in begun.items()]


def _analyse(folder) -> Analysis:
  found = study.load([folder])
  runs = [_as_arm(run, folder) for run in found.runs]
  runs = sorted(runs, key=lambda run: (list(ARMS).index(run.loss), run.seed))
  return analyse(found._replace(runs=runs, varied=()), METRIC)


def _as_arm(run: StudyRun, folder: pathlib.Path) -> StudyRun:
  """The run under the name of its arm, where a comparison of losses has that of its loss."""
  arm = run.folder.relative_to(folder).parts[0]
  if arm not in ARMS:
    raise UserError(
      f"{run.folder} is of an arm {arm} that is none of the study's, {', '.join(ARMS)}: move "
      f"{folder / arm} elsewhere"
    )
  return run._replace(record=run.record | {"determining": run.identity | {"loss": arm}})


def at_best_of_others(row: Row) -> dict[tuple, float]:
  """Returns the value of each seed at the step where the mean of all other seeds is lowest.

  A run's own best is picked from its noise, and lies below its last value even where nothing
  rises; the step that others choose knows nothing of this run's noise.
  """
  curves = {
    found.run.seed: {step: value for step, value in found.run.points(METRIC) if step <= row.step}
    for found in row.outcomes
    if found.last
  }
  if len(curves) < 2:
    return {}
  steps = sorted(set.intersection(*map(set, curves.values())))
  chosen = {}
  for seed, curve in curves.items():
    others = [other for name, other in curves.items() if name != seed]
    best = min(steps, key=lambda step: np.mean([other[step] for other in others]))
    chosen[(seed,)] = curve[best]
  return chosen


class Claim(NamedTuple):
  """A difference that the study tests.

  Attributes:
    cell: where.
    arm: whose last value stands beside that of NONE; of NONE, beside an earlier value of its own.
    comparison: the two, corrected for all claims.
  """

  cell: Cell
  arm: str
  comparison: Comparison


def claims(results: Sequence[Result]) -> list[Claim]:
  """Returns all that the study tests: on each cell the rise of NONE, and each arm beside it."""
  values, asked = {}, {}
  for result in results:
    if NONE not in result.arms:
      continue
    title = result.cell.title
    values |= {f"{title}: {arm}": result.last(arm) for arm in result.arms}
    values[f"{title}: earlier"] = at_best_of_others(result.row(NONE))
    asked |= {
      (f"{title}: {arm}", f"{title}: {'earlier' if arm == NONE else NONE}"): (result.cell, arm)
      for arm in result.arms
    }
  found = statistics.compare(values, list(asked))
  return [
    Claim(cell, arm, comparison._replace(second=EARLIER if arm == NONE else NONE))
    for (cell, arm), comparison in zip(asked.values(), found, strict=True)
  ]
