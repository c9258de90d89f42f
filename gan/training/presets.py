"""Systems reproduced by name: the fields of a config in which they differ from the defaults.

`steps` is the system's own budget; give --steps for less.
"""

from typing import Any

# What the residual networks of 2017 and 2018 have in common on CIFAR-10: G first on twice the
# batch, then five updates of D; both rates fall to 0 from the first step on.
_RESIDUAL: dict[str, Any] = {
  "model": "resnet",
  "latent_dim": 128,
  "b1": 0.0,
  "b2": 0.9,
  "schedules": "generator_learning_rate=linear:0;discriminator_learning_rate=linear:0",
  "update_rule": "alternating_generator_first",
  "discriminator_steps": 5,
  "batch_size": 64,
  "generator_batch_size": 128,
  "dequantize": True,
  "ema_decay": 0.0,
}
_WGAN_GP: dict[str, Any] = {
  "generator_scale": 1,
  "discriminator_norm": "none",
  "pooling": "mean",
  "logit_bias": True,
  "loss": "wgan",
  "penalty": "wgan_gp",
  "steps": 100_000,
}
# Huang et al. 2024, configuration E of https://github.com/brownvc/R3GAN: numbers move along half a
# cosine over the first `schedule_images`, the average from a half-life of 0 and the augmentation
# from a probability of 0, its colours at half of it.
_R3GAN: dict[str, Any] = {
  "model": "r3gan",
  "loss": "rsgan",
  "penalty": "r1r2",
  "b1": 0.0,
  "b2": 0.9,
  "ema_half_life": 0.0,
  "ema_ramp": 0.0,
  "precision": "bfloat16",
  "mirror": True,
  "augment": "ada:bgc,cutout",
  "augment_strength": 0.0,
  "color_share": 0.5,
}


def _r3gan_schedules(penalty_weight: str, ema_half_life: str, augment_strength: str) -> str:
  """Where the numbers of configuration E end."""
  return (
    "generator_learning_rate=cosine:5e-5;discriminator_learning_rate=cosine:5e-5;"
    f"penalty_weight=cosine:{penalty_weight};b2=cosine:0.99;ema_half_life=cosine:{ema_half_life};"
    f"augment_strength=cosine:{augment_strength}"
  )


_MNIST_STEPS_PER_EPOCH = 600  # 60,000 images in batches of 100

