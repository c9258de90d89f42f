"""Every architecture: what goes in and out, how many parameters, and what it refuses."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

import gan
from gan import models
from gan.errors import UserError
from gan.models import MODELS, ModelSpec

# The smallest data that a model is made for, and a narrow width where it has one.
SPECS = {
  "mlp": ModelSpec((28, 28, 1), latent_dim=8),
  "dcgan": ModelSpec((28, 28, 1), latent_dim=8, width=4),
  "infogan": ModelSpec((8, 8, 3), latent_dim=8),
  "goodfellow": ModelSpec((8, 8, 3), latent_dim=8),
  "firstgan_dcgan": ModelSpec((64, 64, 1), latent_dim=8),
  "tutorial_dcgan": ModelSpec((64, 64, 3), latent_dim=8),
  "points": ModelSpec((2,), latent_dim=8, width=16),
  "pacgan": ModelSpec((2,), latent_dim=8),
  "resnet": ModelSpec((8, 8, 1), latent_dim=8, width=2),
  "sndcgan": ModelSpec((8, 8, 1), latent_dim=8, width=2),
  "biggan": ModelSpec((8, 8, 1), latent_dim=8, width=1),
  "sagan": ModelSpec((16, 16, 1), latent_dim=8, width=2),
  "stylegan2": ModelSpec((8, 8, 3), latent_dim=8, width=4),
  "r3gan": ModelSpec((8, 8, 3), latent_dim=8, width=8),
  "r3gan_small": ModelSpec((8, 8, 3), latent_dim=8, width=24),
  "autoencoder": ModelSpec((8, 8, 1), latent_dim=8, width=4),
}
OF_POINTS = ("points", "pacgan")
UNBOUNDED = (*OF_POINTS, "stylegan2", "r3gan", "r3gan_small")
# Layers that scale their weights themselves: these are N(0, 1) or larger.
EQUALIZED = ("stylegan2",)
LARGE = ("firstgan_dcgan", "tutorial_dcgan")
EVERY = sorted(MODELS)
SMALL = [name for name in EVERY if name not in LARGE]
CLASSES = 5
BATCH = 4


@functools.cache
def built(name, classes=0, dtype=jnp.float32):
  """(gan, G's variables, D's variables), weights of a size that keeps activations near 1."""
  gan = models.build(name, SPECS[name]._replace(num_classes=classes, dtype=dtype))
  rng = np.random.default_rng(0)
  if name in EQUALIZED:
    return gan, *map(toys.equalized_variables, gan[:2])
  return gan, *(filled(rng, network) for network in gan[:2])


def filled(rng, network):
  """The arrays of `network.init`, without its compilation."""

  def fill(path, leaf):
    if leaf.ndim > 1:
      fan_in = np.prod(leaf.shape) / leaf.shape[-1]
      return jnp.asarray(rng.standard_normal(leaf.shape, np.float32) * 1.4 * fan_in**-0.5)
    if path[-1].key == "u":  # of spectral normalisation; near norm 1, so that a number moves too
      vector = rng.standard_normal(leaf.shape, np.float32)
      return jnp.asarray(1.1 * vector / np.linalg.norm(vector))
    centre = 1 if path[-1].key in ("scale", "var") else 0
    return jnp.asarray(centre + rng.uniform(-0.1, 0.1, leaf.shape), jnp.float32)

  shapes = jax.eval_shape(network.init, jax.random.key(0))
  assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
  return jax.tree_util.tree_map_with_path(fill, shapes)


def labels_of(classes, shift=0):
  return (jnp.arange(BATCH) + shift) % classes if classes else None


def inputs_of(name, player, seed=0):
  """Latents, or images within the range of the model."""
  rng = np.random.default_rng(seed)
  if player == "generator":
    return jnp.asarray(rng.standard_normal((BATCH, 8)), jnp.float32)
  low, high = MODELS[name].image_range
  return jnp.asarray(rng.uniform(low, high, (BATCH, *SPECS[name].image_shape)), jnp.float32)


def apply(name, player, inputs, labels, classes=0, dtype=jnp.float32, train=False, key=None):
  variables = built(name, classes, dtype)[1 + (player == "discriminator")]
  return compiled(name, player, classes, dtype, train)(*variables, inputs, labels, key=key)


@functools.cache
def compiled(name, player, classes, dtype, train):
  network = getattr(built(name, classes, dtype)[0], player)
  return jax.jit(functools.partial(network.apply, train=train))


def shapes(variables):
  return jax.tree.map(jnp.shape, variables)


def test_every_model_is_under_test():
  assert sorted(SPECS) == EVERY


@pytest.mark.parametrize(
  ("name", "classes"), [*((name, 0) for name in SMALL), *((name, CLASSES) for name in EVERY)]
)
def test_players_map_latents_to_images_and_images_to_logits(name, classes):
  labels = labels_of(classes)
  images, _ = apply(name, "generator", inputs_of(name, "generator"), labels, classes)
  assert images.shape == (BATCH, *SPECS[name].image_shape) and images.dtype == jnp.float32
  logits, _ = apply(name, "discriminator", images, labels, classes)
  assert logits.shape == (BATCH,) and logits.dtype == jnp.float32
  assert np.all(np.isfinite(images)) and np.all(np.isfinite(logits))


@pytest.mark.parametrize("name", EVERY)
def test_images_stay_in_the_range_of_the_model_and_reach_for_both_ends(name):
  latents = 1e3 * inputs_of(name, "generator")
  images, _ = apply(name, "generator", latents, labels_of(CLASSES), CLASSES)
  if name in UNBOUNDED:  # so that it can be scaled to any data
    assert np.abs(images).max() > 1
    return
  low, high = built(name)[0].image_range
  assert (low, high) == ((0, 1) if name in ("infogan", "goodfellow") else (-1, 1))
  assert images.min() >= low and images.max() <= high
  assert images.min() < low + 0.3 * (high - low) and images.max() > high - 0.3 * (high - low)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize("name", SMALL)
def test_both_players_hear_the_label(name, player):
  inputs = inputs_of(name, player)
  one, _ = apply(name, player, inputs, labels_of(CLASSES), CLASSES)
  other, _ = apply(name, player, inputs, labels_of(CLASSES, shift=1), CLASSES)
  change = np.abs(one - other).reshape(BATCH, -1).max(axis=1)
  assert np.all(change > 1e-6)  # of every example


@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize("name", EVERY)
def test_inference_treats_examples_apart(name, player):
  inputs, labels = inputs_of(name, player), labels_of(CLASSES)
  outputs, _ = apply(name, player, inputs, labels, CLASSES)
  others = inputs_of(name, player, seed=1).at[1].set(inputs[1])
  kept, _ = apply(name, player, others, labels, CLASSES)
  np.testing.assert_allclose(kept[1], outputs[1], atol=1e-6)
  assert np.abs(kept[0] - outputs[0]).max() > 1e-6
  order = jnp.array([2, 0, 3, 1])
  permuted, _ = apply(name, player, inputs[order], labels[order], CLASSES)
  np.testing.assert_allclose(permuted, outputs[order], atol=1e-6)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize("name", EVERY)
def test_inference_leaves_the_model_state_alone_and_needs_no_key(name, player):
  _, model_state = built(name, CLASSES)[1 + (player == "discriminator")]
  _, after = apply(name, player, inputs_of(name, player), labels_of(CLASSES), CLASSES)
  jax.tree.map(np.testing.assert_array_equal, after, model_state)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize("name", SMALL)
def test_training_keeps_the_structure_of_the_model_state(name, player):
  _, model_state = built(name)[1 + (player == "discriminator")]
  outputs, after = apply(
    name, player, inputs_of(name, player), None, train=True, key=jax.random.key(0)
  )
  assert shapes(after) == shapes(model_state)
  assert np.all(np.isfinite(outputs))
  for new, old in zip(jax.tree.leaves(after), jax.tree.leaves(model_state), strict=True):
    assert np.any(new != old)  # batch statistics move


@pytest.mark.parametrize("name", ["mlp", "goodfellow"])
def test_dropout_follows_the_key_in_training_only(name):
  images = inputs_of(name, "discriminator")
  draws = [
    apply(name, "discriminator", images, None, train=True, key=jax.random.key(seed))[0]
    for seed in (0, 0, 1)
  ]
  np.testing.assert_array_equal(draws[0], draws[1])
  assert np.all(draws[0] != draws[2])


@pytest.mark.parametrize("name", ["dcgan", "points"])
def test_without_dropout_and_batch_norm_training_is_inference(name):
  images = inputs_of(name, "discriminator")
  train, _ = apply(name, "discriminator", images, None, train=True, key=jax.random.key(0))
  still, _ = apply(name, "discriminator", images, None)
  np.testing.assert_array_equal(train, still)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize("name", SMALL)
def test_bfloat16_keeps_float32_parameters_and_outputs_close_to_float32(name, player):
  inputs = inputs_of(name, player)
  exact, _ = apply(name, player, inputs, None)
  rounded, _ = apply(name, player, inputs, None, dtype=jnp.bfloat16)
  assert rounded.dtype == jnp.float32
  assert np.any(rounded != exact)  # it is computed in bfloat16
  np.testing.assert_allclose(rounded, exact, atol=0.05 * (1 + np.abs(exact).max()))


def test_init_is_a_function_of_the_key():
  gan = built("points")[0]
  one, same, other = (gan.generator.init(jax.random.key(seed)) for seed in (0, 0, 1))
  jax.tree.map(np.testing.assert_array_equal, one, same)
  kernels = [params["Dense_0"]["Dense_0"]["kernel"] for params, _ in (one, other)]
  assert np.any(kernels[0] != kernels[1])


# Layers and parameter counts. A layer is written as its arrays: kernel, bias, scale and offset.


def dense(inputs, outputs, bias=True):
  return [(inputs, outputs), *[(outputs,)] * bias]


def conv(inputs, outputs, bias=False, size=4):
  return [(size, size, inputs, outputs), *[(outputs,)] * bias]


def transposed(inputs, outputs, bias=False):
  return [(4, 4, outputs, inputs), *[(outputs,)] * bias]


def norm(channels):
  return [(channels,), (channels,)]


def two_and_one(inputs, between, outputs):
  """Two convolutions of 3x3 and the shortcut's of 1x1, with biases."""
  ends = conv(inputs, between, True, 3), conv(between, outputs, True, 3)
  return [*ends, conv(inputs, outputs, True, 1)]


