"""States as earlier versions saved them, and what they are now."""

import collections
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan import regularizers
from gan.state import GanState, PlayerState
from gan.training.config import Config

# Layout of a saved state; checkpoints without one have the first.
LAYOUT = 2

_FIELDS = Config.__dataclass_fields__
# Those whose weights were among the numbers of a run from the first version on.
REGULARIZERS = tuple(
  name
  for name in regularizers.REGULARIZERS
  if f"{name}_weight" in _FIELDS and not _FIELDS[f"{name}_weight"].metadata["added"]
)
_NUMBERS = (
  "generator_learning_rate",
  "discriminator_learning_rate",
  "b1",
  "b2",
  "momentum",
  "ema_decay",
  "real_label",
  "discriminator_loss_scale",
  "weight_clip",
  "penalty_weight",
  "instance_noise",
  *(f"{name}_weight" for name in REGULARIZERS),
)
# The numbers of the first layout, in their order.
Hyperparameters = collections.namedtuple("Hyperparameters", _NUMBERS)


class State(NamedTuple):
  """The first layout; fields as in GanState, whose `aux_state` was called memory."""

  step: Any
  hyperparameters: Hyperparameters
  generator: PlayerState
  discriminator: PlayerState
  ema_params: Any
  ema_model_state: Any
  memory: dict[str, Any]


_NAMES = {"update_rule": "lookahead"}  # aux_state -> memory, where they differ


def as_saved(like: GanState) -> State:
  """Returns the shapes of the first layout for a state of such shapes."""
  number = jax.ShapeDtypeStruct((), jnp.float32)
  return State(
    like.step,
    Hyperparameters(*[number] * len(Hyperparameters._fields)),
    like.generator,
    like.discriminator,
    like.ema_params,
    like.ema_model_state,
    {_NAMES.get(name, name): kept for name, kept in like.aux_state.items()},
  )


def as_now(saved: State, like: GanState) -> GanState:
  """Returns a state of the first layout as it is now.

  Its hyper-parameters, which a run has from its config, are zeros.
  """
  return GanState(
    saved.step,
    jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), like.hyperparameters),
    saved.generator,
    saved.discriminator,
    saved.ema_params,
    saved.ema_model_state,
    {name: saved.memory[_NAMES.get(name, name)] for name in like.aux_state},
  )
