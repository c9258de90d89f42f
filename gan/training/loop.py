"""The Python loop around the step: one run, or several that one compiled program steps together."""

import contextlib
import dataclasses
import io
import itertools
import os
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from gan.method.game import Batch
from gan.state import GanState
from gan.system import environment
from gan.system.progress import Progress, RunProgress, say
from gan.training import distributed, parallel, starting
from gan.training.config import Config, images_per_step
from gan.training.feed import batches
from gan.training.interrupts import interrupts, stop_here
from gan.training.places import check_outside_sweeps
from gan.training.records import ReadOnlyRunFolder
from gan.training.run import Run
from gan.training.run_folder import RunFolder
from gan.training.setting import Setting, fix_schedule, load_data, make_setting


class RunGroup(NamedTuple):
  """Functions that step M runs by one compiled program.

  Attributes:
    place: `M states -> state`, on the devices, as `execute` takes it.
    execute: `(state, indices [M, S, K, B]) -> (state, metrics)`; the state is donated. Where the
      data lie on the host it takes what `gather` makes of the indices.
    states: `state -> M states`.
    records: `metrics -> M dictionaries of [S]`, of metrics on the host.
    gather: `indices -> rows` of data on the host, which a thread calls; None for other data.
    step_bytes: that `gather` takes for a step.
  """

  place: Callable[[list[GanState]], Any]
  execute: Callable[[Any, np.ndarray], tuple[Any, Any]]
  states: Callable[[Any], list[GanState]]
  records: Callable[[Any], list[dict[str, np.ndarray]]]
  gather: Callable[[np.ndarray], Any] | None = None
  step_bytes: int = 0


def fit(
  config: Config,
  workdir: str | os.PathLike,
  data_dir: str | None = None,
  *,
  command: str = "",
  say: Callable[[str], None] = say,
) -> dict[str, Any]:
  """Trains up to `config.steps`, from where the folder's last whole checkpoint stands.

  Args:
    config: what to run; a valid config.
    workdir: the run folder; one that belongs to another config is refused.
    data_dir: where local data lie; see `datasets.load`.
    command: what the user typed, for config.json.
    say: prints one line to the user.

  Returns:
    summary.json: status "finished", "interrupted" or "diverged at step n", and every metric.

  Raises:
    UserError: anything that the user can put right; nothing on disk is lost.
  """

  def make(folder: pathlib.Path, axis_name: Any) -> tuple[Setting, Config]:
    dataset, named = load_data(config, data_dir, say)
    named = fix_schedule(named, folder)
    named = dataclasses.replace(named, init_from=starting.placed(named.init_from))
    return make_setting(named, dataset, axis_name, say, folder), named

  return run_in(workdir, config, make, command=command, say=say)


Made = tuple[Setting, Config]


def run_in(
  workdir: str | os.PathLike,
  config: Config,
  make: Callable[[pathlib.Path, Any], Made],
  *,
  command: str = "",
  say: Callable[[str], None] = say,
) -> dict[str, Any]:
  """Trains what `make` makes, in a run folder, up to `config.steps`.

  Args:
    workdir: the run folder.
    config: how long, in which batches, and what is written when.
    make: `(folder, axis_name) -> (Setting, Config)`, once the folder is there.
    command: what the user typed, for config.json.
    say: prints one line to the user.

  Returns:
    summary.json, as `fit`.
  """
  devices = jax.devices()
  strategy = parallel.resolve(
    config.parallel,
    config.batch_size,
    devices,
    config.packing,
    config.generator_batch_size,
    config.accumulate,
  )
  with interrupts(), contextlib.ExitStack() as stack:
    run = _open_in_turn(lambda: stack.enter_context(_open(make, workdir, strategy, command, say)))
    state, step = run.restore()
    stop_here()
    data_on_host = parallel.stays_on_host(config.data_on, run.setting.data, devices)
    facts = {"parallel": strategy, "data_on": "host" if data_on_host else "device"}
    if changed := run.begin_session(environment.describe() | facts, step):
      say(changed)
    execute = parallel.make_run(run.setting.algorithm.step, strategy, devices, data_on_host)
    make_group = _group_on_host if data_on_host else _group_on_devices
    return _fit(run, make_group(run, execute, strategy, devices), state, step)


