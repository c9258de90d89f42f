"""Trains a GAN on Fashion-MNIST.

  python -m experiments.fashion_mnist --loss=nonsat

Images of 28x28 grey garments by a DCGAN, as many steps as in experiments.mnist and as long, from
--data_dir, GAN_DATA_DIR, a prepared TFDS folder or a download.
"""

import sys

from experiments import common
from gan.config import Config

DEFAULTS = Config(
  dataset="fashion_mnist",
  model="dcgan",
  width=32,
  loss="nonsat",
  generator_learning_rate=1e-3,
  discriminator_learning_rate=1e-3,
  steps=3500,
  sample_every=500,
)


def main(argv=None):
  return common.train("fashion_mnist", __doc__, DEFAULTS, argv)


if __name__ == "__main__":
  sys.exit(main())
