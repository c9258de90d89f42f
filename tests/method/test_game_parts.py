"""Parts that a game is given: augmentations, regularisers, outputs, batches, averages, networks."""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toys
from flax import nnx

from gan import regularizers, schedules
from gan.augment import Augmentation, compose, make_instance_noise
from gan.errors import UserError
from gan.losses import LOSSES, Loss
from gan.method.game import GAME_METRICS, PLAYERS, STEP_METRICS, Batch, Examples, Game
from gan.method.objectives import discriminator_objective, generator_objective
from gan.method.update_rules import UpdateRule, alternating, consensus, lookahead, unrolled
from gan.models import MODELS
from gan.networks import (
  Gan,
  Network,
  Outputs,
  from_linen,
  from_nnx,
  latent_sampler,
  pack,
  unpack,
)
from gan.optimizers import make_optimizer
from gan.penalties import PENALTIES, make_penalty, r1_penalty
from gan.regularizers import Regularizer, make_lecam
from gan.regularizers.path_length import make_path_length
from gan.training.config import Config
from gan.training.validation import validate


@pytest.fixture
def x64():
  with jax.enable_x64(True):
    yield


def points(updates=1, examples=4, seed=3):
  return 1 + jax.random.normal(toys.key(seed), (updates, examples, 2))


def linear_players(w=(2.0, -1.0)) -> Gan:
  """G(z) = z and D(x) = w x."""
  generator = toys.network(lambda key: jnp.zeros(()), lambda params, z: z + params)
  critic = toys.network(lambda key: jnp.asarray(w), lambda w, x: x @ w)
  return Gan(generator, critic, lambda key: jax.random.normal(key, (2,)), (-1.0, 1.0))


# What a game cannot be made of.


def scheduled(text):
  return schedules.make_schedule(text, images_per_step=4, schedule_images=40)


NO_PARTS = [
  ({"penalty_every": 0}, "`penalty_every=0` must be a whole number of at least 1"),
  ({"penalty_every": 1.5}, "`penalty_every=1.5` must be a whole number of at least 1"),
  ({"generator_batch_size": 0}, "`generator_batch_size=0` must be a whole number of at least 1"),
  ({"generator_batch_size": -4}, "`generator_batch_size=-4` must be a whole number of at least 1"),
  ({"accumulate": 0}, "`accumulate=0` must be a whole number of at least 1"),
  ({"packing": 0}, "`packing=0` must be a whole number of at least 1"),
  ({"packing": "2"}, "`packing='2'` must be a whole number of at least 1"),
  ({"packing": None}, "`packing=None` must be a whole number of at least 1"),
  ({"num_classes": -1}, "`num_classes=-1` must be a whole number of at least 0"),
  ({"clip_weights": "yes"}, "`clip_weights='yes'` must be true or false"),
  ({"ema_half_life": 100}, "`ema_half_life=100` must be true or false"),
  ({"ema_start": -1}, "`ema_start=-1` must be a whole number of at least 0"),
  ({"ema_ramp": -1.0}, "`ema_ramp=-1.0` must be a finite number of at least 0"),
  ({"ema_ramp": "x"}, "`ema_ramp='x'` must be a finite number of at least 0"),
  ({"hyperparameters": {"real_label": 2}}, "`hyperparameters`: real_label=2 must be above 0"),
  ({"hyperparameters": {"real_label": 0}}, "`hyperparameters`: real_label=0 must be above 0"),
  ({"hyperparameters": {"ema_decay": 1.0}}, "`hyperparameters`: ema_decay=1.0 must be at least 0"),
  (
    {"hyperparameters": {"generator_learning_rate": -5.0}},
    "`hyperparameters`: generator_learning_rate=-5.0 must be at least 0",
  ),
  (
    {"hyperparameters": {"lecam_weight": [1, -1]}, "regularizers": {"lecam": make_lecam()}},
    "`hyperparameters`: lecam_weight=[1, -1] must be at least 0",
  ),
  (
    {"schedule": scheduled("discriminator_loss_scale=linear:-3")},
    "`schedule`: discriminator_loss_scale must be at least 0 at every step: check the number",
  ),
  (
    {"schedule": scheduled("penalty_weight=linear:-5"), "penalty": r1_penalty},
    "`schedule`: penalty_weight must be at least 0 at every step",
  ),
  (
    {"schedule": scheduled("b1=linear:1")},
    "`schedule`: b1 must be at least 0 and below 1 at every step",
  ),
  (
    {
      "schedule": scheduled("b1=piecewise_constant:0.5:1.5"),
      "hyperparameters": {"b1": np.array([0.5, 0.9])},
    },
    "`schedule`: b1 must be at least 0 and below 1 at every step",
  ),
  ({"hyperparameters": {"real_label": np.nan}}, "must be finite numbers by name"),
  ({"hyperparameters": {"real_label": "x"}}, "must be finite numbers by name"),
  ({"hyperparameters": {"real_label": [1.0, [2.0]]}}, "must be finite numbers by name"),
  ({"hyperparameters": None}, "`hyperparameters=None` must be finite numbers by name"),
  ({"hyperparameters": {"b1": 0.5 + 0j}}, "must be finite numbers by name"),
  ({"hyperparameters": {1: 0.5, "b1": 0.5}}, "must be finite numbers by name"),
  ({"regularizers": {"": make_lecam()}}, "must be gan.Regularizers by name"),
  (
    {"regularizers": {"own": Regularizer(default_weight=np.ones(2))}},
    "`default_weight=array([1., 1.])` of a gan.Regularizer is no number",
  ),
  ({"penalty": lambda critic, real, fake: fake}, "be a gan.Penalty or `(critic, real, fake, keys)"),
  ({"sample_latent": lambda: jnp.zeros(2)}, "must be `key -> [Z]`, such as gan.latent_sampler("),
  (
    {"loss": LOSSES["hinge"]._replace(generator=lambda real: real)},
    "`generator` of a gan.Loss must be called with (real, fake)",
  ),
  (
    {"regularizers": {"own": Regularizer(discriminator=lambda view: view)}},
    "`discriminator` of a gan.Regularizer must be called with (view, state)",
  ),
  (
    {"regularizers": {"own": Regularizer(init=lambda key: 0.0)}},
    "`init` of a gan.Regularizer must be called with (key, gan)",
  ),
  ({"schedule": lambda step: step}, "must be `(hyperparameters, step) -> hyperparameters`"),
  ({"augment": lambda images: images}, "must be a gan.Augmentation or `(images, keys) -> images`"),
  ({"prepare": lambda images: images}, "must be `(images, keys) -> images`"),
  ({"num_classes": 2**40}, "must be a whole number of at least 0 and of at most"),
  ({"fake_labels": [[1], [1, 2], 3], "num_classes": 3}, "fake_labels=[[1], [1, 2], 3] is unknown"),
  ({"image_range": (1, -1)}, "`image_range=(1, -1)` must be two numbers, the lower one first"),
  ({"image_range": (0, np.inf)}, "must be two numbers, the lower one first"),
  ({"image_range": 1}, "`image_range=1` must be two numbers, the lower one first"),
  ({"loss": "hinge"}, "`loss='hinge'` must be a gan.Loss, such as gan.LOSSES[\"hinge\"]"),
  ({"loss": None}, 'must be a gan.Loss, such as gan.LOSSES["nonsat"]'),
  (
    {"loss": LOSSES["hinge"]._replace(needs=("featurs",))},
    "`needs=('featurs',)` of a gan.Loss must be a tuple of fields of gan.Outputs (logits, class_lo",
  ),
  (
    {"regularizers": {"own": Regularizer(needs="features")}},
    "`needs='features'` of a gan.Regularizer must be a tuple of fields of gan.Outputs",
  ),
  ({"loss": Loss(jnp.subtract, None)}, 'such as gan.LOSSES["nonsat"], of two functions'),
  ({"optimizer": "sgd"}, "`optimizer='sgd'` must be an optax transformation or"),
  ({"optimizer": "sgd"}, "such as optax.sgd(2e-4)"),
  ({"optimizer": optax.adam}, "such as optax.adam(2e-4)"),
  ({"generator_optimizer": optax.rmsprop}, "`generator_optimizer=<function rms"),
  ({"penalty": "r2"}, "`penalty='r2'` must be a gan.Penalty or `(critic, real, fake, keys)"),
  ({"penalty": PENALTIES["none"]}, "and None for none"),
  ({"update_rule": "unrolled"}, "must be a gan.UpdateRule, such as gan.unrolled()"),
  ({"update_rule": alternating}, "must be a gan.UpdateRule, such as gan.alternating()"),
  ({"augment": "instance_noise"}, 'such as gan.AUGMENTATIONS["instance_noise"].make()'),
  ({"regularizers": {"lecam": "lecam"}}, 'such as {"lecam": gan.REGULARIZERS["lecam"].make()}'),
  ({"regularizers": make_lecam()}, "must be gan.Regularizers by name"),
  ({"schedule": "constant"}, "`schedule='constant'` must be `(hyperparameters, step)"),
  ({"sample_latent": "uniform"}, 'such as gan.latent_sampler("uniform", 64)'),
  ({"generator": None}, "`generator=None` must be a gan.Network, such as gan.from_linen(module)"),
  ({"discriminator": nn.Dense(1)}, "must be a gan.Network, such as gan.from_linen(module)"),
]


