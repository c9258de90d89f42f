"""Trains the groups of a sweep: runs that one compiled program steps together.

Each run has an ordinary run folder, with the records, pictures and checkpoints of a run that was
trained alone.
"""

import contextlib
import functools
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gan.method.game import Batch
from gan.state import GanState
from gan.sweeps.plan import Plan, Program
from gan.sweeps.search import Trial
from gan.system import environment
from gan.system.progress import TrialsProgress
from gan.training import parallel
from gan.training.loop import RunGroup, single_run_group, train
from gan.training.parts import identity
from gan.training.run import Run
from gan.training.run_folder import CONFIG, RUNS_FOLDER, RunFolder, check_claim, read_summary
from gan.training.setting import Setting, make_setting


def place(plan: Plan) -> Batch:
  """Places the data set on every device, one copy for all programs."""
  data = Batch(plan.dataset.images, plan.dataset.labels)
  return parallel.replicate(data, "jit", jax.local_devices())


def once(say: Callable[[str], None]) -> Callable[[str], None]:
  """Returns a `say` that prints each distinct line once: programs repeat notices of the data."""
  said = set()

  def say_new(line: str) -> None:
    if line not in said:
      said.add(line)
      say(line)

  return say_new


@functools.cache
def _environment() -> dict[str, Any]:
  return environment.describe()


def status(folder: pathlib.Path, trial: Trial) -> str:
  """Returns the status of a run in a sweep's folder; "not started" where it has none."""
  summary = read_summary(folder / RUNS_FOLDER / trial.name)
  if summary is None:
    return "not started"
  more = summary["status"] == "finished" and summary["step"] < trial.config.steps
  return "interrupted" if more else summary["status"]


def _ended(folder: pathlib.Path, trial: Trial, shared: dict[str, str], end: int) -> bool:
  """Whether a run has diverged or is at `end`; raises UserError if its folder is of another run."""
  if not (status(folder, trial).startswith("diverged") or _stands_at(folder, trial) >= end):
    return False
  identity_fields = identity(trial.config) | shared
  check_claim(folder / RUNS_FOLDER / trial.name / CONFIG, identity_fields, "a run")
  return True


def _stands_at(folder: pathlib.Path, trial: Trial) -> int:
  """The step of a run's last checkpoint, as far as its summary says."""
  summary = read_summary(folder / RUNS_FOLDER / trial.name)
  saved = summary and summary["status"].startswith(("finished", "interrupted", "stopped"))
  return summary["step"] if saved else 0


