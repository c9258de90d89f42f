"""Relativistic losses: a logit counts only against the logits of the other side.

The discriminator is rewarded for real examples above generated ones and the generator for the
opposite, so every generator loss here is the discriminator's with the two sides exchanged, and
adding a constant to all logits changes nothing.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan.losses.base import About, AxisName, Logits, Loss, paired_threshold


def relativistic_discriminator_loss(real_logits: Logits, fake_logits: Logits) -> Logits:
  """Paired relativistic loss of the discriminator, -log s(D(x) - D(G(z))).

  Each real example meets one generated example, its neighbour in the batch. Averaging over all
  pairs is another loss, which scores one match among two modes at half of what this one does.

  See "The relativistic discriminator" by Jolicoeur-Martineau (https://arxiv.org/abs/1807.00734),
  and "The GAN is dead; long live the GAN!" by Huang et al. (https://arxiv.org/abs/2501.05441).

  Args:
    real_logits: [*batch], discriminator outputs on data, unbounded.
    fake_logits: [*batch], on generated samples; same shape.

  Returns:
    [*batch], loss per pair, not averaged.
  """
  return jax.nn.softplus(fake_logits - real_logits)


def relativistic_generator_loss(real_logits: Logits, fake_logits: Logits) -> Logits:
  """Paired relativistic loss of the generator, -log s(D(G(z)) - D(x)): non-saturating.

  See "The relativistic discriminator" by Jolicoeur-Martineau (https://arxiv.org/abs/1807.00734).

  Args:
    real_logits: [*batch], discriminator outputs on data, unbounded.
    fake_logits: [*batch], on generated samples; same shape.

  Returns:
    [*batch], loss per pair, not averaged.
  """
  return relativistic_discriminator_loss(fake_logits, real_logits)


def relativistic_average_discriminator_loss(
  real_logits: Logits, fake_logits: Logits, *, axis_name: AxisName = ()
) -> Logits:
  """Relativistic average loss, [-log s(D(x) - mean f) - log(1 - s(D(G(z)) - mean r))] / 2.

  See "The relativistic discriminator" by Jolicoeur-Martineau (https://arxiv.org/abs/1807.00734);
  the 1/2 is in the author's code (https://github.com/AlexiaJM/RelativisticGAN).

  Args:
    real_logits: [*batch], discriminator outputs on data, unbounded.
    fake_logits: [*batch], on generated samples; same shape.
    axis_name: mapped axes that the batch is spread over; the means are over all of it.

  Returns:
    [*batch], loss per example, not averaged.
  """
  real, fake = _relative_logits(real_logits, fake_logits, axis_name)
  return (jax.nn.softplus(-real) + jax.nn.softplus(fake)) / 2


def relativistic_average_generator_loss(
  real_logits: Logits, fake_logits: Logits, *, axis_name: AxisName = ()
) -> Logits:
  """Relativistic average loss, [-log s(D(G(z)) - mean r) - log(1 - s(D(x) - mean f))] / 2.

  See "The relativistic discriminator" by Jolicoeur-Martineau (https://arxiv.org/abs/1807.00734).

  Args:
    real_logits: [*batch], discriminator outputs on data, unbounded.
    fake_logits: [*batch], on generated samples; same shape.
    axis_name: mapped axes that the batch is spread over; the means are over all of it.

  Returns:
    [*batch], loss per example, not averaged.
  """
  return relativistic_average_discriminator_loss(fake_logits, real_logits, axis_name=axis_name)


def relativistic_average_least_squares_discriminator_loss(
  real_logits: Logits, fake_logits: Logits, *, axis_name: AxisName = ()
) -> Logits:
  """Relativistic average least squares, [(D(x) - mean f - 1)^2 + (D(G(z)) - mean r + 1)^2] / 2.

  See "The relativistic discriminator" by Jolicoeur-Martineau (https://arxiv.org/abs/1807.00734);
  the 1/2 is in the author's code (https://github.com/AlexiaJM/RelativisticGAN).

  Args:
    real_logits: [*batch], discriminator outputs on data, unbounded.
    fake_logits: [*batch], on generated samples; same shape.
    axis_name: mapped axes that the batch is spread over; the means are over all of it.

  Returns:
    [*batch], loss per example, not averaged.
  """
  real, fake = _relative_logits(real_logits, fake_logits, axis_name)
  return (jnp.square(real - 1.0) + jnp.square(fake + 1.0)) / 2


def relativistic_average_least_squares_generator_loss(
  real_logits: Logits, fake_logits: Logits, *, axis_name: AxisName = ()
) -> Logits:
  """Relativistic average least squares, [(D(G(z)) - mean r - 1)^2 + (D(x) - mean f + 1)^2] / 2.

  See "The relativistic discriminator" by Jolicoeur-Martineau (https://arxiv.org/abs/1807.00734).

  Args:
    real_logits: [*batch], discriminator outputs on data, unbounded.
    fake_logits: [*batch], on generated samples; same shape.
    axis_name: mapped axes that the batch is spread over; the means are over all of it.

  Returns:
    [*batch], loss per example, not averaged.
  """
  return relativistic_average_least_squares_discriminator_loss(
    fake_logits, real_logits, axis_name=axis_name
  )


def relativistic_average_hinge_discriminator_loss(
  real_logits: Logits, fake_logits: Logits, *, axis_name: AxisName = ()
) -> Logits:
  """Relativistic average hinge, [relu(1 - (D(x) - mean f)) + relu(1 + (D(G(z)) - mean r))] / 2.

  See "The relativistic discriminator" by Jolicoeur-Martineau (https://arxiv.org/abs/1807.00734);
  the 1/2 is in the author's code (https://github.com/AlexiaJM/RelativisticGAN).

  Args:
    real_logits: [*batch], discriminator outputs on data, unbounded.
    fake_logits: [*batch], on generated samples; same shape.
    axis_name: mapped axes that the batch is spread over; the means are over all of it.

  Returns:
    [*batch], loss per example, not averaged.
  """
  real, fake = _relative_logits(real_logits, fake_logits, axis_name)
  return (jax.nn.relu(1.0 - real) + jax.nn.relu(1.0 + fake)) / 2


def relativistic_average_hinge_generator_loss(
  real_logits: Logits, fake_logits: Logits, *, axis_name: AxisName = ()
) -> Logits:
  """Relativistic average hinge, [relu(1 - (D(G(z)) - mean r)) + relu(1 + (D(x) - mean f))] / 2.

  See "The relativistic discriminator" by Jolicoeur-Martineau (https://arxiv.org/abs/1807.00734).

  Args:
    real_logits: [*batch], discriminator outputs on data, unbounded.
    fake_logits: [*batch], on generated samples; same shape.
    axis_name: mapped axes that the batch is spread over; the means are over all of it.

  Returns:
    [*batch], loss per example, not averaged.
  """
  return relativistic_average_hinge_discriminator_loss(
    fake_logits, real_logits, axis_name=axis_name
  )


def relativistic_average_threshold(
  real_logits: Logits, fake_logits: Logits, *, axis_name: AxisName = ()
) -> tuple[Logits, Logits]:
  """What a relativistic average discriminator compares with: the mean of the other side.

  Args:
    real_logits: [*batch], discriminator outputs on data.
    fake_logits: [*batch], on generated samples; same shape.
    axis_name: mapped axes that the batch is spread over; the means are over all of it.

  Returns:
    (for real, for fake), [*batch] each.
  """
  return (
    jnp.full_like(real_logits, _batch_mean(fake_logits, axis_name)),
    jnp.full_like(fake_logits, _batch_mean(real_logits, axis_name)),
  )


def _batch_mean(logits: Logits, axis_name: AxisName) -> Float[Array, ""]:
  # pmean over the empty tuple is the identity, so one device takes the same path as many.
  return jax.lax.pmean(jnp.mean(logits), axis_name)


def _relative_logits(
  real_logits: Logits, fake_logits: Logits, axis_name: AxisName
) -> tuple[Logits, Logits]:
  real_mean = _batch_mean(real_logits, axis_name)
  fake_mean = _batch_mean(fake_logits, axis_name)
  return real_logits - fake_mean, fake_logits - real_mean


_SOURCE = "Jolicoeur-Martineau 2018, arXiv:1807.00734"
_AVERAGE = "no closed form; G plays the exchanged loss"

RELATIVISTIC = Loss(
  discriminator=relativistic_discriminator_loss,
  generator=relativistic_generator_loss,
  threshold=paired_threshold,
  about=About(
    discriminator="softplus(f - r)",
    generator="softplus(r - f)",
    optimum="log p/q + constant",
    divergence="JSD of the products p x q and q x p is D's optimum; G plays the exchanged loss",
    source=f"{_SOURCE}; Huang et al. 2024, arXiv:2501.05441",
    use="with the penalty `r1r2`, as in R3GAN: each sample is judged against an example of the "
    "data, which works against dropped modes",
  ),
)

RELATIVISTIC_AVERAGE = Loss(
  discriminator=relativistic_average_discriminator_loss,
  generator=relativistic_average_generator_loss,
  threshold=relativistic_average_threshold,
  about=About(
    discriminator="[softplus(-(r - mean f)) + softplus(f - mean r)]/2",
    generator="[softplus(-(f - mean r)) + softplus(r - mean f)]/2",
    optimum="no closed form: p (s(F - a) + B) = q (s(a - R) + A), with R = E_p a, F = E_q a, "
    "A = E_p s(F - a), B = E_q s(a - R)",
    divergence=_AVERAGE,
    source=_SOURCE,
    use="as `rsgan`, where a comparison with one example is too noisy: each logit is compared with "
    "the mean of the other side",
  ),
  options=("axis_name",),
)

RELATIVISTIC_AVERAGE_LEAST_SQUARES = Loss(
  discriminator=relativistic_average_least_squares_discriminator_loss,
  generator=relativistic_average_least_squares_generator_loss,
  threshold=relativistic_average_threshold,
  about=About(
    discriminator="[(r - mean f - 1)^2 + (f - mean r + 1)^2]/2",
    generator="[(f - mean r - 1)^2 + (r - mean f + 1)^2]/2",
    optimum="4/(2 + 3S) (p - q)/(p + q) + constant, with S = sum (p - q)^2/(p + q)",
    divergence="(2 - S)/(2 + 3S) is D's optimum; G plays the exchanged loss",
    source=_SOURCE,
    use="as `ragan`, by least squares: the slope grows with the distance from the target, and does "
    "not vanish",
  ),
  options=("axis_name",),
)

RELATIVISTIC_AVERAGE_HINGE = Loss(
  discriminator=relativistic_average_hinge_discriminator_loss,
  generator=relativistic_average_hinge_generator_loss,
  threshold=relativistic_average_threshold,
  about=About(
    discriminator="[relu(1 - (r - mean f)) + relu(1 + (f - mean r))]/2",
    generator="[relu(1 - (f - mean r)) + relu(1 + (r - mean f))]/2",
    optimum="no closed form: the solution of a linear program",
    divergence=_AVERAGE,
    source=_SOURCE,
    use="as `ragan`, by the hinge: what is beyond the margin on the right side no longer counts",
  ),
  options=("axis_name",),
)
