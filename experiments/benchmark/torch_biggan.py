"""The networks of `gan.models.biggan` in PyTorch, for comparison only.

Modules have the names of the Flax layers, so that weights are found by their paths; `torch_resnet`
has what loads them.
"""

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import spectral_norm

from experiments.benchmark.torch_resnet import DownBlock


class SelfAttention(nn.Module):
  """Each pixel looks at the maxima of blocks of two by two pixels; the identity where gain is 0."""

  def __init__(self, channels: int):
    super().__init__()
    few, half = max(1, channels // 8), max(1, channels // 2)
    ends = {"query": (channels, few), "key": (channels, few), "value": (channels, half)}
    for name, (before, after) in (ends | {"output": (half, channels)}).items():
      self.add_module(name, spectral_norm(nn.Conv2d(before, after, 1, bias=False)))
    self.gain = nn.Parameter(torch.zeros(()))

  def forward(self, images):
    queries = self.query(images).flatten(2)
    keys, values = (
      functional.max_pool2d(layer(images), 2).flatten(2) for layer in (self.key, self.value)
    )
    weights = torch.softmax(queries.transpose(1, 2) @ keys, dim=-1)
    mixed = values @ weights.transpose(1, 2)
    return images + self.gain * self.output(mixed.unflatten(2, images.shape[2:]))


class ClassNorm(nn.Module):
  """Batch normalisation with a scale, less 1, and a bias of each class."""

  def __init__(self, channels: int, classes: int, spectral: bool, epsilon: float):
    super().__init__()
    wrap = spectral_norm if spectral else lambda module: module
    self.norm = nn.BatchNorm2d(channels, epsilon, affine=False)
    self.scale, self.bias = (wrap(nn.Embedding(classes, channels)) for _ in range(2))

  def forward(self, images, condition):
    scale, bias = (layer(condition)[:, :, None, None] for layer in (self.scale, self.bias))
    return self.norm(images) * (1 + scale) + bias


class VectorNorm(ClassNorm):
  """The same with linear functions of a vector."""

  def __init__(self, channels: int, features: int, epsilon: float):
    super().__init__(channels, 1, False, epsilon)
    layers = (spectral_norm(nn.Linear(features, channels, bias=False)) for _ in range(2))
    self.scale, self.bias = layers


class UpBlock(nn.Module):
  """The order of the source: nearest up-sampling before either convolution."""

  def __init__(self, channels: int, norms: tuple[str, list[nn.Module]]):
    super().__init__()
    kind, self.norms = norms
    for place, norm in enumerate(self.norms):
      self.add_module(f"{kind}_{place}", norm)
    for place, size in enumerate((3, 3, 1)):
      conv = spectral_norm(nn.Conv2d(channels, channels, size, 1, size // 2))
      self.add_module(f"Conv_{place}", conv)

  def forward(self, images, condition):
    hidden = self.Conv_0(_up(torch.relu(self.norms[0](images, condition))))
    hidden = self.Conv_1(torch.relu(self.norms[1](hidden, condition)))
    return hidden + self.Conv_2(_up(images))


def _up(images):
  return functional.interpolate(images, scale_factor=2, mode="nearest")


class Generator(nn.Module):
  """Latents [B, Z] -> images [B, C, H, W].

  `shared` is the length of the vector of a label that all norms have, with a part of the latent; 0
  for tables in the norms, and the latent in one piece.
  """

  def __init__(
    self,
    size: int,
    colours: int,
    channels: int,
    blocks: int,
    latent_dim: int,
    classes: int,
    shared_features: int = 0,
    attention_side: int = 0,
    spectral_tables: bool = False,
    epsilon: float = 1e-5,
  ):
    super().__init__()
    self.side, self.parts = size // 2**blocks, blocks + 1 if shared_features else 1
    part, self.attention_side = latent_dim // self.parts, attention_side
    self.Dense_0 = spectral_norm(nn.Linear(part, self.side**2 * channels))
    if shared_features:
      self.shared = nn.Embedding(classes, shared_features)
    self.blocks = []
    for place in range(blocks):
      kind = "SelfModulatedNorm" if shared_features else "ConditionalNorm"
      norms = [
        VectorNorm(channels, shared_features + part, epsilon)
        if shared_features
        else ClassNorm(channels, classes, spectral_tables, epsilon)
        for _ in range(2)
      ]
      self.blocks.append(UpBlock(channels, (kind, norms)))
      self.add_module(f"UpBlock_{place}", self.blocks[-1])
    if attention_side:
      self.SelfAttention_0 = SelfAttention(channels)
    self.Norm_0 = nn.BatchNorm2d(channels, epsilon)
    self.Conv_0 = spectral_norm(nn.Conv2d(channels, colours, 3, 1, 1))

  def forward(self, latents, labels):
    first, *others = latents.chunk(self.parts, dim=1)
    conditions = [labels] * len(self.blocks)
    if others:
      conditions = [torch.cat([self.shared(labels), part], 1) for part in others]
    hidden = self.Dense_0(first).unflatten(1, (self.side, self.side, -1)).permute(0, 3, 1, 2)
    for block, condition in zip(self.blocks, conditions, strict=True):
      hidden = block(hidden, condition)
      if hidden.shape[2] == self.attention_side:
        hidden = self.SelfAttention_0(hidden)
    return torch.tanh(self.Conv_0(torch.relu(self.Norm_0(hidden))))


class Discriminator(nn.Module):
  """Images [B, C, H, W] -> logits [B], by projection."""

  def __init__(self, colours: int, channels: int, classes: int, attention_side: int = 0):
    super().__init__()
    self.attention_side, self.blocks = attention_side, []
    for place, down in enumerate((True, True, False, False)):
      ends = channels if place else colours, channels
      self.blocks.append(DownBlock(*ends, down, place == 0, spectral_norm))
      self.add_module(f"DownBlock_{place}", self.blocks[-1])
    if attention_side:
      self.SelfAttention_0 = SelfAttention(channels)
    self.logit = spectral_norm(nn.Linear(channels, 1))
    self.projection = spectral_norm(nn.Embedding(classes, channels))

  def forward(self, images, labels):
    for block in self.blocks:
      before, images = images.shape[2], block(images)
      if before > images.shape[2] == self.attention_side:
        images = self.SelfAttention_0(images)
    hidden = torch.relu(images).sum((2, 3))
    return self.logit(hidden)[:, 0] + (self.projection(labels) * hidden).sum(1)
