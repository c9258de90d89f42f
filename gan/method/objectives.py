"""What each player minimises, its gradient, and what an update does to the state.

Nothing here branches on devices. `axis_name` names the mapped axes that hold the rest of the
batch: `jax.lax.pmean(x, ())` is the identity and `jax.lax.axis_index(())` is 0, so the same code
runs under `jit`, `vmap`, `jax.shard_map` and `jax.pmap`. The hyper-parameters of a state that comes
here are those of the step, schedules included.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from gan.augment import as_augmentation
from gan.errors import UserError
from gan.losses import Loss, bind
from gan.method.game import STEP_METRICS, Examples, Game, Metrics
from gan.networks import ModelState, Outputs, Params, as_outputs, pack, unpack
from gan.penalties import AugmentedCritic, as_function
from gan.regularizers import View
from gan.state import GanState, Hyperparameters, PlayerState


class Observations(NamedTuple):
  """What an objective yields beside its value.

  Attributes:
    model_state: new model state of the player.
    aux_state: new entries of `GanState.aux_state`.
    metrics: what was seen on the way.
  """

  model_state: ModelState
  aux_state: dict[str, Any]
  metrics: Metrics


class Keys(NamedTuple):
  """The draws of an objective; equal keys give both players' objectives equal fakes."""

  generate: Key[Array, ""]
  real: Key[Array, ""]  # dropout of D on the data
  fake: Key[Array, ""]
  penalty: Key[Array, ""]
  augment: Key[Array, ""]

  @classmethod
  def of(cls, key: Key[Array, ""]) -> "Keys":
    generate, key = jax.random.split(key)
    return cls(generate, *jax.random.split(key, 4))


# Draws.


def example_keys(key: Key[Array, ""], places: Int[Array, " b"]) -> Key[Array, " b"]:
  """Returns one key for each example, by its place in the global batch: devices do not matter."""
  return jax.vmap(jax.random.fold_in, (None, 0))(key, places)


def placed(examples: Examples, axis_name: Any = ()) -> Examples:
  """Returns examples with their places in the global batch, of which this is a device's share."""
  if examples.places is not None:
    return examples
  count = examples.real.shape[0]
  return examples._replace(places=jax.lax.axis_index(axis_name) * count + jnp.arange(count))


