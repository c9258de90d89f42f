"""A worker that makes the same training steps in PyTorch, eager, for comparison only."""

import sys

import torch
from torch import nn
from torch.nn.functional import softplus

from experiments.benchmark.cases import CASES, LATENT_DIM, serve


def mlp():
  """256-512-1024 against 1024-512-256, LeakyReLU .2, dropout .3 in D."""
  generator, discriminator = [], []
  for n, m in ((LATENT_DIM, 256), (256, 512), (512, 1024)):
    generator += [nn.Linear(n, m), nn.LeakyReLU(0.2)]
  for n, m in ((784, 1024), (1024, 512), (512, 256)):
    discriminator += [nn.Linear(n, m), nn.LeakyReLU(0.2), nn.Dropout(0.3)]
  return (
    nn.Sequential(*generator, nn.Linear(1024, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28))),
    nn.Sequential(nn.Flatten(), *discriminator, nn.Linear(256, 1)),
  )


def dcgan():
  """128-64 transposed convolutions against 64-128 convolutions, batch normalisation in G."""
  generator = nn.Sequential(
    nn.Linear(LATENT_DIM, 49 * 128, bias=False),
    nn.Unflatten(1, (128, 7, 7)),
    nn.BatchNorm2d(128),
    nn.ReLU(),
    nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False),
    nn.BatchNorm2d(64),
    nn.ReLU(),
    nn.ConvTranspose2d(64, 1, 4, 2, 1),
    nn.Tanh(),
  )
  discriminator = nn.Sequential(
    nn.Conv2d(1, 64, 4, 2, 1),
    nn.LeakyReLU(0.2),
    nn.Conv2d(64, 128, 4, 2, 1),
    nn.LeakyReLU(0.2),
    nn.Flatten(),
    nn.Linear(49 * 128, 1),
  )
  return generator, discriminator


NETWORKS = {"mlp": mlp, "dcgan": dcgan}


def main():
  case, batch_size = sys.argv[1], int(sys.argv[2])
  generator, discriminator = NETWORKS[CASES[case]]()
  players = generator, discriminator
  optimizers = [torch.optim.Adam(net.parameters(), 2e-4, betas=(0.5, 0.999)) for net in players]
  data = torch.randint(0, 256, (10 * batch_size, 1, 28, 28), dtype=torch.uint8)

  def step():
    real = data[torch.randint(len(data), (batch_size,))].float() / 127.5 - 1
    with torch.no_grad():
      fake = generator(torch.randn(batch_size, LATENT_DIM))
    loss = (softplus(-discriminator(real)) + softplus(discriminator(fake))).mean()
    optimizers[1].zero_grad()
    loss.backward()
    optimizers[1].step()
    # D's parameters need no gradient while G learns: ours computes none either.
    discriminator.requires_grad_(False)
    loss = softplus(-discriminator(generator(torch.randn(batch_size, LATENT_DIM)))).mean()
    optimizers[0].zero_grad()
    loss.backward()
    optimizers[0].step()
    discriminator.requires_grad_(True)

  def steps(count):
    for _ in range(count):
      step()

  counts = tuple(sum(p.numel() for p in net.parameters()) for net in players)
  serve(counts, steps)


if __name__ == "__main__":
  main()
