"""The layers: transposed convolution against its definition, initialisers, norms, labels."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.test_util import check_grads

from gan.models.layers import (
  Conv,
  Dense,
  Dropout,
  LabelledLatents,
  Norm,
  ProjectionLogit,
  conv,
  conv_transpose,
  leaky_relu,
  patches,
  torch_uniform,
)
from gan.models.layers import plain as plain_forms

KERNELS_AND_STRIDES = [
  *((4, 2), (3, 2), (5, 2), (2, 2), (3, 1), (4, 1), (4, 3), (6, 3), (6, 2)),
  (1, 1),  # single pixels, always as products
]
# Of the small end of the transposed convolution, and channels of both ends: one shape for each form
# that `conv` and `conv_transpose` choose between.
SHAPES = {"few channels": (3, 2, 4), "many channels": (7, 9, 8), "small images": (2, 9, 8)}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


@pytest.fixture
def x64():
  with jax.enable_x64(True):
    yield


def normal(seed, *shape):
  return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.zeros(()).dtype)


def operands(shape, kernel_size, stride):
  """(x, w, y): small images [2, p, p, f], a kernel, large images of the conv's input shape."""
  side, channels, features = shape
  x = normal(0, 2, side, side, features)
  w = normal(1, kernel_size, kernel_size, channels, features) / kernel_size
  return x, w, normal(2, 2, side * stride, side * stride, channels)


def flax_conv_transpose(x, w, stride):
  size, _, channels, _ = w.shape
  layer = nn.ConvTranspose(
    channels, (size, size), (stride, stride), use_bias=False, transpose_kernel=True
  )
  return layer.apply({"params": {"kernel": w}}, x)


def flax_conv(y, w, stride):
  size, _, _, features = w.shape
  layer = nn.Conv(features, (size, size), (stride, stride), use_bias=False)
  return layer.apply({"params": {"kernel": w}}, y)


# Ours, the plain form, and which of (x, w, y) are its input and what its output is weighed with.
FORMS = {
  "conv_transpose": (conv_transpose, flax_conv_transpose, lambda x, w, y: (x, w, y)),
  "conv": (conv, flax_conv, lambda x, w, y: (y, w, x)),
}
both_forms = pytest.mark.parametrize(("ours", "plain", "order"), FORMS.values(), ids=FORMS)


# Convolution and transposed convolution.


def test_shapes_reach_every_form(monkeypatch):
  reached = []
  for name in ("conv", "conv_transpose", "conv_transpose_to_blocks"):
    form = getattr(patches, name)
    note = functools.partial(lambda name, form, *args: reached.append(name) or form(*args))
    monkeypatch.setattr(patches, name, functools.partial(note, name, form))
  for shape, expected in zip(
    SHAPES.values(),
    (["conv", "conv_transpose"], ["conv_transpose_to_blocks"], []),
    strict=True,
  ):
    reached.clear()
    x, w, y = operands(shape, 4, 2)
    conv(y, w, 2), conv_transpose(x, w, 2)
    assert reached == expected


def convolutions(function, platform, *operands):
  """The convolutions, and how many products, of a function lowered for a platform."""
  program = jax.export.export(jax.jit(function), platforms=[platform])(*operands).mlir_module()
  forms = re.findall(r"stablehlo.convolution.*? dim_numbers = (.*?), window = ({.*?})", program)
  return forms, program.count("stablehlo.dot_general")


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_other_platforms_have_the_plain_forms(platform, shape):
  x, w, y = operands(shape, 4, 2)

  def gradient(form):
    return lambda w: jax.vjp(lambda w: form(y, w, 2), w)[1](x)

  for ours, plain, *given in (
    (lambda y, w: conv(y, w, 2), lambda y, w: flax_conv(y, w, 2), y, w),
    (lambda x, w: conv_transpose(x, w, 2), lambda x, w: flax_conv_transpose(x, w, 2), x, w),
    (gradient(conv), gradient(flax_conv), w),
  ):
    found = convolutions(ours, platform, *given)
    assert found == convolutions(plain, platform, *given)
    assert found[0] and not found[1]


def test_the_cpu_has_products_over_patches_of_few_channels():
  x, w, y = operands(next(iter(SHAPES.values())), 4, 2)
  assert convolutions(lambda y, w: conv(y, w, 2), "cpu", y, w) == ([], 1)