def _dropout_key(key: Key[Array, ""], examples: Examples) -> Key[Array, ""]:
  """Masks differ between devices and parts of a batch: dropout is equal in distribution only."""
  return jax.random.fold_in(key, examples.places[0] // len(examples.places))


def to_range(images: Array, image_range: tuple[float, float]) -> Float[Array, "..."]:
  """Maps uint8 pixels 0 .. 255 to `image_range`; float data pass as they are."""
  if images.dtype != jnp.uint8:
    if not jnp.issubdtype(images.dtype, jnp.floating):
      raise UserError(f"images are {images.dtype}: give uint8, or floats in the model's range")
    return images
  low, high = image_range
  return images.astype(jnp.float32) * ((high - low) / 255) + low


def generate(
  game: Game, generator: PlayerState, examples: Examples, key: Key[Array, ""]
) -> tuple[Float[Array, "b z"], Float[Array, "b ..."], ModelState]:
  """Draws latents; returns them, their fakes with the examples' labels, and the model state."""
  latent_key, dropout_key = jax.random.split(key)
  latents = jax.vmap(game.sample_latent)(example_keys(latent_key, examples.places))
  apply = game.generator.apply
  return latents, *_in_training(apply, generator, latents, examples, dropout_key)


def _in_training(
  apply: Callable[..., tuple[Array, ModelState]],
  generator: PlayerState,
  inputs: Array,
  examples: Examples,
  key: Key[Array, ""],
) -> tuple[Float[Array, "b ..."], ModelState]:
  """The generator, or one of its stages, of inputs in the place of the examples."""
  return apply(
    generator.params,
    generator.model_state,
    inputs,
    examples.labels,
    train=True,
    key=_dropout_key(key, examples),
  )


# Objectives: what each player minimises, as a function of its own parameters.


def discriminator_objective(
  params: Params, game: Game, state: GanState, examples: Examples, key: Key[Array, ""]
) -> tuple[Float[Array, ""], Observations]:
  """The discriminator's loss at `params`, against the generator of `state`."""
  state = state.replace(discriminator=state.discriminator.replace(params=params))
  hyper, keys = state.hyperparameters, Keys.of(key)
  examples = placed(examples, game.axis_name)
  view, state, _ = _play(game, state, examples, keys)
  adversarial = bound_loss(game, hyper)
  real_logits, fake_logits = view.real_outputs.logits, view.fake_outputs.logits
  loss = _mean_loss(adversarial.discriminator, real_logits, fake_logits)
  penalty, penalty_metrics = _penalty(game, state, view, examples, keys)
  terms, term_metrics = _terms("discriminator", game, state, view)
  real_threshold, fake_threshold = adversarial.threshold(real_logits, fake_logits)
  metrics = {
    "discriminator_loss": loss,
    "real_logit": jnp.mean(real_logits),
    "fake_logit": jnp.mean(fake_logits),
    "real_probability": jnp.mean(jax.nn.sigmoid(real_logits)),
    "fake_probability": jnp.mean(jax.nn.sigmoid(fake_logits)),
    "real_accuracy": jnp.mean(real_logits > real_threshold),
    "fake_accuracy": jnp.mean(fake_logits < fake_threshold),
  }
  keeping = dict(game.regularizers)
  if game.augment is not None:
    keeping["augmentation"] = as_augmentation(game.augment)
  moved = {
    name: part.update(view, state.aux_state[name]) for name, part in keeping.items() if part.update
  }
  return hyper.discriminator_loss_scale * loss + penalty + terms, Observations(
    state.discriminator.model_state,
    jax.lax.stop_gradient(moved),
    metrics | penalty_metrics | term_metrics,
  )


def generator_objective(
  params: Params, game: Game, state: GanState, examples: Examples, key: Key[Array, ""]
) -> tuple[Float[Array, ""], Observations]:
  """The generator's loss at `params`, against the discriminator of `state`.

  D(real) is there for relativistic losses; XLA drops it from the compiled step of all others.
  """
  state = state.replace(generator=state.generator.replace(params=params))
  examples = placed(examples, game.axis_name)
  view, _, model_state = _play(game, state, examples, Keys.of(key))
  logits = view.real_outputs.logits, view.fake_outputs.logits
  loss = _mean_loss(bound_loss(game, state.hyperparameters).generator, *logits)
  terms, metrics = _terms("generator", game, state, view)
  return loss + terms, Observations(model_state, {}, {"generator_loss": loss} | metrics)


def _play(
  game: Game, state: GanState, examples: Examples, keys: Keys
) -> tuple[View, GanState, ModelState]:
  """Shows D the data and fakes.

  Returns what is to be seen of it, the state with D's model state after both calls, and the
  generator's new model state.
  """
  dropout_key = jax.random.split(keys.generate)[1]  # that of `generate`
  made = examples._replace(labels=_fake_labels(game, examples, keys.generate))

  def bound(apply):
    return lambda inputs: _in_training(apply, state.generator, inputs, made, dropout_key)[0]

  latents, fake, model_state = generate(game, state.generator, made, keys.generate)
  real_size, fake_size = (list(each.shape[1:]) for each in (examples.real, fake))
  if real_size != fake_size:
    raise UserError(f"real examples are {real_size} each, and generated ones {fake_size}")
  both = jax.random.split(keys.augment)
  real_keys, fake_keys = (example_keys(key, examples.places) for key in both)
  shown_real = _show(game, state, examples.real, real_keys)
  shown_fake = _show(game, state, fake, fake_keys)
  real, state_after = _judge(game, state, shown_real, examples, keys.real)
  fakes, state_after = _judge(game, state_after, shown_fake, made, keys.fake)
  view = View(
    real=examples.real,
    fake=fake,
    shown_real=shown_real,
    shown_fake=shown_fake,
    real_outputs=real,
    fake_outputs=fakes,
    critic=AugmentedCritic(
      _critic(game, state_after, examples, real_keys), _critic(game, state_after, made, fake_keys)
    ),
    generate=bound(game.generator.apply),
    latents=latents,
    labels=examples.labels,
    fake_labels=made.labels,
    # Beyond the two that the augmentation draws from.
    keys=example_keys(jax.random.fold_in(keys.augment, 2**31), examples.places),
    hyper=state.hyperparameters,
    step=state.step,
    axis_name=game.axis_name,
    params=(state.generator.params, state.discriminator.params),
    stages=game.generator.stages and tuple(map(bound, game.generator.stages)),
  )
  return view, state_after, model_state


def _fake_labels(game: Game, examples: Examples, key: Key[Array, ""]) -> Int[Array, " b"] | None:
  """The labels that the generator is given."""
  if examples.labels is None or game.fake_labels == "batch":
    return examples.labels
  # Beyond the two that latents and dropout are drawn from.
  keys = example_keys(jax.random.fold_in(key, 2**31), examples.places)
  return jax.vmap(lambda key: jax.random.randint(key, (), 0, game.num_classes))(keys)


def _show(
  game: Game, state: GanState, images: Float[Array, "b ..."], keys: Key[Array, " b"]
) -> Float[Array, "r ..."]:
  """Images as the discriminator is shown them: augmented, and m packed in a row."""
  if game.augment is not None:
    images = as_augmentation(game.augment).apply(images, keys, state)
  return pack(images, game.packing)


def _judge(
  game: Game, state: GanState, shown: Array, examples: Examples, key: Key[Array, ""]
) -> tuple[Outputs, GanState]:
  """D in training mode, and the state with D's new model state."""
  player = state.discriminator
  returned, model_state = game.discriminator.apply(
    player.params,
    player.model_state,
    shown,
    examples.labels,
    train=True,
    key=_dropout_key(key, examples),
  )
  needs = {
    field: f"regularizer {name}" for name, each in game.regularizers.items() for field in each.needs
  }
  player = player.replace(model_state=model_state)
  return as_outputs(returned, len(shown), needs), state.replace(discriminator=player)


def _critic(
  game: Game, state: GanState, examples: Examples, keys: Key[Array, " b"]
) -> Callable[[Float[Array, "r ..."]], Float[Array, " r"]]:
  """Raw images, packed where D judges several -> logits, through the augmentation.

  With running statistics and without dropout examples do not influence each other, and the
  gradient of the sum of logits holds the gradient of each example's logit.
  """
  player = state.discriminator
  model_state = jax.lax.stop_gradient(player.model_state)

  def critic(rows: Float[Array, "r ..."]) -> Float[Array, " r"]:
    if game.augment is not None:
      rows = _show(game, state, unpack(rows, game.packing), keys)
    returned, _ = game.discriminator.apply(
      player.params, model_state, rows, examples.labels, train=False
    )
    return as_outputs(returned, len(rows)).logits

  return critic


def bound_loss(game: Game, hyper: Hyperparameters) -> Loss:
  """The game's loss with the options that change from step to step."""
  return bind(game.loss, real_label=hyper.real_label, axis_name=game.axis_name)


def _mean_loss(loss: Callable, real_logits: Array, fake_logits: Array) -> Float[Array, ""]:
  return _mean(loss(real_logits, fake_logits), len(fake_logits), "loss", loss)


def _mean(values: Any, count: int, what: str, function: Callable) -> Float[Array, ""]:
  """The mean of what a function of the user's returned of some examples, or its only number.

  Raises:
    UserError: it returned anything else; [B, 1] and [B, B] have a mean too, of something else.
  """
  number = () if isinstance(values, (int, float)) else None
  if getattr(values, "shape", number) not in ((), (count,)):
    shape = list(getattr(values, "shape", ())) or f"a {type(values).__name__}"
    raise UserError(
      f"{what} {_name(function)} returned {shape} of {count} examples: it must return one number "
      f"for each, an array [{count}]"
    )
  return jnp.mean(values)


def _name(function: Callable) -> str:
  function = getattr(function, "func", function)  # of a partial
  return getattr(function, "__qualname__", type(function).__name__)


def _penalty(
  game: Game, state: GanState, view: View, examples: Examples, keys: Keys
) -> tuple[Float[Array, ""] | float, Metrics]:
  """The weighted penalty, and its mean value for the metrics: 0 on steps that skip it."""
  if game.penalty is None:
    return 0.0, {}
  function = as_function(game.penalty, axis_name=game.axis_name)

  def mean() -> Float[Array, ""]:
    real, fake = (pack(images, game.packing) for images in (view.real, view.fake))
    places = examples.places[:: game.packing] // game.packing
    values = function(view.critic, real, fake, example_keys(keys.penalty, places))
    return _mean(values, len(real), "penalty", function)

  def zero() -> Float[Array, ""]:
    return jnp.zeros((), view.real.dtype)

  every, weight = game.penalty_every, state.hyperparameters.penalty_weight
  value = mean() if every == 1 else jax.lax.cond(state.step % every == 0, mean, zero)
  return every * weight * value, {"penalty": value}


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
      value, seen = term(view, state.aux_state[name])
      total += state.hyperparameters.regularizer_weights[name] * jnp.mean(value)
      taken = {*STEP_METRICS, *metrics}
      if bad := sorted(each for each in seen if each in taken or not each.startswith(name)):
        raise UserError(
          f"regularizer {name}: its metrics {', '.join(bad)} must begin with its name and differ "
          "from all others of a step"
        )
      metrics |= seen
  return total, metrics