# What parts cannot be made of.
NO_OPTIONS = [
  (lookahead, {"lookahead_steps": 0}, "`lookahead_steps=0` must be a whole number of at least 1"),
  (lookahead, {"lookahead_alpha": -0.5}, "`lookahead_alpha=-0.5` must be a number from 0 to 1"),
  (lookahead, {"lookahead_alpha": 1.5}, "`lookahead_alpha=1.5` must be a number from 0 to 1"),
  (unrolled, {"unrolled_steps": -1}, "`unrolled_steps=-1` must be a whole number of at least 0"),
  (consensus, {"consensus_weight": -1.0}, "`consensus_weight=-1.0` must be a number of at least 0"),
  (consensus, {"consensus_weight": "x"}, "`consensus_weight='x'` must be a number of at least 0"),
  (
    make_lecam,
    {"lecam_decay": 3.0},
    "`lecam_decay=3.0` must be a number of at least 0 and below 1",
  ),
  (
    make_lecam,
    {"lecam_decay": 1.0},
    "`lecam_decay=1.0` must be a number of at least 0 and below 1",
  ),
  (make_lecam, {"lecam_start": -1}, "`lecam_start=-1` must be a whole number of at least 0"),
  (make_path_length, {"path_length_decay": np.nan}, "`path_length_decay=nan` must be a number"),
  (make_path_length, {"path_length_every": 0}, "`path_length_every=0` must be a whole number of"),
  (latent_sampler, {"kind": "nosuch", "latent_dim": 3}, "'nosuch' is unknown: choose from normal"),
  (latent_sampler, {"kind": "normal", "latent_dim": 0}, "`latent_dim=0` must be a whole number of"),
]


@pytest.mark.parametrize(("make", "options", "message"), NO_OPTIONS)
@pytest.mark.usefixtures("unchecked")
def test_what_is_no_option_of_a_part_is_one_line(make, options, message):
  with pytest.raises(UserError) as caught:
    make(**options)
  assert message in str(caught.value) and "\n" not in str(caught.value)


def none_of(*given):
  return None


class Dense(nnx.Module):
  def __init__(self, rngs):
    self.layer = nnx.Linear(2, 1, rngs=rngs)

  def __call__(self, x):
    return self.layer(x)[:, 0]


NO_NETWORKS = [
  (from_linen, lambda: nnx.Linear(2, 1, rngs=nnx.Rngs(0)), "is given to gan.from_nnx"),
  (from_linen, lambda: nn.Dense, "`module=Dense` must be a flax.linen.Module as it was made"),
  (from_linen, lambda: None, "`module=a builtins.NoneType` must be a flax.linen.Module"),
  (from_nnx, lambda: Dense(nnx.Rngs(0)), "must be a function `nnx.Rngs -> nnx.Module`"),
  (from_nnx, lambda: nn.Dense(1), "must be a function `nnx.Rngs -> nnx.Module`"),
  (from_nnx, lambda: None, "must be a function `nnx.Rngs -> nnx.Module`"),
  (from_nnx, lambda: lambda rngs: nn.Dense(1), "one of flax.linen is given to gan.from_linen"),
  (from_nnx, lambda: none_of, "`make=none_of` returned a builtins.NoneType: it must return a"),
]


@pytest.mark.parametrize(("make", "given", "message"), NO_NETWORKS)
@pytest.mark.usefixtures("unchecked")
def test_what_is_no_network_is_one_line(make, given, message):
  with pytest.raises(UserError) as caught:
    make(given())
  assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_class_or_a_partial_makes_an_nnx_network():
  for make in (Dense, functools.partial(Dense)):
    assert from_nnx(make).name.endswith(".Dense")


NO_STEPS = {
  "a number for a key": ({}, points()[0], 0, "`key=0` must be a random key, such as jax.random"),
  "several keys": ({}, points()[0], toys.key(0)[None], "must be a random key, such as jax.random"),
  "no image": ({}, jnp.zeros((0, 2)), toys.key(0), "images [1, 0, 2] [K, B, ...] holds no image"),
  "no update": (
    {},
    Batch(jnp.zeros((0, 4, 2)), None),
    toys.key(0),
    "images [0, 4, 2] [K, B, ...] holds no image",
  ),
  "an optimiser of values": (
    {"optimizer": optax.lbfgs()},
    points()[0],
    toys.key(0),
    "(3 required keyword-only arguments: 'value', 'grad', and 'value_fn'): choose",
  ),
}


@pytest.mark.parametrize("what", NO_STEPS)
@pytest.mark.usefixtures("unchecked")
def test_what_no_step_can_be_made_of_is_one_line(what):
  parts, batch, key, message = NO_STEPS[what]
  game = Game(**linear_players()._asdict() | parts)
  state = jax.eval_shape(game.init, toys.key(0))
  with pytest.raises(UserError) as caught:
    jax.eval_shape(lambda state: game.step(state, batch, key), state)
  assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_state_is_made_of_one_key_and_one_latent(unchecked):
  players = linear_players()._asdict()
  with pytest.raises(UserError, match="`key=7` must be a random key, such as jax.random.key"):
    Game(**players).init(7)
  square = players | {"sample_latent": lambda key: jax.random.normal(key, (4, 4))}
  with pytest.raises(UserError, match=r"returned \[4, 4\]: it must return one latent, an array"):
    Game(**square).init(toys.key(0))
  jax.eval_shape(Game(**players).init, jax.random.PRNGKey(0))


def test_a_half_life_that_nothing_says_is_asked_for():
  players = linear_players()._asdict()
  for parts in ({}, {"schedule": scheduled("b1=linear:0")}):
    with pytest.raises(UserError, match="`ema_half_life`: .* give it in images") as caught:
      Game(**players, ema_half_life=True, **parts).init(toys.key(0))
    assert "\n" not in str(caught.value)
  for numbers in ({"ema_half_life": 0.0}, {"ema_half_life": 8.0}):
    Game(**players, ema_half_life=True, hyperparameters=numbers).init(toys.key(0))


@pytest.mark.parametrize(("parts", "message"), NO_PARTS)
@pytest.mark.usefixtures("unchecked")
def test_what_is_no_part_of_a_game_is_one_line(parts, message):
  with pytest.raises(UserError) as caught:
    Game(**linear_players()._asdict() | parts)
  assert message in str(caught.value) and "\n" not in str(caught.value)


def test_parts_of_entries_have_the_weights_of_their_papers_in_a_game_too():
  made = {name: regularizers.REGULARIZERS[name].make() for name in ("lecam", "orthogonal")}
  game = Game(**linear_players()._asdict(), regularizers=made | {"own": Regularizer()})
  weights = game.default_hyperparameters().regularizer_weights
  assert jax.tree.map(float, weights) == pytest.approx(
    {"lecam": 0.3, "orthogonal": 1e-4, "own": 1.0}
  )
  game = game.replace(hyperparameters={"lecam_weight": 2.0})
  assert game.default_hyperparameters().regularizer_weights["lecam"] == 2


def test_an_optimizer_whose_state_changes_its_type_is_one_line():
  halves = optax.GradientTransformation(
    lambda params: jnp.int32(0), lambda updates, state, params=None: (updates, state + 0.5)
  )
  game = Game(**linear_players()._asdict(), optimizer=halves)
  with pytest.raises(UserError, match="^an optimizer's update makes float32 of the int32 in its"):
    game.step(game.init(toys.key(0)), jnp.zeros((4, 2)), toys.key(1))


