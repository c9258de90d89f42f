"""Multi-hinge: values by hand, which class samples have, its place in both objectives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gan
from gan.errors import UserError
from gan.networks import Outputs
from gan.regularizers import REGULARIZERS, View, make_multi_hinge, margin_loss

SCORES = jnp.array([[2.0, 0.5, -1.0], [0.0, 3.0, 2.5], [1.0, 1.0, 1.0]])


def test_the_margin_is_to_the_best_of_the_others():
  # relu(1 + .5 - 2), relu(1 + 3 - 2.5), relu(1 + 1 - 1)
  found = margin_loss(SCORES, jnp.array([0, 2, 1]))
  np.testing.assert_allclose(found, [0.0, 1.5, 1.0])
  # A constant added to an example's scores changes nothing; of two classes it is the hinge.
  np.testing.assert_allclose(margin_loss(SCORES + 7.0, jnp.array([0, 2, 1])), found, atol=1e-6)
  two = margin_loss(SCORES[:, :2], jnp.array([0, 0, 0]))
  np.testing.assert_allclose(two, jax.nn.relu(1 - (SCORES[:, 0] - SCORES[:, 1])))


def test_its_slope_is_to_the_right_class_and_from_the_best_other():
  slope = jax.grad(lambda scores: jnp.sum(margin_loss(scores, jnp.array([0, 2, 1]))))(
    SCORES.at[2].set(jnp.array([1.5, 1.0, 1.0]))
  )
  np.testing.assert_allclose(slope, [[0, 0, 0], [0, 1, -1], [1, -1, 0]])


def test_scores_of_1e4_are_finite():
  scores = 1e4 * jnp.array([[1.0, -1.0], [-1.0, 1.0]])
  value, slope = jax.value_and_grad(lambda s: jnp.sum(margin_loss(s, jnp.array([0, 0]))))(scores)
  assert value == 20001.0 and np.isfinite(slope).all()


def view(real, fake, labels, fake_labels):
  sides = [Outputs(jnp.array(logits), jnp.array(classes)) for logits, classes in (real, fake)]
  return View(*[None] * 4, *sides, *[None] * 3, labels, fake_labels, *[None] * 3)


REAL = [-2.0, 1.5], [[2.0, 0.5], [0.0, 1.0]]
FAKE = [1.0, -1.0], [[0.5, 0.0], [-1.0, 0.5]]


def test_both_players_terms_by_hand():
  part = make_multi_hinge()
  seen = view(REAL, FAKE, jnp.array([0, 1]), jnp.array([1, 1]))
  # Scores of data (2, .5, 2) of class 0: 1 + 2 - 2; (0, 1, -1.5) of class 1: 1 + 0 - 1.
  # Scores of samples (.5, 0, -1) of the last class: 1 + .5 + 1; (-1, .5, 1): 1 + .5 - 1.
  term, metrics = part.discriminator(seen, {})
  np.testing.assert_allclose(term, [1.0 + 2.5, 0.0 + 0.5])
  assert metrics["multi_hinge_discriminator"] == 2.0 and metrics["multi_hinge_accuracy"] == 1.0
  # The same samples as of class 1: 1 + .5 - 0, 1 + 1 - .5.
  term, metrics = part.generator(seen, {})
  np.testing.assert_allclose(term, [1.5, 1.5])
  assert metrics["multi_hinge_generator"] == 1.5


def test_a_step_with_a_class_head_has_its_metrics():
  spec = gan.ModelSpec((32, 32, 3), latent_dim=4, width=4, num_classes=3, conditioning="acgan")
  terms = {"multi_hinge": make_multi_hinge()}
  players = gan.models.build("resnet", spec)._asdict()
  game = gan.Game(**players, loss=gan.LOSSES["hinge"], num_classes=3, regularizers=terms)
  state = jax.eval_shape(game.init, jax.random.key(0))
  batch = gan.Batch(jnp.zeros((1, 4, 32, 32, 3), jnp.uint8), jnp.zeros((1, 4), jnp.int32))
  after, metrics = jax.eval_shape(game.step, state, batch, jax.random.key(1))
  assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)
  assert REGULARIZERS["multi_hinge"].metrics.keys() <= metrics.keys() <= gan.STEP_METRICS.keys()


def test_without_labels_it_is_refused_in_one_line():
  with pytest.raises(UserError, match="^multi_hinge needs labels: give the game `num_classes`$"):
    make_multi_hinge().discriminator(view(REAL, FAKE, None, None), {})
