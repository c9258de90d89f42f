"""APA: D is shown samples as data, as often as keeps it from learning its data by heart."""

import jax
from jaxtyping import Array, Bool, Key

from gan.regularizers.base import Regularizer
from gan.regularizers.sign_rule import EVERY, SPEED, TARGET, SignRule
from gan.state import Hyperparameters


def make_apa(
  *, ada_target: float = TARGET, ada_every: int = EVERY, ada_speed: int = SPEED
) -> Regularizer:
  """Returns adaptive pseudo augmentation: D is shown a sample as data with probability p.

  p is `augment_strength`, which it sets by `sign_rule.SignRule`, and so the strength of an
  augmentation that has one. Such samples are of latents of their own: none is on both sides of a
  pair. A sample brings its label along; the source has none. Penalties and regularisers of D see
  the mixed batch as data.

  See "Deceive D: Adaptive Pseudo Augmentation for GAN Training with Limited Data" by Jiang et al.
  (https://arxiv.org/abs/2111.06849), https://github.com/EndlessSora/DeceiveD.

  Args:
    ada_target: mean sign that D's logits on data have about its loss's threshold, which the
      strength holds, in (-1, 1).
    ada_every: updates of D between moves of the strength.
    ada_speed: real images in which the strength can go from 0 to 1.
  """
  rule = SignRule(ada_target, ada_every, ada_speed).checked()
  return rule.regularizer("apa")._replace(exchange=_exchange, reads=("augment_strength",))


def _exchange(keys: Key[Array, " b"], hyper: Hyperparameters, state: dict) -> Bool[Array, " b"]:
  del state
  return jax.vmap(lambda key: jax.random.bernoulli(key, hyper.augment_strength))(keys)