def test_the_cpu_has_products_alone_for_single_pixels():
  x, w, y = operands(SHAPES["many channels"], 1, 1)

  def value(y, w):
    return jnp.sum(jnp.sin(conv(y, w, 1)) * x)

  for function in (value, jax.grad(value, argnums=(0, 1))):
    found, products = convolutions(function, "cpu", y, w)
    assert not found and products


@pytest.mark.parametrize("size", [4, 5, 7, 12])
@pytest.mark.parametrize(("kernel_size", "stride"), [*KERNELS_AND_STRIDES, (1, 2), (1, 3), (2, 3)])
def test_gradient_of_the_kernel_in_order_is_the_plain_one(size, kernel_size, stride, x64):
  images, kernel = normal(0, 3, size, size + 1, 2), normal(1, kernel_size, kernel_size, 2, 5)
  cotangent = normal(2, *plain_forms.conv(images, kernel, stride).shape)
  plain, in_order = (
    form(images, cotangent, kernel, stride)
    for form in (plain_forms.kernel_gradient, plain_forms.kernel_gradient_in_order)
  )
  np.testing.assert_allclose(in_order, plain, rtol=1e-12, atol=1e-12)


def within_a_branch(function, x):
  return jax.lax.cond(x.sum() > 0, function, jnp.zeros_like, x)


def within_a_loop(function, x):
  return jax.lax.scan(lambda x, _: (function(x), None), x, None, length=2)[0]


# XLA's CPU backend brings convolutions into this order, in which alone they are fast, only where
# they stand outside of branches and loops.
IN_ORDER = "dim_labels=b01f_01io->b01f"


@pytest.mark.parametrize("within", [within_a_branch, within_a_loop])
@pytest.mark.parametrize("shape", [(7, 9, 8), (4, 9, 8)], ids=["to blocks", "plain"])
def test_penalties_of_our_layers_are_fast_in_branches_and_loops(within, shape):
  x, w, y = operands(shape, 4, 2)

  def penalty(w):
    slope = jax.grad(lambda y: jnp.sum(jnp.tanh(conv(y, w, 2))))(y)
    return jnp.sum(slope**2) + jnp.sum(conv_transpose(x, w, 2) ** 2)

  compiled = jax.jit(functools.partial(within, jax.grad(penalty))).lower(w).compile()
  lines = [line for line in compiled.as_text().splitlines() if " convolution(" in line]
  assert len(lines) >= 6
  assert all(IN_ORDER in line for line in lines), lines


@both_forms
@shapes
@pytest.mark.parametrize(("kernel_size", "stride"), KERNELS_AND_STRIDES)
def test_outputs_are_those_of_the_flax_layer(ours, plain, order, shape, kernel_size, stride):
  inputs, kernel, _ = order(*operands(shape, kernel_size, stride))
  outputs, expected = (form(inputs, kernel, stride) for form in (ours, plain))
  assert outputs.shape == expected.shape
  np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)


@shapes
@pytest.mark.parametrize(("kernel_size", "stride"), KERNELS_AND_STRIDES)
def test_conv_transpose_is_the_adjoint_of_conv(shape, kernel_size, stride, x64):
  x, w, y = operands(shape, kernel_size, stride)
  left = jnp.vdot(conv(y, w, stride), x)
  right = jnp.vdot(y, conv_transpose(x, w, stride))
  np.testing.assert_allclose(left, right, rtol=1e-12)