def attention(channels):
  few, half = channels // 8, channels // 2
  return [*(pixels(channels, few) * 2), *pixels(channels, half), *pixels(half, channels), ()]


def up_block(channels):
  return [*two_and_one(channels, channels, channels), norm(channels), norm(channels)]


def equalized(*kernel):
  return [kernel, (kernel[-1],)]


def styled(inputs, outputs, width=8):
  return [*dense(width, inputs), *equalized(3, 3, inputs, outputs), ()]  # the noise's strength


def to_image(inputs, width=8):
  return [*dense(width, inputs), *equalized(1, 1, inputs, 3)]


def residual(width):
  wide = 2 * width
  return [
    *((1, 1, width, wide), (wide,)),
    *((3, 3, 16, wide), (wide,)),  # groups of 16
    (1, 1, wide, width),
  ]


def pixels(inputs, outputs):
  return [(1, 1, inputs, outputs)]


TABLES = {
  # name: (spec, G's layers, G's count, D's layers, D's count)
  "mlp": (
    ModelSpec((28, 28, 1), latent_dim=100),
    [dense(100, 256), dense(256, 512), dense(512, 1024), dense(1024, 784)],
    100 * 256 + 256 + 256 * 512 + 512 + 512 * 1024 + 1024 + 1024 * 784 + 784,
    [dense(784, 1024), dense(1024, 512), dense(512, 256), dense(256, 1)],
    784 * 1024 + 1024 + 1024 * 512 + 512 + 512 * 256 + 256 + 256 + 1,
  ),
  "goodfellow": (
    ModelSpec((28, 28, 1), latent_dim=100),
    [dense(100, 1200), dense(1200, 1200), dense(1200, 784)],
    100 * 1200 + 1200 + 1200 * 1200 + 1200 + 1200 * 784 + 784,
    # Five pieces of 240 units each; the next layer sees the 240 largest.
    [dense(784, 1200), dense(240, 1200), dense(240, 1)],
    784 * 1200 + 1200 + 240 * 1200 + 1200 + 240 + 1,
  ),
  "firstgan_dcgan": (
    ModelSpec((64, 64, 1), latent_dim=100),
    # A 4x4 transposed convolution of one pixel is a dense layer to 4 x 4 x 512.
    [
      dense(100, 16 * 512, bias=False),
      norm(512),
      *(transposed(512, 256), norm(256)),
      *(transposed(256, 128), norm(128)),
      *(transposed(128, 64), norm(64)),
      transposed(64, 1),
    ],
    16 * (100 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64) + 2 * (512 + 256 + 128 + 64),
    [
      conv(1, 64),
      *(conv(64, 128), norm(128)),
      *(conv(128, 256), norm(256)),
      *(conv(256, 512), norm(512)),
      dense(16 * 512, 1, bias=False),
    ],
    16 * (64 + 64 * 128 + 128 * 256 + 256 * 512 + 512) + 2 * (128 + 256 + 512),
  ),
  "tutorial_dcgan": (
    ModelSpec((64, 64, 3), latent_dim=100),
    # The projection has a bias and no normalisation.
    [
      dense(100, 16 * 1024),
      *(transposed(1024, 512), norm(512)),
      *(transposed(512, 256), norm(256)),
      *(transposed(256, 128), norm(128)),
      transposed(128, 3),
    ],
    101 * 16384 + 16 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3) + 2 * (512 + 256 + 128),
    [
      conv(3, 128),
      *(conv(128, 256), norm(256)),
      *(conv(256, 512), norm(512)),
      *(conv(512, 1024), norm(1024)),
      dense(16384, 1),
    ],
    16 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024) + 2 * (256 + 512 + 1024) + 16384 + 1,
  ),
  "infogan": (
    ModelSpec((28, 28, 1), latent_dim=64),
    [
      *(dense(64, 1024), norm(1024)),
      *(dense(1024, 6272), norm(6272)),  # 128 * 7 * 7
      *(transposed(128, 64, bias=True), norm(64)),
      transposed(64, 1, bias=True),
    ],
    64 * 1024 + 3 * 1024 + 1024 * 6272 + 3 * 6272 + 16 * 128 * 64 + 3 * 64 + 16 * 64 + 1,
    [
      conv(1, 64, bias=True),
      *(conv(64, 128, bias=True), norm(128)),
      *(dense(6272, 1024), norm(1024)),
      dense(1024, 1),
    ],
    16 * 64 + 64 + 16 * 64 * 128 + 3 * 128 + 6272 * 1024 + 3 * 1024 + 1024 + 1,
  ),
  "dcgan": (
    ModelSpec((28, 28, 1), latent_dim=64),
    [
      *(dense(64, 49 * 128, bias=False), norm(128)),
      *(transposed(128, 64), norm(64)),
      transposed(64, 1, bias=True),
    ],
    64 * 6272 + 2 * 128 + 16 * 128 * 64 + 2 * 64 + 16 * 64 + 1,
    [conv(1, 64, bias=True), conv(64, 128, bias=True), dense(6272, 1)],
    16 * 64 + 64 + 16 * 64 * 128 + 128 + 6272 + 1,
  ),
  "points": (
    ModelSpec((2,), latent_dim=16),
    [dense(16, 128), dense(128, 128), dense(128, 2)],
    16 * 128 + 128 + 128 * 128 + 128 + 2 * 128 + 2,
    [dense(2, 128), dense(128, 128), dense(128, 1)],
    2 * 128 + 128 + 128 * 128 + 128 + 128 + 1,
  ),
  "pacgan": (
    ModelSpec((2,), latent_dim=2),
    [
      *(dense(2, 400, bias=False), norm(400)),
      *(dense(400, 400, bias=False), norm(400)) * 3,
      dense(400, 2),
    ],
    2 * 400 + 3 * 400 * 400 + 4 * 2 * 400 + 2 * 400 + 2,
    # Three layers of 200 units of five pieces.
    [dense(2, 1000), dense(200, 1000), dense(200, 1000), dense(200, 1)],
    2 * 1000 + 1000 + 2 * (200 * 1000 + 1000) + 200 + 1,
  ),
  "resnet": (
    ModelSpec((32, 32, 3), latent_dim=128),
    [dense(128, 16 * 256), *up_block(256) * 3, norm(256), conv(256, 3, True, 3)],
    4_276_739,
    [
      *two_and_one(3, 128, 128),
      *two_and_one(128, 128, 128),
      *[conv(128, 128, True, 3)] * 4,
      dense(128, 1, bias=False),
    ],
    1_053_824,
  ),
  "sndcgan": (
    ModelSpec((32, 32, 3), latent_dim=128),
    [
      *(dense(128, 16 * 512), norm(16 * 512)),
      *(transposed(512, 256, bias=True), norm(256)),
      *(transposed(256, 128, bias=True), norm(128)),
      *(transposed(128, 64, bias=True), norm(64)),
      conv(64, 3, True, 3),
    ],
    3_828_739,
    [
      conv(3, 64, True, 3),
      *(conv(64, 128, True), conv(128, 128, True, 3)),
      *(conv(128, 256, True), conv(256, 256, True, 3)),
      *(conv(256, 512, True), conv(512, 512, True, 3)),
      dense(16 * 512, 1),
    ],
    5_860_865,
  ),
  "biggan": (
    ModelSpec((32, 32, 3), latent_dim=128),
    [dense(128, 16 * 256), *up_block(256) * 3, norm(256), conv(256, 3, True, 3)],
    4_276_739,
    [
      *two_and_one(3, 256, 256),
      *two_and_one(256, 256, 256),
      *[conv(256, 256, True, 3)] * 4,
      dense(256, 1),
    ],
    4_204_801,
  ),
  "sagan": (
    ModelSpec((32, 32, 3), latent_dim=128),
    [dense(128, 16 * 256), *up_block(256) * 3, attention(256), norm(256), conv(256, 3, True, 3)],
    4_276_739 + 81_921,
    [
      *two_and_one(3, 128, 128),
      *two_and_one(128, 128, 128),
      *[conv(128, 128, True, 3)] * 4,
      *(attention(128), dense(128, 1)),
    ],
    1_053_825 + 20_481,
  ),
  # Small, and with its counts at full size in test_stylegan2.py.
  "stylegan2": (
    ModelSpec((8, 8, 3), latent_dim=8, width=4),
    [
      *(dense(8, 8), dense(8, 8)),
      [(4, 4, 8)],
      *(styled(8, 8), to_image(8)),
      *(styled(8, 4), styled(4, 4), to_image(4)),
    ],
    2 * 72
    + 128
    + (72 + 9 * 64 + 8 + 1)
    + (72 + 24 + 3)
    + (72 + 9 * 32 + 4 + 1)
    + (36 + 9 * 16 + 4 + 1)
    + (36 + 12 + 3),
    [
      equalized(1, 1, 3, 4),
      *(equalized(3, 3, 4, 4), equalized(3, 3, 4, 8)),
      equalized(3, 3, 9, 8),
      *(dense(16 * 8, 8), dense(8, 1)),
    ],
    (12 + 4) + (9 * 16 + 4) + (9 * 32 + 8) + (9 * 72 + 8) + (128 * 8 + 8) + 9,
  ),
  # Small, and with their counts at full size in test_r3gan.py. A block of C channels has
  # 4 C^2 + 2 * 9 * 16 C + 4 C numbers.
  "r3gan": (
    ModelSpec((8, 8, 3), latent_dim=8, width=8),
    [dense(8, 8, bias=False), [(4, 4, 8)], *[residual(8)] * 4, pixels(8, 3)],
    64 + 128 + 4 * (256 + 2304 + 32) + 24,
    [pixels(3, 8), *[residual(8)] * 4, [(4, 4, 8)], dense(8, 1, bias=False)],
    24 + 4 * (256 + 2304 + 32) + 128 + 8,
  ),
  "r3gan_small": (
    ModelSpec((8, 8, 3), latent_dim=8, width=24),
    [
      *(dense(8, 24, bias=False), [(4, 4, 24)], residual(24)),
      *(pixels(24, 16), residual(16), pixels(16, 3)),
    ],
    192 + 384 + (2304 + 6912 + 96) + 384 + (1024 + 4608 + 64) + 48,
    [
      *(pixels(3, 16), residual(16), pixels(16, 24)),
      *(residual(24), [(4, 4, 24)], dense(24, 1, bias=False)),
    ],
    48 + (1024 + 4608 + 64) + 384 + (2304 + 6912 + 96) + 384 + 24,
  ),
  # The generator of dcgan; 28 pixels halve to 7 by 8 channels, 392 numbers, and back.
  "autoencoder": (
    ModelSpec((28, 28, 1), latent_dim=100, width=4),
    [
      dense(100, 392, bias=False),
      norm(8),
      *(transposed(8, 4), norm(4)),
      transposed(4, 1, bias=True),
    ],
    39_200 + 16 + 512 + 8 + (64 + 1),
    [
      *(conv(1, 4, True), conv(4, 8, True)),
      *(dense(392, 64), dense(64, 392)),
      *(transposed(8, 4, True), transposed(4, 1, True)),
    ],
    (64 + 4) + (512 + 8) + (25_088 + 64) + (25_088 + 392) + (512 + 4) + (64 + 1),
  ),
}
# Labels are no table of theirs.
OWN_CONDITIONING = ("autoencoder", "biggan", "sagan", "stylegan2", "r3gan", "r3gan_small")


