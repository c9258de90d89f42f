"""Two small ReLU networks for points in the plane (the ring and the grid of Gaussians)."""

import jax

from gan.models.mlp import Discriminator, Generator
from gan.models.spec import ModelSpec, require_points, to_networks
from gan.networks import Network


def build(spec: ModelSpec) -> tuple[Network, Network]:
  """Returns (generator, discriminator), each with two hidden layers of `width` units (128)."""
  require_points("points", spec)
  shared = {
    "features": (spec.width or 128,) * 2,
    "activation": jax.nn.relu,
    "num_classes": spec.num_classes,
    "dtype": spec.dtype,
  }
  generator = Generator(spec.image_shape, output=lambda points: points, **shared)
  return to_networks(generator, Discriminator(dropout=0.0, **shared), spec)
