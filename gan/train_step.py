"""One training step of a GAN: `step(state, batch, key) -> (state, metrics)`."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from gan.game import Batch, Examples, Game, Metrics, to_range
from gan.state import GanState
from gan.update_rules import UPDATE_RULES

TrainStep = Callable[[GanState, Batch, Key[Array, ""]], tuple[GanState, Metrics]]


def make_train_step(game: Game, update_rule: str) -> TrainStep:
  """Returns `step(state, batch, key) -> (state, metrics)`.

  All randomness of a step is a function of (key, state.step). Every metric is a float32 [] mean
  over the global batch, of the last discriminator update and of the generator update.

  Args:
    game: what is played.
    update_rule: one of UPDATE_RULES.
  """
  rule = UPDATE_RULES[update_rule].function

  def step(state, batch, key):
    images = to_range(batch.image, game.gan.image_range)
    labels = [None] * len(images) if batch.label is None else batch.label
    minibatches = [Examples(*pair) for pair in zip(images, labels, strict=True)]
    state, metrics = rule(game, state, minibatches, jax.random.fold_in(key, state.step))
    return _advance(state), metrics

  return step


def _advance(state: GanState) -> GanState:
  """Counts the step and moves the averages.

  The decay grows as (1 + t) / (10 + t) up to `ema_decay`, so that the average forgets the random
  initial generator at once.
  """
  generator, step = state.generator, state.step.astype(jnp.float32)
  rate = jnp.maximum(1 - state.hyperparameters.ema_decay, 9 / (10 + step))
  return state.replace(
    step=state.step + 1,
    ema_params=_average(state.ema_params, generator.params, rate),
    ema_model_state=_average(state.ema_model_state, generator.model_state, rate),
  )


def _average(average, now, rate):
  """Moves averages by `rate`; its complement, near 1, would lose the digits of a small one."""
  return jax.tree.map(lambda old, new: rate * new + (old - rate * old), average, now)
