"""EBGAN and BEGAN: values by hand, EBGAN's optimum, BEGAN's balance as a state of the game."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

import gan
from gan.errors import UserError
from gan.losses import LOSSES, make_loss
from gan.networks import Outputs


def outputs(residual):
  return Outputs(jnp.zeros(len(residual)), residual=jnp.asarray(residual, jnp.float32))


def test_ebgan_values_are_those_worked_by_hand():
  real, fake = outputs([[3.0, 4.0], [0.0, 0.0]]), outputs([[6.0, -8.0], [0.0, 1.0]])  # 5, 0; 10, 1
  loss = make_loss("ebgan", ebgan_margin=4.0)
  np.testing.assert_allclose(loss.discriminator(real, fake), [5.0, 3.0], rtol=1e-5)
  np.testing.assert_allclose(loss.generator(real, fake), [10.0, 1.0], rtol=1e-5)
  np.testing.assert_allclose(loss.logit(real), [-5.0, 0.0], atol=2e-6)
  np.testing.assert_array_equal(loss.threshold(*jnp.zeros((2, 1))), [[-2.0], [-2.0]])
  slope = jax.grad(lambda residual: jnp.sum(loss.generator(real, outputs(residual))))
  assert jnp.all(jnp.isfinite(slope(jnp.zeros((2, 2)))))


def test_ebgan_is_least_at_the_margin_where_samples_are_denser_and_at_zero_elsewhere():
  p, q, margin = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6]), 2.0
  errors = np.linspace(0, 4, 401)
  residual = outputs(errors[:, None])
  perfect, at_margin = (outputs(np.full((401, 1), error)) for error in (0.0, margin))
  loss = make_loss("ebgan", ebgan_margin=margin).discriminator
  sides = [np.asarray(loss(*pair)) for pair in ((residual, at_margin), (perfect, residual))]
  costs = p[:, None] * sides[0] + q[:, None] * sides[1]  # of each point, by its error
  least = errors[np.argmin(costs, axis=1)]
  assert least[0] == 0 and least[2] == margin
  np.testing.assert_allclose(costs[1][errors <= margin], 0.3 * margin, rtol=1e-5)
  apart = np.sum(np.abs(p - q)) / 2
  np.testing.assert_allclose(np.min(costs, axis=1).sum(), margin * (1 - apart), rtol=1e-5)


def test_began_values_and_balance_are_those_worked_by_hand():
  real = outputs([[0.4, -0.6], [0.3, 0.3]])  # .5, .3
  fake = outputs([[0.1, 0.1], [0.6, 0.0]])  # .1, .3
  state = {"k": jnp.float32(0.2)}
  loss = make_loss("began", began_ratio=0.7, began_rate=0.5)
  np.testing.assert_allclose(loss.discriminator(real, fake, state), [0.48, 0.24], rtol=1e-5)
  np.testing.assert_allclose(loss.generator(real, fake, state), [0.1, 0.3], rtol=1e-5)
  np.testing.assert_allclose(loss.logit(fake), [-0.1, -0.3], rtol=1e-5)
  # .2 + .5 (.7 .4 - .2); .4 + |.28 - .2|
  moved, metrics = loss.update(real, fake, state)
  np.testing.assert_allclose(moved["k"], 0.24, rtol=1e-5)
  assert metrics["began_k"] == moved["k"]
  np.testing.assert_allclose(metrics["began_convergence"], 0.48, rtol=1e-5)
  fast = make_loss("began", began_rate=100.0)
  assert fast.update(fake, real, state)[0]["k"] == 0
  assert fast.update(real, outputs([[0.0]]), state)[0]["k"] == 1


def autoencoding(loss, axis_name=()):
  """G(z) = z + theta, and a D that makes c v of v: its residual is (1 - c) v."""
  generator = toys.network(lambda key: jnp.ones(()), lambda theta, z: z + theta)
  discriminator = toys.network(
    lambda key: jnp.asarray(0.5), lambda c, v: Outputs(jnp.sum(v, axis=1), residual=v - c * v)
  )
  return gan.Game(
    generator=generator,
    discriminator=discriminator,
    loss=make_loss(loss, began_rate=0.1),
    sample_latent=gan.latent_sampler("normal", 2),
    axis_name=axis_name,
  )


def test_the_balance_is_kept_by_the_game_and_moves_with_each_update_of_d():
  game = autoencoding("began")
  state, real = game.init(toys.key(0)), 5 + toys.points()
  assert state.aux_state == {"loss": {"k": 0.0}}
  batch = gan.Batch(jnp.concatenate([real, 5 + real]), None)  # two updates of D
  after, metrics = jax.jit(game.step)(state, batch, toys.key(1))
  assert 0 < after.aux_state["loss"]["k"] == metrics["began_k"]
  assert {"began_k", "began_convergence"} <= metrics.keys() & gan.STEP_METRICS.keys()
  first, seen = jax.jit(game.step)(state, real[0], toys.key(1))
  assert seen["began_k"] < metrics["began_k"]
  # k of 0 has no say in D's first loss: the mean error of data, (1 - .5) |x|
  np.testing.assert_allclose(seen["discriminator_loss"], np.mean(np.abs(real)) / 2, rtol=1e-5)
  np.testing.assert_allclose(seen["real_logit"], -np.mean(np.abs(real)) / 2, rtol=1e-5)
  balance = 0.5 * seen["real_logit"] - seen["fake_logit"]  # minus gamma L(x) - L(G(z))
  np.testing.assert_allclose(seen["began_k"], -0.1 * balance, rtol=1e-4)
  assert first.aux_state["loss"]["k"] == seen["began_k"]


def test_two_devices_keep_the_balance_of_one():
  game, real = autoencoding("began"), toys.points()
  state, batch = game.init(toys.key(0)), gan.Batch(real, None)
  apart = toys.over_two_devices(autoencoding("began", "batch").step)
  found, expected = jax.jit(lambda *each: (apart(*each), game.step(*each)))(
    state, batch, toys.key(1)
  )
  for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
  ("option", "words"),
  [
    ({"ebgan_margin": 0.0}, "`ebgan_margin=0.0` must be above 0"),
    ({"ebgan_margin": float("nan")}, "`ebgan_margin=nan` must be above 0"),
    ({"began_ratio": 1.5}, "`began_ratio=1.5` must be between 0 and 1"),
    ({"began_rate": -1.0}, "`began_rate=-1.0` must be at least 0"),
  ],
)
def test_numbers_out_of_range_are_one_line(option, words):
  with pytest.raises(UserError, match=words):
    make_loss("ebgan", **option)


def test_a_loss_with_a_state_is_called_with_it():
  with pytest.raises(UserError, match=r"of a gan.Loss .* \(real, fake, state\)"):
    autoencoding("ebgan").replace(loss=LOSSES["hinge"]._replace(init=dict))
