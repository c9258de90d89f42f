"""The same networks in PyTorch, for comparison only."""

import copy
import functools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from experiments.benchmark import torch_biggan, torch_r3gan, torch_resnet, torch_stylegan2
from experiments.benchmark.cases import GAMES, LATENT_DIM, Case

SLOPE = 0.2  # of LeakyReLU


def build(case: Case) -> tuple[nn.Module, nn.Module]:
  """Returns (generator, discriminator) of a case: latents [B, Z] -> images [B, C, H, W] -> [B].

  Both are given labels [B] besides, where the case has classes.
  """
  height, width, channels = case.image_shape
  if case.model in GAMES:
    return _PLAYERS[case.model](case.game, height, channels, case.width)
  return _NETWORKS[case.model](height, channels)


def _mlp(size, channels):
  generator, discriminator = [], []
  pixels = size * size * channels
  for n, m in ((LATENT_DIM, 256), (256, 512), (512, 1024)):
    generator += [nn.Linear(n, m), nn.LeakyReLU(SLOPE)]
  for n, m in ((pixels, 1024), (1024, 512), (512, 256)):
    discriminator += [nn.Linear(n, m), nn.LeakyReLU(SLOPE), nn.Dropout(0.3)]
  shape = channels, size, size
  return (
    nn.Sequential(*generator, nn.Linear(1024, pixels), nn.Tanh(), nn.Unflatten(1, shape)),
    nn.Sequential(nn.Flatten(), *discriminator, nn.Linear(256, 1), nn.Flatten(0)),
  )


def _dcgan(size, channels):
  widths = [64]
  while size / 2 ** len(widths) > 7:
    widths.append(2 * widths[-1])
  side, last = size // 2 ** len(widths), widths[-1]
  generator = [
    nn.Linear(LATENT_DIM, side**2 * last, bias=False),
    nn.Unflatten(1, (last, side, side)),
  ]
  for n, m in zip(widths[::-1], widths[-2::-1], strict=False):
    generator += [nn.BatchNorm2d(n), nn.ReLU(), nn.ConvTranspose2d(n, m, 4, 2, 1, bias=False)]
  generator += [nn.BatchNorm2d(64), nn.ReLU(), nn.ConvTranspose2d(64, channels, 4, 2, 1), nn.Tanh()]
  discriminator = []
  for n, m in zip([channels, *widths], widths, strict=False):
    discriminator += [nn.Conv2d(n, m, 4, 2, 1), nn.LeakyReLU(SLOPE)]
  discriminator += [nn.Flatten(), nn.Linear(side**2 * last, 1), nn.Flatten(0)]
  return nn.Sequential(*generator), nn.Sequential(*discriminator)


def _infogan(size, channels):
  side = size // 4
  units = 128 * side**2
  generator = nn.Sequential(
    *(nn.Linear(LATENT_DIM, 1024), nn.BatchNorm1d(1024), nn.LeakyReLU(SLOPE)),
    *(nn.Linear(1024, units), nn.BatchNorm1d(units), nn.LeakyReLU(SLOPE)),
    nn.Unflatten(1, (128, side, side)),
    *(nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.BatchNorm2d(64), nn.LeakyReLU(SLOPE)),
    *(nn.ConvTranspose2d(64, channels, 4, 2, 1), nn.Sigmoid()),
  )
  discriminator = nn.Sequential(
    *(nn.Conv2d(channels, 64, 4, 2, 1), nn.LeakyReLU(SLOPE)),
    *(nn.Conv2d(64, 128, 4, 2, 1), nn.BatchNorm2d(128), nn.LeakyReLU(SLOPE)),
    nn.Flatten(),
    *(nn.Linear(units, 1024), nn.BatchNorm1d(1024), nn.LeakyReLU(SLOPE)),
    *(nn.Linear(1024, 1), nn.Flatten(0)),
  )
  return generator, discriminator


_NETWORKS: dict[str, Callable] = {"mlp": _mlp, "dcgan": _dcgan, "infogan": _infogan}


def _resnet(game, size, colours, width, scale=1):
  """`scale`: channels of G over those of D."""
  generator = torch_resnet.Generator(size, colours, (scale * width,) * 4, game.latent_dim)
  downs = (True, True, False, False)
  discriminator = torch_resnet.Discriminator(colours, (width,) * 4, downs, True, "sum", False)
  return generator, discriminator


def _biggan(game, size, colours, width, scale=1):
  """`scale`: channels of both over the width."""
  channels, classes = scale * width, game.classes
  generator = torch_biggan.Generator(size, colours, channels, 3, game.latent_dim, classes)
  return generator, torch_biggan.Discriminator(colours, channels, classes)


