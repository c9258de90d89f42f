"""Compares losses fairly: each is searched under one budget, and its best is trained again.

  python -m experiments.study --experiment=mnist --losses=sat,nonsat,hinge,wgan+wgan_gp
      --samples=12 --seeds=5 --workdir=runs/study
  python -m experiments.study --experiment=ring --losses=all --budget=32runs --sampler=sobol
      --space="generator_learning_rate=log:1e-4:1e-2;b1=0:0.9" --workdir=runs/ring

First a search: each loss in --samples settings, drawn from --space, by the one seed --seed; the
first setting is the values as they stand, and all losses share the others. Then a confirmation: the
setting of each loss with the best last value of --metric is trained with --seeds seeds that the
search did not use, for what was picked looks better than it is; the runs that were picked are
measured again too, by other samples. Then <workdir>/report.html, which compares these. Settings
that diverge are never the best. --halving=3 trains only the best third of the settings of each loss
on from each of a few evaluations.

--budget=96runs or --budget=5Mimages, for each loss, chooses the number of samples; --budget=2h ends
the command after two hours for each loss. The same command goes on where it was; more losses,
samples, seeds or steps extend the study in its folder. Flags of the experiment hold for all runs.

  python -m experiments.best --workdir=runs/study

prints the command line of each loss at its best.
"""

import pathlib
import sys
from typing import Any

from experiments import compare, sweep
from experiments.cli import common
from experiments.cli.command import INTERRUPTED, OK, program, typed
from experiments.cli.deadline import interrupted_after
from experiments.study import budget, rounds
from gan.errors import UserError
from gan.sweeps import study, tpe
from gan.sweeps.contestants import choices_of
from gan.sweeps.search import Point, Trial
from gan.sweeps.spaces import SPACES, draw_points
from gan.system.progress import say
from gan.training.config import Config, images_per_step
from gan.training.interrupts import interrupts, stop_here
from gan.training.parts import identity

SPACE = "rates"  # where none is named
NESTED = ("random", "sobol")  # samplers of which a longer search begins with a shorter one


def main(argv=None):
  command = common.ConfigCommand(__doc__)

  def add(*flag):
    return command.add(*flag, "study")

  add(int, "seeds", 3, "of the confirmation: --seed + 1, --seed + 2, ...")
  add(str, "metric", None, "by which settings are chosen (default: the first that is evaluated)")
  add(str, "budget", None, "of the search of each loss: 96runs, 5Mimages; or 2h, to stop by")
  sweep.add_flags(command, "study", "the study's folder (default: runs/study-<experiment>)")

  def run():
    with interrupts():
      return _study(command, list(argv or sys.argv))

  return command.run(run, argv)


def _study(command, argv) -> int:
  values = command.values
  with sweep.as_losses():
    asked = _asked(command, typed("study", argv))
    trials = _trials(command, asked)
  common.measured_by(trials[0].config)  # refuses an extractor that cannot be read
  sweep.say_rungs(trials, values)
  workdir = values.workdir or f"runs/study-{values.experiment}"
  with sweep.opened(values, workdir) as launch, interrupted_after(_seconds(command, asked)):
    if values.dry_run:
      _plan_search(trials, values, pathlib.Path(workdir), launch, asked)
      return OK
    with study.claimed(workdir, asked) as folder:
      return _phases(trials, command, folder, launch, asked, argv)


def _phases(trials, command, folder, launch, asked, argv) -> int:
  values = command.values
  plan = _plan_search(trials, values, folder, launch, asked)
  if not _search(plan, command, folder, launch, asked):
    return INTERRUPTED
  metric = study.metric_of(folder / study.SEARCH, values.metric)
  found = study.best_settings(folder / study.SEARCH, metric)
  for label in [label for label, best in found.items() if best is None]:
    say(f"{label}: no setting has a finite {metric} at its end, so that none is confirmed")
  best = [each for each in found.values() if each]
  for each in best:
    say(f"{each.setting} is the best of {each.label}: {metric} {each.value:.4g}")
  _reevaluate(best, folder / study.SEARCH, plan)
  if not _confirm(best, values, folder, launch, asked):
    return INTERRUPTED
  compare.draw([str(folder)], metric, folder)
  say(f"Best settings as commands: {program('best', argv)} --workdir={folder}")
  return OK


def _plan_search(trials, values, folder, launch, asked) -> Any:
  """Prints the plan of both phases, and returns that of the search."""
  from gan.sweeps import confirming
  from gan.sweeps.plan import describe

  plan = sweep.plan_of(trials, values, folder / study.SEARCH, launch, asked["command"])
  print(f"Search: {describe(plan)}", flush=True)
  print(confirming.describe(plan, values.seeds), flush=True)
  return plan


