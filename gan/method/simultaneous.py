"""Rules that update both players from gradients at the same point."""

import jax
import optax
from jaxtyping import Array, Key

from gan.method.game import Game
from gan.method.rule import Minibatches, Stepped, UpdateRule, params_of, with_params
from gan.method.updates import (
  Update,
  apply_discriminator,
  apply_generator,
  discriminator_update,
  generator_update,
)
from gan.networks import Params
from gan.state import GanState
from gan.system.recipe import recorded
from gan.system.schema import check, within


@recorded
def simultaneous() -> UpdateRule:
  """Both gradients at the same point and on the same fakes, as in Goodfellow et al.'s own code.

  See `sgd.py` of https://github.com/goodfeli/adversarial.
  """
  return UpdateRule(init=None, step=_simultaneous, several=False)


def _simultaneous(
  game: Game, state: GanState, minibatches: Minibatches, key: Key[Array, ""]
) -> Stepped:
  (examples,) = minibatches
  discriminator = discriminator_update(game, state, examples, key)
  generator = generator_update(game, state, examples, key)
  state = apply_generator(game, apply_discriminator(game, state, discriminator), generator)
  return state, discriminator.metrics | generator.metrics


@recorded
def optimistic() -> UpdateRule:
  """Simultaneous play in which each step is twice the present one less the last, 2 u_t - u_(t-1).

  The first step is u_0. With SGD this is the optimistic gradient, with Adam the optimistic Adam of
  "Training GANs with Optimism" by Daskalakis et al., Algorithm 1
  (https://arxiv.org/abs/1711.00141).
  """

  def wrap(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    return optax.chain(optimizer, optax.scale_by_optimistic_gradient())

  return UpdateRule(init=None, step=_simultaneous, wrap=wrap, several=False)


@recorded
def extragradient() -> UpdateRule:
  """Steps from the current point along the gradients of the point that a first step leads to.

  w' = w - h v(w), then w <- w - h v(w'), both on the same examples and latents. The optimisers'
  states move with each of the two steps, what regularisers, losses and augmentations keep with the
  second alone.

  See "A Variational Inequality Perspective on Generative Adversarial Networks" by Gidel et al.,
  Algorithm 4 (https://arxiv.org/abs/1802.10551).
  """

  def step(game: Game, state: GanState, minibatches: Minibatches, key: Key[Array, ""]) -> Stepped:
    (examples,) = minibatches
    ahead, _ = _simultaneous(game, state, minibatches, key)
    ahead = ahead.replace(aux_state=state.aux_state)  # as counts and averages are of examples
    discriminator = discriminator_update(game, ahead, examples, key)
    generator = generator_update(game, ahead, examples, key)
    back = with_params(ahead, params_of(state))
    stepped = apply_generator(game, apply_discriminator(game, back, discriminator), generator)
    return stepped, discriminator.metrics | generator.metrics

  return UpdateRule(init=None, step=step, several=False)


@recorded
def consensus(*, consensus_weight: float | Array = 10.0) -> UpdateRule:
  """Simultaneous play that also reduces |v|^2, v the gradients of both players' losses.

  Both players' gradients v become v + gamma grad(|v|^2 / 2).

  See "The Numerics of GANs" by Mescheder et al., Algorithm 2 (https://arxiv.org/abs/1705.10461).

  Args:
    consensus_weight: gamma, [].
  """
  check("consensus_weight", consensus_weight, within(0))

  def step(game: Game, state: GanState, minibatches: Minibatches, key: Key[Array, ""]) -> Stepped:
    (examples,) = minibatches

    def field(params: dict[str, Params]) -> tuple[dict[str, Params], dict[str, Update]]:
      moved = with_params(state, params)
      updates = {
        "discriminator": discriminator_update(game, moved, examples, key),
        "generator": generator_update(game, moved, examples, key),
      }
      return {name: update.grads for name, update in updates.items()}, updates

    # grad(|v|^2 / 2) = J^T v, the pullback of the field on itself. v is averaged over devices
    # within `field`; the pullback holds this device's share of the average.
    v, pullback, updates = jax.vjp(field, params_of(state), has_aux=True)
    (correction,) = jax.lax.pmean(pullback(v), game.axis_name)
    grads = jax.tree.map(lambda v, c: v + consensus_weight * c, v, correction)
    discriminator, generator = (
      updates[name]._replace(grads=grads[name]) for name in ("discriminator", "generator")
    )
    moved = apply_generator(game, apply_discriminator(game, state, discriminator), generator)
    return moved, discriminator.metrics | generator.metrics

  return UpdateRule(init=None, step=step, several=False, first_order=False)
