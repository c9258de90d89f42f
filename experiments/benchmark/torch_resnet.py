"""The networks of `gan.models.resnet` in PyTorch, for comparison only.

Modules have the names of the Flax layers, so that weights are found by their paths.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import spectral_norm

EPSILON = 2e-5


class ConditionalNorm(nn.Module):
  """Batch normalisation with a scale and a bias of each class."""

  def __init__(self, channels: int, classes: int):
    super().__init__()
    self.norm = nn.BatchNorm2d(channels, EPSILON, affine=False)
    self.scale, self.bias = nn.Embedding(classes, channels), nn.Embedding(classes, channels)

  def forward(self, images, labels):
    scale, bias = (table(labels)[:, :, None, None] for table in (self.scale, self.bias))
    return self.norm(images) * scale + bias


class PlainNorm(nn.BatchNorm2d):
  """Batch normalisation that is given labels and leaves them alone."""

  def __init__(self, channels: int):
    super().__init__(channels, EPSILON)

  def forward(self, images, labels=None):
    return super().forward(images)


class UpBlock(nn.Module):
  """The order of the source: nearest up-sampling before either convolution."""

  def __init__(self, channels: int, features: int, classes: int):
    super().__init__()
    self.norms = []
    for place, width in enumerate((channels, features)):
      norm = ConditionalNorm(width, classes) if classes else PlainNorm(width)
      self.add_module(f"{'ConditionalNorm' if classes else 'Norm'}_{place}", norm)
      self.norms.append(norm)
    self.Conv_0 = nn.Conv2d(channels, features, 3, 1, 1)
    self.Conv_1 = nn.Conv2d(features, features, 3, 1, 1)
    self.Conv_2 = nn.Conv2d(channels, features, 1)

  def forward(self, images, labels):
    first, second = self.norms
    hidden = self.Conv_0(_up(torch.relu(first(images, labels))))
    hidden = self.Conv_1(torch.relu(second(hidden, labels)))
    return hidden + self.Conv_2(_up(images))


def _up(images):
  return functional.interpolate(images, scale_factor=2, mode="nearest")


class Generator(nn.Module):
  """Latents [B, Z] -> images [B, C, H, W]; `classes` of conditional norms, 0 for none."""

  def __init__(self, size: int, colours: int, channels: tuple, latent_dim: int, classes: int = 0):
    super().__init__()
    self.side, self.first = size // 2 ** (len(channels) - 1), channels[0]
    self.Dense_0 = nn.Linear(latent_dim, self.side**2 * channels[0])
    self.blocks = []
    for place, (before, after) in enumerate(zip(channels, channels[1:], strict=False)):
      self.blocks.append(UpBlock(before, after, classes))
      self.add_module(f"UpBlock_{place}", self.blocks[-1])
    self.Norm_0 = PlainNorm(channels[-1])
    self.Conv_0 = nn.Conv2d(channels[-1], colours, 3, 1, 1)

  def forward(self, latents, labels=None):
    hidden = self.Dense_0(latents).unflatten(1, (self.side, self.side, self.first))
    hidden = hidden.permute(0, 3, 1, 2)
    for block in self.blocks:
      hidden = block(hidden, labels)
    return torch.tanh(self.Conv_0(torch.relu(self.Norm_0(hidden))))


class DownBlock(nn.Module):
  """The orders of the source: the first shortcut is pooled before its convolution, others after."""

  def __init__(self, channels: int, features: int, down: bool, first: bool, wrap: Callable):
    super().__init__()
    self.down, self.first = down, first
    between = features if first else channels
    self.Conv_0 = wrap(nn.Conv2d(channels, between, 3, 1, 1))
    self.Conv_1 = wrap(nn.Conv2d(between, features, 3, 1, 1))
    if down or channels != features:
      self.Conv_2 = wrap(nn.Conv2d(channels, features, 1))

  def forward(self, images):
    hidden = self.Conv_0(images if self.first else torch.relu(images))
    hidden, shortcut = self.Conv_1(torch.relu(hidden)), images
    if self.first:
      return self._pool(hidden) + self.Conv_2(self._pool(images))
    if hasattr(self, "Conv_2"):
      shortcut = self.Conv_2(images)
    return self._pool(hidden) + self._pool(shortcut)

  def _pool(self, images):
    return functional.avg_pool2d(images, 2) if self.down else images


class Discriminator(nn.Module):
  """Images [B, C, H, W] -> logits [B]; with `classes` by projection."""

  def __init__(
    self,
    colours: int,
    channels: tuple,
    downs: tuple,
    spectral: bool,
    pooling: str,
    logit_bias: bool,
    classes: int = 0,
  ):
    super().__init__()
    wrap = spectral_norm if spectral else lambda module: module
    self.pooling, self.blocks = pooling, []
    before = (colours, *channels)
    for place, (channel, feature, down) in enumerate(zip(before, channels, downs, strict=False)):
      self.blocks.append(DownBlock(channel, feature, down, place == 0, wrap))
      self.add_module(f"DownBlock_{place}", self.blocks[-1])
    self.logit = wrap(nn.Linear(channels[-1], 1, bias=logit_bias))
    if classes:
      self.projection = wrap(nn.Embedding(classes, channels[-1]))

  def forward(self, images, labels=None):
    for block in self.blocks:
      images = block(images)
    hidden = getattr(torch.relu(images), self.pooling)((2, 3))
    logits = self.logit(hidden)[:, 0]
    return logits + (self.projection(labels) * hidden).sum(1) if labels is not None else logits


def leaves(network: nn.Module, params: Mapping[str, Any]) -> dict[str, np.ndarray]:
  """Returns our parameters, or gradients, by the names and in the forms of PyTorch's.

  Args:
    network: built with the same sizes.
    params: of the Flax module, or a gradient of its tree.
  """
  found = {}
  for name, module in network.named_modules():
    layer = params
    for part in filter(None, name.split(".")):
      layer = layer.get(part, {})
    if "gain" in layer:  # of attention, a number of its own
      found[f"{name}.gain"] = np.asarray(layer["gain"])
    if isinstance(module, (nn.Linear, nn.Conv2d, nn.Embedding, nn.BatchNorm2d)):
      layer = next((layer[each] for each in _INNER if each in layer), layer)
      for ours, array in layer.items():
        raw = ours != "bias" and hasattr(module, "weight_orig")
        theirs = "bias" if ours == "bias" else "weight_orig" if raw else "weight"
        found[f"{name}.{theirs}"] = np.asarray(array).transpose(*_AXES[module.weight.ndim, ours])
  return found


_INNER = ("Dense_0", "BatchNorm_0", "Embed_0")
_AXES = {
  (4, "kernel"): (3, 2, 0, 1),
  (2, "kernel"): (1, 0),
  (2, "embedding"): (0, 1),
  (1, "scale"): (0,),
} | {(dimensions, "bias"): (0,) for dimensions in (1, 2, 4)}


def load(network: nn.Module, params: Mapping[str, Any], spectral: Mapping[str, Any]) -> None:
  """Gives a network our parameters, our vectors u of its normalised weights, and v of u."""
  for name, array in leaves(network, params).items():
    network.get_parameter(name).data = torch.tensor(array)
  for name, module in network.named_modules():
    if hasattr(module, "weight_u"):
      state = spectral
      for part in name.split("."):
        state = state[part]
      state = next((state[each] for each in _INNER if each in state), state)
      module.weight_u.copy_(torch.tensor(np.asarray(state["u"])))
      # Ours has no v, and computes it from u; PyTorch's is of its last call in training.
      back = module.weight_orig.data.flatten(1).T @ module.weight_u
      module.weight_v.copy_(functional.normalize(back, dim=0))
