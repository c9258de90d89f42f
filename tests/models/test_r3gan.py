"""R3GAN: counts, how it starts, what it refuses, and the same networks in PyTorch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan import models
from gan.errors import UserError
from gan.models import ModelSpec, r3gan
from gan.models.layers import Basis, fixup
from gan.penalties import gradient_squared_norm, r1r2_penalty

COLOUR_32 = ModelSpec((32, 32, 3))
SMALL_SPEC = ModelSpec((16, 16, 3), latent_dim=5)
SMALL = {"stage_widths": "32-16-16", "stage_groups": "4-2-2", "stage_blocks": "1-2-1"}


@pytest.fixture
def x64():
  with jax.enable_x64(True):
    yield


def shapes(network):
  return jax.eval_shape(network.init, jax.random.key(0))[0]


def counts(name, spec, **options):
  gan = models.build(name, spec, **options)
  return tuple(
    sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes(network)))
    for network in gan[:2]
  )


def images_of(spec, seed=0, batch=4):
  rng = np.random.default_rng(seed)
  return jnp.asarray(rng.standard_normal((batch, *spec.image_shape)), jnp.zeros(()).dtype)


def latents_of(spec, seed=0, batch=4):
  rng = np.random.default_rng(seed)
  return jnp.asarray(rng.standard_normal((batch, spec.latent_dim)), jnp.zeros(()).dtype)


# Parameter counts, of the source's networks.

WIDE = {"stage_widths": "1536", "stage_groups": "96"}


@pytest.mark.parametrize(
  ("side", "classes", "width", "options", "expected"),
  [
    (32, 10, None, {}, (20_781_952, 21_280_512)),
    (32, 0, None, {}, (20_732_160, 20_683_776)),
    (64, 0, None, {}, (22_429_824, 22_381_440)),
    (256, 0, None, {}, (23_057_952, 23_009_568)),
    (32, 1000, None, WIDE, (82_914_304, 86_548_992)),
    (64, 1000, None, WIDE, (103_570_432, 107_205_120)),
    (32, 0, 64, {"stage_blocks": "1"}, (145_600, 141_568)),
    (
      *(32, 0, None),
      {"stage_widths": "128-128-64-32", "stage_groups": "16-16-8-4", "stage_blocks": "1"},
      (274_912, 266_848),
    ),
  ],
)
def test_parameter_counts_are_those_of_the_source(side, classes, width, options, expected):
  spec = ModelSpec((side, side, 3), num_classes=classes, width=width)
  assert counts("r3gan", spec, **options) == expected


def test_the_small_network_is_counted_too():
  assert counts("r3gan_small", COLOUR_32) == (135_536, 129_488)


def test_grey_images_take_two_channels_off_each_end():
  colour, grey = (
    counts("r3gan", COLOUR_32),
    counts("r3gan", COLOUR_32._replace(image_shape=(32, 32, 1))),
  )
  assert [a - b for a, b in zip(colour, grey, strict=True)] == [2 * 768, 2 * 768]


@pytest.mark.parametrize("side", [4, 8, 128, 512])
def test_other_sides_are_made_too(side):
  spec = ModelSpec((side, side, 1), width=768)
  gan = models.build("r3gan", spec)

  def both(key):
    images, _ = gan.generator.apply(*gan.generator.init(key), jnp.ones((2, 64)), None, train=False)
    logits, _ = gan.discriminator.apply(*gan.discriminator.init(key), images, None, train=False)
    return images, logits

  images, logits = jax.eval_shape(both, jax.random.key(0))
  assert images.shape == (2, side, side, 1) and logits.shape == (2,)


# Widths and groups.


def widths_and_groups(name, spec, **options):
  """(width, groups) of the generator's blocks, read off its parameters."""
  params = shapes(models.build(name, spec, **options).generator)
  blocks = [params[f"Block_{i}"] for i in range(sum(key.startswith("Block") for key in params))]
  kernels = [block["GroupedConv_0"]["kernel"].shape for block in blocks]
  return [(outputs // 2, outputs // inputs) for _, _, inputs, outputs in kernels]


@pytest.mark.parametrize(
  ("name", "side", "width", "expected"),
  [
    ("r3gan", 32, 64, [(64, 8)] * 8),
    ("r3gan", 256, 64, [*[(64, 8)] * 8, *[(32, 4)] * 2, *[(16, 2)] * 2, *[(8, 1)] * 2]),
    ("r3gan_small", 32, None, [(96, 12), (64, 8), (32, 4), (16, 2)]),
    ("r3gan_small", 32, 48, [(48, 6), (32, 4), (16, 2), (8, 1)]),
  ],
)
def test_width_scales_widths_and_groups_alike(name, side, width, expected):
  assert widths_and_groups(name, ModelSpec((side, side, 3), width=width)) == expected


def test_width_keeps_groups_of_thirty_two_channels_too():
  assert widths_and_groups("r3gan", COLOUR_32._replace(width=128), **WIDE) == [(128, 8)] * 8


def test_options_are_read_stage_by_stage():
  assert widths_and_groups("r3gan", SMALL_SPEC, **SMALL) == [(32, 4), (16, 2), (16, 2), (16, 2)]


@pytest.mark.parametrize(
  ("name", "changes", "options", "says"),
  [
    ("r3gan", {"image_shape": (28, 28, 1)}, {}, "`image_size=16` or `image_size=32`"),
    ("r3gan_small", {"image_shape": (48, 48, 1)}, {}, "`image_size=32` or `image_size=64`"),
    ("r3gan", {"width": 60}, {}, "multiple of 8, not 60"),
    ("r3gan", {"width": 0}, {}, "`width=0` must be a whole number of at least 1"),
    ("r3gan_small", {"width": 50}, {}, "multiple of 48, not 50"),
    ("r3gan", {}, {"stage_widths": "64-32"}, "4 joined by '-', for the stages of 4, 8, 16, 32"),
    ("r3gan", {}, {"stage_blocks": "0"}, "`stage_blocks=0` must be one number above 0"),
    ("r3gan", {}, {"stage_widths": "a"}, "`stage_widths=a` must be one number above 0"),
    ("r3gan", {}, {"stage_groups": "7"}, "7 groups do not divide the 1536 channels"),
  ],
)
def test_what_does_not_fit_is_refused_in_one_line(name, changes, options, says):
  with pytest.raises(UserError) as error:
    models.build(name, COLOUR_32._replace(**changes), **options)
  assert says in str(error.value) and "\n" not in str(error.value)


# How it starts: every block is the identity.


@functools.cache
def started():
  """A small pair in float64, and D and G as functions at their own initial parameters."""
  spec = SMALL_SPEC._replace(dtype=jnp.float64, num_classes=3)
  gan = models.build("r3gan", spec, **SMALL)
  labels = jnp.ones(4, int)

  def at_start(network, seed):
    apply = jax.jit(functools.partial(network.apply, train=False))
    variables = network.init(jax.random.key(seed))
    return lambda inputs: apply(*variables, inputs, labels)[0]

  return spec, at_start(gan.generator, 0), at_start(gan.discriminator, 1)


def test_d_starts_linear_in_the_image(x64):
  spec, _, critic = started()
  x, y = images_of(spec), images_of(spec, 1)
  mixed, apart = critic(2 * x - 3 * y), 2 * critic(x) - 3 * critic(y)
  assert mixed.dtype == jnp.float64
  np.testing.assert_allclose(mixed, apart, rtol=0, atol=1e-12 * np.abs(apart).max())
  np.testing.assert_array_equal(critic(0 * x), np.zeros(4))
  assert np.abs(apart).max() > 1e-3


def test_r1_starts_the_same_everywhere(x64):
  spec, _, critic = started()
  squared = jax.jit(functools.partial(gradient_squared_norm, critic))
  norms = squared(images_of(spec))
  np.testing.assert_allclose(norms, np.full(4, norms[0]), rtol=1e-13)
  np.testing.assert_allclose(squared(5 * images_of(spec, 1)), norms, rtol=1e-13)
  assert norms[0] > 0


def test_g_starts_linear_in_the_latent(x64):
  """Among latents of one label: the label's numbers are joined to the latent."""
  spec, generate, _ = started()
  x, y = latents_of(spec), latents_of(spec, 1)
  mixed, apart = generate(3 * x - 2 * y), 3 * generate(x) - 2 * generate(y)
  np.testing.assert_allclose(mixed, apart, rtol=0, atol=1e-12 * np.abs(apart).max())
  assert np.abs(apart).max() > 1e-3


# Standard deviations at the start: N(0, gain^2 L^(-1/2) / fan_in) in blocks, N(0, 1 / fan_in) else.


def standard_deviation(array):
  return float(np.std(np.asarray(array)))


def test_fixup_has_the_standard_deviations_of_the_source():
  init = fixup(8)
  kernels = [init(jax.random.key(0), shape) for shape in ((1, 1, 768, 200), (3, 3, 16, 1536))]
  # gain 1.3867505 * 8^(-1/4) / sqrt(768), and / sqrt(9 * 16): fan-in of one group.
  np.testing.assert_allclose([*map(standard_deviation, kernels)], [0.029754, 0.0687139], rtol=0.01)


def test_the_basis_is_an_outer_product_channel_by_channel():
  layer, latents = Basis(6), latents_of(SMALL_SPEC)
  outputs, variables = layer.init_with_output(jax.random.key(0), latents)
  params = jax.tree.map(np.asarray, variables["params"])
  linear = np.asarray(latents) @ params["Dense_0"]["Dense_0"]["kernel"]
  assert params["basis"].shape == (4, 4, 6) and outputs.shape == (4, 4, 4, 6)
  for channel in range(6):
    expected = [row * params["basis"][:, :, channel] for row in linear[:, channel]]
    np.testing.assert_allclose(outputs[..., channel], expected, rtol=1e-5, atol=1e-6)


def test_every_array_starts_as_listed():
  spec = ModelSpec((8, 8, 3), latent_dim=64, num_classes=50, width=128)
  gan = models.build("r3gan", spec, stage_widths="768-384", stage_blocks="1")
  generator, discriminator = (network.init(jax.random.key(0))[0] for network in gan[:2])
  gain = (2 / 1.04) ** 0.5 * 2**-0.25  # 128 and 64 channels, two blocks in all

  def assert_starts(array, expected):
    """Within four standard errors."""
    array = np.asarray(array)
    assert abs(array.std() / expected - 1) < 4 / (2 * array.size) ** 0.5
    assert abs(array.mean()) < 4 * expected / array.size**0.5

  for player in (generator, discriminator):
    for block in (player[f"Block_{i}"] for i in range(2)):
      width = block["Conv_0"]["kernel"].shape[2]
      assert_starts(block["Conv_0"]["kernel"], gain * width**-0.5)
      assert_starts(block["GroupedConv_0"]["kernel"], gain * (9 * 16) ** -0.5)
      assert not np.any(block["Conv_1"]["kernel"]) and "bias" not in block["Conv_1"]
      assert not np.any(block["Conv_0"]["bias"]) and not np.any(block["GroupedConv_0"]["bias"])
  assert_starts(generator["Basis_0"]["basis"], 1)
  assert_starts(generator["Basis_0"]["Dense_0"]["Dense_0"]["kernel"], (64 + 64) ** -0.5)
  assert_starts(generator["Dense_0"]["Dense_0"]["kernel"], 50**-0.5)
  assert_starts(generator["Conv_0"]["kernel"], 128**-0.5)  # between stages
  assert_starts(generator["Conv_1"]["kernel"], 64**-0.5)  # to colours
  assert_starts(discriminator["Conv_0"]["kernel"], 3**-0.5)
  assert_starts(discriminator["Conv_1"]["kernel"], 64**-0.5)
  assert_starts(discriminator["kernel"], 16**-0.5)
  assert_starts(discriminator["Dense_0"]["Dense_0"]["kernel"], 128**-0.5)
  assert_starts(discriminator["Dense_1"]["Dense_0"]["kernel"], (50 * 128) ** -0.5)


# Precision, and the compiled step.


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_bfloat16_is_for_all_stages_but_the_smallest(player):
  spec = SMALL_SPEC._replace(dtype=jnp.bfloat16, num_classes=3)
  stages = [r3gan.Stage(16, 2, 1, dtype) for dtype in (jnp.float32, jnp.bfloat16, jnp.bfloat16)]
  module, inputs = {
    "generator": (r3gan.Generator(3, tuple(stages), 3), latents_of(spec)),
    "discriminator": (r3gan.Discriminator(tuple(stages), 3), images_of(spec)),
  }[player]
  labels = jnp.array([0, 1, 2, 0])

  def intermediates(key):
    variables = module.init(key, inputs, labels, train=True)
    outputs, seen = module.apply(
      variables, inputs, labels, train=True, capture_intermediates=True, mutable="intermediates"
    )
    return outputs, seen["intermediates"], variables

  outputs, seen, variables = jax.eval_shape(intermediates, jax.random.key(0))
  dtypes = {name: each["__call__"][0].dtype for name, each in seen.items() if name != "__call__"}
  small = {"generator": "Block_0", "discriminator": "Block_2"}[player]
  expected = {
    name: jnp.bfloat16 if name.startswith(("Block", "Conv")) and name != small else jnp.float32
    for name in dtypes
  }
  assert dtypes == expected and outputs.dtype == jnp.float32
  assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_build_keeps_the_smallest_stage_in_float32(monkeypatch):
  made, to_networks = [], r3gan.to_networks
  monkeypatch.setattr(r3gan, "to_networks", lambda *a, **k: made.extend(a) or to_networks(*a, **k))
  r3gan.build(COLOUR_32._replace(dtype=jnp.bfloat16))
  for module in made[:2]:
    assert [stage.dtype for stage in module.stages] == [jnp.float32, *[jnp.bfloat16] * 3]


def test_the_step_has_no_slow_convolution_on_the_cpu():
  spec = SMALL_SPEC
  gan = models.build("r3gan", spec, **SMALL)
  players = [jax.eval_shape(network.init, jax.random.key(0))[0] for network in gan[:2]]

  def objective(params, latents, real):
    fake = gan.generator.apply(params[0], {}, latents, None, train=False)[0]

    def critic(x):
      return gan.discriminator.apply(params[1], {}, x, None, train=False)[0]

    penalty = r1r2_penalty(critic, real, fake, jax.random.split(jax.random.key(0), 4))
    return jnp.mean(jax.nn.softplus(critic(fake) - critic(real)) + penalty)

  arguments = (players, latents_of(spec), images_of(spec))
  text = jax.jit(jax.grad(objective)).lower(*arguments).compile().as_text()
  assert "convolution" in text
  for slow in ("lhs_dilate", "feature_group_count", "batch_group_count"):
    assert slow not in text


# The same networks in PyTorch.

STAGES = [(32, 4, 1), (16, 2, 2), (16, 2, 1)]  # SMALL as (width, groups, blocks)


@functools.cache
def filled(classes, player):
  """A network and weights of a size that keeps activations near 1, third convolutions too."""
  network = models.build("r3gan", SMALL_SPEC._replace(num_classes=classes), **SMALL)[player]
  rng = np.random.default_rng(player)

  def fill(leaf):
    fan_in = max(1, np.prod(leaf.shape[:-1]))
    return jnp.asarray(rng.standard_normal(leaf.shape) * fan_in**-0.5, jnp.float32)

  return network, jax.tree.map(fill, shapes(network))


@pytest.mark.parametrize(
  ("player", "classes"), [(0, 3), (1, 0), (1, 3)], ids=["generator", "critic", "critic of labels"]
)
def test_torch_computes_the_same_outputs_and_gradients(player, classes):
  torch = pytest.importorskip("torch", reason="PyTorch is not installed")
  from experiments.benchmark import torch_r3gan

  network, params = filled(classes, player)
  inputs = (latents_of, images_of)[player](SMALL_SPEC)
  labels = np.array([2, 0, 1, 1]) if classes else None
  weights = np.random.default_rng(3).standard_normal(
    (4, *SMALL_SPEC.image_shape) if player == 0 else (4,)
  )

  @jax.jit
  def ours(params, inputs):
    def value(params, inputs):
      outputs = network.apply(
        params, {}, inputs, None if labels is None else jnp.asarray(labels), train=False
      )[0]
      return jnp.sum(outputs * weights.astype(np.float32)), outputs

    def penalty(params):
      return jnp.sum(jnp.square(jax.grad(value, argnums=1, has_aux=True)(params, inputs)[0]))

    gradients, outputs = jax.grad(value, has_aux=True)(params, inputs)
    return outputs, gradients, jax.grad(penalty)(params)

  outputs, gradients, of_penalty = ours(params, inputs)
  peer = (
    torch_r3gan.Generator(SMALL_SPEC.latent_dim, 3, STAGES, classes)
    if player == 0
    else torch_r3gan.Discriminator(3, STAGES, classes)
  )
  peer.load_state_dict(torch_r3gan.state_dict(params))
  names, weighted = zip(*peer.named_parameters(), strict=True)
  given = np.array(inputs).transpose((0, 3, 1, 2) if player else (0, 1)).copy()
  given = torch.from_numpy(given).requires_grad_()
  theirs = peer(given, *([torch.from_numpy(labels)] if classes else []))
  theirs = theirs if player else theirs.permute(0, 2, 3, 1)
  value = (theirs * torch.from_numpy(weights.astype(np.float32))).sum()
  first = torch.autograd.grad(value, weighted, retain_graph=True)
  slope = torch.autograd.grad(value, given, create_graph=True)[0]
  second = torch.autograd.grad(slope.square().sum(), weighted, allow_unused=True)
  np.testing.assert_allclose(outputs, theirs.detach().numpy(), rtol=1e-5, atol=1e-5)
  for got, expected in ((gradients, first), (of_penalty, second)):
    got = torch_r3gan.state_dict(got)
    assert sorted(got) == sorted(names)
    for name, one in zip(names, expected, strict=True):
      one = np.zeros(got[name].shape) if one is None else one.numpy()
      scale = max(1, np.abs(one).max())
      np.testing.assert_allclose(got[name].numpy() / scale, one / scale, atol=1e-4, err_msg=name)
