"""The Python loop around the step: data, progress, records, pictures, checkpoints, resuming."""

import contextlib
import dataclasses
import math
import os
import signal
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from gan import datasets, environment, evaluate, parallel, pictures, sampling
from gan.checkpoint import Checkpoints
from gan.config import Algorithm, Config, DataInfo, build, determining, fingerprint, validate
from gan.datafeed import batch_indices
from gan.errors import UserError
from gan.game import Batch
from gan.progress import Progress, say
from gan.records import COUNTS, EVALUATIONS, RunFolder, read_metrics
from gan.state import GanState


class DivergedError(Exception):
  """A metric is not finite; `record` is that of the first step where one is not."""

  def __init__(self, record: dict[str, Any]):
    super().__init__(f"diverged at step {record['step']}")
    self.record = record


class Run(NamedTuple):
  """A run, ready to step."""

  config: Config
  info: DataInfo
  algorithm: Algorithm
  folder: RunFolder
  checkpoints: Checkpoints
  dataset: datasets.Dataset
  evaluator: evaluate.Evaluator | None
  data: Batch  # the whole data set, on the devices
  execute: Callable  # (state, data, indices [S, K, B], key) -> (state, metrics [S])
  say: Callable[[str], None]


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
    config: what to run.
    workdir: the run folder; one that belongs to another config is refused.
    data_dir: where local data lie; see `datasets.load`.
    command: what the user typed, for config.json.
    say: prints one line to the user.

  Returns:
    summary.json: status "finished", "interrupted" or "diverged at step n", and every metric.

  Raises:
    UserError: anything that the user can put right; nothing on disk is lost.
  """
  validate(config)
  devices = jax.local_devices()
  way = parallel.resolve(config.parallel, config.batch_size, devices)
  with contextlib.closing(RunFolder(workdir)) as folder:
    run = _prepare(config, folder, data_dir, way, devices, command, say)
    with contextlib.closing(run.checkpoints):
      state, step = _restore(run)
      folder.add_environment(environment.describe() | {"parallel": way})
      # Placed as the step leaves it, the first state runs in the same program as all others.
      return _train(run, parallel.replicate(state, way, devices), step)


def describe(config: Config, dataset: datasets.Dataset) -> DataInfo:
  """Returns what a model needs to know of a data set.

  Raises:
    UserError: labels are asked for and there are none.
  """
  if config.conditional and dataset.labels is None:
    raise UserError(f"--conditional needs labels, and {dataset.name} has none ({dataset.source})")
  points = dataset.images.ndim == 2
  mean = None if points else dataset.images.mean(axis=0, dtype=np.float64) / 255
  return DataInfo(dataset.images.shape[1:], dataset.num_classes, len(dataset.images), mean)


def _prepare(config, folder, data_dir, way, devices, command, say) -> Run:
  dataset = datasets.load(config.dataset, config.split, data_dir, config.image_size)
  if dataset.notice:
    say(dataset.notice)
  config = dataclasses.replace(config, dataset=dataset.name)
  info = describe(config, dataset)
  algorithm = build(config, info, parallel.WAYS[way][1])
  folder.claim(_identity(config, info, dataset, command))
  data = Batch(dataset.images, dataset.labels if config.conditional else None)
  return Run(
    config=config,
    info=info,
    algorithm=algorithm,
    folder=folder,
    checkpoints=Checkpoints(folder.checkpoints),
    dataset=dataset,
    evaluator=_evaluator(config, dataset, say),
    data=parallel.replicate(data, way, devices),
    execute=parallel.make_run(algorithm.step, way, devices),
    say=say,
  )


def _evaluator(config, dataset, say):
  if not config.eval_every:
    return None
  evaluator, notice = evaluate.make_evaluator(
    dataset, config.split, config.eval_samples, config.seed
  )
  if notice:
    say(notice)
  return evaluator


def _identity(config, info, dataset, command) -> dict[str, Any]:
  """What config.json holds: all fields, and those that the result depends on, with the data."""
  determined_by = determining(config) | {"data_sha256": datasets.digest(dataset)}
  return {
    "fingerprint": fingerprint(determined_by),
    "command": command,
    "source": dataset.source,
    "image_shape": list(info.image_shape),
    "num_classes": info.num_classes,
    "num_examples": info.num_examples,
    "config": dataclasses.asdict(config),
    "determining": determined_by,
  }


def _keys(config):
  """(initial state, training, fixed latents): every draw of a run comes from one of them."""
  return jax.random.split(jax.random.key(config.seed), 3)


def _restore(run: Run) -> tuple[GanState, int]:
  """Returns the newest whole state and its step; the state of step 0 in a new folder.

  Raises:
    UserError: there were checkpoints, and none is whole.
  """
  init_key = _keys(run.config)[0]
  like = jax.eval_shape(run.algorithm.init, init_key)
  damaged = False
  for step, state, reason in run.checkpoints.restore(like):
    if state is not None:
      _rewind(run, step)
      return state, step
    run.say(f"The checkpoint of step {step} is damaged: {reason}. It was moved aside.")
    damaged = True
  if damaged:
    raise UserError(
      f"{run.folder.path} has no checkpoint that can be read; they lie in damaged_checkpoints: put "
      "a whole one back, use another --workdir, or give the command again to begin anew"
    )
  _rewind(run, 0)
  return jax.jit(run.algorithm.init)(init_key), 0


def _rewind(run, step):
  ended = step >= run.config.steps
  run.folder.rewind(step, 1 if ended else run.config.log_every)
  run.folder.rewind(step, 1 if ended else run.config.eval_every or 1, EVALUATIONS)


def _train(run: Run, state: GanState, start: int) -> dict[str, Any]:
  """Steps to the end, an interrupt or a divergence; what was reached is on disk when it returns."""
  steps = run.config.steps
  if start >= steps:
    run.say(f"Finished at step {start} already: --steps above {start} trains on.")
    return _summarize(run, "finished", start)
  if start:
    run.say(f"Continuing from step {start}.")
  _summarize(run, "running", start)
  try:
    state, step = _loop(run, state, start)
  except DivergedError as error:
    run.say(f"The run {error}: {error.record}")
    return _summarize(run, str(error), error.record["step"])
  run.checkpoints.save(step, state)
  run.checkpoints.wait()
  if step < steps:
    run.say(f"Interrupted; step {step} is saved. The same command continues from there.")
  return _summarize(run, "finished" if step >= steps else "interrupted", step)


def _summarize(run, status, step):
  config, evaluations = run.config, read_metrics(run.folder.path, EVALUATIONS)
  return run.folder.summarize(
    status,
    step=step,
    dataset=config.dataset,
    loss=config.loss,
    evaluation=evaluate.best_and_last(evaluations),
  )


def _loop(run: Run, state: GanState, step: int) -> tuple[GanState, int]:
  config, log = run.config, _Log(run)
  key = _keys(config)[1]
  per_step = config.discriminator_steps * config.batch_size
  with _interrupts() as interrupts, Progress(config.steps, step, per_step) as progress:
    while step < config.steps and not interrupts:
      count = _steps_in_call(config, step)
      state, metrics = run.execute(state, run.data, _indices(run, step, count), key)
      step += count
      log.add(step, metrics)
      progress.advance(count)
      _write(run, state, step, log, progress)
  log.flush()
  return state, step


def _steps_in_call(config: Config, step: int) -> int:
  """Steps until the next thing to write, at most `steps_per_call`.

  On the CPU a loop of steps inside one program runs the gradients of convolutions off the fast
  path, and dispatch costs nothing beside a step; on accelerators small networks wait for dispatch.
  """
  most = config.steps_per_call or (1 if jax.default_backend() == "cpu" else 100)
  cadences = (config.log_every, config.sample_every, config.checkpoint_every, config.eval_every)
  cadences = [every for every in cadences if every]
  return min(most, config.steps - step, *(every - step % every for every in cadences))


def _indices(run, step, count):
  config = run.config
  return batch_indices(
    config.seed,
    run.info.num_examples,
    step,
    count,
    config.discriminator_steps,
    config.batch_size,
  )


def _write(run: Run, state: GanState, step: int, log: "_Log", progress: Progress) -> None:
  """Writes what is due at `step`, after all metrics up to it have been seen to be finite."""
  config, last = run.config, step == run.config.steps
  if step % config.log_every == 0 or last:
    progress.show(log.flush(write=True))
  if step % config.sample_every == 0 or last:
    progress.report(log.flush())
    _save_picture(run, state, step)
  if run.evaluator and (step % config.eval_every == 0 or last):
    progress.evaluated(_evaluate(run, state, log.flush()))
  if step % config.checkpoint_every == 0:
    log.flush()
    run.checkpoints.save(step, state)


def _save_picture(run, state, step):
  config = run.config
  title = f"{config.dataset}  {config.loss}  {config.model}  seed {config.seed}  step {step}"
  num_classes = run.info.num_classes if config.conditional else 0
  picture = sampling.progress_picture(
    run.algorithm.gan, state, _keys(config)[2], num_classes, title, run.dataset.images
  )
  pictures.save(picture, run.folder.samples / f"step_{step:08d}.png")


def _evaluate(run, state, record) -> dict[str, Any]:
  """Measures the averaged generator; the latents are the same at every evaluation."""
  config, count = run.config, run.config.eval_samples
  rng = np.random.default_rng(config.seed)
  labels = rng.choice(run.dataset.labels, count) if config.conditional else None
  key = jax.random.fold_in(_keys(config)[2], 1)
  if not sampling.is_finite(state):
    raise DivergedError(record)
  examples = sampling.samples(run.algorithm.gan, state, key, count, labels)
  counts = {name: record[name] for name in (*COUNTS, "dataset", "loss")}
  evaluation = counts | run.evaluator(examples)
  run.folder.append(evaluation, EVALUATIONS)
  return evaluation


class _Log:
  """Metrics of recent steps: kept on the device until something is written, then all checked."""

  def __init__(self, run: Run):
    self._run, self._pending, self._record = run, [], None
    records = read_metrics(run.folder.path)
    self._began = time.monotonic() - (records[-1].get("seconds", 0.0) if records else 0.0)

  def add(self, step: int, metrics: dict[str, jax.Array]) -> None:
    """Takes the metrics [S] of a call that ended at `step`, and waits for the call before it."""
    if self._pending:
      jax.block_until_ready(self._pending[-1][1])
    self._pending.append((step, metrics))

  def flush(self, write: bool = False) -> dict[str, Any]:
    """Returns the record of the latest step; with `write` it is added to metrics.jsonl.

    Raises:
      DivergedError: a metric of a step since the last flush is not finite.
    """
    for end, metrics in jax.device_get(self._pending):
      count = len(metrics["generator_loss"])
      for i in range(count):
        self._check(
          {name: float(values[i]) for name, values in metrics.items()}, end - count + 1 + i
        )
    self._pending = []
    if write:
      self._run.folder.append(self._record)
    return self._record

  def _check(self, metrics, step):
    config = self._run.config
    discriminator_steps = step * config.discriminator_steps
    images = discriminator_steps * config.batch_size
    self._record = {
      "step": step,
      "discriminator_steps": discriminator_steps,
      "images": images,
      "epoch": images / self._run.info.num_examples,
      "seconds": round(time.monotonic() - self._began, 3),
      "dataset": config.dataset,
      "loss": config.loss,
      **metrics,
    }
    if not all(math.isfinite(value) for value in metrics.values()):
      self._run.folder.append(self._record)
      raise DivergedError(self._record)


@contextlib.contextmanager
def _interrupts():
  """Yields a list that is no longer empty once the user interrupts; a second time stops at once."""
  seen = []

  def note(number, frame):
    if seen:
      raise KeyboardInterrupt
    seen.append(number)

  previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
  try:
    yield seen
  finally:
    for number, handler in previous.items():
      signal.signal(number, handler)
