"""The protocol of launchers, which train a sweep's plan, and helpers that they share."""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

from gan.errors import UserError
from gan.sweeps import growing
from gan.sweeps.plan import Plan
from gan.sweeps.trainer import status
from gan.training.aliases import rename_run_folders
from gan.training.places import check_place
from gan.training.run_folder import CONFIG, RUNS_FOLDER, SWEEP, lock, writable_folder

INTERRUPTED = "Interrupted; what was reached is saved. The same command continues from there."


@runtime_checkable
class Launcher(Protocol):
  """Trains every run up to its last step, from where each stands.

  `local.fit` is one, and `ray_launcher.fit` once it is given a cluster and the resources of a task.
  """

  def __call__(
    self, plan: Plan, workdir: str | os.PathLike, *, say: Callable[[str], None] = ...
  ) -> dict[str, str]:
    """Returns the status of each run: finished, interrupted, "diverged at ..."; "not started".

    Args:
      plan: what to train.
      workdir: the sweep's folder; one that belongs to another sweep is refused.
      say: prints one line to the user.

    Raises:
      UserError: anything that the user can put right; nothing on disk is lost.
    """


@contextlib.contextmanager
def claimed(plan: Plan, workdir: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yields the sweep's folder, which is this process's until the block ends.

  Raises:
    UserError: it cannot be written to, belongs to other work, has runs that the plan lacks, or is
      in use.
  """
  folder = writable_folder(workdir)
  if (folder / CONFIG).exists():
    raise UserError(f"{folder} holds a run: use another --workdir for a sweep")
  with contextlib.closing(lock(folder)):
    if not (folder / SWEEP).exists():
      own = [folder / RUNS_FOLDER / trial.name for trial in plan.trials]
      check_place(folder, "a sweep", own)
    growing.claim(folder / SWEEP, plan)
    rename_run_folders(folder / RUNS_FOLDER, [trial.name for trial in plan.trials])
    yield folder


def statuses(plan: Plan, folder: pathlib.Path) -> dict[str, str]:
  """Returns {run: "finished", "interrupted", "diverged at step n", ... or "not started"}."""
  return {trial.name: status(folder, trial) for trial in plan.trials}