def _open_in_turn(open_run: Callable[[], Run]) -> Run:
  """Opens the run in process 0 first, then in the others, which read its data and its folder.

  Raises:
    UserError: whatever one of the processes raised.
  """
  run = None
  for turn in (True, False):
    with distributed.all_processes():
      if turn == distributed.is_main_process():
        run = open_run()
  return run


@contextlib.contextmanager
def _open(
  make: Callable[[pathlib.Path, Any], Made],
  workdir: str | os.PathLike,
  strategy: str,
  command: str,
  say: Callable[[str], None],
) -> Iterator[Run]:
  folder = RunFolder(workdir) if distributed.is_main_process() else ReadOnlyRunFolder(workdir)
  with contextlib.closing(folder):
    check_outside_sweeps(folder.path)
    setting, config = make(folder.path, parallel.STRATEGIES[strategy][1])
    with Run(config, setting, folder, command, say) as run:
      yield run


def single_run_group(
  run: Run, execute: Callable, data: Batch | None, strategy: str, devices: list
) -> RunGroup:
  """Returns a RunGroup of one run, M = 1.

  Args:
    run: the run.
    execute: of `parallel.make_run`.
    data: the data set, as `execute` takes it; None for rows in the place of indices.
    strategy: one of parallel.STRATEGIES.
    devices: the devices to use.
  """
  key = parallel.replicate(run.keys.training, strategy, devices)
  return RunGroup(
    # Placed as the step leaves it, the first state runs in the same program as all others.
    place=lambda states: parallel.replicate(states[0], strategy, devices),
    execute=lambda state, indices: execute(state, data, indices[0], key),
    states=lambda state: [parallel.local(state)],
    records=lambda metrics: [metrics],
  )


def _group_on_devices(run: Run, execute: Callable, strategy: str, devices: list) -> RunGroup:
  data = parallel.replicate(run.setting.data, strategy, devices)
  return single_run_group(run, execute, data, strategy, devices)


def _group_on_host(run: Run, execute: Callable, strategy: str, devices: list) -> RunGroup:
  """A RunGroup of one run, whose rows of the data are gathered ahead of the step."""
  data, config = run.setting.data, run.config
  rows = images_per_step(config) * sum(array[:1].nbytes for array in jax.tree.leaves(data))
  run_group = single_run_group(run, execute, None, strategy, devices)
  return run_group._replace(
    execute=lambda state, rows: run_group.execute(state, [rows]),
    gather=lambda indices: parallel.gather_rows(data, indices[0], strategy, devices),
    step_bytes=rows,
  )


def _fit(run: Run, run_group: RunGroup, state: GanState, start: int) -> dict[str, Any]:
  """Steps to the end, an interrupt or a divergence; what was reached is on disk when it returns."""
  config = run.config
  if start >= config.steps:
    run.check(state, start)
    if run.diverged:
      return run.summary
    run.say(f"Finished at step {start} already: give --steps above {start} to continue.")
    return run.summarize("finished", start)
  if start:
    run.say(f"Continuing from step {start}.")
  per_step = config.discriminator_steps * config.batch_size
  # One of many processes is heard.
  stream = sys.stderr if distributed.is_main_process() else io.StringIO()
  with interrupts() as signals, RunProgress(config.steps, start, per_step, stream) as progress:
    step = train([run], run_group, [state], start, progress, signals)
  if step < config.steps and not run.diverged:
    run.say(f"Interrupted; step {step} is saved. The same command continues from there.")
  return run.summary


