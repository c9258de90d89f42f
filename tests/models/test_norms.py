"""Norms whose scales and biases depend on labels or latents, against plain batch normalisation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gan.models.layers import ConditionalNorm, Norm, SelfModulatedNorm

NORMAL = nn.initializers.normal(1.0)


def normal(seed, *shape):
  return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def applied(layer, *inputs, train=True):
  variables = layer.init(jax.random.key(0), *inputs, train=False)
  outputs, state = layer.apply(variables, *inputs, train=train, mutable=["batch_stats"])
  return outputs, state, variables["params"]


IMAGES, LABELS, LATENTS = (
  3 + 2 * normal(0, 6, 4, 4, 3),
  jnp.array([0, 1, 1, 0, 2, 1]),
  normal(1, 6, 5),
)
ZEROS = nn.initializers.zeros
LAYERS = {
  "classes": (ConditionalNorm(3), LABELS),
  "latents": (SelfModulatedNorm(kernel_init=ZEROS), LATENTS),
}


@pytest.mark.parametrize(("layer", "condition"), LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("train", [True, False])
def test_at_first_they_are_batch_normalisation(layer, condition, train):
  outputs, state, _ = applied(layer, IMAGES, condition, train=train)
  expected, plain, _ = applied(Norm("batch"), IMAGES, train=train)
  np.testing.assert_allclose(outputs, expected, atol=1e-6)
  for ours, theirs in zip(jax.tree.leaves(state), jax.tree.leaves(plain), strict=True):
    np.testing.assert_array_equal(ours, theirs)


def test_a_class_has_a_scale_and_a_bias_of_its_own():
  layer = ConditionalNorm(3, scale_init=NORMAL, bias_init=NORMAL)
  outputs, _, params = applied(layer, IMAGES, LABELS)
  plain = applied(Norm("batch"), IMAGES)[0]
  scale, bias = (params[name]["embedding"][LABELS] for name in ("scale", "bias"))
  expected = plain * scale[:, None, None] + bias[:, None, None]
  np.testing.assert_allclose(outputs, expected, atol=1e-5)


@pytest.mark.parametrize("hidden", [0, 7])
def test_scales_and_biases_are_functions_of_the_latent(hidden):
  layer = SelfModulatedNorm(hidden=hidden, kernel_init=NORMAL)
  outputs, _, params = applied(layer, IMAGES, LATENTS)
  params = {name: each["Dense_0"] for name, each in params.items()}
  vectors = LATENTS
  if hidden:
    vectors = jnp.maximum(LATENTS @ params["hidden_layer"]["kernel"], 0)
  scale, bias = (vectors @ params[name]["kernel"] for name in ("scale", "bias"))
  expected = applied(Norm("batch"), IMAGES)[0] * (1 + scale[:, None, None]) + bias[:, None, None]
  np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)


def test_numbers_are_two_a_class_and_channel():
  _, _, params = applied(ConditionalNorm(3), IMAGES, LABELS)
  assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 2 * 3 * 3


def test_epsilon_is_added_to_the_variance():
  outputs, _, _ = applied(ConditionalNorm(3, epsilon=0.5), IMAGES, LABELS)
  mean, variance = IMAGES.mean((0, 1, 2)), IMAGES.var((0, 1, 2))
  expected = (IMAGES - mean.reshape(1, 1, 1, -1)) / jnp.sqrt(variance + 0.5).reshape(1, 1, 1, -1)
  np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
