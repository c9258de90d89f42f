"""A trained generator, from its run folder alone."""

import os
from typing import NamedTuple

import jax

from gan.checkpoint import Checkpoints
from gan.config import Config, DataInfo, build
from gan.errors import UserError
from gan.networks import Gan
from gan.records import RunFolder, read_config
from gan.state import GanState


class Trained(NamedTuple):
  """A run as it was left: its config, what it knows of the data, the players and the state."""

  config: Config
  info: DataInfo
  gan: Gan
  state: GanState


def load(workdir: str | os.PathLike) -> Trained:
  """Reads the newest whole checkpoint of a run.

  Raises:
    UserError: the folder is not a run, or has no checkpoint that can be read.
  """
  record = read_config(workdir)
  config = Config(**record["config"])
  shape = tuple(record["image_shape"])
  info = DataInfo(shape, record["num_classes"], record["num_examples"], pixel_mean=None)
  algorithm = build(config, info)
  like = jax.eval_shape(algorithm.init, jax.random.key(0))
  checkpoints = Checkpoints(RunFolder(workdir).checkpoints)
  try:
    for _, state, _ in checkpoints.restore(like):
      if state is not None:
        return Trained(config, info, algorithm.gan, state)
  finally:
    checkpoints.close()
  raise UserError(f"{workdir} has no checkpoint that can be read: train it first")
