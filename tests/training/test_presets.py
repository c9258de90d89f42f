"""Each preset against the published system that it is named after (design/peers.md, section 5)."""

import functools
import importlib
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import test_modern_presets

from experiments.cli import common
from gan import schedules
from gan.method.game import Batch
from gan.networks import LATENTS
from gan.training.build import DataInfo, build, hyperparameters
from gan.training.config import Config
from gan.training.presets import PRESETS
from gan.training.validation import validate

DEFAULTS = Config()

ADAM = {
  "optimizer": "adam",
  "generator_learning_rate": 2e-4,
  "discriminator_learning_rate": 2e-4,
  "b2": 0.999,
  "schedule": "constant",
}
SHARED = {
  "loss": "nonsat",
  "discriminator_steps": 1,
  "batch_size": 100,
  "latent_dim": 100,
  "real_label": 1.0,
  "conditional": False,
  "instance_noise": 0.0,
  "lecam_weight": None,
  "generator_optimizer": None,
  "discriminator_optimizer": None,
  "ema_decay": 0.0,  # samples are drawn from the generator itself
}
# MNIST's 60,000 images are 600 batches of 100; 200 epochs are 120,000 steps.
PUBLISHED = {
  "firstgan_vanilla": {
    **ADAM,
    "model": "mlp",
    "latent": "normal",
    "b1": 0.9,
    "discriminator_loss_scale": 1.0,  # the sum of both terms
    "update_rule": "alternating",  # D first
    "steps": 120_000,
  },
  "firstgan_dcgan": {
    **ADAM,
    "model": "firstgan_dcgan",
    "image_size": 64,
    "latent": "normal",
    "b1": 0.9,
    "discriminator_loss_scale": 0.5,
    "update_rule": "alternating_generator_first",
    "steps": 120_000,
  },
  "tutorial_dcgan": {
    **ADAM,
    "model": "tutorial_dcgan",
    "image_size": 64,
    "latent": "normal",
    "b1": 0.5,
    "discriminator_loss_scale": 1.0,
    "update_rule": "alternating",
    "steps": 120_000,
  },
  "goodfellow2014": {
    "model": "goodfellow",
    "split": "train[:50000]",
    "latent": "uniform",
    "optimizer": "sgd",
    "generator_learning_rate": 0.1,
    "discriminator_learning_rate": 0.1,
    "momentum": 0.5,
    "schedule": "goodfellow2014",
    "discriminator_loss_scale": 0.5,
    "update_rule": "simultaneous",
    "steps": 125_000,  # 250 epochs of 500 batches, where the momentum reaches .7
  },
  "pacgan2018": {
    **ADAM,
    "model": "pacgan",
    "latent": "normal",
    "latent_dim": 2,
    "generator_learning_rate": 1e-4,
    "discriminator_learning_rate": 1e-4,
    "b1": 0.8,
    "discriminator_loss_scale": 1.0,
    "update_rule": "simultaneous",
    "packing": 1,
    "steps": 400_000,  # 400 epochs of 1000 batches
  },
}


EVERY = sorted(PUBLISHED)
OF_IMAGES = sorted(set(PUBLISHED) - {"pacgan2018"})


def config_of(name, defaults=DEFAULTS):
  return common.starting_point(defaults, name, defaults.model)


def info_of(name, channels=1):
  if name not in OF_IMAGES:
    return DataInfo((2,), 25, 100_000, None)
  side = PRESETS[name].get("image_size", 28)
  mean = np.random.default_rng(0).uniform(0, 1, (side, side, channels))
  examples = 50_000 if name == "goodfellow2014" else 60_000
  return DataInfo((side, side, channels), 10, examples, mean)


@functools.cache
def player(name, which):
  """(params, model state) of one player, as it starts."""
  gan = build(config_of(name), info_of(name)).gan
  return getattr(gan, which).init(jax.random.key(0))


def assert_fills(values, bound):
  """Uniform on (-bound, bound): within, and close to both ends."""
  values = np.asarray(values)
  assert np.abs(values).max() <= bound
  assert values.max() > 0.95 * bound and values.min() < -0.95 * bound


def test_every_preset_is_held_against_its_source():
  assert sorted({**PUBLISHED, **test_modern_presets.PUBLISHED}) == sorted(PRESETS)


