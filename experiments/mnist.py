"""Trains a GAN on MNIST.

  python -m experiments.mnist --loss=nonsat

Images of 28x28 grey digits by a DCGAN. Where MNIST can be had neither from --data_dir, GAN_DATA_DIR
or a prepared TFDS folder nor by a download, the run says so and uses scikit-learn's bundled digits.
"""

import sys

from experiments import common
from gan.config import Config

DEFAULTS = Config(
  dataset="auto",
  model="dcgan",
  loss="nonsat",
)


def main(argv=None):
  return common.train("mnist", __doc__, DEFAULTS, argv)


if __name__ == "__main__":
  sys.exit(main())
