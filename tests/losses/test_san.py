"""SAN: values by hand, which parameter has which gradient, and what stands for logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

import gan
from gan.errors import UserError
from gan.losses import LOSSES, san
from gan.method.objectives import discriminator_objective
from gan.networks import Outputs
from gan.regularizers import Regularizer

SAN = {name: name.removeprefix("san_") for name in LOSSES if name.startswith("san_")}
W = jnp.array([3.0, 4.0])  # of direction (.6, .8)
REAL = jnp.array([[1.0, 2.0], [0.0, 0.0]])  # along it 2.2 and 0
FAKE = jnp.array([[5.0, 0.0], [0.0, -5.0]])  # 3 and -4
# Of the generator's loss: of -f, softplus(-f) and -softplus(f).
SLOPES = {
  "san_hinge": lambda f: -jnp.ones_like(f),
  "san_nonsat": lambda f: -1 / (1 + jnp.exp(f)),
  "san_sat": lambda f: -1 / (1 + jnp.exp(-f)),
}


def outputs(features, weight=W):
  return Outputs(jnp.zeros(len(features)), features=features, last_weight=weight)


def test_values_are_those_worked_by_hand():
  loss, sides = LOSSES["san_hinge"], (outputs(REAL), outputs(FAKE))
  # relu(1 - 2.2) + relu(1 + 3) + (3 - 2.2), relu(1 - 0) + relu(1 - 4) + (-4 - 0)
  np.testing.assert_allclose(loss.discriminator(*sides), [4.8, -3.0], rtol=1e-6)
  np.testing.assert_allclose(loss.generator(*sides), [-3.0, 4.0], rtol=1e-6)
  np.testing.assert_allclose(loss.logit(sides[1]), [3.0, -4.0], rtol=1e-6)


@pytest.mark.parametrize("name", SAN)
def test_features_learn_by_the_loss_and_the_direction_by_that_of_the_generator(name):
  unit = W / 5

  def of_san(real, fake, weight):
    return jnp.mean(LOSSES[name].discriminator(outputs(real, weight), outputs(fake, weight)))

  def of_loss(real, fake):
    return jnp.mean(LOSSES[SAN[name]].discriminator(real @ unit, fake @ unit))

  *features, weight = jax.grad(of_san, (0, 1, 2))(REAL, FAKE, W)
  for found, expected in zip(features, jax.grad(of_loss, (0, 1))(REAL, FAKE), strict=True):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
  # d(u . m)/dw = (m - (u . m) u)/|w|, with u = w/|w| and m = mean R' h(x) - mean R' h(G(z))
  on_data, on_samples = (SLOPES[name](h @ unit) @ h / 2 for h in (REAL, FAKE))
  apart = on_data - on_samples
  np.testing.assert_allclose(weight, (apart - (apart @ unit) * unit) / 5, rtol=1e-5, atol=1e-7)
  assert jnp.linalg.norm(weight) > 0.1


@pytest.mark.parametrize("name", SAN)
def test_the_length_of_the_weight_has_no_say(name):
  longer = outputs(REAL, 7 * W), outputs(FAKE, 7 * W)
  for player in ("discriminator", "generator"):
    function = getattr(LOSSES[name], player)
    np.testing.assert_allclose(
      function(*longer), function(outputs(REAL), outputs(FAKE)), rtol=1e-5, atol=1e-6
    )
  nothing = jax.grad(lambda w: jnp.sum(LOSSES[name].logit(outputs(REAL, w))))(jnp.zeros(2))
  assert jnp.all(jnp.isfinite(nothing))


def test_options_are_those_of_the_loss():
  loss = gan.losses.make_loss("san_nonsat", real_label=0.8)
  smooth = gan.losses.make_loss("nonsat", real_label=0.8)
  along = REAL @ W / 5, FAKE @ W / 5
  on_data, on_samples = (jnp.mean(jnp.log1p(jnp.exp(-each))) for each in along)
  expected = jnp.mean(smooth.discriminator(*along)) + on_data - on_samples
  np.testing.assert_allclose(
    jnp.mean(loss.discriminator(outputs(REAL), outputs(FAKE))), expected, rtol=1e-6
  )
  plain, slanted = loss.threshold(jnp.zeros(1), jnp.zeros(1)), smooth.threshold(*jnp.zeros((2, 1)))
  np.testing.assert_array_equal(plain, slanted)
  with pytest.raises(UserError, match="`loss` of san needs features, last_weight: give one of"):
    san(loss)
  with pytest.raises(UserError, match="`loss` of san needs a state of its own: give one of logits"):
    san(LOSSES["hinge"]._replace(init=dict))


def test_logits_and_penalties_of_a_step_are_along_the_direction():
  critic = toys.network(lambda key: W, lambda w, x: Outputs(9 * x[:, 0], features=x, last_weight=w))
  still = toys.network(lambda key: jnp.zeros(()), lambda params, z: z + params)
  game = gan.Game(
    generator=still,
    discriminator=critic,
    loss=san(LOSSES["wgan"]),
    sample_latent=gan.latent_sampler("normal", 2),
    penalty=gan.PENALTIES["r1"],
  )
  state, x = game.init(toys.key(0)), toys.points()[0]
  _, metrics = jax.jit(game.step)(state, x, toys.key(1))
  np.testing.assert_allclose(metrics["real_logit"], jnp.mean(x @ W / 5), rtol=1e-5)
  np.testing.assert_allclose(metrics["penalty"], 0.5, rtol=1e-5)  # |u|^2/2, and not 9^2/2
  returned, _ = game.gan.discriminator.apply(
    W, {}, x, None, train=False
  )  # as judging a run reads it
  np.testing.assert_allclose(returned.logits, x @ W / 5, rtol=1e-5)


def test_penalties_and_regularizers_of_logits_leave_the_direction_alone():
  """D(x) = <w/|w|, a x>: what they add to the objective has a gradient in a, and none in w."""
  critic = toys.network(
    lambda key: {"a": jnp.float32(2.0), "w": W},
    lambda params, x: Outputs(x[:, 0], features=params["a"] * x, last_weight=params["w"]),
  )
  drift = Regularizer(discriminator=lambda view, state: (view.real_outputs.logits**2, {}))
  game = toys.make_game(toys.tanh_gan()).replace(discriminator=critic, loss=san(LOSSES["hinge"]))
  more = game.replace(penalty=gan.PENALTIES["r1"], regularizers={"drift": drift})
  state, examples = more.init(toys.key(0)), gan.method.game.Examples(toys.points()[0], None)
  plain, found = (
    jax.grad(discriminator_objective, has_aux=True)(
      state.discriminator.params, each, state, examples, toys.key(1)
    )[0]
    for each in (game, more)
  )
  np.testing.assert_array_equal(found["w"], plain["w"])
  assert jnp.any(plain["w"]) and found["a"] != plain["a"]
