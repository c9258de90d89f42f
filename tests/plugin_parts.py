"""A plugin with a loss, a model, a data set, a metric and a preset, as text."""

PARTS = """
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from gan.datasets import DATASETS, Dataset
from gan.losses import LOSSES, Loss
from gan.metrics import METRICS, Metric, Value
from gan.models import MODELS, Model
from gan.models.spec import to_networks
from gan.training.presets import PRESETS


class Generator(nn.Module):
  @nn.compact
  def __call__(self, latents, labels, *, train):
    return nn.tanh(nn.Dense(64)(latents)).reshape(-1, 8, 8, 1)


class Discriminator(nn.Module):
  @nn.compact
  def __call__(self, images, labels, *, train):
    return nn.Dense(1)(images.reshape(images.shape[0], -1))[:, 0]


def noise(split, data_dir, image_size):
  draws = np.random.default_rng(["train", "test"].index(split)).integers(0, 256, (100, 8, 8, 1))
  return Dataset("noise", draws.astype(np.uint8), None, 0, "made by a plugin")


def exponential(real_logits, fake_logits):
  return jnp.exp(-real_logits / 2) + jnp.exp(fake_logits / 2)


LOSSES["exponential"] = Loss(exponential, lambda real, fake: jnp.exp(-fake / 2))
MODELS["tiny"] = Model(lambda spec: to_networks(Generator(), Discriminator(), spec))
DATASETS["noise"] = noise
METRICS["brightness"] = Metric(
  lambda data, fake, rng: {"brightness": Value(float(fake.examples.mean()))},
  {"brightness": "higher"},
  lambda data: {"brightness": (0.0, 255.0)},
  lambda data: True,
)
PRESETS["mine"] = {"model": "tiny", "loss": "exponential", "dataset": "noise"}
"""
