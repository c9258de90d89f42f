"""What the discriminator is shown: augmented images, and the gradient that it hands back."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float, Key

from gan.augment import as_augmentation
from gan.method import returned
from gan.method.game import Game
from gan.networks import pack
from gan.state import GanState

Pair = tuple[Any, Any]  # of the data, and of samples


def show(
  game: Game, state: GanState, images: Float[Array, "b ..."], keys: Key[Array, " b"]
) -> Float[Array, "r ..."]:
  """Returns images as the discriminator is shown them: augmented, and m packed in a row."""
  if game.augment is not None:
    apply = as_augmentation(game.augment).apply
    images = returned.images(apply(images, keys, state), images, "augment", game.augment)
  return pack(images, game.packing)


def with_backward(game: Game, state: GanState, fake: Float[Array, "b ..."]) -> Array:
  """Returns samples whose gradient is what regularisers make of it, in reverse order.

  The derivative in what a regulariser keeps is, by convention, its new state.
  """
  for name, part in game.regularizers.items():
    if part.backward:
      fake = _passed(game, name, part.backward)(fake, state.aux_state[name])
  return fake


def _passed(game: Game, name: str, backward: Callable) -> Callable[[Array, Any], Array]:
  """(images, state) -> images, of which `backward` is the derivative."""

  def pull(given: tuple[Array, Any], gradient: Array) -> tuple[Array, Any]:
    images, state = given
    made = backward(gradient, state, game.axis_name)
    words, what = "(gradient, state)", f"backward of {name}"
    gradient, new = returned.checked(made, returned.is_pair(made), what, backward, words)
    gradient = returned.images(gradient, images, what, backward)
    return gradient, returned.same_tree(new, state, what, backward)

  passed = jax.custom_vjp(lambda images, state: images)
  passed.defvjp(lambda images, state: (images, (images, state)), pull)
  return passed
