"""The original game: a classifier trained by cross-entropy, and three generators against it."""

import jax
import jax.numpy as jnp
from jaxtyping import ScalarLike

from gan.losses.base import About, Logits, Loss, bounded_exp


def cross_entropy_discriminator_loss(
  real_logits: Logits, fake_logits: Logits, *, real_label: ScalarLike = 1.0
) -> Logits:
  """Cross-entropy of the classifier D = s(logit), -log D(x) - log(1 - D(G(z))).

  With the target alpha of one-sided label smoothing the data term becomes
  -alpha log D(x) - (1 - alpha) log(1 - D(x)), whose optimum is D = alpha p / (p + q). The target
  of generated samples stays 0: any other gives D a peak wherever the generator already is.

  See "Generative Adversarial Nets" by Goodfellow et al., Algorithm 1
  (https://arxiv.org/abs/1406.2661), and for the smoothing "NIPS 2016 Tutorial" by Goodfellow,
  section 4.2 (https://arxiv.org/abs/1701.00160), which writes the target as 1 - alpha.

  Args:
    real_logits: [*batch], discriminator outputs on data, unbounded.
    fake_logits: [*batch], on generated samples; same shape.
    real_label: [], target of real examples in (0, 1], 0.9 in the tutorial; may be traced.

  Returns:
    [*batch], loss per example, not averaged.
  """
  label = jnp.asarray(real_label, real_logits.dtype)
  # -log s(r) = softplus(-r) and -log(1 - s(r)) = softplus(r), without a logarithm of zero.
  real_loss = label * jax.nn.softplus(-real_logits) + (1 - label) * jax.nn.softplus(real_logits)
  return real_loss + jax.nn.softplus(fake_logits)


def saturating_generator_loss(
  real_logits: Logits, fake_logits: Logits, *, real_label: ScalarLike = 1.0
) -> Logits:
  """The zero-sum loss of Algorithm 1, log(1 - D(G(z))) = -softplus(f).

  Its slope against the logit is -D(G(z)), which vanishes on samples that D rejects.

  See "Generative Adversarial Nets" by Goodfellow et al., Algorithm 1 and Theorem 1
  (https://arxiv.org/abs/1406.2661).

  Args:
    real_logits: [*batch], unused.
    fake_logits: [*batch], discriminator outputs on generated samples, unbounded.
    real_label: unused, the discriminator's.

  Returns:
    [*batch], loss per example, not averaged.
  """
  del real_logits, real_label
  return -jax.nn.softplus(fake_logits)


def nonsaturating_generator_loss(
  real_logits: Logits, fake_logits: Logits, *, real_label: ScalarLike = 1.0
) -> Logits:
  """The heuristic loss with flipped label, -log D(G(z)) = softplus(-f).

  Its slope against the logit is -(1 - D(G(z))), largest on samples that D rejects.

  See "NIPS 2016 Tutorial: Generative Adversarial Networks" by Goodfellow, section 3.2.3
  (https://arxiv.org/abs/1701.00160); its gradient against the optimal D is that of
  KL(q, p) - 2 JSD, "Towards Principled Methods for Training Generative Adversarial Networks" by
  Arjovsky and Bottou (https://arxiv.org/abs/1701.04862).

  Args:
    real_logits: [*batch], unused.
    fake_logits: [*batch], discriminator outputs on generated samples, unbounded.
    real_label: unused, the discriminator's.

  Returns:
    [*batch], loss per example, not averaged.
  """
  del real_logits, real_label
  return jax.nn.softplus(-fake_logits)


def maximum_likelihood_generator_loss(
  real_logits: Logits, fake_logits: Logits, *, real_label: ScalarLike = 1.0
) -> Logits:
  """Maximum likelihood against the optimal D, -D(G(z)) / (1 - D(G(z))) = -exp(f).

  Exact for logits up to EXP_CAP = 30, linear beyond (bounded_exp).

  See "NIPS 2016 Tutorial: Generative Adversarial Networks" by Goodfellow, section 3.2.4
  (https://arxiv.org/abs/1701.00160), there with a factor 1/2 on both players.

  Args:
    real_logits: [*batch], unused.
    fake_logits: [*batch], discriminator outputs on generated samples, unbounded.
    real_label: unused, the discriminator's.

  Returns:
    [*batch], loss per example, not averaged.
  """
  del real_logits, real_label
  return -bounded_exp(fake_logits)


def cross_entropy_threshold(
  real_logits: Logits, fake_logits: Logits, *, real_label: ScalarLike = 1.0
) -> tuple[Logits, Logits]:
  """The optimal logit where p = q: D = alpha / 2, so log(alpha / (2 - alpha)), 0 unsmoothed.

  Args:
    real_logits: [*batch], discriminator outputs on data.
    fake_logits: [*batch], on generated samples; same shape.
    real_label: [], target of real examples in (0, 1]; may be traced.

  Returns:
    (for real, for fake), [*batch] each.
  """
  label = jnp.asarray(real_label, real_logits.dtype)
  logit = jnp.log(label) - jnp.log(2 - label)
  return jnp.full_like(real_logits, logit), jnp.full_like(fake_logits, logit)


_DISCRIMINATOR = (
  "softplus(-r) + softplus(f); smoothed: a softplus(-r) + (1 - a) softplus(r) + softplus(f)"
)
_OPTIMUM = "log p/q; smoothed: logit of a p/(p + q)"

SATURATING = Loss(
  discriminator=cross_entropy_discriminator_loss,
  generator=saturating_generator_loss,
  threshold=cross_entropy_threshold,
  about=About(
    discriminator=_DISCRIMINATOR,
    generator="-softplus(f)",
    optimum=_OPTIMUM,
    divergence="2 JSD(p, q) - log 4",
    source="Goodfellow et al. 2014, Algorithm 1, arXiv:1406.2661",
    use="to study the minimax game, and how G's gradient vanishes once D recognises samples; to "
    "train, take `nonsat`",
  ),
  options=("real_label",),
  zero_sum=True,
)

NONSATURATING = Loss(
  discriminator=cross_entropy_discriminator_loss,
  generator=nonsaturating_generator_loss,
  threshold=cross_entropy_threshold,
  about=About(
    discriminator=_DISCRIMINATOR,
    generator="softplus(-f)",
    optimum=_OPTIMUM,
    divergence="gradient of KL(q, p) - 2 JSD(p, q)",
    source="Goodfellow 2016, section 3.2.3, arXiv:1701.00160",
    use="as the first to try and the baseline of every comparison: DCGAN and, with `r1`, StyleGAN2 "
    "were trained with it",
  ),
  options=("real_label",),
)

MAXIMUM_LIKELIHOOD = Loss(
  discriminator=cross_entropy_discriminator_loss,
  generator=maximum_likelihood_generator_loss,
  threshold=cross_entropy_threshold,
  about=About(
    discriminator=_DISCRIMINATOR,
    generator="-exp(f), linear for f > 30",
    optimum=_OPTIMUM,
    divergence="gradient of KL(p, q)",
    source="Goodfellow 2016, section 3.2.4, arXiv:1701.00160",
    use="to study maximum likelihood as a game; G learns almost only from the few samples that D "
    "takes for real, so its gradient varies much from batch to batch",
  ),
  options=("real_label",),
)
