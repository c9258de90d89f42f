"""One step of training against arithmetic, and what holds for every step."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.losses import make_loss
from gan.method.game import Batch, Game
from gan.method.play import to_range
from gan.method.update_rules import UPDATE_RULES
from gan.networks import Gan, Network
from gan.optimizers import make_optimizer
from gan.training import parallel
from gan.training.build import DataInfo, build, hyperparameters
from gan.training.config import Config

POINTS = DataInfo((2,), 0, 64, None)
SMALL = Config(
  dataset="ring", model="points", width=8, latent_dim=3, batch_size=6, steps=10, optimizer="sgd"
)


def points(updates, batch=6, seed=0):
  real = np.random.default_rng(seed).standard_normal((updates, batch, 2))
  return Batch(jnp.asarray(real, jnp.float32), None)


def start(config, info=POINTS):
  """(state, step): a state as `init` shapes it, without its compilation; an undecorated step."""
  algorithm = build(config, info)
  rng = np.random.default_rng(0)

  def fill(path, leaf):
    names = [getattr(part, "key", None) for part in path]
    if "kernel" in names or "embedding" in names:
      fan_in = np.prod(leaf.shape) / leaf.shape[-1]
      return jnp.asarray(rng.standard_normal(leaf.shape) * fan_in**-0.5, leaf.dtype)
    return jnp.full(leaf.shape, names[-1] in ("scale", "var"), leaf.dtype)

  shapes = jax.eval_shape(algorithm.init, jax.random.key(0))
  players = {
    name: player.replace(
      params=jax.tree_util.tree_map_with_path(fill, player.params),
      model_state=jax.tree_util.tree_map_with_path(fill, player.model_state),
      opt_state=jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), player.opt_state),
    )
    for name, player in (("generator", shapes.generator), ("discriminator", shapes.discriminator))
  }
  state = shapes.replace(
    step=jnp.zeros((), jnp.int32),
    hyperparameters=hyperparameters(config),
    ema_params=players["generator"].params,
    ema_model_state=players["generator"].model_state,
    **players,
  )
  return state, algorithm.step


def host(tree):
  return jax.tree.map(np.asarray, tree)


def assert_equal(one, other):
  jax.tree.map(np.testing.assert_array_equal, host(one), host(other))


def assert_close(one, other, atol=1e-6):
  jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=atol), one, other)


# A linear GAN by hand: G(z) = A z + b and D(x) = w x + c, so f = w A z + w b + c.


def linear_gan(drawn):
  """The players; each use of G appends its latents to `drawn`, as the step runs undecorated."""

  def affine(key, *example):
    del key, example
    return {"kernel": jnp.array([[0.5, -1.0], [0.3, 0.8], [1.0, 0.2]]), "bias": jnp.ones((1, 2))}

  def generate(params, model_state, latents, labels, *, train, key=None):
    if not isinstance(latents, jax.core.Tracer):
      drawn.append(np.asarray(latents, np.float64))
    return latents @ params["kernel"] + params["bias"], model_state

  def units(key, *example):
    del key, example
    return {"kernel": jnp.array([0.7, -0.4]), "bias": jnp.array([0.1])}

  def discriminate(params, model_state, images, labels, *, train, key=None):
    return images @ params["kernel"] + params["bias"], model_state

  generator = Network(lambda *given: (affine(*given), {}), generate)
  discriminator = Network(lambda *given: (units(*given), {}), discriminate)
  return Gan(generator, discriminator, lambda key: jax.random.normal(key, (3,)), (-1.0, 1.0))


def linear_game(update_rule="alternating", loss="nonsat", drawn=None, **numbers):
  """(state, step) of the linear GAN under SGD."""
  optimizers = {
    f"{player}_optimizer": make_optimizer("sgd", player)
    for player in ("generator", "discriminator")
  }
  gan = linear_gan([] if drawn is None else drawn)
  rule = UPDATE_RULES[update_rule].make()
  game = Game(**gan._asdict(), loss=make_loss(loss), update_rule=rule, **optimizers)
  state = game.init(jax.random.key(0), hyperparameters(Config(**numbers)))
  return state, game.step


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def softplus(x):
  return np.log1p(np.exp(x))


class LinearByHand:
  """The same game in NumPy, float64."""

  def __init__(self, state, rates, scale):
    generator, discriminator = host((state.generator.params, state.discriminator.params))
    self.kernel, self.bias = generator["kernel"].astype(float), generator["bias"].astype(float)
    self.w, self.c = discriminator["kernel"].astype(float), discriminator["bias"].astype(float)
    self.rates, self.scale = rates, scale

  def fake(self, latents):
    return latents @ self.kernel + self.bias

  def logits(self, images):
    return images @ self.w + self.c

  def update_discriminator(self, real, latents):
    """L = mean [softplus(-r) + softplus(f)], dL/dr = -(1 - s(r)), dL/df = s(f)."""
    fake = self.fake(latents)
    r, f = self.logits(real), self.logits(fake)
    loss = np.mean(softplus(-r) + softplus(f))
    dr, df = -(1 - sigmoid(r)) / len(r), sigmoid(f) / len(f)
    dw = self.scale * (dr @ real + df @ fake)
    dc = self.scale * np.array([np.sum(dr + df)])
    self.w, self.c = self.w - self.rates[1] * dw, self.c - self.rates[1] * dc
    return {
      "discriminator_loss": loss,
      "discriminator_gradient_norm": np.sqrt(np.sum(dw**2) + np.sum(dc**2)),
      "real_logit": np.mean(r),
      "fake_logit": np.mean(f),
      "real_probability": np.mean(sigmoid(r)),
      "fake_probability": np.mean(sigmoid(f)),
      "real_accuracy": np.mean(r > 0),
      "fake_accuracy": np.mean(f < 0),
    }

  def update_generator(self, latents, loss):
    """nonsat: softplus(-f), slope -(1 - s(f)); sat: -softplus(f), slope -s(f)."""
    f = self.logits(self.fake(latents))
    value = {"nonsat": softplus(-f), "sat": -softplus(f)}[loss]
    df = {"nonsat": -(1 - sigmoid(f)), "sat": -sigmoid(f)}[loss] / len(f)
    dkernel = latents.T @ np.outer(df, self.w)
    dbias = np.sum(df) * self.w[None]
    self.kernel = self.kernel - self.rates[0] * dkernel
    self.bias = self.bias - self.rates[0] * dbias
    return {
      "generator_loss": np.mean(value),
      "generator_gradient_norm": np.sqrt(np.sum(dkernel**2) + np.sum(dbias**2)),
    }


@pytest.mark.parametrize("updates", [1, 2])
@pytest.mark.parametrize("loss", ["nonsat", "sat"])
def test_two_steps_of_a_linear_gan_are_those_worked_in_numpy(loss, updates):
  drawn, rates, scale = [], (0.3, 0.2), 0.5
  state, step = linear_game(
    loss=loss,
    drawn=drawn,
    generator_learning_rate=rates[0],
    discriminator_learning_rate=rates[1],
    discriminator_loss_scale=scale,
  )
  hand = LinearByHand(state, rates, scale)
  for number in range(2):
    batch = points(updates, seed=number)
    drawn.clear()
    state, metrics = step(state, batch, jax.random.key(0))
    assert len(drawn) == updates + 1
    for real, latents in zip(np.asarray(batch.image, float), drawn[:-1], strict=True):
      expected = hand.update_discriminator(real, latents)
    expected |= hand.update_generator(drawn[-1], loss)
    assert sorted(metrics) == sorted(expected)
    for name, value in expected.items():
      np.testing.assert_allclose(metrics[name], value, rtol=2e-5, err_msg=name)
  players = {"kernel": hand.kernel, "bias": hand.bias}, {"kernel": hand.w, "bias": hand.c}
  for player, params in zip((state.generator, state.discriminator), players, strict=True):
    for name, expected in params.items():
      np.testing.assert_allclose(player.params[name], expected, rtol=2e-5, err_msg=name)


def latents_of_steps(update_rule, updates, steps, key=0):
  """Latents [use of G, B, Z] of each step."""
  drawn, uses = [], []
  state, step = linear_game(update_rule, drawn=drawn)
  for _ in range(steps):
    drawn.clear()
    state, _ = step(state, points(updates), jax.random.key(key))
    uses.append(np.stack(drawn))
  return np.stack(uses)


def test_every_draw_of_latents_is_new():
  latents = latents_of_steps("alternating", 2, 3)  # [3 steps, 2 for D and 1 for G, 6, 3]
  assert latents.shape == (3, 3, 6, 3)
  assert len(np.unique(latents)) == latents.size


def test_latents_follow_the_key_and_the_step_alone():
  np.testing.assert_array_equal(
    latents_of_steps("alternating", 1, 2), latents_of_steps("alternating", 1, 2)
  )
  other = latents_of_steps("alternating", 1, 2, key=1)
  assert np.all(latents_of_steps("alternating", 1, 2) != other)


def test_with_the_generator_first_d_sees_the_fakes_of_gs_update():
  generator, first, second = latents_of_steps("alternating_generator_first", 2, 1)[0]
  np.testing.assert_array_equal(generator, first)
  assert np.all(first != second)


def test_simultaneous_players_share_their_fakes():
  discriminator, generator = latents_of_steps("simultaneous", 1, 1)[0]
  np.testing.assert_array_equal(discriminator, generator)


def test_with_d_first_g_plays_against_the_new_d_and_with_g_first_against_the_old():
  # With a D that learns 1e3 times too fast the two generators part.
  ends = {"alternating": [], "alternating_generator_first": []}
  for rule, kernels in ends.items():
    for rate in (0.0, 100.0):
      state, step = linear_game(rule, discriminator_learning_rate=rate, generator_learning_rate=0.1)
      state, _ = step(state, points(1), jax.random.key(0))
      kernels.append(np.asarray(state.generator.params["kernel"]))
  assert np.abs(ends["alternating"][0] - ends["alternating"][1]).max() > 1e-3
  np.testing.assert_array_equal(*ends["alternating_generator_first"])


# What a step does to the rest of the state.


def test_step_counts_generator_updates():
  state, step = start(dataclasses.replace(SMALL, discriminator_steps=3))
  assert state.step == 0 and state.step.dtype == jnp.int32
  for expected in (1, 2):
    state, _ = step(state, points(3), jax.random.key(0))
    assert state.step == expected and state.step.dtype == jnp.int32


@pytest.mark.parametrize(
  ("at", "ema_decay", "decay"),
  [(0, 0.99, 0.1), (10, 0.99, 0.55), (10, 0.5, 0.5), (10**6, 0.99, 0.99), (7, 0.0, 0.0)],
)
def test_the_average_keeps_min_of_decay_and_one_plus_t_over_ten_plus_t(at, ema_decay, decay):
  state, step = start(dataclasses.replace(SMALL, ema_decay=ema_decay, generator_learning_rate=0.5))
  far = jax.tree.map(lambda params: params + 1, state.ema_params)
  state = state.replace(step=jnp.int32(at), ema_params=far)
  after, _ = step(state, points(1), jax.random.key(0))
  expected = jax.tree.map(
    lambda old, new: decay * old + (1 - decay) * new, far, (after.generator.params)
  )
  assert_close(after.ema_params, expected)


def test_batch_statistics_are_averaged_as_the_parameters_are():
  config = dataclasses.replace(SMALL, model="dcgan", width=2, dataset="mnist")
  state, step = start(config, info=DataInfo((28, 28, 1), 0, 64, None))
  images = np.random.default_rng(0).integers(0, 256, (1, 6, 28, 28, 1), np.uint8)
  after, _ = jax.jit(step)(state, Batch(images, None), jax.random.key(0))

  def blend(old, new):
    return 0.1 * old + 0.9 * new

  expected = jax.tree.map(blend, state.ema_model_state, after.generator.model_state)
  assert_close(after.ema_model_state, expected)
  assert len(jax.tree.leaves(expected)) == 4  # mean and variance of two layers


def test_clipping_bounds_every_weight_of_d_and_none_of_g():
  config = dataclasses.replace(SMALL, loss="wgan", discriminator_learning_rate=10.0)
  state, step = start(config)
  after, _ = step(state, points(1), jax.random.key(0))
  clipped = np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(after.discriminator.params)])
  assert np.abs(clipped).max() == np.float32(0.01)  # Arjovsky's bound, the default of wgan
  assert np.sum(np.abs(clipped) < 0.01) < np.sum(np.abs(clipped) == np.float32(0.01))
  assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(after.generator.params)) > 0.05


def test_without_clipping_weights_are_free():
  state, step = start(dataclasses.replace(SMALL, loss="wgan", weight_clip=0.0))
  after, _ = step(state, points(1), jax.random.key(0))
  assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(after.discriminator.params)) > 0.05


def test_a_player_with_rate_zero_stays():
  state, step = start(dataclasses.replace(SMALL, generator_learning_rate=0.0))
  after, _ = step(state, points(1), jax.random.key(0))
  assert_equal(after.generator.params, state.generator.params)
  assert np.any(
    jax.tree.leaves(after.discriminator.params)[0] != jax.tree.leaves(state.discriminator.params)[0]
  )


def test_equal_keys_give_equal_bits_and_others_do_not():
  config = dataclasses.replace(SMALL, optimizer="adam")
  ends = []
  for seed in (0, 0, 1):
    state, step = start(config)
    for number in range(3):
      state, metrics = step(state, points(1, seed=number), jax.random.key(seed))
    ends.append((state, metrics))
  assert_equal(ends[0], ends[1])
  assert ends[0][1]["generator_loss"] != ends[2][1]["generator_loss"]


def test_init_is_a_function_of_the_key_and_the_average_starts_at_g():
  init = build(SMALL, POINTS).init
  one, same, other = (init(jax.random.key(seed)) for seed in (0, 0, 1))
  assert_equal(one, same)
  assert_equal(one.ema_params, one.generator.params)
  assert one.step == 0 and one.step.dtype == jnp.int32
  buffers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(one)]
  assert len(set(buffers)) == len(buffers)  # it can be donated
  kernels = [state.generator.params["Dense_0"]["Dense_0"]["kernel"] for state in (one, other)]
  assert np.all(kernels[0] != kernels[1])


# Hyper-parameters are arrays of the state.


def test_runs_with_their_own_rates_are_the_runs_alone():
  state, step = start(SMALL)
  step = jax.jit(step)
  rates = jnp.array([0.05, 0.3])
  hyper = state.hyperparameters
  states = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), state)
  states = states.replace(
    hyperparameters=states.hyperparameters.replace(generator_learning_rate=rates)
  )
  together = jax.jit(jax.vmap(step, in_axes=(0, None, 0)))
  keys = jax.random.split(jax.random.key(0))
  alone = [
    state.replace(hyperparameters=hyper.replace(generator_learning_rate=rate)) for rate in rates
  ]
  for number in range(3):
    batch = points(1, seed=number)
    states, metrics = together(states, batch, keys)
    pairs = [step(one, batch, key) for one, key in zip(alone, keys, strict=True)]
    alone = [state for state, _ in pairs]
  for i in range(2):
    assert_close(jax.tree.map(lambda leaf, i=i: leaf[i], (states, metrics)), pairs[i])
  kernels = states.generator.params["Dense_0"]["Dense_0"]["kernel"]
  assert np.abs(kernels[0] - kernels[1]).max() > 1e-3


def test_d_loss_scale_scales_ds_gradient_and_not_its_loss():
  seen = []
  for scale in (1.0, 0.5):
    state, step = start(dataclasses.replace(SMALL, discriminator_loss_scale=scale))
    seen.append(step(state, points(1), jax.random.key(0))[1])
  np.testing.assert_allclose(
    seen[1]["discriminator_gradient_norm"], seen[0]["discriminator_gradient_norm"] / 2, rtol=1e-5
  )
  np.testing.assert_array_equal(seen[0]["discriminator_loss"], seen[1]["discriminator_loss"])


def test_the_schedule_is_that_of_the_step():
  # 64 examples, 6 a step: epoch 250 is step 2667; momentum is .7 from there on.
  config = dataclasses.replace(
    SMALL, schedule="goodfellow2014", momentum=0.5, generator_learning_rate=0.1
  )
  state, step = start(config)
  ones = jax.tree.map(jnp.ones_like, state.generator.params)
  (trace,) = [part for part in state.generator.opt_state if hasattr(part, "trace")]
  moving = tuple(
    part._replace(trace=ones) if part is trace else part for part in state.generator.opt_state
  )
  state = state.replace(step=jnp.int32(3000), generator=state.generator.replace(opt_state=moving))
  still = state.replace(
    generator=state.generator.replace(
      opt_state=jax.tree.map(jnp.zeros_like, state.generator.opt_state)
    )
  )
  moved, _ = step(state, points(1), jax.random.key(0))
  rested, _ = step(still, points(1), jax.random.key(0))
  # The two differ by rate * momentum * trace = .1 / 1.000004^3000 * .7.
  difference = jax.tree.map(jnp.subtract, rested.generator.params, moved.generator.params)
  for leaf in jax.tree.leaves(difference):
    np.testing.assert_allclose(leaf, 0.07 * np.exp(-3000 * np.log(1.000004)), rtol=1e-4)


# Shapes, types and compilations.


@pytest.mark.parametrize("rule", sorted(UPDATE_RULES))
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_a_step_gives_back_a_state_of_the_same_shapes_and_types(rule, optimizer):
  algorithm = build(dataclasses.replace(SMALL, update_rule=rule, optimizer=optimizer), POINTS)
  state = jax.eval_shape(algorithm.init, jax.random.key(0))
  after, metrics = jax.eval_shape(algorithm.step, state, points(1), jax.random.key(0))
  assert jax.tree.structure(after) == jax.tree.structure(state)

  def describe(leaf):
    return leaf.shape, leaf.dtype, leaf.weak_type

  assert jax.tree.map(describe, after) == jax.tree.map(describe, state)
  assert {(leaf.shape, leaf.dtype) for leaf in metrics.values()} == {((), jnp.dtype("float32"))}


def test_a_run_compiles_its_step_once():
  algorithm, traces = build(dataclasses.replace(SMALL, optimizer="adam"), POINTS), []

  def step(state, batch, key):
    traces.append(None)
    return algorithm.step(state, batch, key)

  run = parallel.make_run(step, "none", jax.devices()[:1])
  state = start(dataclasses.replace(SMALL, optimizer="adam"))[0]
  state = jax.tree.map(jnp.copy, state)  # the average has its own buffers, as after `init`
  data = Batch(points(1, 64).image[0], None)
  for number in range(4):
    indices = np.arange(6, dtype=np.int32)[None, None] + number
    state, _ = run(state, data, indices, jax.random.key(1))
  assert len(traces) == 1 and state.step == 4


@pytest.mark.parametrize("model", ["mlp", "dcgan", "infogan"])
def test_bfloat16_keeps_a_float32_state(model):
  config = dataclasses.replace(SMALL, model=model, width=None, precision="bfloat16")
  algorithm = build(config, DataInfo((28, 28, 1), 0, 64, None))
  batch = Batch(jax.ShapeDtypeStruct((1, 6, 28, 28, 1), jnp.uint8), None)
  state = jax.eval_shape(algorithm.init, jax.random.key(0))
  after, metrics = jax.eval_shape(algorithm.step, state, batch, jax.random.key(0))
  floats = {leaf.dtype for leaf in jax.tree.leaves((after, metrics))} - {jnp.dtype("int32")}
  assert floats == {jnp.dtype("float32")}


def test_bfloat16_stays_near_float32():
  seen = {}
  for precision in ("float32", "bfloat16"):
    state, step = start(dataclasses.replace(SMALL, precision=precision))
    _, seen[precision] = step(state, points(1), jax.random.key(0))
  for name in ("discriminator_loss", "generator_loss"):
    exact, rounded = seen["float32"][name], seen["bfloat16"][name]
    assert exact != rounded
    np.testing.assert_allclose(rounded, exact, rtol=0.03)


def test_labels_reach_both_players():
  config = dataclasses.replace(SMALL, conditional=True)
  state, step = start(config, info=DataInfo((2,), 3, 64, None))
  seen = []
  for shift in (0, 1):
    labels = (jnp.arange(6)[None] + shift) % 3
    _, metrics = step(state, points(1)._replace(label=labels), jax.random.key(0))
    seen.append(metrics)
  for name in ("real_logit", "fake_logit", "generator_loss"):
    assert seen[0][name] != seen[1][name]


# The range of the pixels.


@pytest.mark.parametrize("image_range", [(-1.0, 1.0), (0.0, 1.0)])
def test_pixels_map_to_the_range_of_the_model(image_range):
  low, high = image_range
  images = to_range(jnp.array([0, 51, 255], jnp.uint8), image_range)
  # 51 = 255 / 5, a fifth of the way.
  np.testing.assert_allclose(images, [low, low + (high - low) / 5, high], atol=1e-7)


def test_points_pass_as_they_are():
  real = jnp.array([[3.0, -250.0]])
  assert to_range(real, (-1.0, 1.0)) is real
