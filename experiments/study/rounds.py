"""A search whose points follow from values before them: one setting of each loss at a time."""

import functools
import pathlib
from typing import Any

from experiments import sweep
from experiments.cli import common
from experiments.cli.command import notify
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


def search(
  command: common.ConfigCommand,
  folder: pathlib.Path,
  space: Space,
  launch: sweep.Launch,
  asked: dict,
) -> bool:
  """Trains the settings of each loss; returns whether all are at their end.

  Args:
    command: that was typed.
    folder: of the search.
    space: where settings lie.
    launch: how sweeps are trained.
    asked: what study.json holds.
  """
  # One run of each loss waits at a time: a wider program would repeat it.
  launch = launch._replace(runs_per_call=launch.runs_per_call or 1)
  tell = functools.partial(notify, values=command.values)

  def train(trials: list[Trial]) -> dict[str, str]:
    plan = sweep.plan_of(trials, command.values, folder, launch, asked["command"])
    plan = plan._replace(identity=plan.identity | {"sampler": asked["sampler"]})
    return launch.fit(plan, folder, say=tell)

  say("Each setting follows from the values before it: one of each loss is trained at a time.")
  request = sequential.Request(
    losses=asked["losses"],
    samples=asked["samples"],
    space=space,
    make_config=functools.partial(sweep.config_of, command),
    metric=asked["metric"],
    seed=asked["seed"],
  )
  return sweep.ended(sequential.search(folder, request, train), halving=0)
