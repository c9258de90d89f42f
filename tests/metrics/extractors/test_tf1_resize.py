"""The resize of TensorFlow 1 is its formula, in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.metrics.extractors import tf1_resize

CHECKERBOARD = 255 * (np.indices((32, 32)).sum(axis=0) % 2).astype(np.uint8)


def resize(images, size):
  return tf1_resize.resize(jnp.asarray(images), size)


def by_formula(image, size):
  """Every pixel by itself, rows after columns, in the order and precision of TensorFlow."""
  sides = [np.arange(size, dtype=np.float32) * np.float32(side / size) for side in image.shape]
  found = np.empty((size, size), np.float32)
  for row, y in enumerate(sides[0]):
    for column, x in enumerate(sides[1]):
      found[row, column] = mixed(
        row_mixed(image, int(y), x), row_mixed(image, min(int(y) + 1, len(image) - 1), x), y
      )
  return found


def row_mixed(image, row, x):
  return mixed(image[row, int(x)], image[row, min(int(x) + 1, image.shape[1] - 1)], x)


def mixed(low, high, place):
  low, high = np.float32(low), np.float32(high)
  return low + (high - low) * (place - np.float32(int(place)))


@pytest.mark.parametrize("size", [299, 224])
def test_a_checkerboard_is_resized_to_the_last_bit(size):
  found = resize(CHECKERBOARD[None, :, :, None], size)
  np.testing.assert_array_equal(found[0, :, :, 0], by_formula(CHECKERBOARD, size))


def test_compiled_it_agrees_to_a_rounding(optimized):
  found = jax.jit(tf1_resize.resize, static_argnums=1)(CHECKERBOARD[None, :, :, None], 299)
  np.testing.assert_allclose(found[0, :, :, 0], by_formula(CHECKERBOARD, 299), atol=2**-14)


def test_sides_and_channels_keep_apart():
  image = np.random.default_rng(0).integers(256, size=(1, 5, 9, 3), dtype=np.uint8)
  found = resize(image, 7)
  for channel in range(3):
    np.testing.assert_array_equal(found[0, ..., channel], by_formula(image[0, ..., channel], 7))


def test_an_image_of_the_size_stays_as_it_is():
  image = np.random.default_rng(0).integers(256, size=(2, 6, 6, 1), dtype=np.uint8)
  np.testing.assert_array_equal(resize(image, 6), image)


def test_there_is_no_shift_by_half_a_pixel():
  image = np.array([[[[0], [100]], [[0], [100]]]], np.uint8)
  np.testing.assert_array_equal(resize(image, 4)[0, 0, :, 0], [0, 50, 100, 100])
