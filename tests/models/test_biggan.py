"""BigGAN and SAGAN: counts of the sources, how labels and latents reach blocks, PyTorch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch_agreement

import gan
from gan.models import ModelSpec, biggan, build

KEY = jax.random.key(0)
# The options that ImageNet's script has, and StudioGAN for CIFAR-10.
SHARED = {"shared_embedding": 128, "hierarchical_latents": True}
ALL = {**SHARED, "attention_side": 16, "weight_init": "orthogonal"}
TINY = {**ALL, "shared_embedding": 5, "attention_side": 8}


def spec(size=32, colours=3, **fields):
  return ModelSpec((size, size, colours), **({"latent_dim": 128, "num_classes": 10} | fields))


def tiny(**fields):
  return spec(16, **({"latent_dim": 6, "num_classes": 3, "width": 2} | fields))


def shapes(given, model="biggan", **options):
  players = build(model, given, **options)
  return [jax.eval_shape(each.init, KEY)[0] for each in players[:2]]


def count(tree):
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


COUNTS = {
  "BigGAN": ("biggan", spec(), {}, (4_304_387, 4_207_361)),
  # 64 channels: as SNGAN's 64 and 64 by the same sums.
  "BigGAN, 64 channels": (
    "biggan",
    spec(width=16),
    {},
    (
      129 * 1024 + 3 * (2 * 36_928 + 4_160 + 4 * 640) + 128 + 1_731,
      1_792 + 36_928 + 256 + 5 * 36_928 + 36_928 + 4_160 + 65 + 640,
    ),
  ),
  "StudioGAN's": ("biggan", spec(latent_dim=80, width=96), ALL, (9_416_196, None)),
  "SAGAN": ("sagan", spec(), {}, (4_386_308, 1_075_586)),
}


@pytest.mark.parametrize(("model", "given", "options", "expected"), COUNTS.values(), ids=COUNTS)
def test_parameters_are_as_many_as_in_the_source(model, given, options, expected):
  found = map(count, shapes(given, model, **options))
  assert all(wanted in (None, own) for own, wanted in zip(found, expected, strict=True))


@pytest.mark.parametrize("model", ["biggan", "sagan"])
@pytest.mark.parametrize("size", [16, 28, 36, 96])
def test_any_multiple_of_four_is_made(size, model):
  players = build(model, spec(size, 1, latent_dim=6, width=2))

  def images(key):
    params, state = players.generator.init(key)
    labels = jnp.arange(2)
    fake, _ = players.generator.apply(params, state, jnp.zeros((2, 6)), labels, train=False)
    params, state = players.discriminator.init(key)
    return fake, players.discriminator.apply(params, state, fake, labels, train=False)[0]

  fake, logits = jax.eval_shape(images, KEY)
  assert (fake.shape, logits.shape) == ((2, size, size, 1), (2,))


REFUSED = {
  "side": ("biggan", spec(30), {}, "`model=biggan` cannot make images of 30x30"),
  "points": ("sagan", ModelSpec((2,)), {}, "the data are points"),
  "attention": (
    "biggan",
    spec(),
    {"attention_side": 4},
    "attention at 4 pixels a side of images of 32x32, where both players pass: choose from 8, 16",
  ),
  "small": ("sagan", spec(8), {}, "choose from `image_size=16` and above"),
  "init": ("biggan", spec(), {"weight_init": "he"}, "choose from normal, orthogonal, glorot"),
  "labels": ("biggan", spec(num_classes=0), {"shared_embedding": 128}, "give labels"),
  "length": ("biggan", spec(), {"shared_embedding": -1}, "a length above 0"),
  "latents alone": ("biggan", spec(), {"hierarchical_latents": True}, "set `shared_embedding`"),
  "parts": (
    "biggan",
    spec(latent_dim=130),
    SHARED,
    "splits 130 numbers in 4 equal parts: set `latent_dim=132` or `latent_dim=128`",
  ),
  "short": ("biggan", spec(latent_dim=3), SHARED, "in 4 equal parts: set `latent_dim=4`"),
}


@pytest.mark.parametrize(("model", "given", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused(model, given, options, message):
  with pytest.raises(gan.UserError) as error:
    build(model, given, **options)
  assert message in str(error.value) and "\n" not in str(error.value)


def drawn(tree):
  """Arrays of the shapes of `init`, without its compilation."""
  rng = np.random.default_rng(0)

  def draw(path, leaf):
    low = 0.5 if path[-1].key == "var" else -0.5
    return jnp.asarray(rng.uniform(low, 1, leaf.shape), jnp.float32)

  return jax.tree_util.tree_map_with_path(draw, tree)


# How labels and latents reach the blocks.


@functools.cache
def watched(classes, hierarchical):
  """(latents, labels) -> what the generator's dense layer and two blocks make of them."""
  embedding = 5 * bool(classes)
  module = biggan.Generator((16, 16, 3), (8, 8, 8), classes, embedding, hierarchical)
  labels = jnp.zeros(2, jnp.int32) if classes else None
  init = functools.partial(module.init, train=False)
  variables = drawn(jax.eval_shape(init, KEY, jnp.zeros((2, 9)), labels))

  @jax.jit
  def run(latents, labels):
    _, seen = module.apply(
      variables,
      latents,
      labels,
      train=False,
      capture_intermediates=True,
      mutable=["intermediates"],
    )
    seen = seen["intermediates"]
    return [seen["Dense_0"]["__call__"][0]] + [
      seen[f"UpBlock_{place}"]["__call__"][0] for place in range(2)
    ]

  return run


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_part_of_the_latent_reaches_its_layer_and_those_after(part, classes):
  run = watched(classes, hierarchical=True)
  latents, labels = jax.random.normal(KEY, (2, 9)), jnp.array([0, 2]) if classes else None
  moved = latents.at[:, 3 * part : 3 * part + 3].add(1.0)
  changed = [
    bool(np.any(one != other))
    for one, other in zip(run(latents, labels), run(moved, labels), strict=True)
  ]
  assert changed == [place >= part for place in range(3)]


