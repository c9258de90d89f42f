"""What an augmentation is, and how several become one."""

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float, Key

from gan.errors import UserError
from gan.networks import Gan
from gan.state import GanState
from gan.system.recipe import Maker, Recipe
from gan.system.schema import RANGE, check

SIGNED = (-1.0, 1.0)  # the range whose 0 is grey


class Augmentation(NamedTuple):
  """What is done to all images that the discriminator is shown, real and generated.

  Attributes:
    apply: `(images [B, ...], keys [B], state) -> images [B, ...]`: differentiable, each example
      apart and by its own key. `state` is the GanState before the update with the numbers of this
      step in it; what `init` returned lies in `state.aux_state["augmentation"]`.
    init: `(key, gan) -> arrays` that `update` moves, or None; as of a Regularizer.
    update: `(view, arrays) -> arrays`, once with each update of the discriminator; see
      `regularizers.View`. As of a Regularizer, it takes means over `view.axis_name` itself.
    reads: names of `Hyperparameters` that `apply` or `update` reads.
    image_range: (low, high) of the images that it is made for, or None for any; a game of another
      range refuses it.
    recipe: how it was made by its entry, or None.

  Examples:
    >>> import gan, jax.numpy as jnp
    >>> mirror = gan.Augmentation(lambda images, keys, state: images[:, :, ::-1])
    >>> images = jnp.array([1.0, 2.0]).reshape(1, 1, 2, 1)  # [B, H, W, C]
    >>> mirror.apply(images, None, None).ravel()
    Array([2., 1.], dtype=float32)
  """

  apply: Callable[[Float[Array, "b ..."], Key[Array, " b"], GanState], Float[Array, "b ..."]]
  init: Callable[[Key[Array, ""], Gan], Any] | None = None
  update: Callable[[Any, Any], Any] | None = None
  reads: tuple[str, ...] = ()
  image_range: tuple[float, float] | None = None
  recipe: Recipe | None = None


@dataclasses.dataclass(frozen=True)
class Entry(Maker):
  """An augmentation by name, and what is known about it.

  Attributes:
    make: `(**options) -> Augmentation`.
    summary: what it does.
    source: paper.
    options: fields of a config that `make` takes, or names of its own.
    strength: hyper-parameter that chooses it where it is above 0; "" where its name does.
    steps: field of a config, steps in which the strength falls to 0 where no schedule says how it
      changes; "" where it stays.
    argument: of `make`, what is typed behind the name and a colon, names by commas; "" for none.
    choices: those names.
    scaled: whether `Hyperparameters.augment_strength` says how much it does, and at 0 nothing.
    needs_strength: whether that number has to be given; it is 1 by default.
    for_images: whether it is of images alone, and not of points.
    ranged: whether `make` takes the `image_range` of the images too.
  """

  summary: str
  source: str
  options: tuple[str, ...] = ()
  strength: str = ""
  steps: str = ""
  argument: str = ""
  choices: tuple[str, ...] = ()
  scaled: bool = False
  needs_strength: bool = False
  for_images: bool = False
  ranged: bool = False


def chosen_of(given: str, choices: Collection[str], what: str) -> list[str]:
  """Returns the names in a text that separates them by commas.

  Args:
    given: the text.
    choices: the names there are.
    what: what one is called.

  Raises:
    UserError: one is unknown or there twice, or there is none.
  """
  names = [name.strip() for name in given.split(",") if name.strip()]
  choose = f"choose from {', '.join(choices)}"
  if not names:
    raise UserError(f"no {what} is named: {choose}")
  for name in names:
    if name not in choices:
      raise UserError(f"{what} {name!r} is unknown: {choose}")
    if names.count(name) > 1:
      raise UserError(f"{what} {name!r} is there twice: give it once")
  return names


def check_images(images: Array, what: str) -> None:
  """Raises UserError where examples are no images [B, H, W, C].

  Args:
    images: the examples.
    what: the augmentation that is for images.
  """
  if images.ndim != 4:
    raise UserError(
      f"{what} is for images [H, W, C], and an example is {list(images.shape[1:])}: leave it out"
    )


