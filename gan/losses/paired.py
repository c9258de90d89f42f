"""The relativistic form of any loss f of one logit: f(D(x) - D(G(z))), and the sides exchanged.

It is one's own to make, `relativistic_loss(f)`. That of softplus(-t) is rsgan, and that of -t has
the gradients of wgan. The data's terms -T(t) of f-GANs give no more than these: kl, pearson and
jeffrey are -t; js and gan softplus(-t); reverse_kl, neyman and hellinger exp(-t), each up to a
constant; tv is one of its own.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from gan.losses.base import About, Logits, Loss, bounded_exp, paired_threshold


def paired_discriminator_loss(
  f: Callable[[Logits], Logits], real_logits: Logits, fake_logits: Logits
) -> Logits:
  """Paired relativistic loss of the discriminator, f(D(x) - D(G(z))).

  See "The relativistic discriminator" by Jolicoeur-Martineau (https://arxiv.org/abs/1807.00734).

  Args:
    f: of the difference of a pair [*batch], to [*batch].
    real_logits: [*batch], discriminator outputs on data, unbounded.
    fake_logits: [*batch], on generated samples; same shape.

  Returns:
    [*batch], loss per pair, not averaged.
  """
  return f(real_logits - fake_logits)


def paired_generator_loss(
  f: Callable[[Logits], Logits], real_logits: Logits, fake_logits: Logits
) -> Logits:
  """Paired relativistic loss of the generator, f(D(G(z)) - D(x)): the sides are exchanged.

  Args:
    f: of the difference of a pair [*batch], to [*batch].
    real_logits: [*batch], discriminator outputs on data, unbounded.
    fake_logits: [*batch], on generated samples; same shape.

  Returns:
    [*batch], loss per pair, not averaged.
  """
  return f(fake_logits - real_logits)


def relativistic_loss(f: Callable[[Logits], Logits], about: About | None = None) -> Loss:
  """Returns the paired relativistic form of a loss: D minimises f(D(x) - D(G(z))), G the exchange.

  A constant that is added to all logits changes nothing. "On Relativistic f-Divergences" by
  Jolicoeur-Martineau (https://arxiv.org/abs/1901.02474) asks for a convex f that falls at 0 and is
  lower somewhere above 0 than it is there: the optimum of D is then below f(0) but where p = q.

  Args:
    f: a function of one array that keeps its shape: of the margin by which the data win.
    about: what a page says of it.

  Examples:
    >>> import gan, jax.numpy as jnp
    >>> loss = gan.losses.relativistic_loss(lambda margin: jnp.square(margin - 2))
    >>> loss.discriminator(jnp.array([2.0, 1.0]), jnp.array([0.0, 2.0]))
    Array([0., 9.], dtype=float32)
  """
  return Loss(
    discriminator=functools.partial(paired_discriminator_loss, f),
    generator=functools.partial(paired_generator_loss, f),
    threshold=paired_threshold,
    about=about,
  )


def _hinge(margin: Logits) -> Logits:
  return jax.nn.relu(1.0 - margin)


def _least_squares(margin: Logits) -> Logits:
  return jnp.square(margin - 1.0) / 2


def _exponential(margin: Logits) -> Logits:
  return bounded_exp(-margin)


def _total_variation(margin: Logits) -> Logits:
  return -jnp.tanh(margin) / 2


_SOURCE = "Jolicoeur-Martineau 2018, arXiv:1807.00734"
_EXCHANGED = "G plays the exchanged loss"

PAIRED_HINGE = relativistic_loss(
  _hinge,
  About(
    discriminator="relu(1 - (r - f))",
    generator="relu(1 - (f - r))",
    optimum="no closed form: the solution of a linear program",
    divergence=f"no closed form; {_EXCHANGED}",
    source=_SOURCE,
    use="to compare with `rsgan`: pairs whose logits are more than 1 apart in the right order no "
    "longer count",
    experimental=True,
  ),
)

PAIRED_LEAST_SQUARES = relativistic_loss(
  _least_squares,
  About(
    discriminator="(r - f - 1)^2/2",
    generator="(f - r - 1)^2/2",
    optimum="2/(2 + S) (p - q)/(p + q) + constant, with S = sum (p - q)^2/(p + q)",
    divergence=f"(2 - S)/(4 + 2S) is D's optimum; {_EXCHANGED}",
    source=_SOURCE,
    use="to compare with `rsgan`: D draws the logits of a pair 1 apart, and no further",
  ),
)

PAIRED_EXPONENTIAL = relativistic_loss(
  _exponential,
  About(
    discriminator="exp(f - r), linear for f - r > 30",
    generator="exp(r - f), linear for r - f > 30",
    optimum="(log p/q)/2 + constant",
    divergence=f"(sum sqrt(p q))^2 = (1 - H/2)^2 is D's optimum, H that of fgan_hellinger; "
    f"{_EXCHANGED}",
    source=_SOURCE,
    use="to study the Hellinger distance between data and samples; the slope is exponential in "
    "the difference of logits, so a few pairs make most of the gradient",
  ),
)

PAIRED_TOTAL_VARIATION = relativistic_loss(
  _total_variation,
  About(
    discriminator="-tanh(r - f)/2",
    generator="-tanh(f - r)/2",
    optimum="infinitely apart, in the order of p/q",
    divergence="TV(p x q, q x p)/2, the area under the ROC curve of p/q less 1/2",
    source=f"{_SOURCE}; Nowozin et al. 2016, arXiv:1606.00709",
    use="to study the total variation between pairs; D's optimum puts their logits infinitely far "
    "apart, so give it a penalty",
  ),
)._replace(zero_sum=True)  # tanh is odd
