"""How the updates of two players make a step of the game.

A rule is a pair: `init` makes what it keeps from step to step, and `step(game, state, minibatches,
key) -> (state, metrics)` is a pure function that composes with any loss, penalty and optimiser, and
with `vmap` and `shard_map`. `minibatches` is a list with one entry for each discriminator update of
the step. Loops are unrolled: in the body of a loop XLA's CPU backend runs the kernel's gradient of
a convolution about 100 times slower, but for that of our own layers (`gan/models/plain.py`).
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from gan.errors import UserError
from gan.losses import Loss
from gan.method.game import Examples, Game, Metrics
from gan.method.objectives import Observations, generator_objective
from gan.method.updates import (
  apply_discriminator,
  apply_generator,
  discriminator_update,
  generator_update,
  propose,
)
from gan.networks import Params
from gan.state import GanState, PlayerState

# The smallest gradient that "unrolled" differentiates an optimiser at.
SMALLEST_GRADIENT = 1e-12

Minibatches = list[Examples]
Stepped = tuple[GanState, Metrics]


class UpdateRule(NamedTuple):
  """A rule as a pair of pure functions.

  Attributes:
    step: `(game, state, minibatches, key) -> (state, metrics)`.
    init: `(generator, discriminator) -> arrays`, kept in `GanState.aux_state["update_rule"]`; None
      where the rule keeps nothing.
    wrap: of each player's optax transformation, in `init` of the state and in each step.
    several: whether a step may hold several discriminator updates.
    in_parts: whether the gradient of a batch is the mean of those of its parts, `Game.accumulate`.
  """

  step: Callable[[Game, GanState, Minibatches, Key[Array, ""]], Stepped]
  init: Callable[[PlayerState, PlayerState], Any] | None = None
  wrap: Callable[[optax.GradientTransformation], optax.GradientTransformation] = lambda each: each
  several: bool = True
  in_parts: bool = True


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
      update = discriminator_update(game, state, examples, discriminator_key)
      state = apply_discriminator(game, state, update)
    generator = generator_update(game, state, minibatches[-1], generator_key)
    return apply_generator(game, state, generator), update.metrics | generator.metrics

  return UpdateRule(step)


def alternating_generator_first() -> UpdateRule:
  """One generator update, then K discriminator updates on fakes from before it.

  The first of them sees the very fakes that the generator's update was computed on, as in
  https://github.com/s-abdullah/FirstGAN. With K = 1 and no dropout this is `simultaneous`.
  """
  return UpdateRule(functools.partial(_generator_first, generator_update))


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
    update = discriminator_update(game, state, examples, discriminator_key)
    state = apply_discriminator(game, state, update)
  return state.replace(generator=stepped.generator), update.metrics | generator.metrics


def simultaneous() -> UpdateRule:
  """Both gradients at the same point and on the same fakes, as in Goodfellow et al.'s own code."""
  return UpdateRule(_simultaneous, several=False)


def _simultaneous(
  game: Game, state: GanState, minibatches: Minibatches, key: Key[Array, ""]
) -> Stepped:
  (examples,) = minibatches
  discriminator = discriminator_update(game, state, examples, key)
  generator = generator_update(game, state, examples, key)
  state = apply_generator(game, apply_discriminator(game, state, discriminator), generator)
  return state, discriminator.metrics | generator.metrics


