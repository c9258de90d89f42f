"""StyleGAN2: its sizes, what its layers promise, and the same network in PyTorch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from experiments import sample
from gan import models
from gan.errors import UserError
from gan.models import ModelSpec
from gan.training import restore
from gan.training.build import DataInfo, build
from gan.training.config import Config

CIFAR = ModelSpec((32, 32, 3), latent_dim=512)
SMALL = ModelSpec((32, 32, 3), latent_dim=64)
TINY = ModelSpec((8, 8, 3), latent_dim=8, width=4)  # 8 and 4 channels
BATCH = 4


@functools.cache
def tiny(classes=0, **options):
  """(gan, G's variables, D's variables), without noise."""
  gan = models.build("stylegan2", TINY._replace(num_classes=classes), **options)
  return gan, *map(toys.equalized_variables, gan[:2])


def latents_of(seed=0):
  return jnp.asarray(np.random.default_rng(seed).normal(size=(BATCH, 8)), jnp.float32)


def images_of(seed=0):
  return jnp.asarray(np.random.default_rng(seed).normal(size=(BATCH, 8, 8, 3)), jnp.float32)


def noisy(params):
  """The same parameters with noise of strength 1 in every layer."""

  def strengthened(path, leaf):
    return jnp.ones_like(leaf) if path[-1].key == "strength" else leaf

  return jax.tree_util.tree_map_with_path(strengthened, params)


@functools.cache
def program(network, **options):
  return jax.jit(functools.partial(network.apply, **options))


# Sizes.


@pytest.mark.parametrize(
  ("spec", "options", "generator", "discriminator"),
  [
    (CIFAR, {}, 19_947_539, 20_720_641),
    (CIFAR._replace(num_classes=10), {}, 20_215_315, 23_089_664),
    (
      CIFAR._replace(image_shape=(64, 64, 3)),
      {"channel_base": 16384, "discriminator_architecture": "resnet"},
      22_243_608,
      23_407_361,
    ),
    (SMALL, {"channel_base": 1024, "channel_max": 64}, 263_987, 278_753),
    (SMALL._replace(width=32), {"channel_max": 64}, 263_987, 278_753),
    (SMALL, {"channel_base": 2048, "channel_max": 128}, 943_571, 1_112_513),
  ],
)
def test_parameters_are_as_many_as_in_the_source(spec, options, generator, discriminator):
  gan = models.build("stylegan2", spec, **options)
  for network, count in zip(gan[:2], (generator, discriminator), strict=True):
    params, _ = jax.eval_shape(network.init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


@pytest.mark.parametrize("side", [8, 32, 256])
def test_every_power_of_two_has_two_styles_a_side(side):
  spec = ModelSpec((side, side, 1), latent_dim=4, width=1)
  gan = models.build("stylegan2", spec, channel_max=4)

  def play(key):
    params, state = gan.generator.init(key)
    styles, _ = gan.generator.stages[0](params, state, jnp.ones((2, 4)), train=False)
    images, _ = gan.generator.apply(params, state, jnp.ones((2, 4)), train=False)
    return (
      styles,
      images,
      gan.discriminator.apply(*gan.discriminator.init(key), images, train=False),
    )

  styles, images, (logits, _) = jax.eval_shape(play, jax.random.key(0))
  layers = 2 * int(np.log2(side / 2))  # 32 has 8
  assert (styles.shape, images.shape) == ((2, layers, 4), (2, side, side, 1))
  assert logits.shape == (2,)


# What its parts promise.


def test_the_scale_of_a_latent_does_not_matter():
  gan, (params, state), _ = tiny(inference_noise="constant")
  run = program(gan.generator, train=False)
  one, other = (run(noisy(params), state, scale * latents_of())[0] for scale in (1.0, 8.0))
  np.testing.assert_allclose(one, other, atol=1e-5)


def test_noise_and_the_mean_style_are_off_at_first_and_styles_about_one():
  params, state = jax.jit(tiny()[0].generator.init)(jax.random.key(0))
  found = flat(params)
  for name, leaf in found.items():
    if "strength" in name or "bias" in name:
      of_style = "synthesis" in name and "EqualizedDense" in name
      np.testing.assert_array_equal(leaf, np.full(leaf.shape, float(of_style)), err_msg=name)
    else:
      size = 100 if "mapping" in name else 1
      np.testing.assert_allclose(np.std(leaf) / size, 1, rtol=0.5, err_msg=name)
  np.testing.assert_array_equal(state["mean_style"]["w"], np.zeros(8))


def test_without_strength_noise_is_off():
  gan, (params, state), _ = tiny()
  run = program(gan.generator, train=True)
  one, other = (run(params, state, latents_of(), key=jax.random.key(seed))[0] for seed in (0, 1))
  np.testing.assert_array_equal(one, other)
  still, _ = program(gan.generator, train=False)(params, state, latents_of())
  np.testing.assert_allclose(one, still, atol=1e-6)


def test_noise_follows_the_key_in_training_and_differs_between_examples():
  gan, (params, state), _ = tiny()
  latents = jnp.tile(latents_of()[:1], (BATCH, 1))
  run = program(gan.generator, train=True)
  draws = [run(noisy(params), state, latents, key=jax.random.key(seed))[0] for seed in (0, 0, 1)]
  np.testing.assert_array_equal(draws[0], draws[1])
  assert np.abs(draws[0] - draws[2]).max() > 1e-3
  assert np.abs(draws[0][0] - draws[0][1]).max() > 1e-3


def test_noise_of_inference_is_a_function_of_the_latent_or_of_nothing():
  gan, (params, state), _ = tiny()
  run = program(gan.generator, train=False)
  latents = latents_of()
  images, _ = run(noisy(params), state, latents)
  again, _ = run(noisy(params), state, latents[::-1])
  np.testing.assert_allclose(images, again[::-1], atol=1e-5)
  # A change of one bit leaves w where it is, and draws other noise.
  nudged, _ = run(noisy(params), state, latents * (1 + 2.0**-23))
  assert np.abs(images - nudged).max() > 1e-2
  constant = tiny(inference_noise="constant")[0].generator
  run = program(constant, train=False)
  one, other = (run(noisy(params), state, each)[0] for each in (latents, latents * (1 + 2.0**-23)))
  np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_mean_style_moves_in_training_by_a_two_hundredth():
  gan, (params, state), _ = tiny()
  _, after = program(gan.generator, train=True)(params, state, latents_of(), key=jax.random.key(0))
  styles, _ = jax.jit(functools.partial(gan.generator.stages[0], train=False))(
    params, state, latents_of()
  )
  np.testing.assert_allclose(
    after["mean_style"]["w"], 0.005 * np.mean(styles[:, 0], axis=0), rtol=1e-4, atol=1e-8
  )


def test_truncation_draws_styles_to_their_mean_and_needs_no_other_parameters():
  gan, (params, _), _ = tiny()
  mean = jnp.linspace(-1, 1, 8)
  state = {"mean_style": {"w": mean}}

  def styles(truncation):
    network = tiny(truncation=truncation)[0].generator
    run = jax.jit(functools.partial(network.stages[0], train=False))
    return run(params, state, latents_of())[0]

  np.testing.assert_allclose(
    styles(0.7), mean.reshape(1, 1, -1) + 0.7 * (styles(1.0) - mean.reshape(1, 1, -1)), atol=1e-6
  )
  np.testing.assert_allclose(styles(0.0), jnp.broadcast_to(mean, (BATCH, 4, 8)), atol=1e-6)


@pytest.fixture
def drawn_from(monkeypatch, tmp_path):
  """drawn_from(*flags) is the generator from which `sample` draws of a run with truncation 0.5."""
  config = Config(model="stylegan2", width=4, latent_dim=8, options="truncation=0.5")
  info = DataInfo(TINY.image_shape, 0, 10, None)
  algorithm = build(config, info)
  state = jax.jit(algorithm.init)(jax.random.key(0))
  run = restore.LoadedRun(config, info, algorithm.gan, state)
  monkeypatch.setattr(restore, "find", lambda workdir, step: run)

  def drawn_from(*flags):
    seen = []
    monkeypatch.setattr(sample, "_pictures", lambda run, *rest: seen.append(run.gan) or ())
    assert sample.main(["sample", f"--workdir={tmp_path}", *flags]) == 0
    return seen[0].generator

  return drawn_from


def test_sample_truncates_by_its_own_share_and_by_none_to_the_bit(drawn_from):
  _, (params, _), _ = tiny()
  state = {"mean_style": {"w": jnp.linspace(-1, 1, 8)}}

  def styles(network):
    return jax.jit(functools.partial(network.stages[0], train=False))(params, state, latents_of())[
      0
    ]

  whole, mean = styles(tiny()[0].generator), jnp.linspace(-1, 1, 8).reshape(1, 1, -1)
  for flags, share in (((), 0.5), (("--truncation=0.7",), 0.7)):
    np.testing.assert_allclose(
      styles(drawn_from(*flags)), mean + share * (whole - mean), rtol=1e-5, atol=1e-6
    )
  np.testing.assert_array_equal(styles(drawn_from("--truncation=1")), whole)


@pytest.mark.parametrize("option", ["style_mixing", "truncation"])
@pytest.mark.parametrize("value", [-0.5, 1.5, float("nan")])
def test_a_share_out_of_its_range_is_one_line(option, value):
  with pytest.raises(UserError, match=f"^`{option}={value}` "):
    tiny(**{option: value})


@pytest.mark.parametrize("value", ["0", "-0.5", "1.1", "nan", "half"])
def test_a_truncation_that_cannot_be_is_one_line(capsys, value):
  assert sample.main(["sample", "--workdir=none", f"--truncation={value}"]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("error: ") and f"--truncation={value}" in line


def test_style_mixing_gives_the_later_layers_to_another_latent():
  gan, (params, state), _ = tiny(style_mixing=1.0)
  run = jax.jit(functools.partial(gan.generator.stages[0], train=True))
  styles, _ = run(params, state, latents_of(), key=jax.random.key(0))
  own, _ = tiny()[0].generator.stages[0](params, state, latents_of(), train=False)
  is_own = np.all(np.isclose(styles, own, atol=1e-6), axis=2)  # [B, L]
  np.testing.assert_array_equal(is_own[:, 0], True)
  np.testing.assert_array_equal(is_own[:, -1], False)
  assert np.all(np.diff(is_own.astype(int), axis=1) <= 0)  # once another's, always another's
  assert len({int(count) for count in is_own.sum(axis=1)}) > 1  # each example on its own


def test_the_stages_compose_to_the_network():
  gan, (params, state), _ = tiny()
  options = {"train": True, "key": jax.random.key(3)}
  styles, synthesise = gan.generator.stages
  ws, _ = styles(params, state, latents_of(), **options)
  images, _ = jax.jit(functools.partial(synthesise, train=True))(
    noisy(params), state, ws, key=options["key"]
  )
  whole, _ = program(gan.generator, train=True)(
    noisy(params), state, latents_of(), key=options["key"]
  )
  np.testing.assert_allclose(images, whole, atol=1e-5)


# The program of a step.


@pytest.mark.parametrize("architecture", ["skip", "resnet"])  # "orig" has no layer of its own
def test_no_derivative_of_a_step_holds_a_convolution_with_a_dilated_left_side(architecture):
  both = {f"{player}_architecture": architecture for player in ("generator", "discriminator")}
  gan, generator, discriminator = tiny(**both)

  def losses(generator_params, discriminator_params, latents, images):
    def judge(shown, train):
      options = {"train": train, "key": jax.random.key(0) if train else None}
      return gan.discriminator.apply(discriminator_params, discriminator[1], shown, **options)[0]

    fakes, _ = gan.generator.apply(
      generator_params, generator[1], latents, train=True, key=jax.random.key(1)
    )
    slopes = jax.grad(lambda shown: jnp.sum(judge(shown, False)))(images)
    return jnp.mean(judge(fakes, True)) + jnp.mean(jnp.square(slopes))

  lowered = jax.jit(jax.grad(losses, argnums=(0, 1))).lower(
    generator[0], discriminator[0], latents_of(), images_of()
  )
  text = lowered.compile().as_text()
  assert "convolution(" in text and "lhs_dilate" not in text


# The same functions as PyTorch's.


def flat(tree):
  return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def assert_gradients_agree(gradients, tensors):
  """Within 1e-4 of the largest gradient of each array."""
  from experiments.benchmark.torch_stylegan2 import in_their_order

  ours, theirs = flat(gradients), flat(jax.tree.map(lambda tensor: tensor.grad, tensors))
  for name, gradient in ours.items():
    if "strength" in name:
      continue  # PyTorch's has no noise
    gradient, expected = in_their_order(np.asarray(gradient)), theirs[name].numpy()
    scale = max(np.abs(expected).max(), 1e-3)
    np.testing.assert_allclose(gradient / scale, expected / scale, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(("architecture", "classes"), [("skip", 3), ("resnet", 0), ("orig", 0)])
def test_the_generator_is_that_of_pytorch(architecture, classes):
  torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
  from experiments.benchmark import torch_stylegan2 as peer

  gan, (params, state), _ = tiny(classes, generator_architecture=architecture)
  labels = jnp.arange(BATCH) % classes if classes else None
  weights = images_of(seed=1)

  def score(params):
    images, _ = gan.generator.apply(params, state, latents_of(), labels, train=False)
    return jnp.sum(images * weights), images

  gradients, images = jax.jit(jax.grad(score, has_aux=True))(params)
  tensors = peer.as_tensors(jax.device_get(params))
  shown = None if labels is None else torch.from_numpy(np.array(labels, np.int64))
  expected = peer.generator(tensors, torch.from_numpy(np.array(latents_of())), shown, architecture)
  expected = expected.permute(0, 2, 3, 1)
  np.testing.assert_allclose(images, expected.detach().numpy(), atol=1e-5)
  (expected * torch.from_numpy(np.array(weights))).sum().backward()
  assert_gradients_agree(gradients, tensors)


@pytest.mark.parametrize(("architecture", "classes"), [("orig", 3), ("resnet", 0), ("skip", 0)])
def test_the_discriminator_and_its_r1_are_those_of_pytorch(architecture, classes):
  torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
  from experiments.benchmark import torch_stylegan2 as peer

  gan, _, (params, state) = tiny(
    classes, discriminator_architecture=architecture, deviation_group=2
  )
  labels = jnp.arange(BATCH) % classes if classes else None

  def score(params):
    def judge(images):
      outputs = gan.discriminator.apply(
        params, state, images, labels, train=True, key=jax.random.key(0)
      )
      return jnp.sum(outputs[0]), outputs[0]

    slopes, logits = jax.grad(judge, has_aux=True)(images_of())
    return jnp.sum(logits) + jnp.sum(jnp.square(slopes)), logits

  gradients, logits = jax.jit(jax.grad(score, has_aux=True))(params)
  tensors = peer.as_tensors(jax.device_get(params))
  shown = None if labels is None else torch.from_numpy(np.array(labels, np.int64))
  images = torch.from_numpy(np.array(images_of()).transpose(0, 3, 1, 2)).requires_grad_()
  expected = peer.discriminator(tensors, images, shown, architecture, 2)
  np.testing.assert_allclose(logits, expected.detach().numpy(), atol=1e-5)
  (slopes,) = torch.autograd.grad(expected.sum(), images, create_graph=True)
  (expected.sum() + slopes.square().sum()).backward()
  assert_gradients_agree(gradients, tensors)


# What it refuses.


@pytest.mark.parametrize(
  ("changes", "options", "says"),
  [
    ({"image_shape": (28, 28, 1)}, {}, "power of 2"),
    ({"image_shape": (4, 4, 1)}, {}, "from 8 on"),
    ({"image_shape": (2,)}, {}, "`model=points`"),
    ({}, {"channel_base": 4}, "`channel_base` of at least 8"),
    ({}, {"channel_max": 0}, "`channel_max`"),
    ({}, {"mapping_layers": 0}, "`mapping_layers`"),
    ({}, {"deviation_group": 0}, "`deviation_group`"),
    ({}, {"style_mixing": 1.5}, "0 to 1"),
    ({}, {"generator_architecture": "residual"}, "orig, skip, resnet"),
    ({}, {"discriminator_architecture": ""}, "orig, skip, resnet"),
    ({}, {"inference_noise": "none"}, "random, constant"),
  ],
)
def test_what_it_cannot_be_is_refused_in_one_line(changes, options, says):
  with pytest.raises(UserError) as error:
    models.build("stylegan2", TINY._replace(width=None)._replace(**changes), **options)
  assert says in str(error.value) and "\n" not in str(error.value)