def param_shapes(network):
  params, _ = jax.eval_shape(network.init, jax.random.key(0))
  return sorted(leaf.shape for leaf in jax.tree.leaves(params))


def test_every_model_has_its_table():
  assert sorted(TABLES) == EVERY


@pytest.mark.parametrize("name", EVERY)
def test_layers_and_parameter_counts_are_those_of_the_source(name):
  spec, *players = TABLES[name]
  gan = models.build(name, spec)
  for network, layers, count in (
    (gan.generator, *players[:2]),
    (gan.discriminator, *players[2:]),
  ):
    got = param_shapes(network)
    assert got == sorted(sum(layers, []))
    assert sum(int(np.prod(shape)) for shape in got) == count


@pytest.mark.parametrize("name", [name for name in EVERY if name not in OWN_CONDITIONING])
def test_labels_add_one_table_to_each_player(name):
  spec, generator, _, discriminator, _ = TABLES[name]
  gan = models.build(name, spec._replace(num_classes=10))
  # G: 32 numbers for a label join the latent, so the first layer has 32 more inputs.
  first = generator[0][0]
  widened = sorted([(first[0] + 32, first[1]), (10, 32), *sum(generator, [])[1:]])
  assert param_shapes(gan.generator) == widened
  # D: one vector for a label, as long as the input of the last layer.
  features = discriminator[-1][0][0]
  assert param_shapes(gan.discriminator) == sorted([(10, features), *sum(discriminator, [])])


