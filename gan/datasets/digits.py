"""The 1,797 handwritten digits that come with scikit-learn, enlarged to MNIST's size."""

import functools

import numpy as np
from jaxtyping import Float, Int, UInt8

from gan.datasets import base

BOX = 20
MARGIN = 4
TEST_EXAMPLES = 297


def load(split: str, data_dir: str | None = None, image_size: int | None = None) -> base.Dataset:
  """1,500 train or 297 test images, the same on every call; nothing is read from disk or network.

  They are the test part of "Optical Recognition of Handwritten Digits" by Alpaydin and Kaynak (UCI,
  1998), 8x8 pixels of 17 grey levels, resampled here to 20x20 in the middle of 28x28, which is how
  MNIST's digits lie. The split is made here too: the test images are spread evenly over each class,
  in the original order.

  Args:
    split: "train" or "test".
    data_dir: unused.
    image_size: unused.

  Returns:
    Images [N, 28, 28, 1] uint8, white on black, labels 0..9.

  Raises:
    UserError: for another split.
  """
  del data_dir, image_size
  base.check_split(split, ("train", "test"), "digits")
  images, labels = _both_splits()
  chosen = np.flatnonzero(_is_test(labels) == (split == "test"))
  source = "scikit-learn's digits, 8x8 enlarged to 20x20 inside 28x28"
  return base.Dataset("digits", images[chosen], labels[chosen].astype(np.int32), 10, source)


@functools.cache  # a process asks for them once for each run and evaluation
def _both_splits() -> tuple[UInt8[np.ndarray, "n 28 28 1"], Int[np.ndarray, " n"]]:
  from sklearn import datasets

  bunch = datasets.load_digits()
  return np.stack([_enlarge(image) for image in bunch.images]), bunch.target


def _is_test(labels: np.ndarray) -> np.ndarray:
  by_class = np.argsort(labels, kind="stable")
  ranks = (np.arange(TEST_EXAMPLES) + 0.5) * len(labels) / TEST_EXAMPLES
  test = np.zeros(len(labels), bool)
  test[by_class[ranks.astype(int)]] = True
  return test


def _enlarge(image: Float[np.ndarray, "8 8"]) -> np.ndarray:
  from PIL import Image

  # In floats, so that the filter's overshoot is cut once, at the end.
  grey = Image.fromarray((image * (255 / 16)).astype(np.float32))
  large = np.asarray(grey.resize((BOX, BOX), Image.Resampling.BICUBIC))
  pixels = np.clip(np.rint(large), 0, 255).astype(np.uint8)
  return np.pad(pixels, MARGIN)[..., None]
