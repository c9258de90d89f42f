"""What functions that were passed have returned, checked where it is used: one clear line."""

from collections.abc import Callable, Container
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gan.errors import UserError


def checked(value: Any, fits: bool, what: str, function: Any, words: str) -> Any:
  """Returns what a function returned, where it is what the step needs.

  Args:
    value: what was returned.
    fits: whether it has the form that is needed.
    what: the part of the game, for the error.
    function: the function that returned it, for the error.
    words: the form that is needed, for the error.

  Raises:
    UserError: it is not.
  """
  if not fits:
    raise UserError(f"{what} {_name(function)} returned {_kind(value)}: it must return {words}")
  return value


def images(value: Any, given: Array, what: str, function: Any) -> Float[Array, "b ..."]:
  """Returns images that a function made of others; of integers there would be no gradient."""
  fits = getattr(value, "shape", None) == given.shape and value.dtype == given.dtype
  words = f"images {given.dtype} {list(given.shape)}, as it was given"
  return checked(value, fits, what, function, words)


def generated(value: Any, count: int | None = None) -> Float[Array, "b ..."]:
  """Returns what a generator made of `count` latents, or of latents for an example of its shape."""
  fits = hasattr(value, "shape") and is_real(value) and len(value.shape) > 1
  if not fits or count is not None and len(value) != count:
    of = "" if count is None else f" for {count} latents"
    raise UserError(
      f"the generator returned {_kind(value)}{of}: it must return an array of floats, images "
      f"[{count or 'B'}, H, W, C] or points [{count or 'B'}, 2]"
    )
  return value


def thresholds(value: Any, logits: Array, function: Any) -> tuple[Array, Array]:
  """Returns the thresholds of real and of fake logits, [] or one of each logit."""
  fits = is_pair(value) and all(_shape(each) in ((), logits.shape) for each in value)
  words = f"two arrays {list(logits.shape)}, the thresholds of real and of fake logits"
  return checked(value, fits, "threshold", function, words)


def mask(value: Any, count: int, what: str, function: Any) -> Bool[Array, " b"]:
  """Returns which of `count` examples a function has chosen."""
  fits = getattr(value, "dtype", None) == jnp.bool_ and value.shape == (count,)
  return checked(value, fits, what, function, f"an array of bools [{count}], one of each example")


def weights(value: Any, count: int, what: str, function: Any) -> Float[Array, " r"]:
  """Returns the weights of `count` samples."""
  fits = is_real(value) and _is_vector(value, {count})
  return checked(value, fits, what, function, f"an array of floats [{count}], one of each sample")


def number(value: Any, what: str, function: Any) -> Float[Array, ""]:
  """Returns one real number as an array []."""
  fits = is_real(value) and _shape(value) == ()
  return jnp.asarray(checked(value, fits, what, function, "one real number []"))


def term(value: Any, counts: Container[int], what: str, function: Any) -> tuple[Any, dict]:
  """Returns a term, [] or of as many examples as one of `counts`, and metrics, [] each."""
  fits = is_pair(value) and isinstance(value[1], dict) and is_real(value[0])
  fits = fits and (_shape(value[0]) == () or _is_vector(value[0], counts))
  fits = fits and all(_shape(each) == () for each in value[1].values())
  words = "(term, metrics), an array of floats [] or [B], and a dict of arrays []"
  return checked(value, fits, what, function, words)


def same_tree(value: Any, before: Any, what: str, function: Any) -> Any:
  """Returns the new state of a part, whose arrays are of the shapes and types of the old."""
  types = [list(map(jnp.result_type, jax.tree.leaves(tree))) for tree in (value, before)]
  fits = _shapes(value) == _shapes(before) and types[0] == types[1]
  return checked(value, fits, what, function, "a state as it was given, of the same arrays")


def numbers(value: Any, before: Any, function: Any) -> Any:
  """Returns the hyper-parameters that a schedule made of others, each [].

  Raises:
    UserError: it made something else, or one of the others is an array of several.
  """
  for path, leaf in jax.tree.leaves_with_path(before):
    if jnp.shape(leaf):
      name = jax.tree_util.keystr(path, simple=True, separator=".")
      raise UserError(
        f"hyper-parameter {name} is {list(jnp.shape(leaf))}: a step needs one number: `jax.vmap` "
        "the step over states with one each"
      )
  words = "Hyperparameters as it was given, each of them a number []"
  return checked(value, _shapes(value) == _shapes(before), "schedule", function, words)


def update(value: Any, params: Any, opt_state: Any, function: Any) -> tuple[Any, Any]:
  """Returns what an optimiser's update made: the changes of parameters, and its new state."""
  fits = is_pair(value) and _shapes(tuple(value)) == _shapes((params, opt_state))
  words = "(updates, state), of the shapes of the parameters and of the state it was given"
  return checked(value, fits, "optimizer", function, words)


def mean(values: Any, count: int, what: str, function: Callable) -> Float[Array, ""]:
  """The mean of what a function returned of some examples, or its only number.

  Raises:
    UserError: it returned anything else; [B, 1] and [B, B] have a mean too, of something else, and
      integers have no gradient.
  """
  if _shape(values) not in ((), (count,)) or not is_real(values):
    raise UserError(
      f"{what} {_name(function)} returned {_kind(values)} of {count} examples: it must return one "
      f"real number for each, an array of floats [{count}]"
    )
  return jnp.mean(values)


def is_pair(value: Any) -> bool:
  """Whether two values can be unpacked, and it is no array."""
  return isinstance(value, (tuple, list)) and len(value) == 2


def is_real(value: Any) -> bool:
  """Whether a value is a real number, or an array of floats, which alone have gradients."""
  kind = getattr(value, "dtype", None)
  return isinstance(value, (int, float)) if kind is None else jnp.issubdtype(kind, jnp.floating)


def _shapes(tree: Any) -> tuple[Any, list[tuple[int, ...]]]:
  """The structure of a tree, and the shapes of its leaves."""
  return jax.tree.structure(tree), list(map(jnp.shape, jax.tree.leaves(tree)))


def _shape(value: Any) -> tuple[int, ...] | None:
  return () if isinstance(value, (int, float)) else getattr(value, "shape", None)


def _is_vector(value: Any, counts: Container[int]) -> bool:
  return len(_shape(value) or ()) == 1 and len(value) in counts


def _kind(value: Any) -> str:
  kind, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
  if kind is None or shape is None:
    return f"a {type(value).__name__}"
  return f"{'' if kind == jnp.float32 and shape else f'{kind} '}{list(shape)}"


def _name(function: Any) -> str:
  for wrapper in ("function", "apply", "step", "func"):  # of a part, of a partial
    function = getattr(function, wrapper, function)
  return getattr(function, "__qualname__", type(function).__name__)
