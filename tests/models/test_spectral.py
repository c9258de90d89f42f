"""Spectral normalisation against singular value decompositions and the papers' gradient."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import traverse_util
from test_models import CLASSES, SPECS, filled, inputs_of, labels_of

import gan
from gan import models
from gan.models.layers import SPECTRAL, Conv, Dense, Embed, singular_triple
from gan.networks import from_linen

KEY = jax.random.key(0)


def normal(seed, *shape):
  return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def with_singular_values(values, rows, columns):
  left, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((rows, len(values))))
  right, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((columns, len(values))))
  return left, jnp.asarray(left * values @ right.T, jnp.float32), right


class Labelled(nn.Module):
  """Layers of every kind, normalised; the embedding's row is a factor of the features."""

  @nn.compact
  def __call__(self, images, labels):
    hidden = Conv(4, 3, 1, use_bias=False, spectral=1)(images)
    hidden = Dense(5, use_bias=False, spectral=1)(hidden.reshape(hidden.shape[0], -1))
    return jnp.sum(hidden * Embed(3, 5, nn.initializers.normal(), spectral=1)(labels), axis=-1)


@pytest.fixture
def labelled():
  network = from_linen(Labelled())
  images, labels = normal(0, 2, 6, 6, 2), jnp.array([0, 2])
  return network, images, labels, *network.init(jax.random.key(0), images, labels)


def test_power_iteration_converges_to_the_largest_singular_value():
  left, matrix, right = with_singular_values([3.0, 2.0, 0.5], 5, 7)
  u, norm, v = singular_triple(matrix, normal(2, 5), 40)
  np.testing.assert_allclose(norm, 3.0, rtol=1e-5)
  np.testing.assert_allclose(np.abs(left[:, 0] @ u), 1.0, rtol=1e-5)
  np.testing.assert_allclose(np.abs(right[:, 0] @ v), 1.0, rtol=1e-5)


def test_one_iteration_is_exact_for_a_matrix_of_rank_one():
  _, matrix, _ = with_singular_values([3.0], 5, 7)
  _, norm, _ = singular_triple(matrix, normal(2, 5), 1)
  np.testing.assert_allclose(norm, 3.0, rtol=1e-6)


def test_outputs_do_not_depend_on_the_scale_of_the_weights(labelled):
  network, images, labels, params, state = labelled
  for train in (False, True):
    outputs = [
      network.apply(
        jax.tree.map(lambda w, c=c: c * w, params), state, images, labels, train=train, key=KEY
      )[0]
      for c in (1.0, 0.01, 100.0)
    ]
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-5)
    np.testing.assert_allclose(outputs[2], outputs[0], rtol=1e-5)


def test_gradient_is_that_of_the_paper():
  """dL/dW = (G - <G, W / sigma> u v^T) / sigma where G = dL/d(W / sigma)."""
  layer, inputs, weights = Dense(4, use_bias=False, spectral=1), normal(0, 6, 5), normal(1, 6, 4)
  variables = layer.init(jax.random.key(0), inputs)
  kernel = variables["params"]["Dense_0"]["kernel"]

  def loss(kernel):
    return jnp.sum(
      weights * layer.apply({**variables, "params": {"Dense_0": {"kernel": kernel}}}, inputs) ** 2
    )

  state = variables[SPECTRAL]["Dense_0"]["u"]
  u, norm, v = singular_triple(kernel.T, state, 0)
  of_normalised = 2 * inputs.T @ (weights * (inputs @ (kernel / norm)))
  drawn = jnp.sum(of_normalised * kernel / norm) * jnp.outer(v, u)
  np.testing.assert_allclose(
    jax.grad(loss)(kernel), (of_normalised - drawn) / norm, rtol=1e-4, atol=1e-5
  )


def test_state_moves_in_training_alone_and_others_read_it(labelled):
  network, images, labels, params, state = labelled
  assert set(state) == {SPECTRAL}
  _, unmoved = network.apply(params, state, images, labels, train=False)
  _, moved = network.apply(params, state, images, labels, train=True, key=KEY)
  assert all(jax.tree.leaves(jax.tree.map(np.array_equal, unmoved, state)))
  assert not any(jax.tree.leaves(jax.tree.map(np.array_equal, moved, state)))
  kernel = params["Dense_0"]["Dense_0"]["kernel"]
  expected, _, _ = singular_triple(kernel.T, state[SPECTRAL]["Dense_0"]["Dense_0"]["u"], 1)
  np.testing.assert_allclose(moved[SPECTRAL]["Dense_0"]["Dense_0"]["u"], expected, rtol=1e-6)


def test_an_embedding_has_a_vector_of_a_number_a_class(labelled):
  *_, state = labelled
  lengths = jax.tree.map(len, state[SPECTRAL])
  assert lengths == {
    "Conv_0": {"u": 4},
    "Dense_0": {"Dense_0": {"u": 5}},
    "Embed_0": {"u": 3},
  }


def test_kernels_of_either_layout_have_one_norm():
  kernel = normal(0, 3, 3, 2, 4)  # HWIO
  oihw = kernel.transpose(3, 2, 0, 1).reshape(4, -1)
  variables = {"params": {"kernel": kernel}, SPECTRAL: {"u": normal(1, 4)}}
  layer = Conv(4, 3, 1, use_bias=False, spectral=60)
  point = jnp.zeros((1, 3, 3, 2)).at[0, 1, 1, 0].set(1.0)
  outputs, _ = layer.apply(variables, point, mutable=[SPECTRAL])
  norm = np.linalg.norm(oihw, 2)
  np.testing.assert_allclose(outputs[0, ::-1, ::-1], kernel[:, :, 0] / norm, rtol=1e-5)


