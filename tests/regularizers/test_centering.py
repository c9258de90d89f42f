"""Centring: by hand, and what it does to the offset that a relativistic loss leaves free."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from gan.method.game import STEP_METRICS, Examples
from gan.method.objectives import discriminator_objective
from gan.method.train_step import at_this_step
from gan.networks import Gan, Outputs
from gan.regularizers import REGULARIZERS, View, make_centering


@pytest.mark.parametrize(("name", "expected"), [("centering", (9 + 1) / 2), ("drift", (4 + 9) / 2)])
def test_the_term_is_known_by_hand(name, expected):
  outputs = Outputs(jnp.array([2.0, -3.0])), Outputs(jnp.array([1.0, 2.0]))
  view = View(*[None] * 4, *outputs, *[None] * 8)
  value, metrics = REGULARIZERS[name].make().discriminator(view, {})
  assert value == expected and metrics == {name: value}
  assert metrics.keys() <= STEP_METRICS.keys()


def test_without_it_a_relativistic_loss_has_no_slope_in_the_offset_and_with_it_the_exact_one():
  # D(x) = x + c, of which c is all that is learnt.
  discriminator = toys.network(lambda key: jnp.float32(0.7), lambda c, x: x[:, 0] + c)
  generator = toys.tanh_gan().generator
  gan = Gan(generator, discriminator, lambda key: jax.random.normal(key, (2,)), (-1.0, 1.0))
  game = toys.make_game(gan, loss="rsgan", regularizers={"centering": make_centering()})
  examples = Examples(toys.points()[0], None)

  @jax.jit
  def slope(weight):
    state = at_this_step(game, toys.start(game, centering_weight=weight))
    gradient = jax.grad(discriminator_objective, has_aux=True)
    return gradient(jnp.float32(0.7), game, state, examples, toys.key(7))

  assert slope(0.0)[0] == 0
  found, seen = slope(0.01)
  sums = seen.metrics["real_logit"] + seen.metrics["fake_logit"]
  # d/dc of 0.01 mean (D(x) + D(g))^2, both logits with the slope 1.
  np.testing.assert_allclose(found, 0.01 * 4 * sums, rtol=1e-4)
