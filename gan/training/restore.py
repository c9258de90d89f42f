"""A trained generator, from its run folder alone."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import jax

from gan.errors import UserError
from gan.networks import Gan
from gan.state import GanState
from gan.system import schema
from gan.system.progress import say
from gan.training import plugins
from gan.training.build import Algorithm, DataInfo, build
from gan.training.checkpoint import Checkpoints
from gan.training.config import Config, field_types
from gan.training.run_folder import CONFIG, read_config
from gan.training.validation import validate


class Trained(NamedTuple):
  """A run as it was left: its config, what it knows of the data, the players and the state."""

  config: Config
  info: DataInfo
  gan: Gan
  state: GanState
  class_names: tuple[str, ...] = ()


def load(workdir: str | os.PathLike, say: Callable[[str], None] = say) -> Trained:
  """Reads the newest whole checkpoint of a run, which may be training at the same time.

  Args:
    workdir: the run folder; nothing in it is changed.
    say: prints one line to the user, where a checkpoint is damaged.

  Raises:
    UserError: the folder is not a run, or has no checkpoint that can be read.
  """
  record = read_config(workdir, _kind())
  plugins.load_recorded(record.get(plugins.FIELD, []), workdir)
  shape = tuple(record["image_shape"])
  info = DataInfo(shape, record["num_classes"], record["num_examples"], pixel_mean=None)
  config = _config(workdir, record["config"])
  algorithm, like = _assembled(workdir, config, info)
  damaged = []
  checkpoints = Checkpoints(pathlib.Path(workdir) / "checkpoints", record, read_only=True)
  with contextlib.closing(checkpoints):
    for step, state, reason in checkpoints.restore(like):
      if state is not None:
        for line in damaged:
          say(f"The {line}. The one before is used.")
        return Trained(config, info, algorithm.gan, state, _class_names(workdir, record))
      damaged.append(f"checkpoint of step {step} is damaged: {reason}")
  why = "; ".join(f"the {line}" for line in damaged) or "train it first"
  raise UserError(f"{workdir} has no checkpoint that can be read: {why}")


def _kind() -> schema.Kind:
  """What a config.json holds of which a trained generator can be made."""
  fields = {
    field.name: schema.nullable(kind) if field.default is None else kind
    for field in dataclasses.fields(Config)
    for kind in [schema.BY_TYPE[field_types()[field.name]]]
  }
  required = {
    "config": schema.entries(optional=fields),
    "determining": schema.entries(),
    "image_shape": schema.list_of(schema.whole(1, 2**16), lengths=(1, 3)),
    "num_classes": schema.whole(0, 2**31),
    "num_examples": schema.POSITIVE,
  }
  return schema.entries(
    required,
    {
      "source": schema.TEXT,
      "class_names": schema.list_of(schema.TEXT),
      plugins.FIELD: schema.list_of(schema.TEXT),
    },
  )


def _class_names(workdir, record) -> tuple[str, ...]:
  """() where the classes have none, as in runs of earlier versions."""
  names = record.get("class_names", [])
  if len(names) not in (0, record["num_classes"]):
    raise UserError(
      f"{workdir}/config.json is damaged: class_names must be {record['num_classes']} names"
    )
  return tuple(names)


def _config(workdir, fields) -> Config:
  known = {field.name for field in dataclasses.fields(Config)}
  if unknown := sorted(set(fields) - known):
    raise UserError(
      f"{workdir} is a run of another version: config.json has {', '.join(unknown)}, unknown here"
    )
  return Config(**fields)


def _assembled(workdir, config: Config, info: DataInfo) -> tuple[Algorithm, GanState]:
  """The method of a config that a file describes, and the shapes of its state."""
  try:
    validate(config)
    algorithm = build(config, info)
    return algorithm, jax.eval_shape(algorithm.init, jax.random.key(0))
  # JAX raises all of these for sizes that no array can have.
  except (UserError, ArithmeticError, TypeError, ValueError) as error:
    reason = str(error).split("\n")[0].replace("--", "")  # fields of the file here, not flags
    file = pathlib.Path(workdir) / CONFIG
    raise UserError(
      f"{file} is damaged ({reason}): restore it, or use another --workdir"
    ) from error
