"""Stacked MNIST: three MNIST digits as the channels of one image, a thousand modes.

From "Unrolled Generative Adversarial Networks" by Metz, Poole, Pfau and Sohl-Dickstein
(https://arxiv.org/abs/1611.02163); VEEGAN (https://arxiv.org/abs/1705.07761) and PacGAN
(https://arxiv.org/abs/1712.04086) count modes on it.
"""

import numpy as np
from jaxtyping import UInt8

from gan.datasets import base, named
from gan.errors import UserError

SEED = 0
# PacGAN's training set, and the samples in which it counts modes, in its comparison with VEEGAN.
SIZES = {"train": 128_000, "test": 26_000}
PLACES = (100, 10, 1)


def load(split: str, data_dir: str | None = None, image_size: int | None = None) -> base.Dataset:
  """A fixed sample of stacks; the same on every call.

  Each channel is drawn uniformly and independently of the others, with replacement, from the
  digits of the split. PacGAN's code draws its training set from training and test digits together;
  here training stacks hold training digits alone, and test stacks test digits.

  Args:
    split: "train" or "test".
    data_dir: as for `named.load` of MNIST.
    image_size: as for `named.load`.

  Returns:
    Images [N, 28, 28, 3] uint8; labels 100 a + 10 b + c for the digits a, b, c in channel order,
    so 1,000 classes. Where the digits are a part of MNIST, so are the stacks, and the notice says
    so.

  Raises:
    base.UnavailableError: if MNIST cannot be had; nothing stands in for it.
    UserError: for another split, or files that hold no grey digits with labels.
  """
  base.check_split(split, tuple(SIZES), "stacked_mnist")
  digits = named.load("mnist", split, data_dir, image_size)
  _check(digits)
  rng = np.random.default_rng([SEED, list(SIZES).index(split)])
  chosen = rng.integers(len(digits.images), size=(SIZES[split], len(PLACES)))  # [N, 3]
  return digits._replace(
    name=f"stacked_{digits.name}",
    part_of="stacked_mnist" if digits.part_of else "",
    images=_stack(digits.images, chosen),
    labels=(digits.labels[chosen] @ PLACES).astype(np.int32),
    num_classes=10 ** len(PLACES),
    class_names=(),
    source=f"{SIZES[split]} stacks, seed {SEED}, of {digits.source}",
  )


def _check(digits: base.Dataset) -> None:
  if digits.labels is None or digits.num_classes > 10 or digits.images.shape[-1] != 1:
    raise UserError(
      f"{digits.source} does not hold grey images with labels 0 to 9, which stacked_mnist is made "
      "of: give it MNIST"
    )


def _stack(images: base.Images, chosen: np.ndarray) -> UInt8[np.ndarray, "k h w 3"]:
  stacks = np.empty((len(chosen), *images.shape[1:3], len(PLACES)), np.uint8)
  # A channel at a time: of 300 MB, a second copy would be felt.
  for channel in range(len(PLACES)):
    stacks[..., channel] = images[chosen[:, channel], ..., 0]
  return stacks
