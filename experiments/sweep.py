"""Trains many GANs that differ in loss, seed and hyper-parameters, on every device there is.

  python -m experiments.sweep --experiment=mnist --losses=sat,nonsat,lsgan,hinge,wgan --seeds=5
  python -m experiments.sweep --experiment=ring --losses=all --grid="b1=0,0.5;width=32,128"
  python -m experiments.sweep --experiment=mnist --model=infogan --losses=nonsat,wgan
      --space=lucic_wide --samples=20
  python -m experiments.sweep --experiment=mnist --losses=sat,wgan+wgan_gp,rsgan+r1r2 --seeds=5
  python -m experiments.sweep --experiment=ring --losses=sat,nonsat --samples=32 --sampler=sobol
      --space="generator_learning_rate=log:1e-5:1e-2;b1=0:0.9;discriminator_steps=1|5"

Runs that differ in arrays only (seeds, rates, betas, weights) are stepped by one compiled
program; every loss and every other choice is a program of its own. Each has an ordinary run
folder in <workdir>/members, equal to that of the run trained alone, to rounding. The same command
again continues a sweep. Flags that are not given have the experiment's values, but for
--eval_every, which is an eighth of the experiment's own steps.

  python -m experiments.compare --workdir=DIR

draws the page that compares them, also while the sweep goes on.
"""

import contextlib
import dataclasses
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from experiments import cifar10, fashion_mnist, images, mnist, ring
from experiments.cli import common, processes
from experiments.cli.command import INTERRUPTED, OK, PATH, notify, program, refuse_unread, typed
from experiments.cli.flag_types import known_as
from gan import losses
from gan.errors import UserError
from gan.sweeps import tpe
from gan.sweeps.contestants import WITH, check_labels
from gan.sweeps.search import Point, Trial, grid_points, make_trials, parse_grid
from gan.sweeps.spaces import SAMPLERS, SPACES, Space, check_read, draw_points, space_of
from gan.system.progress import say
from gan.training.config import Config
from gan.training.interrupts import interrupts
from gan.training.run_folder import writable_folder
from gan.training.writers import chosen

EXPERIMENTS = {
  "mnist": mnist.DEFAULTS,
  "fashion_mnist": fashion_mnist.DEFAULTS,
  "cifar10": cifar10.DEFAULTS,
  "images": images.DEFAULTS,
  "ring": ring.DEFAULTS,
}
# Chosen by --losses, and by the sweep itself.
NO_FLAGS = ("loss", "parallel", "data_on")


def main(argv=None):
  command = common.ConfigCommand(__doc__)
  command.add(int, "seeds", 3, "runs of each, with seeds --seed, --seed + 1, ...", "sweep")
  command.add(
    str,
    "grid",
    "",
    "field=value,value;field=value: every combination of fields of a config",
    "sweep",
  )
  add_flags(command, "sweep", "the sweep's folder (default: runs/sweep-<experiment>)")

  def run():
    with interrupts():
      return _sweep(command, list(argv or sys.argv))

  return command.run(run, argv)


def add_flags(command: common.ConfigCommand, group: str, workdir: str) -> None:
  """Defines the flags of a command that trains sweeps.

  Args:
    command: that has them.
    group: the heading under which `--help` lists those of the sweep.
    workdir: what --workdir is.
  """

  def add(*flag):
    return command.add(*flag[:4], group, *flag[4:])

  add(str, "experiment", "mnist", "whose values are the start", EXPERIMENTS)
  add(str, "losses", "sat,nonsat,lsgan,hinge,wgan,rsgan", "by commas, or all; or wgan+wgan_gp, ...")
  add(str, "space", None, "what a search draws from: a name of --search, or field=low:high;...")
  add(str, "search", None, "--space by name", SPACES)
  add(int, "samples", 10, "draws of --space for each loss, the first being the values as they are")
  add(str, "sampler", "random", "how --space is drawn from", (*SAMPLERS, tpe.SAMPLER))
  add(int, "halving", 0, "one of so many settings of a loss goes on from each rung (0: all do)")
  add(str, "members_per_call", "auto", "runs stepped at once on each device: a number, or auto")
  add(str, "launcher", "local", "where runs are trained", ("local", "ray"))
  add(str, "ray_address", None, "auto or HOST:PORT of a Ray cluster (default: this machine)")
  add(float, "cpus_per_task", 1.0, "cores of each task (--launcher=ray)")
  add(int, "gpus_per_task", 0, "accelerators of each task (--launcher=ray)")
  add(bool, "dry_run", False, "print the plan, with its time and memory, and end")
  add(PATH, "workdir", None, workdir)
  command.add(PATH, "data_dir", None, "IDX files, .npz, .zip, images, or a root of these", "data")
  command.add_config(None, NO_FLAGS)


