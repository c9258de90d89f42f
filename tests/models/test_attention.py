"""Attention between pixels: the identity at first, by hand, and what it does to gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.models.layers import SelfAttention, max_pool

NORMAL = jax.nn.initializers.normal(0.5)
KEY = jax.random.key(0)
IMAGES = jax.random.normal(KEY, (2, 4, 6, 8))


def with_gain(variables, gain):
  return {**variables, "params": {**variables["params"], "gain": jnp.float32(gain)}}


def count(channels):
  shapes = jax.eval_shape(SelfAttention(NORMAL).init, KEY, jnp.zeros((1, 2, 2, channels)))
  return sum(leaf.size for leaf in jax.tree.leaves(shapes))


@pytest.mark.parametrize(("channels", "parameters"), [(256, 81_921), (128, 20_481), (64, 5_121)])
def test_parameters_are_as_many_as_in_the_source(channels, parameters):
  assert count(channels) == parameters


def test_few_channels_have_one_feature():
  assert count(4) == 4 + 4 + 4 * 2 + 2 * 4 + 1


@pytest.mark.parametrize("spectral", [0, 1])
def test_it_starts_as_the_identity(spectral):
  layer = SelfAttention(NORMAL, spectral)
  outputs, _ = jax.jit(lambda key: layer.init_with_output(key, IMAGES))(KEY)
  np.testing.assert_array_equal(outputs, IMAGES)


def blocks(maps):
  """[h, w, c] -> [h w / 4, c], the maxima of blocks of two by two."""
  rows, columns, _ = maps.shape
  tops = [
    maps[row : row + 2, column : column + 2].max((0, 1))
    for row in range(0, rows, 2)
    for column in range(0, columns, 2)
  ]
  return np.stack(tops)


def by_hand(image, params, gain):
  maps = {
    name: image @ np.asarray(params[name]["kernel"])[0, 0] for name in ("query", "key", "value")
  }
  keys, values = blocks(maps["key"]), blocks(maps["value"])
  outputs = np.array(image)
  for place in np.ndindex(image.shape[:2]):
    scores = np.exp(keys @ maps["query"][place])
    mixed = scores @ values / scores.sum()
    outputs[place] += gain * mixed @ np.asarray(params["output"]["kernel"])[0, 0]
  return outputs


def test_outputs_are_those_by_hand():
  layer = SelfAttention(NORMAL)
  variables = with_gain(layer.init(KEY, IMAGES), 0.7)
  found = jax.jit(layer.apply)(variables, IMAGES)
  expected = [by_hand(np.asarray(image), variables["params"], 0.7) for image in IMAGES]
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_its_four_weights_have_spectral_norm_1():
  layer = SelfAttention(NORMAL, spectral=1)
  variables = with_gain(layer.init(KEY, IMAGES), 1.0)
  kernels = variables["params"]
  scaled = {}
  for name in ("query", "key", "value", "output"):
    left, values, _ = np.linalg.svd(kernels[name]["kernel"][0, 0].T)
    variables["spectral"][name]["u"] = jnp.asarray(left[:, 0])
    scaled[name] = {"kernel": kernels[name]["kernel"] / values[0]}
  plain = SelfAttention(NORMAL).apply({"params": {**scaled, "gain": jnp.float32(1)}}, IMAGES)
  np.testing.assert_allclose(layer.apply(variables, IMAGES), plain, rtol=1e-4, atol=1e-5)


def test_weights_are_float32_where_activations_are_bfloat16():
  layer = SelfAttention(NORMAL, dtype=jnp.bfloat16)
  images = IMAGES.astype(jnp.bfloat16)
  variables = with_gain(layer.init(KEY, images), 1.0)
  assert layer.apply(variables, images).dtype == jnp.bfloat16
  program = str(jax.make_jaxpr(layer.apply)(variables, images))
  exponents = [line for line in program.splitlines() if "= exp " in line]
  assert exponents and all("f32" in line for line in exponents)


def test_equal_pixels_get_equal_shares_of_the_values():
  layer = SelfAttention(NORMAL)
  flat = jnp.broadcast_to(IMAGES[:, :1, :1], IMAGES.shape)
  params = layer.init(KEY, flat)["params"]
  found = layer.apply(with_gain({"params": params}, 1.0), flat)
  value = flat @ params["value"]["kernel"][0, 0] @ params["output"]["kernel"][0, 0]
  np.testing.assert_allclose(found, flat + value, rtol=1e-4, atol=1e-5)


def test_maxima_of_blocks_and_their_gradient():
  images = jnp.array([[1.0, 2.0, 5.0, 5.0], [4.0, 3.0, 0.0, 1.0]]).reshape(1, 2, 4, 1)
  np.testing.assert_array_equal(max_pool(images).ravel(), [4, 5])
  gradient = jax.grad(lambda images: jnp.sum(max_pool(images)))(images)
  np.testing.assert_array_equal(gradient[0, :, :, 0], [[0, 0, 0.5, 0.5], [1, 0, 0, 0]])
