"""What a sweep compiles: runs that differ in arrays only are stepped by one program.

Runs of one program differ in their seed and in hyper-parameters that are arrays; every loss and
every other static choice is a program of its own. Runs are split over all devices, and go
through a program in groups of as many as fit.
"""

import dataclasses
import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key

try:
  import resource
except ImportError:  # Windows counts no files
  resource = None

from gan import datasets
from gan.method.game import Batch
from gan.state import GanState
from gan.sweeps.search import Trial, array_names, sweep_identity
from gan.system.compilation import compiled
from gan.system.progress import say
from gan.training import measuring, starting
from gan.training.config import Config
from gan.training.interrupts import stop_here
from gan.training.options import fields, value
from gan.training.parts import augmentation_names, regularizer_names, weight_clip
from gan.training.setting import Setting, load_data, make_setting, shared_identity

# On the CPU, runs that need more arithmetic than this in a step gain nothing from `vmap`: one
# fills the machine, and batched products and grouped convolutions are slower than plain ones.
TOGETHER_ON_CPU = 2e7  # floating-point operations in a step
# Each run of a group holds its folder's lock and its checkpointer open.
MOST_TOGETHER, FILES_PER_RUN = 64, 12


class Cost(NamedTuple):
  """What a run costs when it is trained alone.

  Attributes:
    flops: floating-point operations of a step.
    bytes: of its state, of what a step needs beside it, and of a second state for reading out.
    seconds: of a step, measured.
  """

  flops: float
  bytes: int
  seconds: float


class Program(NamedTuple):
  """Runs that one compiled program can step, in groups of equal size.

  Attributes:
    run_groups: lists of runs that differ in arrays only; the last may be shorter.
    size: runs that are stepped at once, a multiple of the number of devices.
    cost: of each run.
  """

  run_groups: list[list[Trial]]
  size: int
  cost: Cost

  @property
  def trials(self) -> list[Trial]:
    return list(itertools.chain.from_iterable(self.run_groups))


class Plan(NamedTuple):
  """A sweep before its first step.

  Attributes:
    programs: what is compiled.
    dataset: what all runs are trained on.
    identity: what sweep.json holds.
    shared: what of it is in the identity of each run, beside its config.
    until: a step that runs pause at, a multiple of a cadence; None for their last.
    working: names of the runs that are trained; None for all.
  """

  programs: list[Program]
  dataset: datasets.Dataset
  identity: dict[str, Any]
  shared: dict[str, str]
  until: int | None = None
  working: frozenset[str] | None = None

  @property
  def trials(self) -> list[Trial]:
    return [trial for program in self.programs for trial in program.trials]

  @property
  def end(self) -> int:
    """The step up to which runs are trained."""
    steps = self.programs[0].run_groups[0][0].config.steps
    return min(self.until or steps, steps)


def make_plan(
  trials: list[Trial],
  data_dir: str | None = None,
  *,
  runs_per_call: int = 0,
  devices: int | None = None,
  command: str = "",
  experiment: str = "",
  say: Callable[[str], None] = say,
) -> Plan:
  """Returns what a sweep will do; compiles and measures one step of each kind of program.

  Args:
    trials: of one data set, with the same number of steps and the same cadences.
    data_dir: where local data lie; see `datasets.load`.
    runs_per_call: runs stepped at once on each device; 0 chooses.
    devices: that step a program together; None for those of this process.
    command: what the user typed, for sweep.json.
    experiment: whose defaults the runs started from, for sweep.json.
    say: prints one line to the user.

  Raises:
    UserError: the model cannot make such images, or there are no labels.
  """
  dataset, _ = load_data(trials[0].config, data_dir, say)
  same = {"dataset": dataset.name, "parallel": "none"}
  # Tasks run in other folders.
  first = trials[0].config
  same |= {"extractor": measuring.place(first.extractor)}
  same |= {"init_from": starting.placed(first.init_from)}
  trials = [trial._replace(config=dataclasses.replace(trial.config, **same)) for trial in trials]
  groups, quiet = _groups(trials), lambda line: None
  # What cannot be is refused before anything is compiled.
  firsts = {_kind(group): group[0].config for group in groups}
  settings = {
    kind: (config, make_setting(config, dataset, (), quiet)) for kind, config in firsts.items()
  }
  measured, programs = {}, []
  for kind, setting in settings.items():
    stop_here()
    measured[kind] = _measure(*setting)
  for group in groups:
    cost = measured[_kind(group)]
    per_device = runs_per_call or _fitting(cost)
    programs.append(_program(group, cost, per_device, devices or len(jax.local_devices())))
  shared = shared_identity(next(iter(settings.values()))[1])
  identity = sweep_identity(trials, shared, command, experiment)
  return Plan(programs, dataset, identity, shared)


