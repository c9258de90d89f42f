"""Gradients of the two players' objectives, and what they do to the state."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from gan.errors import UserError
from gan.method import freezing, returned
from gan.method.game import Examples, Game, Metrics
from gan.method.lazy import SEPARATE
from gan.method.objectives import (
  Observations,
  discriminator_objective,
  generator_objective,
  penalty_objective,
)
from gan.method.play import placed
from gan.networks import BATCH_STATISTICS, ModelState, Params, at_least_float32
from gan.optimizers import changed
from gan.state import GanState, PlayerState
from gan.system.draws import BEYOND

Objective = Callable[..., tuple[Float[Array, ""], Observations]]


class Update(NamedTuple):
  """What one player proposes: a gradient, and what goes with it, as in Observations."""

  grads: Params
  model_state: ModelState
  aux_state: dict[str, Any]
  metrics: Metrics


def discriminator_update(
  game: Game, state: GanState, examples: Examples, key: Key[Array, ""]
) -> Update:
  """The gradient of `discriminator_objective` at `state`, averaged over devices."""
  return propose(discriminator_objective, "discriminator", game, state, examples, key)


def generator_update(
  game: Game, state: GanState, examples: Examples, key: Key[Array, ""]
) -> Update:
  """The gradient of `generator_objective` at `state`, averaged over devices."""
  return propose(generator_objective, "generator", game, state, examples, key)


def propose(
  objective: Objective,
  name: str,
  game: Game,
  state: GanState,
  examples: Examples,
  key: Key[Array, ""],
) -> Update:
  """The gradient of an objective at the parameters of the player `name`, averaged over devices."""
  if name == "generator" and game.generator_batch_size:
    examples = _resized(game, examples)
  if name == "discriminator":
    objective = _with_frozen(objective)
  examples = placed(examples, game.axis_name)
  gradient = _accumulated if game.accumulate > 1 else _gradient
  grads, seen = gradient(objective, name, game, state, examples, key)
  grads, metrics = jax.lax.pmean((grads, seen.metrics), game.axis_name)
  norm = optax.tree.norm(jax.tree.map(at_least_float32, grads))
  metrics |= {f"{name}_gradient_norm": norm}
  model_state = seen.model_state
  if BATCH_STATISTICS in model_state:  # perhaps of a layer that does not know the axis
    whole = jax.lax.pmean(model_state[BATCH_STATISTICS], game.axis_name)
    model_state = {**model_state, BATCH_STATISTICS: whole}
  return Update(grads, model_state, seen.aux_state, metrics)


def _with_frozen(objective: Objective) -> Objective:
  """The discriminator's objective, of whose frozen layers nothing is differentiated."""

  def frozen(params: Params, game: Game, *others: Any) -> tuple[Float[Array, ""], Observations]:
    return objective(freezing.constant(game, params), game, *others)

  return frozen


def _resized(game: Game, examples: Examples) -> Examples:
  """Selects S = generator_batch_size examples of B: those at i B // S for i < S."""
  count, devices = len(examples.real), jax.lax.psum(1, game.axis_name)
  share, rest = divmod(game.generator_batch_size, devices)
  if rest:
    raise UserError(
      f"generator_batch_size={game.generator_batch_size} is not divisible by the {devices} devices"
    )
  chosen = jnp.arange(share) * count // share
  labels = None if examples.labels is None else examples.labels[chosen]
  return Examples(examples.real[chosen], labels)


def _gradient(
  objective: Objective, name: str, game: Game, state: GanState, examples: Examples, key: Any
) -> tuple[Params, Observations]:
  params, kept = getattr(state, name).params, _moved_backward(game, state, name)
  if not kept:
    return jax.grad(objective, has_aux=True)(params, game, state, examples, key)

  def both(params: Params, kept: dict[str, Any]) -> tuple[Array, Observations]:
    before = state.replace(aux_state=state.aux_state | kept)
    return objective(params, game, before, examples, key)

  (grads, moved), seen = jax.grad(both, (0, 1), has_aux=True)(params, kept)
  return grads, seen._replace(aux_state=seen.aux_state | moved)


def _moved_backward(game: Game, state: GanState, name: str) -> dict[str, Any]:
  """What regularisers keep that moves as the generator's gradient is taken: see play.py.

  Raises:
    UserError: it has other numbers than floats.
  """
  parts = game.regularizers if name == "generator" else {}
  kept = {each: state.aux_state[each] for each, part in parts.items() if part.backward}
  for each, tree in kept.items():
    if not all(map(returned.is_real, jax.tree.leaves(tree))):
      raise UserError(f"the state of regularizer {each}, which has a `backward`, must be of floats")
  return kept


