"""Trains a GAN on CIFAR-10.

  python -m experiments.cifar10 --loss=nonsat

Images of 32x32 colour photographs by a DCGAN of three layers, from --data_dir, GAN_DATA_DIR, a
prepared TFDS folder or a download. The default is a demonstration for two CPU cores: shapes and
colours, not objects. --width=128 --steps=50000 on an accelerator is a real run.
"""

import sys

from experiments.cli import common
from gan.training.config import Config

DEFAULTS = Config(
  dataset="cifar10",
  model="dcgan",
  loss="nonsat",
  latent_dim=128,
  width=32,
  steps=5000,
  sample_every=500,
  eval_every=2500,
)


def main(argv=None):
  return common.train("cifar10", __doc__, DEFAULTS, argv)


if __name__ == "__main__":
  sys.exit(main())