@pytest.mark.parametrize("name", EVERY)
def test_fields_are_those_of_the_source(name):
  config = config_of(name)
  expected = SHARED | PUBLISHED[name]
  assert {field: getattr(config, field) for field in expected} == expected
  validate(config)


@pytest.mark.parametrize("experiment", ["mnist", "fashion_mnist", "cifar10"])
@pytest.mark.parametrize("name", OF_IMAGES)
def test_every_image_experiment_runs_the_preset_as_published(experiment, name):
  config = config_of(name, importlib.import_module(f"experiments.{experiment}").DEFAULTS)
  validate(config)
  build(config, info_of(name, channels=3 if experiment == "cifar10" else 1))
  expected = SHARED | PUBLISHED[name]
  assert {field: getattr(config, field) for field in expected} == expected


@pytest.mark.parametrize("name", EVERY)
def test_a_step_takes_a_batch_of_one_hundred(name):
  algorithm = build(config_of(name), info_of(name))
  state = jax.eval_shape(algorithm.init, jax.random.key(0))
  dtype = jnp.uint8 if name in OF_IMAGES else jnp.float32
  images = jax.ShapeDtypeStruct((1, 100, *info_of(name).image_shape), dtype)
  after, metrics = jax.eval_shape(algorithm.step, state, Batch(images, None), jax.random.key(0))
  assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)
  assert {metric.shape for metric in metrics.values()} == {()}


@pytest.mark.parametrize("name", OF_IMAGES)
def test_pixels_are_scaled_as_in_the_source(name):
  expected = (0.0, 1.0) if name == "goodfellow2014" else (-1.0, 1.0)
  assert build(config_of(name), info_of(name)).gan.image_range == expected


# Goodfellow et al. 2014.


def test_uniform_latents_have_variance_one_and_bounds_root_three():
  draws = LATENTS["uniform"](jax.random.key(0), (100_000,))
  assert_fills(draws, math.sqrt(3))
  np.testing.assert_allclose(np.mean(draws), 0, atol=0.01)
  np.testing.assert_allclose(np.var(draws), 1, atol=0.01)
  gan = build(config_of("goodfellow2014"), info_of("goodfellow2014")).gan
  latent = gan.sample_latent(jax.random.key(0))
  assert latent.shape == (100,) and np.abs(latent).max() < math.sqrt(3)


@pytest.mark.parametrize(
  ("epoch", "momentum", "rate"),
  [
    # .5 + .2 (epoch - 1) / 249;  .1 / 1.000004^(500 epoch) = .1 e^(-.001999996 epoch)
    (1, 0.5, 0.09980020),
    (125, 0.5995984, 0.07788012),
    (250, 0.7, 0.06065313),
  ],
)
def test_goodfellows_rates_at_three_epochs(epoch, momentum, rate):
  config, info = config_of("goodfellow2014"), info_of("goodfellow2014")
  steps_per_epoch = info.num_examples / config.batch_size
  assert steps_per_epoch == 500
  hyper = schedules.goodfellow2014(steps_per_epoch)(hyperparameters(config), jnp.int32(epoch * 500))
  np.testing.assert_allclose(hyper.momentum, momentum, rtol=1e-6)
  np.testing.assert_allclose(hyper.generator_learning_rate, rate, rtol=1e-5)
  np.testing.assert_allclose(hyper.discriminator_learning_rate, rate, rtol=1e-5)


def test_goodfellows_output_bias_is_the_logit_of_the_mean_pixel():
  params, _ = player("goodfellow2014", "generator")
  mean = info_of("goodfellow2014").pixel_mean.ravel()
  bias = params["Dense_2"]["Dense_0"]["bias"]
  np.testing.assert_allclose(bias, np.log(mean / (1 - mean)), rtol=1e-4, atol=1e-5)


def test_goodfellows_weights_start_in_their_ranges():
  for which, bound in (("generator", 0.05), ("discriminator", 0.005)):
    params, _ = player("goodfellow2014", which)
    for layer in range(3):
      weights = params[f"Dense_{layer}"]["Dense_0"]
      assert_fills(weights["kernel"], bound)
      if which == "discriminator" or layer < 2:
        assert np.all(weights["bias"] == 0)


