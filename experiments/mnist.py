"""Trains a GAN on MNIST.

  python -m experiments.mnist --loss=nonsat

Images of 28x28 grey digits by a DCGAN: 2,000 steps take two to four minutes on two CPU cores, and
nearly all digits of the last grid can be read. --loss=sat ends alike. --conditional draws a class
in each row. Where MNIST can be had neither from --data_dir, GAN_DATA_DIR or a prepared TFDS folder
nor by a download, the run says so and uses scikit-learn's bundled digits. Width, latents, rates and
averages are chosen for the DCGAN; another --model has its own width, and Config's for the rest.
"""

import sys

from experiments.cli import common
from gan.training.config import Config

# Chosen by the evaluations of single runs of `nonsat` with seed 0.
DEFAULTS = Config(
  dataset="auto",
  model="dcgan",
  width=48,  # 48 and 96 channels
  discriminator_hidden=256,
  latent_dim=8,
  loss="nonsat",
  generator_learning_rate=2e-3,
  discriminator_learning_rate=1e-3,
  b1=0.0,
  b2=0.99,
  ema_decay=0.998,
  steps=2000,
  sample_every=500,
  eval_every=1000,
)


def main(argv=None):
  return common.train("mnist", __doc__, DEFAULTS, argv)


if __name__ == "__main__":
  sys.exit(main())
