"""Augmentations of what the discriminator is shown, by name."""

from gan.augment.ada import GROUPS, SHORT, make_ada
from gan.augment.base import Augmentation, Entry, as_augmentation, check_range, compose
from gan.augment.diffaugment import POLICIES, make_diffaugment
from gan.augment.instance_noise import instance_noise, make_instance_noise
from gan.augment.mirror import make_mirror
from gan.augment.real import make_prepare

__all__ = [
  "AUGMENTATIONS",
  "Augmentation",
  "Entry",
  "as_augmentation",
  "check_range",
  "compose",
  "instance_noise",
  "make_ada",
  "make_diffaugment",
  "make_instance_noise",
  "make_mirror",
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
  "mirror": Entry(
    make_mirror,
    "flips from left to right with probability 1/2",
    "Zhao et al. 2020, arXiv:2006.02595",
    for_images=True,
  ),
  "diffaugment": Entry(
    make_diffaugment,
    "colours, shifts and cut out boxes, with the probability of its strength",
    "Zhao et al. 2020, arXiv:2006.10738",
    argument="policy",
    choices=tuple(POLICIES),
    scaled=True,
    for_images=True,
    ranged=True,
  ),
  "ada": Entry(
    make_ada,
    "flips, turns, scales, shifts and colours, each with the probability of its strength",
    "Karras et al. 2020, arXiv:2006.06676",
    ("color_share",),
    argument="groups",
    choices=(*SHORT, *GROUPS),
    scaled=True,
    needs_strength=True,
    for_images=True,
    ranged=True,
  ),
}
