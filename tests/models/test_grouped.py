"""Convolutions in groups against XLA's own form."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan.errors import UserError
from gan.models.layers import GroupedConv, grouped, grouped_conv

# Channels in and out, groups: one bundle, two of 3 and of 4 groups, and one group.
SHAPES = [(6, 9, 3), (96, 6, 6), (64, 128, 8), (5, 4, 1)]
shapes = pytest.mark.parametrize("shape", SHAPES)


@pytest.fixture
def x64():
  with jax.enable_x64(True):
    yield


def operands(shape):
  """(images, kernel, weights of the outputs), in the default float."""
  channels, features, groups = shape
  rng = np.random.default_rng(0)
  sizes = (2, 3, 4, channels), (3, 3, channels // groups, features), (2, 3, 4, features)
  return [jnp.asarray(rng.standard_normal(size), jnp.zeros(()).dtype) for size in sizes]


def plain(images, kernel, groups):
  numbers = ("NHWC", "HWIO", "NHWC")
  return lax.conv_general_dilated(
    images, kernel, (1, 1), "SAME", dimension_numbers=numbers, feature_group_count=groups
  )


def penalty(form, groups, images, kernel, weights):
  """The squared slope of a function of the outputs that is not linear."""

  def value(images):
    return jnp.sum(jnp.sin(form(images, kernel, groups)) * weights)

  return jnp.sum(jnp.square(jax.grad(value)(images)))


@pytest.mark.parametrize(("shape", "bundles"), [*zip(SHAPES, (1, 3, 2, 1), strict=True)])
def test_shapes_reach_one_bundle_and_several(shape, bundles):
  assert grouped._bundles(shape[0], shape[2]) == bundles


def test_bundles_are_no_more_than_stated():
  assert grouped._bundles(1536, 96) == grouped.MOST_BUNDLES
  assert grouped._bundles(512, 1) == 1


@shapes
def test_outputs_and_two_derivatives_are_those_of_the_plain_form(shape, x64):
  arrays, groups = operands(shape), shape[2]
  images, kernel, weights = arrays
  np.testing.assert_allclose(
    grouped_conv(images, kernel, groups), plain(images, kernel, groups), rtol=1e-12, atol=1e-12
  )

  @functools.partial(jax.jit, static_argnums=0)
  def gradients(form, *arrays):
    def value(*x):
      return jnp.sum(jnp.sin(form(*x, groups)) * weights)

    def slope(*x):
      return penalty(form, groups, *x, weights)

    return [jax.grad(each, argnums=(0, 1))(*arrays) for each in (value, slope)]

  got, expected = (gradients(form, images, kernel) for form in (grouped_conv, plain))
  for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def test_the_third_derivative_is_that_of_the_plain_form(x64):
  images, kernel, weights = operands(SHAPES[0])
  direction = jnp.cos(kernel)

  def third(form):
    slope = jax.grad(lambda kernel: jnp.sum(jnp.sin(form(images, kernel, 3)) * weights))
    twice = jax.grad(lambda kernel: jnp.vdot(slope(kernel), direction))
    return jax.jit(jax.grad(lambda kernel: jnp.vdot(twice(kernel), direction)))(kernel)

  np.testing.assert_allclose(third(grouped_conv), third(plain), rtol=1e-10, atol=1e-10)


def lowered(platform, function, *arrays):
  return jax.export.export(jax.jit(function), platforms=[platform])(*arrays).mlir_module()


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_only_the_cpu_has_no_convolution_in_groups(platform):
  arrays = operands(SHAPES[2])
  program = lowered(
    platform,
    jax.grad(lambda *arrays: penalty(grouped_conv, 8, *arrays), argnums=(0, 1)),
    *arrays,
  )
  groups = {"feature_group_count = 8", "batch_group_count = 8"}
  assert "stablehlo.convolution" in program and "while" not in program
  assert {each for each in groups if each in program} == (set() if platform == "cpu" else groups)


def test_each_member_of_a_vmap_has_its_own_kernel():
  images, kernel, _ = operands(SHAPES[2])
  both = jnp.stack([kernel, 2 * kernel])
  one = grouped_conv(images, kernel, 8)
  mapped = jax.vmap(grouped_conv, (None, 0, None))(images, both, 8)
  np.testing.assert_allclose(mapped, jnp.stack([one, 2 * one]), rtol=1e-5, atol=1e-4)


def test_a_group_sees_its_own_channels_alone():
  # 1 x 1 image, 2 groups of 2 channels: the middle of the kernel alone meets the pixel.
  kernel = jnp.zeros((3, 3, 2, 2)).at[1, 1].set(jnp.array([[1.0, 10.0], [2.0, 20.0]]))
  outputs = grouped_conv(jnp.array([[[[1.0, 2.0, 3.0, 4.0]]]]), kernel, 2)
  np.testing.assert_array_equal(outputs[0, 0, 0], [1 * 1 + 2 * 2, 3 * 10 + 4 * 20])


@pytest.mark.parametrize(("channels", "features", "groups"), [(6, 8, 4), (8, 6, 4), (8, 8, 0)])
def test_groups_that_do_not_divide_channels_are_refused(channels, features, groups):
  layer = GroupedConv(features, groups, jax.nn.initializers.ones)
  with pytest.raises(UserError, match=f"^{groups} groups do not divide the {channels} channels.*"):
    layer.init(jax.random.key(0), jnp.zeros((1, 4, 4, channels)))


def test_the_layer_has_kernels_of_a_group_and_adds_its_bias():
  layer = GroupedConv(6, 2, jax.nn.initializers.ones)
  images = operands((4, 6, 2))[0]
  params = layer.init(jax.random.key(0), images)["params"]
  assert params["kernel"].shape == (3, 3, 2, 6) and not params["bias"].any()
  moved = layer.apply({"params": {**params, "bias": jnp.arange(6.0)}}, images)
  expected = plain(images, params["kernel"], 2) + jnp.arange(6.0).reshape(1, 1, 1, 6)
  np.testing.assert_allclose(moved, expected, rtol=1e-5, atol=1e-5)