@pytest.mark.parametrize(
  "update",
  [
    lambda updates, state, params=None: updates,
    lambda updates, state, params=None: (jax.tree.leaves(updates), state),
    lambda updates, state, params=None: (jax.tree.map(jnp.ravel, updates), state),
    lambda updates, state, params=None: (updates, (state, state)),
  ],
)
def test_an_optimizer_whose_update_returns_other_trees_is_one_line(update):
  optimizer = optax.GradientTransformation(lambda params: jnp.int32(0), update)
  game = Game(**linear_players()._asdict(), optimizer=optimizer)
  with pytest.raises(UserError, match=r"^optimizer <lambda> returned .* \(updates, state\)"):
    game.step(game.init(toys.key(0)), jnp.zeros((4, 2)), toys.key(1))


@pytest.mark.parametrize(
  "optimizer",
  [
    optax.masked(optax.adam(1e-3), {"x": True}),
    optax.multi_transform({"a": optax.adam(1e-3)}, lambda params: jax.tree.map(str, params)),
  ],
)
def test_an_optimizer_for_other_parameters_is_one_line(optimizer):
  game = Game(**linear_players()._asdict(), optimizer=optimizer)
  with pytest.raises(
    UserError, match="^the optimizer does not fit the parameters of the gen"
  ) as it:
    game.init(toys.key(0))
  assert "\n" not in str(it.value)


@pytest.mark.parametrize(
  "schedule",
  [
    lambda hyper, step: None,
    lambda hyper, step: {"b1": hyper.b1},
    lambda hyper, step: hyper.replace(b1=None),
    lambda hyper, step: hyper.replace(b1=jnp.ones(3)),
  ],
)
def test_a_schedule_that_returns_no_numbers_is_one_line(schedule):
  game = Game(**linear_players()._asdict(), schedule=schedule)
  with pytest.raises(UserError, match="^schedule <lambda> returned .* each of them a number"):
    game.step(game.init(toys.key(0)), jnp.zeros((4, 2)), toys.key(1))


def test_numbers_of_numpy_and_of_a_trace_are_numbers_of_a_game(unchecked):
  players = linear_players()._asdict()
  game = Game(**players, accumulate=np.int64(2), clip_weights=np.bool_(True))
  assert type(game.accumulate) is int and game.clip_weights is True

  def rate(value):
    game = Game(**players, hyperparameters={"b1": value, "ema_decay": np.float32(0.5)})
    return game.default_hyperparameters().b1

  np.testing.assert_array_equal(jax.jit(jax.vmap(rate))(jnp.array([0.25, 0.5])), [0.25, 0.5])


def test_a_schedule_of_numbers_that_are_traced_is_one_of_a_game():
  players, schedule = linear_players()._asdict(), scheduled("b1=linear:0.25;b2=linear:0.5")

  def rate(value):
    game = Game(**players, hyperparameters={"b1": value}, schedule=schedule)
    return game.schedule(game.default_hyperparameters(), jnp.int32(10)).b1

  np.testing.assert_array_equal(jax.jit(jax.vmap(rate))(jnp.array([0.5, 2.0])), [0.25, 0.25])
  with pytest.raises(UserError, match="`schedule`: b2 must be at least 0 and below 1"):
    jax.jit(lambda: Game(**players, schedule=scheduled("b2=linear:1")).default_hyperparameters())()


WRONG = {
  "nothing": (none_of, "none_of returned a NoneType of 4 examples"),
  "a column": (lambda real, fake, *_: jnp.zeros((4, 1)), "returned [4, 1] of 4 examples"),
  "a square": (lambda real, fake, *_: jnp.zeros((4, 4)), "returned [4, 4] of 4 examples"),
  "a pair": (lambda real, fake, *_: (fake, real), "returned a tuple of 4 examples"),
  "integers": (lambda real, fake, *_: jnp.zeros(4, int), "returned int32 [4] of 4 examples"),
  "complex": (lambda real, fake, *_: jnp.zeros(4) + 0j, "returned complex64 [4] of 4 examples"),
}


@pytest.mark.parametrize("place", ["discriminator", "generator", "penalty", "lazy"])
@pytest.mark.parametrize("what", WRONG)
def test_a_loss_or_penalty_that_returns_something_else_is_named_in_one_line(place, what):
  function, message = WRONG[what]
  if place in ("penalty", "lazy"):
    parts = {"penalty": function, "penalty_every": 1 + (place == "lazy")}
  else:
    parts = {"loss": LOSSES["wgan"]._replace(**{place: function})}
  game = Game(**linear_players()._asdict() | parts)
  with pytest.raises(UserError) as caught:
    jax.eval_shape(game.step, game.init(toys.key(0)), points()[0], toys.key(1))
  assert message in str(caught.value) and "\n" not in str(caught.value)
  assert "it must return one real number for each, an array of floats [4]" in str(caught.value)


# What a player makes of another's output: (player, output -> what it returns, message).
OTHER_OUTPUTS = [
  ("discriminator", lambda out: {"logits": out}, "returned dict for logits: it must return an arr"),
  ("discriminator", lambda out: out > 0, "returned bool for logits: it must return an array of fl"),
  ("discriminator", lambda out: out + 0j, "returned complex64 for logits"),
  ("discriminator", lambda out: out[:, None], "returned logits [4, 1] for 4 examples"),
  (
    "generator",
    lambda out: (out, out),
    "returned a tuple: it must return an array of floats",
  ),
  (
    "generator",
    lambda out: out[:0],
    "returned [0, 2] for 4 latents: it must return an array of fl",
  ),
  (
    "generator",
    lambda out: out.astype(int),
    "returned int32 [1, 2]: it must return an array of",
  ),
]


@pytest.mark.parametrize(("player", "change", "message"), OTHER_OUTPUTS)
def test_a_player_that_returns_something_else_is_one_line(player, change, message):
  players = linear_players()._asdict()

  def apply(*arguments, **options):
    out, model_state = players[player].apply(*arguments, **options)
    return change(out), model_state

  game = Game(**players | {player: players[player]._replace(apply=apply)})
  with pytest.raises(UserError, match=f"^the {player} ") as caught:
    game.step(game.init(toys.key(0)), points()[0], toys.key(1))
  assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.usefixtures("unchecked")
def test_what_a_step_cannot_take_is_one_line():
  game, batch = Game(**linear_players()._asdict()), points()[0]
  state, key = game.init(toys.key(0)), toys.key(1)
  several = game.replace(hyperparameters={"b1": np.array([0.5, 0.9])}).default_hyperparameters()
  labels = Batch(batch[None], np.ones((1, 4), np.float32))
  for call, message in (
    (lambda: game.step((state, {}), batch, key), "`state=.* must be a gan.GanState, the first of"),
    (lambda: game.step(batch, state, key), "`state=.* must be a gan.GanState"),
    (lambda: game.step(state, batch.tolist(), key), "`batch=.* must be a gan.Batch, or an array"),
    (lambda: game.step(state, labels, key), "labels of a batch are float32: they must be integers"),
    (lambda: game.init(key, {"b1": 0.5}), "`hyperparameters=.* must be a gan.Hyperparameters"),
    (lambda: game.step(state.replace(hyperparameters=several), batch, key), r"b1 is \[2\]: a step"),
  ):
    with pytest.raises(UserError, match=message):
      call()


NOTHING = {
  "optimizer": (none_of, "it must return an optax transformation"),
  "sample_latent": (none_of, "it must return one latent, an array [Z]"),
  "schedule": (none_of, "it must return Hyperparameters"),
  "prepare": (none_of, "it must return images float32"),
  "augment": (none_of, "it must return images float32"),
  "update_rule": (UpdateRule(None, none_of), "it must return (state, metrics)"),
  "loss": (LOSSES["wgan"]._replace(threshold=none_of), "it must return two arrays"),
  "regularizers": (
    {"mine": Regularizer(discriminator=none_of)},
    "regularizer mine none_of returned a NoneType: it must return (term, metrics)",
  ),
}


