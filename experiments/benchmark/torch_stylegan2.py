"""StyleGAN2 in PyTorch, for comparison only: functions of our parameters as tensors.

The forms are others than ours: kernels of each example in one grouped convolution, and the filter
as a convolution of its own, between zeros where images grow. Noise is left out: it is off at first.
"""

from typing import Any

import numpy as np
import torch
from torch.nn import functional

Tree = dict[str, Any]
EPSILON = 1e-8


def as_tensors(params: Any) -> Any:
  """Returns a tree of arrays as a tree of tensors that gradients are taken in."""
  if isinstance(params, dict):
    return {name: as_tensors(value) for name, value in params.items()}
  return torch.from_numpy(np.array(params)).requires_grad_()


def generator(params: Tree, latents: torch.Tensor, labels: Any, architecture: str) -> torch.Tensor:
  """Latents [B, Z] -> images [B, C, H, W], without noise, mixing or truncation."""
  styles = _mapping(params["mapping"], latents, labels)
  parts = params["synthesis"]
  hidden = parts["LearntConstant_0"]["constant"].permute(2, 0, 1).expand(len(latents), -1, -1, -1)
  sides = (sum(name.startswith("StyledConv") for name in parts) + 1) // 2
  images = None
  for side in range(sides):
    inputs = hidden
    if side:
      hidden = _styled(parts[f"StyledConv_{2 * side - 1}"], hidden, styles, up=True)
    hidden = _styled(parts[f"StyledConv_{2 * side}"], hidden, styles)
    if side and architecture == "resnet":
      around = _conv(parts[f"EqualizedConv_{side - 1}"], inputs)
      hidden = (hidden + _fir_up(around)) / 2**0.5
    if architecture == "skip" or side == sides - 1:
      layer = parts[f"ToImage_{side if architecture == 'skip' else 0}"]
      made = _modulated(layer, hidden, styles, demodulate=False) + _bias(layer)
      images = made if images is None else made + _fir_up(images)
  return images


def discriminator(
  params: Tree, images: torch.Tensor, labels: Any, architecture: str, group_size: int
) -> torch.Tensor:
  """Images [B, C, H, W] -> logits [B]."""
  count = sum(name.startswith("EqualizedConv") for name in params)
  convs = (params[f"EqualizedConv_{i}"] for i in range(count))
  hidden = _activate(_conv(next(convs), images))
  while hidden.shape[-1] > 4:
    inputs = hidden
    hidden = _activate(_conv(next(convs), hidden))
    hidden = _activate(_conv(next(convs), _fir(hidden, 2), stride=2, padding=0))
    if architecture == "resnet":
      hidden = (hidden + _conv(next(convs), _fir(inputs, 1)[:, :, ::2, ::2])) / 2**0.5
    if architecture == "skip":
      images = _fir(images, 1)[:, :, ::2, ::2]
      hidden = hidden + _activate(_conv(next(convs), images))
  hidden = _activate(_conv(next(convs), _with_deviation(hidden, group_size)))
  hidden = hidden.permute(0, 2, 3, 1).flatten(1)
  hidden = _dense(params["EqualizedDense_1"], _activate(_dense(params["EqualizedDense_0"], hidden)))
  if labels is None:
    return hidden[:, 0]
  directions = _mapping(params["MappingNetwork_0"], None, labels)
  return (hidden * directions).sum(1) / hidden.shape[1] ** 0.5


def _activate(inputs):
  return functional.leaky_relu(inputs, 0.2) * 2**0.5


def _normalised(rows):
  return rows / (rows.square().mean(1, keepdim=True) + EPSILON).sqrt()


def _dense(params, inputs, rate=1.0):
  gain = rate / params["kernel"].shape[0] ** 0.5
  return functional.linear(inputs, params["kernel"].T * gain, params["bias"] * rate)


def _mapping(params, latents, labels):
  layers = [params[f"EqualizedDense_{i}"] for i in range(len(params))]
  parts = [] if latents is None else [_normalised(latents)]
  if labels is not None:
    embedding = layers.pop(0)
    chosen = functional.one_hot(labels, embedding["kernel"].shape[0]).float()
    parts.append(_normalised(_dense(embedding, chosen)))
  hidden = torch.cat(parts, 1)
  for layer in layers:
    hidden = _activate(_dense(layer, hidden, 0.01))
  return hidden


def _bias(params):
  return params["Bias_0"]["bias"].reshape(1, -1, 1, 1) if "Bias_0" in params else 0


def _conv(params, images, stride=1, padding=None):
  kernel = params["kernel"].permute(3, 2, 0, 1)
  kernel = kernel / kernel[0].numel() ** 0.5
  padding = kernel.shape[-1] // 2 if padding is None else padding
  return functional.conv2d(images, kernel, stride=stride, padding=padding) + _bias(params)


def _styled(params, images, styles, up=False):
  return _activate(_modulated(params, images, styles, up=up) + _bias(params))


def _modulated(params, images, styles, *, demodulate=True, up=False):
  """A grouped convolution, a group an example."""
  scales = _dense(params["EqualizedDense_0"], styles)
  count, channels, height, width = images.shape
  kernel = params["ModulatedConv_0"]["kernel"].permute(3, 2, 0, 1)[None]
  kernels = kernel * scales.reshape(count, 1, channels, 1, 1)  # [B, F, C, k, k]
  if demodulate:
    kernels = kernels / (kernels.square().sum((2, 3, 4), keepdim=True) + EPSILON).sqrt()
  else:
    kernels = kernels / kernel[0, 0].numel() ** 0.5
  grouped = images.reshape(1, count * channels, height, width)
  if up:
    scattered = functional.conv_transpose2d(
      grouped, kernels.transpose(1, 2).flatten(0, 1), stride=2, groups=count
    )
    return 4 * _fir(scattered.reshape(count, -1, *scattered.shape[2:]), 1)
  size = kernel.shape[-1]
  outputs = functional.conv2d(grouped, kernels.flatten(0, 1), padding=size // 2, groups=count)
  return outputs.reshape(count, -1, height, width)


def _fir(images, padding):
  taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
  kernel = torch.outer(taps, taps).expand(images.shape[1], 1, 4, 4)
  return functional.conv2d(images, kernel, padding=padding, groups=images.shape[1])


def _fir_up(images):
  """Zeros between the pixels, two before the first and two behind the last: then the filter."""
  count, channels, height, width = images.shape
  spread = images.new_zeros(count, channels, 2 * height, 2 * width)
  spread[:, :, ::2, ::2] = images
  return 4 * _fir(functional.pad(spread, (2, 1, 2, 1)), 0)


def _with_deviation(images, group_size):
  count = len(images)
  groups = images.reshape(min(group_size, count), -1, *images.shape[1:])
  deviation = (groups.var(0, correction=0) + EPSILON).sqrt().mean((1, 2, 3))
  plane = deviation.repeat(len(groups)).reshape(-1, 1, 1, 1)
  return torch.cat([images, plane.expand(-1, 1, *images.shape[2:])], 1)