def test_a_latent_in_one_piece_reaches_the_dense_layer():
  run = watched(3, hierarchical=False)
  latents, labels = jax.random.normal(KEY, (2, 9)), jnp.array([0, 2])
  for place in (0, 8):
    moved = run(latents.at[:, place].add(1.0), labels)
    assert np.all(moved[0] != run(latents, labels)[0])


@pytest.mark.parametrize("hierarchical", [False, True])
def test_a_label_reaches_all_blocks_and_not_the_dense_layer(hierarchical):
  run = watched(3, hierarchical)
  latents = jax.random.normal(KEY, (2, 9))
  one, other = (run(latents, jnp.array(labels)) for labels in ([0, 1], [2, 1]))
  changed = [np.any(a != b, axis=tuple(range(1, a.ndim))) for a, b in zip(one, other, strict=True)]
  np.testing.assert_array_equal(changed, [[False, False], [True, False], [True, False]])


def test_all_norms_share_one_vector_of_a_label():
  params, _ = shapes(tiny(latent_dim=9), **TINY)
  tables = [leaf.shape for leaf in jax.tree.leaves(params) if leaf.shape[:1] == (3,)]
  # Of three labels; the dense layer's inputs are three latents, kernels are of 3x3.
  assert params["shared"]["embedding"].shape == (3, 5) and (3, 5) in tables
  norm = params["UpBlock_0"]["SelfModulatedNorm_0"]
  assert {name: each["Dense_0"]["kernel"].shape for name, each in norm.items()} == {
    "scale": (8, 8),  # of 5 of the label, and 3 of the latent
    "bias": (8, 8),
  }
  assert not any("bias" in each["Dense_0"] for each in norm.values())
  own, _ = shapes(tiny())
  assert "shared" not in own
  assert own["UpBlock_0"]["ConditionalNorm_0"]["scale"]["embedding"].shape == (3, 8)


def test_the_tables_of_norms_hold_what_is_added_to_1():
  params, state = jax.jit(build("biggan", tiny()).generator.init)(KEY)
  table = params["UpBlock_0"]["ConditionalNorm_0"]["scale"]["embedding"]
  assert 0 < np.abs(table).max() < 0.1  # N(0, 0.02)
  assert "ConditionalNorm_0" not in state["spectral"]["UpBlock_0"]
  _, state = jax.eval_shape(build("sagan", tiny()).generator.init, KEY)
  assert state["spectral"]["UpBlock_0"]["ConditionalNorm_0"]["scale"]["u"].shape == (3,)


# The squared length of an output's weights, 3 x 3 of 8 inputs; Glorot's variance is 2 / (9 x 16).
@pytest.mark.parametrize(
  ("kind", "square"), [("orthogonal", 1.0), ("normal", 72 * 0.02**2), ("glorot", 1.0)]
)
def test_weights_start_as_asked(kind, square):
  network = build("biggan", spec(8, width=2, num_classes=0), weight_init=kind).discriminator
  params, _ = jax.jit(network.init)(KEY)
  kernel = np.asarray(params["DownBlock_1"]["Conv_0"]["kernel"]).reshape(72, 8)
  np.testing.assert_allclose(np.mean(np.sum(kernel**2, axis=0)), square, rtol=0.3)
  if kind == "orthogonal":
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(8), atol=1e-5)


