"""The whole state of a run: arrays only, so that vmap, donation and checkpoints just work."""

from collections.abc import Callable
from typing import Any

import flax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from gan.networks import Gan, ModelState, Network, Params
from gan.optimizers import Optimizer

Scalar = Float[Array, ""]


@flax.struct.dataclass
class Hyperparameters:
  """The numbers of a method that may differ between the members of a sweep, each float32 [].

  Attributes:
    generator_learning_rate: step size of the generator's optimiser.
    discriminator_learning_rate: step size of the discriminator's optimiser.
    b1: decay of the first moment (Adam and its kin).
    b2: decay of the second moment.
    momentum: decay of the momentum (SGD, RMSProp).
    ema_decay: decay of the averaged generator, in [0, 1).
    real_label: target of the discriminator on real data, in (0, 1].
    discriminator_loss_scale: factor on the discriminator's loss.
    weight_clip: bound on every weight of the discriminator where clipping is on.
    penalty_weight: factor on the gradient penalty.
    instance_noise: standard deviation of the instance noise at step 0, in units of the image range.
    lecam_weight: factor on the LeCam regulariser.
  """

  generator_learning_rate: Scalar
  discriminator_learning_rate: Scalar
  b1: Scalar
  b2: Scalar
  momentum: Scalar
  ema_decay: Scalar
  real_label: Scalar
  discriminator_loss_scale: Scalar
  weight_clip: Scalar
  penalty_weight: Scalar
  instance_noise: Scalar
  lecam_weight: Scalar


@flax.struct.dataclass
class PlayerState:
  """One player: its parameters, its batch statistics, its optimiser's state."""

  params: Params
  model_state: ModelState
  opt_state: Any


@flax.struct.dataclass
class GanState:
  """A run.

  Attributes:
    step: int32 [], generator updates so far; the single truth about where the run is.
    hyperparameters: the numbers of this run.
    generator: the player that makes images.
    discriminator: the player that judges them.
    ema_params: average of the generator's parameters over recent steps, for samples and metrics.
    ema_model_state: the same average of its batch statistics.
    memory: what regularisers and update rules keep from step to step, by their names; see MEMORIES.
  """

  step: Int[Array, ""]
  hyperparameters: Hyperparameters
  generator: PlayerState
  discriminator: PlayerState
  ema_params: Params
  ema_model_state: ModelState
  memory: dict[str, Any] = flax.struct.field(default_factory=dict)


def _lecam_averages(generator: PlayerState, discriminator: PlayerState) -> dict[str, Any]:
  """Averages of the discriminator's logits, and how many updates they are of."""
  del generator, discriminator
  return {name: jnp.zeros(()) for name in ("real_logit", "fake_logit", "updates")}


def _slow_weights(generator: PlayerState, discriminator: PlayerState) -> dict[str, Any]:
  """The weights that both players start from; copies, as donated states must not share buffers."""
  params = {"generator": generator.params, "discriminator": discriminator.params}
  return jax.tree.map(jnp.copy, params)


# Name -> (generator, discriminator) -> arrays before the first step.
MEMORIES: dict[str, Callable[[PlayerState, PlayerState], dict[str, Any]]] = {
  "lecam": _lecam_averages,
  "lookahead": _slow_weights,
}


def init_state(
  key: Key[Array, ""],
  gan: Gan,
  hyperparameters: Hyperparameters,
  generator_optimizer: Optimizer,
  discriminator_optimizer: Optimizer,
  *,
  memories: tuple[str, ...] = (),
) -> GanState:
  """Returns the state before the first step; a pure function of the key.

  Args:
    key: of the initial parameters.
    gan: the two players.
    hyperparameters: the numbers of the run.
    generator_optimizer: as in the Game, `update_rules.wrap_optimizer` included.
    discriminator_optimizer: the same for the discriminator.
    memories: keys of MEMORIES that the game needs; `update_rules.memories` knows them.
  """
  generator_key, discriminator_key = jax.random.split(key)
  generator = _init_player(generator_key, gan.generator, generator_optimizer(hyperparameters))
  discriminator = _init_player(
    discriminator_key, gan.discriminator, discriminator_optimizer(hyperparameters)
  )
  return GanState(
    step=jnp.zeros((), jnp.int32),
    hyperparameters=hyperparameters,
    generator=generator,
    discriminator=discriminator,
    # A copy: a donated state must not hold the same buffer twice.
    ema_params=jax.tree.map(jnp.copy, generator.params),
    ema_model_state=jax.tree.map(jnp.copy, generator.model_state),
    memory={name: MEMORIES[name](generator, discriminator) for name in memories},
  )


def _init_player(key, network: Network, optimizer) -> PlayerState:
  params, model_state = network.init(key)
  return PlayerState(params, model_state, optimizer.init(params))