@pytest.mark.parametrize(
  ("side", "channels"),
  [(28, (64, 128)), (32, (64, 128, 256)), (64, (64, 128, 256, 512))],
)
def test_dcgan_doubles_its_channels_down_to_the_smallest_side(side, channels):
  gan = models.build("dcgan", ModelSpec((side, side, 3)))
  kernels = [shape for shape in param_shapes(gan.discriminator) if len(shape) == 4]
  assert sorted(kernels) == sorted(
    (4, 4, before, after) for before, after in zip((3, *channels), channels, strict=False)
  )
  images = jax.eval_shape(
    lambda key: gan.generator.apply(*gan.generator.init(key), jnp.ones((2, 64)), None, train=False),
    jax.random.key(0),
  )[0]
  assert images.shape == (2, side, side, 3)


@pytest.mark.parametrize(("norm_name", "norms"), [("none", 0), ("layer", 1), ("batch", 1)])
def test_dcgan_normalises_every_layer_of_d_but_the_first(norm_name, norms):
  spec = ModelSpec((28, 28, 1), width=4, discriminator_norm=norm_name)
  got = param_shapes(models.build("dcgan", spec).discriminator)
  layers = [conv(1, 4, bias=True), conv(4, 8, bias=not norms), *[norm(8)] * norms, dense(392, 1)]
  assert got == sorted(sum(layers, []))


