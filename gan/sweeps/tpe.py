"""A search by Optuna's tree-structured Parzen estimator: every point follows from values before it.

"Algorithms for Hyper-Parameter Optimization" by Bergstra et al., NeurIPS 2011
(https://papers.nips.cc/paper/4443-algorithms-for-hyper-parameter-optimization), as Optuna has it
(https://arxiv.org/abs/1907.10902): the first ten points are random; then each parameter is drawn
where the density of its values among good settings is large beside that among the others.

Every loss has a study of its own, named by the loss, in one SQLite file that
`optuna-dashboard sqlite:///DIR/optuna.db` opens. The number of a trial is that of the sample, so
that trial 3 of wgan is the run wgan,sample=3,seed=0.
"""

import contextlib
import functools
import math
import os
import pathlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from gan.errors import UserError
from gan.metrics.best import better
from gan.sweeps.contestants import choices_of
from gan.sweeps.search import Point, applicable, read_part
from gan.sweeps.spaces import Axis, Space
from gan.training.config import Config
from gan.training.options import fields, value
from gan.training.run_folder import RESTORE

SAMPLER = "tpe"  # its name beside SAMPLERS
FILE = "optuna.db"
JOINED = "+"  # between the fields that one parameter gives their value
DIRECTIONS = {"lower": "minimize", "higher": "maximize"}


def require() -> Any:
  """Imports optuna, which then prints warnings alone, and returns it.

  Raises:
    UserError: it is not installed.
  """
  try:
    import optuna
  except ImportError as error:
    raise UserError(
      f"--sampler={SAMPLER} needs Optuna: pip install 'gan-jax[optuna]', or choose another sampler"
    ) from error
  optuna.logging.set_verbosity(optuna.logging.WARNING)
  return optuna


def distribution(axis: Axis) -> Any:
  """Returns an axis as Optuna has it; a range ends before a value that the fields cannot have."""
  distributions = require().distributions
  if axis.scale == "choice":
    return distributions.CategoricalDistribution(axis.values)
  low, high = axis.values
  if axis.integer:
    return distributions.IntDistribution(low, high, log=axis.scale == "log")
  if high in {fields()[name].metadata["below"] for name in axis.names}:
    high = float(np.nextafter(high, low))
  return distributions.FloatDistribution(low, high, log=axis.scale == "log")


