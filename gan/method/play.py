"""Fakes are drawn, and the discriminator judges them and the data: what both objectives share.

Draws go by the place of an example in the global batch: devices do not matter.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from gan.errors import UserError
from gan.losses import Loss, bind
from gan.method import returned
from gan.method.game import Examples, Game
from gan.method.reading import Reading, reading
from gan.method.showing import Pair, show, with_backward
from gan.networks import ModelState, Outputs, apart, as_outputs, unpack
from gan.penalties import AugmentedCritic, Critic
from gan.regularizers import View
from gan.state import GanState, Hyperparameters, PlayerState
from gan.system.draws import BEYOND


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


def bound_loss(game: Game, hyper: Hyperparameters) -> Loss:
  """The game's loss with the options that change from step to step."""
  return bind(game.loss, real_label=hyper.real_label, axis_name=game.axis_name)


def to_range(images: Array, image_range: tuple[float, float]) -> Float[Array, "..."]:
  """Maps uint8 pixels 0 .. 255 to `image_range`; float data pass as they are."""
  if images.dtype != jnp.uint8:
    if not jnp.issubdtype(images.dtype, jnp.floating):
      raise UserError(f"images are {images.dtype}: give uint8, or floats in the model's range")
    return images
  low, high = image_range
  return images.astype(jnp.float32) * ((high - low) / 255) + low


def generate(
  game: Game,
  generator: PlayerState,
  examples: Examples,
  latent_key: Key[Array, ""],
  dropout_key: Key[Array, ""],
) -> tuple[Float[Array, "b z"], Float[Array, "b ..."], ModelState]:
  """Draws latents; returns them, their fakes with the examples' labels, and the model state."""
  latents = jax.vmap(game.sample_latent)(example_keys(latent_key, examples.places))
  apply = game.generator.apply
  fakes, model_state = _in_training(apply, generator, latents, examples, dropout_key)
  return latents, returned.generated(fakes, len(latents)), model_state


def _in_training(
  apply: Callable[..., tuple[Any, ModelState]],
  player: PlayerState,
  inputs: Array,
  examples: Examples,
  key: Key[Array, ""],
) -> tuple[Any, ModelState]:
  """A player in training mode, or one of its stages, of inputs in the place of the examples."""
  return apply(
    player.params,
    player.model_state,
    inputs,
    examples.labels,
    train=True,
    key=_dropout_key(key, examples),
  )


def play(
  game: Game, state: GanState, examples: Examples, keys: Keys, player: str
) -> tuple[View, GanState, ModelState]:
  """Shows D the data and fakes, in one call for its own objective where it is joint.

  Returns the View of regularisers and losses, the state with D's model state after both calls, and
  the generator's new model state.
  """
  latent_key, dropout_key = jax.random.split(keys.generate)
  made = examples._replace(labels=_fake_labels(game, examples, keys.generate))

  def bound(apply: Callable[..., Any]) -> Callable[[Array], Any]:
    return lambda inputs: _in_training(apply, state.generator, inputs, made, dropout_key)[0]

  latents, fake, model_state = generate(game, state.generator, made, latent_key, dropout_key)
  real_size, fake_size = (list(each.shape[1:]) for each in (examples.real, fake))
  if real_size != fake_size:
    raise UserError(f"real examples are {real_size} each, and generated ones {fake_size}")
  if player == "discriminator":
    examples = _exchanged(game, state, examples, keys)
    judged = fake
  else:
    judged = with_backward(game, state, fake)
  own = tuple(example_keys(key, examples.places) for key in jax.random.split(keys.augment))
  images, of = (examples.real, judged), (examples, made)
  shown = tuple(show(game, state, *each) for each in zip(images, own, strict=True))
  joint = player == "discriminator" and game.discriminator.joint
  judge = _judge_jointly if joint else _judge_apart
  *judged, state_after = judge(game, state, shown, of, keys)
  loss = bound_loss(game, state.hyperparameters)
  read = reading(loss, judged)
  real, fakes = (
    outputs._replace(logits=read(outputs, place))
    for outputs, place in zip(judged, ("real", "fake"), strict=True)
  )
  # A witness of the batch itself leaves each example out of its own mean, and a critic cannot.
  logits = () if game.loss.witness else (real.logits, fakes.logits)
  view = View(
    real=examples.real,
    fake=fake,
    shown_real=shown[0],
    shown_fake=shown[1],
    real_outputs=real,
    fake_outputs=fakes,
    critic=_augmented_critic(game, state_after, of, own, read, logits),
    generate=bound(game.generator.apply),
    latents=latents,
    labels=examples.labels,
    fake_labels=made.labels,
    # Beyond the two that the augmentation draws from.
    keys=example_keys(jax.random.fold_in(keys.augment, BEYOND), examples.places),
    hyper=state.hyperparameters,
    step=state.step,
    axis_name=game.axis_name,
    params=(state.generator.params, state.discriminator.params),
    stages=game.generator.stages and tuple(map(bound, game.generator.stages)),
    parts=game.accumulate,
    thresholds=_thresholds(loss, real.logits, fakes.logits) if player == "discriminator" else None,
  )
  return view, state_after, model_state


def _thresholds(loss: Loss, real: Array, fake: Array) -> Pair:
  """The logits at which D decides, for data and for samples."""
  return returned.thresholds(loss.threshold(real, fake), real, loss.threshold)


def _fake_labels(game: Game, examples: Examples, key: Key[Array, ""]) -> Int[Array, " b"] | None:
  """The labels that the generator is given."""
  if examples.labels is None or game.fake_labels == "batch":
    return examples.labels
  # Beyond the two that latents and dropout are drawn from.
  keys = example_keys(jax.random.fold_in(key, BEYOND), examples.places)
  if game.fake_labels == "uniform":
    return jax.vmap(lambda key: jax.random.randint(key, (), 0, game.num_classes))(keys)
  weights = jnp.array(game.fake_labels, jnp.float32)
  return jax.vmap(lambda key: jax.random.choice(key, game.num_classes, p=weights))(keys)


