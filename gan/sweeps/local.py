"""A sweep on the devices of this process."""

import os
import pathlib
from collections.abc import Callable

from gan.sweeps.launcher import INTERRUPTED, claimed, statuses
from gan.sweeps.plan import Plan, turns
from gan.sweeps.trainer import Trainer, once, place
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
  with claimed(plan, workdir) as folder:
    _train(plan, folder, once(say))
    return statuses(plan, folder)


def _train(plan: Plan, folder: pathlib.Path, say: Callable[[str], None]) -> None:
  steps = plan.trials[0].config.steps
  with interrupts() as signals, SweepProgress(steps * len(plan.trials)) as progress:
    data = place(plan)
    trainers = {id(program): Trainer(plan, program, data, say) for program in plan.programs}
    for program, run_group in turns(plan):
      if not signals:
        trainers[id(program)].train(run_group, folder, progress, signals)
  if signals:
    say(INTERRUPTED)
