"""MNIST where it can be had within seconds, else scikit-learn's digits with a notice."""

from gan.datasets import base, digits, named


def load(split: str, data_dir: str | None = None, image_size: int | None = None) -> base.Dataset:
  """MNIST, or the digits that need no download.

  Args:
    split: "train" or "test".
    data_dir: as for `named.load`; where it is given, it has to hold MNIST.
    image_size: as for `named.load`.

  Returns:
    A data set under its own name, "mnist" or "digits"; the latter with a notice.

  Raises:
    UserError: for another split, or if files that were supplied cannot be used.
  """
  try:
    return named.load("mnist", split, data_dir, image_size)
  except base.UnavailableError as error:
    notice = f"MNIST was not found, so these are scikit-learn's 1,797 digits: {error}"
    return digits.load(split)._replace(notice=notice)
