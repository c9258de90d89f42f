"""KL-WGAN: samples are weighted by the density ratio that the critic stands for."""

import jax
import jax.numpy as jnp

from gan.losses.base import About, AxisName, Logits, Loss, fixed_threshold


def density_ratios(fake_logits: Logits, axis_name: AxisName = ()) -> Logits:
  """Weights w = exp D(G(z)) / mean exp D(G(z)) of samples, of mean 1, without gradient.

  They are the minimum over w of KL(w q, q) - E_q w D. Both losses hold w. Published code lets
  gradients through, by which the generator lowers logits that are more than 1 below the weighted
  mean.

  Args:
    fake_logits: [*batch], discriminator outputs on generated samples, unbounded.
    axis_name: mapped axes that the batch is spread over; the mean is over all of it.

  Returns:
    [*batch].
  """
  logits = jax.lax.stop_gradient(fake_logits)
  # Less the largest: no exponential overflows, and the mean is never 0.
  powers = jnp.exp(logits - jax.lax.pmax(jnp.max(logits), axis_name))
  return powers / jax.lax.pmean(jnp.mean(powers), axis_name)


def klwgan_discriminator_loss(
  real_logits: Logits, fake_logits: Logits, *, axis_name: AxisName = ()
) -> Logits:
  """Hinge loss of the discriminator on weighted logits, relu(1 - D(x)) + relu(1 + w D(G(z))).

  See "Bridging the Gap Between f-GANs and Wasserstein GANs" by Song and Ermon
  (https://arxiv.org/abs/1910.09779).

  Args:
    real_logits: [*batch], discriminator outputs on data, unbounded.
    fake_logits: [*batch], on generated samples; same shape.
    axis_name: mapped axes that the batch is spread over; the weights are of all of it.

  Returns:
    [*batch], loss per example, not averaged.
  """
  weighted = density_ratios(fake_logits, axis_name) * fake_logits
  return jax.nn.relu(1.0 - real_logits) + jax.nn.relu(1.0 + weighted)


def klwgan_generator_loss(
  real_logits: Logits, fake_logits: Logits, *, axis_name: AxisName = ()
) -> Logits:
  """Loss of the generator, -w D(G(z)); its gradient is that of -log mean exp D(G(z)).

  See "Bridging the Gap Between f-GANs and Wasserstein GANs" by Song and Ermon
  (https://arxiv.org/abs/1910.09779).

  Args:
    real_logits: [*batch], unused.
    fake_logits: [*batch], discriminator outputs on generated samples, unbounded.
    axis_name: mapped axes that the batch is spread over; the weights are of all of it.

  Returns:
    [*batch], loss per example, not averaged.
  """
  del real_logits
  return -density_ratios(fake_logits, axis_name) * fake_logits


KL_WASSERSTEIN = Loss(
  discriminator=klwgan_discriminator_loss,
  generator=klwgan_generator_loss,
  threshold=fixed_threshold(0.0),
  about=About(
    discriminator="relu(1 - r) + relu(1 + w f), w = exp(f)/mean(exp(f)), held constant",
    generator="-w f",
    optimum="none known, for the weights move with D",
    divergence="gradient of -log mean exp f",
    source="Song and Ermon 2020, arXiv:1910.09779",
    use="as `hinge`, where samples that D takes for real should weigh more, as they do in the "
    "variational form of the KL divergence",
    experimental=True,
  ),
  options=("axis_name",),
)
