"""The game of two players: what each minimises, its gradient, and what an update does to the state.

Nothing here branches on devices. `axis_name` names the mapped axes that hold the rest of the
batch: `jax.lax.pmean(x, ())` is the identity and `jax.lax.axis_index(())` is 0, so the same code
runs under `jit`, `vmap`, `jax.shard_map` and `jax.pmap`.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from gan import regularizers
from gan.losses import Loss
from gan.networks import Gan, ModelState, Params, pack
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
    generator_optimizer: `hyperparameters -> optax.GradientTransformation`.
    discriminator_optimizer: the same for the discriminator.
    schedule: `(hyperparameters, step) -> hyperparameters` of that step.
    penalty: `(score, real, fake, keys) -> [B]`, added to the discriminator's loss, or None.
    penalty_every: the penalty is computed on the steps that this number divides, and its weight is
      multiplied by it there: the lazy regularisation of "Analyzing and Improving the Image Quality
      of StyleGAN" by Karras et al. (https://arxiv.org/abs/1912.04958).
    clip_weights: whether the discriminator's weights are clipped after each of its updates.
    instance_noise_steps: steps after which the instance noise has fallen to 0; 0 for no noise.
    lecam: whether the discriminator has the LeCam regulariser; needs the memory "lecam".
    shared_latents: whether the rules "alternating" and "lookahead" give the generator's update the
      latents of the discriminator's last one.
    unrolled_steps: K of the rule "unrolled".
    lookahead_steps: k of the rule "lookahead", fast steps between two interpolations.
    lookahead_alpha: share of the fast weights in an interpolation.
    consensus_weight: gamma of the rule "consensus".
    axis_name: mapped axes over which gradients, statistics and metrics are averaged.
  """

  gan: Gan
  loss: Callable[[Hyperparameters], Loss]
  generator_optimizer: Optimizer
  discriminator_optimizer: Optimizer
  schedule: Callable[[Hyperparameters, Int[Array, ""]], Hyperparameters]
  penalty: Callable[..., Float[Array, " b"]] | None = None
  penalty_every: int = 1
  clip_weights: bool = False
  instance_noise_steps: int = 0
  lecam: bool = False
  shared_latents: bool = False
  unrolled_steps: int = 5
  lookahead_steps: int = 5
  lookahead_alpha: float = 0.5
  consensus_weight: float = 10.0
  axis_name: Any = ()


class Shown(NamedTuple):
  """What the discriminator is shown: real and generated examples, equally many of each label.

  Of packed examples R = B / m rows each, else R = B.
  """

  real: Float[Array, "r ..."]
  fake: Float[Array, "r ..."]
  labels: Int[Array, " b"] | None


class Observations(NamedTuple):
  """What an objective yields beside its value.

  Attributes:
    model_state: new batch statistics of the player.
    memory: new entries of `GanState.memory`.
    metrics: what was seen on the way.
  """

  model_state: ModelState
  memory: dict[str, Any]
  metrics: Metrics


class Update(NamedTuple):
  """What one player proposes: a gradient, and what goes with it, as in Observations."""

  grads: Params
  model_state: ModelState
  memory: dict[str, Any]
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
) -> tuple[Float[Array, ""], Observations]:
  """The discriminator's loss at `params`, against the generator of `state`.

  `_show` draws the fakes from `key` as in `generator_objective`: equal keys, equal fakes.
  """
  shown, _, (real_key, fake_key, penalty_key) = _show(
    game, state, state.generator.params, examples, key
  )
  model_state = state.discriminator.model_state
  real_logits, model_state = _judge(game, params, model_state, shown.real, shown.labels, real_key)
  fake_logits, model_state = _judge(game, params, model_state, shown.fake, shown.labels, fake_key)
  adversarial = game.loss(state.hyperparameters)
  loss = jnp.mean(adversarial.discriminator(real_logits, fake_logits))
  metrics = {"discriminator_loss": loss, **_judgements(adversarial, real_logits, fake_logits)}
  score = _score(game, params, jax.lax.stop_gradient(model_state), shown.labels)
  penalty, penalty_metrics = _penalty(game, state, score, shown, penalty_key)
  lecam, memory, lecam_metrics = _lecam(game, state, real_logits, fake_logits)
  total = state.hyperparameters.discriminator_loss_scale * loss + penalty + lecam
  return total, Observations(model_state, memory, metrics | penalty_metrics | lecam_metrics)


def generator_objective(
  params: Params, game: Game, state: GanState, examples: Examples, key: Key[Array, ""]
) -> tuple[Float[Array, ""], Observations]:
  """The generator's loss at `params`, against the discriminator of `state`.

  D(real) is there for relativistic losses; XLA drops it from the compiled step of all others.
  """
  player = state.discriminator
  shown, model_state, (real_key, fake_key, _) = _show(game, state, params, examples, key)
  judge = functools.partial(_judge, game, player.params, player.model_state)
  fake_logits, _ = judge(shown.fake, shown.labels, fake_key)
  real_logits, _ = judge(shown.real, shown.labels, real_key)
  loss = jnp.mean(game.loss(state.hyperparameters).generator(real_logits, fake_logits))
  return loss, Observations(model_state, {}, {"generator_loss": loss})


