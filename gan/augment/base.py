"""What an augmentation is, and how several become one."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float, Key

from gan.state import GanState


class Augmentation(NamedTuple):
  """What is done to all images that the discriminator is shown, real and generated.

  Attributes:
    apply: `(images [B, ...], keys [B], state) -> images [B, ...]`: differentiable, each example
      apart and by its own key. `state` is the GanState before the update with the numbers of this
      step in it; what `init` returned lies in `state.aux_state["augmentation"]`.
    init: `() -> arrays` that `update` moves, or None.
    update: `(view, arrays) -> arrays`, once with each update of the discriminator; see
      `regularizers.View`.
  """

  apply: Callable[[Float[Array, "b ..."], Key[Array, " b"], GanState], Float[Array, "b ..."]]
  init: Callable[[], Any] | None = None
  update: Callable[[Any, Any], Any] | None = None


class Entry(NamedTuple):
  """An augmentation by name, and what is known about it.

  Attributes:
    make: `(**options) -> Augmentation`.
    summary: what it does.
    source: paper.
    options: fields of a config that `make` takes, or names of its own.
    strength: hyper-parameter that chooses it where it is above 0; "" where its name does.
  """

  make: Callable[..., Augmentation]
  summary: str
  source: str
  options: tuple[str, ...] = ()
  strength: str = ""


def as_augmentation(given: Any) -> Augmentation:
  """Returns an Augmentation as it is, and `(images, keys) -> images` as one."""
  if isinstance(given, Augmentation):
    return given
  return Augmentation(lambda images, keys, state: given(images, keys))


def compose(augmentations: list[Augmentation]) -> Augmentation | None:
  """Returns one augmentation that applies several in order; None of none.

  The i-th beyond the first draws from the keys folded with i. At most one may keep arrays.
  """
  if len(augmentations) < 2:
    return augmentations[0] if augmentations else None
  (keeping,) = [each for each in augmentations if each.init] or [Augmentation(lambda *_: None)]

  def apply(images, keys, state):
    for i, each in enumerate(augmentations):
      own = jax.vmap(jax.random.fold_in, (0, None))(keys, i) if i else keys
      images = each.apply(images, own, state)
    return images

  return keeping._replace(apply=apply)
