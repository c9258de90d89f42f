"""StyleGAN2 in PyTorch, for comparison only: functions of our parameters as tensors, and modules.

The filter is another form than ours: a convolution of its own, between zeros where images grow.
"""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

Tree = Any  # of dicts, or of nn.ParameterDicts
EPSILON = 1e-8


def as_tensors(params: Any) -> Any:
  """Returns a tree of arrays as a tree of tensors that gradients are taken in."""
  if isinstance(params, dict):
    return {name: as_tensors(value) for name, value in params.items()}
  return torch.from_numpy(in_their_order(np.array(params))).requires_grad_()


def in_their_order(array: np.ndarray) -> np.ndarray:
  """Returns an array of ours as PyTorch has it: kernels [F, C, k, k]."""
  return np.ascontiguousarray(array.transpose(3, 2, 0, 1)) if array.ndim == 4 else array


def generator(
  params: Tree, latents: torch.Tensor, labels: Any, architecture: str, *, noisy: bool = False
) -> torch.Tensor:
  """Latents [B, Z] -> images [B, C, H, W], without mixing or truncation."""
  styles = mapping(params["mapping"], latents, labels)
  return synthesis(params["synthesis"], styles, architecture, noisy)


def synthesis(parts: Tree, styles: torch.Tensor, architecture: str, noisy: bool) -> torch.Tensor:
  """Styles [B, S], the same for all layers -> images [B, C, H, W]."""
  hidden = parts["LearntConstant_0"]["constant"].permute(2, 0, 1).expand(len(styles), -1, -1, -1)
  sides = (sum(name.startswith("StyledConv") for name in parts) + 1) // 2
  images = None
  for side in range(sides):
    inputs = hidden
    if side:
      hidden = _styled(parts[f"StyledConv_{2 * side - 1}"], hidden, styles, noisy, up=True)
    hidden = _styled(parts[f"StyledConv_{2 * side}"], hidden, styles, noisy)
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
  hidden = features(params, images, architecture)
  return logits(params, _with_plane(hidden, standard_deviations(hidden, group_size)), labels)


def features(params: Tree, images: torch.Tensor, architecture: str) -> torch.Tensor:
  """Images [B, C, H, W] -> [B, F, 4, 4], what the standard deviation of the batch is joined to."""
  convs = (params[f"EqualizedConv_{i}"] for i in range(_convs(params) - 1))
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
  return hidden


def _convs(params):
  return sum(name.startswith("EqualizedConv") for name in params)


def logits(params: Tree, hidden: torch.Tensor, labels: Any) -> torch.Tensor:
  """[B, F + 1, 4, 4] -> logits [B]."""
  hidden = _activate(_conv(params[f"EqualizedConv_{_convs(params) - 1}"], hidden))
  hidden = hidden.permute(0, 2, 3, 1).flatten(1)
  hidden = _dense(params["EqualizedDense_1"], _activate(_dense(params["EqualizedDense_0"], hidden)))
  if labels is None:
    return hidden[:, 0]
  directions = mapping(params["MappingNetwork_0"], None, labels)
  return (hidden * directions).sum(1) / hidden.shape[1] ** 0.5


def _activate(inputs):
  return functional.leaky_relu(inputs, 0.2) * 2**0.5


def _normalised(rows):
  return rows / (rows.square().mean(1, keepdim=True) + EPSILON).sqrt()


def _dense(params, inputs, rate=1.0):
  gain = rate / params["kernel"].shape[0] ** 0.5
  return functional.linear(inputs, params["kernel"].T * gain, params["bias"] * rate)


def mapping(params: Tree, latents: torch.Tensor | None, labels: Any) -> torch.Tensor:
  """Latents [B, Z], labels [B] or both -> w [B, S]."""
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
  kernel = params["kernel"]
  kernel = kernel / kernel[0].numel() ** 0.5
  padding = kernel.shape[-1] // 2 if padding is None else padding
  return functional.conv2d(images, kernel, stride=stride, padding=padding) + _bias(params)


def _styled(params, images, styles, noisy, up=False):
  hidden = _modulated(params, images, styles, up=up)
  if noisy:
    plane = torch.randn_like(hidden[:, :1])
    hidden = hidden + params["Noise_0"]["strength"] * plane
  return _activate(hidden + _bias(params))


