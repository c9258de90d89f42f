"""The weights of a run in a folder for a hub of models, beside its config.json."""

import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from gan.errors import UserError
from gan.state import GanState, Start, named
from gan.system import safetensors, tensors
from gan.training.exported import MODEL, read_facts


def weights(state: GanState) -> Start:
  """Returns the weights of a state, by names."""
  players = (state.generator, state.discriminator)
  own = [named(player.params, player.model_state) for player in players]
  return Start(*own, average=named(state.ema_params, state.ema_model_state))


def write(folder: pathlib.Path, state: GanState) -> None:
  """Writes the weights of a state as one file: generator/params/Dense_0/kernel and so on."""
  arrays = {
    f"{part}/{name}": np.asarray(array)
    for part, arrays in weights(state)._asdict().items()
    for name, array in arrays.items()
  }
  safetensors.write(folder / MODEL, arrays)


def read(path: str | os.PathLike) -> Start:
  """Returns the weights of a file that `write` wrote, or those of an average alone.

  Raises:
    UserError: it holds none that are named as these are.
  """
  found: dict[str, dict[str, Any]] = {part: {} for part in Start._fields}
  for name, array in tensors.read(path).items():
    first, _, rest = name.partition("/")
    if first in found:
      found[first][rest] = array
    elif first in ("params", "model_state"):  # as an export as safetensors has them
      found["average"][name] = array
    else:
      raise UserError(
        f"{path} holds {name}, and weights of a run are named as in params/Dense_0/kernel: name a "
        "run folder, or an export as safetensors or hub"
      )
  return Start(**found)


def state(folder: str | os.PathLike, init: Callable[..., GanState], step: int | None) -> GanState:
  """Returns the state of a run with the weights of a folder; optimisers are as at a start.

  Args:
    folder: of a hub.
    init: of the run's algorithm.
    step: that was asked for, or None.

  Raises:
    UserError: the folder is of another step, or its weights are those of another network.
  """
  at = read_facts(folder)["step"]
  if step not in (None, at):
    raise UserError(f"{folder} is an export, of step {at} alone: leave out `step`")
  found = read(pathlib.Path(folder) / MODEL)
  like = weights(jax.eval_shape(init, jax.random.key(0)))
  if _shapes(found) != _shapes(like):
    raise UserError(f"{folder} is damaged: {MODEL} is of another network than config.json says")
  made = jax.jit(init)(jax.random.key(0), start=jax.device_put(found))
  return jax.device_get(made.replace(step=np.int32(at)))


def _shapes(start: Start) -> Any:
  return [{name: (array.shape, str(array.dtype)) for name, array in part.items()} for part in start]