def in_range(
  change: Callable[..., Array], image_range: tuple[float, float]
) -> Callable[..., Array]:
  """Returns a change of images in [-1, 1] as one of images in another range.

  Args:
    change: `(images, ...) -> images`.
    image_range: (low, high); at (-1, 1) the change is returned as it is.

  Raises:
    UserError: these are not two numbers, the lower one first.
  """
  low, high = check("image_range", image_range, RANGE)
  if (low, high) == SIGNED:
    return change
  middle, half = (low + high) / 2, (high - low) / 2
  return lambda images, *others: change((images - middle) / half, *others) * half + middle


def as_augmentation(given: Any) -> Augmentation:
  """Returns an Augmentation as it is, and `(images, keys) -> images` as one.

  Raises:
    UserError: it moves arrays that it does not make.
  """
  if isinstance(given, Augmentation):
    if given.update and not given.init:
      raise UserError("augment has an update of arrays, and no init that makes them: give both")
    return given
  return Augmentation(lambda images, keys, state: given(images, keys))


def check_range(given: Any, image_range: tuple[float, float]) -> None:
  """Checks that an augmentation can be that of images in a range.

  Args:
    given: an Augmentation, `(images, keys) -> images` or None.
    image_range: (low, high).

  Raises:
    UserError: it is made for images in another, or see `as_augmentation`.
  """
  made_for = None if given is None else as_augmentation(given).image_range
  if made_for not in (None, image_range):
    raise UserError(
      f"augment is made for images in {made_for}, and those of the game are in {image_range}: make "
      f"it with `image_range={image_range}`"
    )


def compose(augmentations: Sequence[Any]) -> Augmentation | None:
  """Returns one augmentation that applies several in order; None of none.

  The i-th beyond the first draws from the keys folded with i. What each keeps is an entry of its
  own, by its place: "0", "1" and so on.

  Raises:
    UserError: two are made for images in different ranges.
  """
  parts = [as_augmentation(each) for each in augmentations]
  if len(parts) < 2:
    return parts[0] if parts else None
  inits = {str(i): each.init for i, each in enumerate(parts) if each.init}
  updates = {str(i): each.update for i, each in enumerate(parts) if each.init and each.update}

  def apply(images: Array, keys: Key[Array, " b"], state: Any) -> Array:
    for i, each in enumerate(parts):
      own = jax.vmap(jax.random.fold_in, (0, None))(keys, i) if i else keys
      images = each.apply(images, own, _with_own(state, str(i)) if each.init else state)
    return images

  def init(key: Key[Array, ""], gan: Gan) -> dict[str, Any]:
    return {i: make(jax.random.fold_in(key, int(i)), gan) for i, make in inits.items()}

  def update(view: Any, kept: dict[str, Any]) -> dict[str, Any]:
    moved = {i: move(view, kept[i]) for i, move in updates.items()}
    return kept | moved

  reads = tuple(name for each in parts for name in each.reads)
  range_of_all = _range_of(parts)
  if not inits:
    return Augmentation(apply, reads=reads, image_range=range_of_all)
  return Augmentation(apply, init, update, reads, range_of_all)


def _range_of(parts: Sequence[Augmentation]) -> tuple[float, float] | None:
  """The range of the images that all are made for; None for any."""
  ranges = {each.image_range for each in parts if each.image_range is not None}
  if len(ranges) > 1:
    raise UserError(
      f"augmentations made for images in {' and in '.join(map(str, sorted(ranges)))} do not go "
      "together: make them with one `image_range`"
    )
  return next(iter(ranges), None)


def _with_own(state: GanState, place: str) -> GanState:
  """The state as the augmentation at a place would have it alone."""
  own = {"augmentation": state.aux_state["augmentation"][place]}
  return state.replace(aux_state=state.aux_state | own)