def _exchanged(game: Game, state: GanState, examples: Examples, keys: Keys) -> Examples:
  """The data, with samples in the place of those that regularisers exchange; labels go along."""
  parts = {name: part for name, part in game.regularizers.items() if part.exchange}
  if not parts:
    return examples
  made = _others(game, state, examples, keys.generate)
  for i, name in enumerate(game.regularizers):
    if name not in parts:
      continue
    # Beyond what the augmentation and the regularisers' own keys are drawn from.
    own = example_keys(jax.random.fold_in(keys.augment, BEYOND + 1 + i), examples.places)
    exchange = parts[name].exchange
    found = exchange(own, state.hyperparameters, state.aux_state[name])
    chosen = returned.mask(found, len(own), f"exchange of {name}", exchange)
    rows = chosen.reshape(-1, *[1] * (made.real.ndim - 1))
    real = jnp.where(rows, made.real, examples.real)
    labels = None if made.labels is None else jnp.where(chosen, made.labels, examples.labels)
    examples = examples._replace(real=real, labels=labels)
  return examples


def _others(game: Game, state: GanState, examples: Examples, key: Key[Array, ""]) -> Examples:
  """As many samples of other latents, with their labels: constants.

  A sample on both sides of a pair would leave a paired loss a margin of 0, whatever D is.
  """
  # Beyond the labels of samples.
  key = jax.random.fold_in(key, BEYOND + 1)
  made = examples._replace(labels=_fake_labels(game, examples, key))
  _, fake, _ = generate(game, state.generator, made, *jax.random.split(key))
  return made._replace(real=jax.lax.stop_gradient(fake))


def _judge_jointly(
  game: Game, state: GanState, shown: Pair, of: tuple[Examples, Examples], keys: Keys
) -> tuple[Outputs, Outputs, GanState]:
  """D on the data and on samples, in one call; it mixes no examples."""
  outputs, state = _judge(game, state, jnp.concatenate(shown), _joined(of), keys.real)
  return *apart(outputs, len(shown[0])), state


def _judge_apart(
  game: Game, state: GanState, shown: Pair, of: tuple[Examples, Examples], keys: Keys
) -> tuple[Outputs, Outputs, GanState]:
  """D on the data, and then on samples."""
  real, state = _judge(game, state, shown[0], of[0], keys.real)
  fakes, state = _judge(game, state, shown[1], of[1], keys.fake)
  return real, fakes, state


def _joined(of: tuple[Examples, Examples]) -> Examples:
  """The data with the samples behind them; places are those of the data."""
  real, made = of
  labels = None if real.labels is None else jnp.concatenate([real.labels, made.labels])
  return real._replace(labels=labels)


def _judge(
  game: Game, state: GanState, shown: Array, examples: Examples, key: Key[Array, ""]
) -> tuple[Outputs, GanState]:
  """D in training mode, and the state with D's new model state."""
  player = state.discriminator
  apply = game.gan.discriminator.apply
  outputs, model_state = _in_training(apply, player, shown, examples, key)
  needs = dict.fromkeys(game.loss.needs, "the loss") | {
    field: f"regularizer {name}" for name, each in game.regularizers.items() for field in each.needs
  }
  player = player.replace(model_state=model_state)
  return as_outputs(outputs, len(shown), needs), state.replace(discriminator=player)


def _augmented_critic(
  game: Game,
  state: GanState,
  of: tuple[Examples, Examples],
  keys: Pair,
  read: Reading,
  logits: tuple[Array, ...],
) -> AugmentedCritic:
  """D of raw images, packed where it judges several, through the augmentation.

  `logits` are those in training, if any: a critic has the same where D is `joint`.
  """

  def shown(rows: Float[Array, "r ..."], own: Key[Array, " b"]) -> Float[Array, "r ..."]:
    if game.augment is None:
      return rows
    return show(game, state, unpack(rows, game.packing), own)

  def alone(examples: Examples, own: Key[Array, " b"]) -> Critic:
    critic = _critic(game, state, examples, read)
    return lambda rows: critic(shown(rows, own))

  def both(*rows: Float[Array, "r ..."]) -> list[Float[Array, " r"]]:
    joined = [shown(*each) for each in zip(rows, keys, strict=True)]
    logits = _critic(game, state, _joined(of), read)(jnp.concatenate(joined))
    return jnp.split(logits, [len(joined[0])])

  def part(rows: Int[np.ndarray, " m"]) -> AugmentedCritic:
    examples = (rows[:, None] * game.packing + np.arange(game.packing)).reshape(-1)
    share = jax.tree.map(lambda each: each[examples], (of, keys))
    return _augmented_critic(game, state, *share, read, tuple(each[rows] for each in logits))

  known = (both, *logits) if game.discriminator.joint else ()
  return AugmentedCritic(*map(alone, of, keys), *known)._replace(part=part)


def _critic(game: Game, state: GanState, examples: Examples, read: Reading) -> Critic:
  """What D is shown -> logits.

  With running statistics and without dropout examples do not influence each other, and the
  gradient of the sum of logits holds the gradient of each example's logit.
  """
  player = state.discriminator
  model_state = jax.lax.stop_gradient(player.model_state)

  def critic(shown: Float[Array, "r ..."]) -> Float[Array, " r"]:
    outputs, _ = game.gan.discriminator.apply(
      player.params, model_state, shown, examples.labels, train=False
    )
    return read(as_outputs(outputs, len(shown)), "other")

  return critic