def _sweep(command, argv) -> int:
  values = command.values
  with as_losses():
    chosen, space = chosen_losses(values.losses), space_given(values)
    seeds = range(values.seed or 0, (values.seed or 0) + positive(values, "seeds"))
    trials = trials_of(command, chosen, seeds, _points(values, space), space)
  common.measured_by(trials[0].config)  # refuses an extractor that cannot be read
  say_rungs(trials, values)
  workdir = values.workdir or f"runs/sweep-{values.experiment}"
  with opened(values, workdir) as launch:
    return _run(trials, values, argv, workdir, halved(launch, values.halving))


@contextlib.contextmanager
def as_losses():
  """A block whose errors speak of --losses: a config has one loss, the command several."""
  try:
    yield
  except UserError as error:
    raise UserError(str(error).replace("--loss=", "--losses=")) from error


def trials_of(
  command: common.ConfigCommand,
  chosen: list[str],
  seeds: range,
  points: list[Point],
  space: Space | None,
) -> list[Trial]:
  """Returns the runs of the chosen losses at some points, which are draws of a space or a grid's.

  Raises:
    UserError: a run cannot be, or no loss reads what was typed as a space.
  """
  make = functools.partial(config_of, command)
  trials = make_trials(chosen, seeds, points, make, searched=space is not None)
  # A space with a name has what some losses read; a typed one is for those that are there.
  if space is not None and space not in SPACES.values() and len(points) > 1:
    check_read(space, trials)
  return trials


class Launch(NamedTuple):
  """How sweeps are trained.

  Attributes:
    fit: a Launcher, of this machine or of a cluster.
    runs_per_call: runs stepped at once on each device; 0 chooses.
    devices: that step a program together; None for those of this process.
  """

  fit: Callable
  runs_per_call: int
  devices: int | None


def say_rungs(trials: list[Trial], values: Any) -> None:
  """Prints what --halving will do; UserError where these runs cannot be halved."""
  if not values.halving:
    return
  from gan.sweeps import halving

  print(halving.describe(trials, values.halving), flush=True)


def halved(launch: Launch, factor: int, metric: str | None = None) -> Launch:
  """Returns a launch that trains by successive halving, for factor 0 the same."""
  if not factor:
    return launch
  from gan.sweeps import halving

  fit = functools.partial(halving.fit, factor=factor, metric=metric, launch=launch.fit)
  return launch._replace(fit=fit)


@contextlib.contextmanager
def opened(values: Any, workdir: str) -> Iterator[Launch]:
  """Yields how sweeps are trained in a folder, of which it is known that it can be written to."""
  runs_per_call, resources = _runs_per_call(values.members_per_call), _resources(values)
  chosen(values.log or "")  # refuses a writer that is unknown, or whose package is missing
  if not values.dry_run:
    writable_folder(workdir)
  common.prepare()
  with _launcher(resources, values.ray_address) as fit:
    yield Launch(fit, runs_per_call, resources and resources.devices)


def plan_of(trials: list[Trial], values: Any, workdir: Any, launch: Launch, line: str) -> Any:
  """Returns the Plan of a sweep; `line` is what the user typed."""
  # Importing training only now keeps --help and flag errors quick.
  from gan.sweeps.growing import fix_schedules
  from gan.sweeps.plan import make_plan

  return make_plan(
    fix_schedules(trials, workdir),
    values.data_dir,
    runs_per_call=launch.runs_per_call,
    devices=launch.devices,
    command=line,
    experiment=values.experiment,
  )


def trained(plan: Any, workdir: Any, launch: Launch, values: Any) -> dict[str, str]:
  """Trains a plan, measures real data beside it, and returns the status of each run."""
  from gan.sweeps import real_data

  notice = functools.partial(notify, values=values)
  statuses = launch.fit(plan, workdir, say=notice)
  if not {"interrupted", "not started"} & {*statuses.values()}:  # Ctrl-C does not wait for it
    real_data.record(plan, workdir, say=notice)
  return statuses


def _run(trials, values, argv, workdir, launch) -> int:
  from gan.sweeps.plan import describe

  plan = plan_of(trials, values, workdir, launch, typed("sweep", argv))
  print(describe(plan), flush=True)
  if values.dry_run:
    return OK
  at_end = ended(trained(plan, workdir, launch, values), values.halving)
  say(f"Compare them: {program('compare', argv)} --workdir={workdir}")
  return OK if at_end else INTERRUPTED


