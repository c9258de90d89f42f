"""Augmentations of what the discriminator is shown, by name."""

from gan.augment.base import Augmentation, Entry, as_augmentation, compose
from gan.augment.instance_noise import annealed, instance_noise, make_instance_noise

__all__ = [
  "AUGMENTATIONS",
  "Augmentation",
  "Entry",
  "annealed",
  "as_augmentation",
  "compose",
  "instance_noise",
  "make_instance_noise",
]

AUGMENTATIONS: dict[str, Entry] = {
  "instance_noise": Entry(
    make_instance_noise,
    "Gaussian noise that falls linearly to 0",
    "Sonderby et al. 2017, arXiv:1610.04490",
    options=("instance_noise_steps",),
    strength="instance_noise",
  ),
}