@pytest.mark.parametrize("place", NOTHING)
@pytest.mark.usefixtures("unchecked")
def test_a_part_that_returns_nothing_is_named_in_one_line(place):
  part, message = NOTHING[place]
  game = Game(**linear_players()._asdict() | {place: part})
  with pytest.raises(UserError) as caught:
    jax.eval_shape(game.step, game.init(toys.key(0)), points()[0], toys.key(1))
  assert "none_of returned a NoneType: it must return" in str(caught.value)
  assert message in str(caught.value) and "\n" not in str(caught.value)


def keeping(update):
  return Regularizer(init=lambda key, gan: {"n": jnp.zeros(())}, update=update)


def of_term(value):
  return {"regularizers": {"mine": Regularizer(discriminator=lambda view, state: value(view))}}


def ruled(change):
  """An update rule that changes a state."""
  return {"update_rule": UpdateRule(None, lambda game, state, *_: (change(state), {}))}


SHAPES = {
  "a rule that forgets what is kept": ruled(lambda state: state.replace(aux_state={}))
  | {"regularizers": {"mine": keeping(lambda view, state: state)}},
  "a rule that keeps more": ruled(lambda state: state.replace(aux_state={"more": jnp.zeros(())})),
  "a rule that changes a type": ruled(lambda state: state.replace(step=state.step * 1.5)),
  "a rule that changes a shape": ruled(
    lambda state: state.replace(discriminator=state.discriminator.replace(params=jnp.zeros(3)))
  ),
  "a rule without metrics": {"update_rule": UpdateRule(None, lambda game, state, *_: (state, 0))},
  "a term of a square": of_term(
    lambda view: (view.real_outputs.logits[:, None] * view.fake_outputs.logits[None], {})
  ),
  "a metric of a vector": of_term(
    lambda view: (view.real_outputs.logits, {"mine": view.real_outputs.logits})
  ),
  "a state that is gone": {"regularizers": {"mine": keeping(none_of)}},
  "a state of another shape": {
    "regularizers": {"mine": keeping(lambda view, state: {"n": jnp.zeros(2)})}
  },
  "integers": {"augment": lambda images, keys: images.astype(jnp.uint8)},
  "fewer pixels": {"augment": lambda images, keys: images[:, :1]},
  "columns": {"loss": LOSSES["wgan"]._replace(threshold=lambda r, f: (r[:, None], f[:, None]))},
  "words": {"loss": LOSSES["wgan"]._replace(threshold=lambda r, f: ("a", None))},
}


@pytest.mark.parametrize("what", SHAPES)
@pytest.mark.usefixtures("unchecked")
def test_a_part_that_returns_other_shapes_is_named_in_one_line(what):
  game = Game(**linear_players()._asdict() | SHAPES[what])
  with pytest.raises(
    UserError, match=r"^(regularizer|update of|update_rule|augment|threshold) .* returned "
  ) as it:
    jax.eval_shape(game.step, game.init(toys.key(0)), points()[0], toys.key(1))
  assert ": it must return " in str(it.value) and "\n" not in str(it.value)


def test_a_step_with_classes_asks_for_labels():
  game = Game(**linear_players()._asdict(), num_classes=3)
  with pytest.raises(UserError, match="the game has 3 classes: give gan.Batch"):
    jax.eval_shape(game.step, game.init(toys.key(0)), points()[0], toys.key(1))


@pytest.mark.parametrize("loss", ["wgan", "nonsat"])
def test_weights_are_clipped_to_the_bound_of_the_loss(loss):
  game = Game(**linear_players()._asdict(), loss=LOSSES[loss], clip_weights=True)
  assert game.default_hyperparameters().weight_clip == np.float32(0.01)
  plain = game.replace(clip_weights=False)
  assert plain.default_hyperparameters().weight_clip == 0


# The discriminator sees everything through its augmentation.


def test_r1_under_a_linear_augmentation_is_the_value_by_hand(x64):
  # D(x A) = x A w, whose gradient in the raw x is A w = (3 * 2, -1 * 2 - 4) = (6, -6).
  matrix = jnp.array([[3.0, 0.0], [-1.0, 4.0]])
  w = jnp.array([2.0, -1.0])
  expected = (6**2 + 6**2) / 2
  game = toys.make_game(
    linear_players(w),
    penalty="r1",
    augment=lambda images, keys: images @ matrix,
  )
  state = toys.start(game, penalty_weight=0.5)
  args = state.discriminator.params, game, state, Examples(points()[0], None), toys.key(7)
  _, seen = discriminator_objective(*args)
  np.testing.assert_allclose(seen.metrics["penalty"], expected, rtol=1e-12)


@pytest.mark.parametrize("penalty", ["r1", "r2", "r1r2"])
def test_penalties_are_at_the_views_that_d_was_shown(x64, penalty):
  # D(x) = |x|^2 / 2 through x -> s x, s drawn for each example: the gradient in x is s^2 x.
  def scale(images, keys):
    return images * jax.vmap(lambda key: jax.random.uniform(key, (1,), minval=1.0, maxval=3.0))(
      keys
    )

  seen = []

  def look(view, state):
    seen.append((view.real, view.fake, view.shown_real, view.shown_fake))
    return jnp.zeros(()), {}

  critic = toys.network(lambda key: jnp.ones(()), lambda w, x: w * jnp.sum(x * x, -1) / 2)
  game = toys.make_game(
    linear_players()._replace(discriminator=critic),
    penalty=penalty,
    augment=scale,
    regularizers={"look": Regularizer(discriminator=look)},
  )
  state = toys.start(game, penalty_weight=0.5)
  args = state.discriminator.params, game, state, Examples(points()[0], None), toys.key(7)
  metrics = discriminator_objective(*args)[1].metrics
  real, fake, shown_real, shown_fake = map(np.asarray, seen[0])
  squares = {
    "r1": np.sum((shown_real * shown_real / real) ** 2, axis=-1),  # s^2 x = (s x)^2 / x
    "r2": np.sum((shown_fake * shown_fake / fake) ** 2, axis=-1),
  }
  by_hand = sum(np.mean(squares[name]) / 2 for name in ("r1", "r2") if name in penalty)
  np.testing.assert_allclose(metrics["penalty"], by_hand, rtol=1e-12)


def test_both_players_see_the_augmented_images_and_gradients_flow_through(x64):
  shift = 0.25
  game = toys.make_game(linear_players(), augment=lambda images, keys: 2 * images + shift)
  plain = toys.make_game(linear_players((4.0, -2.0)))  # D(2x) = 2 w x, the shift apart
  examples, key = Examples(points()[0], None), toys.key(7)
  state, other = toys.start(game), toys.start(plain)
  seen, there = (
    discriminator_objective(s.discriminator.params, g, s, examples, key)[1].metrics
    for g, s in ((game, state), (plain, other))
  )
  for name in ("real_logit", "fake_logit"):
    np.testing.assert_allclose(seen[name], there[name] + shift * (2 - 1), rtol=1e-12)
  gradient = jax.grad(generator_objective, has_aux=True)(
    state.generator.params, game, state, examples, key
  )[0]
  assert gradient != 0


def test_augmentations_in_a_row_draw_from_keys_of_their_own():
  def draw(images, keys, state):
    return images + jax.vmap(lambda key: jax.random.normal(key, (2,)))(keys)

  one, two = Augmentation(draw), compose([Augmentation(draw), Augmentation(draw)])
  keys, zeros = jax.random.split(toys.key(0), 3), jnp.zeros((3, 2))
  first, both = one.apply(zeros, keys, None), two.apply(zeros, keys, None)
  assert jnp.all(both - first != first)
  assert compose([]) is None and compose([one]) is one


def shifting(by):
  """Adds what it keeps, which starts at 0 and grows by `by` with each update."""

  def apply(images, keys, state):
    return images + state.aux_state["augmentation"]["shift"]

  def init(key, gan):
    return {"shift": jnp.zeros(())}

  def update(view, own):
    return {"shift": own["shift"] + by}

  return Augmentation(apply, init, update)


def test_augmentations_in_a_row_keep_arrays_of_their_own():
  def double(images, keys):
    return 2 * images

  augment = compose([shifting(1.0), double, shifting(100.0)])
  game = toys.make_game(toys.tanh_gan(), augment=augment)
  state, _ = jax.jit(game.step)(toys.start(game), Batch(points(2), None), toys.key(4))
  assert jax.device_get(state.aux_state) == {
    "augmentation": {"0": {"shift": 2.0}, "2": {"shift": 200.0}}
  }
  keys, ones = jax.random.split(toys.key(0), 3), jnp.ones((3, 2))
  np.testing.assert_array_equal(augment.apply(ones, keys, state), 2 * (ones + 2) + 200)


