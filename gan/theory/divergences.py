"""Divergences of two densities on a lattice, and the discriminators that are optimal between them.

Every sum is weighted by the cells of the lattice: with `weight` 1 the densities are the
probabilities of a discrete pair, with the size of a cell the sum is quadrature.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import rel_entr
from jaxtyping import Array, Float

from gan.losses import Loss

Density = Float[Array | np.ndarray, " n"]
Scalar = Float[Array, ""]


def kl(p: Density, q: Density, weight: float = 1.0) -> Scalar:
  """Kullback and Leibler's KL(p, q) = sum p log(p/q), in nats.

  Args:
    p: [n], the data.
    q: [n], the generator; above 0 where p is.
    weight: size of a cell; 1 for probabilities.
  """
  return weight * jnp.sum(rel_entr(p, q))


def js(p: Density, q: Density, weight: float = 1.0) -> Scalar:
  """Jensen and Shannon's JSD(p, q) = [KL(p, m) + KL(q, m)]/2 with m = (p + q)/2, in nats."""
  middle = (p + q) / 2
  return (kl(p, middle, weight) + kl(q, middle, weight)) / 2


def total_variation(p: Density, q: Density, weight: float = 1.0) -> Scalar:
  """TV(p, q) = sum |p - q| / 2, in [0, 1]."""
  return weight * jnp.sum(jnp.abs(p - q)) / 2


def pearson(p: Density, q: Density, weight: float = 1.0) -> Scalar:
  """Pearson's chi^2(p, q) = sum (p - q)^2 / q."""
  return weight * jnp.sum(jnp.square(p - q) / q)


def hellinger(p: Density, q: Density, weight: float = 1.0) -> Scalar:
  """Squared Hellinger distance without the factor 1/2, sum (sqrt p - sqrt q)^2."""
  return weight * jnp.sum(jnp.square(jnp.sqrt(p) - jnp.sqrt(q)))


def jeffrey(p: Density, q: Density, weight: float = 1.0) -> Scalar:
  """Jeffrey's KL(p, q) + KL(q, p)."""
  return kl(p, q, weight) + kl(q, p, weight)


# By the names that follow fgan_ in LOSSES, each in the convention of its loss:
# "f-GAN" by Nowozin et al., table 1 (https://arxiv.org/abs/1606.00709).
F_DIVERGENCES: dict[str, Callable[..., Scalar]] = {
  "kl": kl,
  "reverse_kl": lambda p, q, weight=1.0: kl(q, p, weight),
  "pearson": pearson,
  "neyman": lambda p, q, weight=1.0: pearson(q, p, weight),
  "hellinger": hellinger,
  "jeffrey": jeffrey,
  "js": lambda p, q, weight=1.0: 2 * js(p, q, weight),
  "gan": lambda p, q, weight=1.0: 2 * js(p, q, weight) - jnp.log(4.0),
  "tv": total_variation,
}

# The logit v at which g_f(v) = f'(u), for the density ratio u = p/q.
OPTIMAL_LOGITS: dict[str, Callable] = {
  "kl": lambda u: 1 + jnp.log(u),
  "reverse_kl": jnp.log,
  "pearson": lambda u: 2 * (u - 1),
  "neyman": lambda u: 2 * jnp.log(u),
  "hellinger": lambda u: jnp.log(u) / 2,
  "jeffrey": lambda u: 1 + jnp.log(u) - 1 / u,
  "js": jnp.log,
  "gan": jnp.log,
  "tv": lambda u: jnp.inf * jnp.sign(u - 1),
}


def optimal_discriminator(p: Density, q: Density) -> Density:
  """D*(x) = p(x) / (p(x) + q(x)).

  See "Generative Adversarial Nets" by Goodfellow et al., proposition 1
  (https://arxiv.org/abs/1406.2661).
  """
  return p / (p + q)


def optimal_value(p: Density, q: Density, weight: float = 1.0) -> Scalar:
  """C(G) = max_D E_p log D + E_q log(1 - D) = -log 4 + 2 JSD(p, q).

  See "Generative Adversarial Nets" by Goodfellow et al., theorem 1
  (https://arxiv.org/abs/1406.2661).
  """
  return 2 * js(p, q, weight) - jnp.log(4.0)


def expected_loss(
  loss: Loss, logits: Density, p: Density, q: Density, weight: float = 1.0
) -> Scalar:
  """The discriminator's loss against the densities themselves, E_p a(v) + E_q b(v).

  For a loss that is a sum of a term on data and one on samples, l(r, f) = a(r) + b(f), which the
  relativistic ones are not: E_p l(v, 0) + E_q l(0, v) - l(0, 0).

  Args:
    loss: the pair of losses.
    logits: [n], v(x), the discriminator on the lattice.
    p: [n], the data.
    q: [n], the generator.
    weight: size of a cell; 1 for probabilities.
  """
  zero = jnp.zeros_like(logits)
  of_real = loss.discriminator(logits, zero) - loss.discriminator(zero, zero)
  of_fake = loss.discriminator(zero, logits) - loss.discriminator(zero, zero)
  at_zero = loss.discriminator(zero, zero)[0]
  return weight * jnp.sum(p * of_real + q * of_fake) + at_zero


def minimise(
  function: Callable[[Float[Array, " k"]], Scalar], start: Float[Array, " k"], steps: int = 50
) -> Float[Array, " k"]:
  """Newton's method for a smooth function of a few variables, the step halved until it descends.

  Args:
    function: [k] -> [], convex near the minimum.
    start: [k].
    steps: Newton steps.
  """
  lengths = 0.5 ** jnp.arange(12)

  def step(_, x):
    slope, curvature = jax.grad(function)(x), jax.hessian(function)(x)
    values, vectors = jnp.linalg.eigh(curvature)
    # The eigenvalues' size: downhill also where the function is not convex.
    direction = vectors @ ((vectors.T @ slope) / jnp.maximum(jnp.abs(values), 1e-9))
    ahead = x[None] - lengths[:, None] * direction[None]
    heights = jax.vmap(function)(ahead)
    best = jnp.nanargmin(heights)
    return jnp.where(heights[best] < function(x), ahead[best], x)

  return jax.lax.fori_loop(0, steps, step, start)
