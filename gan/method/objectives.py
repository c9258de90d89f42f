"""What each player minimises: the two objectives, and the terms of which they are made.

Nothing here branches on devices. `axis_name` names the mapped axes that hold the rest of the
batch: `jax.lax.pmean(x, ())` is the identity and `jax.lax.axis_index(())` is 0, so the same code
runs under `jit`, `vmap`, `jax.shard_map` and `jax.pmap`. The hyper-parameters of a state that comes
here are those of the step, schedules included.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from gan.augment import as_augmentation
from gan.errors import UserError
from gan.losses import Loss
from gan.method import returned
from gan.method.game import GAME_METRICS, Examples, Game, Metrics
from gan.method.lazy import SEPARATE
from gan.method.play import Keys, bound_loss, example_keys, placed, play
from gan.networks import ModelState, Params, pack
from gan.penalties import with_options
from gan.regularizers import View
from gan.state import GanState
from gan.system.draws import BEYOND


class Observations(NamedTuple):
  """What an objective yields beside its value.

  Attributes:
    model_state: new model state of the player.
    aux_state: new entries of `GanState.aux_state`.
    metrics: of the step, by the names of STEP_METRICS and of one's own regularisers.
  """

  model_state: ModelState
  aux_state: dict[str, Any]
  metrics: Metrics


def discriminator_objective(
  params: Params, game: Game, state: GanState, examples: Examples, key: Key[Array, ""]
) -> tuple[Float[Array, ""], Observations]:
  """The discriminator's loss at `params`, against the generator of `state`."""
  state = state.replace(discriminator=state.discriminator.replace(params=params))
  hyper, keys = state.hyperparameters, Keys.of(key)
  examples = placed(examples, game.axis_name)
  view, state, _ = play(game, state, examples, keys, "discriminator")
  adversarial = bound_loss(game, hyper)
  real_logits, fake_logits = view.real_outputs.logits, view.fake_outputs.logits
  loss = _mean_loss(adversarial, "discriminator", view, state)
  penalty, penalty_metrics = _penalty(game, state, view, examples, keys)
  terms, term_metrics = _terms("discriminator", game, state, view)
  metrics = {
    "discriminator_loss": loss,
    "real_logit": jnp.mean(real_logits),
    "fake_logit": jnp.mean(fake_logits),
    "real_probability": jnp.mean(jax.nn.sigmoid(real_logits)),
    "fake_probability": jnp.mean(jax.nn.sigmoid(fake_logits)),
    "real_accuracy": jnp.mean(real_logits > view.thresholds[0]),
    "fake_accuracy": jnp.mean(fake_logits < view.thresholds[1]),
  }
  keeping = dict(game.regularizers)
  if game.augment is not None:
    keeping["augmentation"] = as_augmentation(game.augment)
  moved = {
    name: returned.same_tree(
      part.update(_own(view, game, name), kept := state.aux_state[name]),
      kept,
      f"update of {name}",
      part.update,
    )
    for name, part in keeping.items()
    if part.update
  }
  kept_by_loss, loss_metrics = _moved_loss(adversarial, view, state)
  return hyper.discriminator_loss_scale * loss + penalty + terms, Observations(
    state.discriminator.model_state,
    jax.lax.stop_gradient(moved | kept_by_loss),
    metrics | loss_metrics | penalty_metrics | term_metrics,
  )


def penalty_objective(
  params: Params, game: Game, state: GanState, examples: Examples, key: Key[Array, ""]
) -> tuple[Float[Array, ""], Observations]:
  """A lazy penalty alone at `params`, times its weight and its interval; D's state stays."""
  model_state = state.discriminator.model_state
  state = state.replace(discriminator=state.discriminator.replace(params=params))
  examples, keys = placed(examples, game.axis_name), Keys.of(key)
  view, state, _ = play(game, state, examples, keys, "discriminator")
  value = _mean_penalty(game, view, examples, keys)
  weight = game.penalty_every * state.hyperparameters.penalty_weight
  return weight * value, Observations(model_state, {}, {"penalty": value})


def generator_objective(
  params: Params, game: Game, state: GanState, examples: Examples, key: Key[Array, ""]
) -> tuple[Float[Array, ""], Observations]:
  """The generator's loss at `params`, against the discriminator of `state`.

  D(real) is there for relativistic losses; XLA drops it from the compiled step of all others.
  """
  state = state.replace(generator=state.generator.replace(params=params))
  examples = placed(examples, game.axis_name)
  view, _, model_state = play(game, state, examples, Keys.of(key), "generator")
  weights, bound = _weights(game, state, view), bound_loss(game, state.hyperparameters)
  loss = _mean_loss(bound, "generator", view, state, weights)
  terms, metrics = _terms("generator", game, state, view)
  return loss + terms, Observations(model_state, {}, {"generator_loss": loss} | metrics)


