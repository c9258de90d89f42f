"""MCGAN: the generator regresses the mean logit of its samples on the logits of the data."""

import jax
import jax.numpy as jnp

from gan.losses.base import About, AxisName, Logits, Loss, fixed_threshold
from gan.losses.hinge import hinge_discriminator_loss


def regression_discriminator_loss(
  real_logits: Logits, fake_logits: Logits, *, axis_name: AxisName = ()
) -> Logits:
  """Hinge loss of the discriminator, which bounds the logits that it is worth to have.

  The paper's generator goes with any loss of D.

  Args:
    real_logits: [*batch], discriminator outputs on data, unbounded.
    fake_logits: [*batch], on generated samples; same shape.
    axis_name: unused, the generator's.

  Returns:
    [*batch], loss per example, not averaged.
  """
  del axis_name
  return hinge_discriminator_loss(real_logits, fake_logits)


def regression_generator_loss(
  real_logits: Logits, fake_logits: Logits, *, axis_name: AxisName = ()
) -> Logits:
  """Regression loss of the generator, (D(x) - mean D(G(z)))^2.

  Its mean is (mean D(x) - mean D(G(z)))^2 and the variance of D(x), which G cannot change: G
  stops where the means of both sides meet, and not at the largest logit. In the paper the mean of
  a conditional generator is over samples of the label of x; here it is over the batch.

  See "MCGAN: Enhancing GAN Training with Regression-Based Generator Loss" by Xiao et al.
  (https://arxiv.org/abs/2405.17191), https://github.com/DeepIntoStreams/MCGAN, which clips D(x).

  Args:
    real_logits: [*batch], discriminator outputs on data, unbounded.
    fake_logits: [*batch], on generated samples; same shape.
    axis_name: mapped axes that the batch is spread over; the mean is over all of it.

  Returns:
    [*batch], loss per real example, not averaged.
  """
  fake_mean = jax.lax.pmean(jnp.mean(fake_logits), axis_name)
  return jnp.square(real_logits - fake_mean)


REGRESSION = Loss(
  discriminator=regression_discriminator_loss,
  generator=regression_generator_loss,
  threshold=fixed_threshold(0.0),
  about=About(
    discriminator="relu(1 - r) + relu(1 + f)",
    generator="(r - mean f)^2",
    optimum="sign(p - q); anything in [-1, 1] where p = q",
    divergence="the gradient of (2 TV(p, q))^2",
    source="Xiao et al. 2024, arXiv:2405.17191",
    use="as `hinge`, with a loss of G that has a minimum: the mean logit of samples goes to that of"
    " the data, and no further",
  ),
  options=("axis_name",),
)
