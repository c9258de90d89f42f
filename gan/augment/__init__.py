"""Augmentations of what the discriminator is shown, by name."""

from gan.augment.base import Augmentation, Entry, as_augmentation, compose
from gan.augment.instance_noise import instance_noise, make_instance_noise
from gan.augment.real import make_prepare

__all__ = [
  "AUGMENTATIONS",
  "Augmentation",
  "Entry",
  "as_augmentation",
  "compose",
  "instance_noise",
  "make_instance_noise",
  "make_prepare",
]

AUGMENTATIONS: dict[str, Entry] = {
  "instance_noise": Entry(
    make_instance_noise,
    "Gaussian noise",
    "Sonderby et al. 2017, arXiv:1610.04490",
    strength="instance_noise",
    steps="instance_noise_steps",
  ),
}
