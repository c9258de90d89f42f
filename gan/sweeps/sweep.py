"""Many runs from few compiled programs: those that differ in arrays only are stepped together.

Members of one program differ in their seed and in hyper-parameters that are arrays; every loss and
every other static choice is a program of its own. Members are split over all devices, and go
through a program in crews of as many as fit. Each has an ordinary run folder, with the records,
pictures and checkpoints of a run that was trained alone.
"""

import contextlib
import dataclasses
import functools
import itertools
import math
import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

try:
  import resource
except ImportError:  # Windows counts no files
  resource = None

from gan import datasets
from gan.errors import UserError
from gan.method.game import Batch
from gan.sweeps.search import ARRAYS, Member, sweep_identity
from gan.system import environment
from gan.system.compilation import compiled
from gan.system.progress import SweepProgress, say
from gan.training import parallel
from gan.training.aliases import rename_members
from gan.training.config import Config, determining, regularizer_names, weight_clip
from gan.training.interrupts import interrupts, stop_here
from gan.training.loop import Crew, alone, make_setting, train
from gan.training.places import check_place
from gan.training.run import Run, Setting, load_data
from gan.training.run_folder import (
  CONFIG,
  MEMBERS,
  SWEEP,
  RunFolder,
  check_claim,
  claim,
  lock,
  read_summary,
  writable_folder,
)

# On the CPU, members that need more arithmetic than this in a step gain nothing from `vmap`: one
# fills the machine, and batched products and grouped convolutions are slower than plain ones.
TOGETHER_ON_CPU = 2e7  # floating-point operations in a step
INTERRUPTED = "Interrupted; what was reached is saved. The same command continues from there."
# Each member of a crew holds its folder's lock and its checkpointer open.
MOST_TOGETHER, FILES_OF_A_MEMBER = 64, 12


class Cost(NamedTuple):
  """What a member costs when it is trained alone.

  Attributes:
    flops: floating-point operations of a step.
    bytes: of its state, of what a step needs beside it, and of a second state for reading out.
    seconds: of a step, measured.
  """

  flops: float
  bytes: int
  seconds: float


class Program(NamedTuple):
  """Members that one compiled program can step, in crews of equal size.

  Attributes:
    crews: lists of members that differ in arrays only; the last may be shorter.
    size: members that are stepped at once, a multiple of the number of devices.
    cost: of each member.
  """

  crews: list[list[Member]]
  size: int
  cost: Cost

  @property
  def members(self) -> list[Member]:
    return list(itertools.chain.from_iterable(self.crews))


class Plan(NamedTuple):
  """A sweep before its first step.

  Attributes:
    programs: what is compiled.
    dataset: what all members are trained on.
    identity: what sweep.json holds.
  """

  programs: list[Program]
  dataset: datasets.Dataset
  identity: dict[str, Any]

  @property
  def data_sha256(self) -> str:
    return self.identity["determining"]["data_sha256"]

  @property
  def members(self) -> list[Member]:
    return [member for program in self.programs for member in program.members]


def make_plan(
  members: list[Member],
  data_dir: str | None = None,
  *,
  members_per_call: int = 0,
  devices: int | None = None,
  command: str = "",
  experiment: str = "",
  say: Callable[[str], None] = say,
) -> Plan:
  """Returns what a sweep will do; compiles and measures one step of each kind of program.

  Args:
    members: of one data set, with the same number of steps and the same cadences.
    data_dir: where local data lie; see `datasets.load`.
    members_per_call: members stepped at once on each device; 0 chooses.
    devices: that step a program together; None for those of this process.
    command: what the user typed, for sweep.json.
    experiment: whose defaults the members started from, for sweep.json.
    say: prints one line to the user.

  Raises:
    UserError: the model cannot make such images, or there are no labels.
  """
  dataset, _ = load_data(members[0].config, data_dir, say)
  members = [
    member._replace(
      config=dataclasses.replace(member.config, dataset=dataset.name, parallel="none")
    )
    for member in members
  ]
  kind = lambda group: _static(dataclasses.replace(group[0].config, loss="nonsat"))  # noqa: E731
  groups, quiet = _groups(members), lambda line: None
  # What cannot be is refused before anything is compiled.
  settings = {kind(g): (g[0].config, make_setting(g[0].config, dataset, (), quiet)) for g in groups}
  measured, programs = {}, []
  for name, setting in settings.items():
    stop_here()
    measured[name] = _measure(*setting)
  for group in groups:
    cost = measured[kind(group)]
    per_device = members_per_call or _fitting(cost)
    programs.append(_program(group, cost, per_device, devices or len(_devices())))
  identity = sweep_identity(members, datasets.digest(dataset), command, experiment)
  return Plan(programs, dataset, identity)


