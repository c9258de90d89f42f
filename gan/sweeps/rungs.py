"""Successive halving: the steps at which runs are compared, and which settings go on from there.

From "Non-stochastic Best Arm Identification and Hyperparameter Optimization" by Jamieson and
Talwalkar (https://arxiv.org/abs/1502.07943). No JAX is needed here.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gan.errors import UserError
from gan.metrics.best import RANKED, better

Settings = dict[str, dict[str, list[str]]]  # loss -> setting -> names of its runs


def rungs(steps: int, eval_every: int, factor: int, settings: int) -> list[int]:
  """Returns the steps at which settings are compared before the last.

  The multiples of eval_every that are nearest to steps / factor^k: k = 1, 2, ... until one setting
  would be left, or a rung would be step 0.

  Args:
    steps: of a run that goes to its end.
    eval_every: steps between evaluations.
    factor: one of so many settings goes on from a rung.
    settings: of the loss that has the most.

  Returns:
    Ascending steps, at least one, all below `steps`.

  Raises:
    UserError: a factor below 2, no evaluations, or too few for a rung; or there is one setting.
  """
  if factor < 2:
    raise UserError(f"--halving={factor} must be 2 or more, or 0 for none")
  if settings < 2:
    raise UserError("--halving chooses among settings, and there is one: give more --samples")
  if not eval_every:
    raise UserError("--halving compares evaluations: give an --eval_every above 0")
  found, length = set(), factor
  while settings > 1:
    found.add((2 * steps + length * eval_every) // (2 * length * eval_every) * eval_every)
    settings, length = promoted_count(settings, factor), length * factor
  if not (found := sorted(step for step in found if 0 < step < steps)):
    raise UserError(
      f"--halving={factor} has no evaluation near step {steps // factor} to compare settings at: "
      f"give --eval_every of {max(1, steps // factor)} or less, it is {eval_every}"
    )
  return found


def promoted_count(settings: int, factor: int) -> int:
  """Returns how many of so many settings go on from a rung: a 1/factor of them, rounded up."""
  return math.ceil(settings / factor)


def settings_of(members: Iterable[Mapping[str, Any]]) -> Settings:
  """Returns the runs of each setting of each loss, in the order of the samples.

  Args:
    members: of sweep.json; a run's name ends with its seed. A loss is its label, where it has one.
  """
  found: Settings = {}
  for member in members:
    own = found.setdefault(member.get("label", member["varied"]["loss"]), {})
    own.setdefault(setting_of(member["name"]), []).append(member["name"])
  return found


def setting_of(run: str) -> str:
  """Returns the setting of a run, its name without the seed: LABEL,sample=3."""
  return run.rpartition("seed=")[0].rstrip(",")


def promoted(values: Mapping[str, Sequence[float]], factor: int) -> list[str]:
  """Returns the settings of a loss that go on from a rung, in the order of the samples.

  The best by the median over seeds; of equal ones the first samples.

  Args:
    values: setting -> [seeds], the smaller the better, infinite where a run diverged.
    factor: one of so many goes on, rounded up.
  """
  order = sorted(values, key=lambda setting: float(np.median(values[setting])))
  best = order[: promoted_count(len(values), factor)]
  return [setting for setting in values if setting in best]


def value_at(records: Iterable[Mapping[str, Any]], metric: str, step: int) -> float:
  """Returns the value of a metric at a step, by the sign under which the smallest is the best.

  Infinite where there is none: a run that diverged before is the worst.

  Args:
    records: evaluations of a run.
    metric: with a direction.
    step: of one of them.
  """
  found = [record.get(metric) for record in records if record["step"] == step]
  value = RANKED[better(metric)] * float(found[-1]) if found and found[-1] is not None else math.inf
  return math.inf if math.isnan(value) else value


def share_of_steps(settings: int, steps: int, rungs: Sequence[int], factor: int) -> float:
  """Returns the steps that halving makes of those of all settings to their end, 0 to 1.

  Args:
    settings: of a loss.
    steps: of a run that goes to its end.
    rungs: of `rungs`.
    factor: one of so many goes on.
  """
  made, left = 0, settings
  for begin, end in zip([0, *rungs], [*rungs, steps], strict=True):
    made += left * (end - begin)
    left = promoted_count(left, factor)
  return made / (settings * steps)
