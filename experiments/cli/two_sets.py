"""Two sets of images beside each other: of one shape, with labels of the same classes."""

from typing import Any

from experiments.cli.command import notify
from gan.datasets.base import Dataset, Images, Labels
from gan.errors import UserError


def labels_of_both(real: Dataset, fake: Dataset, values: Any) -> Labels | None:
  """Returns the labels of generated images, where they number the classes of real ones."""
  if real.labels is None or fake.labels is None:
    return None
  if real.class_names != fake.class_names:
    notify("Labels are left aside: the classes of --real and --fake have other names", values)
    return None
  return fake.labels


def check_alike(real: Images, fake: Images) -> None:
  """Raises UserError for images of two sizes, or grey ones beside colour."""
  if real.shape[1:] == fake.shape[1:]:
    return
  shapes = f"images of --real are {list(real.shape[1:])}, of --fake {list(fake.shape[1:])}"
  if real.shape[-1] == fake.shape[-1]:
    raise UserError(f"{shapes}: give equal ones; --image_size brings them to one size")
  raise UserError(
    f"{shapes}, that is {_colour(real)} and {_colour(fake)}: convert all to one of them"
  )


def _colour(images):
  return "grey" if images.shape[-1] == 1 else "colour"
