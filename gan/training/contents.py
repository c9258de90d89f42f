"""Whether what lies in a run folder is of the run that is to continue there."""

from collections.abc import Callable
from typing import Any

from gan.errors import UserError
from gan.training import plugins, program
from gan.training.checkpoint import check_identity
from gan.training.places import check_place
from gan.training.records import Records
from gan.training.run_folder import (
  CONFIG,
  EVALUATIONS,
  METRICS,
  PROGRAM,
  read_config,
  read_metrics,
  read_summary,
)


def check_contents(folder: Records, identity: dict[str, Any], say: Callable[[str], None]) -> None:
  """Checks that a run folder is new, or holds records and checkpoints of the run `identity`.

  Args:
    folder: of the run.
    identity: what its config.json will hold.
    say: prints one line to the user, on what cannot be compared or is gone.

  Raises:
    UserError: it holds other work or another run, or records without their checkpoints.
  """
  if not (folder.path / CONFIG).exists():
    check_place(folder.path, "a run")
  else:
    if line := plugins.changed(read_config(folder.path)):
      say(line)
    if PROGRAM in identity:
      _check_program(folder, identity, say)
  check_identity(folder.checkpoints, identity)
  if any(folder.checkpoints.glob("[0-9]*")):
    return
  files = (METRICS, EVALUATIONS)
  last = max((r["step"] for file in files for r in read_metrics(folder.path, file)), default=0)
  if last and _had_checkpoints(folder, last, identity["config"]):
    raise UserError(
      f"{folder.path} has records up to step {last} and its checkpoints are gone: put checkpoints/ "
      "back, or use another --workdir to begin anew"
    )


def _check_program(folder: Records, identity: dict, say: Callable[[str], None]) -> None:
  there = read_config(folder.path).get(PROGRAM)
  if there is None:  # an earlier version made it
    return
  if line := program.incomparable(there):
    say(line)
  elif names := program.changed(there, identity[PROGRAM]):
    raise UserError(
      f"{folder.path} holds a run of a game that computes something else, though its parts have "
      f"the same names ({program.words(names)}): use what it began with, or another --workdir"
    )


def lost_records(folder: Records, log_every: int) -> list[str]:
  """Returns a line on each file of records that has none, or not all, of the steps of a run.

  That records were made is known by their cadence, which a run keeps, and by its summary.
  """
  last = max((int(p.name) for p in folder.checkpoints.glob("*") if p.name.isdigit()), default=0)
  summary = read_summary(folder.path) or {}
  had = {
    METRICS: log_every <= last or summary.get("metrics"),
    EVALUATIONS: summary.get("evaluation"),
  }
  steps = {file: {record["step"] for record in read_metrics(folder.path, file)} for file in had}
  lines = [
    f"{file} has no records of the steps up to {last}: it was deleted or emptied, and what they "
    "held is gone; the checkpoints are whole, and records go on from there."
    for file, made in had.items()
    if last and made and not any(step <= last for step in steps[file])
  ]
  return lines or _gaps(steps[METRICS], range(log_every, last + 1, log_every))


def _gaps(there: set[int], steps: range) -> list[str]:
  """Returns a line on the steps of which metrics.jsonl has no record, or none."""
  missing = [step for step in steps if step not in there]
  if not missing:
    return []
  span = f"{missing[0]} to {missing[-1]}" if len(missing) > 1 else f"{missing[0]}"
  return [
    f"{METRICS} lacks {len(missing)} of {len(steps)} records (steps {span}): it was cut or edited, "
    "and what they held is gone; the checkpoints are whole, and records go on from there."
  ]


def _had_checkpoints(folder: Records, last: int, config: dict[str, Any]) -> bool:
  """Whether a run with records up to step `last` must have written a checkpoint.

  The folder of checkpoints is made before the first step. The first checkpoint is written in the
  background, so that a kill may come before its end; the second waits for it.
  """
  every = config["checkpoint_every"]
  if (folder.path / CONFIG).exists():
    every = max(every, read_config(folder.path)["config"].get("checkpoint_every", 0))
  if not folder.checkpoints.is_dir() or last > 2 * every:
    return True
  summary = read_summary(folder.path) or {"status": "", "step": 0}
  if summary["status"].startswith("diverged"):
    return last > every
  saved = ("running", "interrupted", "finished", "stopped")
  return summary["status"].startswith(saved) and summary["step"] > 0
