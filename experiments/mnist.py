"""Trains a GAN on MNIST.

  python -m experiments.mnist --loss=nonsat

Images of 28x28 grey digits by a DCGAN: 3,500 steps take four to five minutes on two CPU cores, and
most digits of the last grid can be read. --loss=sat ends alike. --conditional draws a class in each
row. Where MNIST can be had neither from --data_dir, GAN_DATA_DIR
or a prepared TFDS folder nor by a download, the run says so and uses scikit-learn's bundled digits.
Width and rates are chosen for the DCGAN; another --model has its own width, and rates of 2e-4.
"""

import sys

from experiments import common
from gan.config import Config

DEFAULTS = Config(
  dataset="auto",
  model="dcgan",
  width=32,  # 32 and 64 channels: twice as many steps in five minutes as with 64 and 128
  loss="nonsat",
  generator_learning_rate=1e-3,
  discriminator_learning_rate=1e-3,
  steps=3500,
  sample_every=500,
  eval_every=500,
)


def main(argv=None):
  return common.train("mnist", __doc__, DEFAULTS, argv)


if __name__ == "__main__":
  sys.exit(main())
