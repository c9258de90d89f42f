"""The pair that a GAN method is: the state before the first step, and one step.

`Game.init` and `Game.step` call `init_state(key, game)` and `step(game, state, batch, key)`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from gan.errors import UserError
from gan.method import freezing, returned
from gan.method.examples import examples_of
from gan.method.fields import IMAGES, KEY, NUMBERS, STATE
from gan.method.game import PLAYERS, Batch, Examples, Game, Metrics
from gan.method.play import example_keys, placed, to_range
from gan.method.update_rules import UpdateRule, alternating, check_updates
from gan.networks import BATCH_STATISTICS, Network
from gan.optimizers import Optimizer, begun
from gan.state import GanState, Hyperparameters, PlayerState, Start, begun_with
from gan.system import schema
from gan.system.draws import BEYOND

TrainStep = Callable[[GanState, Batch, Key[Array, ""]], tuple[GanState, Metrics]]


def init_state(
  key: Key[Array, ""],
  game: Game,
  hyperparameters: Hyperparameters | None = None,
  start: Start | None = None,
) -> GanState:
  """Returns the state before the first step; a pure function of the key.

  Args:
    key: of the initial parameters.
    game: what is played.
    hyperparameters: the numbers of the run; None for those of the game.
    start: arrays in the place of those that are drawn; None for none.

  Raises:
    UserError: a rate is not the game's, and a passed optimiser brings its own. Of rates that are
      traced, as under `vmap`, this is not known: such an optimiser does not read them. Or the
      average is to have a half-life, and no hyper-parameter or schedule gives it one. Or more
      layers are to be frozen than there are.
  """
  schema.check("key", key, KEY)
  if hyperparameters is None:
    _check_half_life(game)
  else:
    schema.check("hyperparameters", hyperparameters, NUMBERS)
  hyper = game.default_hyperparameters() if hyperparameters is None else hyperparameters
  game.check_rates(name for name in game.fixed_rates() if _is_set(hyper.get(name), name))
  freezing.check(game)
  keys, examples = jax.random.split(key), examples_of(game)
  start = start or Start()
  players = [
    _init_player(key, game, name, example, hyper, getattr(start, name))
    for key, name, example in zip(keys, PLAYERS, examples, strict=True)
  ]
  generator = players[0]
  # Copies: a donated state must not hold the same buffer twice.
  average = begun_with(generator.params, generator.model_state, start.average)
  return GanState(
    jnp.zeros((), jnp.int32),
    hyper,
    *players,
    *average,
    # Beyond the two keys of the players.
    aux_state=_init_aux_state(jax.random.fold_in(key, BEYOND), game, players, examples),
  )


def _check_half_life(game: Game) -> None:
  """Raises UserError where the average would have the default half-life, 0: it is no average."""
  unknown = () if game.schedule is Game.schedule else ("ema_half_life",)
  said = {*game.hyperparameters, *getattr(game.schedule, "fields", unknown)}
  if game.ema_half_life and "ema_half_life" not in said:
    raise UserError(
      "`ema_half_life`: the average has no half-life: give it in images, as in "
      '`hyperparameters={"ema_half_life": 10_000}`; 0 is the generator itself'
    )


def _is_set(value: Any, name: str) -> bool:
  """Whether a number differs from its default; of one that is traced this is not known."""
  usual = np.float32(getattr(Hyperparameters(), name))
  return not isinstance(value, jax.core.Tracer) and bool(np.float32(value) != usual)


def _rule(game: Game) -> UpdateRule:
  return alternating() if game.update_rule is None else game.update_rule


def _init_player(
  key: Key[Array, ""],
  game: Game,
  name: str,
  example: tuple,
  hyper: Hyperparameters,
  start: Mapping[str, Any],
) -> PlayerState:
  params, model_state = getattr(game, name).init(key, *example)
  if start:
    params, model_state = begun_with(params, model_state, start)
  optimizer: Optimizer = game.optimizer_of(name)
  return PlayerState(params, model_state, begun(optimizer(hyper), params, name))


def _with_example(network: Network, example: tuple) -> Network:
  """The network, whose `init(key)` has what the game gives it for inputs and labels."""
  return network._replace(init=lambda key, *given: network.init(key, *(given or example)))


def _init_aux_state(
  key: Key[Array, ""], game: Game, players: list[PlayerState], examples: list[tuple]
) -> dict[str, Any]:
  """What regularisers, the loss, the augmentation and the rule keep, before the first step."""
  networks = [
    _with_example(getattr(game, name), example)
    for name, example in zip(PLAYERS, examples, strict=True)
  ]
  gan = game.gan._replace(generator=networks[0], discriminator=networks[1])
  keys = jax.random.split(key, len(game.regularizers) + 1)
  kept = {
    name: regularizer.init(key, gan)
    for (name, regularizer), key in zip(game.regularizers.items(), keys[1:], strict=True)
  }
  if game.loss.init:
    kept["loss"] = game.loss.init()
  if init := getattr(game.augment, "init", None):
    kept["augmentation"] = init(keys[0], gan)
  if _rule(game).init:
    kept["update_rule"] = _rule(game).init(*players)
  return kept


def step(
  game: Game, state: GanState, batch: Batch | Array, key: Key[Array, ""]
) -> tuple[GanState, Metrics]:
  """One step of a game.

  All randomness of a step is a function of (key, state.step). Every metric is a float32 [] mean
  over the global batch, of the last discriminator update and of the generator update; their names
  are those of `game.STEP_METRICS` and of regularisers of one's own.

  Args:
    game: what is played.
    state: from `init_state`, or of the step before.
    batch: K times B real examples; an array [B, ...] is one update's, without labels.
    key: the same at every step of a run.

  Returns:
    The state after the step, and the metrics.

  Raises:
    UserError: parts of the game, or the batch, do not fit each other; where it is traced.
  """
  schema.check("state", state, STATE)
  schema.check("key", key, KEY)
  if not isinstance(batch, Batch):
    batch = Batch(schema.check("batch", batch, IMAGES)[None], None)
  if 0 in batch.image.shape[:2]:
    raise UserError(f"the batch of images {list(batch.image.shape)} [K, B, ...] holds no image")
  if game.num_classes and batch.label is None:
    raise UserError(
      f"the game has {game.num_classes} classes: give gan.Batch(images [K, B, ...], labels [K, B])"
    )
  if batch.label is not None and not jnp.issubdtype(batch.label.dtype, jnp.integer):
    raise UserError(f"labels of a batch are {batch.label.dtype}: they must be integers")
  images = to_range(batch.image, game.image_range)
  labels = [None] * len(images) if batch.label is None else batch.label
  step_key = jax.random.fold_in(key, state.step)
  minibatches = [Examples(*pair) for pair in zip(images, labels, strict=True)]
  if game.prepare is not None:
    minibatches = _prepared(game, minibatches, jax.random.fold_in(step_key, BEYOND))
  check_updates(_rule(game), len(minibatches), game.accumulate)
  before, state = state.hyperparameters, at_this_step(game, state)
  stepped = _rule(game).step(game, state, minibatches, step_key)
  fits = returned.is_pair(stepped) and isinstance(stepped[0], GanState)
  fits = fits and isinstance(stepped[1], dict)
  words = "(state, metrics), a GanState and a dict"
  after, metrics = returned.checked(stepped, fits, "update_rule", _rule(game), words)
  returned.same_tree(
    _without_model_state(after), _without_model_state(state), "update_rule", _rule(game)
  )
  count = images.shape[0] * images.shape[1] * jax.lax.psum(1, game.axis_name)
  after = _held(game, after, state)
  return _advance(game, after, count).replace(hyperparameters=before), metrics


def _held(game: Game, after: GanState, before: GanState) -> GanState:
  """The state with frozen layers as they were, which a rule may have moved by rounding."""
  player = after.discriminator
  params = freezing.held(game, player.params, before.discriminator.params)
  return after.replace(discriminator=player.replace(params=params))


def _without_model_state(state: GanState) -> GanState:
  """A state without both model states: those of networks that sow have other trees each time."""
  players = {name: getattr(state, name).replace(model_state=None) for name in PLAYERS}
  return state.replace(**players)


def _prepared(game: Game, minibatches: list[Examples], key: Key[Array, ""]) -> list[Examples]:
  """The game's `prepare` of real images; draws are by update and place in the global batch."""
  found = [placed(examples, game.axis_name) for examples in minibatches]
  keys = [example_keys(jax.random.fold_in(key, i), each.places) for i, each in enumerate(found)]
  made = [game.prepare(each.real, own) for each, own in zip(found, keys, strict=True)]
  return [
    each._replace(real=returned.images(images, each.real, "prepare", game.prepare))
    for each, images in zip(found, made, strict=True)
  ]


