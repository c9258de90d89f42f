"""LeCam: its value by hand, its averages, and its place in the objective."""

import jax.numpy as jnp
import numpy as np
import toys

from gan import regularizers
from gan.method.game import Batch


def test_lecam_is_known_by_hand():
  # relu(2 - (-1))^2 + relu(0.5 - 1)^2 = 9; relu(-2 + 1)^2 + relu(0.5 - 0)^2 = 0.25
  real, fake = jnp.array([2.0, -2.0]), jnp.array([1.0, 0.0])
  found = regularizers.lecam(real, fake, jnp.float32(0.5), jnp.float32(-1.0))
  np.testing.assert_allclose(found, [9.0, 0.25], rtol=1e-6)


def test_lecam_averages_forget_by_the_decay():
  averages = {"real_logit": 0.0, "fake_logit": 0.0, "updates": 0.0}
  for real in (1.0, 3.0, -2.0):
    logits = jnp.array([real - 1, real + 1])
    averages = regularizers.lecam_averages(averages, logits, -logits)
  weights = np.array([0.99**2, 0.99, 1]) / (0.99**2 + 0.99 + 1)
  np.testing.assert_allclose(averages["real_logit"], weights @ [1, 3, -2], rtol=1e-4)
  np.testing.assert_allclose(averages["fake_logit"], -averages["real_logit"], rtol=1e-5)


def test_lecam_enters_the_objective_with_its_weight_and_is_remembered():
  game = toys.make_game(toys.tanh_gan(), regularizers={"lecam": regularizers.make_lecam()})
  (base, metrics), (value, _) = (
    toys.objective(game, lecam_weight=0.0),
    toys.objective(game, lecam_weight=0.3),
  )
  np.testing.assert_allclose(value - base, 0.3 * metrics["lecam"], rtol=1e-5)
  state = toys.start(game)
  step = toys.compiled(game.step)
  after, seen = step(state, Batch(toys.points().repeat(2, 0), None), toys.key(0))
  assert after.aux_state["lecam"]["updates"] == 2
  assert jnp.isfinite(seen["lecam"]) and after.aux_state["lecam"]["real_logit"] != 0
