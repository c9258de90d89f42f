"""The layers of StyleGAN: convolutions through the filter, styles, noise, batch statistics."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.models.layers import (
  EqualizedConv,
  EqualizedDense,
  LearntConstant,
  MappingNetwork,
  MinibatchStd,
  ModulatedConv,
  Noise,
  fir_conv_down,
  fir_conv_up,
  minibatch_std,
  pixel_norm,
)

TAPS = np.array([1, 3, 3, 1]) / 8
RNG = np.random.default_rng(0)


def normal(*shape):
  return jnp.asarray(RNG.normal(size=shape), jnp.float32)


def made(layer, *inputs, **options):
  """(params, apply) of a layer with a program."""
  variables = layer.init(jax.random.key(0), *inputs, **options)
  return variables["params"], jax.jit(functools.partial(layer.apply, **options))


def correlate(images, kernel):
  """Sum over the windows that images cover, in float64: [B, H, W, C] x [k, k, C, F]."""
  windows = np.lib.stride_tricks.sliding_window_view(images, kernel.shape[:2], axis=(1, 2))
  return np.einsum("bhwcij,ijcf->bhwf", windows, kernel)


def filtered(images):
  kernel = np.outer(TAPS, TAPS)[:, :, None, None] * np.eye(images.shape[-1])
  return correlate(images, kernel)


def padded(images, before, behind):
  return np.pad(np.float64(images), ((0, 0), (before, behind), (before, behind), (0, 0)))


# Convolutions through the filter.


@pytest.mark.parametrize("side", [4, 6])
def test_down_is_the_filter_and_then_every_second_window(side):
  images, kernel = normal(2, side, side, 3), normal(3, 3, 3, 5)
  expected = correlate(filtered(padded(images, 2, 2)), np.float64(kernel))[:, ::2, ::2]
  assert expected.shape == (2, side // 2, side // 2, 5)
  np.testing.assert_allclose(jax.jit(fir_conv_down)(images, kernel), expected, atol=1e-5)


@pytest.mark.parametrize("side", [2, 5])
def test_up_scatters_the_kernel_and_then_filters(side):
  images, kernel = normal(2, side, side, 3), normal(3, 3, 3, 5)
  scattered = np.zeros((2, 2 * side + 1, 2 * side + 1, 5))
  for row in range(side):
    for column in range(side):
      patch = np.einsum("bc,ijcf->bijf", np.float64(images[:, row, column]), kernel)
      scattered[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3] += patch
  expected = 4 * filtered(padded(scattered, 1, 1))
  np.testing.assert_allclose(jax.jit(fir_conv_up)(images, kernel), expected, atol=1e-5)


def test_the_two_are_adjoint_up_to_the_gain_of_four_with_the_kernel_turned():
  small, large, kernel = normal(2, 4, 4, 3), normal(2, 8, 8, 5), normal(3, 3, 3, 5)
  up = np.vdot(fir_conv_up(small, kernel), large)
  down = np.vdot(small, fir_conv_down(large, kernel.transpose(0, 1, 3, 2)))
  np.testing.assert_allclose(up, 4 * down, rtol=1e-4)


# Equalised learning rate.


def test_an_equalised_dense_layer_scales_weights_and_bias_where_they_are_used():
  inputs = normal(2, 4)
  params, apply = made(EqualizedDense(3, rate_multiplier=0.01, bias=2.0), inputs)
  np.testing.assert_array_equal(params["bias"], [2, 2, 2])
  expected = np.asarray(inputs) @ np.asarray(params["kernel"]) * (0.01 / 2) + 0.02
  np.testing.assert_allclose(apply({"params": params}, inputs), expected, rtol=1e-5, atol=1e-7)


def test_stored_weights_are_normal_over_the_multiplier():
  for multiplier in (1.0, 0.01):
    layer = EqualizedDense(100, rate_multiplier=multiplier)
    kernel = layer.init(jax.random.key(1), jnp.zeros((1, 100)))["params"]["kernel"]
    np.testing.assert_allclose(np.std(kernel) * multiplier, 1, rtol=0.03)


def test_an_equalised_convolution_divides_by_the_root_of_the_fan_in():
  images = normal(2, 4, 4, 4)
  params, apply = made(EqualizedConv(5), images)
  expected = correlate(padded(images, 1, 1), np.float64(params["kernel"])) / 6  # sqrt(9 * 4)
  np.testing.assert_allclose(apply({"params": params}, images), expected, atol=1e-5)


# Styles.


@pytest.mark.parametrize("up", [False, True])
def test_a_modulated_convolution_has_a_kernel_for_each_example(up):
  images, styles = normal(3, 4, 4, 4), normal(3, 4)
  params, apply = made(ModulatedConv(5, up=up), images, styles)
  outputs, kernel = apply({"params": params}, images, styles), params["kernel"]
  for example in range(3):
    scaled = kernel * styles[example].reshape(1, 1, -1, 1)
    own = scaled / jnp.sqrt(jnp.sum(scaled**2, axis=(0, 1, 2)) + 1e-8).reshape(1, 1, 1, -1)
    image = images[example : example + 1]
    expected = fir_conv_up(image, own) if up else correlate(padded(image, 1, 1), np.float64(own))
    np.testing.assert_allclose(outputs[example : example + 1], expected, atol=1e-5)


def test_no_scale_of_styles_is_left_after_demodulation():
  images, styles = normal(2, 4, 4, 4), normal(2, 4)
  params, apply = made(ModulatedConv(5), images, styles)
  one, other = (apply({"params": params}, images, scale * styles) for scale in (1.0, 30.0))
  np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_without_demodulation_the_kernel_is_equalised():
  images, styles = normal(2, 4, 4, 4), normal(2, 4)
  layer = ModulatedConv(3, kernel_size=1, demodulate=False)
  params, apply = made(layer, images, styles)
  expected = np.einsum("bhwc,bc,cf->bhwf", images, styles, params["kernel"][0, 0]) / 2
  np.testing.assert_allclose(apply({"params": params}, images, styles), expected, atol=1e-5)


def test_rows_have_a_mean_square_of_one_and_no_scale():
  rows = normal(3, 8)
  np.testing.assert_allclose(np.mean(np.square(pixel_norm(rows)), axis=1), 1, rtol=1e-6)
  np.testing.assert_allclose(pixel_norm(7 * rows), pixel_norm(rows), rtol=1e-5)


def test_a_mapping_joins_normalised_latents_and_labels():
  latents, labels = normal(2, 4), jnp.array([1, 0])
  params, apply = made(MappingNetwork(6, 1, num_classes=3), latents, labels)
  embedded = np.asarray(params["EqualizedDense_0"]["kernel"])[np.array(labels)] / 3**0.5
  joined = np.concatenate([pixel_norm(latents), pixel_norm(jnp.asarray(embedded))], axis=1)
  hidden = joined @ np.asarray(params["EqualizedDense_1"]["kernel"]) * (0.01 / 10**0.5)
  expected = 2**0.5 * np.maximum(hidden, 0.2 * hidden)
  np.testing.assert_allclose(apply({"params": params}, latents, labels), expected, rtol=1e-4)


# Noise and the constant.


def test_noise_is_off_at_first_and_then_one_plane_for_all_channels():
  images, planes = normal(2, 3, 3, 4), normal(2, 3, 3, 1)
  params, apply = made(Noise(), images, planes)
  np.testing.assert_array_equal(apply({"params": params}, images, planes), images)
  added = apply({"params": {"strength": jnp.float32(2)}}, images, planes) - images
  np.testing.assert_allclose(added, np.broadcast_to(2 * planes, added.shape), atol=1e-6)


def test_every_example_starts_from_the_same_constant():
  found, variables = LearntConstant(4, 8).init_with_output(jax.random.key(0), 3)
  np.testing.assert_array_equal(found, np.stack([variables["params"]["constant"]] * 3))


# Minibatch standard deviation.


def test_equal_images_differ_by_the_root_of_epsilon_alone():
  images = jnp.ones((4, 2, 2, 3)) * 5
  np.testing.assert_allclose(minibatch_std(images, 4), np.full(4, 1e-4), rtol=1e-5)


@pytest.mark.parametrize(
  ("examples", "group_size", "groups"),
  [(6, 3, 2), (6, 32, 1), (6, 4, 2), (4, 1, 4)],  # 4 does not divide 6: groups of 3
)
def test_groups_take_every_kth_example(examples, group_size, groups):
  images = normal(examples, 2, 2, 3)
  found = minibatch_std(images, group_size)
  for example in range(examples):
    group = np.float64(images[example % groups :: groups])
    expected = np.mean(np.sqrt(group.var(axis=0) + 1e-8))
    np.testing.assert_allclose(found[example], expected, rtol=1e-5)


def test_inference_has_the_running_mean_in_the_place_of_the_statistic():
  layer, images = MinibatchStd(4), normal(4, 2, 2, 3)
  variables = layer.init(jax.random.key(0), images, train=False)
  outputs, after = layer.apply(variables, images, train=True, mutable=["batch_stats"])
  statistic = minibatch_std(images, 4)
  np.testing.assert_array_equal(outputs[..., :3], images)
  np.testing.assert_allclose(outputs[..., 3], np.full((4, 2, 2), statistic[0]), rtol=1e-6)
  still = layer.apply(after, images, train=False)[..., 3]
  np.testing.assert_allclose(still, np.full((4, 2, 2), 0.9 + 0.1 * statistic[0]), rtol=1e-6)
