"""Gradient normalisation: its average by hand, the norm it leaves, parts, devices and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from gan.errors import UserError
from gan.method.game import Batch
from gan.networks import Gan
from gan.regularizers import Regularizer, make_gradient_norm
from gan.training.config import Config
from gan.training.validation import validate

NORM = {"gradient_norm": make_gradient_norm()}


def test_the_average_and_the_quotient_are_known_by_hand():
  part = make_gradient_norm(gradient_norm_decay=0.5)
  gradient = jnp.array([[3.0, 0.0], [0.0, 4.0]])  # n |g|^2 = 4 * 25
  first, state = part.backward(gradient, part.init(toys.key(0), toys.tanh_gan()), ())
  np.testing.assert_allclose(first, gradient / 10, rtol=1e-6)
  second, state = part.backward(2 * gradient, state, ())
  mean = (0.5 * 100 + 400) / 1.5
  np.testing.assert_allclose(second, 2 * gradient / mean**0.5, rtol=1e-6)
  np.testing.assert_allclose([state["square"], state["updates"]], [mean, 2], rtol=1e-6)
  still, _ = part.backward(0 * gradient, part.init(toys.key(0), toys.tanh_gan()), ())
  np.testing.assert_array_equal(still, 0 * gradient)  # and not NaN


def offset_gan(slope=1000.0) -> Gan:
  """G(z) = z + bias of each of four places, D(x) = slope times the sum of x."""
  generator = toys.network(lambda key: jnp.zeros((4, 2)), lambda bias, z: z + bias)
  discriminator = toys.network(lambda key: jnp.float32(slope), lambda s, x: s * jnp.sum(x, axis=1))
  return Gan(generator, discriminator, lambda key: jnp.zeros(2), (-1.0, 1.0))


def direct(view, state):
  """A term of the samples that does not go through D."""
  del state
  return jnp.sum(view.fake, axis=1), {"direct": jnp.zeros(())}


@pytest.mark.parametrize(
  "update_rule", ["alternating", "alternating_generator_first", "simultaneous", "extragradient"]
)
def test_the_gradient_in_the_samples_is_that_of_their_mean_whatever_the_slope_of_d(update_rule):
  game = toys.make_game(
    offset_gan(), loss="wgan", regularizers=NORM, update_rule=update_rule, accumulate=1
  )
  state = toys.start(game, generator_learning_rate=0.1, discriminator_learning_rate=0.0)
  step, points = jax.jit(game.step), Batch(jnp.ones((1, 4, 2)), None)
  for _ in range(3):
    state, metrics = step(state, points, toys.key(0))
    np.testing.assert_allclose(metrics["generator_gradient_norm"], 8**-0.5, rtol=1e-5)
  # Loss -mean D: each of eight numbers has 1 / 4 of the slope; n |g|^2 = 8 * 8 (1000 / 4)^2.
  np.testing.assert_allclose(metrics["gradient_norm_mean"], 2 * 1000, rtol=1e-5)
  assert state.aux_state["gradient_norm"]["updates"] == 3
  np.testing.assert_allclose(state.generator.params, 3 * 0.1 / 8, rtol=1e-5)


def test_terms_that_do_not_go_through_d_keep_their_gradient():
  made = NORM | {"direct": Regularizer(generator=direct)}
  game = toys.make_game(offset_gan(), loss="wgan", regularizers=made)
  state = toys.start(game, generator_learning_rate=1.0, direct_weight=8.0)
  after, _ = game.step(state, Batch(jnp.ones((1, 4, 2)), None), toys.key(0))
  # Of D -1 / 8, of the term 8 / 4.
  np.testing.assert_allclose(after.generator.params, 1 / 8 - 2, rtol=1e-5)


def test_two_devices_are_one_and_parts_have_the_average_of_the_whole():
  def run(axis_name="", accumulate=1, rate=0.1):
    game = toys.make_game(
      toys.tanh_gan(), regularizers=NORM, axis_name=axis_name or (), accumulate=accumulate
    )
    step = jax.jit(toys.over_two_devices(game.step) if axis_name else game.step)
    rates = {f"{player}_learning_rate": rate for player in ("generator", "discriminator")}
    state = toys.start(game, **rates)
    for seed in range(2):
      points = Batch(jax.random.normal(jax.random.key(seed), (1, 8, 2)), None)
      state, _ = step(state, points, toys.key(1))
    return state.aux_state["gradient_norm"], state.generator.params

  one, two = run(), run("batch")
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), one, two)
  # Each part is divided by its own average, so that players of one place are compared.
  (whole, _), (parts, _) = run(rate=0.0), run(accumulate=2, rate=0.0)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), whole, parts)


@pytest.mark.parametrize("update_rule", ["unrolled", "consensus"])
def test_rules_that_differentiate_through_gradients_are_refused(update_rule):
  for refused in (
    lambda: toys.make_game(toys.tanh_gan(), regularizers=NORM, update_rule=update_rule),
    lambda: validate(Config(model="points", update_rule=update_rule, regularizers="gradient_norm")),
  ):
    with pytest.raises(
      UserError, match="gradient_norm changes the gradient .* of no loss"
    ) as error:
      refused()
    assert "\n" not in str(error.value)


def test_a_state_of_other_numbers_than_floats_is_one_line():
  count = Regularizer(
    init=lambda key, gan: jnp.int32(0),
    backward=lambda gradient, state, axis_name: (gradient, state),
  )
  game = toys.make_game(toys.tanh_gan(), regularizers={"count": count})
  with pytest.raises(UserError, match="^the state of regularizer count, .* must be of floats$"):
    game.step(toys.start(game), toys.points()[0], toys.key(0))