def test_an_update_of_arrays_that_nothing_makes_is_refused():
  for augment in (shifting(1.0)._replace(init=None),):
    with pytest.raises(UserError, match="augment has an update of arrays, and no init"):
      toys.make_game(toys.tanh_gan(), augment=augment)
    with pytest.raises(UserError, match="augment has an update of arrays, and no init"):
      compose([augment, shifting(1.0)])


def test_a_stateful_augmentation_needs_nothing_but_its_own_lines():
  def init(key, gan):
    return {"strength": jnp.zeros(())}

  def apply(images, keys, state):
    return images * (1 + state.aux_state["augmentation"]["strength"])

  def update(view, own):
    # Twice as many judged right: as ADA's controller, by the sign of the logits on the data.
    return {"strength": own["strength"] + 0.1 * jnp.mean(jnp.sign(view.real_outputs.logits))}

  game = toys.make_game(toys.tanh_gan(), augment=Augmentation(apply, init, update))
  state, step = toys.start(game), jax.jit(game.step)
  for _ in range(3):
    state, metrics = step(state, Batch(points(2), None), toys.key(4))
  assert jnp.abs(state.aux_state["augmentation"]["strength"]) > 0
  assert set(metrics) <= set(STEP_METRICS)


# Regularisers.


def toy_regularizer():
  """A term of both players that counts its updates: D's mean squared logit, G's mean square."""

  def discriminator(view, state):
    return jnp.square(view.real_outputs.logits), {"toy": state["updates"]}

  def generator(view, state):
    return jnp.mean(jnp.square(view.fake)), {}

  def update(view, state):
    return {"updates": state["updates"] + 1}

  def init(key, gan):
    return {"updates": jnp.zeros(())}

  return Regularizer(init, discriminator, generator, update)


def test_a_stateful_regularizer_needs_nothing_but_its_own_lines(x64):
  game = toys.make_game(toys.tanh_gan(), regularizers={"toy": toy_regularizer()})
  plain = toys.make_game(toys.tanh_gan())
  examples, key = Examples(points()[0], None), toys.key(7)
  state = toys.start(game, toy_weight=0.5)
  (d, seen), (d0, _) = (
    discriminator_objective(state.discriminator.params, g, state, examples, key)
    for g in (game, plain)
  )
  logits = toys.tanh_gan().discriminator.apply(
    state.discriminator.params, {}, examples.real, None, train=True
  )[0]
  np.testing.assert_allclose(d - d0, 0.5 * jnp.mean(jnp.square(logits)), rtol=1e-12)
  assert seen.aux_state["toy"]["updates"] == 1
  g, g0 = (
    generator_objective(state.generator.params, one, state, examples, key)[0]
    for one in (game, plain)
  )
  assert g > g0
  after, metrics = jax.jit(game.step)(state, Batch(points(3), None), toys.key(4))
  assert after.aux_state["toy"]["updates"] == 3 and metrics["toy"] == 2


@pytest.mark.parametrize("parts", ["one device", "two devices"])
def test_a_regularizers_state_is_that_of_the_whole_batch(parts):
  games = {
    axis: toys.make_game(toys.tanh_gan(), regularizers={"toy": toy_regularizer()}, axis_name=axis)
    for axis in ((), "batch")
  }
  state = toys.start(games[()])
  args = state, Batch(points(), None), toys.key(4)
  whole = jax.jit(games[()].step)(*args)
  other = games[()] if parts == "one device" else games["batch"]
  step = other.step if parts == "one device" else toys.over_two_devices(other.step)
  found = jax.jit(step)(*args)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), found, whole)


def test_a_regularizers_state_may_have_the_shape_of_a_player_and_draws_of_its_own():
  def init(key, gan):
    return {"draw": jax.random.normal(key), "critic": gan.discriminator.init(key)[0]}

  several = {name: Regularizer(init) for name in ("one", "two")}
  game = toys.make_game(toys.tanh_gan(), regularizers=several)
  state, plain = toys.start(game), toys.start(toys.make_game(toys.tanh_gan()))
  one, two = state.aux_state["one"], state.aux_state["two"]
  shapes = [jax.tree.map(jnp.shape, t) for t in (one["critic"], state.discriminator.params)]
  assert shapes[0] == shapes[1] and one["draw"] != two["draw"]
  # The players are drawn as without it.
  jax.tree.map(np.testing.assert_array_equal, state.generator, plain.generator)
  jax.tree.map(np.testing.assert_array_equal, state.discriminator, plain.discriminator)


def test_each_regularizer_draws_from_keys_of_its_own_in_its_terms_and_its_update():
  def drawn(view):
    return jax.vmap(jax.random.uniform)(view.keys)

  def of(name):
    term = lambda view, state: (drawn(view), {f"{name}_drawn": drawn(view)[0]})  # noqa: E731
    update = lambda view, state: {"drawn": drawn(view)[0]}  # noqa: E731
    return Regularizer(lambda key, gan: {"drawn": jnp.zeros(())}, term, None, update)

  def draws(names):
    game = toys.make_game(toys.tanh_gan(), regularizers={name: of(name) for name in names})
    state = toys.start(game)
    given = state.discriminator.params, game, state, Examples(points()[0], None), toys.key(7)
    seen = discriminator_objective(*given)[1]
    found = {name: float(seen.aux_state[name]["drawn"]) for name in names}
    assert found == {name: float(seen.metrics[f"{name}_drawn"]) for name in names}
    return found

  both = draws("ab")
  assert draws("a")["a"] == both["a"] != both["b"]


