"""Regularisers that act on a step: what they cannot be combined with, in one line each."""

from collections.abc import Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan.errors import UserError
from gan.losses import Loss, decides
from gan.networks import Outputs
from gan.regularizers import Regularizer


def check_controls(
  regularizers: Mapping[str, Regularizer], given: Collection[str], read: Collection[str]
) -> None:
  """Checks that each number which regularisers control has one master, and is read.

  Args:
    regularizers: of a game, by name.
    given: numbers that a schedule moves, or that are set.
    read: numbers that a step of the game reads.

  Raises:
    UserError: two regularisers control one number, or something else sets it, or nothing reads it.
  """
  masters = {}
  for name, part in regularizers.items():
    for number in part.controls or {}:
      if number in masters:
        raise UserError(
          f"two controllers of one strength: the regularizers {masters[number]} and {name} both "
          f"set {number}: leave one of them out"
        )
      if number in given:
        raise UserError(
          f"{number} is set by the regularizer {name} at every step: leave out its schedule and "
          f"its own value, or {name}"
        )
      if number not in read:
        raise UserError(
          f"the regularizer {name} sets {number}, which nothing here reads: add an augmentation "
          f"that has a strength, such as diffaugment or ada, or leave {name} out"
        )
      masters[number] = name


def check_acting(regularizers: Mapping[str, Regularizer], loss: Loss, update_rule: Any) -> None:
  """Checks that what regularisers do, and what they go by, means something.

  Args:
    regularizers: of a game, by name.
    loss: of the game.
    update_rule: of the game, or None for the usual one.

  Raises:
    UserError: it does not.
  """
  for name, part in regularizers.items():
    if part.weigh and not of_each_sample(loss):
      raise UserError(
        f"the regularizer {name} weighs the generator's loss of each sample, and this loss "
        "compares samples with data or with each other, so that no sample has one of its own: "
        f"leave {name} out, or take another loss, such as nonsat or hinge"
      )
    first_order = getattr(update_rule, "first_order", True)
    if part.weigh and loss.zero_sum and not first_order:
      raise UserError(
        f"the regularizer {name} weighs the generator's loss of each sample, and under this update "
        "rule that of a zero-sum loss has the data in it, so that no sample has one of its own: "
        f"leave {name} out, or take another rule, such as alternating, or another loss, such as "
        "nonsat"
      )
    if part.needs_threshold and not has_threshold(loss):
      raise UserError(
        f"the regularizer {name} goes by the logit at which the discriminator decides, and with "
        "this loss there is none: logits are known up to a constant alone, or are errors of an "
        f"autoencoder: leave {name} out, or take another loss, such as nonsat or hinge"
      )
    if part.backward and not first_order:
      raise UserError(
        f"the regularizer {name} changes the gradient that the discriminator hands to the "
        "generator, and this update rule differentiates through gradients, which would then be of "
        f"no loss: leave {name} out, or take another rule, such as alternating"
      )


def has_threshold(loss: Loss) -> bool:
  """Whether the logits of a loss have a zero, on whose sides its discriminator puts examples.

  Energies of an autoencoder have none: where it does not tell the sides apart, they can be any. Nor
  has a witness, which stands for the logit of a whole batch.
  """
  try:
    with jax.ensure_compile_time_eval():  # a game may be made where a step is traced
      return "residual" not in loss.needs and loss.witness is None and decides(loss)
  except NameError:  # a loss that is bound to mapped axes takes means over them
    return False


def of_each_sample(loss: Loss) -> bool:
  """Whether the generator's loss of a sample is a function of what D returns for that sample alone.

  It is found out by example: the data and the first of three samples change, and the losses of the
  other two must not.
  """
  numbers = np.linspace(-0.7, 0.9, 24, dtype=np.float32).reshape(3, 8)
  changed = numbers + np.array([[0.3], [0.0], [0.0]], np.float32)
  weight = jnp.asarray(numbers[0, 4:])  # of the discriminator, and not of a sample

  def losses(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    given = [
      Outputs(it[:, 0], it[:, 1:4], it[:, 4:], weight, it) for it in map(jnp.asarray, (real, fake))
    ]
    given = given if loss.needs else [each.logits for each in given]
    kept = [loss.init()] if loss.init else []
    return np.asarray(loss.generator(*given, *kept))

  try:
    with jax.ensure_compile_time_eval():  # a game may be made where a step is traced
      before, after = losses(numbers, numbers), losses(-changed, changed)
  except NameError:  # a loss that is bound to mapped axes takes means over them
    return False
  return before.shape == (3,) and np.allclose(before[1:], after[1:])
