"""Centring: the logits are drawn to 0, where a loss leaves their offset free."""

import jax.numpy as jnp

from gan.regularizers.base import Regularizer, Term, View


def make_centering(*, centering_data_only: bool = False) -> Regularizer:
  """Returns the term (D(x) + D(G(z)))^2 of the discriminator, of pairs in a batch.

  Relativistic losses and critics' losses do not change where a constant is added to all logits, so
  that nothing holds it; see "Adversarial Flow Models" (https://arxiv.org/abs/2511.22475), where the
  weight is 0.01. The term of the data alone, D(x)^2, is the drift term of "Progressive Growing of
  GANs for Improved Quality, Stability, and Variation" by Karras et al., appendix A.1
  (https://arxiv.org/abs/1710.10196), with the weight 0.001.

  Args:
    centering_data_only: whether the term is D(x)^2.
  """

  def discriminator(view: View, state: dict) -> Term:
    del state
    logits = view.real_outputs.logits
    if not centering_data_only:
      logits = logits + view.fake_outputs.logits
    value = jnp.mean(jnp.square(logits))
    return value, {"centering": value}

  return Regularizer(discriminator=discriminator)