def test_a_linen_discriminator_can_be_made_again_by_a_regularizer():
  class D(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(1)(x)[:, 0]

  teacher = Regularizer(lambda key, gan: gan.discriminator.init(key)[0])
  players = linear_players()._replace(discriminator=from_linen(D()))
  state = toys.start(toys.make_game(players, regularizers={"teacher": teacher}))
  shapes = [
    jax.tree.map(jnp.shape, t) for t in (state.aux_state["teacher"], state.discriminator.params)
  ]
  assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", ["augmentation", "update_rule", "penalty"])
def test_names_that_other_parts_of_the_state_have_are_refused(name):
  with pytest.raises(UserError, match=f"regularizers: {name} is what another part"):
    toys.make_game(toys.tanh_gan(), regularizers={name: toy_regularizer()})


@pytest.mark.parametrize("metric", ["discriminator_loss", "real_logit", "other"])
def test_a_metric_that_would_take_the_place_of_another_is_refused(metric):
  def term(view, state):
    return jnp.zeros(()), {metric: jnp.ones(())}

  for player in ("discriminator", "generator"):
    toy = Regularizer(**{player: term})
    game = toys.make_game(toys.tanh_gan(), regularizers={"real": toy})
    with pytest.raises(UserError, match=f"regularizer real: its metrics {metric} must begin"):
      game.step(toys.start(game), points()[0], toys.key(0))


# What the discriminator returns.


def test_what_a_regularizer_needs_and_the_discriminator_does_not_return_is_one_line():
  looks = Regularizer(needs=("features",))
  game = toys.make_game(linear_players(), regularizers={"looks": looks})
  with pytest.raises(UserError, match="regularizer looks needs features .* returned logits:"):
    game.step(toys.start(game), points()[0], toys.key(0))


def test_what_a_regularizer_needs_and_a_model_does_not_return_is_refused_with_the_flags(
  monkeypatch,
):
  entry = regularizers.Entry(lambda: Regularizer(needs=("features",)), 1.0, "", "")
  monkeypatch.setitem(regularizers.REGULARIZERS, "looks", entry)
  config = Config(model="r3gan", regularizers="looks")
  with pytest.raises(UserError, match="`regularizers=looks` needs features .* `model=r3gan` does"):
    validate(config)
  able = MODELS["r3gan"]._replace(outputs=("logits", "features"))
  monkeypatch.setitem(MODELS, "r3gan", able)
  validate(config)


def matching(real, fake):
  """The generator's loss of feature matching: |mean f(x) - mean f(G(z))|^2 for each example."""
  apart = jnp.mean(real.features, axis=0) - jnp.mean(fake.features, axis=0)
  return jnp.full(len(fake.logits), jnp.sum(jnp.square(apart)))


MATCHING = Loss(lambda real, fake: fake.logits - real.logits, matching, needs=("features",))


def test_a_loss_of_more_than_logits_is_given_all_that_the_discriminator_returns():
  w, x, seen = jnp.array([2.0, -1.0]), points()[0], []
  critic = toys.network(lambda key: w, lambda w, x: Outputs(x @ w, features=3 * x))

  def generator(real, fake):
    seen.append((real.features, jax.lax.stop_gradient(fake.features)))
    return matching(real, fake)

  loss = MATCHING._replace(generator=generator)
  game = toys.make_game(linear_players()._replace(discriminator=critic)).replace(loss=loss)
  _, metrics = game.step(toys.start(game), x, toys.key(0))
  (real, fake) = seen[0]
  np.testing.assert_allclose(real, 3 * x)
  expected = np.sum(np.square(3 * np.mean(x, axis=0) - np.mean(fake, axis=0)))
  np.testing.assert_allclose(metrics["generator_loss"], expected, rtol=1e-5)
  apart = metrics["fake_logit"] - metrics["real_logit"]
  np.testing.assert_allclose(metrics["discriminator_loss"], apart, rtol=1e-5)


def test_what_a_loss_needs_and_the_discriminator_does_not_return_is_refused(monkeypatch):
  game = toys.make_game(linear_players()).replace(loss=MATCHING)
  with pytest.raises(UserError, match="the loss needs features .* returned logits:"):
    game.step(toys.start(game), points()[0], toys.key(0))
  monkeypatch.setitem(LOSSES, "matching", MATCHING)
  with pytest.raises(UserError, match="`loss=matching` needs features .* `model=r3gan` does .*mlp"):
    validate(Config(model="r3gan", loss="matching"))


def test_logits_with_an_axis_too_many_are_refused():
  critic = toys.network(lambda key: jnp.ones((2, 1)), lambda w, x: x @ w)  # [B, 1]
  game = toys.make_game(linear_players()._replace(discriminator=critic))
  with pytest.raises(UserError, match=r"logits \[4, 1\] for 4 examples"):
    game.step(toys.start(game), points()[0], toys.key(0))


def test_outputs_beside_logits_reach_regularizers():
  players = linear_players()
  critic = toys.network(
    lambda key: jnp.array([2.0, -1.0]), lambda w, x: Outputs(x @ w, features=x, last_weight=w)
  )
  seen = []

  def term(view, state):
    seen.append(view.real_outputs)
    return jnp.mean(view.real_outputs.features), {}

  game = toys.make_game(
    players._replace(discriminator=critic),
    penalty="r1",
    regularizers={"features": Regularizer(discriminator=term, needs=("features",))},
  )
  game.step(toys.start(game), points()[0], toys.key(0))
  assert seen[0].features.shape == (4, 2) and seen[0].last_weight.shape == (2,)


# Batches.


@pytest.mark.parametrize("update_rule", ["alternating", "simultaneous", "consensus"])
def test_parts_of_a_batch_give_the_gradient_of_the_whole(x64, update_rule):
  def play(accumulate):
    game = toys.make_game(
      toys.tanh_gan(), penalty="r1", update_rule=update_rule, accumulate=accumulate
    )
    state = toys.start(game, penalty_weight=0.5)
    return jax.jit(game.step)(state, Batch(points(1, 8), None), toys.key(4))

  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), play(4), play(1)
  )


def mean_and_counts():
  """Keeps a moving average of the logits and counts updates in both kinds of numbers."""

  def init(key, gan):
    return {"mean": jnp.zeros(()), "updates": jnp.zeros(()), "count": jnp.int32(0)}

  def update(view, kept):
    mean = jnp.mean(view.real_outputs.logits)
    return {
      "mean": 0.9 * kept["mean"] + 0.1 * mean,
      "updates": kept["updates"] + 1,
      "count": kept["count"] + 1,
    }

  return init, update


@pytest.mark.parametrize("update_rule", ["alternating", "simultaneous"])
def test_parts_of_a_batch_move_what_is_kept_once_and_as_the_whole_batch(x64, update_rule):
  init, update = mean_and_counts()

  def play(accumulate):
    game = toys.make_game(
      toys.tanh_gan(),
      update_rule=update_rule,
      accumulate=accumulate,
      regularizers={"lecam": make_lecam(), "toy": Regularizer(init, update=update)},
      augment=Augmentation(lambda images, keys, state: images, init, update),
    )
    state = toys.start(game, lecam_weight=0.0)
    return jax.jit(game.step)(state, Batch(points(1, 8), None), toys.key(4))[0].aux_state

  parts, whole = play(4), play(1)
  assert parts["lecam"]["updates"] == parts["toy"]["updates"] == parts["toy"]["count"] == 1
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), parts, whole)


def test_parts_that_do_not_divide_a_batch_are_refused():
  game = toys.make_game(toys.tanh_gan(), accumulate=3)
  with pytest.raises(UserError, match="accumulate=3 does not divide the 4 examples"):
    game.step(toys.start(game), points()[0], toys.key(0))


@pytest.mark.parametrize(("size", "pairs"), [(2, [0, 2]), (8, [0, 0, 1, 1, 2, 2, 3, 3])])
def test_a_generators_batch_of_its_own_pairs_samples_with_data_in_order(size, pairs):
  seen = []

  def spy(view, state):
    seen.append((view.real, view.fake))
    return jnp.zeros(()), {}

  game = toys.make_game(
    toys.tanh_gan(), generator_batch_size=size, regularizers={"spy": Regularizer(generator=spy)}
  )
  batch = points()[0]
  state, step = toys.start(game), game.step
  jax.eval_shape(step, state, batch, toys.key(0))
  step(state, batch, toys.key(0))
  real, fake = seen[-1]
  assert fake.shape == (size, 2)
  # Concrete where nothing was traced; the gradient traces parameters only.
  np.testing.assert_array_equal(real, batch[jnp.array(pairs)])


def test_a_generators_batch_of_its_own_does_not_depend_on_devices():
  steps = [
    toys.make_game(toys.tanh_gan(), loss="rsgan", generator_batch_size=8, axis_name=axis).step
    for axis in ((), "batch")
  ]
  state = toys.start(toys.make_game(toys.tanh_gan(), loss="rsgan"))
  args = state, Batch(points(), None), toys.key(4)
  one, two = jax.jit(steps[0])(*args), jax.jit(toys.over_two_devices(steps[1]))(*args)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), one, two)


def test_a_generators_batch_that_devices_cannot_share_is_refused():
  game = toys.make_game(toys.tanh_gan(), generator_batch_size=5, axis_name="batch")
  state = toys.start(toys.make_game(toys.tanh_gan()))
  with pytest.raises(UserError, match="generator_batch_size=5 is not divisible by the 2 devices"):
    jax.eval_shape(toys.over_two_devices(game.step), state, Batch(points(), None), toys.key(4))


def test_a_generators_batch_without_equal_parts_is_refused():
  game = toys.make_game(toys.tanh_gan(), generator_batch_size=6, accumulate=4)
  with pytest.raises(UserError, match="accumulate=4 does not divide the 6 examples"):
    game.step(toys.start(game), points()[0], toys.key(0))


# Averages.


def test_a_half_life_in_images_halves_the_weight_of_the_past(x64):
  game = toys.make_game(toys.tanh_gan(), ema_half_life=True, ema_ramp=0.0)
  state = toys.start(game, ema_half_life=8.0)
  before = state.ema_params["bias"]
  for _ in range(2):  # Two steps of four images: one half-life.
    state, _ = game.step(state, points()[0], toys.key(4))
    seen = state.generator.params["bias"]
    before = before + (1 - 0.5**0.5) * (seen - before)
    np.testing.assert_allclose(state.ema_params["bias"], before, rtol=1e-6)


def test_a_half_life_is_bounded_by_a_share_of_the_images_so_far():
  game = toys.make_game(toys.tanh_gan(), ema_half_life=True, ema_ramp=0.5)
  state = toys.start(game, ema_half_life=1e9)
  first, _ = game.step(state, points()[0], toys.key(4))
  np.testing.assert_allclose(first.ema_params["bias"], first.generator.params["bias"])
  second, _ = game.step(first, points()[0], toys.key(4))
  # 4 images so far: a half-life of 2, and 4 more of them: 2^-2 of the old average is left.
  expected = 0.75 * second.generator.params["bias"] + 0.25 * first.ema_params["bias"]
  np.testing.assert_allclose(second.ema_params["bias"], expected, rtol=1e-6)