@both_forms
@shapes
@pytest.mark.parametrize(("kernel_size", "stride"), KERNELS_AND_STRIDES)
def test_gradients_are_those_of_the_flax_layer(ours, plain, order, shape, kernel_size, stride, x64):
  inputs, kernel, weights = order(*operands(shape, kernel_size, stride))

  def value(form, inputs, kernel):
    # Not linear: cotangents depend on the point.
    return jnp.sum(jnp.sin(form(inputs, kernel, stride)) * weights)

  got, expected = (jax.grad(value, argnums=(1, 2))(form, inputs, kernel) for form in (ours, plain))
  for one, other in zip(got, expected, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@both_forms
@shapes
@pytest.mark.parametrize(("kernel_size", "stride"), [(4, 2), (3, 1)])
def test_first_and_second_derivatives_match_finite_differences(
  ours, plain, order, shape, kernel_size, stride, x64
):
  inputs, kernel, _ = order(*operands(shape, kernel_size, stride))

  def function(inputs, kernel):
    return jnp.tanh(ours(inputs, kernel, stride))

  check_grads(function, (inputs / 4, kernel / 4), order=2, modes=["rev"])


@both_forms
@shapes
@pytest.mark.parametrize(("kernel_size", "stride"), [(4, 2), (5, 2), (3, 1), (6, 3), (1, 1)])
def test_second_derivatives_are_those_of_the_flax_layer(
  ours, plain, order, shape, kernel_size, stride, x64
):
  inputs, kernel, weights = order(*operands(shape, kernel_size, stride))

  def gradient_penalty(form, inputs, kernel):
    slope = jax.grad(lambda x: jnp.sum(jnp.sin(form(x, kernel, stride)) * weights))(inputs)
    return jnp.sum(jnp.square(slope))

  got, expected = (
    jax.grad(gradient_penalty, argnums=(1, 2))(form, inputs, kernel) for form in (ours, plain)
  )
  for one, other in zip(got, expected, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-10)


def test_conv_of_ones_counts_the_pixels_under_the_kernel():
  # 4x4 image, 4x4 kernel, stride 2, padding 1: each window covers 3x3 real pixels.
  outputs = conv(jnp.ones((1, 4, 4, 1)), jnp.ones((4, 4, 1, 1)), 2)
  np.testing.assert_array_equal(outputs[0, :, :, 0], [[9, 9], [9, 9]])


def test_conv_transpose_of_one_pixel_paints_the_kernel():
  # Padding 1: the 4x4 kernel painted around the first of 2x2 pixels loses its first row and column.
  kernel = jnp.arange(16.0).reshape(4, 4, 1, 1)
  pixel = jnp.zeros((1, 2, 2, 1)).at[0, 0, 0, 0].set(1)
  outputs = conv_transpose(pixel, kernel, 2)[0, :, :, 0]
  expected = [[5, 6, 7, 0], [9, 10, 11, 0], [13, 14, 15, 0], [0, 0, 0, 0]]
  np.testing.assert_array_equal(outputs, expected)


# Initialisers.


def initial(layer, *shape):
  return jax.jit(layer.init)(jax.random.key(0), jnp.zeros(shape))["params"]


def assert_fills(values, bound):
  """Uniform on (-bound, bound): within, close to both ends, and of variance bound^2 / 3."""
  values = np.asarray(values)
  assert np.abs(values).max() <= bound
  assert values.max() > 0.9 * bound and values.min() < -0.9 * bound
  if values.size > 2000:
    np.testing.assert_allclose(values.var(), bound**2 / 3, rtol=0.1)


def test_torch_uniform_fills_its_interval():
  assert_fills(torch_uniform(16)(jax.random.key(0), (5000,)), 0.25)  # 1 / sqrt(16)


def test_dense_starts_with_bounds_of_its_inputs():
  params = initial(Dense(100), 1, 25)["Dense_0"]
  assert_fills(params["kernel"], 0.2)  # 1 / sqrt(25)
  assert_fills(params["bias"], 0.2)


def test_conv_starts_with_bounds_of_its_window():
  params = initial(Conv(100), 1, 8, 8, 4)
  assert_fills(params["kernel"], 0.125)  # 1 / sqrt(4 * 4 * 4 channels in)
  assert_fills(params["bias"], 0.125)


def test_transposed_conv_starts_with_bounds_of_its_outputs():
  params = initial(Conv(4, transpose=True), 1, 8, 8, 100)
  assert params["kernel"].shape == (4, 4, 4, 100)
  assert_fills(params["kernel"], 0.125)  # 1 / sqrt(4 * 4 * 4 channels out)
  assert np.abs(params["bias"]).max() <= 0.125


def torch_layer(name):
  torch = pytest.importorskip("torch")
  torch.manual_seed(0)
  return {
    "dense": lambda: torch.nn.Linear(50, 400),
    "conv": lambda: torch.nn.Conv2d(3, 400, 4),
    "transposed": lambda: torch.nn.ConvTranspose2d(400, 30, 4),
  }[name]()


@pytest.mark.parametrize(
  ("name", "layer", "shape"),
  [
    ("dense", Dense(400), (1, 50)),
    ("conv", Conv(400), (1, 8, 8, 3)),
    ("transposed", Conv(30, transpose=True), (1, 8, 8, 400)),
  ],
)
def test_default_bounds_are_those_of_torch(name, layer, shape):
  theirs = {key: value.detach().numpy() for key, value in torch_layer(name).named_parameters()}
  ours = initial(layer, *shape)
  ours = ours.get("Dense_0", ours)
  assert ours["kernel"].size == theirs["weight"].size
  # The largest of 20,000 uniform draws is within 0.1 % of the bound; of 30 biases within 30 %.
  np.testing.assert_allclose(
    np.abs(ours["kernel"]).max(), np.abs(theirs["weight"]).max(), rtol=3e-3
  )
  np.testing.assert_allclose(np.abs(ours["bias"]).max(), np.abs(theirs["bias"]).max(), rtol=0.3)


def test_a_given_initialiser_leaves_the_bias_at_zero():
  ones = jax.nn.initializers.ones
  for layer, shape in (
    (Dense(3, kernel_init=ones), (1, 2)),
    (Conv(3, kernel_init=ones), (1, 4, 4, 2)),
  ):
    params = initial(layer, *shape)
    params = params.get("Dense_0", params)
    assert np.all(params["kernel"] == 1) and np.all(params["bias"] == 0)


def test_no_bias_is_no_parameter():
  assert list(initial(Conv(3, use_bias=False), 1, 4, 4, 2)) == ["kernel"]
  assert list(initial(Dense(3, use_bias=False), 1, 2)["Dense_0"]) == ["kernel"]


def test_bias_is_added_to_each_channel():
  layer = Conv(2, transpose=True)
  params = initial(layer, 1, 3, 3, 1)
  images = normal(0, 1, 3, 3, 1)
  moved = {**params, "bias": params["bias"] + jnp.array([1.0, -2.0])}
  change = layer.apply({"params": moved}, images) - layer.apply({"params": params}, images)
  np.testing.assert_allclose(change, np.broadcast_to([1.0, -2.0], (1, 6, 6, 2)), atol=1e-6)


# Normalisation.


def test_no_norm_is_the_identity_without_parameters():
  inputs = normal(0, 4, 3)
  outputs, variables = Norm("none").init_with_output(jax.random.key(0), inputs, train=True)
  assert variables == {} and outputs is inputs


def test_batch_norm_uses_and_remembers_the_statistics_of_the_batch():
  inputs = 3 * normal(0, 6, 2, 2, 3) + 1
  layer = Norm("batch")
  variables = layer.init(jax.random.key(0), inputs, train=False)
  outputs, updated = layer.apply(variables, inputs, train=True, mutable="batch_stats")
  inputs = np.asarray(inputs)
  mean, var = np.mean(inputs, (0, 1, 2)), np.var(inputs, (0, 1, 2))
  np.testing.assert_allclose(outputs, (inputs - mean) / np.sqrt(var + 1e-5), atol=1e-5)
  stats = jax.tree.map(np.asarray, updated["batch_stats"]["BatchNorm_0"])
  np.testing.assert_allclose(stats["mean"], 0.1 * mean, rtol=1e-5)  # .9 * 0 + .1 * mean
  np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * var, rtol=1e-5)  # .9 * 1 + .1 * var
  later = layer.apply({**variables, **updated}, jnp.asarray(inputs), train=False)
  expected = (inputs - stats["mean"]) / np.sqrt(stats["var"] + 1e-5)
  np.testing.assert_allclose(later, expected, atol=1e-5)