# The same function as the source's own layers.


def to_torch(torch, array, *axes):
  array = np.array(array)
  return torch.from_numpy(np.ascontiguousarray(array.transpose(axes) if axes else array))


def torch_batch_norm(torch, hidden, params):
  scale, offset = (to_torch(torch, params["BatchNorm_0"][name]) for name in ("scale", "bias"))
  return torch.nn.functional.batch_norm(hidden, None, None, scale, offset, training=True)


def test_firstgan_generator_computes_what_torch_layers_do():
  torch = pytest.importorskip("torch")
  _, (params, _), _ = built("firstgan_dcgan")
  latents = inputs_of("firstgan_dcgan", "generator")
  images, _ = apply("firstgan_dcgan", "generator", latents, None, train=True, key=jax.random.key(0))
  functional = torch.nn.functional
  kernel = params["Dense_0"]["Dense_0"]["kernel"].reshape(8, 4, 4, 512)
  hidden = functional.conv_transpose2d(
    to_torch(torch, latents)[:, :, None, None], to_torch(torch, kernel, 0, 3, 1, 2)
  )
  for layer in range(4):
    hidden = functional.relu(torch_batch_norm(torch, hidden, params[f"Norm_{layer}"]))
    kernel = to_torch(torch, params[f"Conv_{layer}"]["kernel"], 3, 2, 0, 1)
    hidden = functional.conv_transpose2d(hidden, kernel, stride=2, padding=1)
  expected = torch.tanh(hidden).numpy().transpose(0, 2, 3, 1)
  np.testing.assert_allclose(images, expected, atol=2e-5)