def _kind(group: list[Trial]) -> tuple:
  """The static options that the cost of a step depends on: all but the loss."""
  return _static(dataclasses.replace(group[0].config, loss="nonsat"))


def _program(trials: list[Trial], cost: Cost, per_device: int, devices: int) -> Program:
  """Splits runs into the fewest groups, of even size: an empty place costs as much as a run."""
  run_groups = math.ceil(len(trials) / (per_device * devices))
  size = devices * math.ceil(len(trials) / run_groups / devices)
  starts = range(0, len(trials), size)
  return Program([trials[start : start + size] for start in starts], size, cost)


def _groups(trials: Sequence[Trial]) -> list[list[Trial]]:
  groups = {}
  for trial in trials:
    groups.setdefault(_static(trial.config), []).append(trial)
  return list(groups.values())


def _static(config: Config) -> tuple:
  """What a compiled program depends on: all options but arrays, and whether those are there."""
  arrays = {*array_names(), "seed", "options"}
  static = [(name, value(config, name)) for name in fields() if name not in arrays]
  there = (
    weight_clip(config) > 0,
    config.ema_half_life is None,
    *augmentation_names(config),
    *regularizer_names(config),
  )
  return (*static, *there)


def _measure(config: Config, setting: Setting) -> Cost:
  key = jax.random.key(0)
  state = jax.jit(setting.algorithm.init)(key)
  shape = (config.discriminator_steps, config.batch_size)
  batch = jax.tree.map(lambda array: np.resize(array, (*shape, *array.shape[1:])), setting.data)
  step = compiled(setting.algorithm.step).lower(state, batch, key).compile()
  size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
  memory, analysis = step.memory_analysis(), step.cost_analysis() or {}
  needed = 2 * size + (memory.temp_size_in_bytes if memory else size)
  return Cost(analysis.get("flops", math.inf), needed, _seconds(step, state, batch, key))


def _seconds(step: Callable, state: GanState, batch: Batch, key: Key[Array, ""]) -> float:
  times = []
  for _ in range(4):
    began = time.perf_counter()
    jax.block_until_ready(step(state, batch, key))
    times.append(time.perf_counter() - began)
  return min(times)


def _fitting(cost: Cost) -> int:
  """Runs that a device steps at once: 1 on the CPU where they gain nothing, else what fits."""
  device = jax.local_devices()[0]
  if device.platform == "cpu" and cost.flops > TOGETHER_ON_CPU:
    return 1
  fitting = int(_free_bytes(device) / cost.bytes)
  files = _files() // FILES_PER_RUN // len(jax.local_devices())
  return max(1, min(fitting, MOST_TOGETHER, files))


def _files() -> int:
  """How many files a process may hold open."""
  limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if resource else -1
  return limit if limit > 0 else sys.maxsize


def _free_bytes(device: jax.Device) -> float:
  """Half of the memory that a device has: the rest is for data, programs and other users."""
  stats = device.memory_stats() or {}
  if "bytes_limit" in stats:
    return stats["bytes_limit"] / 2
  memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
  return memory / 2 / len(jax.local_devices())


def describe(plan: Plan) -> str:
  """Returns a plan in lines: runs, programs, memory, and the time that steps take at most."""
  devices = jax.local_devices()
  lines = [
    f"{len(plan.trials)} runs, {len(plan.programs)} programs, {len(devices)} x "
    f"{devices[0].device_kind}, {plan.dataset.name} ({len(plan.dataset.images)} examples)"
  ]
  for program in plan.programs:
    config, cost = program.trials[0].config, program.cost
    penalty = "" if config.penalty == "none" else f"+{config.penalty}"
    lines.append(
      f"  {config.loss}{penalty} {config.model}: {len(program.trials)} runs, "
      f"{program.size} at once, {program.size * cost.bytes / 2**20:.0f} MiB, "
      f"{1e3 * cost.seconds:.1f} ms a step alone"
    )
  return "\n".join([*lines, f"At most {_minutes(plan):.0f} min of steps, without evaluations"])


def _minutes(plan: Plan) -> int:
  steps = plan.trials[0].config.steps
  alone = sum(steps * len(program.trials) * program.cost.seconds for program in plan.programs)
  return math.ceil(alone / 60)


def turns(plan: Plan) -> Iterator[tuple[Program, list[Trial]]]:
  """Yields (program, group), programs in turn, so that every loss has results early."""
  queues = [
    [(program, run_group) for run_group in _at_work(plan, program)] for program in plan.programs
  ]
  return filter(None, itertools.chain.from_iterable(itertools.zip_longest(*queues)))


def _at_work(plan: Plan, program: Program) -> list[list[Trial]]:
  """The groups of a program without the runs that are not trained; all but the last are full."""
  if plan.working is None:
    return program.run_groups
  trials = [trial for trial in program.trials if trial.name in plan.working]
  starts = range(0, len(trials), program.size)
  return [trials[start : start + program.size] for start in starts]
