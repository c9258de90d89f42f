"""What the players minimise, in PyTorch, for comparison only."""

import contextlib
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import relu, softplus

from experiments.benchmark.cases import Case

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Players(NamedTuple):
  """Networks, their parameters, and the critic: D in inference mode with the same weights."""

  generator: nn.Module
  discriminator: nn.Module
  critic: nn.Module

  @property
  def parameters(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    return list(self.generator.parameters()), list(self.discriminator.parameters())


# Of D and of G, as functions of real and fake logits.
LOSSES = {
  "nonsat": (lambda r, f: softplus(-r) + softplus(f), lambda r, f: softplus(-f)),
  "wgan": (lambda r, f: f - r, lambda r, f: -f),
  "hinge": (lambda r, f: relu(1 - r) + relu(1 + f), lambda r, f: -f),
  "rsgan": (lambda r, f: softplus(f - r), lambda r, f: softplus(r - f)),
}
ALIKE = ("dcgan", "r3gan", "r3gan_cifar10")  # neither dropout nor batch statistics in D


def discriminator_loss(
  case: Case,
  players: Players,
  real: torch.Tensor,
  fake: torch.Tensor,
  share: torch.Tensor,
  *labels: torch.Tensor,
) -> torch.Tensor:
  """Returns D's loss on images [B, C, H, W]; share [B, 1, 1, 1] is of real ones in between."""
  if case.penalty in ("r1", "r1r2"):
    real = real.detach().requires_grad_()
  if case.penalty == "r1r2":
    fake = fake.detach().requires_grad_()
  real_logits = players.discriminator(real, *labels)
  fake_logits = players.discriminator(fake, *labels)
  loss = LOSSES[case.game.loss][0](real_logits, fake_logits).mean()
  if case.penalty == "none":
    return loss
  if case.penalty == "r1r2":
    penalty = _squared_norm(real_logits + fake_logits, real, fake) / 2
  elif case.penalty == "r1":
    logits = real_logits if case.model in ALIKE else players.critic(real)
    penalty = _squared_norm(logits, real) / 2
  else:
    points = torch.lerp(fake, real, share).requires_grad_()
    penalty = ((_squared_norm(players.critic(points), points) + 1e-12).sqrt() - 1).square()
  return loss + case.game.penalty_weight * case.game.penalty_every * penalty.mean()


def _squared_norm(logits, *images):
  """[B], of the gradient of each example's logits, itself differentiable."""
  gradients = torch.autograd.grad(logits.sum(), images, create_graph=True)
  return sum(each.square().sum((1, 2, 3)) for each in gradients)


def generator_loss(
  case: Case, players: Players, latents: torch.Tensor, real: torch.Tensor, *labels: torch.Tensor
) -> torch.Tensor:
  """Returns G's loss; of real images [B, C, H, W] only a relativistic one has the logits."""
  real_logits = None
  if case.game.loss == "rsgan":
    with torch.no_grad():
      real_logits = players.discriminator(real, *labels)
  fake_logits = players.discriminator(players.generator(latents, *labels), *labels)
  return LOSSES[case.game.loss][1](real_logits, fake_logits).mean()


def make_gradients(case: Case, players: Players, device: str) -> tuple[Callable, Callable]:
  """Returns `(real, latents, share) -> gradients of D`, `(latents, real) -> gradients of G`.

  Both are given the labels of the batch besides, where the case has classes.
  """
  generator_params, discriminator_params = players.parameters
  precision = autocast(case, device)

  def of_discriminator(real, latents, share, *labels):
    with precision():
      with torch.no_grad():
        fake = players.generator(latents, *labels)
      loss = discriminator_loss(case, players, real, fake, share, *labels)
    return torch.autograd.grad(loss, discriminator_params)

  def of_generator(latents, real, *labels):
    with precision():
      loss = generator_loss(case, players, latents, real, *labels)
    return torch.autograd.grad(loss, generator_params)

  return of_discriminator, of_generator


def autocast(case: Case, device: str) -> Callable:
  """Returns what makes the context in which a case's precision holds."""
  if case.precision == "float32":
    return contextlib.nullcontext
  return lambda: torch.autocast(device, PRECISIONS[case.precision])