def test_firstgan_discriminator_computes_what_torch_layers_do():
  torch = pytest.importorskip("torch")
  _, _, (params, _) = built("firstgan_dcgan")
  images = inputs_of("firstgan_dcgan", "discriminator")
  logits, _ = apply(
    "firstgan_dcgan", "discriminator", images, None, train=True, key=jax.random.key(0)
  )
  functional = torch.nn.functional
  hidden = to_torch(torch, images, 0, 3, 1, 2)
  for layer in range(4):
    kernel = to_torch(torch, params[f"Conv_{layer}"]["kernel"], 3, 2, 0, 1)
    hidden = functional.conv2d(hidden, kernel, stride=2, padding=1)
    if layer:
      hidden = torch_batch_norm(torch, hidden, params[f"Norm_{layer}"])
    hidden = functional.leaky_relu(hidden, 0.2)
  kernel = params["Dense_0"]["Dense_0"]["kernel"].reshape(4, 4, 512, 1)
  expected = functional.conv2d(hidden, to_torch(torch, kernel, 3, 2, 0, 1)).numpy()[:, 0, 0, 0]
  np.testing.assert_allclose(logits, expected, atol=2e-5)


def test_goodfellow_discriminator_is_the_largest_of_five_pieces():
  _, _, (params, _) = built("goodfellow")
  images = inputs_of("goodfellow", "discriminator")
  hidden = np.asarray(images).reshape(BATCH, -1)
  for layer in range(2):
    weights = jax.tree.map(np.asarray, params[f"Dense_{layer}"]["Dense_0"])
    pieces = (hidden @ weights["kernel"] + weights["bias"]).reshape(BATCH, 240, 5)
    hidden = np.maximum.reduce([pieces[:, :, piece] for piece in range(5)])
  weights = jax.tree.map(np.asarray, params["Dense_2"]["Dense_0"])
  expected = hidden @ weights["kernel"][:, 0] + weights["bias"]
  logits, _ = apply("goodfellow", "discriminator", images, None)
  np.testing.assert_allclose(logits, expected, atol=1e-5)