def at_this_step(game: Game, state: GanState) -> GanState:
  """The state with the numbers of this step: both losses, optimisers and the average read these.

  Raises:
    UserError: the schedule changes a rate that a passed optimiser brings itself.
  """
  before = state.hyperparameters
  hyper = returned.numbers(game.schedule(before, state.step), before, game.schedule)
  hyper = _controlled(game, state, hyper)
  # What a function leaves alone is the same object, also where it is traced.
  game.check_rates(name for name in game.fixed_rates() if hyper.get(name) is not before.get(name))
  return state.replace(hyperparameters=hyper)


def _controlled(game: Game, state: GanState, hyper: Hyperparameters) -> Hyperparameters:
  """The numbers of a step, with those that regularisers control."""
  values = {
    number: returned.number(control(state.aux_state[name], hyper), f"control of {name}", control)
    for name, part in game.regularizers.items()
    for number, control in (part.controls or {}).items()
  }
  return hyper.with_values(
    {name: value.astype(jnp.result_type(hyper.get(name))) for name, value in values.items()}
  )


def _advance(game: Game, state: GanState, images: int) -> GanState:
  """Counts the step and moves the averages; batch statistics are averaged, other state copied."""
  generator, rate = state.generator, averaging_rate(game, state, images)
  return state.replace(
    step=state.step + 1,
    ema_params=_average(state.ema_params, generator.params, rate),
    ema_model_state={
      name: _average(state.ema_model_state[name], now, rate) if name == BATCH_STATISTICS else now
      for name, now in generator.model_state.items()
    },
  )


