"""A search whose points follow from values before them: one setting of each loss at a time."""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

from experiments import sweep
from experiments.cli import common
from gan.errors import UserError
from gan.sweeps import sequential, tpe
from gan.sweeps.search import Trial
from gan.sweeps.spaces import Space
from gan.system.progress import say


def check(values: Any) -> None:
  """Raises UserError where flags ask for more than a search in rounds, or Optuna is missing."""
  if values.halving:
    raise UserError(
      f"--halving={values.halving} ranks settings that are trained side by side, and "
      f"--sampler={values.sampler} makes one after the other: give one of them"
    )
  tpe.require()


def in_rounds(
  launch: sweep.Launch, command: common.ConfigCommand, space: Space, asked: dict[str, Any]
) -> sweep.Launch:
  """Returns a launch that trains a search round by round.

  Args:
    launch: how each round is trained.
    command: that was typed.
    space: where settings lie.
    asked: what study.json holds.
  """
  # One run of each loss waits at a time: a wider program would repeat it.
  launch = launch._replace(runs_per_call=launch.runs_per_call or 1)
  request = sequential.Request(
    losses=asked["losses"],
    samples=asked["samples"],
    space=space,
    make_config=functools.partial(sweep.config_of, command),
    metric=asked["metric"],
    seed=asked["seed"],
  )

  def plan_of(trials: list[Trial], folder: pathlib.Path) -> Any:
    plan = sweep.plan_of(trials, command.values, folder, launch, asked["command"])
    return plan._replace(identity=plan.identity | {"sampler": asked["sampler"]})

  def fit(plan: Any, folder: pathlib.Path, *, say: Callable[[str], None] = say) -> dict[str, str]:
    del plan  # of other points: these are not known before values are
    say("Each setting follows from the values before it: one of each loss is trained at a time.")
    return sequential.search(
      folder, request, lambda trials: launch.fit(plan_of(trials, folder), folder, say=say)
    )

  return launch._replace(fit=fit)