# What a model refuses.


def test_a_hidden_layer_joins_the_features_to_the_logit():
  spec = ModelSpec((28, 28, 1), width=4, discriminator_hidden=5)
  params, _ = models.build("dcgan", spec, "normal").discriminator.init(jax.random.key(0))
  shapes = [params[f"Dense_{i}"]["Dense_0"]["kernel"].shape for i in range(2)]
  assert shapes == [(7 * 7 * 8, 5), (5, 1)]


def test_all_layers_of_infogan_follow_the_width():
  spec = ModelSpec((28, 28, 1), width=4)
  parts = models.build("infogan", spec, "normal")
  kernels = [
    [tensor.shape for tensor in jax.tree.leaves(part.init(jax.random.key(0))[0]) if tensor.ndim > 1]
    for part in (parts.generator, parts.discriminator)
  ]
  dense_and_convolutions = [(64, 64), (64, 7 * 7 * 8), (4, 4, 4, 8), (4, 4, 1, 4)]
  assert sorted(kernels[0]) == sorted(dense_and_convolutions)
  assert sorted(kernels[1]) == sorted([(4, 4, 1, 4), (4, 4, 4, 8), (7 * 7 * 8, 64), (64, 1)])


@pytest.mark.parametrize(
  ("name", "changes", "says"),
  [
    ("dcgan", {"image_shape": (30, 30, 1)}, "30x30"),
    ("dcgan", {"image_shape": (7, 7, 1)}, "7x7"),
    ("dcgan", {"image_shape": (36, 36, 1)}, "36x36"),  # 36 -> 18 -> 9 -> odd and too large
    ("infogan", {"image_shape": (30, 30, 1)}, "divisible by 4"),
    ("firstgan_dcgan", {"image_shape": (28, 28, 1)}, "`image_size=64`"),
    ("tutorial_dcgan", {"image_shape": (32, 32, 3)}, "`image_size=64`"),
    *((name, {"image_shape": (28, 28, 1)}, "points, not images") for name in OF_POINTS),
    ("mlp", {"width": 64}, "no `width`"),
    ("mlp", {"discriminator_norm": "layer"}, "no `discriminator_norm`"),
    ("goodfellow", {"width": 64}, "no `width`"),
    ("goodfellow", {"discriminator_norm": "layer"}, "no `discriminator_norm`"),
    ("firstgan_dcgan", {"width": 64}, "no `width`"),
    ("firstgan_dcgan", {"discriminator_norm": "none"}, "no `discriminator_norm`"),
    ("tutorial_dcgan", {"width": 64}, "no `width`"),
    ("tutorial_dcgan", {"discriminator_norm": "none"}, "no `discriminator_norm`"),
    ("points", {"discriminator_norm": "none"}, "no `discriminator_norm`"),
    ("pacgan", {"width": 64}, "no `width`"),
    ("pacgan", {"discriminator_norm": "none"}, "no `discriminator_norm`"),
    *(
      (name, {"discriminator_hidden": 8}, "no `discriminator_hidden`")
      for name in EVERY
      if name != "dcgan"
    ),
    *((name, {"image_shape": (2,)}, "`model=points`") for name in EVERY if name not in OF_POINTS),
  ],
)
def test_what_a_model_cannot_do_is_refused_in_one_line(name, changes, says):
  spec = SPECS[name]._replace(width=None)._replace(**changes)
  with pytest.raises(UserError) as error:
    models.build(name, spec)
  message = str(error.value)
  assert f"`model={name}`" in message and says in message and "\n" not in message


