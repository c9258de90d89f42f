"""Parts that a game is given: augmentations, regularisers, outputs, batches, averages, networks."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toys
from flax import nnx

from gan.augment import Augmentation, compose
from gan.errors import UserError
from gan.losses import Loss
from gan.method.game import STEP_METRICS, Batch, Examples, Game
from gan.method.objectives import discriminator_objective, generator_objective
from gan.networks import Gan, Network, Outputs, from_linen, from_nnx, pack, unpack
from gan.penalties import r1_penalty
from gan.regularizers import Regularizer


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


def test_a_stateful_augmentation_needs_nothing_but_its_own_lines():
  def init():
    return {"strength": jnp.zeros(())}

  def apply(images, keys, state):
    return images * (1 + state.aux_state["augmentation"]["strength"])

  def update(view, own):
    # Twice as many judged right: as ADA's controller, by the sign of the logits on the data.
    return {"strength": own["strength"] + 0.1 * jnp.mean(jnp.sign(view.real_outputs.logits))}

  game = toys.make_game(toys.tanh_gan(), augment=Augmentation(apply, init, update))
  state, step = toys.start(game), toys.compiled(game.step)
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

  return Regularizer(lambda: {"updates": jnp.zeros(())}, discriminator, generator, update)


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
  after, metrics = toys.compiled(game.step)(state, Batch(points(3), None), toys.key(4))
  assert after.aux_state["toy"]["updates"] == 3 and metrics["toy"] == 2


@pytest.mark.parametrize("parts", ["one device", "two devices"])
def test_a_regularizers_state_is_that_of_the_whole_batch(parts):
  games = {
    axis: toys.make_game(toys.tanh_gan(), regularizers={"toy": toy_regularizer()}, axis_name=axis)
    for axis in ((), "batch")
  }
  state = toys.start(games[()])
  args = state, Batch(points(), None), toys.key(4)
  whole = toys.compiled(games[()].step)(*args)
  other = games[()] if parts == "one device" else games["batch"]
  step = other.step if parts == "one device" else toys.over_two_devices(other.step)
  found = toys.compiled(step)(*args)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), found, whole)


# What the discriminator returns.


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
    return toys.compiled(game.step)(state, Batch(points(1, 8), None), toys.key(4))

  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), play(4), play(1)
  )


@pytest.mark.parametrize("update_rule", ["alternating", "simultaneous"])
def test_parts_of_a_batch_move_what_regularizers_keep(update_rule):
  game = toys.make_game(
    toys.tanh_gan(),
    update_rule=update_rule,
    accumulate=2,
    regularizers={"toy": toy_regularizer()},
  )
  after, _ = toys.compiled(game.step)(toys.start(game), Batch(points(), None), toys.key(4))
  assert after.aux_state["toy"]["updates"] == 2


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
  one, two = toys.compiled(steps[0])(*args), toys.compiled(toys.over_two_devices(steps[1]))(*args)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), one, two)


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
  assert set(metrics) == set(STEP_METRICS)


def test_a_passed_optimizer_brings_its_own_rate():
  optimizer = optax.sgd(0.5)
  game = toys.make_game(toys.tanh_gan()).replace(
    optimizer=optimizer, generator_optimizer=None, discriminator_optimizer=None
  )
  rates = "generator_learning_rate", "discriminator_learning_rate", "b1", "b2", "momentum"
  assert game.fixed_rates() == rates
  slow = toys.start(game, generator_learning_rate=0.0, discriminator_learning_rate=0.0)
  after, _ = game.step(slow, points()[0], toys.key(0))
  assert jnp.any(after.generator.params["bias"] != slow.generator.params["bias"])


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
