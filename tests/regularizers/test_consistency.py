"""Consistency of logits: T against slices, terms by hand, devices, and who is moved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from gan import regularizers
from gan.errors import UserError
from gan.method.game import STEP_METRICS, Batch, Examples
from gan.method.objectives import generator_objective
from gan.method.train_step import at_this_step
from gan.networks import Gan, pack
from gan.penalties import AugmentedCritic
from gan.regularizers import View
from gan.training.build import DataInfo, build_game
from gan.training.validation import validate

COUNT = 2000
KEYS = jax.random.split(toys.key(0), COUNT)


def test_t_is_each_of_the_flips_and_shifts_and_leaves_examples_apart():
  image = np.arange(128, dtype=np.float32).reshape(8, 8, 2)
  made = np.array(regularizers.flip_and_shift(jnp.tile(image, (300, 1, 1, 1)), KEYS[:300]))
  expected = set()
  for each in (image, image[:, ::-1]):
    padded = np.pad(each, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    expected |= {padded[i : i + 8, j : j + 8].tobytes() for i in range(3) for j in range(3)}
  assert len(expected) == 18 and {each.tobytes() for each in made} == expected
  # By its key alone, wherever it stands.
  some = np.array([7, 2, 9])
  other = np.array(regularizers.flip_and_shift(jnp.tile(image, (3, 1, 1, 1)), KEYS[some]))
  np.testing.assert_array_equal(other, made[some])


def view_of(real, fake, logit, **fields):
  """The View of a discriminator without batch statistics."""
  blank = View(*[None] * 14)
  critic = AugmentedCritic(logit, logit)
  shown = {"shown_real": fields.pop("shown", real)}
  return blank._replace(real=real, fake=fake, critic=critic, keys=KEYS, **shown, **fields)


def odd(images):
  """A linear D whose logit of the mirror image is the other way round: 3 for `SLOPE`."""
  return jnp.sum(images * jnp.array([-3.0, -1, 1, 3]).reshape(1, 1, 4, 1), (1, 2, 3)) / 40


# [4, 4, 1]: too small to be shifted. Columns 0 to 3 times 1.5, of which D is 4 * 15 / 40.
SLOPE = jnp.tile(1.5 * jnp.arange(4.0).reshape(1, 1, 4, 1), (COUNT, 4, 1, 1))
D = 4 * 1.5 * (-1 + 2 + 9) / 40


def flips(value, logit):
  """How many of the examples were flipped, of which the difference of logits is twice D."""
  count = float(value) * COUNT / (2 * logit) ** 2
  assert abs(count - round(count)) < 1e-2 and abs(count - COUNT / 2) < 5 * (COUNT / 4) ** 0.5
  return round(count)


def test_the_terms_of_a_linear_discriminator_are_known_by_hand():
  view = view_of(SLOPE, 2 * SLOPE, odd)
  value, metrics = regularizers.make_cr().discriminator(view, {})
  flips(value, D)
  assert metrics == {"cr": value}
  value, metrics = regularizers.make_bcr(bcr_fakes_scale=0.5).discriminator(view, {})
  # Data and samples have draws of their own.
  assert flips(metrics["bcr"], D) != flips(metrics["bcr_fakes"], 2 * D)
  np.testing.assert_allclose(value, metrics["bcr"] + 0.5 * metrics["bcr_fakes"], rtol=1e-6)


def test_images_that_t_does_not_change_add_nothing():
  symmetric = SLOPE + SLOPE[:, :, ::-1]
  view = view_of(
    symmetric, jnp.full((COUNT, 4, 4, 1), 0.3), lambda x: x[:, 0, 0, 0] + x[:, 0, 1, 0]
  )
  assert regularizers.make_cr().discriminator(view, {})[0] == 0
  assert regularizers.make_bcr().discriminator(view, {})[0] == 0


def test_packed_rows_are_judged_whole():
  view = view_of(
    SLOPE, SLOPE, lambda rows: odd(rows[..., :1]) + odd(rows[..., 1:]), shown=SLOPE[::2]
  )
  value, _ = regularizers.make_cr().discriminator(view, {})
  # None, one or two of a row are flipped, which moves its logit by 0, 2 D or 4 D: squares of the
  # mean 6 D^2 and the variance (4^2 / 2 + 16^2 / 4 - 6^2) D^4.
  assert float(value) == pytest.approx(6 * D**2, abs=5 * 6 * D**2 / (COUNT / 2) ** 0.5)
  assert pack(SLOPE, 2).shape == (COUNT / 2, 4, 4, 2)


def test_zcr_of_linear_players_is_known_in_closed_form():
  matrix, weights = jnp.array([[2.0, -1.0], [0.5, 1.0], [0.0, 3.0]]), jnp.array([[1.0], [0.5]])
  latents = jax.random.normal(toys.key(1), (COUNT, 3))
  players = {"generate": lambda z: z @ matrix, "latents": latents}
  view = view_of(latents @ matrix, latents @ matrix, lambda x: (x @ weights)[:, 0], **players)
  part = regularizers.make_zcr(zcr_noise=0.1, zcr_generator_scale=0.25)
  value, metrics = part.discriminator(view, {})
  # D(G(z + e)) - D(G(z)) = e . (A w) ~ N(0, 0.01 |A w|^2), A w = (1.5, 1, 1.5).
  assert metrics["zcr"] == value
  assert float(value) == pytest.approx(0.01 * 5.5, rel=5 * (2 / COUNT) ** 0.5)
  value, metrics = part.generator(view, {})
  # The mean over the two coordinates of 0.01 times the squares of a column's numbers.
  distance = 0.01 * (4.25 + 11) / 2
  assert float(metrics["zcr_generator"]) == pytest.approx(distance, rel=0.15)
  assert float(value) == pytest.approx(-0.25 * float(metrics["zcr_generator"]), rel=1e-6)


# In the step.


def image_gan():
  """Images [4, 4, 1] that are linear in the latent, and a linear D."""
  generator = toys.network(
    lambda key: jax.random.normal(key, (2, 16)), lambda w, z: (z @ w).reshape(-1, 4, 4, 1)
  )
  discriminator = toys.network(
    lambda key: jax.random.normal(key, (16, 1)), lambda w, x: (x.reshape(-1, 16) @ w)[:, 0]
  )
  return Gan(generator, discriminator, lambda key: jax.random.normal(key, (2,)), (-1.0, 1.0))


def made():
  return {name: regularizers.REGULARIZERS[name].make() for name in ("cr", "bcr", "zcr")}


def test_two_devices_are_one_and_the_metrics_are_those_that_the_table_has():
  images = jax.random.normal(toys.key(5), (1, 8, 4, 4, 1))
  game = toys.make_game(image_gan(), regularizers=made())
  batch, state = Batch(images, None), toys.start(game)
  one, metrics = jax.jit(game.step)(state, batch, toys.key(2))
  split = toys.make_game(image_gan(), regularizers=made(), axis_name="batch")
  two, of_two = jax.jit(toys.over_two_devices(split.step))(state, batch, toys.key(2))
  for mine, other in zip(
    jax.tree.leaves((one, metrics)), jax.tree.leaves((two, of_two)), strict=True
  ):
    np.testing.assert_allclose(mine, other, rtol=2e-5, atol=1e-6)
  assert {"cr", "bcr", "bcr_fakes", "zcr", "zcr_generator"} <= metrics.keys()
  assert metrics.keys() <= STEP_METRICS.keys()


def test_the_generator_has_the_term_of_zcr_alone():
  game = toys.make_game(image_gan(), regularizers=made())
  examples = Batch(jax.random.normal(toys.key(5), (8, 4, 4, 1)), None)

  @jax.jit
  def gradient(weights):
    names = {f"{name}_weight": weight for name, weight in weights.items()}
    state = at_this_step(game, toys.start(game, **names))

    def value(params):
      return generator_objective(params, game, state, Examples(examples.image, None), toys.key(1))

    (total, seen), grads = jax.value_and_grad(value, has_aux=True)(state.generator.params)
    return total, seen.metrics, grads

  none = {"cr": 0.0, "bcr": 0.0, "zcr": 0.0}
  base, _, plain = gradient(none)
  total, _, same = gradient(none | {"cr": 5.0, "bcr": 5.0})
  np.testing.assert_array_equal(plain, same)
  assert total == base
  total, metrics, moved = gradient(none | {"zcr": 20.0})
  np.testing.assert_allclose(base - total, 0.5 * metrics["zcr_generator"], rtol=1e-3)
  assert np.any(moved != plain)


def test_points_are_refused_in_a_line():
  with pytest.raises(UserError, match="cr and bcr flip and shift images, and these are points"):
    regularizers.flip_and_shift(jnp.zeros((4, 2)), KEYS[:4])
  for name in ("cr", "bcr"):
    config = toys.RING.__class__(**vars(toys.RING) | {"regularizers": name})
    validate(config)
    with pytest.raises(UserError, match=f"--regularizers={name} changes images") as error:
      build_game(config, DataInfo((2,), 0, 200, None))
    assert "\n" not in str(error.value)
