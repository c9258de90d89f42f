"""Up- and down-sampling by [1, 3, 3, 1] against its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.models.layers import fir_down, fir_up

TAPS = np.array([1, 3, 3, 1]) / 8
RNG = np.random.default_rng(0)


def _images(*shape):
  return RNG.normal(size=shape).astype(np.float32)


def _filtered(images, padding):
  """Correlation of each channel with the outer product of TAPS, in float64."""
  padded = np.pad(images.astype(np.float64), ((0, 0), padding, padding, (0, 0)))
  windows = np.lib.stride_tricks.sliding_window_view(padded, (4, 4), axis=(1, 2))
  return np.einsum("bhwcij,i,j->bhwc", windows, TAPS, TAPS)


@pytest.mark.parametrize("shape", [(2, 4, 4, 3), (1, 2, 6, 5), (1, 1, 1, 1)])
def test_up_is_zeros_between_pixels_and_then_the_filter_times_four(shape):
  images = _images(*shape)
  spread = np.zeros((shape[0], 2 * shape[1], 2 * shape[2], shape[3]))
  spread[:, ::2, ::2] = images
  # Four taps and zeros before each pixel: two pixels of padding before and one behind.
  np.testing.assert_allclose(fir_up(images), 4 * _filtered(spread, (2, 1)), atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 8, 8, 3), (1, 2, 6, 5)])
def test_down_is_the_filter_and_then_every_second_pixel(shape):
  images = _images(*shape)
  np.testing.assert_allclose(fir_down(images), _filtered(images, (1, 1))[:, ::2, ::2], atol=1e-6)


def test_the_two_are_adjoint_up_to_the_gain_of_four():
  small, large = _images(2, 5, 3, 4), _images(2, 10, 6, 4)
  up, down = np.vdot(fir_up(small), large), np.vdot(small, fir_down(large))
  np.testing.assert_allclose(up, 4 * down, rtol=1e-5)


def test_up_is_the_half_pixel_bilinear_form_inside_the_border():
  images = _images(2, 6, 6, 2)
  bilinear = jax.image.resize(images, (2, 12, 12, 2), "linear")
  np.testing.assert_allclose(
    fir_up(images)[:, 1:-1, 1:-1], bilinear[:, 1:-1, 1:-1], rtol=1e-5, atol=1e-6
  )


def test_a_constant_stays_inside_and_fades_to_zeros_on_the_border():
  ones = np.ones((1, 8, 8, 1), np.float32)
  np.testing.assert_array_equal(fir_up(ones)[0, 1:-1, 1:-1, 0], np.ones((14, 14)))
  np.testing.assert_array_equal(fir_down(ones)[0, 1:-1, 1:-1, 0], np.ones((2, 2)))
  assert fir_up(ones)[0, 0, 0, 0] == (3 / 4) ** 2
  assert fir_down(ones)[0, 0, 0, 0] == (7 / 8) ** 2


def test_one_pixel_becomes_the_kernel():
  pixel = np.zeros((1, 3, 3, 1), np.float32)
  pixel[0, 1, 1, 0] = 1
  kernel = np.outer(TAPS, TAPS)
  np.testing.assert_array_equal(fir_up(pixel)[0, 1:5, 1:5, 0], 4 * kernel)
  assert kernel.sum() == 1 and np.sum(fir_up(pixel)) == 4


def test_derivatives_of_both_orders_hold_no_convolution():
  def score(images):
    return jnp.sum(jnp.sin(fir_up(fir_down(images))))

  def penalty(images):
    return jnp.sum(jnp.square(jax.grad(score)(images)))

  images = _images(1, 4, 4, 2)
  text = jax.jit(jax.grad(penalty)).lower(images).compile().as_text()
  assert "convolution(" not in text


def test_the_dtype_of_images_is_kept():
  images = jnp.ones((1, 4, 4, 1), jnp.bfloat16)
  assert fir_up(images).dtype == fir_down(images).dtype == jnp.bfloat16
