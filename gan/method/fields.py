"""What each field of a Game may be, as it is checked where a game is made."""

import json
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from gan.errors import UserError
from gan.losses import Loss
from gan.method.lazy import STEPS
from gan.networks import Network, Outputs
from gan.optimizers import is_optimizer
from gan.regularizers import REGULARIZERS, Regularizer
from gan.state import GanState, Hyperparameters
from gan.system.schema import FLAG, RANGE, Kind, are_finite, matching, takes, whole

PLAYERS = ("generator", "discriminator")
FAKE_LABELS = ("batch", "uniform")


_NAME = matching(r"\w[\w.-]*", "a name")


def _all_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
  """Returns a predicate: whether a value is a mapping from names of flags to values that fit."""
  return lambda value: (
    isinstance(value, Mapping) and all(map(_NAME.fits, value)) and all(map(fits, value.values()))
  )


def _are_real(value: Any) -> bool:
  """Whether a value is a finite real number, or an array of such for a game under `vmap`."""
  return are_finite(value) and not np.iscomplexobj(value)


def _is_key(value: Any) -> bool:
  """Whether a value is one key, or the numbers of one, as of jax.random.PRNGKey."""
  kind, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
  if kind is not None and jax.dtypes.issubdtype(kind, jax.dtypes.prng_key):
    return shape == ()
  numbers = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0)))
  return kind == np.uint32 and shape == numbers.shape


NEEDS = Kind(
  f"a tuple of fields of gan.Outputs ({', '.join(Outputs._fields)})",
  lambda it: isinstance(it, tuple) and all(each in Outputs._fields for each in it),
)


def _is_part(part: type) -> Callable[[Any], bool]:
  """Returns a predicate: whether a value is such a part; UserError where its `needs` are wrong."""

  def fits(value: Any) -> bool:
    if isinstance(value, part) and not NEEDS.fits(value.needs):
      raise UserError(f"`needs={value.needs!r}` of a gan.{part.__name__} must be {NEEDS.words}")
    return isinstance(value, part)

  return fits


# What the functions of a Regularizer are called with.
_GIVEN = {
  "init": ("key", "gan"),
  **dict.fromkeys((*PLAYERS, "update"), ("view", "state")),
  "exchange": ("keys", "hyper", "state"),
  "weigh": ("view", "state"),
  "backward": ("gradient", "state", "axis_name"),
}
_CONTROLS = Kind(
  "functions (state, hyper) -> number by names of gan.Hyperparameters",
  _all_of(lambda it: takes(it, "state", "hyper")),
)


def _is_regularizer(value: Any) -> bool:
  if not _is_part(Regularizer)(value):
    return False
  for name, given in _GIVEN.items():
    function = getattr(value, name)
    if function is not None and not takes(function, *given):
      raise UserError(f"`{name}` of a gan.Regularizer must be called with ({', '.join(given)})")
  if value.controls is not None and not _CONTROLS.fits(value.controls):
    raise UserError(f"`controls={value.controls!r}` of a gan.Regularizer must be {_CONTROLS.words}")
  if value.default_weight is None:
    return True
  if not (_are_real(value.default_weight) and np.ndim(value.default_weight) == 0):
    raise UserError(f"`default_weight={value.default_weight!r}` of a gan.Regularizer is no number")
  return True


def _is_loss(value: Any) -> bool:
  if not (_is_part(Loss)(value) and all(callable(getattr(value, player)) for player in PLAYERS)):
    return False
  for player in PLAYERS:
    given = ("real", "fake", *["state"] * (value.init is not None))
    if not takes(getattr(value, player), *given, named=value.options):
      raise UserError(f"`{player}` of a gan.Loss must be called with ({', '.join(given)})")
  return True


def _is_penalty(value: Any) -> bool:
  function, named = getattr(value, "function", value), getattr(value, "keywords", ())
  return callable(function) and takes(function, "critic", "real", "fake", "keys", named=named)


