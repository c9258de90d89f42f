"""The hinge loss: a margin classifier, the geometric GAN."""

import jax

from gan.losses.base import About, Logits, Loss, fixed_threshold


def hinge_discriminator_loss(real_logits: Logits, fake_logits: Logits) -> Logits:
  """Hinge loss of the discriminator, max(0, 1 - D(x)) + max(0, 1 + D(G(z))).

  See "Geometric GAN" by Lim and Ye (https://arxiv.org/abs/1705.02894), and "Spectral
  Normalization for Generative Adversarial Networks" by Miyato et al.
  (https://arxiv.org/abs/1802.05957).

  Args:
    real_logits: [*batch], discriminator outputs on data, unbounded.
    fake_logits: [*batch], on generated samples; same shape.

  Returns:
    [*batch], loss per example, not averaged.
  """
  return jax.nn.relu(1.0 - real_logits) + jax.nn.relu(1.0 + fake_logits)


def hinge_generator_loss(real_logits: Logits, fake_logits: Logits) -> Logits:
  """Loss of the generator against a hinge discriminator, -D(G(z)), without a margin.

  See "Geometric GAN" by Lim and Ye (https://arxiv.org/abs/1705.02894), and "Spectral
  Normalization for Generative Adversarial Networks" by Miyato et al.
  (https://arxiv.org/abs/1802.05957).

  Args:
    real_logits: [*batch], unused.
    fake_logits: [*batch], discriminator outputs on generated samples, unbounded.

  Returns:
    [*batch], loss per example, not averaged.
  """
  del real_logits
  return -fake_logits


HINGE = Loss(
  discriminator=hinge_discriminator_loss,
  generator=hinge_generator_loss,
  threshold=fixed_threshold(0.0),
  about=About(
    discriminator="relu(1 - r) + relu(1 + f)",
    generator="-f",
    optimum="sign(p - q); anything in [-1, 1] where p = q",
    divergence="2 TV(p, q)",
    source="Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957",
    use="with spectral normalisation and residual networks: SNGAN, SAGAN and BigGAN were trained "
    "with it",
  ),
)