def _average(average: Any, now: Any, rate: Float[Array, ""]) -> Any:
  """Moves averages by `rate`, which is kept and not 1 - rate: float32 rounds that near 1."""

  def moved(old: Array, new: Array) -> Array:
    return (rate * new + (old - rate * old)).astype(old.dtype)

  return jax.tree.map(moved, average, now)


def averaging_rate(game: Game, state: GanState, images: int) -> Float[Array, ""]:
  """The share of the present generator in the new average.

  With a decay d it is max(1 - d, 9 / (10 + t)), so that the average forgets the random initial
  generator at once. With a half-life h it is 1 - 2^(-images / min(h, ramp * images so far)), as in
  the code of "Training Generative Adversarial Networks with Limited Data" by Karras et al.
  (https://arxiv.org/abs/2006.06676). With a start, as in the code of BigGAN, it is 1 before the
  update `ema_start`, and a decay is d from there.

  Args:
    game: which of these, and the ramp.
    state: its step, and the numbers of the step.
    images: real examples in a step.
  """
  hyper, step = state.hyperparameters, state.step.astype(jnp.float32)
  rate = hyper.ema_rate if game.ema_start else jnp.maximum(hyper.ema_rate, 9 / (10 + step))
  if game.ema_half_life:
    half_life = hyper.ema_half_life
    if game.ema_ramp:
      half_life = jnp.minimum(half_life, game.ema_ramp * step * images)
    rate = -jnp.expm1(-jnp.log(2.0) * images / jnp.maximum(half_life, 1e-8))
  return jnp.where(step + 1 < game.ema_start, 1.0, rate) if game.ema_start else rate