def test_batch_norm_over_a_mapped_axis_is_that_of_the_whole_batch():
  inputs = normal(0, 8, 3)
  whole, split = Norm("batch"), Norm("batch", axis_name="devices")
  variables = whole.init(jax.random.key(0), inputs, train=False)

  def apply(layer, inputs):
    return layer.apply(variables, inputs, train=True, mutable="batch_stats")

  expected, stats = apply(whole, inputs)
  halves, split_stats = jax.vmap(functools.partial(apply, split), axis_name="devices")(
    inputs.reshape(2, 4, 3)
  )
  np.testing.assert_allclose(halves.reshape(8, 3), expected, atol=1e-6)
  for got, one in zip(jax.tree.leaves(split_stats), jax.tree.leaves(stats), strict=True):
    np.testing.assert_allclose(got, np.stack([one, one]), atol=1e-6)


@pytest.mark.parametrize("train", [False, True])
def test_layer_norm_is_per_example_over_all_pixels_and_channels(train):
  inputs = 3 * normal(0, 6, 2, 2, 3) + 1
  layer = Norm("layer")
  variables = layer.init(jax.random.key(0), inputs, train=False)
  assert {leaf.shape for leaf in jax.tree.leaves(variables)} == {(3,)}  # scale, bias of channels
  outputs = layer.apply(variables, inputs, train=train)
  mean, var = np.mean(inputs, (1, 2, 3), keepdims=True), np.var(inputs, (1, 2, 3), keepdims=True)
  np.testing.assert_allclose(outputs, (inputs - mean) / np.sqrt(var + 1e-5), atol=1e-5)


