"""Trains a GAN on Fashion-MNIST.

  python -m experiments.fashion_mnist --loss=nonsat

Images of 28x28 grey garments by a DCGAN, as many steps as in experiments.mnist and as long, from
--data_dir, GAN_DATA_DIR, a prepared TFDS folder or a download.
"""

import dataclasses
import sys

from experiments import mnist
from experiments.cli import common

DEFAULTS = dataclasses.replace(mnist.DEFAULTS, dataset="fashion_mnist")


def main(argv=None):
  return common.train("fashion_mnist", __doc__, DEFAULTS, argv)


if __name__ == "__main__":
  sys.exit(main())
