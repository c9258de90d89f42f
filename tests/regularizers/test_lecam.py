"""LeCam: its value by hand, its averages, and its place in the objective."""

import jax.numpy as jnp
import numpy as np
import toys

from gan import regularizers
from gan.method.game import Batch
from gan.networks import Outputs
from gan.regularizers import View


def test_lecam_is_known_by_hand():
  # relu(2 - (-1))^2 + relu(0.5 - 1)^2 = 9; relu(-2 + 1)^2 + relu(0.5 - 0)^2 = 0.25
  real, fake = jnp.array([2.0, -2.0]), jnp.array([1.0, 0.0])
  found = regularizers.lecam(real, fake, jnp.float32(0.5), jnp.float32(-1.0))
  np.testing.assert_allclose(found, [9.0, 0.25], rtol=1e-6)


def test_lecam_averages_forget_by_the_decay():
  averages = dict.fromkeys(("real_logit", "fake_logit", "updates"), jnp.zeros(()))
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
  after, seen = game.step(state, Batch(toys.points().repeat(2, 0), None), toys.key(0))
  assert after.aux_state["lecam"]["updates"] == 2
  assert jnp.isfinite(seen["lecam"]) and after.aux_state["lecam"]["real_logit"] != 0


def steps_of(regularizer, logits, start=0):
  """(term, averages) of LeCam at each step from `start` on, for pairs of mean logits."""
  state, found = regularizer.init(toys.key(0), toys.tanh_gan()), []
  for step, (real, fake) in enumerate(logits, start):
    outputs = [Outputs(jnp.array([mean - 1.0, mean + 1.0])) for mean in (real, fake)]
    view = View(*[None] * 4, *outputs, *[None] * 7, jnp.int32(step))
    term, _ = regularizer.discriminator(view, state)
    state = regularizer.update(view, state)
    found.append((float(term), float(state["real_logit"]), float(state["fake_logit"])))
  return found


def term(real, fake, real_average, fake_average):
  """Of logits mean -+ 1, by hand."""
  excess = np.array([[real - 1, real + 1], [-fake + 1, -fake - 1]])
  excess = excess + np.array([[-fake_average], [real_average]])
  return np.mean(np.sum(np.maximum(excess, 0) ** 2, axis=0))


def test_lecams_averages_have_the_decay_that_it_is_given():
  found = steps_of(regularizers.make_lecam(lecam_decay=0.5), [(1.0, -1.0), (4.0, -2.0)])
  # The first update is whole; in the second the weights are 1/2 and 1 of 3/2.
  np.testing.assert_allclose(found[0], [term(1, -1, 1, -1), 1, -1], rtol=1e-6)
  real, fake = (0.5 * 1 + 4) / 1.5, (0.5 * -1 - 2) / 1.5
  np.testing.assert_allclose(found[1], [term(4, -2, real, fake), real, fake], rtol=1e-6)


def test_lecam_starts_at_its_step_from_the_means_of_the_batch_before():
  regularizer = regularizers.make_lecam(lecam_decay=0.9, lecam_start=5)
  found = steps_of(regularizer, [(7.0, -3.0), (1.0, -1.0), (4.0, -2.0)], start=3)
  # Steps 3 and 4: no term, and averages that are the means of the last batch.
  np.testing.assert_allclose(found[0], [0, 7, -3])
  np.testing.assert_allclose(found[1], [0, 1, -1])
  # Step 5: the term, and averages that move by a tenth.
  real, fake = 0.9 * 1 + 0.1 * 4, 0.9 * -1 + 0.1 * -2
  np.testing.assert_allclose(found[2], [term(4, -2, real, fake), real, fake], rtol=1e-5)
