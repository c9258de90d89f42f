"""optax optimisers by name, with rates that are arrays.

An optimiser here is a function from hyper-parameters to an `optax.GradientTransformation`, made
anew inside the compiled step: rates, betas and momentum are then ordinary array inputs that a
schedule can change and that `vmap` can map over, and the optimiser's state holds moments only.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import optax

from gan.errors import UserError, look_up

Optimizer = Callable[..., optax.GradientTransformation]


class Entry(NamedTuple):
  """An optimiser, and what it is given.

  Attributes:
    make: `(learning_rate, **rates) -> optax.GradientTransformation`.
    options: the names of its other hyper-parameters: b1, b2, the decays of the moments; momentum.
  """

  make: Callable[..., optax.GradientTransformation]
  options: tuple[str, ...] = ()


_MOMENTS, _MOMENTUM = ("b1", "b2"), ("momentum",)
# g / (sqrt(v) + eps) with alpha .99 and eps 1e-8: PyTorch's, which "Wasserstein GAN" by Arjovsky et
# al. (https://arxiv.org/abs/1701.07875) was trained by. optax's default is g / sqrt(v + eps), whose
# steps are far smaller at gradients below sqrt(eps), the usual ones of a clipped critic.
_RMSPROP = functools.partial(optax.rmsprop, decay=0.99, eps=1e-8, eps_in_sqrt=False)

OPTIMIZERS: dict[str, Entry] = {
  "adam": Entry(optax.adam, _MOMENTS),
  "adamw": Entry(optax.adamw, _MOMENTS),
  "adabelief": Entry(optax.adabelief, _MOMENTS),
  "amsgrad": Entry(optax.amsgrad, _MOMENTS),
  "lion": Entry(optax.lion, _MOMENTS),
  "nadam": Entry(optax.nadam, _MOMENTS),
  "radam": Entry(optax.radam, _MOMENTS),
  "yogi": Entry(optax.yogi, _MOMENTS),
  "rmsprop": Entry(_RMSPROP, _MOMENTUM),
  "sgd": Entry(optax.sgd, _MOMENTUM),
}


def make_optimizer(name: str, player: str, **bound: Any) -> Optimizer:
  """Returns `hyperparameters -> optax.GradientTransformation` for one player.

  Args:
    name: one of OPTIMIZERS.
    player: "generator" or "discriminator", whose learning rate is read.
    **bound: options that are no hyper-parameters.
  """
  make, options = look_up(OPTIMIZERS, name, "optimizer")

  def optimizer(hyper: Any) -> Any:
    learning_rate = getattr(hyper, f"{player}_learning_rate")
    rates = {name: getattr(hyper, name) for name in options if name not in bound}
    return make(learning_rate, **rates, **bound)

  optimizer.__qualname__ = name  # by which messages call it
  return optimizer


def is_transformation(optimizer: Any) -> bool:
  """Whether an optimiser was passed as an optax transformation, which has its own rate.

  Raises:
    UserError: it is an optax.MultiSteps, which is none but makes one.
  """
  if isinstance(optimizer, optax.MultiSteps):
    raise UserError(
      "an optax.MultiSteps is no optax transformation: give what its `gradient_transformation()` "
      "returns"
    )
  return isinstance(optimizer, optax.GradientTransformation)


def is_optimizer(given: Any) -> bool:
  """Whether `as_optimizer` takes it; not what is to be called with a rate first: `optax.adam`."""
  if is_transformation(given) or given is None:
    return True
  return callable(given) and next(iter(inspect.signature(given).parameters), "") != "learning_rate"


def as_optimizer(given: Any, player: str) -> Optimizer:
  """Returns what was passed as `hyperparameters -> optax.GradientTransformation`.

  Args:
    given: such a function, an optax transformation, or None for Adam.
    player: "generator" or "discriminator", whose learning rate Adam reads.

  Raises:
    UserError: where the result is called, if the function returned no transformation.
  """
  if given is None:
    return make_optimizer("adam", player)
  if is_transformation(given):
    return lambda hyper: given

  def optimizer(hyper: Any) -> optax.GradientTransformation:
    if not is_transformation(made := given(hyper)):
      raise UserError(
        f"optimizer {getattr(given, '__qualname__', given)} returned a {type(made).__name__}: it "
        "must return an optax transformation, such as optax.adam(hyper.generator_learning_rate)"
      )
    return made

  return optimizer


def begun(optimizer: optax.GradientTransformation, params: Any, player: str) -> Any:
  """Returns an optimiser's state before the first step.

  Raises:
    UserError: it does not fit the parameters, as a mask or labels of another network's do not.
  """
  try:
    return optimizer.init(params)
  except (TypeError, ValueError, AttributeError) as error:
    reason = " ".join(str(error).split())[:200]
    raise UserError(
      f"the optimizer does not fit the parameters of the {player} ({reason}): give each player its "
      "own, as `generator_optimizer` and `discriminator_optimizer`"
    ) from error


def changed(optimizer: optax.GradientTransformation, grads: Any, state: Any, params: Any) -> Any:
  """Returns what its update returns: the changes of the parameters, and its new state.

  Raises:
    UserError: its update needs more than gradients, as that of optax.lbfgs needs the value.
  """
  try:
    return optimizer.update(grads, state, params)
  except TypeError as error:
    if "required keyword-only argument" not in str(error):
      raise
    _, _, missing = str(error).partition("missing ")
    raise UserError(
      f"an optimizer whose update needs more than gradients cannot be used ({missing}): choose "
      "one that needs these alone, such as optax.adam(2e-4)"
    ) from error