RAY_FLAGS = ("ray_address", "cpus_per_task", "gpus_per_task")


def _resources(values):
  """What each task of --launcher=ray is given; None where the sweep is local."""
  if values.launcher == "local":
    refuse_unread(values, RAY_FLAGS, "--launcher=ray")
    return None
  if values.cpus_per_task <= 0 or values.gpus_per_task < 0:
    raise UserError("--cpus_per_task must be above 0, and --gpus_per_task 0 or more")
  from gan.sweeps import ray_cluster, ray_launcher

  if values.ray_address not in (None, "auto"):
    processes.check_address("ray_address", values.ray_address)
  ray_cluster.require(values.ray_address)
  return ray_launcher.Resources(values.cpus_per_task, values.gpus_per_task)


@contextlib.contextmanager
def _launcher(resources, address):
  """Yields a Launcher, of this machine or of a cluster."""
  from gan.sweeps import local, ray_cluster, ray_launcher

  if resources is None:
    yield local.keeping_programs()
    return
  with ray_cluster.connected(address) as ray:
    yield functools.partial(ray_launcher.fit, ray=ray, resources=resources)


def ended(statuses: dict[str, str], halving: int) -> bool:
  """Says how many runs finished, diverged or were stopped; returns whether all are at an end."""
  ends = ("finished", "diverged", *(["stopped"] if halving else []))
  counts = [sum(status.startswith(end) for status in statuses.values()) for end in ends]
  more = [f"{count} {end}" for count, end in zip(counts[1:], ends[1:], strict=True)]
  say(f"{counts[0]} of {len(statuses)} runs finished, {', '.join(more)}")
  return sum(counts) == len(statuses)


def chosen_losses(text: str) -> list[str]:
  """Reads the losses of a flag: labels by commas, or all of logits alone.

  A label is a loss, or a loss with a penalty of its own, as in wgan+wgan_gp.

  Raises:
    UserError: one is unknown or stands twice.
  """
  if text == "all":
    return losses.of_logits()
  given = [label.strip() for label in text.split(",")]
  labels = [_canonical_label(label) for label in given]
  check_labels(labels)
  if repeated := [
    typed for typed, name in zip(given, labels, strict=True) if labels.count(name) > 1
  ]:
    raise UserError(f"--losses has one loss twice: {', '.join(repeated)}")
  return labels


def _canonical_label(label):
  loss, plus, penalty = label.partition(WITH)
  return f"{known_as('loss', loss.strip(), 'losses')}{plus}{penalty.strip()}"


def _runs_per_call(text):
  if text != "auto" and not (text.isdecimal() and len(text) < 10 and int(text)):
    raise UserError(f"--members_per_call={text} must be a number above 0, or auto")
  return 0 if text == "auto" else int(text)


def space_given(values: Any) -> Space | None:
  """Returns what is drawn from; None where nothing is."""
  names = [name for name in ("grid", "search", "space") if name in values]
  given = [name for name in names if values[name].value not in (None, "")]
  if len(given) > 1:
    raise UserError(f"--{given[0]} and --{given[1]}: give one of them")
  text = values.search or values.space
  return None if text is None else space_of(text)


def _points(values, space):
  if values.sampler == tpe.SAMPLER:
    raise UserError(
      f"--sampler={tpe.SAMPLER} is sequential, for each point follows from values before it: "
      "python -m experiments.study has it; or choose another"
    )
  if space is not None:
    return draw_points(space, positive(values, "samples"), values.seed or 0, values.sampler)
  refuse_unread(values, ["samples", "sampler"], "--space")
  grid = parse_grid(values.grid)
  if given := [name for name in grid if values[name].present]:
    raise UserError(f"--{given[0]} is in --grid already: leave the flag out")
  return grid_points(grid)


def positive(values: Any, name: str) -> int:
  """Returns the value of a flag; UserError where it is not above 0."""
  if values[name].value < 1:
    raise UserError(f"--{name}={values[name].value} must be above 0")
  return values[name].value


def config_of(command: common.ConfigCommand, point: Point) -> Config:
  """Returns the config of a run with some values of its own."""
  defaults = EXPERIMENTS[command.values.experiment]
  config = command.config(defaults, point)
  common.refuse_unread_fields(command.values, config, point)
  if defaults.eval_every and not command.values["eval_every"].present:
    return dataclasses.replace(config, eval_every=defaults.steps // 8)
  return config


if __name__ == "__main__":
  sys.exit(main())
