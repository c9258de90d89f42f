"""A trained generator, from its run folder alone."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import jax

from gan.checkpoint import Checkpoints
from gan.config import Config, DataInfo, build, validate
from gan.errors import UserError
from gan.networks import Gan
from gan.progress import say
from gan.records import read_config
from gan.state import GanState


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
  damaged = []
  checkpoints = Checkpoints(pathlib.Path(workdir) / "checkpoints", record, read_only=True)
  with contextlib.closing(checkpoints):
    for step, state, reason in checkpoints.restore(like):
      if state is not None:
        for line in damaged:
          say(f"The {line}. The one before is used.")
        return Trained(config, info, algorithm.gan, state)
      damaged.append(f"checkpoint of step {step} is damaged: {reason}")
  why = "; ".join(f"the {line}" for line in damaged) or "train it first"
  raise UserError(f"{workdir} has no checkpoint that can be read: {why}")


def _config(workdir, fields) -> Config:
  known = {field.name for field in dataclasses.fields(Config)}
  if unknown := sorted(set(fields) - known):
    raise UserError(
      f"{workdir} is a run of another version: config.json has {', '.join(unknown)}, unknown here"
    )
  config = Config(**fields)
  validate(config)
  return config
