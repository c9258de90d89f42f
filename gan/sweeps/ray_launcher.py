"""Trains the groups of a sweep as tasks of a Ray cluster.

A task steps one group, as `local` does. A worker that sees the sweep's folder writes there; others
receive and send run folders through a Coordinator, an actor on the machine of the command. A task
whose worker is lost is submitted again, and goes on from its checkpoints.
"""

import os
import pathlib
import tempfile
import threading
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from gan.errors import UserError
from gan.sweeps.launcher import INTERRUPTED, claimed, statuses
from gan.sweeps.plan import Plan, Program, turns
from gan.sweeps.run_archive import pack, unpack
from gan.sweeps.search import Trial
from gan.sweeps.trainer import Trainer, once, place
from gan.system.compilation import keep_freed_memory
from gan.system.progress import GroupsProgress, say
from gan.training import plugins
from gan.training.interrupts import interrupts
from gan.training.run_folder import RUNS_FOLDER

RETRIES = 3  # of a group whose worker is lost
REPORT_SECONDS, SHIP_SECONDS = 1.0, 30.0
IDLE = ("waiting", 0)  # (state, steps) of a group that no worker has begun


class Resources(NamedTuple):
  """Resources of each task.

  Attributes:
    cpus: cores that Ray counts for it.
    gpus: accelerators; 0 keeps it on the CPU.
    shared: whether workers may write into the sweep's folder, where they see it.
  """

  cpus: float = 1.0
  gpus: int = 0
  shared: bool = True

  @property
  def devices(self) -> int:
    """Devices that step a program."""
    return max(1, self.gpus)


def fit(
  plan: Plan,
  workdir: str | os.PathLike,
  ray: Any,
  resources: Resources,
  *,
  say: Callable[[str], None] = say,
) -> dict[str, str]:
  """Trains every run up to its last step, from where each stands, as `local.fit` does.

  Args:
    plan: what to train, made for `resources.devices`.
    workdir: the sweep's folder; one that belongs to another sweep is refused.
    ray: of `ray_cluster.connected`.
    resources: of each task.
    say: prints one line to the user.

  Returns:
    The status of each run, as `local.fit`.

  Raises:
    UserError: anything that the user can put right; nothing on disk is lost.
  """
  _require_room(ray, resources)
  with claimed(plan, workdir) as folder:
    errors = _Launch(ray, plan, folder.absolute(), resources, say).run()
    if errors:
      raise UserError("; ".join(errors))
    return statuses(plan, folder)


def _require_room(ray: Any, resources: Resources) -> None:
  """Raises UserError where no machine could ever take a task: Ray would wait for one."""
  machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
  rooms = [(machine.get("GPU", 0), machine.get("CPU", 0)) for machine in machines]
  if not any(gpus >= resources.gpus and cpus >= resources.cpus for gpus, cpus in rooms):
    gpus, cpus = max(rooms)
    raise UserError(
      f"no machine of the cluster has {resources.cpus:g} cores and {resources.gpus} accelerators "
      f"(the largest has {cpus:g} and {gpus:g}): give a smaller --cpus_per_task or --gpus_per_task"
    )


