"""Trains a GAN on MNIST.

  python -m experiments.mnist --loss=nonsat

Images of 28x28 grey digits by a DCGAN: 2,000 steps take two to four minutes on two CPU cores, and
nearly all digits of the last grid can be read. --loss=sat ends alike. --conditional draws a class
in each row. Where MNIST can be had neither from --data_dir, GAN_DATA_DIR or a prepared TFDS folder
nor by a download, the run says so and uses scikit-learn's bundled digits. Width, latents, rates and
averages are chosen for the DCGAN; another --model has its own width, and Config's for the rest.
"""

import sys

from experiments import common
from gan.config import Config

# Chosen on the classifier score and the Frechet distance after 1,500 to 2,000 steps of `nonsat`.
DEFAULTS = Config(
  dataset="auto",
  model="dcgan",
  width=48,  # 48 and 96 channels; with 32 and 64 the score stays .2 lower
  discriminator_hidden=256,  # without it D is too weak to see that images are no digits
  latent_dim=8,  # digits have few degrees of freedom; more latents make more images between them
  loss="nonsat",
  generator_learning_rate=2e-3,
  discriminator_learning_rate=1e-3,
  b1=0.0,  # momentum turns the two players around each other
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