def _accumulated(
  objective: Objective, name: str, game: Game, state: GanState, examples: Examples, key: Any
) -> tuple[Params, Observations]:
  """The mean gradient over equal parts of a batch, each with the model state that the last left.

  What regularisers and the augmentation keep moves once: each part's update starts from what it was
  before, and floating-point numbers become their mean over parts, as that of a linear average does.
  """
  parts = game.accumulate
  if len(examples.real) % (parts * game.packing):
    raise UserError(
      f"accumulate={parts} does not divide the {len(examples.real)} examples of a device into "
      f"equal parts{f' of whole packs of {game.packing}' if game.packing > 1 else ''}"
    )
  split = jax.tree.map(lambda array: array.reshape(parts, -1, *array.shape[1:]), examples)

  def add(carry: tuple[ModelState, Params], part: Examples) -> tuple[Any, tuple[dict, Metrics]]:
    model_state, total = carry
    player = getattr(state, name).replace(model_state=model_state)
    grads, seen = _gradient(objective, name, game, state.replace(**{name: player}), part, key)
    total = jax.tree.map(jnp.add, total, grads)
    return (seen.model_state, total), (seen.aux_state, seen.metrics)

  player = getattr(state, name)
  start = player.model_state, jax.tree.map(jnp.zeros_like, player.params)
  (model_state, total), seen = jax.lax.scan(add, start, split)
  grads = jax.tree.map(lambda leaf: leaf / parts, total)
  return grads, Observations(model_state, *jax.tree.map(_mean_or_last, seen))


def _mean_or_last(values: Array) -> Array:
  """The mean over parts of floating-point values; of integers, such as counts, the last."""
  floating = jnp.issubdtype(values.dtype, jnp.floating)
  return jnp.mean(values, axis=0) if floating else values[-1]


def apply_discriminator(game: Game, state: GanState, update: Update) -> GanState:
  """Steps the discriminator, and clips its weights where the game says so."""
  hyper = state.hyperparameters
  player = _stepped(game, "discriminator", state, update)
  if game.clip_weights:
    clip = functools.partial(jnp.clip, min=-hyper.weight_clip, max=hyper.weight_clip)
    player = player.replace(params=jax.tree.map(clip, player.params))
  # Decay of weights moves them without a gradient, and so does clipping.
  params = freezing.held(game, player.params, state.discriminator.params)
  player = player.replace(params=params)
  return state.replace(discriminator=player, aux_state=state.aux_state | update.aux_state)


def update_discriminator(
  game: Game, state: GanState, examples: Examples, key: Key[Array, ""]
) -> tuple[GanState, Metrics]:
  """One update of the discriminator, and one of a lazy penalty that is due in a step of its own.

  The key of the second is another: each phase of StyleGAN2 has latents of its own.
  """
  update = discriminator_update(game, state, examples, key)
  state = apply_discriminator(game, state, update)
  if game.lazy_step != SEPARATE:
    return state, update.metrics

  def penalised(state: GanState) -> tuple[GanState, Array]:
    key_of_penalty = jax.random.fold_in(key, BEYOND)
    own = propose(penalty_objective, "discriminator", game, state, examples, key_of_penalty)
    return apply_discriminator(game, state, own), own.metrics["penalty"]

  def skipped(state: GanState) -> tuple[GanState, Array]:
    return state, jnp.zeros_like(update.metrics["discriminator_loss"])

  due = state.step % game.penalty_every == 0
  state, value = jax.lax.cond(due, penalised, skipped, state)
  return state, update.metrics | {"penalty": value}


def apply_generator(game: Game, state: GanState, update: Update) -> GanState:
  """Steps the generator."""
  player = _stepped(game, "generator", state, update)
  return state.replace(generator=player, aux_state=state.aux_state | update.aux_state)


def _as_before(new: Array, old: Array) -> Array:
  """An array of an optimiser's new state in the type that it had; UserError if that loses it."""
  if new.dtype == old.dtype:
    return new
  if not all(jnp.issubdtype(each.dtype, jnp.floating) for each in (new, old)):
    raise UserError(
      f"an optimizer's update makes {new.dtype} of the {old.dtype} in its state: keep its types"
    )
  return new.astype(old.dtype)


def _stepped(game: Game, name: str, state: GanState, update: Update) -> PlayerState:
  player, optimizer = getattr(state, name), game.optimizer_of(name)(state.hyperparameters)
  made = changed(optimizer, update.grads, player.opt_state, player.params)
  changes, opt_state = returned.update(made, player.params, player.opt_state, optimizer.update)
  # Rates are float32, and would make moments of bfloat16 parameters so.
  opt_state = jax.tree.map(_as_before, opt_state, player.opt_state)
  return PlayerState(optax.apply_updates(player.params, changes), update.model_state, opt_state)
