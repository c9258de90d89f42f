"""The runs that confirm a search: the best setting of each loss, by seeds that it did not use."""

import dataclasses
import math
import pathlib
from collections.abc import Collection, Sequence

from gan.sweeps.plan import Plan
from gan.sweeps.search import Trial
from gan.sweeps.study import Best, read_sweep
from gan.training.restore import recorded_config
from gan.training.run_folder import RUNS_FOLDER


def confirmation_trials(
  search: pathlib.Path, best: Sequence[Best], seeds: Collection[int]
) -> list[Trial]:
  """Returns a run for each best setting and seed, with the config that the search trained.

  Args:
    search: the folder of the search.
    best: of each loss that has one.
    seeds: others than those of the search.
  """
  varied = {run["name"]: run.get("varied", {}) for run in read_sweep(search)["members"]}
  runs = search / RUNS_FOLDER
  configs = {each.setting: recorded_config(runs / each.runs[0]) for each in best}
  return [
    Trial(
      f"{each.setting},seed={seed}",
      dataclasses.replace(configs[each.setting], seed=seed),
      {**varied[each.runs[0]], "seed": seed},
    )
    for seed in seeds
    for each in best
  ]


def describe(search: Plan, seeds: int) -> str:
  """Returns a line on the confirmation of a search that is planned.

  Args:
    search: its plan.
    seeds: of each loss.
  """
  seconds: dict[str, float] = {}
  for program in search.programs:
    for trial in program.trials:
      alone = program.cost.seconds * trial.config.steps
      seconds[trial.label] = max(alone, seconds.get(trial.label, 0.0))
  minutes = math.ceil(seeds * sum(seconds.values()) / 60)
  return (
    f"Confirmation: {seeds * len(seconds)} runs, {len(seconds)} programs at most: the best setting "
    f"of each loss by {seeds} seeds of its own, at most {minutes} min of steps"
  )
