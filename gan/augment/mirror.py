"""Mirror images of all that the discriminator is shown."""

from jaxtyping import Array, Key

from gan.augment.base import Augmentation, check_images
from gan.augment.real import mirror
from gan.state import GanState


def make_mirror() -> Augmentation:
  """Returns the augmentation that flips each image from left to right with probability 1/2.

  D cannot tell a sample from its mirror image: a generator of mirrored data is as good as one of
  the data. What prepares real images, `gan.augment.make_prepare`, flips those alone.
  """

  def apply(images: Array, keys: Key[Array, " b"], state: GanState) -> Array:
    del state
    check_images(images, "mirror")
    return mirror(images, keys)

  return Augmentation(apply)
