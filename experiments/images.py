"""Trains a GAN on images of your own.

  python -m experiments.images --data_dir=my_photos --image_size=64

--data_dir is a folder of images, loose or in one sub-folder a class, a .zip of images with
dataset.json, a .npz, or the four IDX files; grey or colour, of any one size. --image_size crops the
centred square and resizes it, as images of several sizes and those that are not square need.
--dataset=celeb_a and --dataset=imagenet_resized/32x32 (64x64) are read as tensorflow-datasets
prepares them, without --data_dir where they lie in its own folder. The default is cifar10's DCGAN,
for sides of 4 to 7 times a power of 2 (28, 32, 48, 64, ...); --model=mlp makes any side,
--model=infogan multiples of 4. --conditional gives the classes to both players.
"""

import dataclasses
import sys

from experiments import cifar10
from experiments.cli import common

DEFAULTS = dataclasses.replace(cifar10.DEFAULTS, dataset="images")


def main(argv=None):
  return common.train("images", __doc__, DEFAULTS, argv, own_images=True)


if __name__ == "__main__":
  sys.exit(main())
