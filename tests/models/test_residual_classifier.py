"""The residual classifier: its size, its folded form, and sides of any length."""

import jax
import numpy as np
import pytest

from gan.models import residual_classifier


def trained(shape, seed=0):
  """The network with parameters and statistics as no initialiser leaves them."""
  network = residual_classifier.build(shape, 10)
  params, model_state = network.init(jax.random.key(seed))
  rng = np.random.default_rng(seed)

  def moved(array):
    return array + rng.uniform(0.1, 0.5, array.shape).astype(np.float32)

  return network, jax.tree.map(moved, params), jax.tree.map(moved, model_state)


def test_the_number_of_parameters_is_that_of_its_layers():
  params, _ = residual_classifier.build((32, 32, 3), 10, folded=True).init(jax.random.key(0))
  convolutions = [(3, 32), (32, 64), (64, 64), (64, 64), (64, 128), (128, 128), (128, 128)]
  convolutions += [(128, 192)]
  expected = sum(9 * before * after + after for before, after in convolutions) + 193 * 10
  assert sum(array.size for array in jax.tree.leaves(params)) == expected < 740_000


@pytest.mark.parametrize("shape", [(8, 8, 3), (11, 9, 1)])
def test_the_folded_form_gives_the_outputs_of_the_trained_one(shape):
  network, params, model_state = trained(shape)
  images = jax.random.uniform(jax.random.key(1), (3, *shape), minval=-1, maxval=1)
  folded = residual_classifier.build(shape, 10, folded=True)
  weights = residual_classifier.fold(params, model_state)
  expected, _ = network.apply(params, model_state, images, train=False)
  found, _ = folded.apply(weights, {}, images, train=False)
  for one, other in zip(found, expected, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * float(abs(other).max()))
  assert found[0].shape == (3, 192) and found[1].shape == (3, 10)
  initial, state = folded.init(jax.random.key(0))
  assert jax.tree.map(np.shape, initial) == jax.tree.map(np.shape, weights) and state == {}
