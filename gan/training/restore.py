"""A trained generator, from its run folder alone."""

import contextlib
import dataclasses
import functools
import math
import os
import pathlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Int, Key

from gan.errors import UserError
from gan.method.fields import KEY
from gan.method.game import GAME, Game
from gan.networks import Gan
from gan.state import GanState
from gan.system import memory, schema
from gan.system.progress import say
from gan.training import exported, hub, passed, plugins, program, sampling
from gan.training.arguments import raising_arguments, saying_arguments
from gan.training.build import Algorithm, DataInfo, build
from gan.training.checkpoint import Checkpoints
from gan.training.config import Config
from gan.training.option_field import type_of
from gan.training.parts import identity
from gan.training.run_folder import (
  CONFIG,
  OTHER_CONFIG_KINDS,
  PROGRAM,
  WEIGHTS,
  RunPaths,
  differences,
  named_folder,
  read_config,
  read_summary,
)
from gan.training.validation import validate

ARGUMENTS = frozenset({"workdir", "step"})


_SIDES = schema.list_of(schema.whole(1, 2**16), lengths=(3,))
_SHAPE = schema.Kind(
  "[height, width, channels], or [2] of points",
  lambda it: it == [2] or not schema.fault(it, _SIDES),
)


class LoadedRun(NamedTuple):
  """A run as it was left.

  Attributes:
    config: its choices; of a game that was passed, those of the run alone.
    info: what the model knows of the data.
    gan: the two players.
    state: of the checkpoint, as GanState; None for a run that diverged before its first one.
    class_names: of the labels, or ().
    summary: summary.json, or None before the run has stopped for the first time.

  Examples:
    >>> import gan, jax, numpy as np
    >>> players = gan.models.build("points", gan.ModelSpec((2,), latent_dim=4, width=8))
    >>> points, game = np.ones((64, 2), np.float32), gan.Game(**players._asdict())
    >>> run = gan.fit(game, points, steps=2, workdir="runs/ones", batch_size=16)
    >>> run.summary["status"], run.sample(4, jax.random.key(0)).shape
    ('finished', (4, 2))
  """

  config: Config
  info: DataInfo
  gan: Gan
  state: GanState | None
  class_names: tuple[str, ...] = ()
  summary: dict[str, Any] | None = None

  def __repr__(self) -> str:
    """One line: a notebook shows it, and the weights would fill pages."""
    step = "no state" if self.state is None else f"step {int(self.state.step)}"
    return f"LoadedRun({self.config.loss}, {self.config.dataset} {self.info.image_shape}, {step})"

  def sample(
    self,
    count: int,
    key: Key[Array, ""],
    labels: Int[np.ndarray, " n"] | None = None,
    *,
    weights: str = "ema",
  ) -> np.ndarray:
    """Returns examples of the generator: images [count, H, W, C] uint8, or points [count, 2].

    Args:
      count: how many; example i depends on the key, on i and on its label only.
      key: of the latents.
      labels: [count], for a conditional generator; by default each class in turn.
      weights: one of WEIGHTS.

    Raises:
      UserError: the run has no state, or labels that cannot be.
    """
    state = self._state(weights)
    count = schema.check_whole("count", count, least=1)
    memory.require(count * math.prod(self.info.image_shape), f"{count:,} samples", "`count`")
    schema.check("key", key, KEY)
    classes = self.info.num_classes if self.config.conditional else 0
    labels = sampling.class_labels(count, labels, classes)
    return sampling.samples(self.gan, state, key, count, labels)

  def with_weights(self, weights: str) -> "LoadedRun":
    """Returns the run with one of WEIGHTS as the generator that samples are drawn from."""
    return self._replace(state=self._state(weights))

  def _state(self, weights: str) -> GanState:
    if self.state is None:
      status = (self.summary or {}).get("status")
      raise UserError(f"the run has no weights to draw from: it {status}")
    if weights not in WEIGHTS:
      raise UserError(f"weights={weights} is unknown: choose from {', '.join(WEIGHTS)}")
    if weights == "ema":
      return self.state
    player = self.state.generator
    return self.state.replace(ema_params=player.params, ema_model_state=player.model_state)


