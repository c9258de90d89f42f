"""One run: its folder, its place in time, and everything that is written of it."""

import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int32, Key

from gan.datasets.batches import batch_indices
from gan.errors import UserError, failure
from gan.metrics.best import best_and_last
from gan.state import GanState
from gan.system import environment
from gan.training import distributed, pictures, sampling
from gan.training.checkpoint import Checkpoints
from gan.training.config import Config
from gan.training.contents import check_contents, lost_records
from gan.training.records import Records
from gan.training.run_folder import (
  COUNTS,
  EVALUATIONS,
  METRICS,
  differences,
  read_metrics,
  read_sessions,
)
from gan.training.setting import Setting, config_record, hparams
from gan.training.writer import Session
from gan.training.writers import Writers, scalars


class Keys(NamedTuple):
  """Every draw of a run comes from one of these."""

  init: Key[Array, ""]
  training: Key[Array, ""]
  latents: Key[Array, ""]


class Run:
  """A run in its folder, which is this process's until `close`.

  Args:
    config: what to run; its data set by its own name.
    setting: what it is built from.
    folder: where everything is written.
    command: what the user typed, for config.json.
    say: prints one line to the user.

  Raises:
    UserError: the folder belongs to other work, another process trains in it, its checkpoints are
      gone, or JAX draws other numbers here.
  """

  def __init__(
    self,
    config: Config,
    setting: Setting,
    folder: Records,
    command: str,
    say: Callable[[str], None],
  ):
    self.config, self.setting, self.folder, self.say = config, setting, folder, say
    self._identity = config_record(config, setting, command)
    folder.claim(self._identity, self._check_contents)
    self.keys = Keys(*jax.random.split(jax.random.key(config.seed), 3))
    self.record: dict[str, Any] = {}  # of the latest step that was seen
    self.summary: dict[str, Any] | None = None  # what summary.json was given last
    self.diverged = False
    self._evaluator, self._judge = None, None
    self._writers = Writers(setting.writers, say)
    if distributed.is_main_process():
      self._evaluator, self._judge = setting.evaluator(config.seed), setting.judge
    self._checkpoints: Checkpoints | None = None
    self._began = time.monotonic()

  def _check_contents(self) -> None:
    check_contents(self.folder, self._identity, self.say)
    self._check_draws()
    for line in lost_records(self.folder, self.config.log_every):
      self.say(line)

  def _check_draws(self) -> None:
    """Raises UserError where JAX would draw other numbers than in the session before."""
    sessions = read_sessions(self.folder.path)
    before, now = (sessions or [{}])[-1].get("random"), environment.random_numbers()
    if before and (lines := differences(before, now)):
      raise UserError(
        f"{self.folder.path} holds a run that drew its numbers otherwise ({'; '.join(lines)}): set "
        "these as before to continue it, or use another --workdir"
      )

  def close(self) -> None:
    """Waits until everything is written and lets go of the folder."""
    with contextlib.ExitStack() as stack:
      stack.callback(self.folder.close)
      stack.callback(self._writers.close)
      if self._checkpoints:
        stack.callback(self._checkpoints.close)

  def __enter__(self) -> "Run":
    return self

  def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
    with contextlib.ExitStack() as stack:
      if error is not None:
        # The error counts, not what closing says after it.
        stack.enter_context(contextlib.suppress(Exception))
        stack.callback(self._end, error)
      stack.callback(self.close)

  def _end(self, error: BaseException) -> None:
    """Says in summary.json how training broke off; the newest checkpoint is where it goes on."""
    if not self.summary or self.summary["status"] != "running":
      return
    self.checkpoints.discard_unfinished()
    known = failure(error)
    # A line for the user says in "error" what went wrong.
    told = "" if isinstance(error, UserError) else f": {type(error).__name__}"
    status = f"failed{f': {known.what}' if known else told}"
    if not isinstance(error, (Exception, SystemExit)):
      status = "interrupted"
    step = max(self.checkpoints.steps(), default=0)
    self.summarize(status, step, **({"error": str(error)} if str(error) else {}))

  @property
  def checkpoints(self) -> Checkpoints:
    if self._checkpoints is None:
      self._checkpoints = Checkpoints(self.folder.checkpoints, self._identity)
    return self._checkpoints

  def restore(self) -> tuple[GanState, int]:
    """Returns the newest whole state and its step; the state of step 0 in a new folder.

    Records of later steps are dropped: those steps are made again.

    Raises:
      UserError: there are checkpoints, and none is whole.
    """
    algorithm = self.setting.algorithm
    like = jax.eval_shape(algorithm.init, self.keys.init)
    damaged = []
    for step, state, reason in self.checkpoints.restore(like):
      if state is not None:
        for line in damaged:
          self.say(f"The {line}. It was moved to damaged_checkpoints.")
        return self._with_numbers(state), self._rewound(step)
      damaged.append(f"checkpoint of step {step} is damaged: {reason}")
    if damaged:
      raise UserError(
        f"{self.folder.path} has no checkpoint that can be read ({'; '.join(damaged)}). Nothing "
        "was changed: put a whole one back, or use another --workdir to begin anew"
      )
    start = self.setting.start.weights() if self.setting.start else None
    state = jax.jit(algorithm.init)(self.keys.init, start=start)
    return self._with_numbers(state), self._rewound(0)

  def _with_numbers(self, state: GanState) -> GanState:
    """Runs of a sweep share an algorithm and differ in these; earlier versions had fewer."""
    return state.replace(hyperparameters=self.setting.numbers(self.config))

  def begin_session(self, session: dict[str, Any], step: int) -> str:
    """Adds a session to environment.json; returns a line on what differs from the last, or "".

    It opens the writers beside the folder, unless the run is at its end.

    Args:
      session: of `environment.describe`, with how the run is stepped.
      step: from which it goes on.

    Raises:
      UserError: a writer cannot be opened, for a reason that the user can put right.
    """
    if step < self.config.steps:
      self._writers.begin(Session(self.folder.path, step), hparams(self._identity))
    before = self.folder.add_environment(session)
    if not (before and step):
      return ""
    there, here = (environment.bits_depend_on(s) for s in (before, session))
    if not (lines := differences(there, {name: here.get(name) for name in there})):
      return ""
    return (
      f"This machine is not as in the last session ({'; '.join(lines)}): from here on, results are "
      "those of a run that was never stopped to rounding, and not to the bit."
    )

  def _rewound(self, step: int) -> int:
    """Drops records after `step`, sets the clock to that of the last one left; returns `step`."""
    ended = step >= self.config.steps
    self.folder.rewind(step, 1 if ended else self.config.log_every)
    self.folder.rewind(step, 1 if ended else self.config.eval_every or 1, EVALUATIONS)
    records = read_metrics(self.folder.path)
    self._began = time.monotonic() - (records[-1].get("seconds", 0.0) if records else 0.0)
    return step

  def indices(self, step: int, count: int) -> Int32[np.ndarray, "s k b"]:
    """Returns the examples of `count` steps from `step` on."""
    config, examples = self.config, self.setting.info.num_examples
    return batch_indices(
      config.seed, examples, step, count, config.discriminator_steps, config.batch_size
    )

  def observe(self, end: int, metrics: dict[str, Float[np.ndarray, " s"]]) -> None:
    """Takes the metrics of the steps up to `end`; the first that are not finite end the run."""
    values = np.stack(list(metrics.values()))
    bad = np.flatnonzero(~np.isfinite(values).all(axis=0))
    last = bad[0] if len(bad) else values.shape[1] - 1
    step = end - values.shape[1] + 1 + int(last)
    self.record = self._counts(step) | {name: float(row[last]) for name, row in metrics.items()}
    if len(bad):
      self.write_record()
      self._diverge(step, f"{self.record}")

  def _counts(self, step: int) -> dict[str, Any]:
    """Returns the fields of a record that say when and of what it is."""
    config, discriminator_steps = self.config, step * self.config.discriminator_steps
    images = discriminator_steps * config.batch_size
    return {
      "step": step,
      "discriminator_steps": discriminator_steps,
      "images": images,
      "epoch": images / self.setting.info.num_examples,
      "seconds": round(time.monotonic() - self._began, 3),
      "dataset": config.dataset,
      "loss": config.loss,
    }

  def write_record(self) -> None:
    """Adds the latest record to metrics.jsonl, and tells the writers."""
    self._append(self.record, METRICS)

  def _append(self, record: dict[str, Any], file: str) -> None:
    self.folder.append(record, file)
    self._writers.write_scalars(record["step"], scalars(record, file))

  def save(self, step: int, state: GanState) -> None:
    """Saves a checkpoint; what writers were told up to its step is kept before that."""
    self._writers.flush()
    self.checkpoints.save(step, state)

  def check(self, state: GanState, step: int) -> None:
    """Ends the run where its state is not finite; in each process, for they have the same.

    Losses are of the weights before an update, and do not show what the last one did.
    """
    if not self.diverged and not sampling.is_finite(state):
      self._diverge(step, "its weights, or its optimisers', are no longer finite numbers")

  def _diverge(self, step: int, why: str) -> None:
    self.diverged = True
    status = f"diverged at step {step}"
    self.say(f"The run {status}: {why}")
    self.summarize(status, step)

  def save_picture(self, state: GanState) -> None:
    """Writes samples from latents that are the same at every step; process 0 does."""
    if not distributed.is_main_process():
      return
    config, setting, step = self.config, self.setting, self.record["step"]
    title = f"{config.dataset}  {config.loss}  {config.model}  seed {config.seed}  step {step}"
    num_classes = setting.info.num_classes if config.conditional else 0
    picture = sampling.progress_picture(
      setting.algorithm.gan,
      state,
      self.keys.latents,
      num_classes,
      title,
      setting.dataset.images,
      setting.dataset.class_names,
    )
    pictures.save(picture, self.folder.samples / f"step_{step:08d}.png")
    if self._writers:
      self._writers.write_images(step, {"samples": pictures.pixels(picture)[None]})

  def evaluate(self, state: GanState) -> dict[str, Any] | None:
    """Measures the averaged generator, by the same latents each time, and writes the record.

    Where held-out data are named it judges the discriminator too. Returns None where there is
    nothing to measure by.
    """
    if self._evaluator is None and self._judge is None:
      return None
    config = self.config
    count, rng = config.eval_samples, np.random.default_rng(config.seed)
    labels = rng.choice(self.setting.dataset.labels, count) if config.conditional else None
    evaluation = {name: self.record[name] for name in (*COUNTS, "dataset", "loss")}
    if self._evaluator:
      key = jax.random.fold_in(self.keys.latents, 1)
      examples = sampling.samples(self.setting.algorithm.gan, state, key, count, labels)
      evaluation |= self._evaluator(examples)
    else:
      evaluation |= {"eval_samples": count, "split": config.split, "eval_seed": config.seed}
    if self._judge:
      evaluation |= self._judge(state, labels, config.seed)
    self._append(evaluation, EVALUATIONS)
    return evaluation

  def summarize(self, status: str, step: int, **facts: Any) -> dict[str, Any]:
    """Writes summary.json, with further facts, and returns it."""
    self.summary = self.folder.summarize(
      status,
      step=step,
      dataset=self.config.dataset,
      loss=self.config.loss,
      evaluation=best_and_last(read_metrics(self.folder.path, EVALUATIONS)),
      **facts,
    )
    return self.summary