_NETWORK = Kind("a gan.Network, such as gan.from_linen(module)", lambda it: isinstance(it, Network))
_OPTIMIZER = Kind(
  "an optax transformation or `hyperparameters -> transformation`, such as optax.{}(2e-4)",
  is_optimizer,
)
KEY = Kind("a random key, such as jax.random.key(0)", _is_key)
STATE = Kind(
  "a gan.GanState, the first of the pair that a step returns", lambda it: isinstance(it, GanState)
)
NUMBERS = Kind("a gan.Hyperparameters", lambda it: isinstance(it, Hyperparameters))
IMAGES = Kind(
  "a gan.Batch, or an array of images [B, H, W, C] or of points [B, 2]",
  lambda it: len(getattr(it, "shape", ())) > 1,
)
# What each field of a Game may be, and an example: by the name that was given, or one of ours.
FIELDS: dict[str, tuple[Kind, str]] = {
  **dict.fromkeys(PLAYERS, (_NETWORK, "")),
  "loss": (
    Kind('a gan.Loss, such as gan.LOSSES["{}"], of two functions', _is_loss),
    "nonsat",
  ),
  "sample_latent": (
    Kind('`key -> [Z]`, such as gan.latent_sampler("{}", 64)', lambda it: takes(it, "key")),
    "normal",
  ),
  "image_range": (RANGE, ""),
  **dict.fromkeys(("num_classes", "ema_start", "freeze_d"), (whole(0, 2**31 - 1), "")),
  **dict.fromkeys(("optimizer", *(f"{it}_optimizer" for it in PLAYERS)), (_OPTIMIZER, "adam")),
  "hyperparameters": (
    Kind('finite numbers by name, such as {{"b1": 0.5}}', _all_of(_are_real)),
    "",
  ),
  "prepare": (
    Kind("`(images, keys) -> images`, and None for none", lambda it: takes(it, "images", "keys")),
    "",
  ),
  "schedule": (
    Kind(
      "`(hyperparameters, step) -> hyperparameters`, such as one of gan.schedules.make_schedule",
      lambda it: takes(it, "hyperparameters", "step"),
    ),
    "",
  ),
  "penalty": (
    Kind(
      'a gan.Penalty or `(critic, real, fake, keys) -> [B]`, such as gan.PENALTIES["{}"], and None '
      "for none",
      _is_penalty,
    ),
    "r1",
  ),
  "regularizers": (
    Kind(
      'gan.Regularizers by name, such as {{"{0}": gan.REGULARIZERS["{0}"].make()}}',
      _all_of(_is_regularizer),
    ),
    next(iter(REGULARIZERS)),
  ),
  "augment": (
    Kind(
      'a gan.Augmentation or `(images, keys) -> images`, such as gan.AUGMENTATIONS["{}"].make()',
      lambda it: callable(getattr(it, "apply", None)) or takes(it, "images", "keys"),
    ),
    "instance_noise",
  ),
  "update_rule": (
    Kind("a gan.UpdateRule, such as gan.{}()", lambda it: callable(getattr(it, "step", None))),
    "alternating",
  ),
  **dict.fromkeys(("clip_weights", "ema_half_life", "lazy_correction"), (FLAG, "")),
  **dict.fromkeys(
    ("packing", "penalty_every", "generator_batch_size", "accumulate"), (whole(1), "")
  ),
  "lazy_step": (Kind(f"one of {', '.join(STEPS)}", lambda it: it in STEPS), ""),
  "ema_ramp": (Kind("a finite number of at least 0", lambda it: are_finite(it, 0)), ""),
}


def classes_of(network: Network) -> int | None:
  """Returns the number of classes that a network of `gan.models` is made for; None of any other."""
  return json.loads(network.recipe)["spec"]["num_classes"] if network.recipe else None


def as_fake_labels(given: Any, num_classes: int) -> str | tuple[float, ...]:
  """Returns how the labels of fakes are drawn: one of FAKE_LABELS, or a weight of each class.

  Raises:
    UserError: it is none of them.
  """
  if isinstance(given, str) and given in FAKE_LABELS:
    return given
  try:
    weights = np.asarray(given)
  except ValueError:  # rows of several lengths
    weights = np.zeros(())
  fits = weights.shape == (num_classes,) and weights.dtype.kind in "iuf" and are_finite(weights, 0)
  if not fits or not weights.any():
    raise UserError(
      f"fake_labels={reprlib.repr(given)} is unknown: choose from {', '.join(FAKE_LABELS)}, or "
      f"give {num_classes} weights of classes, of at least 0, such as numpy.bincount(labels)"
    )
  return tuple(weights.tolist())