def _modulated(params, images, styles, *, demodulate=True, up=False):
  """Scaled inputs and outputs, as the source has it in training."""
  scales = _dense(params["EqualizedDense_0"], styles)
  kernel = params["ModulatedConv_0"]["kernel"]
  images = images * scales[:, :, None, None]
  if not demodulate:
    kernel = kernel / kernel[0].numel() ** 0.5
  if up:
    spread = functional.conv_transpose2d(images, kernel.transpose(0, 1), stride=2)
    outputs = 4 * _fir(spread, 1)
  else:
    outputs = functional.conv2d(images, kernel, padding=kernel.shape[-1] // 2)
  if not demodulate:
    return outputs
  energy = scales.square() @ kernel.square().sum((2, 3)).T
  return outputs * (energy + EPSILON).rsqrt()[:, :, None, None]


def _fir(images, padding):
  # [1, 3, 3, 1], computed where the images are: a copy from the host breaks CUDA graphs.
  taps = (1 + 2 * (torch.arange(4, device=images.device) % 3 > 0)) / 8
  kernel = torch.outer(taps, taps).expand(images.shape[1], 1, 4, 4)
  return functional.conv2d(images, kernel, padding=padding, groups=images.shape[1])


def _fir_up(images):
  """Zeros between the pixels, two before the first and two behind the last: then the filter."""
  count, channels, height, width = images.shape
  spread = images.new_zeros(count, channels, 2 * height, 2 * width)
  spread[:, :, ::2, ::2] = images
  return 4 * _fir(functional.pad(spread, (2, 1, 2, 1)), 0)


def standard_deviations(images: torch.Tensor, group_size: int) -> torch.Tensor:
  """[B, C, H, W] -> [B], the mean standard deviation of an example's group."""
  groups = images.reshape(min(group_size, len(images)), -1, *images.shape[1:])
  standard_deviation = (groups.var(0, correction=0) + EPSILON).sqrt().mean((1, 2, 3))
  return standard_deviation.repeat(len(groups))


def _with_plane(images, standard_deviation):
  plane = standard_deviation.reshape(-1, 1, 1, 1).expand(len(images), 1, *images.shape[2:])
  return torch.cat([images, plane], 1)


class Generator(nn.Module):
  """Of the architecture "skip": latents [B, Z] -> images, with noise, and the mean w kept."""

  def __init__(self, params: dict[str, Any], style_dim: int):
    super().__init__()
    self.params = as_module(params)
    self.register_buffer("mean", torch.zeros(style_dim))

  def forward(self, latents):
    styles = mapping(self.params["mapping"], latents, None)
    if self.training:
      self.mean.lerp_(styles.detach().float().mean(0), 0.005)
    return synthesis(self.params["synthesis"], styles, "skip", self.training)


class Discriminator(nn.Module):
  """Of the architecture "orig": images -> logits; in inference by the running mean of the plane."""

  def __init__(self, params: dict[str, Any]):
    super().__init__()
    self.params = as_module(params)
    self.register_buffer("mean", torch.ones(1))

  def forward(self, images):
    hidden = features(self.params, images, "orig")
    standard_deviation = self.mean
    if self.training:
      standard_deviation = standard_deviations(hidden, 32)
      self.mean.lerp_(standard_deviation.detach().float().mean(0, keepdim=True), 0.1)
    return logits(self.params, _with_plane(hidden, standard_deviation), None)


def as_module(params: dict[str, Any]) -> nn.ParameterDict:
  """Returns a tree of tensors as nested modules."""
  return nn.ParameterDict(
    {name: as_module(each) if isinstance(each, dict) else each for name, each in params.items()}
  )


def initial(
  channels: tuple[int, ...], colours: int, latent_dim: int
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Returns trees of G's and D's parameters, drawn as ours are; `channels` from 4 pixels on."""
  layers = [width for width in channels for _ in range(2)]  # 4 pixels have one convolution
  synthesis = {"LearntConstant_0": {"constant": torch.randn(4, 4, channels[0])}}
  for place, (before, after) in enumerate(zip(layers, layers[1:], strict=False)):
    synthesis[f"StyledConv_{place}"] = _initial_styled(latent_dim, before, after, 3)
    synthesis[f"StyledConv_{place}"]["Noise_0"] = {"strength": torch.zeros(())}
  for place, width in enumerate(channels):
    synthesis[f"ToImage_{place}"] = _initial_styled(latent_dim, width, colours, 1)
  mapping = {f"EqualizedDense_{i}": _initial_dense(latent_dim, latent_dim, 0.01) for i in range(2)}
  down = channels[::-1]
  ends = [(colours, down[0], 1)]
  for before, after in zip(down, down[1:], strict=False):
    ends += [(before, before, 3), (before, after, 3)]
  ends.append((down[-1] + 1, down[-1], 3))
  judge = {f"EqualizedConv_{i}": _initial_conv(*each) for i, each in enumerate(ends)}
  judge["EqualizedDense_0"] = _initial_dense(16 * down[-1], down[-1])
  judge["EqualizedDense_1"] = _initial_dense(down[-1], 1)
  return {"mapping": mapping, "synthesis": synthesis}, judge


def _initial_styled(styles, channels, features, size):
  kernel = {"kernel": torch.randn(features, channels, size, size)}
  bias = {"bias": torch.zeros(features)}
  dense = _initial_dense(styles, channels, bias=1.0)
  return {"EqualizedDense_0": dense, "ModulatedConv_0": kernel, "Bias_0": bias}


def _initial_dense(inputs, outputs, rate=1.0, bias=0.0):
  return {"kernel": torch.randn(inputs, outputs) / rate, "bias": torch.full((outputs,), bias)}


def _initial_conv(channels, features, size):
  bias = {"bias": torch.zeros(features)}
  return {"kernel": torch.randn(features, channels, size, size), "Bias_0": bias}