@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_scales_start_as_asked(kind):
  layer = Norm(kind, scale_init=jax.nn.initializers.constant(7.0))
  params = layer.init(jax.random.key(0), jnp.zeros((2, 3)), train=False)["params"]
  (norm,) = params.values()
  np.testing.assert_array_equal(norm["scale"], [7, 7, 7])
  np.testing.assert_array_equal(norm["bias"], [0, 0, 0])


# Labels.


def test_class_score_is_the_product_with_the_embedding_of_the_label():
  features, labels = normal(0, 4, 3), jnp.array([1, 0, 1, 1])
  logits, variables = ProjectionLogit(2).init_with_output(jax.random.key(0), features, labels)
  (table,) = map(np.asarray, jax.tree.leaves(variables))
  assert table.shape == (2, 3) and logits.shape == (4,)
  np.testing.assert_allclose(logits, np.sum(table[labels] * features, axis=1), atol=1e-6)


def test_class_scores_of_unit_features_start_with_variance_one():
  # sum over n of (N(0, 1 / n) * 1) has variance 1.
  logits, _ = ProjectionLogit(4000).init_with_output(
    jax.random.key(0), jnp.ones((4000, 64)), jnp.arange(4000)
  )
  np.testing.assert_allclose(np.var(logits), 1, rtol=0.1)


def test_labelled_latents_are_the_latents_and_then_the_embedding():
  latents, labels = normal(0, 3, 5), jnp.array([2, 0, 2])
  layer = LabelledLatents(4, features=6)
  joined, variables = layer.init_with_output(jax.random.key(0), latents, labels)
  (table,) = map(np.asarray, jax.tree.leaves(variables))
  assert table.shape == (4, 6) and joined.shape == (3, 11)
  np.testing.assert_array_equal(joined[:, :5], latents)
  np.testing.assert_array_equal(joined[:, 5:], table[labels])


def test_latents_without_labels_stay_as_they_are():
  latents = normal(0, 3, 5)
  joined, variables = LabelledLatents(0).init_with_output(jax.random.key(0), latents, None)
  assert joined is latents and variables == {}


def test_leaky_relu_has_slope_one_fifth_below_zero():
  np.testing.assert_allclose(leaky_relu(jnp.array([-10.0, 0.0, 3.0])), [-2, 0, 3], rtol=1e-6)


# Dropout.


def drop(inputs, rate, key, train=True):
  return Dropout(rate).apply({}, inputs, train=train, rngs={"dropout": key})


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.3, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(rate):
  count = 200_000
  outputs = np.asarray(drop(jnp.ones((count,)), rate, jax.random.key(0)))
  standard_deviation = (rate * (1 - rate) / count) ** 0.5
  assert abs(np.mean(outputs == 0) - rate) <= 4 * standard_deviation + 2**-17
  kept = round((1 - rate) * 2**16) / 2**16
  np.testing.assert_allclose(np.unique(outputs[outputs > 0]), [1 / kept], rtol=1e-6)


def test_dropout_draws_each_input_by_itself():
  # With shared draws, neighbours (2, 4 or a row apart) would fall together more often than rate^2.
  mask = np.asarray(drop(jnp.ones((400, 501)), 0.3, jax.random.key(1))) == 0
  flat = mask.reshape(-1)
  for lag in (1, 2, 3, 4, 501, len(flat) // 2):
    both = np.mean(flat[:-lag] & flat[lag:])
    assert abs(both - 0.09) < 4 * (0.09 * 0.91 / (len(flat) - lag)) ** 0.5, lag


def test_dropout_is_a_function_of_its_key_and_of_nothing_in_inference():
  inputs = jnp.asarray(normal(0, 3, 5))
  first, again, other = (drop(inputs, 0.5, jax.random.key(seed)) for seed in (0, 0, 1))
  np.testing.assert_array_equal(first, again)
  assert (first != other).any()
  np.testing.assert_array_equal(drop(inputs, 0.5, jax.random.key(0), train=False), inputs)


def test_dropout_takes_keys_of_another_generator_and_maps_over_keys():
  inputs = jnp.ones((40, 50))
  assert 0.4 < np.mean(drop(inputs, 0.5, jax.random.key(0, impl="rbg")) == 0) < 0.6
  keys = jax.random.split(jax.random.key(0), 3)
  mapped = jax.vmap(lambda key: drop(inputs, 0.5, key))(keys)
  np.testing.assert_array_equal(mapped, jnp.stack([drop(inputs, 0.5, key) for key in keys]))