def _stylegan2(game, size, colours, width):
  """`width` channels up to 16 pixels, and half as many with each doubling then."""
  channels = tuple(min(16 * width // side, width) for side in _sides(size))
  return _styled(game, colours, channels)


def _stylegan2_cifar10(game, size, colours, width):
  """`width` channels at the images' side, twice as many with each halving, 512 at most."""
  return _styled(game, colours, tuple(min(size * width // side, 512) for side in _sides(size)))


def _sides(size):
  return [side for side in (4, 8, 16, 32, 64) if side <= size]


def _styled(game, colours, channels):
  generator, discriminator = torch_stylegan2.initial(channels, colours, game.latent_dim)
  return (
    torch_stylegan2.Generator(generator, game.latent_dim),
    torch_stylegan2.Discriminator(discriminator),
  )


def _r3gan(game, size, colours, width):
  del size
  widths = [width * each // 96 for each in (96, 64, 32, 16)]
  return _residual(game, colours, [(each, each // 8, 1) for each in widths])


def _r3gan_cifar10(game, size, colours, width):
  return _residual(game, colours, [(width, width // 8, 2) for _ in _sides(size)])


def _residual(game, colours, stages):
  generator = torch_r3gan.Generator(game.latent_dim, colours, stages, game.classes)
  return generator, torch_r3gan.Discriminator(colours, stages, game.classes)


_PLAYERS = {
  "resnet": _resnet,
  "biggan": _biggan,
  "stylegan2": _stylegan2,
  "r3gan": _r3gan,
  "sngan_cifar10": functools.partial(_resnet, scale=2),
  "biggan_cifar10": functools.partial(_biggan, scale=4),
  "stylegan2_cifar10": _stylegan2_cifar10,
  "r3gan_cifar10": _r3gan_cifar10,
}


class Classifier(nn.Module):
  """The shipped classifier of 28-pixel images: grey images in [-1, 1] -> features [B, 64]."""

  def __init__(self):
    super().__init__()
    self.convolutions = nn.ModuleList(
      [nn.Conv2d(1, 32, 5, 2), nn.Conv2d(32, 64, 3, 1, 1), nn.Conv2d(64, 64, 4, 2, 1)]
    )
    self.dense = nn.Linear(49 * 64, 64)

  def forward(self, images):
    # A kernel of 5 with stride 2 needs three pixels around, of which the odd one is at the end.
    hidden = nn.functional.pad(images, (1, 2, 1, 2))
    for convolution in self.convolutions:
      hidden = torch.relu(convolution(hidden))
    return torch.relu(self.dense(hidden.flatten(1)))


def in_inference_mode(discriminator: nn.Module) -> nn.Module:
  """Returns the same discriminator, weights and statistics shared, that stays in inference mode."""
  shared = {id(t): t for t in (*discriminator.parameters(), *discriminator.buffers())}
  return copy.deepcopy(discriminator, shared).eval()


def in_order(
  network: nn.Module, params: dict, flattened: tuple[int, int, int] | None
) -> Iterator[np.ndarray]:
  """Yields our parameters, or gradients, in the order and the form of `network.parameters()`.

  Args:
    network: built for the same case.
    params: of the Flax module; layers of a kind are numbered in the order of their calls.
    flattened: (H, W, C) where a dense layer meets images: ours has channels last, PyTorch first.
  """
  counts = {}
  for module in network.modules():
    kind = _KINDS.get(type(module))
    if kind is None:
      continue
    layer = params[f"{kind}_{counts.get(kind, 0)}"]
    counts[kind] = counts.get(kind, 0) + 1
    yield from _FORMS[kind](layer, flattened)


_KINDS = {
  nn.Linear: "Dense",
  nn.Conv2d: "Conv",
  nn.ConvTranspose2d: "Conv",
  nn.BatchNorm1d: "Norm",
  nn.BatchNorm2d: "Norm",
}


def _dense_form(layer, flattened):
  layer = layer["Dense_0"]
  kernel, bias = np.asarray(layer["kernel"]), layer.get("bias")
  size = 0 if flattened is None else int(np.prod(flattened))
  if kernel.shape[0] == size:
    kernel = _channels_first(kernel, flattened)
  if kernel.shape[1] == size:
    kernel = _channels_first(kernel.T, flattened).T
    bias = bias if bias is None else _channels_first(np.asarray(bias)[:, None], flattened)[:, 0]
  yield kernel.T
  if bias is not None:
    yield np.asarray(bias)


def _channels_first(rows, shape):
  return rows.reshape(*shape, -1).transpose(2, 0, 1, 3).reshape(rows.shape)


def _conv_form(layer, flattened):
  del flattened
  yield np.asarray(layer["kernel"]).transpose(3, 2, 0, 1)
  if "bias" in layer:
    yield np.asarray(layer["bias"])


def _norm_form(layer, flattened):
  layer = layer["BatchNorm_0"]
  # Of as many units as the images after it have, in the same order.
  for name in ("scale", "bias"):
    array = np.asarray(layer[name])
    whole = flattened is not None and array.size == np.prod(flattened)
    yield _channels_first(array[:, None], flattened)[:, 0] if whole else array


_FORMS = {"Dense": _dense_form, "Conv": _conv_form, "Norm": _norm_form}
