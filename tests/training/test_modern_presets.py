"""Each preset of a modern network: fields of its source, sizes, and two steps at a small width."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import cifar10, images, mnist
from experiments.cli import common
from gan.training.build import DataInfo, build, build_game, hyperparameters
from gan.training.presets import PRESETS
from gan.training.run_folder import read_config, read_summary
from gan.training.validation import validate

CIFAR10 = DataInfo((32, 32, 3), 10, 50_000, None)
RESIDUAL = {
  "model": "resnet",
  "latent_dim": 128,
  "generator_learning_rate": 2e-4,
  "discriminator_learning_rate": 2e-4,
  "b1": 0.0,
  "b2": 0.9,
  "schedules": "generator_learning_rate=linear:0;discriminator_learning_rate=linear:0",
  "schedule_images": None,  # over the whole run
  "batch_size": 64,
  "generator_batch_size": 128,
  "discriminator_steps": 5,
  "update_rule": "alternating_generator_first",
  "ema_decay": 0.0,
  "dequantize": True,
  "mirror": False,
}
WGAN_GP = {"loss": "wgan", "penalty": "wgan_gp", "discriminator_norm": "none", "steps": 100_000}
PROJECTION = {
  "conditional": True,
  "conditioning": None,  # the model's own, conditional norms and projection
  "latent_dim": 128,
  "loss": "hinge",
  "penalty": "none",
  "regularizers": "",
  "fake_labels": "uniform",
  "update_rule": "alternating",
  "generator_batch_size": None,
  "generator_learning_rate": 2e-4,
  "discriminator_learning_rate": 2e-4,
  "schedules": "",
  "b2": 0.999,
  "ema_half_life": None,
  "dequantize": False,
}
R3GAN = {
  "model": "r3gan",
  "latent_dim": 64,
  "loss": "rsgan",
  "penalty": "r1r2",
  "penalty_every": 1,
  "update_rule": "alternating",
  "discriminator_steps": 1,
  "generator_learning_rate": 2e-4,
  "discriminator_learning_rate": 2e-4,
  "b1": 0.0,
  "b2": 0.9,
  "ema_half_life": 0,
  "ema_ramp": 0,
  "precision": "bfloat16",
  "mirror": True,
  "dequantize": False,
  "augment": "ada:bgc,cutout",
  "augment_strength": 0,
  "options": "color_share=0.5",
}
PUBLISHED = {
  "sngan_cifar10": RESIDUAL | {"loss": "hinge", "penalty": "none", "steps": 50_000},
  "cgan_pd_cifar10": RESIDUAL
  | {"loss": "hinge", "steps": 50_000, "conditioning": "cbn+projection", "fake_labels": "uniform"},
  "wgan_gp_cifar10": RESIDUAL | WGAN_GP | {"conditional": False},
  "acgan_cifar10": RESIDUAL | WGAN_GP | {"conditioning": "acgan", "regularizers": "acgan"},
  "biggan_cifar10": PROJECTION
  | {
    "model": "biggan",
    "b1": 0.0,
    "batch_size": 50,
    "discriminator_steps": 4,
    "steps": 125_000,  # 500 epochs
    "ema_decay": 0.9999,
    "ema_start": 1000,
    "mirror": False,
    "options": "",  # tables of labels in each norm, no attention, N(0, 0.02)
  },
  "sagan_cifar10": PROJECTION
  | {
    "model": "sagan",
    "b1": 0.5,
    "batch_size": 64,
    "discriminator_steps": 5,
    "steps": 100_000,
    "ema_decay": 0.0,
    "mirror": True,
    "options": "",
  },
  "stylegan2_cifar10": {
    "model": "stylegan2",
    "latent_dim": 512,
    "loss": "nonsat",
    "penalty": "r1",
    "penalty_weight": 0.01,  # gamma, of gamma / 2 |grad|^2
    "penalty_every": 16,
    "lazy_correction": True,  # of D: 0.00235294, and 0.990585 for b2
    "lazy_step": "separate",
    "update_rule": "alternating_generator_first",
    "generator_learning_rate": 0.002,
    "discriminator_learning_rate": 0.0025,
    "batch_size": 64,
    "b1": 0.0,
    "b2": 0.99,
    "steps": 1_562_500,  # 100,000,000 images
    "ema_half_life": 500_000,
    "ema_ramp": 0.05,
    "regularizers": "",
    "augment": "ada:bgc",
    "augment_control": "ada",
    "mirror": False,
    "dequantize": False,
  },
  "r3gan_cifar10": R3GAN
  | {
    "conditional": True,
    "penalty_weight": 0.05,
    "batch_size": 512,
    "schedule_images": 20_000_000,
    "steps": 488_281,  # 250,000,000 images
  },
  "r3gan_ffhq64": R3GAN
  | {
    "image_size": 64,
    "conditional": False,
    "penalty_weight": 2,
    "batch_size": 256,
    "schedule_images": 20_000_000,
    "steps": 976_562,
  },
  "r3gan_imagenet32": R3GAN
  | {
    "image_size": 32,
    "options": "color_share=0.5;stage_groups=96;stage_widths=1536",
    "conditional": True,
    "penalty_weight": 0.5,
    "batch_size": 4096,
    "schedule_images": 200_000_000,
    "steps": 244_140,  # 1,000,000,000 images
  },
  "r3gan_stacked_mnist": {
    "dataset": "stacked_mnist",
    "image_size": 32,
    "model": "r3gan_small",
    "loss": "rsgan",
    "penalty": "r1r2",
    "penalty_weight": 1,
    "conditional": False,
    "precision": "float32",
    "steps": 100_000,  # 50 epochs of 128,000 stacks
  },
}
# Parameters of (G, D).
COUNTS = {
  "sngan_cifar10": (4_276_739, 1_053_824),
  "cgan_pd_cifar10": (4_304_387, 1_055_104),
  "wgan_gp_cifar10": (1_204_483, 1_053_825),
  "acgan_cifar10": (1_218_307, 1_055_115),
  "biggan_cifar10": (4_304_387, 4_207_361),
  # SNGAN's with its logit's bias, and attention of 256 and of 128 channels.
  "sagan_cifar10": (4_304_387 + 81_921, 1_055_105 + 20_481),
  "stylegan2_cifar10": (19_947_539, 20_720_641),
  "r3gan_cifar10": (20_781_952, 21_280_512),
  "r3gan_ffhq64": (22_429_824, 22_381_440),
  "r3gan_imagenet32": (82_914_304, 86_548_992),
  "r3gan_stacked_mnist": (135_536, 129_488),
}
# The data of other presets: FFHQ, ImageNet with its thousand classes, and stacks of digits.
DATA = {
  "r3gan_ffhq64": DataInfo((64, 64, 3), 0, 70_000, None),
  "r3gan_imagenet32": DataInfo((32, 32, 3), 1000, 1_281_167, None),
  "r3gan_stacked_mnist": DataInfo((32, 32, 3), 1000, 128_000, None),
}
WIDTHS = {"r3gan_cifar10": 8, "r3gan_ffhq64": 16, "r3gan_imagenet32": 16}  # of 4 otherwise
WIDTHS |= {"r3gan_stacked_mnist": 48, "biggan_cifar10": 1, "sagan_cifar10": 1}
SIDES = {"biggan_cifar10": 8, "sagan_cifar10": 16}  # of 32 otherwise
every = pytest.mark.parametrize("name", PUBLISHED)


def config_of(name):
  return common.starting_point(cifar10.DEFAULTS, name, cifar10.DEFAULTS.model)


@every
def test_fields_are_those_of_the_source(name):
  config = config_of(name)
  validate(config)
  assert {field: getattr(config, field) for field in PUBLISHED[name]} == PUBLISHED[name]


@every
def test_sizes_are_those_of_the_source(name):
  state = jax.eval_shape(build(config_of(name), DATA.get(name, CIFAR10)).init, jax.random.key(0))

  def count(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))

  assert (count(state.generator.params), count(state.discriminator.params)) == COUNTS[name]


def train(name, folder, *flags, side=32):
  """The status of two steps on noise, at a small width."""
  rng, data = np.random.default_rng(0), folder / "noise.npz"
  pixels = rng.integers(0, 256, (40, side, side, 3), np.uint8)
  np.savez(data, images=pixels, labels=(np.arange(40) % 10).astype(np.int32))
  given = [
    f"--preset={name}",
    "--dataset=images",
    "--steps=2",
    f"--width={WIDTHS.get(name, 4)}",
    f"--image_size={SIDES.get(name, 32)}",
    "--batch_size=4",
    "--parallel=none",
  ]
  assert images.main(["images", f"--workdir={folder}", f"--data_dir={data}", *given, *flags]) == 0
  return read_summary(folder)["status"]


# The others compile for a minute or more.
QUICK = ("sngan_cifar10", "biggan_cifar10", "r3gan_stacked_mnist")


@pytest.mark.parametrize(
  "name",
  [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in PUBLISHED],
)
def test_a_preset_trains_by_its_name_and_a_width(name, tmp_path):
  # Fewer updates of D than in the source, and images of 8 pixels where the preset has a side: its
  # stages are unrolled, and compiled one by one.
  flags = ["--discriminator_steps=1"]
  flags += ["--generator_batch_size=8"] if "generator_batch_size" in PRESETS[name] else []
  flags += ["--image_size=8"] if "image_size" in PRESETS[name] else []
  assert train(name, tmp_path, *flags) == "finished"


@pytest.mark.slow
@every
def test_a_preset_trains_with_all_updates_of_its_source(name, tmp_path):
  assert train(name, tmp_path, side=PRESETS[name].get("image_size", 32)) == "finished"


@pytest.mark.slow
def test_stacks_of_digits_are_the_data_of_their_preset(data_root, tmp_path):
  flags = ["--steps=2", "--width=48", "--batch_size=8", "--parallel=none", "--eval_every=0"]
  command = ["mnist", "--preset=r3gan_stacked_mnist", f"--workdir={tmp_path}", *flags]
  assert mnist.main([*command, f"--data_dir={data_root}"]) == 0
  assert read_config(tmp_path)["config"]["dataset"] == "stacked_mnist"
  assert read_summary(tmp_path)["status"] == "finished"


@pytest.mark.parametrize(
  ("name", "weights", "half_life", "strength"),
  [
    ("r3gan_cifar10", (0.05, 0.005), 5e6, 0.55),
    ("r3gan_ffhq64", (2, 0.2), 5e5, 0.3),
    ("r3gan_imagenet32", (0.5, 0.05), 5e7, 0.5),
  ],
)
def test_the_numbers_of_r3gan_move_along_half_a_cosine(name, weights, half_life, strength):
  config = config_of(name)
  game = build_game(config, DATA.get(name, CIFAR10))
  step = config.schedule_images // 2 // config.batch_size  # less than a step before half of the way
  hyper = game.schedule(hyperparameters(config), jnp.int32(step))
  ends = {
    "generator_learning_rate": (2e-4, 5e-5),
    "discriminator_learning_rate": (2e-4, 5e-5),
    "penalty_weight": weights,
    "b2": (0.9, 0.99),
    "ema_half_life": (0, half_life),
    "augment_strength": (0, strength),
  }
  for name, (start, end) in ends.items():
    np.testing.assert_allclose(hyper.get(name), (start + end) / 2, rtol=1e-4)
  last = game.schedule(hyperparameters(config), jnp.int32(2 * step + 10))
  for name, (_, end) in ends.items():
    np.testing.assert_allclose(last.get(name), end, rtol=1e-6)
