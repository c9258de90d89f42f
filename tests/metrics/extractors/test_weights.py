"""How images pass through published networks."""

import jax
import jax.numpy as jnp
import numpy as np

from gan.metrics.extractors import weights

IMAGES = np.full((2, 4, 4, 1), 3, np.uint8)


def test_products_are_of_full_float32():
  seen = []

  def function(params, images):
    seen.append(jax.config.jax_default_matmul_precision)
    return images.astype(jnp.float32) * params

  np.testing.assert_array_equal(weights.on_device(np.float32(2), function)(IMAGES), 6)
  assert seen == ["highest"] and jax.config.jax_default_matmul_precision is None


def test_what_is_done_before_is_outside_of_the_program_and_it_is_compiled_once():
  kinds, traced = [], []

  def before(images):
    kinds.append(type(images))
    return images[:, :1]

  def function(params, images):
    traced.append(images.shape)
    return images

  extract = weights.on_device(None, function, before)
  assert extract(IMAGES).shape == extract(IMAGES).shape == (2, 1, 4, 1)
  assert kinds == [np.ndarray] * 2 and traced == [(2, 1, 4, 1)]
