"""The augmentations of adaptive discriminator augmentation, each with a probability."""

from collections.abc import Mapping
from types import MappingProxyType

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from gan.augment.ada_bands import band_gains, filtered
from gan.augment.ada_colors import color_matrix, recolored
from gan.augment.ada_corruptions import cut_out, noisy
from gan.augment.ada_draws import Draws, draw
from gan.augment.ada_geometry import (
  Image,
  inverse_map,
  product,
  resampled,
  shifted,
  translation,
  turned,
  whole_shift,
)
from gan.augment.base import SIGNED, Augmentation, check_images, chosen_of, in_range
from gan.errors import UserError
from gan.state import GanState
from gan.system.draws import BEYOND

GROUPS = ("blit", "geom", "color", "filter", "noise", "cutout")
SHORT: Mapping[str, tuple[str, ...]] = MappingProxyType(
  {
    "bg": GROUPS[:2],
    "bgc": GROUPS[:3],
    "bgcf": GROUPS[:4],
    "bgcfn": GROUPS[:5],
    "bgcfnc": GROUPS,
  }
)


def transform(
  image: Image,
  draws: Draws,
  key: Key[Array, ""],
  p: Float[Array, ""],
  *,
  groups: tuple[str, ...],
  color_share: float = 1.0,
) -> Image:
  """Returns an image through the transforms of some groups, in the order of GROUPS.

  Args:
    image: [H, W, C], in [-1, 1]; float32, or else computed in it.
    draws: where in its distribution each parameter is.
    key: of the noise, pixel by pixel.
    p: [], probability of each transform.
    groups: some of GROUPS.
    color_share: the probability of each transform of colours, in p.
  """
  changed = _geometry(image.astype(jnp.promote_types(image.dtype, jnp.float32)), draws, p, groups)
  if "color" in groups:
    matrix = color_matrix(draws, color_share * p, image.shape[-1])
    changed = recolored(changed, matrix)
  if "filter" in groups:
    changed = filtered(changed, band_gains(draws, p))
  if "noise" in groups:
    changed = noisy(changed, draws, p, key)
  changed = cut_out(changed, draws, p) if "cutout" in groups else changed
  return changed.astype(image.dtype)


def _geometry(image: Image, draws: Draws, p: Float[Array, ""], groups: tuple[str, ...]) -> Image:
  sides = image.shape[:2]
  image = turned(image, draws, p) if "blit" in groups else image
  if "geom" not in groups:
    return shifted(image, whole_shift(draws, p, sides)) if "blit" in groups else image
  inverse = inverse_map(draws, p, sides)
  if "blit" in groups:
    shift = whole_shift(draws, p, sides).astype(inverse.dtype)
    inverse = product(translation(-shift), inverse)
  return resampled(image, inverse)


def make_ada(
  *,
  groups: str = "bgc",
  color_share: float = 1.0,
  image_range: tuple[float, float] = SIGNED,
) -> Augmentation:
  """Returns ADA's transforms, each with the probability `hyperparameters.augment_strength`.

  `blit` are flips, quarter turns and shifts by whole pixels; `geom` scales, rotations and shifts
  by an affine map; `color` brightness, contrast, luma, hue and saturation by a matrix; `filter`
  the strengths of four bands of frequencies; `noise`; `cutout` a box of half the sides. At
  probability 1 flips and turns cannot be told from those of samples, and near it hardly. Sizes are
  those of images in [-1, 1], where 0 is grey; others are mapped there and back.

  What differs from the source: there, an image is mirrored beyond its border as far as the batch
  at hand needs, and black where that ends, a side away; here it is mirrored without end, so that an
  example does not depend on others. Flips and quarter turns move pixels as they are; there they go
  through the filters of the affine map. With other than three channels, colours move about the
  axis of grey (1, ..., 1): one channel has no saturation, and hue is of three alone.

  See "Training Generative Adversarial Networks with Limited Data" by Karras et al.
  (https://arxiv.org/abs/2006.06676).

  Args:
    groups: names of GROUPS, or of SHORT, by commas.
    color_share: probability of the transforms of colours, as a share of the strength.
    image_range: (low, high) of the images, that of the game.

  Raises:
    UserError: a group is unknown or there twice, the share is outside of [0, 1], or the range is
      none.
  """
  if not 0 <= color_share <= 1:
    raise UserError(f"color_share={color_share} of ada must be from 0 to 1")
  names = chosen_of(groups, (*SHORT, *GROUPS), "group of ada")
  chosen = [group for name in names for group in SHORT.get(name, (name,))]
  if twice := [group for group in GROUPS if chosen.count(group) > 1]:
    raise UserError(f"groups of ada: {groups} has {twice[0]} twice: give it once")
  kept = tuple(group for group in GROUPS if group in chosen)

  def augmented(image: Image, key: Key[Array, ""], p: Float[Array, ""]) -> Image:
    # Apart from the keys of augmentations after it: see `compose`.
    own, noise = jax.random.split(jax.random.fold_in(key, BEYOND))
    return transform(image, draw(own), noise, p, groups=kept, color_share=color_share)

  augmented = in_range(augmented, image_range)

  def apply(images: Array, keys: Key[Array, " b"], state: GanState) -> Array:
    check_images(images, "ada")
    strength = state.hyperparameters.augment_strength
    return jax.vmap(augmented, (0, 0, None))(images, keys, strength)

  low, high = map(float, image_range)
  return Augmentation(apply, reads=("augment_strength",), image_range=(low, high))