@pytest.mark.parametrize("half_life", [False, True])
def test_the_average_starts_at_its_update_with_its_own_decay(half_life, x64):
  numbers = {"ema_half_life": 4.0} if half_life else {"ema_decay": 0.5}  # half of it, of 4 images
  game = toys.make_game(toys.tanh_gan(), ema_half_life=half_life, ema_ramp=0.0, ema_start=3)
  state = toys.start(game, **numbers)
  for update in range(1, 5):
    before = state.ema_params["bias"]
    state, _ = game.step(state, points()[0], toys.key(4))
    now = state.generator.params["bias"]
    expected = now if update < 3 else (before + now) / 2
    np.testing.assert_allclose(state.ema_params["bias"], expected, rtol=1e-6)


def test_with_a_half_life_of_nothing_the_average_is_the_generator_and_may_grow_from_there(x64):
  validate(Config(ema_half_life=0.0))
  schedule = schedules.make_schedule("ema_half_life=linear:8", images_per_step=4, schedule_images=8)
  game = toys.make_game(toys.tanh_gan(), ema_half_life=True, ema_ramp=0.0, schedule=schedule)
  state = toys.start(game, ema_half_life=0.0).replace(
    ema_params={"kernel": jnp.ones((2, 2)), "bias": jnp.ones((1, 2))}
  )
  first, _ = game.step(state, points()[0], toys.key(4))
  jax.tree.map(np.testing.assert_array_equal, first.ema_params, first.generator.params)
  second, _ = game.step(first, points()[0], toys.key(4))
  # Half of the way to 8 images: a half-life of 4, which are those of one step.
  jax.tree.map(
    lambda average, old, new: np.testing.assert_allclose(average, (old + new) / 2, rtol=1e-6),
    second.ema_params,
    first.ema_params,
    second.generator.params,
  )


def test_batch_statistics_are_averaged_and_other_model_state_is_copied():
  def apply(params, model_state, z, labels, *, train, key=None):
    moved = jax.tree.map(lambda leaf: leaf + 1, model_state)
    return z + params, moved if train else model_state

  state = {"batch_stats": jnp.zeros(()), "u": jnp.zeros(())}
  generator = Network(lambda key, *example: (jnp.zeros(()), state), apply)
  game = toys.make_game(linear_players()._replace(generator=generator))
  after, _ = game.step(toys.start(game).replace(step=jnp.int32(89)), points()[0], toys.key(0))
  np.testing.assert_allclose(after.ema_model_state["batch_stats"], 0.1, rtol=1e-5)  # decay 0.9
  assert after.ema_model_state["u"] == 1


# Parts that are passed.


def test_a_loss_of_two_functions_plays():
  loss = Loss(lambda real, fake: fake - real, lambda real, fake: -fake)
  game = toys.make_game(toys.tanh_gan()).replace(loss=loss, penalty=r1_penalty)
  _, metrics = game.step(toys.start(game), points()[0], toys.key(0))
  assert set(metrics) == set(GAME_METRICS)


def test_a_passed_optimizer_brings_its_own_rate():
  optimizer = optax.sgd(0.5)
  game = toys.make_game(toys.tanh_gan()).replace(
    optimizer=optimizer, generator_optimizer=None, discriminator_optimizer=None
  )
  rates = "generator_learning_rate", "discriminator_learning_rate", "b1", "b2", "momentum"
  assert game.fixed_rates() == rates
  state = game.init(toys.key(0))
  slow = state.hyperparameters.with_values(dict.fromkeys(rates[:2], 0.0))
  after, _ = game.step(state.replace(hyperparameters=slow), points()[0], toys.key(0))
  assert jnp.any(after.generator.params["bias"] != state.generator.params["bias"])


def test_rates_that_a_passed_optimizer_would_not_read_are_refused():
  game = toys.make_game(toys.tanh_gan()).replace(generator_optimizer=optax.sgd(0.5))
  plain = game.default_hyperparameters()
  words = "generator_learning_rate cannot be set or scheduled here: an optimizer that was passed"
  with pytest.raises(UserError, match=f"^{words}"):
    game.init(toys.key(0), plain.replace(generator_learning_rate=jnp.float32(0.1)))
  with pytest.raises(UserError, match=f"^{words}"):
    jax.jit(lambda key: game.init(key, plain.replace(generator_learning_rate=0.1)))(toys.key(0))
  # The other player's is read; so is nothing of both where many runs are traced at once.
  fine = plain.replace(discriminator_learning_rate=jnp.float32(0.1))
  state = game.init(toys.key(0), fine)
  many = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), plain)
  jax.vmap(lambda hyper: game.init(toys.key(0), hyper))(many)

  def halved(name):
    return lambda hyper, step: hyper.with_values({name: hyper.get(name) / 2})

  game.replace(schedule=halved("discriminator_learning_rate")).step(state, points()[0], toys.key(0))
  for wrap in (lambda step: step, jax.jit):
    with pytest.raises(UserError, match=f"^{words}"):
      wrap(game.replace(schedule=halved("generator_learning_rate")).step)(
        state, points()[0], toys.key(0)
      )


@pytest.mark.parametrize(
  ("choices", "numbers"),
  [
    ({"penalty": "r1"}, ["penalty_weight"]),
    ({"optimizer": "adam"}, ["b1", "b2"]),
    ({"optimizer": "rmsprop"}, ["momentum"]),
    ({"clip_weights": True}, ["weight_clip"]),
    ({"loss": "nonsat"}, ["real_label"]),
    ({"augment": make_instance_noise()}, ["instance_noise"]),
    ({"ema_half_life": True}, ["ema_half_life"]),
    ({"regularizers": {"lecam": make_lecam()}}, ["lecam_weight"]),
    ({"regularizers": {"toy": Regularizer(reads=("augment_strength",))}}, ["augment_strength"]),
    ({"optimizer": lambda hyper: optax.adamw(1e-3, hyper.get("b2"))}, ["b2"]),
  ],
)
def test_numbers_are_taken_where_something_reads_them_and_refused_elsewhere(choices, numbers):
  def players(name):
    return {f"{player}_optimizer": make_optimizer(name, player) for player in PLAYERS}

  def make(hyperparameters, loss="wgan", optimizer="lion", **choices):
    optimizers = players(optimizer) if isinstance(optimizer, str) else {"optimizer": optimizer}
    penalty = r1_penalty if choices.pop("penalty", None) else None
    return Game(
      **toys.tanh_gan()._asdict(),
      **{"loss": LOSSES[loss], "penalty": penalty, "hyperparameters": hyperparameters},
      **optimizers,
      **choices,
    )

  values = {name: 0.25 for name in numbers}
  found = make(values, **choices).default_hyperparameters()
  assert all(found.get(name) == 0.25 for name in numbers)
  without = "sgd" if set(numbers) & {"b1", "b2"} else "adam"
  unread = {"optimizer": without, "regularizers": choices.get("regularizers", {})}
  if "lecam_weight" in numbers or "augment_strength" in numbers:
    unread["regularizers"] = {}
  for name in numbers:
    what = "unknown" if name == "lecam_weight" else "read by nothing here"
    with pytest.raises(UserError, match=f"^hyperparameters: {name} {what}: choose from gen"):
      make({name: 0.25}, **unread)


def test_a_schedule_by_name_of_a_number_that_nothing_reads_is_refused():
  schedule = schedules.make_schedule(
    "penalty_weight=linear:0", images_per_step=4, schedule_images=40
  )
  with pytest.raises(UserError, match="^schedule: penalty_weight read by nothing here"):
    toys.make_game(toys.tanh_gan(), schedule=schedule)
  assert toys.make_game(toys.tanh_gan(), penalty="r1", schedule=schedule).schedule is schedule


def test_a_game_of_two_linen_modules_needs_nothing_else():
  class G(nn.Module):
    @nn.compact
    def __call__(self, z):
      return nn.Dense(2)(nn.tanh(nn.Dense(4)(z)))

  class D(nn.Module):
    @nn.compact
    def __call__(self, x, train):
      return nn.Dense(1)(nn.Dropout(0.1, deterministic=not train)(nn.tanh(nn.Dense(4)(x))))[:, 0]

  game = Game(generator=from_linen(G()), discriminator=from_linen(D()))
  state = game.init(jax.random.key(0))
  state, metrics = jax.jit(game.step)(state, points()[0], jax.random.key(1))
  assert jnp.isfinite(metrics["generator_loss"]) and state.step == 1