def _show(game, state, generator_params, examples, key):
  """What the discriminator is shown, the generator's new model state, and three unused keys."""
  fake_key, key = jax.random.split(key)
  *keys, noise_key = jax.random.split(key, 4)
  fake, model_state = generate(game, state.generator, generator_params, examples, fake_key)
  real = examples.real
  if game.instance_noise_steps:
    real, fake = _add_noise(game, state, real, fake, noise_key)
  real, fake = (pack(shown, game.gan.packing) for shown in (real, fake))
  return Shown(real, fake, examples.labels), model_state, keys


def _add_noise(game, state, real, fake, key):
  sigma = regularizers.annealed(
    state.hyperparameters.instance_noise, state.step, game.instance_noise_steps
  )
  real_keys, fake_keys = (
    example_keys(key, len(real), game.axis_name) for key in jax.random.split(key)
  )
  add = regularizers.instance_noise
  return add(real, sigma, real_keys), add(fake, sigma, fake_keys)


def _judge(game, params, model_state, images, labels, key):
  key = _device_key(key, game.axis_name)
  return game.gan.discriminator.apply(params, model_state, images, labels, train=True, key=key)


def _score(game, params, model_state, labels):
  """`images -> logits`, with running statistics and without dropout.

  Then examples do not influence each other, and the gradient of the sum of scores holds the
  gradient of each example's score.
  """
  apply = game.gan.discriminator.apply
  return lambda images: apply(params, model_state, images, labels, train=False)[0]


def _penalty(game, state, score, shown, key):
  """The weighted penalty, and its mean value for the metrics: 0 on steps that skip it."""
  if game.penalty is None:
    return 0.0, {}

  def mean():
    keys = example_keys(key, len(shown.real), game.axis_name)
    return jnp.mean(game.penalty(score, shown.real, shown.fake, keys))

  def zero():
    return jnp.zeros((), shown.real.dtype)

  every, weight = game.penalty_every, state.hyperparameters.penalty_weight
  value = mean() if every == 1 else jax.lax.cond(state.step % every == 0, mean, zero)
  return every * weight * value, {"penalty": value}


def _lecam(game, state, real_logits, fake_logits):
  """The weighted LeCam regulariser, its new averages, and its mean value for the metrics."""
  if not game.lecam:
    return 0.0, {}, {}
  averages = regularizers.lecam_averages(
    state.memory["lecam"], real_logits, fake_logits, game.axis_name
  )
  value = jnp.mean(
    regularizers.lecam(real_logits, fake_logits, averages["real_logit"], averages["fake_logit"])
  )
  return state.hyperparameters.lecam_weight * value, {"lecam": averages}, {"lecam": value}


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
  return propose(discriminator_objective, "discriminator", game, state, examples, key)


def generator_update(
  game: Game, state: GanState, examples: Examples, key: Key[Array, ""]
) -> Update:
  """The gradient of `generator_objective` at `state`, averaged over devices."""
  return propose(generator_objective, "generator", game, state, examples, key)


def propose(
  objective: Callable[..., tuple[Float[Array, ""], Observations]],
  name: str,
  game: Game,
  state: GanState,
  examples: Examples,
  key: Key[Array, ""],
) -> Update:
  """The gradient of an objective at the parameters of the player `name`, averaged over devices."""
  params = getattr(state, name).params
  grads, seen = jax.grad(objective, has_aux=True)(params, game, state, examples, key)
  grads, metrics = jax.lax.pmean((grads, seen.metrics), game.axis_name)
  metrics |= {f"{name}_gradient_norm": optax.tree.norm(grads)}
  return Update(grads, seen.model_state, seen.memory, metrics)


def apply_discriminator(game: Game, state: GanState, update: Update) -> GanState:
  """Steps the discriminator, and clips its weights where the game says so."""
  hyper = game.schedule(state.hyperparameters, state.step)
  player = _stepped(state.discriminator, game.discriminator_optimizer(hyper), update)
  if game.clip_weights:
    clip = lambda weights: jnp.clip(weights, -hyper.weight_clip, hyper.weight_clip)  # noqa: E731
    player = player.replace(params=jax.tree.map(clip, player.params))
  return state.replace(discriminator=player, memory=state.memory | update.memory)


def apply_generator(game: Game, state: GanState, update: Update) -> GanState:
  """Steps the generator."""
  hyper = game.schedule(state.hyperparameters, state.step)
  player = _stepped(state.generator, game.generator_optimizer(hyper), update)
  return state.replace(generator=player, memory=state.memory | update.memory)


def _stepped(player, optimizer, update):
  changes, opt_state = optimizer.update(update.grads, player.opt_state, player.params)
  return PlayerState(optax.apply_updates(player.params, changes), update.model_state, opt_state)