@pytest.mark.parametrize("model", ["biggan", "sagan"])
def test_attention_changes_nothing_at_first(model):
  options = {"attention_side": 8} if model == "biggan" else {}
  images = jax.random.normal(KEY, (2, 16, 16, 3))
  network = build(model, tiny(), **options).discriminator
  params, state = drawn(jax.eval_shape(network.init, KEY))
  params["SelfAttention_0"]["gain"] = jnp.float32(0.0)  # as it starts
  plain = build("biggan", tiny(width=2 if model == "biggan" else 1)).discriminator

  def judge(network, params, state):
    run = jax.jit(functools.partial(network.apply, train=False))
    return run(params, state, images, jnp.array([0, 1]))[0]

  before = judge(network, params, state)
  params["SelfAttention_0"]["gain"] = jnp.float32(1.0)
  assert np.all(judge(network, params, state) != before)
  del params["SelfAttention_0"], state["spectral"]["SelfAttention_0"]
  np.testing.assert_allclose(judge(plain, params, state), before, rtol=1e-5)


# Devices, and a step.


def test_norms_have_the_statistics_of_the_whole_batch_on_two_devices():
  given = tiny(latent_dim=9)
  alone, shared = (
    build("biggan", given._replace(axis_name=name), **TINY).generator for name in ((), "batch")
  )
  variables = drawn(jax.eval_shape(alone.init, KEY))
  latents, labels = jax.random.normal(KEY, (4, 9)), jnp.array([0, 2, 1, 1])

  def generate(network, latents, labels):
    return network.apply(*variables, latents, labels, train=True, key=KEY)[0]

  halves = jax.shard_map(
    functools.partial(generate, shared),
    mesh=jax.make_mesh((2,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,)),
    in_specs=jax.P("batch"),
    out_specs=jax.P("batch"),
  )
  found = jax.jit(halves)(latents, labels)
  expected = jax.jit(functools.partial(generate, alone))(latents, labels)
  np.testing.assert_allclose(found, expected, atol=1e-5)


def test_no_convolution_of_a_step_has_a_dilated_left_side():
  players = build("biggan", tiny(latent_dim=9), **TINY)
  variables = [drawn(jax.eval_shape(each.init, KEY)) for each in players[:2]]
  labels = jnp.array([0, 2])

  def losses(generator, discriminator, latents, images):
    def judge(shown, train):
      key = KEY if train else None
      own = discriminator, variables[1][1]
      return players.discriminator.apply(*own, shown, labels, train=train, key=key)[0]

    fakes, _ = players.generator.apply(
      generator, variables[0][1], latents, labels, train=True, key=KEY
    )
    slopes = jax.grad(lambda shown: jnp.sum(judge(shown, False)))(images)
    return jnp.mean(judge(fakes, True)) + jnp.mean(jnp.square(slopes))

  arguments = (*(each[0] for each in variables), jnp.zeros((2, 9)), jnp.zeros((2, 16, 16, 3)))
  lowered = jax.jit(jax.grad(losses, argnums=(0, 1))).lower(*arguments)
  text = lowered.compile().as_text()
  assert "convolution(" in text and "lhs_dilate" not in text


# Against PyTorch.

PEERS = {
  "BigGAN, G": ("biggan", {}, "generator", True),
  "BigGAN, D": ("biggan", {}, "discriminator", True),
  "shared, G": ("biggan", TINY, "generator", True),
  "shared, D, stored u": ("biggan", TINY, "discriminator", False),
  "SAGAN, G": ("sagan", {}, "generator", True),
  "SAGAN, D": ("sagan", {}, "discriminator", True),
}


def peer(model, options, player):
  from experiments.benchmark import torch_biggan

  attention = 8 if model == "sagan" else options.get("attention_side", 0)
  if player == "discriminator":
    return torch_biggan.Discriminator(3, 4 if model == "sagan" else 8, 3, attention)
  return torch_biggan.Generator(
    size=16,
    colours=3,
    channels=8,
    blocks=2,
    latent_dim=6,
    classes=3,
    shared_features=options.get("shared_embedding", 0),
    attention_side=attention,
    spectral_tables=model == "sagan",
    epsilon=1e-4 if model == "sagan" else 1e-5,
  )


@pytest.mark.parametrize(("model", "options", "player", "train"), PEERS.values(), ids=PEERS)
def test_outputs_and_gradients_are_those_of_pytorch(model, options, player, train):
  pytest.importorskip("torch", reason="PyTorch is the extra `bench`")
  ours = getattr(build(model, tiny(), **options), player)
  shape = (3, 6) if player == "generator" else (3, 16, 16, 3)
  torch_agreement.check(ours, peer(model, options, player), shape, jnp.array([1, 0, 2]), train)
