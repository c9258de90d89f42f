"""Trains a GAN on eight Gaussians in a ring, drawn as points over the level sets of D.

  python -m experiments.ring --loss=nonsat
  python -m experiments.ring --loss=wgan --penalty=wgan_gp --animate

Points in the plane by two networks of 2 x 128 ReLU units; --dataset=grid has 25 Gaussians. 5,000
steps take under a minute on two CPU cores; the points lie on most of the ring's modes, with bridges
between them. --animate trains the run once more, in one compiled program that keeps 60 snapshots,
and writes them as animation.gif.
"""

import sys

from experiments.cli import common
from gan.training.config import Config

DEFAULTS = Config(
  dataset="ring",
  model="points",
  loss="nonsat",
  latent_dim=16,
  batch_size=256,
  generator_learning_rate=1e-3,
  discriminator_learning_rate=1e-3,
  steps=5000,
  log_every=50,
  sample_every=1000,
  eval_every=1000,
  eval_samples=2500,
  checkpoint_every=2500,
)


def main(argv=None):
  return common.train("ring", __doc__, DEFAULTS, argv, animated=True)


if __name__ == "__main__":
  sys.exit(main())