def _own(view: View, game: Game, name: str) -> View:
  """The view with keys of a part's own; the first part's are those of one that is alone."""
  place = [*game.regularizers, "augmentation"].index(name)
  if place == 0:
    return view
  # Beyond what the first splits its keys into.
  keys = jax.vmap(jax.random.fold_in, (0, None))(view.keys, BEYOND + place)
  return view._replace(keys=keys)


def _weights(game: Game, state: GanState, view: View) -> Float[Array, " r"] | None:
  """The weights that regularisers give the generator's loss of each sample, or None."""
  weights, count = None, len(view.fake_outputs.logits)
  for name, part in game.regularizers.items():
    if part.weigh:
      found = part.weigh(_own(view, game, name), state.aux_state[name])
      found = returned.weights(found, count, f"weigh of {name}", part.weigh)
      weights = found if weights is None else weights * found
  return weights if weights is None else jax.lax.stop_gradient(weights)


def _mean_loss(
  loss: Loss,
  player: str,
  view: View,
  state: GanState,
  weights: Float[Array, " r"] | None = None,
) -> Float[Array, ""]:
  """The loss of a player, of logits or of all that D returned, and of what the loss keeps.

  It is weighed where it has weights.
  """
  given, function = (view.real_outputs, view.fake_outputs), getattr(loss, player)
  if not loss.needs:
    given = given[0].logits, given[1].logits
  if loss.init:
    given = (*given, state.aux_state["loss"])
  values = function(*given)
  mean = returned.mean(values, len(view.fake_outputs.logits), "loss", function)
  return mean if weights is None else jnp.mean(weights * values)


def _moved_loss(loss: Loss, view: View, state: GanState) -> tuple[dict[str, Any], Metrics]:
  """What the loss keeps after an update of D, and its metrics."""
  if not loss.update:
    return {}, {}
  kept = state.aux_state["loss"]
  moved, metrics = loss.update(view.real_outputs, view.fake_outputs, kept)
  return {"loss": returned.same_tree(moved, kept, "update of the loss", loss.update)}, metrics


def _penalty(
  game: Game, state: GanState, view: View, examples: Examples, keys: Keys
) -> tuple[Float[Array, ""] | float, Metrics]:
  """The weighted penalty, and its mean value for the metrics: 0 on steps that skip it."""
  if game.penalty is None or game.lazy_step == SEPARATE:
    return 0.0, {}
  mean = functools.partial(_mean_penalty, game, view, examples, keys)

  def zero() -> Float[Array, ""]:
    return jnp.zeros((), view.real.dtype)

  every, weight = game.penalty_every, state.hyperparameters.penalty_weight
  value = mean() if every == 1 else jax.lax.cond(state.step % every == 0, mean, zero)
  return every * weight * value, {"penalty": value}


def _mean_penalty(game: Game, view: View, examples: Examples, keys: Keys) -> Float[Array, ""]:
  """The penalty before its weight."""
  penalty = with_options(game.penalty, axis_name=game.axis_name)
  real, fake = (pack(images, game.packing) for images in (view.real, view.fake))
  places = examples.places[:: game.packing] // game.packing
  values = penalty(view.critic, real, fake, example_keys(keys.penalty, places))
  return returned.mean(values, len(real), "penalty", penalty)


def _terms(
  player: str, game: Game, state: GanState, view: View
) -> tuple[Float[Array, ""] | float, Metrics]:
  """The weighted terms that regularisers add to a player's loss, and their metrics.

  Raises:
    UserError: a metric has the name of another, or none that begins with its regulariser's.
  """
  total, metrics = 0.0, {}
  for name, regularizer in game.regularizers.items():
    if term := getattr(regularizer, player):
      # A gradient in what is kept would be taken for what `backward` made of it.
      found = term(_own(view, game, name), jax.lax.stop_gradient(state.aux_state[name]))
      counts = {len(view.real), len(view.shown_real)}
      value, seen = returned.term(found, counts, f"regularizer {name}", term)
      weight = state.hyperparameters.regularizer_weights.get(name, 1.0)
      total += weight * jnp.mean(value)
      taken = {*GAME_METRICS, *metrics}
      if bad := sorted(each for each in seen if each in taken or not each.startswith(name)):
        raise UserError(
          f"regularizer {name}: its metrics {', '.join(bad)} must begin with its name and differ "
          "from all others of a step"
        )
      metrics |= seen
  return total, metrics
