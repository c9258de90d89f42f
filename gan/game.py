"""The game of two players: what each minimises, its gradient, and what an update does to the state.

Nothing here branches on devices. `axis_name` names the mapped axes that hold the rest of the batch:
`jax.lax.pmean(x, ())` is the identity and `jax.lax.axis_index(())` is 0, so the same code runs under
`jit`, `vmap`, `jax.shard_map` and `jax.pmap`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from gan.losses import Loss
from gan.networks import Gan, ModelState, Params
from gan.optimizers import Optimizer
from gan.state import GanState, Hyperparameters, PlayerState

Metrics = dict[str, Float[Array, ""]]


class Batch(NamedTuple):
  """Real examples for one step: K discriminator updates of B examples each."""

  image: Array  # [K, B, H, W, C] uint8 in 0 .. 255, or [K, B, 2] float32
  label: Int[Array, "k b"] | None


class Examples(NamedTuple):
  """Real examples of one update, in the range of the model."""

  real: Float[Array, "b ..."]
  labels: Int[Array, " b"] | None


class Game(NamedTuple):
  """What a step is assembled from; pure functions and static choices.

  Attributes:
    gan: the two players.
    loss: `hyperparameters -> Loss`, the pair of adversarial losses.
    penalty: `(score, real, fake, keys) -> [B]`, added to the discriminator's loss, or None.
    generator_optimizer: `hyperparameters -> optax.GradientTransformation`.
    discriminator_optimizer: the same for the discriminator.
    schedule: `(hyperparameters, step) -> hyperparameters` of that step.
    clip_weights: whether the discriminator's weights are clipped after each of its updates.
    axis_name: mapped axes over which gradients, statistics and metrics are averaged.
  """

  gan: Gan
  loss: Callable[[Hyperparameters], Loss]
  generator_optimizer: Optimizer
  discriminator_optimizer: Optimizer
  schedule: Callable[[Hyperparameters, Int[Array, ""]], Hyperparameters]
  penalty: Callable[..., Float[Array, " b"]] | None = None
  clip_weights: bool = False
  axis_name: Any = ()


class Update(NamedTuple):
  """What one player proposes: a gradient, new batch statistics, and what was seen on the way."""

  grads: Params
  model_state: ModelState
  metrics: Metrics


# Draws.


def example_keys(key: Key[Array, ""], batch_size: int, axis_name: Any = ()) -> Key[Array, " b"]:
  """Returns one key for each example of this device's share of the batch.

  A key belongs to the example's place in the global batch: draws do not depend on the devices.
  """
  first = jax.lax.axis_index(axis_name) * batch_size
  return jax.vmap(jax.random.fold_in, (None, 0))(key, first + jnp.arange(batch_size))


def _device_key(key, axis_name):
  """A key for dropout, whose masks differ between devices: equal in distribution only."""
  return jax.random.fold_in(key, jax.lax.axis_index(axis_name))


def to_range(images: Array, image_range: tuple[float, float]) -> Float[Array, "..."]:
  """Maps uint8 pixels 0 .. 255 to `image_range`; float data pass as they are."""
  if images.dtype != jnp.uint8:
    return images
  low, high = image_range
  return images.astype(jnp.float32) * ((high - low) / 255) + low


# Objectives: what each player minimises, as a function of its own parameters.


def generate(
  game: Game, generator: PlayerState, params: Params, examples: Examples, key: Key[Array, ""]
) -> tuple[Float[Array, "b ..."], ModelState]:
  """Draws latents and returns (fakes, new model state) in training mode, labelled as `examples`."""
  latent_key, dropout_key = jax.random.split(key)
  keys = example_keys(latent_key, examples.real.shape[0], game.axis_name)
  latents = jax.vmap(game.gan.sample_latent)(keys)
  dropout_key = _device_key(dropout_key, game.axis_name)
  return game.gan.generator.apply(
    params, generator.model_state, latents, examples.labels, train=True, key=dropout_key
  )


def discriminator_objective(
  params: Params, game: Game, state: GanState, examples: Examples, key: Key[Array, ""]
) -> tuple[Float[Array, ""], tuple[ModelState, Metrics]]:
  """The discriminator's loss at `params`, against the generator of `state`.

  The first half of `key` draws the fakes, as in `generator_objective`: equal keys, equal fakes.
  """
  fake_key, key = jax.random.split(key)
  real_key, dropout_key, penalty_key = jax.random.split(key, 3)
  hyper = state.hyperparameters
  fake, _ = generate(game, state.generator, state.generator.params, examples, fake_key)
  real_logits, model_state = _judge(
    game, params, state.discriminator.model_state, examples.real, examples.labels, real_key
  )
  fake_logits, model_state = _judge(game, params, model_state, fake, examples.labels, dropout_key)
  adversarial = game.loss(hyper)
  loss = jnp.mean(adversarial.discriminator(real_logits, fake_logits))
  metrics = {"discriminator_loss": loss, **_judgements(adversarial, real_logits, fake_logits)}
  total = hyper.discriminator_loss_scale * loss
  if game.penalty is not None:
    values = _penalty(game, params, model_state, examples, fake, penalty_key)
    metrics["penalty"] = jnp.mean(values)
    total += hyper.penalty_weight * metrics["penalty"]
  return total, (model_state, metrics)


def generator_objective(
  params: Params, game: Game, state: GanState, examples: Examples, key: Key[Array, ""]
) -> tuple[Float[Array, ""], tuple[ModelState, Metrics]]:
  """The generator's loss at `params`, against the discriminator of `state`.

  D(real) is there for relativistic losses; XLA drops it from the compiled step of all others.
  """
  fake_key, key = jax.random.split(key)
  real_key, dropout_key, _ = jax.random.split(key, 3)
  discriminator = state.discriminator
  fake, model_state = generate(game, state.generator, params, examples, fake_key)
  fake_logits, _ = _judge(
    game, discriminator.params, discriminator.model_state, fake, examples.labels, dropout_key
  )
  real_logits, _ = _judge(
    game, discriminator.params, discriminator.model_state, examples.real, examples.labels, real_key
  )
  loss = jnp.mean(game.loss(state.hyperparameters).generator(real_logits, fake_logits))
  return loss, (model_state, {"generator_loss": loss})


def _judge(game, params, model_state, images, labels, key):
  key = _device_key(key, game.axis_name)
  return game.gan.discriminator.apply(params, model_state, images, labels, train=True, key=key)


def _penalty(game, params, model_state, examples, fake, key):
  """Penalty per example, on the discriminator with running statistics and without dropout.

  Then examples do not influence each other, and the gradient of the sum of scores holds the
  gradient of each example's score.
  """

  def score(images):
    apply = game.gan.discriminator.apply
    return apply(params, model_state, images, examples.labels, train=False)[0]

  keys = example_keys(key, examples.real.shape[0], game.axis_name)
  return game.penalty(score, examples.real, fake, keys)


def _judgements(loss, real_logits, fake_logits) -> Metrics:
  """Mean logits, mean sigmoid(logits) and shares judged right."""
  real_threshold, fake_threshold = loss.threshold(real_logits, fake_logits)
  return {
    "real_logit": jnp.mean(real_logits),
    "fake_logit": jnp.mean(fake_logits),
    "real_probability": jnp.mean(jax.nn.sigmoid(real_logits)),
    "fake_probability": jnp.mean(jax.nn.sigmoid(fake_logits)),
    "real_accuracy": jnp.mean(real_logits > real_threshold),
    "fake_accuracy": jnp.mean(fake_logits < fake_threshold),
  }


# Updates: gradients, and what they do to the state.


def discriminator_update(
  game: Game, state: GanState, examples: Examples, key: Key[Array, ""]
) -> Update:
  """The gradient of `discriminator_objective` at `state`, averaged over devices."""
  return _update(discriminator_objective, "discriminator", game, state, examples, key)


def generator_update(
  game: Game, state: GanState, examples: Examples, key: Key[Array, ""]
) -> Update:
  """The gradient of `generator_objective` at `state`, averaged over devices."""
  return _update(generator_objective, "generator", game, state, examples, key)


def _update(objective, name, game, state, examples, key):
  grad_fn = jax.grad(objective, has_aux=True)
  params = getattr(state, name).params
  grads, (model_state, metrics) = grad_fn(params, game, state, examples, key)
  grads, metrics = jax.lax.pmean((grads, metrics), game.axis_name)
  return Update(grads, model_state, metrics | {f"{name}_gradient_norm": optax.global_norm(grads)})


def apply_discriminator(game: Game, state: GanState, update: Update) -> GanState:
  """Steps the discriminator, and clips its weights where the game says so."""
  hyper = game.schedule(state.hyperparameters, state.step)
  player = _stepped(state.discriminator, game.discriminator_optimizer(hyper), update)
  if game.clip_weights:
    clip = lambda weights: jnp.clip(weights, -hyper.weight_clip, hyper.weight_clip)  # noqa: E731
    player = player.replace(params=jax.tree.map(clip, player.params))
  return state.replace(discriminator=player)


def apply_generator(game: Game, state: GanState, update: Update) -> GanState:
  """Steps the generator."""
  hyper = game.schedule(state.hyperparameters, state.step)
  player = _stepped(state.generator, game.generator_optimizer(hyper), update)
  return state.replace(generator=player)


def _stepped(player, optimizer, update):
  changes, opt_state = optimizer.update(update.grads, player.opt_state, player.params)
  return PlayerState(optax.apply_updates(player.params, changes), update.model_state, opt_state)
