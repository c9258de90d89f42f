"""Rules that update one player after the other."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from gan.losses import Loss
from gan.method.game import Examples, Game
from gan.method.objectives import Observations, generator_objective
from gan.method.rule import Minibatches, Stepped, UpdateRule, params_of, with_params
from gan.method.updates import (
  apply_discriminator,
  apply_generator,
  discriminator_update,
  generator_update,
  propose,
  update_discriminator,
)
from gan.networks import Params
from gan.state import GanState, PlayerState
from gan.system.recipe import recorded
from gan.system.schema import Kind, are_finite, check, check_whole

SHARE = Kind("a number from 0 to 1", lambda it: are_finite(it, 0, math.nextafter(1, 2)))
# The smallest gradient that "unrolled" differentiates an optimiser at.
SMALLEST_GRADIENT = 1e-12


@recorded
def alternating(*, shared_latents: bool = False) -> UpdateRule:
  """K discriminator updates, then one generator update against the result.

  Algorithm 1 of "Generative Adversarial Nets" by Goodfellow et al.
  (https://arxiv.org/abs/1406.2661), which draws latents for each update.

  Args:
    shared_latents: the generator's update has the key of the last discriminator update, hence its
      fakes, dropout masks and augmentation: the generator has not moved in between, and the
      compiler makes one pass of both.
  """

  def step(game: Game, state: GanState, minibatches: Minibatches, key: Key[Array, ""]) -> Stepped:
    *keys, generator_key = jax.random.split(key, len(minibatches) + 1)
    if shared_latents:
      generator_key = keys[-1]
    for examples, discriminator_key in zip(minibatches, keys, strict=True):
      state, metrics = update_discriminator(game, state, examples, discriminator_key)
    generator = generator_update(game, state, minibatches[-1], generator_key)
    return apply_generator(game, state, generator), metrics | generator.metrics

  return UpdateRule(init=None, step=step, penalty_steps=True)


@recorded
def alternating_generator_first() -> UpdateRule:
  """One generator update, then K discriminator updates on fakes from before it.

  The first of them sees the very fakes that the generator's update was computed on, as in
  https://github.com/s-abdullah/FirstGAN. With K = 1 and no dropout this is `simultaneous`.
  """
  step = functools.partial(_generator_first, generator_update)
  return UpdateRule(init=None, step=step, penalty_steps=True)


def _generator_first(
  update_generator: Callable,
  game: Game,
  state: GanState,
  minibatches: Minibatches,
  key: Key[Array, ""],
) -> Stepped:
  keys = jax.random.split(key, len(minibatches))
  generator = update_generator(game, state, minibatches[0], keys[0])
  stepped = apply_generator(game, state, generator)
  for examples, discriminator_key in zip(minibatches, keys, strict=True):
    state, metrics = update_discriminator(game, state, examples, discriminator_key)
  aux_state = state.aux_state | generator.aux_state
  state = state.replace(generator=stepped.generator, aux_state=aux_state)
  return state, metrics | generator.metrics


@recorded
def unrolled(*, unrolled_steps: int = 5) -> UpdateRule:
  """The generator foresees K discriminator updates and differentiates through them.

  The K updates are those of the discriminator's own optimiser, on the examples and latents of the
  generator's update. They are forgotten: the discriminator then makes its own updates from where it
  was, against the generator from before the step. With K = 0 this is `alternating_generator_first`.

  In a zero-sum game the generator's loss is minus the discriminator's, the term of the real data
  included: that term depends on the generator through the foreseen updates.

  See "Unrolled Generative Adversarial Networks" by Metz et al., equations 9 to 11
  (https://arxiv.org/abs/1611.02163).

  Args:
    unrolled_steps: K.

  Examples:
    >>> import gan, jax, jax.numpy as jnp
    >>> players = gan.models.build("points", gan.ModelSpec((2,), latent_dim=4, width=8))
    >>> game = gan.Game(**players._asdict(), update_rule=gan.unrolled(unrolled_steps=2))
    >>> state = game.init(jax.random.key(0))
    >>> batch = gan.Batch(jnp.zeros((1, 16, 2)), None)  # [K, B, ...]
    >>> state, metrics = jax.jit(game.step)(state, batch, jax.random.key(1))
    >>> int(state.step)
    1
  """
  check_whole("unrolled_steps", unrolled_steps, least=0)
  objective = functools.partial(unrolled_objective, unrolled_steps=unrolled_steps)
  update = functools.partial(propose, objective, "generator")
  step = functools.partial(_generator_first, update)
  return UpdateRule(init=None, step=step, in_parts=False, first_order=False)


def unrolled_objective(
  params: Params,
  game: Game,
  state: GanState,
  examples: Examples,
  key: Key[Array, ""],
  *,
  unrolled_steps: int,
) -> tuple[Float[Array, ""], Observations]:
  """The generator's loss at `params`, against the discriminator that K updates lead to."""
  foreseen = state.replace(generator=state.generator.replace(params=params))
  for _ in range(unrolled_steps):
    update = discriminator_update(game, foreseen, examples, key)
    update = update._replace(grads=jax.tree.map(_away_from_zero, update.grads))
    foreseen = apply_discriminator(game, foreseen, update)
  return generator_objective(
    params, game.replace(loss=_with_data(game.loss)), foreseen, examples, key
  )


def _with_data(loss: Loss) -> Loss:
  """A zero-sum loss whose generator minimises minus all of D's loss: that on the data too."""
  if not loss.zero_sum:
    return loss
  return loss._replace(
    generator=lambda real, fake, **options: -loss.discriminator(real, fake, **options)
  )


def _away_from_zero(grads: Array) -> Array:
  """Adam and RMSProp hold sqrt(grads^2), whose slope at 0 is not finite; the shift has none."""
  shift = jnp.where(jnp.abs(grads) < SMALLEST_GRADIENT, SMALLEST_GRADIENT - grads, 0)
  return grads + jax.lax.stop_gradient(shift)


@recorded
def lookahead(
  *, lookahead_steps: int = 5, lookahead_alpha: float = 0.5, shared_latents: bool = False
) -> UpdateRule:
  """Alternating steps; after every k of them both players go back part of the way.

  On each k-th step slow <- slow + alpha (fast - slow), and fast <- slow.

  See "Taming GANs with Lookahead-Minmax" by Chavdarova et al., Algorithm 1
  (https://arxiv.org/abs/2006.14567).

  Args:
    lookahead_steps: k, fast steps between two interpolations.
    lookahead_alpha: share, at most 1, of the way to the fast weights that an interpolation goes.
    shared_latents: as for `alternating`.
  """
  check_whole("lookahead_steps", lookahead_steps, least=1)
  check("lookahead_alpha", lookahead_alpha, SHARE)
  play = alternating(shared_latents=shared_latents).step

  def init(generator: PlayerState, discriminator: PlayerState) -> dict[str, Params]:
    # The slow weights are copies: donated states must not share buffers.
    params = {"generator": generator.params, "discriminator": discriminator.params}
    return jax.tree.map(jnp.copy, params)

  def step(game: Game, state: GanState, minibatches: Minibatches, key: Key[Array, ""]) -> Stepped:
    state, metrics = play(game, state, minibatches, key)
    fast, slow = params_of(state), state.aux_state["update_rule"]
    met = optax.incremental_update(fast, slow, lookahead_alpha)
    due = (state.step + 1) % lookahead_steps == 0
    fast, slow = (
      jax.tree.map(functools.partial(jnp.where, due), met, params) for params in (fast, slow)
    )
    aux_state = state.aux_state | {"update_rule": slow}
    return with_params(state, fast).replace(aux_state=aux_state), metrics

  return UpdateRule(init=init, step=step, penalty_steps=True)
