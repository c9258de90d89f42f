"""A sweep on the devices of this process."""

import os
import pathlib
from collections.abc import Callable

from gan.sweeps.launcher import INTERRUPTED, Launcher, claimed, statuses
from gan.sweeps.plan import Plan, Program, turns
from gan.sweeps.trainer import Trainer, once, place
from gan.system.compilation import forget_many_programs
from gan.system.progress import SweepProgress, say
from gan.training.interrupts import interrupts


def fit(
  plan: Plan, workdir: str | os.PathLike, *, say: Callable[[str], None] = say
) -> dict[str, str]:
  """Trains every run up to its last step, from where each stands.

  Args:
    plan: what to train.
    workdir: the sweep's folder; one that belongs to another sweep is refused.
    say: prints one line to the user.

  Returns:
    The status of each run: finished, interrupted, "diverged at step n"; "not started".

  Raises:
    UserError: anything that the user can put right; nothing on disk is lost.
  """
  return keeping_programs()(plan, workdir, say=say)


def keeping_programs() -> Launcher:
  """Returns a `fit` that compiles the programs of a plan once for all its pieces in turn."""
  kept: tuple[list[Program], dict[int, Trainer]] = [], {}

  def fit_piece(
    plan: Plan, workdir: str | os.PathLike, *, say: Callable[[str], None] = say
  ) -> dict[str, str]:
    nonlocal kept
    if kept[0] is not plan.programs:
      kept = plan.programs, {}
    with claimed(plan, workdir) as folder:
      _train(plan, folder, once(say), kept[1])
      return statuses(plan, folder)

  return fit_piece


def _train(
  plan: Plan, folder: pathlib.Path, say: Callable[[str], None], trainers: dict[int, Trainer]
) -> None:
  groups = list(turns(plan))
  steps = plan.end * sum(len(run_group) for _, run_group in groups)
  with interrupts() as signals, SweepProgress(steps) as progress:
    if not trainers:
      data = place(plan)
      trainers |= {id(program): Trainer(plan, program, data, say) for program in plan.programs}
    for program, run_group in groups:
      if not signals:
        trainers[id(program)].train(run_group, folder, progress, signals, plan.end)
        forget_many_programs()
  if signals:
    say(INTERRUPTED)
