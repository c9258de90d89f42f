"""A trained generator, from its run folder alone."""

import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import jax

from gan.build import DataInfo, build
from gan.checkpoint import Checkpoints
from gan.config import Config
from gan.errors import UserError
from gan.networks import Gan
from gan.progress import say
from gan.records import read_config
from gan.state import GanState
from gan.validation import validate


class Trained(NamedTuple):
  """A run as it was left: its config, what it knows of the data, the players and the state."""

  config: Config
  info: DataInfo
  gan: Gan
  state: GanState


def load(workdir: str | os.PathLike, say: Callable[[str], None] = say) -> Trained:
  """Reads the newest whole checkpoint of a run, which may be training at the same time.

  Args:
    workdir: the run folder; nothing in it is changed.
    say: prints one line to the user, where a checkpoint is damaged.

  Raises:
    UserError: the folder is not a run, or has no checkpoint that can be read.
  """
  record = read_config(workdir)
  config = _config(workdir, record["config"])
  if missing := {"image_shape", "num_classes", "num_examples"} - set(record):
    raise UserError(f"{workdir}/config.json is damaged: {', '.join(sorted(missing))} missing")
  shape = tuple(record["image_shape"])
  info = DataInfo(shape, record["num_classes"], record["num_examples"], pixel_mean=None)
  algorithm = build(config, info)
  like = jax.eval_shape(algorithm.init, jax.random.key(0))
  checkpoints = Checkpoints(pathlib.Path(workdir) / "checkpoints", read_only=True)
  try:
    for step, state, reason in checkpoints.restore(like):
      if state is not None:
        return Trained(config, info, algorithm.gan, state)
      say(f"The checkpoint of step {step} is damaged: {reason}. The one before is used.")
  finally:
    checkpoints.close()
  raise UserError(f"{workdir} has no checkpoint that can be read: train it first")


def _config(workdir, fields) -> Config:
  known = {field.name for field in dataclasses.fields(Config)}
  if unknown := sorted(set(fields) - known):
    raise UserError(
      f"{workdir} is a run of another version: config.json has {', '.join(unknown)}, unknown here"
    )
  config = Config(**fields)
  validate(config)
  return config
