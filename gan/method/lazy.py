"""What a penalty on some steps alone, of StyleGAN2, asks of the optimiser and of the step.

See "Analyzing and Improving the Image Quality of StyleGAN" by Karras et al., appendix B
(https://arxiv.org/abs/1912.04958); the step of its own is that of
https://github.com/NVlabs/stylegan2-ada-pytorch.
"""

from collections.abc import Collection
from typing import Any

from gan.errors import UserError
from gan.state import Hyperparameters

JOINT, SEPARATE = "joint", "separate"
STEPS = (JOINT, SEPARATE)
CORRECTED = ("discriminator_learning_rate", "b1", "b2")


def corrected(hyper: Hyperparameters, every: int) -> Hyperparameters:
  """Returns the numbers of D's optimiser where n updates became n + 1, by c = n / (n + 1).

  The rate is multiplied by c and the decays of both moments are taken to its power, so that n + 1
  updates go as far and forget as much as n did.

  Args:
    hyper: of the step.
    every: n, steps from one penalty to the next.
  """
  share = every / (every + 1)
  return hyper.replace(
    discriminator_learning_rate=share * hyper.discriminator_learning_rate,
    b1=hyper.b1**share,
    b2=hyper.b2**share,
  )


def check_lazy(
  lazy_correction: bool, lazy_step: str, every: int, update_rule: Any, read: Collection[str]
) -> None:
  """Checks that a correction or a step of its own has a penalty that is lazy, and a rule with it.

  Args:
    lazy_correction: whether D's optimiser is corrected.
    lazy_step: one of STEPS.
    every: steps from one penalty to the next; 1 for none too.
    update_rule: a gan.UpdateRule, or None for the usual one.
    read: the hyper-parameters that D's optimiser reads.

  Raises:
    UserError: it has not.
  """
  asked = "`lazy_correction`" if lazy_correction else f"`lazy_step={lazy_step}`"
  if (lazy_correction or lazy_step == SEPARATE) and every == 1:
    raise UserError(
      f"{asked} is of a penalty that skips steps: give a `penalty` and a `penalty_every` above 1, "
      "or leave it out"
    )
  if lazy_correction and not set(CORRECTED) <= set(read):
    missing = ", ".join(name for name in CORRECTED if name not in read)
    raise UserError(
      f"`lazy_correction` changes {', '.join(CORRECTED)}, and the discriminator's optimizer does "
      f"not read {missing}: choose one that does, such as adam, or leave it out"
    )
  if lazy_step == SEPARATE and not getattr(update_rule, "penalty_steps", True):
    raise UserError(
      f"`lazy_step={lazy_step}` has no place in this `update_rule`: take alternating, "
      "alternating_generator_first or lookahead, or `lazy_step=joint`"
    )
