"""ADA's controller: an augmentation is as strong as keeps D from learning its data by heart."""

from gan.regularizers.base import Regularizer
from gan.regularizers.sign_rule import EVERY, SPEED, TARGET, SignRule


def make_ada(
  *, ada_target: float = TARGET, ada_every: int = EVERY, ada_speed: int = SPEED
) -> Regularizer:
  """Returns the controller, which sets `augment_strength`; see `sign_rule.SignRule`.

  It has no term. A fine-tuned network takes a speed of 100,000 in the source.

  See "Training Generative Adversarial Networks with Limited Data" by Karras et al.
  (https://arxiv.org/abs/2006.06676).

  Args:
    ada_target: mean sign that D's logits on data have about its loss's threshold, which the
      strength holds, in (-1, 1).
    ada_every: updates of D between moves of the strength.
    ada_speed: real images in which the strength can go from 0 to 1.
  """
  return SignRule(ada_target, ada_every, ada_speed).checked().regularizer("ada")
