"""The shape of an update rule, and what its functions share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import optax
from jaxtyping import Array, Key

from gan.method.game import Examples, Game, Metrics
from gan.networks import Params
from gan.state import GanState, PlayerState
from gan.system.recipe import Recipe

Minibatches = list[Examples]
Stepped = tuple[GanState, Metrics]


class UpdateRule(NamedTuple):
  """A rule as a pair of pure functions.

  Attributes:
    init: `(generator, discriminator) -> arrays`, kept in `GanState.aux_state["update_rule"]`; None
      where the rule keeps nothing.
    step: `(game, state, minibatches, key) -> (state, metrics)`, metrics [] each, by name.
    wrap: of each player's optax transformation, in `init` of the state and in each step.
    several: whether a step may hold several discriminator updates.
    in_parts: whether the gradient of a batch is the mean of those of its parts, `Game.accumulate`.
    first_order: whether a step needs no more of the objectives than their gradients, and none of
      the gradients' own.
    adversarial: whether the players play the game's loss; else the rule moves the generator alone.
    penalty_steps: whether each discriminator update of a step is `updates.update_discriminator`,
      so that a lazy penalty may have a step of its own, `Game.lazy_step`.
    least_batch: examples that a step needs, over all devices.
    recipe: how it was made by a function of UPDATE_RULES, or None.

  Examples:
    A rule of two alternating steps on the same examples:

    >>> import gan, jax
    >>> once = gan.alternating().step
    >>> def twice(game, state, minibatches, key):
    ...   first, second = jax.random.split(key)
    ...   state, _ = once(game, state, minibatches, first)
    ...   return once(game, state, minibatches, second)
    >>> gan.UpdateRule(init=None, step=twice).several
    True
  """

  init: Callable[[PlayerState, PlayerState], Any] | None
  step: Callable[[Game, GanState, Minibatches, Key[Array, ""]], Stepped]
  wrap: Callable[[optax.GradientTransformation], optax.GradientTransformation] = lambda each: each
  several: bool = True
  in_parts: bool = True
  first_order: bool = True
  adversarial: bool = True
  penalty_steps: bool = False
  least_batch: int = 1
  recipe: Recipe | None = None


def params_of(state: GanState) -> dict[str, Params]:
  """The parameters of both players."""
  return {"generator": state.generator.params, "discriminator": state.discriminator.params}


def with_params(state: GanState, params: dict[str, Params]) -> GanState:
  """The state with other parameters of both players."""
  return state.replace(
    generator=state.generator.replace(params=params["generator"]),
    discriminator=state.discriminator.replace(params=params["discriminator"]),
  )