class _Launch:
  """Submits a task for each group, shows their progress, resubmits those whose worker is lost."""

  def __init__(self, ray: Any, plan: Plan, folder: pathlib.Path, resources: Resources, say: Any):
    self._ray, self._say = ray, say
    self._tasks, self._end = list(turns(plan)), plan.end
    token = folder / f".launch-{uuid.uuid4().hex}"
    self._token = token if resources.shared else None
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
      ray.get_runtime_context().get_node_id(), soft=False
    )
    coordinator = ray.remote(num_cpus=0, max_concurrency=8, scheduling_strategy=here)(Coordinator)
    self._coordinator = coordinator.remote(str(folder))
    cache = jax.config.jax_compilation_cache_dir
    self._shared = (ray.put(plan), str(folder), str(token), self._coordinator, cache)
    environment = {} if resources.gpus else {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"}
    self._task = ray.remote(
      num_cpus=resources.cpus,
      num_gpus=resources.gpus,
      max_retries=0,
      runtime_env={"env_vars": environment},
    )(train_group)
    self._lost = dict.fromkeys(range(len(self._tasks)), 0)
    errors = ray.exceptions
    self._losses = (
      errors.WorkerCrashedError,
      errors.NodeDiedError,
      errors.OutOfMemoryError,  # Ray ends a worker before the machine's memory is full
      errors.ObjectLostError,
      errors.RaySystemError,
    )

  def run(self) -> list[str]:
    """Returns a line for each group that could not be trained."""
    if self._token:
      self._token.touch()
    try:
      return self._run()
    finally:
      if self._token:
        self._token.unlink()

  def _run(self) -> list[str]:
    errors, pending = [], {self._submit(i): i for i in range(len(self._tasks))}
    rows = [(_title(run_group), len(run_group) * self._end) for _, run_group in self._tasks]
    with interrupts() as signals, GroupsProgress(rows) as progress:
      while pending:
        done, _ = self._ray.wait(list(pending), timeout=REPORT_SECONDS)
        states = self._ray.get(self._coordinator.poll.remote(bool(signals)))
        for index, (state, steps) in states.items():
          progress.show(index, state, steps)
        waiting = [index for index in pending.values() if states.get(index, IDLE) == IDLE]
        if signals and len(waiting) == len(pending):
          break  # those that no worker has begun would not end before one is free
        for reference in done:
          index = pending.pop(reference)
          errors += self._finish(index, reference, pending, progress, bool(signals))
    if signals:
      self._say(INTERRUPTED)
    return errors

  def _submit(self, index: int) -> Any:
    return self._task.remote(*self._shared, index)

  def _finish(
    self, index: int, reference: Any, pending: dict, progress: GroupsProgress, stopping: bool
  ) -> list[str]:
    """Prints the lines of a task that ended, or resubmits one that was lost; returns its errors."""
    ray, title = self._ray, _title(self._tasks[index][1])
    try:
      lines, error = ray.get(reference)
    except self._losses as lost:
      if stopping:
        return []
      self._lost[index] += 1
      if self._lost[index] > RETRIES:
        progress.show(index, "lost", 0)
        return [f"{title}: its worker was lost {self._lost[index]} times ({type(lost).__name__})"]
      with progress.aside():
        self._say(f"{title}: its worker was lost; another goes on from its checkpoint")
      ray.get(self._coordinator.report.remote(index, *IDLE))
      pending[self._submit(index)] = index
      return []
    with progress.aside():
      for line in lines:
        self._say(line)
    return [f"{title}: {error}"] if error else []


def _title(run_group: list[Trial]) -> str:
  more = f" and {len(run_group) - 1} more" if len(run_group) > 1 else ""
  return f"{run_group[0].name}{more}"


class Coordinator:
  """An actor on the command's machine: progress of the groups, the stop flag, run folders.

  Args:
    folder: of the sweep.
  """

  def __init__(self, folder: str):
    self._runs, self._stopping = pathlib.Path(folder) / RUNS_FOLDER, False
    self._states: dict[int, tuple[str, int]] = {}

  def poll(self, stop: bool) -> dict[int, tuple[str, int]]:
    """Sets the stop flag if `stop`; returns (state, steps made) of each group that has begun."""
    self._stopping = self._stopping or stop
    return self._states

  def report(self, index: int, state: str, steps: int) -> bool:
    """Stores the progress of a group; returns the stop flag."""
    self._states[index] = (state, steps)
    return self._stopping

  def receive(self, archive: bytes) -> None:
    """Unpacks run folders that a worker has packed."""
    unpack(archive, self._runs)

  def fetch(self, names: list[str]) -> bytes:
    """Returns the named run folders, packed."""
    return pack(self._runs, names)


# A worker's side.


Outcome = tuple[list[str], str | None]  # lines for the user, and an error of the user's


def train_group(
  plan: Plan, folder: str, token: str, coordinator: Any, cache: str | None, index: int
) -> Outcome:
  """A task: trains one group; returns (lines for the user, an error of the user's or None).

  Args:
    plan: the sweep.
    folder: of the sweep, as the command sees it.
    token: a file that is there where this worker sees the same folder.
    coordinator: the actor.
    cache: where compiled programs are kept.
    index: of the group.
  """
  import ray

  if cache:
    jax.config.update("jax_compilation_cache_dir", cache)
  keep_freed_memory()
  plugins.load_recorded(plan.identity.get(plugins.FIELD, []), folder)
  program, run_group = list(turns(plan))[index]

  def report_progress(state: str, steps: int) -> bool:
    return ray.get(coordinator.report.remote(index, state, steps))

  if report_progress("running", 0):
    report_progress(*IDLE)
    return [], None
  if os.path.exists(token):
    return _train(plan, program, run_group, pathlib.Path(folder), report_progress, lambda: None)
  names = [trial.name for trial in run_group]
  with tempfile.TemporaryDirectory() as scratch:
    runs = pathlib.Path(scratch) / RUNS_FOLDER
    unpack(ray.get(coordinator.fetch.remote(names)), runs)

    def upload() -> None:
      ray.get(coordinator.receive.remote(pack(runs, names)))

    result = _train(plan, program, run_group, pathlib.Path(scratch), report_progress, upload)
    upload()
    return result


def _train(
  plan: Plan,
  program: Program,
  run_group: list[Trial],
  folder: pathlib.Path,
  report_progress: Callable[[str, int], bool],
  upload: Callable[[], None],
) -> Outcome:
  """Trains a group in a folder while a thread reports."""
  lines, signals, counter, ended = [], [], _Counter(), threading.Event()
  reporter = threading.Thread(
    target=_report, args=(counter, signals, ended, report_progress, upload)
  )
  reporter.start()
  error, state = None, "finished"
  try:
    trainer = Trainer(plan, program, place(plan), once(lines.append))
    trainer.train(run_group, folder, counter, signals, plan.end)
  except Exception as fault:
    error, state = str(fault) if isinstance(fault, UserError) else plugins.fault(fault), "failed"
    if error is None:
      raise
  finally:
    ended.set()
    reporter.join()
  report_progress("interrupted" if signals else state, counter.steps)
  return lines, error


def _report(
  counter: "_Counter",
  signals: list[int],
  ended: threading.Event,
  report_progress: Callable[[str, int], bool],
  upload: Callable[[], None],
) -> None:
  """Reports progress, takes the stop flag, and uploads run folders, until training ends."""
  waited = 0.0
  while not ended.wait(REPORT_SECONDS):
    if report_progress("running", counter.steps) and not signals:
      signals.append(1)
    waited += REPORT_SECONDS
    if waited >= SHIP_SECONDS:
      waited = 0.0
      upload()


class _Counter:
  """A TrialsProgress that counts: the command shows steps alone."""

  def __init__(self):
    self.steps, self._count = 0, 0

  def skip(self, steps: int) -> None:
    self.steps += steps

  def begin(self, names: list[str], step: int) -> None:
    self._count = len(names)
    self.skip(step * self._count)

  def advance(self, steps: int) -> None:
    self.skip(steps * self._count)

  def show(self, record: dict[str, Any]) -> None:
    """Shows nothing."""

  report = evaluated = show
