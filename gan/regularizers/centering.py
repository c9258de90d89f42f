"""Terms that draw the logits to 0, where a loss leaves their offset free."""

import jax.numpy as jnp

from gan.regularizers.base import Regularizer, Term, View


def make_centering() -> Regularizer:
  """Returns the term (D(x) + D(G(z)))^2 of the discriminator, of pairs in a batch.

  Relativistic losses and critics' losses do not change where a constant is added to all logits, so
  that nothing else holds it.

  See "Adversarial Flow Models" (https://arxiv.org/abs/2511.22475), where the weight is 0.01.
  """

  def discriminator(view: View, state: dict) -> Term:
    del state
    value = jnp.mean(jnp.square(view.real_outputs.logits + view.fake_outputs.logits))
    return value, {"centering": value}

  return Regularizer(discriminator=discriminator)


def make_drift() -> Regularizer:
  """Returns the term D(x)^2 of the discriminator, on data alone.

  See "Progressive Growing of GANs for Improved Quality, Stability, and Variation" by Karras et al.,
  appendix A.1 (https://arxiv.org/abs/1710.10196), where the weight is 0.001.
  """

  def discriminator(view: View, state: dict) -> Term:
    del state
    value = jnp.mean(jnp.square(view.real_outputs.logits))
    return value, {"drift": value}

  return Regularizer(discriminator=discriminator)
