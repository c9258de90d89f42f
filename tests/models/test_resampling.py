"""Nearest up-sampling and mean pooling: by hand, and as adjoints of each other."""

import jax
import jax.numpy as jnp
import numpy as np

from gan.models.layers import mean_pool, nearest_up


def normal(seed, *shape):
  return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def test_up_repeats_pixels():
  images = jnp.arange(4.0).reshape(1, 2, 2, 1)
  rows = [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
  np.testing.assert_array_equal(nearest_up(images)[0, :, :, 0], rows)


def test_pool_is_the_mean_of_blocks():
  images = jnp.arange(16.0).reshape(1, 4, 4, 1)
  np.testing.assert_array_equal(mean_pool(images)[0, :, :, 0], [[2.5, 4.5], [10.5, 12.5]])


def test_pool_undoes_up():
  images = normal(0, 2, 3, 5, 4)
  np.testing.assert_allclose(mean_pool(nearest_up(images)), images, rtol=1e-6)


def test_they_are_adjoint_up_to_a_factor():
  small, large = normal(0, 2, 3, 5, 4), normal(1, 2, 6, 10, 4)
  up, down = jnp.vdot(nearest_up(small), large), jnp.vdot(small, mean_pool(large))
  np.testing.assert_allclose(up, 4 * down, rtol=1e-5)


def test_gradients_are_the_other_one():
  small, large = normal(0, 2, 3, 5, 4), normal(1, 2, 6, 10, 4)
  (of_up,) = jax.vjp(nearest_up, small)[1](large)
  np.testing.assert_allclose(of_up, 4 * mean_pool(large), rtol=1e-5, atol=1e-6)
  (of_pool,) = jax.vjp(mean_pool, large)[1](small)
  np.testing.assert_allclose(of_pool, nearest_up(small) / 4, rtol=1e-6)
