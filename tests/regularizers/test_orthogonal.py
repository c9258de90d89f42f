"""Orthogonal regularisation: by hand, at orthogonal weights, and its place in a step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from gan.method.game import STEP_METRICS
from gan.regularizers import make_orthogonal, orthogonality

RNG = np.random.default_rng(0)


def test_the_sum_is_known_by_hand():
  # Columns (1, 0), (2, 1) and (0, 3): products 2, 0 and 3, each twice.
  weights = jnp.array([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]])
  assert orthogonality({"layer": {"kernel": weights}}) == 2 * (4 + 0 + 9)


def test_a_convolution_is_a_matrix_of_its_outputs():
  kernel = RNG.standard_normal((3, 3, 2, 4), np.float32)
  rows = kernel.transpose(3, 2, 0, 1).reshape(4, -1)  # as PyTorch lays them out
  products = rows @ rows.T
  expected = np.sum((products * (1 - np.eye(4))) ** 2)
  np.testing.assert_allclose(orthogonality({"kernel": jnp.asarray(kernel)}), expected, rtol=1e-5)


def test_the_gradient_is_that_of_the_formula():
  weights = RNG.standard_normal((5, 3), np.float32)
  products = weights.T @ weights
  expected = 4 * weights @ (products * (1 - np.eye(3)))
  found = jax.grad(orthogonality)({"kernel": jnp.asarray(weights)})["kernel"]
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_orthogonal_columns_vectors_and_tables_of_labels_add_nothing():
  orthogonal = jax.nn.initializers.orthogonal(2.0)(jax.random.key(0), (3, 3, 2, 8))
  noise = jnp.asarray(RNG.standard_normal((4, 5)))
  params = {"conv": {"kernel": orthogonal, "bias": noise[0]}, "labels": {"embedding": noise}}
  assert orthogonality(params) < 1e-9
  assert orthogonality({}) == 0


@pytest.mark.parametrize("both", [False, True])
def test_a_step_adds_its_weight_times_the_term_to_the_players_loss(both):
  made = {"orthogonal": make_orthogonal(orthogonal_discriminator=both)}
  rates = {"generator_learning_rate": 1.0, "discriminator_learning_rate": 1.0}
  game = toys.make_game(toys.tanh_gan(), regularizers=made)

  def after(weight):
    state = toys.start(game, orthogonal_weight=weight, **rates)
    return state, *jax.jit(game.step)(state, toys.points()[0], toys.key(0))

  (start, moved, metrics), (_, plain, _) = after(0.5), after(0.0)
  for player, with_term in (("generator", True), ("discriminator", both)):
    one, other = (getattr(state, player).params for state in (moved, plain))
    assert np.any(one["kernel"] != other["kernel"]) == with_term
  value = orthogonality(start.generator.params)
  np.testing.assert_allclose(metrics["orthogonal"], value, rtol=1e-5)
  assert ("orthogonal_discriminator" in metrics) == both
  assert metrics.keys() <= STEP_METRICS.keys()