class Searches:
  """The Optuna studies of some losses over one space, in a file; made by `opened`.

  Args:
    storage: of Optuna.
    losses: as in `make_trials`, each with a study of its own.
    space: where points lie; a loss has those axes that it reads, given the choices of the point.
    make_config: `fields -> Config` with these values.
    metric: by which settings are chosen; it has a direction.
    seed: of the draws.
  """

  def __init__(
    self,
    storage: Any,
    losses: Sequence[str],
    space: Space,
    make_config: Callable[[Point], Config],
    metric: str,
    seed: int,
  ):
    self._space, self._make_config, self._seed = space, make_config, seed
    self._direction = DIRECTIONS[better(metric)]
    self._studies = {loss: self._study(storage, loss, metric) for loss in losses}

  def _study(self, storage: Any, loss: str, metric: str) -> Any:
    study = require().create_study(
      storage=storage, study_name=loss, direction=self._direction, load_if_exists=True
    )
    study.set_user_attr("metric", metric)
    return study

  def points(self, loss: str) -> list[Point]:
    """Returns what was asked of a loss; the first is empty: the values as they stand."""
    trials = self._trials(loss)
    return [{} if trial.number == 0 else _point(trial.params) for trial in trials]

  def ask(self, loss: str, sample: int) -> None:
    """Adds a sample to a loss, where it has not got it yet and has all before it.

    The point follows from the space, the seed and the values that were told: a search that was
    killed, or made longer later, has the points of one that was not. What is asked is written
    whole or not at all.
    """
    if sample == len(self._trials(loss)):
      drawn = self._draw(loss) if sample else self._standing(loss)
      state = require().trial.TrialState.RUNNING
      self._studies[loss].add_trial(require().trial.create_trial(state=state, **drawn))

  def tell(self, loss: str, sample: int, found: float) -> None:
    """Records the value of a sample that was asked; one that is there already stays.

    Args:
      loss: of the sample.
      sample: its number.
      found: the value of the metric; NaN where the run diverged. That counts as infinitely bad and
        not as a failure: the estimator has only the order of values, and would forget a failure
        and come back to where runs diverge.
    """
    if self.waits(loss, sample):
      worst = math.inf if self._direction == "minimize" else -math.inf
      self._studies[loss].tell(sample, worst if math.isnan(found) else found)

  def waits(self, loss: str, sample: int) -> bool:
    """Whether a sample has no value yet: it was not asked, or not told."""
    trials = self._trials(loss)
    return sample >= len(trials) or not trials[sample].state.is_finished()

  def _trials(self, loss: str) -> list[Any]:
    return self._studies[loss].get_trials(deepcopy=False)

  def _draw(self, loss: str) -> dict[str, Any]:
    """Draws a point in memory, by a sampler of its own: nothing else decides on its numbers."""
    optuna, trials = require(), self._trials(loss)
    (number,) = np.random.SeedSequence([self._seed, len(trials)]).generate_state(1)
    # One parameter at a time: the first sample, and losses that read less, lack some of them.
    sampler = optuna.samplers.TPESampler(seed=int(number), multivariate=False, constant_liar=False)
    memory = optuna.create_study(direction=self._direction, sampler=sampler)
    memory.add_trials(trials)
    trial = memory.ask()
    while (axis := self._next_axis(loss, _point(trial.params))) is not None:
      _suggest(trial, _name(axis), distribution(axis))
    return {"params": trial.params, "distributions": trial.distributions}

  def _next_axis(self, loss: str, point: Point) -> Axis | None:
    """The first axis that a loss reads at a point without it; choices decide on what is read."""
    for axis in sorted(self._space, key=lambda axis: axis.scale != "choice"):
      own = dict.fromkeys(axis.names, axis.at(0.5))
      if not own.keys() & point.keys() and own.keys() & self._read(loss, point | own).keys():
        return axis
    return None

  def _read(self, loss: str, point: Point) -> Point:
    return read_part(loss, point, self._make_config)

  def _standing(self, loss: str) -> dict[str, Any]:
    """The values as they stand: parameters where they lie in the space, else notes."""
    config, params, distributions, notes = self._make_config(choices_of(loss)), {}, {}, {}
    read = applicable(dict.fromkeys(name for axis in self._space for name in axis.names), config)
    for axis in self._space:
      values = {name: value(config, name) for name in axis.names if name in read}
      same, known = set(values.values()), distribution(axis)
      if len(same) == 1 and _holds(axis, known, *same):
        (params[_name(axis)],), distributions[_name(axis)] = same, known
      else:
        notes |= values
    return {"params": params, "distributions": distributions, "user_attrs": notes}


def _name(axis: Axis) -> str:
  return JOINED.join(axis.names)


def _point(params: dict[str, Any]) -> Point:
  return {name: found for names, found in params.items() for name in names.split(JOINED)}


def _holds(axis: Axis, known: Any, found: Any) -> bool:
  if axis.scale == "choice":
    return found in axis.values
  return found is not None and known.low <= found <= known.high


def _suggest(trial: Any, name: str, known: Any) -> None:
  if hasattr(known, "choices"):
    trial.suggest_categorical(name, known.choices)
  elif isinstance(known.low, int):
    trial.suggest_int(name, known.low, known.high, log=known.log)
  else:
    trial.suggest_float(name, known.low, known.high, log=known.log)


@contextlib.contextmanager
def opened(folder: str | os.PathLike, *args: Any) -> Iterator[Searches]:
  """Yields the studies in a folder's file until the block ends.

  Args:
    folder: of the search; made by its sweep.
    *args: of `Searches`, after the storage.

  Raises:
    UserError: Optuna is not installed, or cannot read the file.
  """
  path = pathlib.Path(folder).absolute() / FILE
  optuna = require()
  try:
    # Connected to by its path: in an address ? and % would have a meaning.
    connect = functools.partial(sqlite3.connect, path, check_same_thread=False)
    storage = optuna.storages.RDBStorage(f"sqlite:///{FILE}", engine_kwargs={"creator": connect})
  except Exception as error:  # noqa: BLE001 - of SQLAlchemy, which this package does not know
    reason = str(error).strip().split("\n", 1)[0]
    raise UserError(
      f"{path} cannot be read by Optuna {optuna.__version__} ({reason}): {RESTORE}"
    ) from error
  try:
    yield Searches(storage, *args)
  finally:
    storage.remove_session()
    storage.engine.dispose()
