"""How the updates of two players make a step of the game.

A rule is `(game, state, minibatches, key) -> (state, metrics)`: a pure function that composes with
any loss, penalty and optimiser, and with `vmap` and `shard_map`. `minibatches` is a list with one
entry for each discriminator update of the step. Loops are unrolled: in the body of a
loop XLA's CPU backend runs the kernel's gradient of a convolution about 100 times slower, but for
that of our own layers (`gan/models/plain.py`).
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from gan.errors import UserError
from gan.game import (
  Examples,
  Game,
  Metrics,
  Observations,
  apply_discriminator,
  apply_generator,
  discriminator_update,
  generator_objective,
  generator_update,
  propose,
)
from gan.losses import Loss
from gan.networks import Params
from gan.optimizers import Optimizer
from gan.state import GanState

# The smallest gradient that "unrolled" differentiates an optimiser at.
SMALLEST_GRADIENT = 1e-12


def alternating(
  game: Game, state: GanState, minibatches: list[Examples], key: Key[Array, ""]
) -> tuple[GanState, Metrics]:
  """K discriminator updates, then one generator update against the result.

  Algorithm 1 of "Generative Adversarial Nets" by Goodfellow et al.
  (https://arxiv.org/abs/1406.2661), which draws latents for each update. With
  `game.shared_latents` the generator's update has the key of the last discriminator update, hence
  its fakes, dropout masks and instance noise: the generator has not moved in between, and the
  compiler makes one pass of both.
  """
  *keys, generator_key = jax.random.split(key, len(minibatches) + 1)
  if game.shared_latents:
    generator_key = keys[-1]
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
  return _generator_first(generator_update, game, state, minibatches, key)


def _generator_first(update_generator, game, state, minibatches, key):
  keys = jax.random.split(key, len(minibatches))
  generator = update_generator(game, state, minibatches[0], keys[0])
  stepped = apply_generator(game, state, generator)
  for examples, discriminator_key in zip(minibatches, keys, strict=True):
    update = discriminator_update(game, state, examples, discriminator_key)
    state = apply_discriminator(game, state, update)
  return state.replace(generator=stepped.generator), update.metrics | generator.metrics


def simultaneous(
  game: Game, state: GanState, minibatches: list[Examples], key: Key[Array, ""]
) -> tuple[GanState, Metrics]:
  """Both gradients at the same point and on the same fakes, as in Goodfellow et al.'s own code.

  With optimisers wrapped by `wrap_optimizer` this is also the rule "optimistic".
  """
  (examples,) = minibatches
  discriminator = discriminator_update(game, state, examples, key)
  generator = generator_update(game, state, examples, key)
  state = apply_generator(game, apply_discriminator(game, state, discriminator), generator)
  return state, discriminator.metrics | generator.metrics


def extragradient(
  game: Game, state: GanState, minibatches: list[Examples], key: Key[Array, ""]
) -> tuple[GanState, Metrics]:
  """Steps from the current point along the gradients of the point that a first step leads to.

  w' = w - h v(w), then w <- w - h v(w'), both on the same examples and latents. The optimisers'
  states move with each of the two steps.

  See "A Variational Inequality Perspective on Generative Adversarial Networks" by Gidel et al.,
  Algorithm 4 (https://arxiv.org/abs/1802.10551).
  """
  (examples,) = minibatches
  ahead, _ = simultaneous(game, state, minibatches, key)
  discriminator = discriminator_update(game, ahead, examples, key)
  generator = generator_update(game, ahead, examples, key)
  back = _with_params(ahead, _params(state))
  stepped = apply_generator(game, apply_discriminator(game, back, discriminator), generator)
  return stepped, discriminator.metrics | generator.metrics


def consensus(
  game: Game, state: GanState, minibatches: list[Examples], key: Key[Array, ""]
) -> tuple[GanState, Metrics]:
  """Simultaneous play that also reduces |v|^2, v the gradients of both players' losses.

  Both players' gradients v become v + gamma grad(|v|^2 / 2), gamma = `game.consensus_weight`.

  See "The Numerics of GANs" by Mescheder et al., Algorithm 2 (https://arxiv.org/abs/1705.10461).
  """
  (examples,) = minibatches

  def field(params):
    moved = _with_params(state, params)
    updates = {
      "discriminator": discriminator_update(game, moved, examples, key),
      "generator": generator_update(game, moved, examples, key),
    }
    return {name: update.grads for name, update in updates.items()}, updates

  # grad(|v|^2 / 2) = J^T v, the pullback of the field on itself. v is averaged over devices within
  # `field`; the pullback holds this device's share of the average.
  v, pullback, updates = jax.vjp(field, _params(state), has_aux=True)
  (correction,) = jax.lax.pmean(pullback(v), game.axis_name)
  grads = jax.tree.map(lambda v, c: v + game.consensus_weight * c, v, correction)
  discriminator, generator = (
    updates[name]._replace(grads=grads[name]) for name in ("discriminator", "generator")
  )
  state = apply_generator(game, apply_discriminator(game, state, discriminator), generator)
  return state, discriminator.metrics | generator.metrics


def unrolled(
  game: Game, state: GanState, minibatches: list[Examples], key: Key[Array, ""]
) -> tuple[GanState, Metrics]:
  """The generator foresees K discriminator updates and differentiates through them.

  The K updates, `game.unrolled_steps` of them, are those of the discriminator's own optimiser, on
  the examples and latents of the generator's update. They are forgotten: the discriminator then
  makes its own updates from where it was, against the generator from before the step. With K = 0
  this is `alternating_generator_first`.

  In a zero-sum game the generator has a say, by way of the foreseen updates, in what the
  discriminator makes of the data: its loss is minus the discriminator's, the data's part included.

  See "Unrolled Generative Adversarial Networks" by Metz et al., equations 9 to 11
  (https://arxiv.org/abs/1611.02163).
  """
  update = functools.partial(propose, unrolled_objective, "generator")
  return _generator_first(update, game, state, minibatches, key)


def unrolled_objective(
  params: Params, game: Game, state: GanState, examples: Examples, key: Key[Array, ""]
) -> tuple[Float[Array, ""], Observations]:
  """The generator's loss at `params`, against the discriminator that K updates lead to."""
  foreseen = state.replace(generator=state.generator.replace(params=params))
  for _ in range(game.unrolled_steps):
    update = discriminator_update(game, foreseen, examples, key)
    update = update._replace(grads=jax.tree.map(_away_from_zero, update.grads))
    foreseen = apply_discriminator(game, foreseen, update)
  whole = game._replace(loss=lambda hyper: _with_data(game.loss(hyper)))
  return generator_objective(params, whole, foreseen, examples, key)


def _with_data(loss: Loss) -> Loss:
  """The loss, its generator's with the data's part that a zero-sum game has."""
  if not loss.zero_sum:
    return loss
  return loss._replace(generator=lambda real, fake: -loss.discriminator(real, fake))


def _away_from_zero(grads):
  """Adam and RMSProp hold sqrt(grads^2), whose slope at 0 is not finite; the shift has none."""
  shift = jnp.where(jnp.abs(grads) < SMALLEST_GRADIENT, SMALLEST_GRADIENT - grads, 0)
  return grads + jax.lax.stop_gradient(shift)


def lookahead(
  game: Game, state: GanState, minibatches: list[Examples], key: Key[Array, ""]
) -> tuple[GanState, Metrics]:
  """Alternating steps; after every k of them both players go back part of the way.

  On each k-th step, k = `game.lookahead_steps`, slow <- slow + alpha (fast - slow) with
  alpha = `game.lookahead_alpha`, and fast <- slow. Needs the memory "lookahead".

  See "Taming GANs with Lookahead-Minmax" by Chavdarova et al., Algorithm 1
  (https://arxiv.org/abs/2006.14567).
  """
  state, metrics = alternating(game, state, minibatches, key)
  fast, slow = _params(state), state.memory["lookahead"]
  met = optax.incremental_update(fast, slow, game.lookahead_alpha)
  due = (state.step + 1) % game.lookahead_steps == 0
  fast, slow = (
    jax.tree.map(functools.partial(jnp.where, due), met, params) for params in (fast, slow)
  )
  memory = state.memory | {"lookahead": slow}
  return _with_params(state, fast).replace(memory=memory), metrics


def _params(state):
  return {"generator": state.generator.params, "discriminator": state.discriminator.params}


def _with_params(state, params):
  return state.replace(
    generator=state.generator.replace(params=params["generator"]),
    discriminator=state.discriminator.replace(params=params["discriminator"]),
  )


class UpdateRule(NamedTuple):
  """A rule and what is known about it.

  Attributes:
    function: `(game, state, minibatches, key) -> (state, metrics)`.
    several: whether a step may hold several discriminator updates.
    summary: what a step does.
    source: paper.
  """

  function: Callable[..., tuple[GanState, Metrics]]
  several: bool
  summary: str
  source: str


UPDATE_RULES: dict[str, UpdateRule] = {
  "alternating": UpdateRule(
    alternating,
    True,
    "K discriminator updates, then the generator",
    "Goodfellow et al. 2014, Algorithm 1, arXiv:1406.2661",
  ),
  "alternating_generator_first": UpdateRule(
    alternating_generator_first,
    True,
    "the generator, then K discriminator updates on fakes from before",
    "https://github.com/s-abdullah/FirstGAN",
  ),
  "simultaneous": UpdateRule(
    simultaneous,
    False,
    "both gradients at the same point",
    "https://github.com/goodfeli/adversarial",
  ),
  "extragradient": UpdateRule(
    extragradient,
    False,
    "from here, along the gradients of the point one step ahead",
    "Gidel et al. 2019, arXiv:1802.10551",
  ),
  "optimistic": UpdateRule(
    simultaneous,
    False,
    "simultaneous; each step is twice the present one less the last",
    "Daskalakis et al. 2018, arXiv:1711.00141",
  ),
  "consensus": UpdateRule(
    consensus,
    False,
    "simultaneous, plus the gradient of the squared norm of both gradients",
    "Mescheder et al. 2017, arXiv:1705.10461",
  ),
  "unrolled": UpdateRule(
    unrolled,
    True,
    "the generator differentiates through K foreseen discriminator updates",
    "Metz et al. 2017, arXiv:1611.02163",
  ),
  "lookahead": UpdateRule(
    lookahead,
    True,
    "alternating; every k steps both players go half of the way back",
    "Chavdarova et al. 2021, arXiv:2006.14567",
  ),
}


def validate(update_rule: str, discriminator_steps: int) -> None:
  """Checks that a rule can hold so many discriminator updates.

  Args:
    update_rule: key of UPDATE_RULES.
    discriminator_steps: discriminator updates in a step.

  Raises:
    UserError: the rule is defined for one update only.
  """
  if discriminator_steps == 1 or UPDATE_RULES[update_rule].several:
    return
  several = [name for name, rule in UPDATE_RULES.items() if rule.several]
  raise UserError(
    f"--update_rule={update_rule} updates both players once: --discriminator_steps must be 1, "
    f"not {discriminator_steps}; {', '.join(several)} take more"
  )


def wrap_optimizer(update_rule: str, optimizer: Optimizer) -> Optimizer:
  """Returns the optimiser as both the Game and `init_state` need it under a rule.

  "optimistic" makes each step u_t of the optimiser 2 u_t - u_(t-1), the first step u_0: with SGD
  the optimistic gradient, with Adam the optimistic Adam of "Training GANs with Optimism" by
  Daskalakis et al., Algorithm 1 (https://arxiv.org/abs/1711.00141).

  Args:
    update_rule: key of UPDATE_RULES.
    optimizer: `hyperparameters -> optax.GradientTransformation`.
  """
  if update_rule != "optimistic":
    return optimizer
  return lambda hyper: optax.chain(optimizer(hyper), optax.scale_by_optimistic_gradient())


def memories(update_rule: str, *, lecam: bool) -> tuple[str, ...]:
  """Returns the keys of `state.MEMORIES` that `init_state` must fill.

  Args:
    update_rule: key of UPDATE_RULES.
    lecam: whether the game has the LeCam regulariser.
  """
  needed = {"lookahead": update_rule == "lookahead", "lecam": lecam}
  return tuple(name for name, need in needed.items() if need)