def _search(plan, command, folder, launch, asked) -> bool:
  """Trains the settings of each loss; returns whether all are at their end."""
  values = command.values
  if asked["sampler"] == tpe.SAMPLER:
    launch = rounds.in_rounds(launch, command, _space(values), asked)
  else:
    launch = sweep.halved(launch, values.halving, values.metric)
  return _train(plan, folder / study.SEARCH, values, launch)


def _reevaluate(best, search, plan) -> None:
  """Measures the best runs again, by other samples."""
  from gan.sweeps import reevaluation

  reevaluation.reevaluate(best, search, plan.dataset)


def _confirm(best, values, folder, launch, asked) -> bool:
  """Trains the best settings by seeds of their own; returns whether all are at their end."""
  from gan.sweeps import confirming
  from gan.sweeps.plan import describe

  first = asked["seed"] + 1
  seeds = range(first, first + asked["seeds"])
  trials = confirming.confirmation_trials(folder / study.SEARCH, best, seeds)
  study.set_aside(folder, [trial.name for trial in trials])
  if not trials:
    return True
  stop_here()
  confirm = folder / study.CONFIRM
  plan = sweep.plan_of(trials, values, confirm, launch, asked["command"])
  print(f"Confirmation: {describe(plan)}", flush=True)
  return _train(plan, confirm, values, launch)


def _train(plan, folder, values, launch) -> bool:
  return sweep.ended(sweep.trained(plan, folder, launch, values), values.halving)


# What is asked for.


def _asked(command: common.ConfigCommand, line: str) -> dict[str, Any]:
  """Returns what study.json holds; UserError where it cannot be."""
  values = command.values
  if values.sampler == tpe.SAMPLER:
    rounds.check(values)
  if values.metric is not None:
    study.check_direction(values.metric)
  labels = sweep.chosen_losses(values.losses)
  config = sweep.config_of(command, choices_of(labels[0]))
  if not config.eval_every:
    raise UserError("--eval_every=0: a study chooses by a metric; give a number of steps above 0")
  return {
    "command": line,
    "experiment": values.experiment,
    "losses": labels,
    "space": "".join((values.search or values.space or SPACE).split()),
    "sampler": values.sampler,
    "samples": _samples(command, config),
    "seed": values.seed or 0,
    "seeds": sweep.positive(values, "seeds"),
    "steps": config.steps,
    "metric": values.metric,
    "halving": values.halving,
    "budget": values.budget,
    "config": _shared(sweep.config_of(command, {})),
  }


def _shared(config: Config) -> dict[str, Any]:
  """What the results of all runs depend on, but for their losses, seeds and settings."""
  return {name: each for name, each in identity(config).items() if name not in ("loss", "seed")}


def _samples(command, config: Config) -> int:
  """How many settings of each loss there are."""
  values = command.values
  if values.budget is None or (read := budget.read(values.budget)).seconds:
    return sweep.positive(values, "samples")
  if values["samples"].present:
    raise UserError(f"--samples and --budget={values.budget}: give one of them")
  if read.images and values.sampler not in NESTED:
    raise UserError(
      f"--budget={values.budget} is known before the search for --sampler={' or '.join(NESTED)} "
      f"alone: give --samples, or a budget of runs, for --sampler={values.sampler}"
    )

  def images(point: Point) -> int:
    own = {name: point[name] for name in ("discriminator_steps", "batch_size") if name in point}
    return config.steps * images_per_step(sweep.config_of(command, {"loss": config.loss, **own}))

  return budget.samples_within(read, lambda count: _points(values, count), images)


def _seconds(command, asked) -> float | None:
  """After how long the command stops; the user is told."""
  text = command.values.budget
  each = budget.read(text).seconds if text else None
  if each is None:
    return None
  seconds = each * len(asked["losses"])
  say(f"Ends after {seconds / 3600:.3g} h, {text} for each loss; the same command goes on then.")
  return seconds


def _points(values, samples: int) -> list[Point]:
  # Those of a search in rounds are not known yet: others of the space stand for them in the plan.
  sampler = "random" if values.sampler == tpe.SAMPLER else values.sampler
  return draw_points(_space(values), samples, values.seed or 0, sampler)


def _space(values):
  return sweep.space_given(values) or SPACES[SPACE]


def _trials(command, asked) -> list[Trial]:
  values, seed = command.values, asked["seed"]
  points = _points(values, asked["samples"])
  seeds = range(seed, seed + 1)
  return sweep.trials_of(command, asked["losses"], seeds, points, _space(values))


if __name__ == "__main__":
  sys.exit(main())