def _program(members, cost, per_device, devices) -> Program:
  """As few crews as can be, as even as can be: places that no member takes cost the same."""
  crews = math.ceil(len(members) / (per_device * devices))
  size = devices * math.ceil(len(members) / crews / devices)
  starts = range(0, len(members), size)
  return Program([members[start : start + size] for start in starts], size, cost)


def _devices() -> list:
  return jax.local_devices()


def _groups(members) -> list[list[Member]]:
  groups = {}
  for member in members:
    groups.setdefault(_static(member.config), []).append(member)
  return list(groups.values())


def _static(config: Config) -> tuple:
  """What a compiled program depends on: all fields but arrays, and whether those are there."""
  fields = {
    name: value
    for name, value in dataclasses.asdict(config).items()
    if name not in {*ARRAYS, "seed"}
  }
  there = (
    weight_clip(config) > 0,
    config.instance_noise > 0,
    config.ema_half_life is None,
    *regularizer_names(config),
  )
  return (*fields.items(), *there)


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


def _seconds(step, state, batch, key):
  times = []
  for _ in range(4):
    began = time.perf_counter()
    jax.block_until_ready(step(state, batch, key))
    times.append(time.perf_counter() - began)
  return min(times)


def _fitting(cost: Cost) -> int:
  """Members that a device steps at once: 1 on the CPU where they gain nothing, else what fits."""
  device = _devices()[0]
  if device.platform == "cpu" and cost.flops > TOGETHER_ON_CPU:
    return 1
  fitting = int(_free_bytes(device) / cost.bytes)
  return max(1, min(fitting, MOST_TOGETHER, _files() // FILES_OF_A_MEMBER // len(_devices())))


def _files() -> int:
  """How many files a process may hold open."""
  limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if resource else -1
  return limit if limit > 0 else sys.maxsize


def _free_bytes(device):
  """Half of the memory that a device has: the rest is for data, programs and other users."""
  stats = device.memory_stats() or {}
  if "bytes_limit" in stats:
    return stats["bytes_limit"] / 2
  memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
  return memory / 2 / len(_devices())


def describe(plan: Plan) -> str:
  """Returns a plan in lines: members, programs, memory, and the time that steps take at most."""
  devices = _devices()
  lines = [
    f"{len(plan.members)} members, {len(plan.programs)} programs, {len(devices)} x "
    f"{devices[0].device_kind}, {plan.dataset.name} ({len(plan.dataset.images)} examples)"
  ]
  for program in plan.programs:
    config, cost = program.members[0].config, program.cost
    lines.append(
      f"  {config.loss} {config.model}: {len(program.members)} members, {program.size} at once, "
      f"{program.size * cost.bytes / 2**20:.0f} MiB, {1e3 * cost.seconds:.1f} ms a step alone"
    )
  return "\n".join([*lines, f"At most {_minutes(plan):.0f} min of steps, without evaluations"])


def _minutes(plan):
  steps = plan.members[0].config.steps
  alone = sum(steps * len(program.members) * program.cost.seconds for program in plan.programs)
  return math.ceil(alone / 60)


def fit(
  plan: Plan, workdir: str | os.PathLike, *, say: Callable[[str], None] = say
) -> dict[str, str]:
  """Trains every member up to its last step, from where each stands.

  Args:
    plan: what to train.
    workdir: the sweep's folder; one that belongs to another sweep is refused.
    say: prints one line to the user.

  Returns:
    The status of each member: finished, interrupted, "diverged at step n"; "not started".

  Raises:
    UserError: anything that the user can put right; nothing on disk is lost.
  """
  with claimed(plan, workdir) as folder:
    _train(plan, folder, once(say))
    return statuses(plan, folder)


@contextlib.contextmanager
def claimed(plan: Plan, workdir: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yields the sweep's folder, which is this process's until the block ends.

  Raises:
    UserError: it cannot be written to, belongs to other work, or is in use.
  """
  folder = writable_folder(workdir)
  if (folder / CONFIG).exists():
    raise UserError(f"{folder} holds a run: use another --workdir for a sweep")
  with contextlib.closing(lock(folder)):
    if not (folder / SWEEP).exists():
      own = [folder / MEMBERS / member.name for member in plan.members]
      check_place(folder, "a sweep", own)
    claim(folder / SWEEP, plan.identity, "a sweep")
    rename_members(folder / MEMBERS, [member.name for member in plan.members])
    yield folder


def statuses(plan: Plan, folder: pathlib.Path) -> dict[str, str]:
  """Returns the status of each member: finished, interrupted, "diverged at ..."; "not started"."""
  return {member.name: _status(folder, member) for member in plan.members}


def _train(plan, folder, say):
  steps = plan.members[0].config.steps
  with interrupts() as seen, SweepProgress(steps * len(plan.members)) as progress:
    data = place(plan)
    trainers = [Trainer(plan, program, data, say) for program in plan.programs]
    for trainer, crew in turns(trainers):
      if not seen:
        trainer.train(crew, folder, progress, seen)
  if seen:
    say(INTERRUPTED)


def place(plan: Plan) -> Batch:
  """Returns one copy of the data on each device, for all programs."""
  return parallel.replicate(Batch(plan.dataset.images, plan.dataset.labels), "jit", _devices())


def once(say: Callable[[str], None]) -> Callable[[str], None]:
  """Programs that share a data set have the same to say of it."""
  said = set()

  def say_new(line):
    if line not in said:
      said.add(line)
      say(line)

  return say_new


def turns(trainers: list["Trainer"]) -> Iterator[tuple["Trainer", list[Member]]]:
  """(trainer, crew), each trainer in its turn, so that early results are of every loss."""
  queues = [[(trainer, crew) for crew in trainer.program.crews] for trainer in trainers]
  return filter(None, itertools.chain.from_iterable(itertools.zip_longest(*queues)))


@functools.cache
def _environment():
  return environment.describe()


def _status(folder, member):
  summary = read_summary(folder / MEMBERS / member.name)
  if summary is None:
    return "not started"
  more = summary["status"] == "finished" and summary["step"] < member.config.steps
  return "interrupted" if more else summary["status"]


def _ended(folder, member, data_sha256):
  """Whether there is nothing left to train; UserError where the folder is of another run."""
  if not _status(folder, member).startswith(("finished", "diverged")):
    return False
  determined_by = determining(member.config) | {"data_sha256": data_sha256}
  check_claim(folder / MEMBERS / member.name / CONFIG, determined_by, "a run")
  return True


class Trainer:
  """A program, with what its members share, that trains crews of them on all devices there are.

  Args:
    plan: the sweep.
    program: of the plan.
    data: of `place`.
    say: prints one line to the user.
  """

  def __init__(self, plan: Plan, program: Program, data: Batch, say: Callable[[str], None]):
    self.program, self._plan, self._say = program, plan, say
    self._devices = _devices()
    self._one_a_device = program.size == len(self._devices)
    conditional = program.members[0].config.conditional
    self._data = data if conditional else data._replace(label=None)

  @functools.cached_property
  def _setting(self) -> Setting:
    return make_setting(self.program.members[0].config, self._plan.dataset, (), self._say)

  @functools.cached_property
  def _execute(self):
    step = self._setting.algorithm.step
    if self._one_a_device:
      return parallel.make_run(step, "none", self._devices)
    return parallel.make_members_run(step, self._devices)

  def train(self, crew: list[Member], folder: pathlib.Path, progress: Any, seen: list[int]) -> None:
    """Trains those of a crew that have not ended from where each stands.

    Args:
      crew: of the program.
      folder: the sweep's.
      progress: what the user sees, as SweepProgress.
      seen: no longer empty once the user wants to stop.

    Raises:
      UserError: a member's folder belongs to another run.
    """
    waiting = [member for member in crew if not _ended(folder, member, self._plan.data_sha256)]
    progress.skip(crew[0].config.steps * (len(crew) - len(waiting)))
    if waiting:
      self._train(waiting, folder, progress, seen)

  def _train(self, members, folder, progress, seen):
    """Those that stand at the same step go together."""
    with contextlib.ExitStack() as stack:
      runs = [stack.enter_context(self._open(member, folder)) for member in members]
      found = [(*run.restore(), run) for run in runs]
      session = _environment() | {"parallel": f"{self.program.size} members at once"}
      for line in {run.begin_session(session, step) for _, step, run in found} - {""}:
        self._say(line)
      for step in sorted({step for _, step, _ in found}):
        states, same = zip(*((state, run) for state, at, run in found if at == step), strict=True)
        progress.begin([run.folder.path.name for run in same], step)
        reached = train(list(same), self._crew(same), list(states), step, progress, seen)
        if all(run.diverged for run in same):
          progress.skip((same[0].config.steps - reached) * len(same))
    for member in members:
      self._say(f"{member.name}: {_status(folder, member)}")

  @contextlib.contextmanager
  def _open(self, member, folder):
    say = lambda line: self._say(f"{member.name}: {line}")  # noqa: E731
    with contextlib.closing(RunFolder(folder / MEMBERS / member.name)) as own:
      command = self._plan.identity["command"]
      with Run(member.config, self._setting, own, command, say) as run:
        yield run

  def _crew(self, runs) -> Crew:
    return self._side_by_side(runs) if self._one_a_device else self._together(runs)

  def _side_by_side(self, runs) -> Crew:
    """Steps each run on a device of its own, by the very program of a run alone.

    They are equal to it to the bit, and off the slow paths of `vmap`; calls return before they are
    done, so that the devices work at the same time.
    """
    crews = []
    for i, (run, device) in enumerate(zip(runs, self._devices, strict=False)):
      data = jax.tree.map(lambda array: array.addressable_shards[i].data, self._data)  # noqa: B023
      crews.append(alone(run, self._execute, data, "none", [device]))

    def step(states, indices):
      results = [
        crew.execute(state, part[None])
        for crew, state, part in zip(crews, states, indices, strict=True)
      ]
      return tuple(zip(*results, strict=True))

    return Crew(
      place=lambda states: [crew.place([state]) for crew, state in zip(crews, states, strict=True)],
      execute=step,
      members=list,
      records=list,
    )

  def _together(self, runs) -> Crew:
    """Steps runs by one call; places that none takes repeat the last, so that the program stays."""
    count = len(runs)
    fill = lambda items: [*items, *[items[-1]] * (self.program.size - count)]  # noqa: E731
    keys = jnp.stack(fill([run.keys.training for run in runs]))

    def place(states):
      stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *fill(jax.device_get(states)))
      return parallel.split_members(stacked, self._devices)

    def step(state, indices):
      return self._execute(state, self._data, np.stack(fill(list(indices))), keys)

    def split(tree):
      tree = jax.device_get(tree)
      return [jax.tree.map(lambda leaf: leaf[i], tree) for i in range(count)]  # noqa: B023

    return Crew(place, step, members=split, records=split)