# PyTorch's default initialisers, U(-1 / sqrt(fan-in), 1 / sqrt(fan-in)).


def test_vanilla_players_start_as_torch_linear_layers():
  for which, inputs in (("generator", (100, 256, 512, 1024)), ("discriminator", (784, 1024, 512))):
    params, _ = player("firstgan_vanilla", which)
    for layer, fan_in in enumerate(inputs):
      weights = params[f"Dense_{layer}"]["Dense_0"]
      assert_fills(weights["kernel"], fan_in**-0.5)
      assert_fills(weights["bias"], fan_in**-0.5)


def test_firstgan_generator_starts_as_torch_transposed_convolutions():
  # The fan-in of a transposed convolution is its 4 x 4 window times its channels out.
  params, _ = player("firstgan_dcgan", "generator")
  for layer, channels in enumerate((256, 128, 64, 1)):
    assert_fills(params[f"Conv_{layer}"]["kernel"], (16 * channels) ** -0.5)


def test_firstgan_projection_starts_as_a_torch_transposed_convolution():
  # The first layer is ConvTranspose2d(100, 512, 4, 1, 0): 16 * 512 = 8192, not the 100 inputs.
  params, _ = player("firstgan_dcgan", "generator")
  assert_fills(params["Dense_0"]["Dense_0"]["kernel"], 8192**-0.5)


def test_firstgan_discriminator_starts_as_torch_convolutions():
  params, _ = player("firstgan_dcgan", "discriminator")
  for layer, channels in enumerate((1, 64, 128, 256)):
    assert_fills(params[f"Conv_{layer}"]["kernel"], (16 * channels) ** -0.5)
  assert_fills(params["Dense_0"]["Dense_0"]["kernel"], (16 * 512) ** -0.5)


@pytest.mark.parametrize("which", ["generator", "discriminator"])
def test_firstgan_batch_norm_starts_at_one_and_zero(which):
  params, _ = player("firstgan_dcgan", which)
  norms = [value["BatchNorm_0"] for name, value in params.items() if name.startswith("Norm")]
  assert len(norms) == (4 if which == "generator" else 3)
  for norm in norms:
    assert np.all(norm["scale"] == 1) and np.all(norm["bias"] == 0)


# The tutorial: N(0, .02) on convolutions and on the scales of batch normalisation.


@pytest.mark.parametrize("which", ["generator", "discriminator"])
def test_tutorial_kernels_and_scales_start_normal_around_zero(which):
  params, _ = player("tutorial_dcgan", which)
  for layer in range(4):
    kernel = params[f"Conv_{layer}"]["kernel"]
    assert list(params[f"Conv_{layer}"]) == ["kernel"]
    np.testing.assert_allclose(np.std(kernel), 0.02, rtol=0.06)
  norms = [value["BatchNorm_0"] for name, value in params.items() if name.startswith("Norm")]
  assert len(norms) == 3
  scales = np.concatenate([norm["scale"] for norm in norms])
  assert abs(np.mean(scales)) < 0.003  # 896 scales or more: .02 / sqrt(896) = .0007
  np.testing.assert_allclose(np.std(scales), 0.02, rtol=0.1)
  assert all(np.all(norm["bias"] == 0) for norm in norms)


@pytest.mark.parametrize(("which", "fan_in"), [("generator", 100), ("discriminator", 16 * 1024)])
def test_tutorial_linear_layers_start_as_torch_linear_layers(which, fan_in):
  params, _ = player("tutorial_dcgan", which)
  assert_fills(params["Dense_0"]["Dense_0"]["kernel"], fan_in**-0.5)
  assert np.abs(params["Dense_0"]["Dense_0"]["bias"]).max() <= fan_in**-0.5


# PacGAN: N(0, .02) everywhere, biases 0.


@pytest.mark.parametrize("which", ["generator", "discriminator"])
def test_pacgan_starts_normal_around_zero(which):
  params, _ = player("pacgan2018", which)
  layers = [value["Dense_0"] for name, value in params.items() if name.startswith("Dense")]
  np.testing.assert_allclose([np.std(layer["kernel"]) for layer in layers[1:3]], 0.02, rtol=0.02)
  assert all(np.all(layer["bias"] == 0) for layer in layers if "bias" in layer)
  assert len(layers) == (5 if which == "generator" else 4)