class Layered(nn.Module):
  """A layer that a module has without being told whether it is trained."""

  layer: Callable

  @nn.compact
  def __call__(self, x):
    return self.layer(self, nn.Dense(2)(x))


@pytest.mark.parametrize(
  ("layer", "train", "message"),
  [
    (
      lambda module, x: nn.BatchNorm(use_running_average=False)(x),
      False,
      'is not trained .Cannot update variable "mean" in .*is immutable.: give its `__call__` a par',
    ),
    (
      lambda module, x: nn.Dropout(0.5, deterministic=False)(x),
      False,
      'is not trained .Dropout_0 needs PRNG for "dropout".: give its `__call__` a parameter',
    ),
    (
      lambda module, x: x + jax.random.normal(module.make_rng("noise"), x.shape),
      True,
      'in training .it needs PRNG for "noise".: draw from the stream "dropout"',
    ),
    (
      lambda module, x: x if module.is_initializing() else nn.Dense(2)(x),
      True,
      "in training .Could not find parameter named .*: draw from .*make all variables with",
    ),
  ],
)
def test_a_linen_module_that_makes_no_network_is_one_line(layer, train, message):
  network, points = from_linen(Layered(layer)), jnp.zeros((4, 2))
  params, model_state = network.init(jax.random.key(0), points)
  with pytest.raises(UserError, match=message) as caught:
    network.apply(params, model_state, points, train=train, key=jax.random.key(1))
  assert str(caught.value).startswith("the module Layered fails ")
  assert "http" not in str(caught.value)


def test_streams_of_an_nnx_module_are_no_state():
  class Dropped(nnx.Module):
    def __init__(self, rngs):
      self.dropout, self.last = nnx.Dropout(0.5, rngs=rngs), nnx.Linear(2, 1, rngs=rngs)

    def __call__(self, x):
      return self.last(self.dropout(x))[:, 0]

  network = from_nnx(Dropped)
  params, model_state = network.init(jax.random.key(0))
  assert not jax.tree.leaves(model_state)

  def ask(key):
    return network.apply(
      params, model_state, jnp.ones((64, 2)), train=True, key=jax.random.key(key)
    )[0]

  np.testing.assert_array_equal(ask(1), ask(1))
  assert (ask(1) != ask(2)).any()
  exact = network.apply(params, model_state, jnp.ones((1, 2)), train=False)[0]
  np.testing.assert_allclose(exact, np.sum(params["last"]["kernel"][...]), rtol=1e-6)


def test_an_nnx_module_steps_as_the_linen_one_with_the_same_weights():
  class Linen(nn.Module):
    @nn.compact
    def __call__(self, x, train):
      hidden = nn.BatchNorm(use_running_average=not train)(nn.Dense(3)(x))
      return nn.Dense(1)(nn.tanh(hidden))[:, 0]

  class Nnx(nnx.Module):
    def __init__(self, rngs):
      self.first = nnx.Linear(2, 3, rngs=rngs)
      self.norm = nnx.BatchNorm(3, rngs=rngs)
      self.last = nnx.Linear(3, 1, rngs=rngs)

    def __call__(self, x):
      return self.last(nnx.tanh(self.norm(self.first(x))))[:, 0]

  def stepped(network, params=None):
    game = toys.make_game(toys.tanh_gan()._replace(discriminator=network), optimizer="sgd")
    state = toys.start(game)
    if params is not None:
      state = state.replace(discriminator=state.discriminator.replace(params=params))
    for _ in range(2):
      state, metrics = game.step(state, points()[0], toys.key(4))
    return state, metrics

  init, _ = from_nnx(Nnx).init(jax.random.key(0))
  flat = nnx.to_pure_dict(init)
  linen = {
    "Dense_0": flat["first"],
    "BatchNorm_0": flat["norm"],
    "Dense_1": flat["last"],
  }
  one, seen = stepped(from_nnx(Nnx), init)
  other, there = stepped(from_linen(Linen()), linen)
  for name in STEP_METRICS:
    if name in seen:
      np.testing.assert_allclose(seen[name], there[name], rtol=1e-5, atol=1e-6)
  mean = nnx.to_pure_dict(one.discriminator.model_state["batch_stats"])["norm"]["mean"]
  np.testing.assert_allclose(
    mean, other.discriminator.model_state["batch_stats"]["BatchNorm_0"]["mean"], rtol=1e-5
  )


def test_unpacking_is_the_inverse_of_packing():
  images = jnp.arange(2 * 3 * 4 * 4 * 2.0).reshape(6, 4, 4, 2)
  np.testing.assert_array_equal(unpack(pack(images, 3), 3), images)


# What a step is given, and what it returns, in other types than float32.


def linen_game(dtype=jnp.float32, **fields):
  """Two linear players of points, whose parameters and outputs have a type."""

  class Generator(nn.Module):
    @nn.compact
    def __call__(self, z):
      return nn.Dense(2, dtype=dtype, param_dtype=dtype)(z)

  class Discriminator(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(1, dtype=dtype, param_dtype=dtype)(x)[:, 0]

  players = {"generator": from_linen(Generator()), "discriminator": from_linen(Discriminator())}
  return Game(**players, **fields)


def test_a_state_of_bfloat16_keeps_its_types_and_metrics_are_float32():
  game = linen_game(jnp.bfloat16)
  before = game.init(jax.random.key(0))
  after, metrics = jax.jit(game.step)(before, points()[0], jax.random.key(1))

  def types(tree):
    return jax.tree.map(lambda leaf: leaf.dtype, tree)

  assert types(after) == types(before)
  assert {value.dtype for value in metrics.values()} == {jnp.dtype("float32")}


@pytest.mark.parametrize(
  ("images", "message"),
  [
    (jnp.zeros((4, 3)), r"real examples are \[3\] each, and generated ones \[2\]"),
    (jnp.zeros((4, 2), jnp.int32), "images are int32: give uint8, or floats"),
  ],
)
def test_images_that_the_generator_cannot_make_are_refused_in_the_step(images, message):
  game = linen_game()
  state = game.init(toys.key(0))
  with pytest.raises(UserError, match=message):
    game.step(state, images, toys.key(1))


def test_statistics_of_a_layer_without_the_axis_are_those_of_all_devices():
  class Discriminator(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
      return nn.Dense(1)(nn.BatchNorm(use_running_average=not train)(x))[:, 0]

  game = linen_game(axis_name="batch").replace(discriminator=from_linen(Discriminator()))
  state, real = game.init(toys.key(0)), points()[0]
  step = jax.jit(toys.over_two_devices(game.step))
  after, _ = step(state, Batch(real[None], None), toys.key(1))
  found = after.discriminator.model_state["batch_stats"]["BatchNorm_0"]["mean"]
  # Each device has the other half now, and the same samples as before.
  other, _ = step(state, Batch(real[None, ::-1], None), toys.key(1))
  swapped = other.discriminator.model_state["batch_stats"]["BatchNorm_0"]["mean"]
  np.testing.assert_allclose(found, swapped, rtol=1e-5)


def test_a_penalty_is_made_with_all_that_a_config_has():
  penalty = make_penalty("r1", penalty_weight=3.0, penalty_every=2, axis_name=())

  def critic(x):
    return x @ jnp.array([3.0, 4.0])

  keys = jax.random.split(toys.key(0), 4)
  np.testing.assert_allclose(penalty(critic, points()[0][:4], points()[0][:4], keys), 12.5)


def test_a_view_generates_what_the_objective_showed():
  class Generator(nn.Module):
    @nn.compact
    def __call__(self, z, *, train):
      return nn.Dropout(0.5, deterministic=not train)(nn.Dense(2)(z))

  def compare(view, state):
    return jnp.zeros(()), {"same": jnp.max(jnp.abs(view.generate(view.latents) - view.fake))}

  game = linen_game().replace(
    generator=from_linen(Generator()),
    regularizers={"same": Regularizer(discriminator=compare)},
  )
  state = game.init(jax.random.key(0))
  assert jax.jit(game.step)(state, points()[0], jax.random.key(1))[1]["same"] == 0
