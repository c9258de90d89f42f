"""How the updates of two players make a step of the game.

A rule is `(game, state, minibatches, key) -> (state, metrics)`: a pure function that composes with any
loss, penalty and optimiser, and with `vmap` and `shard_map`.
"""

from collections.abc import Callable

import jax
from jaxtyping import Array, Key

from gan.game import (
  Examples,
  Game,
  Metrics,
  apply_discriminator,
  apply_generator,
  discriminator_update,
  generator_update,
)
from gan.state import GanState


def alternating(
  game: Game, state: GanState, minibatches: list[Examples], key: Key[Array, ""]
) -> tuple[GanState, Metrics]:
  """K discriminator updates, then one generator update against the result.

  Algorithm 1 of "Generative Adversarial Nets" by Goodfellow et al. (arXiv 1406.2661). The loop is
  unrolled: inside `lax.scan` XLA's CPU backend runs the weight gradient of a convolution about 100
  times slower.
  """
  *keys, generator_key = jax.random.split(key, len(minibatches) + 1)
  for examples, discriminator_key in zip(minibatches, keys, strict=True):
    update = discriminator_update(game, state, examples, discriminator_key)
    state = apply_discriminator(game, state, update)
  generator = generator_update(game, state, minibatches[-1], generator_key)
  return apply_generator(game, state, generator), update.metrics | generator.metrics


def alternating_generator_first(
  game: Game, state: GanState, minibatches: list[Examples], key: Key[Array, ""]
) -> tuple[GanState, Metrics]:
  """One generator update, then K discriminator updates on fakes from before it.

  The first of them sees the very fakes that the generator's update was computed on, as in
  https://github.com/s-abdullah/FirstGAN. With K = 1 and no dropout this is `simultaneous`.
  """
  keys = jax.random.split(key, len(minibatches))
  generator = generator_update(game, state, minibatches[0], keys[0])
  stepped = apply_generator(game, state, generator)
  for examples, discriminator_key in zip(minibatches, keys, strict=True):
    update = discriminator_update(game, state, examples, discriminator_key)
    state = apply_discriminator(game, state, update)
  return state.replace(generator=stepped.generator), update.metrics | generator.metrics


def simultaneous(
  game: Game, state: GanState, minibatches: list[Examples], key: Key[Array, ""]
) -> tuple[GanState, Metrics]:
  """Both gradients at the same point and on the same fakes, as in Goodfellow et al.'s own code."""
  (examples,) = minibatches
  discriminator = discriminator_update(game, state, examples, key)
  generator = generator_update(game, state, examples, key)
  state = apply_generator(game, apply_discriminator(game, state, discriminator), generator)
  return state, discriminator.metrics | generator.metrics


UPDATE_RULES: dict[str, Callable[..., tuple[GanState, Metrics]]] = {
  "alternating": alternating,
  "alternating_generator_first": alternating_generator_first,
  "simultaneous": simultaneous,
}