@raising_arguments(ARGUMENTS)
def load(
  workdir: str | os.PathLike,
  game: Game | None = None,
  *,
  step: int | None = None,
  say: Callable[[str], None] = say,
) -> LoadedRun | exported.ExportedRun:
  """Reads a checkpoint of a run, which may be training at the same time, or an export.

  A game that is given is compared with the one that was trained: another generator is refused, and
  other parts, from which no sample is drawn, are said.

  Args:
    workdir: the run folder, or the folder of an export: as hub, which is as the run was at one
      step, or as StableHLO, of which there is no game; nothing in it is changed.
    game: what was trained, where its parts were passed and not named.
    step: of the checkpoint; by default the newest that is whole.
    say: prints one line to the user, where a checkpoint is damaged or the game is another.

  Raises:
    UserError: the folder is not a run, has no checkpoint that can be read, or is of a game that was
      passed and is not given, or is another.

  Examples:
    >>> import gan, jax, numpy as np
    >>> players = gan.models.build("points", gan.ModelSpec((2,), latent_dim=4, width=8))
    >>> points, game = np.ones((64, 2), np.float32), gan.Game(**players._asdict())
    >>> _ = gan.fit(game, points, steps=2, workdir="runs/ones", batch_size=16, checkpoint_every=1)
    >>> run = gan.load("runs/ones", game, step=1)
    >>> int(run.state.step), run.sample(4, jax.random.key(0), weights="raw").shape
    (1, (4, 2))
  """
  if exported.form(named_folder(workdir)) not in ("", exported.HUB):
    if game is not None or step is not None:
      raise UserError(f"{workdir} is an export, of one step and without a game: leave these out")
    return exported.load(named_folder(workdir))
  return find(workdir, game, step, saying_arguments(say, ARGUMENTS))


def find(
  workdir: str | os.PathLike,
  game: Game | None = None,
  step: int | None = None,
  say: Callable[[str], None] = say,
) -> LoadedRun:
  """Does what `load` does for a command, whose flags the messages name."""
  workdir = named_folder(workdir)
  step = step if step is None else schema.check_whole("step", step)
  if game is not None:
    schema.check("game", game, GAME)
  record = read_config(workdir, _kind())
  plugins.load_recorded(record.get(plugins.FIELD, []), workdir)
  if line := plugins.changed(record):
    say(line)
  if game is None and passed.were_passed(record):
    game = passed.find(record, workdir)
  if game is not None:
    _check_game(workdir, record, game, say)
  return read(workdir, record, game, step, say)


def read(
  workdir: str | os.PathLike,
  record: dict[str, Any],
  game: Game | None,
  step: int | None,
  say: Callable[[str], None],
) -> LoadedRun:
  """Reads a checkpoint; arguments as for `load`, and config.json."""
  info = _info(record)
  config = _config(workdir, record)
  algorithm, like = _assembled(workdir, record, config, info, game)
  _check_consistent(workdir, record, config)
  names = _class_names(workdir, record)
  if exported.form(workdir) == exported.HUB:
    state = hub.state(workdir, algorithm.init, step)
    return LoadedRun(config, info, algorithm.gan, state, names, read_summary(workdir))
  damaged: list[str] = []
  checkpoints = Checkpoints(RunPaths(workdir).checkpoints, record, read_only=True)
  with contextlib.closing(checkpoints):
    for at, state, reason in checkpoints.restore(like, step):
      if state is not None:
        for line in damaged:
          say(f"The {line}. The one before is used.")
        return LoadedRun(config, info, algorithm.gan, state, names, read_summary(workdir))
      damaged.append(f"checkpoint of step {at} is damaged: {reason}")
  why = "; ".join(f"the {line}" for line in damaged) or "train it first"
  raise UserError(f"{workdir} has no checkpoint that can be read: {why}")


def _check_consistent(workdir: str | os.PathLike, record: dict[str, Any], config: Config) -> None:
  """Compares the fields that a run is made of with what its result was recorded to depend on.

  Earlier versions recorded fewer fields.
  """
  there, here = record["determining"], identity(config)
  fields = [field for field in dataclasses.fields(Config) if field.name in record["config"]]
  names = {field.name for field in fields if field.name in there or field.metadata["added"]}
  if lines := differences(there, here, without=(there.keys() | here.keys()) - names):
    raise UserError(
      f"{pathlib.Path(workdir) / CONFIG} is damaged: its config is another than what it was "
      f"trained with ({'; '.join(lines)}): restore it, or use another --workdir"
    )


