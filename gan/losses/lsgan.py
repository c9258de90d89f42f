"""Least squares: logits regressed on codes of real and generated."""

import jax.numpy as jnp

from gan.losses.base import About, Logits, Loss


def least_squares_discriminator_loss(
  real_logits: Logits,
  fake_logits: Logits,
  *,
  lsgan_targets: tuple[float, float, float] = (0.0, 1.0, 1.0),
) -> Logits:
  """Least squares of the discriminator, (D(x) - b)^2 / 2 + (D(G(z)) - a)^2 / 2.

  On the raw output: no sigmoid, which would bound the regression that the paper leaves free.

  See "Least Squares Generative Adversarial Networks" by Mao et al.
  (https://arxiv.org/abs/1611.04076).

  Args:
    real_logits: [*batch], discriminator outputs on data, unbounded.
    fake_logits: [*batch], on generated samples; same shape.
    lsgan_targets: (a, b, c), codes of generated and of real for D, and what G wants D to say:
      (0, 1, 1), or (-1, 1, 0) for the Pearson chi-squared divergence.

  Returns:
    [*batch], loss per example, not averaged.
  """
  fake_target, real_target, _ = lsgan_targets
  return jnp.square(real_logits - real_target) / 2 + jnp.square(fake_logits - fake_target) / 2


def least_squares_generator_loss(
  real_logits: Logits,
  fake_logits: Logits,
  *,
  lsgan_targets: tuple[float, float, float] = (0.0, 1.0, 1.0),
) -> Logits:
  """Least squares of the generator, (D(G(z)) - c)^2 / 2.

  See "Least Squares Generative Adversarial Networks" by Mao et al.
  (https://arxiv.org/abs/1611.04076).

  Args:
    real_logits: [*batch], unused.
    fake_logits: [*batch], discriminator outputs on generated samples, unbounded.
    lsgan_targets: (a, b, c); c is what the generator wants the discriminator to say.

  Returns:
    [*batch], loss per example, not averaged.
  """
  del real_logits
  return jnp.square(fake_logits - lsgan_targets[2]) / 2


def least_squares_threshold(
  real_logits: Logits,
  fake_logits: Logits,
  *,
  lsgan_targets: tuple[float, float, float] = (0.0, 1.0, 1.0),
) -> tuple[Logits, Logits]:
  """The optimal logit where p = q, half way between the codes: (a + b) / 2.

  Args:
    real_logits: [*batch], discriminator outputs on data.
    fake_logits: [*batch], on generated samples; same shape.
    lsgan_targets: (a, b, c), codes of generated and of real for D, and G's target.

  Returns:
    (for real, for fake), [*batch] each.
  """
  middle = (lsgan_targets[0] + lsgan_targets[1]) / 2
  return jnp.full_like(real_logits, middle), jnp.full_like(fake_logits, middle)


LEAST_SQUARES = Loss(
  discriminator=least_squares_discriminator_loss,
  generator=least_squares_generator_loss,
  threshold=least_squares_threshold,
  about=About(
    discriminator="(r - b)^2/2 + (f - a)^2/2",
    generator="(f - c)^2/2",
    optimum="(b p + a q)/(p + q)",
    divergence="chi2 = Pearson chi2(p + q, 2q): chi2/2 for (-1, 1, 0), 1/4 + chi2/8 for (0, 1, 1)",
    source="Mao et al. 2017, arXiv:1611.04076",
    use="where samples that D rejects with confidence should still teach G: the slope grows with "
    "the distance from the target, and does not vanish",
  ),
  options=("lsgan_targets",),
)
