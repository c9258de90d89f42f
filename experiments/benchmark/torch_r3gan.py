"""R3GAN's networks in PyTorch, for comparison only."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

SLOPE = 0.2  # of LeakyReLU
LABEL_FEATURES = 64


def _conv1(inputs, outputs, bias=False):
  return nn.Conv2d(inputs, outputs, 1, bias=bias)


class Block(nn.Module):
  """A residual block without normalisation, twice as wide within."""

  def __init__(self, width: int, groups: int):
    super().__init__()
    self.branch = nn.Sequential(
      _conv1(width, 2 * width, bias=True),
      nn.LeakyReLU(SLOPE),
      nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=groups),
      nn.LeakyReLU(SLOPE),
      _conv1(2 * width, width),
    )

  def forward(self, inputs):
    return inputs + self.branch(inputs)


class Fir(nn.Module):
  """Up- or down-sampling by 2 through the filter [1, 3, 3, 1]."""

  def __init__(self, channels: int, up: bool):
    super().__init__()
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    kernel = torch.outer(taps, taps).expand(channels, 1, 4, 4) * (4 if up else 1)
    self.register_buffer("kernel", kernel.contiguous(), persistent=False)
    functional = nn.functional
    self._resample = functional.conv_transpose2d if up else functional.conv2d

  def forward(self, images):
    return self._resample(images, self.kernel, stride=2, padding=1, groups=len(self.kernel))


def _filters(layers):
  """Those without parameters, known to the network so that they move to its device."""
  return nn.ModuleList([layer for layer in layers if isinstance(layer, Fir)])


class Generator(nn.Module):
  """Latents [B, Z] -> images [B, C, H, W]; stages are (width, groups, blocks) from 4 pixels on."""

  def __init__(self, latent_dim: int, channels: int, stages: Sequence, classes: int = 0):
    super().__init__()
    first, last = stages[0][0], stages[-1][0]
    self.label = nn.Linear(classes, LABEL_FEATURES, bias=False) if classes else None
    self.latent = nn.Linear(latent_dim + LABEL_FEATURES * bool(classes), first, bias=False)
    self.basis = nn.Parameter(torch.randn(first, 4, 4))
    self.blocks, self.transitions, layers = nn.ModuleList(), nn.ModuleList(), []
    before = first
    for index, (width, groups, blocks) in enumerate(stages):
      if width != before:
        self.transitions.append(_conv1(before, width))
        layers.append(self.transitions[-1])
      layers += [Fir(width, up=True)] if index else []
      made = [Block(width, groups) for _ in range(blocks)]
      self.blocks.extend(made)
      layers += made
      before = width
    self.transitions.append(_conv1(last, channels))
    self._layers = [*layers, self.transitions[-1]]
    self.filters = _filters(layers)

  def forward(self, latents, labels=None):
    if self.label is not None:
      latents = torch.cat([latents, _label(self.label, labels)], 1)
    hidden = self.latent(latents)[:, :, None, None] * self.basis
    for layer in self._layers:
      hidden = layer(hidden)
    return hidden


class Discriminator(nn.Module):
  """Images [B, C, H, W] -> logits [B]; stages as of the generator."""

  def __init__(self, channels: int, stages: Sequence, classes: int = 0):
    super().__init__()
    width = stages[-1][0]
    self.blocks, self.transitions = nn.ModuleList(), nn.ModuleList([_conv1(channels, width)])
    layers = [self.transitions[0]]
    for index, (width, groups, blocks) in reversed([*enumerate(stages)]):
      made = [Block(width, groups) for _ in range(blocks)]
      self.blocks.extend(made)
      layers += made
      layers += [Fir(width, up=False)] if index else []
      if index and (after := stages[index - 1][0]) != width:
        self.transitions.append(_conv1(width, after))
        layers.append(self.transitions[-1])
    self._layers, self.filters = layers, _filters(layers)
    self.depthwise = nn.Conv2d(width, width, 4, groups=width, bias=False)
    self.output = nn.Linear(width, width if classes else 1, bias=False)
    self.label = nn.Linear(classes, width, bias=False) if classes else None

  def forward(self, images, labels=None):
    for layer in self._layers:
      images = layer(images)
    outputs = self.output(self.depthwise(images).flatten(1))
    if self.label is None:
      return outputs[:, 0]
    return (outputs * _label(self.label, labels)).sum(1)


def _label(linear, labels):
  return linear(nn.functional.one_hot(labels, linear.in_features).to(linear.weight.dtype))


def state_dict(params: Mapping[str, Any]) -> dict[str, torch.Tensor]:
  """Weights, or their gradients, of one of our players by their names in the one here."""
  found, generator = {}, "Basis_0" in params
  for name, layer in params.items():
    kind, _, index = name.partition("_")
    if kind == "Block":
      for place, part in (("0", "Conv_0"), ("2", "GroupedConv_0"), ("4", "Conv_1")):
        found |= _conv(f"blocks.{index}.branch.{place}", layer[part])
    elif kind == "Conv":
      found |= _conv(f"transitions.{index}", layer)
    elif kind == "Dense":
      linear = "output" if index == "0" and not generator else "label"
      found[f"{linear}.weight"] = _tensor(layer["Dense_0"]["kernel"], 1, 0)
    elif kind == "Basis":
      found["basis"] = _tensor(layer["basis"], 2, 0, 1)
      found["latent.weight"] = _tensor(layer["Dense_0"]["Dense_0"]["kernel"], 1, 0)
    else:
      found["depthwise.weight"] = _tensor(layer, 2, 0, 1)[:, None]
  return found


def _conv(name, layer):
  bias = {f"{name}.bias": _tensor(layer["bias"], 0)} if "bias" in layer else {}
  return {f"{name}.weight": _tensor(layer["kernel"], 3, 2, 0, 1), **bias}


def _tensor(array, *axes):
  return torch.from_numpy(np.array(array).transpose(axes).copy())
