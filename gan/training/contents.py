"""Whether what lies in a run folder is of the run that is to continue there."""

from typing import Any

from gan.errors import UserError
from gan.training.checkpoint import check_identity
from gan.training.places import check_place
from gan.training.run_folder import (
  CONFIG,
  EVALUATIONS,
  METRICS,
  read_config,
  read_metrics,
  read_summary,
)
from gan.training.writers import Writer


def check_contents(folder: Writer, identity: dict[str, Any]) -> None:
  """Checks that a run folder is new, or holds records and checkpoints of the run `identity`.

  Raises:
    UserError: it holds other work or another run, or records without their checkpoints.
  """
  if not (folder.path / CONFIG).exists():
    check_place(folder.path, "a run")
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


def _had_checkpoints(folder: Writer, last: int, config: dict[str, Any]) -> bool:
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
  return summary["status"] in ("running", "interrupted", "finished") and summary["step"] > 0