def _info(record: dict[str, Any]) -> DataInfo:
  shape = tuple(record["image_shape"])
  # No step is made of a game that is read, and what steps know of the data is not kept.
  counts = np.broadcast_to(1, (record["num_classes"],))
  return DataInfo(shape, record["num_classes"], record["num_examples"], None, counts)


def _check_game(
  workdir: str | os.PathLike, record: dict[str, Any], game: Game, say: Callable[[str], None]
) -> None:
  """Compares what a game computes, or where that cannot be, what its parts are called."""
  there, config = record.get(PROGRAM), _config(workdir, record)
  if not there or (line := program.incomparable(there)):
    if lines := passed.differences_in_words(record["determining"], game):
      say(f"The game is not called as the one that was trained: {'; '.join(lines)}.")
    elif there:
      say(line)
    return
  # The generator comes first: with another one the rest may not be of the shapes of the run.
  describe = functools.partial(program.describe, game, config, _info(record))
  if program.changed(there, describe(("generator",))):
    raise UserError(
      f"{workdir} was trained with another generator: that of the game computes something else, "
      "and its samples would mean nothing; give the game that was trained"
    )
  if names := program.changed(there, describe()):
    say(
      f"The game is not quite the one that was trained ({program.words(names)} differs); its "
      "generator is."
    )


def _kind() -> schema.Kind:
  """What a config.json holds of which a trained generator can be made."""
  fields = {
    field.name: schema.nullable(kind) if field.default is None else kind
    for field in dataclasses.fields(Config)
    for kind in [schema.BY_TYPE[type_of(field)]]
  }
  required = {
    "config": schema.entries(optional=fields),
    "determining": schema.entries(),
    "image_shape": _SHAPE,
    "num_classes": schema.whole(0, 2**31),
    "num_examples": schema.POSITIVE,
  }
  return schema.entries(
    required,
    {
      "source": schema.TEXT,
      "class_names": schema.list_of(schema.TEXT),
      plugins.FIELD: schema.list_of(schema.TEXT),
      plugins.DIGESTS: OTHER_CONFIG_KINDS[plugins.DIGESTS],
      PROGRAM: OTHER_CONFIG_KINDS[PROGRAM],
    },
  )


def _class_names(workdir: str | os.PathLike, record: dict[str, Any]) -> tuple[str, ...]:
  """() where the classes have none, as in runs of earlier versions."""
  names = record.get("class_names", [])
  if len(names) not in (0, record["num_classes"]):
    raise UserError(
      f"{workdir}/config.json is damaged: class_names must be {record['num_classes']} names"
    )
  return tuple(names)


def recorded_config(workdir: str | os.PathLike) -> Config:
  """Returns the config of a run folder; UserError where it has none that can be read."""
  return _config(workdir, read_config(workdir, _kind()))


def _config(workdir: str | os.PathLike, record: dict[str, Any]) -> Config:
  """The config of config.json, less fields of a later version on which nothing depends."""
  known = {field.name for field in dataclasses.fields(Config)}
  if unknown := sorted((record["determining"].keys() & record["config"].keys()) - known):
    raise UserError(
      f"{workdir} is a run of another version: config.json has {', '.join(unknown)}, unknown here"
    )
  return Config(**{name: value for name, value in record["config"].items() if name in known})


def _assembled(
  workdir: str | os.PathLike,
  record: dict[str, Any],
  config: Config,
  info: DataInfo,
  game: Game | None,
) -> tuple[Algorithm, GanState]:
  """The method of a run, and the shapes of its state."""
  if game is not None:
    # With its numbers given, a game that lacks some has a state too: it may be of an earlier run.
    init = functools.partial(game.init, hyperparameters=game.default_hyperparameters())
    return Algorithm(init, game.step, game.gan), jax.eval_shape(init, jax.random.key(0))
  try:
    validate(config)
    algorithm = build(config, info)
    return algorithm, jax.eval_shape(algorithm.init, jax.random.key(0))
  # JAX raises all of these for sizes that no array can have.
  except (UserError, ArithmeticError, TypeError, ValueError) as error:
    reason = str(error).split("\n")[0]
    reason = re.sub("--|`", "", reason)  # fields of the file here, not flags
    file = pathlib.Path(workdir) / CONFIG
    raise UserError(
      f"{file} is damaged ({reason}): restore it, or use another --workdir"
    ) from error