# What a spec holds.


def test_numbers_of_numpy_are_sizes_of_a_spec():
  sizes = np.array([8, 8, 1])
  spec = ModelSpec(tuple(sizes), latent_dim=np.int64(4), num_classes=np.int32(3))
  plain = models.build("mlp", ModelSpec((8, 8, 1), latent_dim=4, num_classes=3))
  assert models.build("mlp", spec).generator.recipe == plain.generator.recipe != ""


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
  ("spec", "message"),
  [
    (ModelSpec((2,), width=-1), "`width=-1` must be a whole number of at least 1"),
    (ModelSpec((2,), latent_dim=0), "`latent_dim=0` must be a whole number of at least 1"),
    (ModelSpec((0,)), r"`image_shape=\(0,\)` must be"),
    (ModelSpec("2"), "`image_shape='2'` must be"),
    ({"image_shape": (2,)}, "must be a gan.ModelSpec"),
  ],
)
def test_a_spec_that_cannot_be_is_one_line(spec, message):
  with pytest.raises(UserError, match=message):
    models.build("points", spec)


@pytest.mark.parametrize(("made_for", "of_game"), [(3, 5), (3, 0), (0, 3)])
def test_players_and_their_game_have_the_same_classes(made_for, of_game):
  players = models.build("mlp", ModelSpec((8, 8, 1), latent_dim=4, num_classes=made_for))
  line = f"^`num_classes={of_game}` of the game, and its generator is made for {made_for}: give"
  with pytest.raises(UserError, match=line):
    gan.Game(**players._asdict(), num_classes=of_game)


@pytest.mark.usefixtures("unchecked")
def test_a_range_of_images_is_a_pair_of_numbers_however_it_is_given():
  players = models.build("mlp", ModelSpec((8, 8, 1), latent_dim=4))._asdict()
  for given in ([0.0, 1.0], np.array([0.0, 1.0])):
    game = gan.Game(**players | {"image_range": given})
    assert game.image_range == (0.0, 1.0) and hash(game.image_range)