class Trainer:
  """A program, with what its runs share, that trains groups of them on all devices there are.

  Args:
    plan: the sweep.
    program: of the plan.
    data: of `place`.
    say: prints one line to the user.
  """

  def __init__(self, plan: Plan, program: Program, data: Batch, say: Callable[[str], None]):
    self.program, self._plan, self._say = program, plan, say
    self._devices = jax.local_devices()
    self._one_a_device = program.size == len(self._devices)
    conditional = program.trials[0].config.conditional
    self._data = data if conditional else data._replace(label=None)

  @functools.cached_property
  def _setting(self) -> Setting:
    return make_setting(self.program.trials[0].config, self._plan.dataset, (), self._say)

  @functools.cached_property
  def _execute(self) -> Callable[..., Any]:
    step = self._setting.algorithm.step
    if self._one_a_device:
      return parallel.make_run(step, "none", self._devices)
    return parallel.make_group_run(step, self._devices)

  def train(
    self,
    run_group: list[Trial],
    folder: pathlib.Path,
    progress: TrialsProgress,
    signals: list[int],
    end: int,
  ) -> None:
    """Trains those of a group that have not ended from where each stands.

    Args:
      run_group: of the program.
      folder: the sweep's.
      progress: what the user sees.
      signals: no longer empty once the user wants to stop.
      end: the step up to which they are trained, as `Plan.end`.

    Raises:
      UserError: a run's folder belongs to another run.
    """
    waiting = [trial for trial in run_group if not _ended(folder, trial, self._plan.shared, end)]
    progress.skip(end * (len(run_group) - len(waiting)))
    if waiting:
      self._train(waiting, folder, progress, signals, end)

  def _train(
    self,
    trials: list[Trial],
    folder: pathlib.Path,
    progress: TrialsProgress,
    signals: list[int],
    end: int,
  ) -> None:
    """Trains runs from their checkpoints, those at the same step as one group."""
    with contextlib.ExitStack() as stack:
      runs = [stack.enter_context(self._open(trial, folder)) for trial in trials]
      found = [(*run.restore(), run) for run in runs]
      session = _environment() | {"parallel": f"{self.program.size} members at once"}
      for line in {run.begin_session(session, step) for _, step, run in found} - {""}:
        self._say(line)
      for step in sorted({step for _, step, _ in found}):
        states, same = zip(*((state, run) for state, at, run in found if at == step), strict=True)
        progress.begin([run.folder.path.name for run in same], min(step, end))
        group = self._run_group(same)
        reached = train(list(same), group, list(states), step, progress, signals, end)
        if all(run.diverged for run in same):
          progress.skip(max(0, end - reached) * len(same))
    for trial in trials:
      found = status(folder, trial)
      if found != "interrupted" or signals:  # else it pauses
        self._say(f"{trial.name}: {found}")

  @contextlib.contextmanager
  def _open(self, trial: Trial, folder: pathlib.Path) -> Iterator[Run]:
    def say(line: str) -> None:
      self._say(f"{trial.name}: {line}")

    with contextlib.closing(RunFolder(folder / RUNS_FOLDER / trial.name)) as own:
      command = self._plan.identity["command"]
      with Run(trial.config, self._setting, own, command, say) as run:
        yield run

  def _run_group(self, runs: Sequence[Run]) -> RunGroup:
    return self._side_by_side(runs) if self._one_a_device else self._together(runs)

  def _side_by_side(self, runs: Sequence[Run]) -> RunGroup:
    """Steps each run on a device of its own, by the very program of a run alone.

    They are equal to it to the bit, and off the slow paths of `vmap`; calls return before they are
    done, so that the devices work at the same time.
    """

    def group_on(place: int, run: Run, device: jax.Device) -> RunGroup:
      data = jax.tree.map(lambda array: array.addressable_shards[place].data, self._data)
      return single_run_group(run, self._execute, data, "none", [device])

    pairs = enumerate(zip(runs, self._devices, strict=False))
    run_groups = [group_on(place, *pair) for place, pair in pairs]

    def step(states: Sequence[GanState], indices: np.ndarray) -> tuple:
      results = [
        run_group.execute(state, part[None])
        for run_group, state, part in zip(run_groups, states, indices, strict=True)
      ]
      return tuple(zip(*results, strict=True))

    return RunGroup(
      place=lambda states: [
        run_group.place([state]) for run_group, state in zip(run_groups, states, strict=True)
      ],
      execute=step,
      states=list,
      records=list,
    )

  def _together(self, runs: Sequence[Run]) -> RunGroup:
    """Steps runs by one vmapped call; empty places repeat the last run, to keep shapes."""
    count = len(runs)

    def fill(items: list) -> list:
      return [*items, *[items[-1]] * (self.program.size - count)]

    keys = jnp.stack(fill([run.keys.training for run in runs]))

    def place(states: list[GanState]) -> GanState:
      stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *fill(jax.device_get(states)))
      return parallel.split_runs(stacked, self._devices)

    def step(state: GanState, indices: np.ndarray) -> tuple[GanState, dict[str, Array]]:
      return self._execute(state, self._data, np.stack(fill(list(indices))), keys)

    def split(tree: Any) -> list[Any]:
      leaves, structure = jax.tree.flatten(jax.device_get(tree))
      return [structure.unflatten([leaf[i] for leaf in leaves]) for i in range(count)]

    return RunGroup(place, step, states=split, records=split)