PRESETS: dict[str, dict[str, Any]] = {
  # https://github.com/s-abdullah/FirstGAN, lib/vgan.py and its README: 200 epochs of MNIST; BCE as
  # a sum, D first. The tutorial https://github.com/diegoalejogm/gans, notebook 1, has the same.
  "firstgan_vanilla": {
    "model": "mlp",
    "loss": "nonsat",
    "latent_dim": 100,
    "b1": 0.9,
    "batch_size": 100,
    "steps": 200 * _MNIST_STEPS_PER_EPOCH,
    "ema_decay": 0.0,
  },
  # The same repository, GANtime.ipynb: G first, D on the same fakes, D's loss halved.
  "firstgan_dcgan": {
    "model": "firstgan_dcgan",
    "image_size": 64,
    "loss": "nonsat",
    "discriminator_loss_scale": 0.5,
    "update_rule": "alternating_generator_first",
    "latent_dim": 100,
    "b1": 0.9,
    "batch_size": 100,
    "steps": 200 * _MNIST_STEPS_PER_EPOCH,
    "ema_decay": 0.0,
  },
  # https://github.com/diegoalejogm/gans, notebook 2.
  "tutorial_dcgan": {
    "model": "tutorial_dcgan",
    "image_size": 64,
    "loss": "nonsat",
    "latent_dim": 100,
    "b1": 0.5,
    "batch_size": 100,
    "steps": 200 * _MNIST_STEPS_PER_EPOCH,
    "ema_decay": 0.0,
  },
  # Goodfellow et al. 2014, mnist.yaml of https://github.com/goodfeli/adversarial. The authors stop
  # by hand; momentum saturates at epoch 250, so that is where this ends.
  "goodfellow2014": {
    "split": "train[:50000]",
    "model": "goodfellow",
    "latent": "uniform",
    "latent_dim": 100,
    "loss": "nonsat",
    "discriminator_loss_scale": 0.5,
    "update_rule": "simultaneous",
    "optimizer": "sgd",
    "generator_learning_rate": 0.1,
    "discriminator_learning_rate": 0.1,
    "momentum": 0.5,
    "schedule": "goodfellow2014",
    "batch_size": 100,
    "steps": 250 * 500,
    "ema_decay": 0.0,
  },
  # Lin et al. 2018, synthetic_data_experiments of https://github.com/fjxmlzn/PacGAN: 400 epochs of
  # 100,000 points. --packing=m takes --batch_size=100m: the authors' batch is of packed rows.
  "pacgan2018": {
    "model": "pacgan",
    "latent_dim": 2,
    "loss": "nonsat",
    "update_rule": "simultaneous",
    "generator_learning_rate": 1e-4,
    "discriminator_learning_rate": 1e-4,
    "b1": 0.8,
    "batch_size": 100,
    "steps": 400 * 1000,
    "ema_decay": 0.0,
  },
  # Miyato et al. 2018, sn_cifar10_unconditional.yml of
  # https://github.com/pfnet-research/sngan_projection.
  "sngan_cifar10": {**_RESIDUAL, "loss": "hinge", "steps": 50_000},
  # Miyato and Koyama 2018, sn_cifar10_conditional.yml of the same repository.
  "cgan_pd_cifar10": {
    **_RESIDUAL,
    "loss": "hinge",
    "conditioning": "cbn+projection",
    "fake_labels": "uniform",
    "steps": 50_000,
  },
  # Gulrajani et al. 2017, gan_cifar_resnet.py of https://github.com/igul222/improved_wgan_training,
  # without labels.
  "wgan_gp_cifar10": {**_RESIDUAL, **_WGAN_GP},
  # The same with labels: conditional batch normalisation, and a class head in D.
  "acgan_cifar10": {
    **_RESIDUAL,
    **_WGAN_GP,
    "conditioning": "acgan",
    "regularizers": "acgan",
  },
  # Brock et al. 2019, scripts/launch_cifar_ema.sh of
  # https://github.com/ajbrock/BigGAN-PyTorch: four batches of 50 for D to one for G, 500 epochs.
  # Not verified: that G's update has 50 samples too.
  "biggan_cifar10": {
    "model": "biggan",
    "conditional": True,
    "latent_dim": 128,
    "loss": "hinge",
    "fake_labels": "uniform",
    "b1": 0.0,
    "batch_size": 50,
    "discriminator_steps": 4,
    "steps": 500 * 50_000 // 200,
    "ema_decay": 0.9999,
    "ema_start": 1000,
  },
  # Zhang et al. 2019 have no CIFAR-10: after configs/CIFAR10/SAGAN.yaml of
  # https://github.com/POSTECH-CVLab/PyTorch-StudioGAN and the defaults of its config.py, as one
  # stored version of each has them. Not verified: that labels of fakes are uniform; and no result.
  "sagan_cifar10": {
    "model": "sagan",
    "conditional": True,
    "latent_dim": 128,
    "loss": "hinge",
    "fake_labels": "uniform",
    "batch_size": 64,
    "discriminator_steps": 5,
    "steps": 100_000,
    "ema_decay": 0.0,
    "mirror": True,
  },
  # Karras et al. 2020, `cifar` of https://github.com/NVlabs/stylegan2-ada-pytorch: R1 on every
  # 16th step of D in a step of its own, G's rate that of lazy regularisation (4/5) though it has
  # none, ADA without noise and cutout.
  "stylegan2_cifar10": {
    "model": "stylegan2",
    "latent_dim": 512,
    "loss": "nonsat",
    "penalty": "r1",
    "penalty_weight": 0.01,
    "penalty_every": 16,
    "lazy_correction": True,
    "lazy_step": "separate",
    "update_rule": "alternating_generator_first",
    "generator_learning_rate": 0.0025 * 4 / 5,
    "discriminator_learning_rate": 0.0025,
    "b1": 0.0,
    "b2": 0.99,
    "batch_size": 64,
    "steps": 100_000_000 // 64,
    "ema_half_life": 500_000.0,
    "augment": "ada:bgc",
    "augment_control": "ada",
  },
  "r3gan_cifar10": {
    **_R3GAN,
    "conditional": True,
    "penalty_weight": 0.05,
    "batch_size": 512,
    "schedules": _r3gan_schedules("0.005", "5e6", "0.55"),
    "schedule_images": 20_000_000,
    "steps": 250_000_000 // 512,
  },
  # FFHQ of 64 pixels. The source trains "until it saturates"; the length here is CIFAR-10's.
  "r3gan_ffhq64": {
    **_R3GAN,
    "image_size": 64,
    "penalty_weight": 2.0,
    "batch_size": 256,
    "schedules": _r3gan_schedules("0.2", "5e5", "0.3"),
    "schedule_images": 20_000_000,
    "steps": 250_000_000 // 256,
  },
  # ImageNet of 32 pixels: 1536 channels in every stage, 96 groups of 32 within blocks.
  "r3gan_imagenet32": {
    **_R3GAN,
    "image_size": 32,
    "stage_widths": "1536",
    "stage_groups": "96",
    "conditional": True,
    "penalty_weight": 0.5,
    "batch_size": 4096,
    "schedules": _r3gan_schedules("0.05", "5e7", "0.5"),
    "schedule_images": 200_000_000,
    "steps": 1_000_000_000 // 4096,
  },
  # The paper's test of modes, gamma 1. Its network, rates, batch and length are not published:
  # those here are ours, in float32 and without schedules; 50 epochs as in PacGAN's comparison.
  "r3gan_stacked_mnist": {
    "dataset": "stacked_mnist",
    "image_size": 32,
    "model": "r3gan_small",
    "loss": "rsgan",
    "penalty": "r1r2",
    "penalty_weight": 1.0,
    "b1": 0.0,
    "b2": 0.99,
    "batch_size": 64,
    "steps": 50 * 2000,
    "ema_decay": 0.999,
  },
}
