"""Drifting: its field by another route, its symmetries, its step on one device and two."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

import gan
from gan.datasets import ring
from gan.errors import UserError
from gan.method.drifting import RADII, drifting, drifting_field, root_mean_square
from gan.method.game import STEP_METRICS, Batch
from gan.metrics.modes import mixture_modes
from gan.optimizers import make_optimizer
from gan.training.build import DataInfo, build_game
from gan.training.config import Config
from gan.training.validation import validate

RNG = np.random.default_rng(0)
SAMPLES, DATA = RNG.normal(size=(5, 2)), RNG.normal(size=(4, 2)) + 1


def by_pairs(samples, data, radius):
  """The sum over pairs of a data and another sample, in loops and float64."""
  count, seen = len(samples), [*samples, *data]
  pairs = [(i, j) for i in range(count) for j in range(len(seen)) if i != j]
  distance = {(i, j): np.sqrt(np.sum((samples[i] - seen[j]) ** 2)) for i, j in pairs}
  r = radius * np.mean(list(distance.values()))
  kernel = {pair: np.exp(-each / r) for pair, each in distance.items()}

  def weight(i, j):
    row = sum(value for (a, _), value in kernel.items() if a == i)
    column = sum(value for (_, b), value in kernel.items() if b == j)
    return np.sqrt(kernel[i, j] / row * kernel[i, j] / column)

  field = np.zeros_like(samples)
  for i in range(count):
    for k in (k for k in range(count) if k != i):
      for j in range(len(data)):
        field[i] += weight(i, count + j) * weight(i, k) * (data[j] - samples[k])
  return field


@pytest.mark.parametrize("radius", [0.2, 2.0])
def test_the_field_is_a_sum_over_pairs(radius):
  with jax.enable_x64(True):
    found = drifting_field(jnp.asarray(SAMPLES), jnp.asarray(DATA), radius)
  np.testing.assert_allclose(found, by_pairs(SAMPLES, DATA, radius), rtol=1e-9, atol=1e-12)


def test_two_samples_and_a_point_by_hand():
  # Samples 0 and 1, data at 2: distances 1, 2 and 1, 1; their mean is 5/4, r = 5/4 at radius 1.
  # Sample 0: softmax of (-.8, -1.6) over what it sees is (.690, .310); over samples that see the
  # data, (-1.6, -.8), (.310, .690); each sample is alone in seeing the other.
  found = drifting_field(jnp.array([[0.0], [1.0]]), jnp.array([[2.0]]), 1.0)
  s = 1 / (1 + np.exp(-0.8))
  first = np.sqrt((1 - s) * (1 - s)) * np.sqrt(s * 1) * (2 - 1)
  second = np.sqrt(0.5 * s) * np.sqrt(0.5 * 1) * (2 - 0)
  np.testing.assert_allclose(found, [[first], [second]], rtol=1e-5)


def test_the_field_moves_and_turns_and_scales_with_the_points():
  samples, data = jnp.asarray(SAMPLES, jnp.float32), jnp.asarray(DATA, jnp.float32)
  field, turn = drifting_field(samples, data, 0.2), jnp.array([[0.6, -0.8], [0.8, 0.6]])
  assert root_mean_square(field) > 0.1
  shifted = drifting_field(samples + 3.0, data + 3.0, 0.2)
  np.testing.assert_allclose(shifted, field, atol=1e-5)
  turned = drifting_field(samples @ turn, 2 * data @ turn * 0.5, 0.2)
  np.testing.assert_allclose(turned, field @ turn, atol=1e-5)
  np.testing.assert_allclose(drifting_field(5 * samples, 5 * data, 0.2), 5 * field, rtol=1e-4)
  order, other = np.array([3, 0, 4, 1, 2]), np.array([2, 3, 0, 1])
  np.testing.assert_allclose(drifting_field(samples[order], data[other], 0.2), field[order], 1e-4)


def test_a_field_is_finite_of_one_sample_of_one_place_and_far_away():
  assert not np.any(drifting_field(jnp.zeros((1, 2)), jnp.ones((3, 2)), 0.02))
  samples, data = jnp.ones((5, 2)), jnp.ones((4, 2))
  both = jnp.stack([samples, 0 * samples]), jnp.stack([data, 1e6 * data])
  assert np.isfinite(jax.vmap(lambda g, x: drifting_field(g, x, 0.02))(*both)).all()


def game_of(axis_name=(), **choices):
  rule = drifting(drifting_radii="0.2,1")
  game = toys.make_game(toys.tanh_gan(), axis_name=axis_name)
  return game.replace(**{"update_rule": rule, "discriminator_optimizer": None} | choices)


def test_a_step_moves_the_generator_alone_by_the_field_and_equally_on_two_devices():
  game, batch, key = game_of(), Batch(toys.points(), None), toys.key(4)
  state = toys.start(game, generator_learning_rate=0.5)
  after, metrics = jax.jit(game.step)(state, batch, key)
  split = jax.jit(toys.over_two_devices(game_of("batch").step))(state, batch, key)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), split, (after, metrics)
  )
  jax.tree.map(np.testing.assert_array_equal, after.discriminator, state.discriminator)
  assert set(metrics) == {"generator_loss", "generator_gradient_norm", "drifting_field"}
  assert set(metrics) <= set(STEP_METRICS)
  # The bias is each sample's: it goes -rate times the mean of -2 V, V of radii scaled to unit size.
  bias = (after.generator.params["bias"] - state.generator.params["bias"])[0]
  latents = _latents(game, state, key)
  samples = latents @ state.generator.params["kernel"] + state.generator.params["bias"]
  fields = [drifting_field(samples, batch.image[0], radius) for radius in (0.2, 1.0)]
  expected = sum(field / root_mean_square(field) for field in fields)
  np.testing.assert_allclose(bias, 0.5 * 2 * jnp.mean(expected, axis=0), rtol=1e-4)
  sizes = [root_mean_square(field) for field in fields]
  np.testing.assert_allclose(metrics["drifting_field"], sum(sizes) / 2, rtol=1e-5)
  squares = jnp.mean(jnp.sum(jnp.square(expected), axis=1))
  np.testing.assert_allclose(metrics["generator_loss"], squares, rtol=1e-5)


def _latents(game, state, key):
  """Those of the step, by its keys."""
  generate, _ = jax.random.split(jax.random.fold_in(key, state.step))
  latent_key, _ = jax.random.split(generate)
  keys = jax.vmap(jax.random.fold_in, (None, 0))(latent_key, jnp.arange(4))
  return jax.vmap(game.sample_latent)(keys)


def test_parts_of_a_game_are_refused_in_one_line():
  game = game_of(penalty=gan.r1_penalty, augment=lambda images, keys: images)
  with pytest.raises(UserError) as refusal:
    game.step(toys.start(game), toys.points()[0], toys.key(0))
  assert str(refusal.value) == (
    "drifting plays no game and knows no classes: leave out `penalty`, `augment`"
  )
  with pytest.raises(UserError, match="give a batch of at least two"):
    game_of().step(toys.start(game_of()), toys.points()[0][:1], toys.key(0))


@pytest.mark.parametrize(
  ("values", "flag"),
  [
    ({"loss": "hinge"}, "loss"),
    ({"penalty": "r1"}, "penalty"),
    ({"lecam_weight": 0.3}, "lecam_weight"),
    ({"regularizers": "lecam", "lecam_weight": 0.3}, "regularizers"),
    ({"augment_control": "ada"}, "augment_control"),
    ({"instance_noise": 0.1}, "instance_noise"),
    ({"augment": "ada"}, "augment"),
    ({"conditional": True}, "conditional"),
    ({"packing": 2}, "packing"),
    ({"heldout": "test", "eval_every": 10}, "heldout"),
  ],
)
def test_flags_of_a_game_are_refused_in_one_line(values, flag):
  validate(Config(model="points", update_rule="drifting"))
  with pytest.raises(UserError) as refusal:
    validate(Config(model="points", update_rule="drifting", **values))
  expected = "--update_rule=drifting has no discriminator and knows no classes: leave out --"
  assert str(refusal.value) == f"{expected}{flag}"


def test_a_batch_of_one_is_refused_before_there_are_data():
  with pytest.raises(UserError) as refusal:
    validate(Config(model="points", update_rule="drifting", batch_size=1))
  assert str(refusal.value) == (
    "--update_rule=drifting compares examples: use --batch_size=2 or more"
  )


IDLE = {"real_label": 0.9, "weight_clip": 0.1}
IDLE |= {"discriminator_loss_scale": 2.0, "discriminator_optimizer": "sgd"}


@pytest.mark.parametrize("name", IDLE)
def test_what_only_updates_of_a_discriminator_read_is_refused_in_one_line(name):
  flags = {"model": "points", "update_rule": "drifting", "generator_learning_rate": 0.1}
  validate(Config(**flags, ema_decay=0.9, optimizer="sgd", momentum=0.5))
  with pytest.raises(UserError) as refusal:
    validate(Config(**flags, **{name: IDLE[name]}))
  expected = "has no meaning for --update_rule=drifting: it moves the generator alone; leave it out"
  assert str(refusal.value) == f"--{name} {expected}"


def test_a_game_of_it_refuses_numbers_and_parts_of_a_discriminator():
  assert game_of().read_numbers() == ["generator_learning_rate", "momentum", "ema_decay"]
  with pytest.raises(UserError, match="hyperparameters: real_label read by nothing here"):
    game_of(hyperparameters={"real_label": 0.9})
  game = game_of(clip_weights=True, discriminator_optimizer=make_optimizer("adam", "discriminator"))
  with pytest.raises(UserError, match="leave out `clip_weights`, `discriminator_optimizer`$"):
    game.step(toys.start(game), toys.points()[0], toys.key(0))
  built = build_game(Config(model="points", update_rule="drifting"), DataInfo((2,), 0, 64, None))
  state = jax.eval_shape(built.init, toys.key(0))
  jax.eval_shape(built.step, state, Batch(toys.points(), None), toys.key(1))


@pytest.mark.parametrize("radii", ["", "0.1,x", "0.1,0", "inf"])
def test_radii_that_cannot_be_are_refused(radii):
  with pytest.raises(UserError, match=f"must be numbers above 0, .*, as in {RADII}"):
    drifting(drifting_radii=radii)


@pytest.mark.slow
def test_it_finds_every_mode_of_the_ring():
  _, samples = toys.ring_samples(
    steps=600, update_rule=drifting(), hyperparameters={"generator_learning_rate": 1e-3}
  )
  modes, share, _ = mixture_modes(samples, ring.centres(), 10 * ring.SIGMA)
  assert modes == ring.MODES and share > 0.6