def train(
  runs: list[Run],
  run_group: RunGroup,
  states: list[GanState],
  step: int,
  progress: Progress,
  signals: list[int],
  until: int | None = None,
) -> int:
  """Steps runs together to the end, a pause, an interrupt, or until all have diverged.

  Each run's records, pictures, checkpoints and summary are on disk when it returns. One that
  diverges is recorded, and no longer looked at.

  Args:
    runs: M runs that differ in seeds and hyper-parameters only.
    run_group: steps them.
    states: of each, at `step`.
    step: where they stand.
    progress: what the user sees.
    signals: no longer empty once the user wants to stop.
    until: a step to pause at, a multiple of one of the cadences; None for their last.

  Returns:
    The step that was reached.
  """
  for run in runs:
    run.summarize("running", step)
  if signals:
    distributed.request_stop()  # the signal came before the processes were joined
  config, log, state = runs[0].config, _Log(runs, run_group), run_group.place(states)
  calls, end = itertools.count(), min(until or config.steps, config.steps)

  def indices(step: int, count: int) -> np.ndarray:
    return np.stack([run.indices(step, count) for run in runs])

  feed = batches(config, step, indices, run_group.gather, run_group.step_bytes)
  with contextlib.closing(feed):
    while step < end and not distributed.stops(signals, next(calls)) and log.alive():
      count, batch = next(feed)
      state, metrics = run_group.execute(state, batch)
      step += count
      log.add(step, metrics)
      progress.advance(count)
      _write(run_group, state, step, log, progress)
  _end(run_group, state, step, log)
  return step


def _write(run_group: RunGroup, state: Any, step: int, log: "_Log", progress: Progress) -> None:
  """Writes what is due at `step`, after all metrics up to it have been seen to be finite."""
  config = log.runs[0].config
  last = step == config.steps

  def due(every: int) -> bool:
    return bool(every) and (step % every == 0 or last)

  if due(config.log_every):
    log.write(progress)
  picture, evaluation = due(config.sample_every), due(config.eval_every)
  save = step % config.checkpoint_every == 0
  if picture or evaluation or save:
    log.flush()
    if picture and log.alive():
      progress.report(log.alive()[0][1].record)
    for run_state, run in zip(run_group.states(state), log.runs, strict=True):
      run.check(run_state, step)
      _write_run(run, run_state, step, picture, evaluation, save, progress)


def _write_run(
  run: Run,
  state: GanState,
  step: int,
  picture: bool,
  evaluation: bool,
  save: bool,
  progress: Progress,
) -> None:
  if picture and not run.diverged:
    run.save_picture(state)
  if evaluation and not run.diverged and (record := run.evaluate(state)):
    progress.evaluated(record)
  if save and not run.diverged:
    run.save(step, state)


def _end(run_group: RunGroup, state: Any, step: int, log: "_Log") -> None:
  """Saves every run that has not diverged, and writes its summary."""
  log.flush()
  states = run_group.states(state) if log.alive() else []
  for i, run in log.alive():
    run.check(states[i], step)
  for i, run in log.alive():
    run.save(step, states[i])
  for _, run in log.alive():
    run.checkpoints.wait()
    run.summarize("finished" if step >= run.config.steps else "interrupted", step)


class _Log:
  """Metrics of recent steps: kept on the device until something is written, then all checked."""

  def __init__(self, runs: list[Run], run_group: RunGroup):
    self.runs, self._records, self._pending = runs, run_group.records, []

  def alive(self) -> list[tuple[int, Run]]:
    """The runs that have not diverged, with their places."""
    return [(i, run) for i, run in enumerate(self.runs) if not run.diverged]

  def add(self, step: int, metrics: Any) -> None:
    """Takes the metrics of a call that ended at `step`, and waits for the call before it."""
    if self._pending:
      jax.block_until_ready(self._pending[-1][1])
    self._pending.append((step, metrics))

  def flush(self) -> None:
    """Brings the record of each run up to the latest step, or to that of its divergence."""
    for end, metrics in jax.device_get(self._pending):
      records = self._records(metrics)
      for i, run in self.alive():
        run.observe(end, records[i])
    self._pending = []

  def write(self, progress: Progress) -> None:
    """Adds the latest record of each run to its metrics."""
    self.flush()
    for _, run in self.alive():
      run.write_record()
      progress.show(run.record)
