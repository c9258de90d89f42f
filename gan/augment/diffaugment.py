"""Differentiable augmentation: colours, shifts and holes, each example by draws of its own."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from gan.augment.base import SIGNED, Augmentation, check_images, chosen_of, in_range
from gan.state import GanState

Image = Float[Array, "h w c"]


def color(image: Image, draws: Float[Array, " 3"]) -> Image:
  """Moves brightness, saturation and contrast, in this order; at draws of 1/2 nothing.

  x + u - 1/2, then m + 2 v (x - m) with the mean m over channels, then n + (w + 1/2) (x - n) with
  the mean n over the image. Where there is one channel, m is x: the saturation changes nothing.

  Args:
    image: [H, W, C].
    draws: [3], u, v and w in [0, 1].
  """
  brightness, saturation, contrast = draws.astype(image.dtype)
  image = image + (brightness - 0.5)
  grey = image.mean(-1, keepdims=True)
  image = grey + 2 * saturation * (image - grey)
  mean = image.mean()
  return mean + (contrast + 0.5) * (image - mean)


def translation(image: Image, draws: Float[Array, " 2"]) -> Image:
  """Shifts by whole pixels, at most an eighth of each side either way; zeros come in.

  Args:
    image: [H, W, C].
    draws: [2], of rows and columns, in [0, 1]: 1/2 is no shift.
  """
  most = [_rounded(side / 8) for side in image.shape[:2]]
  padded = jnp.pad(image, (*((each, each) for each in most), (0, 0)))
  rows, columns = (_whole(u, 2 * each + 1) for u, each in zip(draws, most, strict=True))
  return jax.lax.dynamic_slice(padded, (rows, columns, 0), image.shape)


def cutout(image: Image, draws: Float[Array, " 2"]) -> Image:
  """Sets a box of half the sides to 0, as much of it as is inside; its centre is anywhere.

  Args:
    image: [H, W, C].
    draws: [2], of rows and columns, in [0, 1]: where the centre is.
  """
  inside = True
  for axis, draw in enumerate(draws):
    side = image.shape[axis]
    length = _rounded(side / 2)
    first = _whole(draw, side + 1 - length % 2) - length // 2
    place = jax.lax.broadcasted_iota(jnp.int32, image.shape, axis) - first
    inside &= (place >= 0) & (place < length)
  return jnp.where(inside, jnp.zeros((), image.dtype), image)


def _rounded(length: float) -> int:
  return int(length + 0.5)


def _whole(draw: Float[Array, ""], count: int) -> Array:
  """One of 0 .. count - 1, evenly."""
  return jnp.minimum(jnp.floor(draw * count).astype(jnp.int32), count - 1)


class Policy(NamedTuple):
  """What is done to an image, and how many draws it takes."""

  function: Callable[[Image, Array], Image]
  draws: int


POLICIES: dict[str, Policy] = {
  "color": Policy(color, 3),
  "translation": Policy(translation, 2),
  "cutout": Policy(cutout, 2),
}
MOST_DRAWS = max(each.draws for each in POLICIES.values())


def make_diffaugment(
  *, policy: str = "color,translation,cutout", image_range: tuple[float, float] = SIGNED
) -> Augmentation:
  """Returns DiffAugment: images are moved in colour, shifted, and a box is cut out of them.

  `hyperparameters.augment_strength` is the probability that an example is augmented: 1 in the
  paper. Sizes are those of images in [-1, 1], where 0 is grey; others are mapped there and back.

  See "Differentiable Augmentation for Data-Efficient GAN Training" by Zhao et al.
  (https://arxiv.org/abs/2006.10738).

  Args:
    policy: names of POLICIES by commas, which are applied in this order.
    image_range: (low, high) of the images, that of the game.

  Raises:
    UserError: a name is unknown, or the range is none.
  """
  names = chosen_of(policy, POLICIES, "policy of diffaugment")

  def augmented(image: Image, key: Key[Array, ""], strength: Float[Array, ""]) -> Image:
    # A policy has the same draws whichever others are chosen.
    gate, *draws = jax.random.uniform(key, (1 + len(POLICIES), MOST_DRAWS))
    changed = image
    for name in names:
      function, count = POLICIES[name]
      changed = function(changed, draws[list(POLICIES).index(name)][:count])
    return jnp.where(gate[0] < strength, changed, image)

  augmented = in_range(augmented, image_range)

  def apply(images: Array, keys: Key[Array, " b"], state: GanState) -> Array:
    check_images(images, "diffaugment")
    strength = state.hyperparameters.augment_strength
    return jax.vmap(augmented, (0, 0, None))(images, keys, strength)

  low, high = map(float, image_range)
  return Augmentation(apply, reads=("augment_strength",), image_range=(low, high))
