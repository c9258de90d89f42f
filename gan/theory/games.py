"""Games small enough to be worked by hand, for the project's own step: players, losses, states."""

import functools
import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from gan.losses import Loss, make_loss
from gan.method.game import PLAYERS, Examples, Game
from gan.method.train_step import at_this_step
from gan.method.update_rules import UPDATE_RULES
from gan.method.updates import apply_discriminator, discriminator_update
from gan.networks import Gan, Network
from gan.optimizers import make_optimizer
from gan.penalties import make_penalty
from gan.state import GanState

NUMBERS = {
  "generator_learning_rate": 0.1,
  "discriminator_learning_rate": 0.1,
  "ema_decay": 0.9,
  "weight_clip": 1.0,
  "penalty_weight": 0.0,
}


def network(init_params: Callable | None, function: Callable) -> Network:
  """A network without state from `key -> params` and `(params, inputs) -> outputs`."""

  def apply(params, model_state, inputs, labels, *, train, key=None):
    del labels, train, key
    return function(params, inputs), model_state

  return Network(lambda key, *example: (init_params(key), {}), apply)


def dirac_gan(theta: float, psi: float) -> Gan:
  """G(z) = theta and D(x) = psi x, against data at 0.

  See "Which Training Methods for GANs do actually Converge?" by Mescheder et al., definition 2.1
  (https://arxiv.org/abs/1801.04406).
  """
  generator = network(lambda key: jnp.asarray(theta, float), lambda theta, z: 0 * z + theta)
  discriminator = network(lambda key: jnp.asarray(psi, float), lambda psi, x: psi * x[:, 0])
  return Gan(generator, discriminator, lambda key: jnp.zeros(1), (-1.0, 1.0))


def mlp(
  sizes: Sequence[int], activation: Callable, last: Callable = lambda outputs: outputs
) -> Network:
  """A fully connected Network with PyTorch's initialisers: weights and biases U(+-1/sqrt(inputs)).

  Args:
    sizes: units of the input, of each hidden layer and of the output.
    activation: after each hidden layer.
    last: of the outputs [B, sizes[-1]]; `as_logits` for a discriminator.
  """

  def init(key):
    keys = jax.random.split(key, len(sizes) - 1)
    return [_dense(key, *ends) for key, ends in zip(keys, itertools.pairwise(sizes), strict=True)]

  def function(layers, inputs):
    for layer in layers[:-1]:
      inputs = activation(inputs @ layer["kernel"] + layer["bias"])
    return last(inputs @ layers[-1]["kernel"] + layers[-1]["bias"])

  return network(init, function)


def _dense(key: Key[Array, ""], inputs: int, outputs: int) -> dict[str, Array]:
  bound = inputs**-0.5
  draw = functools.partial(jax.random.uniform, minval=-bound, maxval=bound)
  kernel_key, bias_key = jax.random.split(key)
  # The bias is [1, outputs]: no rank is promoted.
  return {"kernel": draw(kernel_key, (inputs, outputs)), "bias": draw(bias_key, (1, outputs))}


def as_logits(outputs: Float[Array, "b 1"]) -> Float[Array, " b"]:
  """The outputs of a discriminator as logits [B]."""
  return outputs[:, 0]


def make_game(
  gan: Gan,
  *,
  loss: str = "nonsat",
  penalty: str = "none",
  update_rule: str = "alternating",
  optimizer: str = "sgd",
  axis_name: Any = (),
  **choices: Any,
) -> Game:
  """A Game as the experiments build it, for players that no Config describes.

  Args:
    gan: the two players.
    loss: key of LOSSES.
    penalty: key of PENALTIES.
    update_rule: key of UPDATE_RULES.
    optimizer: key of OPTIMIZERS, of both players.
    axis_name: mapped axes that hold the rest of the batch.
    **choices: further fields of Game, and options of the rule.
  """
  rule = UPDATE_RULES[update_rule]
  # Choices of other rules are left aside: a caller may play several with the same ones.
  known = {name for other in UPDATE_RULES.values() for name in _options(other.make)}
  given = {name: choices.pop(name) for name in known & set(choices)}
  options = {name: value for name, value in given.items() if name in _options(rule.make)}
  optimizers = {f"{player}_optimizer": make_optimizer(optimizer, player) for player in PLAYERS}
  fields = {
    **gan._asdict(),
    **optimizers,
    "loss": make_loss(loss),
    "penalty": make_penalty(penalty, axis_name=axis_name),
    "update_rule": rule.make(**options),
    "axis_name": axis_name,
  }
  return Game(**fields | choices)


def start(key: Key[Array, ""], game: Game, **numbers: float | Array) -> GanState:
  """The state before the first step; `numbers` replace those of NUMBERS."""
  hyper = game.default_hyperparameters().with_values(NUMBERS | numbers)
  return game.init(key, jax.tree.map(lambda value: jnp.asarray(value, float), hyper))


def _options(make: Callable) -> set[str]:
  return set(inspect.signature(make).parameters)


def any_loss(index: Int[Array, ""], names: Sequence[str], axis_name: Any = ()) -> Loss:
  """The loss at a place of `names` that only the compiled step knows: one program for all."""
  made = [make_loss(name, axis_name=axis_name) for name in names]

  def pick(field: str) -> Callable[[Array, Array], Array]:
    functions = [getattr(loss, field) for loss in made]
    return lambda real, fake: jax.lax.switch(index, functions, real, fake)

  return Loss(pick("discriminator"), pick("generator"), pick("threshold"), None)


def any_penalty(index: Int[Array, ""], names: Sequence[str]) -> Callable:
  """The penalty at a place of `names` that only the compiled step knows; "none" is 0."""
  functions = [make_penalty(name) or _no_penalty for name in names]
  return lambda *args: jax.lax.switch(
    index, [lambda function=function: function(*args) for function in functions]
  )


def _no_penalty(critic: Any, real: Array, fake: Array, keys: Any) -> Float[Array, " b"]:
  del critic, fake, keys
  return jnp.zeros(len(real), real.dtype)


def falling_rates(steps: int) -> Callable:
  """A schedule that takes both learning rates from their start to 0 along half a cosine."""

  def schedule(hyper, step):
    share = (1 + jnp.cos(jnp.pi * jnp.minimum(step / steps, 1.0))) / 2
    return hyper.replace(
      generator_learning_rate=share * hyper.generator_learning_rate,
      discriminator_learning_rate=share * hyper.discriminator_learning_rate,
    )

  return schedule


def train_discriminator(
  game: Game, state: GanState, real: Callable, key: Key[Array, ""], steps: int
) -> tuple[GanState, dict[str, Float[Array, " steps"]]]:
  """Updates the discriminator alone, against the generator of `state`.

  Args:
    game: what is played.
    state: where it starts.
    real: `key -> [B, ...]`, the data of one update.
    key: of all draws.
    steps: updates.

  Returns:
    The last state, and the metrics of every update [steps].
  """

  def step(state, key):
    data_key, update_key = jax.random.split(key)
    now = at_this_step(game, state)
    update = discriminator_update(game, now, Examples(real(data_key), None), update_key)
    now = apply_discriminator(game, now, update)
    return now.replace(step=state.step + 1, hyperparameters=state.hyperparameters), update.metrics

  return jax.lax.scan(step, state, jax.random.split(key, steps))