def test_weights_of_zero_stay_zero_with_finite_gradients():
  layer, inputs = Dense(3, kernel_init=nn.initializers.zeros, spectral=1), normal(0, 2, 4)
  variables = layer.init(jax.random.key(0), inputs)
  value, gradient = jax.value_and_grad(lambda v: jnp.sum(layer.apply(v, inputs)))(variables)
  assert value == 0
  assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))


class Critic(nn.Module):
  @nn.compact
  def __call__(self, points):
    hidden = jax.nn.relu(Dense(8, spectral=1)(points))
    return Dense(1, use_bias=False, spectral=1)(hidden)[:, 0]


@pytest.mark.parametrize("discriminator_steps", [1, 2])
def test_a_discriminator_update_makes_two_iterations_and_a_generator_update_none(
  discriminator_steps,
):
  players = gan.models.build("points", gan.ModelSpec((2,), latent_dim=3, width=4))
  game = gan.Game(
    **players._replace(discriminator=from_linen(Critic(), jnp.zeros((1, 2))))._asdict(),
    hyperparameters={"discriminator_learning_rate": 0.0},
  )
  state = game.init(jax.random.key(0))
  batch = gan.Batch(normal(0, discriminator_steps, 6, 2), None)
  after, _ = jax.jit(game.step)(state, batch, jax.random.key(1))
  kernel = state.discriminator.params["Dense_0"]["Dense_0"]["kernel"]
  before = state.discriminator.model_state[SPECTRAL]["Dense_0"]["Dense_0"]["u"]
  expected, _, _ = singular_triple(kernel.T, before, 2 * discriminator_steps)
  moved = after.discriminator.model_state[SPECTRAL]["Dense_0"]["Dense_0"]["u"]
  np.testing.assert_allclose(moved, expected, atol=1e-5)
  once_less, _, _ = singular_triple(kernel.T, before, 2 * discriminator_steps - 1)
  assert np.abs(moved - once_less).max() > 1e-4


# Networks.


def matrices(params):
  """{layer: its weights as a matrix, of a row a feature or a class}."""
  found = {}
  for (*layer, name), leaf in traverse_util.flatten_dict(params).items():
    if name == "embedding":
      found[tuple(layer)] = np.asarray(leaf)
    if name == "kernel":
      found[tuple(layer)] = np.moveaxis(leaf, -1, 0).reshape(leaf.shape[-1], -1)
  return found


def vectors(state):
  """{layer: its u}."""
  found = traverse_util.flatten_dict(state[SPECTRAL])
  return {path[:-1]: leaf for path, leaf in found.items()}


def divided(params, norms):
  """Parameters whose weights are divided by a number a layer."""
  flat = traverse_util.flatten_dict(params)
  weights = ("kernel", "embedding")
  return traverse_util.unflatten_dict(
    {path: leaf / norms[path[:-1]] if path[-1] in weights else leaf for path, leaf in flat.items()}
  )


SLOWLY_COMPILED = [pytest.param(name, marks=pytest.mark.slow) for name in ("resnet", "sndcgan")]


@pytest.mark.parametrize("name", ["dcgan", "infogan", *SLOWLY_COMPILED])
def test_a_network_with_spectral_norm_is_one_of_weights_divided_by_their_singular_value(name):
  spec = SPECS[name]._replace(num_classes=CLASSES, discriminator_norm="spectral")
  network = models.build(name, spec).discriminator
  params, state = filled(np.random.default_rng(0), network)
  # One singular value stands out, so that few iterations find it.
  params = jax.tree.map(lambda leaf: leaf + leaf.std() * (leaf.ndim > 1), params)
  args = inputs_of(name, "discriminator"), labels_of(CLASSES)

  def judge(network, params, state):
    apply = functools.partial(network.apply, train=False)
    return jax.jit(apply)(params, state, *args)

  @jax.jit
  def train(state):
    return network.apply(params, state, *args, train=True, key=KEY)[1]

  # u moves in training alone, by one iteration; every weight has one, and there is no other norm.
  assert set(state) == {SPECTRAL} and vectors(state).keys() == matrices(params).keys()
  moved = train(state)
  for layer, matrix in matrices(params).items():
    expected, _, _ = singular_triple(jnp.asarray(matrix), vectors(state)[layer], 1)
    np.testing.assert_allclose(vectors(moved)[layer], expected, atol=1e-5)
  # After many the largest singular value of the weights that are used is 1.
  for _ in range(40):
    moved = train(moved)
  norms = {layer: np.linalg.svd(it, compute_uv=False)[0] for layer, it in matrices(params).items()}
  for layer, matrix in matrices(params).items():
    _, norm, _ = singular_triple(jnp.asarray(matrix), vectors(moved)[layer], 0)
    np.testing.assert_allclose(norm / norms[layer], 1, rtol=1e-5)
  found, unmoved = judge(network, params, moved)
  jax.tree.map(np.testing.assert_array_equal, unmoved, moved)
  plain = models.build(name, spec._replace(discriminator_norm="none")).discriminator
  expected, _ = judge(plain, divided(params, norms), {})
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