def optimistic() -> UpdateRule:
  """Simultaneous play in which each step is twice the present one less the last, 2 u_t - u_(t-1).

  The first step is u_0. With SGD this is the optimistic gradient, with Adam the optimistic Adam of
  "Training GANs with Optimism" by Daskalakis et al., Algorithm 1
  (https://arxiv.org/abs/1711.00141).
  """

  def wrap(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    return optax.chain(optimizer, optax.scale_by_optimistic_gradient())

  return UpdateRule(_simultaneous, wrap=wrap, several=False)


def extragradient() -> UpdateRule:
  """Steps from the current point along the gradients of the point that a first step leads to.

  w' = w - h v(w), then w <- w - h v(w'), both on the same examples and latents. The optimisers'
  states move with each of the two steps.

  See "A Variational Inequality Perspective on Generative Adversarial Networks" by Gidel et al.,
  Algorithm 4 (https://arxiv.org/abs/1802.10551).
  """

  def step(game: Game, state: GanState, minibatches: Minibatches, key: Key[Array, ""]) -> Stepped:
    (examples,) = minibatches
    ahead, _ = _simultaneous(game, state, minibatches, key)
    discriminator = discriminator_update(game, ahead, examples, key)
    generator = generator_update(game, ahead, examples, key)
    back = _with_params(ahead, _params(state))
    stepped = apply_generator(game, apply_discriminator(game, back, discriminator), generator)
    return stepped, discriminator.metrics | generator.metrics

  return UpdateRule(step, several=False)


def consensus(*, consensus_weight: float | Array = 10.0) -> UpdateRule:
  """Simultaneous play that also reduces |v|^2, v the gradients of both players' losses.

  Both players' gradients v become v + gamma grad(|v|^2 / 2).

  See "The Numerics of GANs" by Mescheder et al., Algorithm 2 (https://arxiv.org/abs/1705.10461).

  Args:
    consensus_weight: gamma.
  """

  def step(game: Game, state: GanState, minibatches: Minibatches, key: Key[Array, ""]) -> Stepped:
    (examples,) = minibatches

    def field(params):
      moved = _with_params(state, params)
      updates = {
        "discriminator": discriminator_update(game, moved, examples, key),
        "generator": generator_update(game, moved, examples, key),
      }
      return {name: update.grads for name, update in updates.items()}, updates

    # grad(|v|^2 / 2) = J^T v, the pullback of the field on itself. v is averaged over devices
    # within `field`; the pullback holds this device's share of the average.
    v, pullback, updates = jax.vjp(field, _params(state), has_aux=True)
    (correction,) = jax.lax.pmean(pullback(v), game.axis_name)
    grads = jax.tree.map(lambda v, c: v + consensus_weight * c, v, correction)
    discriminator, generator = (
      updates[name]._replace(grads=grads[name]) for name in ("discriminator", "generator")
    )
    moved = apply_generator(game, apply_discriminator(game, state, discriminator), generator)
    return moved, discriminator.metrics | generator.metrics

  return UpdateRule(step, several=False)


def unrolled(*, unrolled_steps: int = 5) -> UpdateRule:
  """The generator foresees K discriminator updates and differentiates through them.

  The K updates are those of the discriminator's own optimiser, on the examples and latents of the
  generator's update. They are forgotten: the discriminator then makes its own updates from where it
  was, against the generator from before the step. With K = 0 this is `alternating_generator_first`.

  In a zero-sum game the generator has a say, by way of the foreseen updates, in what the
  discriminator makes of the data: its loss is minus the discriminator's, the data's part included.

  See "Unrolled Generative Adversarial Networks" by Metz et al., equations 9 to 11
  (https://arxiv.org/abs/1611.02163).

  Args:
    unrolled_steps: K.
  """
  objective = functools.partial(unrolled_objective, unrolled_steps=unrolled_steps)
  update = functools.partial(propose, objective, "generator")
  return UpdateRule(functools.partial(_generator_first, update), in_parts=False)


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
  """The loss, its generator's with the data's part that a zero-sum game has."""
  if not loss.zero_sum:
    return loss
  return loss._replace(
    generator=lambda real, fake, **options: -loss.discriminator(real, fake, **options)
  )


def _away_from_zero(grads: Array) -> Array:
  """Adam and RMSProp hold sqrt(grads^2), whose slope at 0 is not finite; the shift has none."""
  shift = jnp.where(jnp.abs(grads) < SMALLEST_GRADIENT, SMALLEST_GRADIENT - grads, 0)
  return grads + jax.lax.stop_gradient(shift)


def lookahead(
  *, lookahead_steps: int = 5, lookahead_alpha: float = 0.5, shared_latents: bool = False
) -> UpdateRule:
  """Alternating steps; after every k of them both players go back part of the way.

  On each k-th step slow <- slow + alpha (fast - slow), and fast <- slow.

  See "Taming GANs with Lookahead-Minmax" by Chavdarova et al., Algorithm 1
  (https://arxiv.org/abs/2006.14567).

  Args:
    lookahead_steps: k, fast steps between two interpolations.
    lookahead_alpha: share of the fast weights in one.
    shared_latents: as for `alternating`.
  """
  play = alternating(shared_latents=shared_latents).step

  def init(generator: PlayerState, discriminator: PlayerState) -> dict[str, Params]:
    # The slow weights are copies: donated states must not share buffers.
    params = {"generator": generator.params, "discriminator": discriminator.params}
    return jax.tree.map(jnp.copy, params)

  def step(game: Game, state: GanState, minibatches: Minibatches, key: Key[Array, ""]) -> Stepped:
    state, metrics = play(game, state, minibatches, key)
    fast, slow = _params(state), state.aux_state["update_rule"]
    met = optax.incremental_update(fast, slow, lookahead_alpha)
    due = (state.step + 1) % lookahead_steps == 0
    fast, slow = (
      jax.tree.map(functools.partial(jnp.where, due), met, params) for params in (fast, slow)
    )
    aux_state = state.aux_state | {"update_rule": slow}
    return _with_params(state, fast).replace(aux_state=aux_state), metrics

  return UpdateRule(step, init)


def _params(state: GanState) -> dict[str, Params]:
  return {"generator": state.generator.params, "discriminator": state.discriminator.params}


def _with_params(state: GanState, params: dict[str, Params]) -> GanState:
  return state.replace(
    generator=state.generator.replace(params=params["generator"]),
    discriminator=state.discriminator.replace(params=params["discriminator"]),
  )


class Entry(NamedTuple):
  """A rule by name, and what is known about it.

  Attributes:
    make: `(**options) -> UpdateRule`.
    summary: what a step does.
    source: paper.
    options: fields of a config that `make` takes.
  """

  make: Callable[..., UpdateRule]
  summary: str
  source: str
  options: tuple[str, ...] = ()


UPDATE_RULES: dict[str, Entry] = {
  "alternating": Entry(
    alternating,
    "K discriminator updates, then the generator",
    "Goodfellow et al. 2014, Algorithm 1, arXiv:1406.2661",
    ("shared_latents",),
  ),
  "alternating_generator_first": Entry(
    alternating_generator_first,
    "the generator, then K discriminator updates on fakes from before",
    "https://github.com/s-abdullah/FirstGAN",
  ),
  "simultaneous": Entry(
    simultaneous,
    "both gradients at the same point",
    "https://github.com/goodfeli/adversarial",
  ),
  "extragradient": Entry(
    extragradient,
    "from here, along the gradients of the point one step ahead",
    "Gidel et al. 2019, arXiv:1802.10551",
  ),
  "optimistic": Entry(
    optimistic,
    "simultaneous; each step is twice the present one less the last",
    "Daskalakis et al. 2018, arXiv:1711.00141",
  ),
  "consensus": Entry(
    consensus,
    "simultaneous, plus the gradient of the squared norm of both gradients",
    "Mescheder et al. 2017, arXiv:1705.10461",
    ("consensus_weight",),
  ),
  "unrolled": Entry(
    unrolled,
    "the generator differentiates through K foreseen discriminator updates",
    "Metz et al. 2017, arXiv:1611.02163",
    ("unrolled_steps",),
  ),
  "lookahead": Entry(
    lookahead,
    "alternating; every k steps both players go half of the way back",
    "Chavdarova et al. 2021, arXiv:2006.14567",
    ("lookahead_steps", "shared_latents"),
  ),
}


def check(update_rule: str, rule: UpdateRule, discriminator_steps: int, accumulate: int) -> None:
  """Checks that a rule can hold so many discriminator updates, of batches in so many parts.

  Args:
    update_rule: key of UPDATE_RULES.
    rule: what it made.
    discriminator_steps: discriminator updates in a step.
    accumulate: parts of a batch.

  Raises:
    UserError: the rule is defined for one update only, or for whole batches.
  """
  if discriminator_steps > 1 and not rule.several:
    raise UserError(
      f"--update_rule={update_rule} updates both players once: --discriminator_steps must be 1, "
      f"not {discriminator_steps}; {_those('several')} take more"
    )
  if accumulate > 1 and not rule.in_parts:
    raise UserError(
      f"--update_rule={update_rule} foresees updates on the whole batch: --accumulate must be 1, "
      f"not {accumulate}; {_those('in_parts')} take more"
    )


def _those(ability: str) -> str:
  return ", ".join(name for name, rule in UPDATE_RULES.items() if getattr(rule.make(), ability))
