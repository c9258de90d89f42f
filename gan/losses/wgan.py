"""The Wasserstein loss: a critic, which some other part has to keep Lipschitz."""

from gan.losses.base import About, Logits, Loss, paired_threshold


def wasserstein_discriminator_loss(real_logits: Logits, fake_logits: Logits) -> Logits:
  """Loss of the critic, D(G(z)) - D(x).

  Unbounded below for p != q unless the critic is constrained, by clipped weights (c = 0.01 in the
  paper) or by a gradient penalty.

  See "Wasserstein GAN" by Arjovsky et al., Algorithm 1 (https://arxiv.org/abs/1701.07875).

  Args:
    real_logits: [*batch], critic outputs on data, unbounded.
    fake_logits: [*batch], on generated samples; same shape.

  Returns:
    [*batch], loss per example, not averaged.
  """
  return fake_logits - real_logits


def wasserstein_generator_loss(real_logits: Logits, fake_logits: Logits) -> Logits:
  """Loss of the generator against a critic, -D(G(z)).

  See "Wasserstein GAN" by Arjovsky et al., Algorithm 1 (https://arxiv.org/abs/1701.07875).

  Args:
    real_logits: [*batch], unused.
    fake_logits: [*batch], critic outputs on generated samples, unbounded.

  Returns:
    [*batch], loss per example, not averaged.
  """
  del real_logits
  return -fake_logits


WASSERSTEIN = Loss(
  discriminator=wasserstein_discriminator_loss,
  generator=wasserstein_generator_loss,
  threshold=paired_threshold,
  about=About(
    discriminator="f - r",
    generator="-f",
    optimum="a Kantorovich potential of (p, q); c sign(p - q) if logits are held to [-c, c]",
    divergence="K W1(p, q) over K-Lipschitz critics; 2c TV(p, q) over logits in [-c, c]",
    source="Arjovsky et al. 2017, Algorithm 1, arXiv:1701.07875",
    use="where D's loss should estimate a distance, so that its course shows progress; D has to be "
    "bounded, and a penalty such as `wgan_gp` does that better than clipping its weights",
  ),
  zero_sum=True,
  default_clip=0.01,
)
