"""The f-GAN family: one variational bound, nine divergences.

For a convex f with conjugate f*(t) = sup_u {u t - f(u)}, any T in the domain of f* gives

    D_f(p, q) = E_q f(p/q)  >=  E_p T - E_q f*(T),   with equality at T = f'(p/q).

T = g_f(v) is the logit v through an output activation that keeps it in that domain. The
discriminator raises the bound and the generator lowers it. See "f-GAN: Training Generative Neural
Samplers using Variational Divergence Minimization" by Nowozin et al.
(https://arxiv.org/abs/1606.00709).

Each f*(g_f(v)) below is simplified by hand: the composition of the two formulas takes logarithms
of what has just underflowed. An exponential is continued by its tangent where its exponent passes
EXP_CAP (bounded_exp). That is still an f-GAN: the continued pair (T, f*) is that of f on a bounded
interval of density ratios u, because d f*(T)/dT = u and u is held at the bound (for hellinger up to
order e^-30: its two exponentials bend at opposite ends). So nothing changes
as long as the ratio p/q stays within e^30 (kl, jeffrey), e^-30 (reverse_kl), e^-15 (neyman) and
e^+-60 (hellinger).
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan.errors import UserError
from gan.losses.base import EXP_CAP, About, Logits, Loss, bounded_exp, fixed_threshold

FGAN_GENERATORS = ("bound", "nonsat")
NEWTON_STEPS = 5  # one more than reaches the last digit of float64 for logits in [-1e4, 1e4]


class Divergence(NamedTuple):
  """An f-divergence as the game needs it, both functions of the logit v."""

  activation: Callable  # v -> T = g_f(v)
  conjugate: Callable  # v -> f*(g_f(v))
  threshold: float  # the v at which T = f'(1), the optimum where p = q
  f: str
  activation_formula: str
  conjugate_formula: str  # of v
  optimum: str


def variational_discriminator_loss(
  divergence: Divergence,
  real_logits: Logits,
  fake_logits: Logits,
  *,
  fgan_generator: str = "bound",
) -> Logits:
  """Minus the variational bound, -g_f(D(x)) + f*(g_f(D(G(z)))).

  See "f-GAN" by Nowozin et al., section 2.2 (https://arxiv.org/abs/1606.00709).

  Args:
    divergence: the f-divergence.
    real_logits: [*batch], discriminator outputs on data before the activation g_f, unbounded.
    fake_logits: [*batch], on generated samples; same shape.
    fgan_generator: unused, the generator's.

  Returns:
    [*batch], loss per example, not averaged.
  """
  del fgan_generator
  return -divergence.activation(real_logits) + divergence.conjugate(fake_logits)


def variational_generator_loss(
  divergence: Divergence,
  real_logits: Logits,
  fake_logits: Logits,
  *,
  fgan_generator: str = "bound",
) -> Logits:
  """The generator's part of the bound, -f*(g_f(D(G(z)))), or -g_f(D(G(z))) instead.

  See "f-GAN" by Nowozin et al., sections 2.2 and, for the alternative, 3.2
  (https://arxiv.org/abs/1606.00709).

  Args:
    divergence: the f-divergence.
    real_logits: [*batch], unused.
    fake_logits: [*batch], discriminator outputs on generated samples before g_f, unbounded.
    fgan_generator: "bound" lowers the bound that the discriminator raises; "nonsat" raises E_q T,
      as the non-saturating loss does for the original GAN.

  Returns:
    [*batch], loss per example, not averaged.

  Raises:
    UserError: if fgan_generator is neither.
  """
  del real_logits
  if fgan_generator not in FGAN_GENERATORS:
    raise UserError(f"fgan_generator={fgan_generator!r}: choose from {', '.join(FGAN_GENERATORS)}")
  term = divergence.conjugate if fgan_generator == "bound" else divergence.activation
  return -term(fake_logits)


@jax.custom_jvp
def jeffrey_log_ratio(logits: Logits) -> Logits:
  """The log density ratio y at which Jeffrey's f'(e^y) = y + 1 - e^-y equals the logit.

  In terms of Lambert's function e^-y = W(e^(1 - v)); solved for y, neither exponential overflows.
  The left side is increasing and concave, so Newton's method rises to the root from any start
  below it, and both v - 1 and -log(1 - v) (v <= 0) are below.

  Args:
    logits: [*batch], v, unbounded.

  Returns:
    [*batch], y = log u; its derivative is 1/(1 + e^-y) = s(y).
  """
  y = jnp.maximum(logits - 1.0, -jnp.log1p(jax.nn.relu(-logits)))
  for _ in range(NEWTON_STEPS):
    y = y + (logits - 1.0 - y + jnp.exp(-y)) * jax.nn.sigmoid(y)
  return y


@jeffrey_log_ratio.defjvp
def _jeffrey_log_ratio_jvp(
  primals: tuple[Logits], tangents: tuple[Logits]
) -> tuple[Logits, Logits]:
  y = jeffrey_log_ratio(*primals)
  return y, jax.nn.sigmoid(y) * tangents[0]


def _jeffrey_conjugate(v: Logits) -> Logits:
  # u v - f(u) at v = f'(u): u (y + 1 - 1/u) - (u - 1) y = u - 1 + y, the same as
  # W + 1/W + v - 2 with W = 1/u.
  y = jeffrey_log_ratio(v)
  return bounded_exp(y) - 1.0 + y


DIVERGENCES: dict[str, Divergence] = {
  "kl": Divergence(
    activation=lambda v: v,
    conjugate=lambda v: bounded_exp(v - 1.0),
    threshold=1.0,
    f="u log u",
    activation_formula="v",
    conjugate_formula="exp(v - 1)",
    optimum="1 + log p/q",
  ),
  "reverse_kl": Divergence(
    activation=lambda v: -bounded_exp(-v),
    conjugate=lambda v: v - 1.0,
    threshold=0.0,
    f="-log u",
    activation_formula="-exp(-v)",
    conjugate_formula="v - 1",
    optimum="log p/q",
  ),
  "pearson": Divergence(
    activation=lambda v: v,
    conjugate=lambda v: jnp.square(v) / 4 + v,
    threshold=0.0,
    f="(u - 1)^2",
    activation_formula="v",
    conjugate_formula="v^2/4 + v",
    optimum="2 (p/q - 1)",
  ),
  "neyman": Divergence(
    activation=lambda v: 1.0 - bounded_exp(-v),
    # sqrt(1 - T) = exp(-v/2); half the cap, so that both bend at the same v.
    conjugate=lambda v: 2.0 - 2.0 * bounded_exp(-v / 2, EXP_CAP / 2),
    threshold=0.0,
    f="(1 - u)^2/u",
    activation_formula="1 - exp(-v)",
    conjugate_formula="2 - 2 exp(-v/2)",
    optimum="2 log p/q",
  ),
  "hellinger": Divergence(
    activation=lambda v: 1.0 - bounded_exp(-v),
    conjugate=lambda v: bounded_exp(v) - 1.0,
    threshold=0.0,
    f="(sqrt u - 1)^2",
    activation_formula="1 - exp(-v)",
    conjugate_formula="exp(v) - 1",
    optimum="(log p/q)/2",
  ),
  "jeffrey": Divergence(
    activation=lambda v: v,
    conjugate=_jeffrey_conjugate,
    threshold=0.0,
    f="(u - 1) log u",
    activation_formula="v",
    conjugate_formula="W + 1/W + v - 2, W = LambertW(exp(1 - v))",
    optimum="1 + log p/q - q/p",
  ),
  "js": Divergence(
    activation=lambda v: math.log(2.0) - jax.nn.softplus(-v),
    conjugate=lambda v: jax.nn.softplus(v) - math.log(2.0),
    threshold=0.0,
    f="u log u - (u + 1) log((u + 1)/2)",
    activation_formula="log 2 - softplus(-v)",
    conjugate_formula="softplus(v) - log 2",
    optimum="log p/q",
  ),
  "gan": Divergence(
    activation=lambda v: -jax.nn.softplus(-v),
    conjugate=jax.nn.softplus,
    threshold=0.0,
    f="u log u - (u + 1) log(u + 1)",
    activation_formula="-softplus(-v)",
    conjugate_formula="softplus(v)",
    optimum="log p/q",
  ),
  "tv": Divergence(
    activation=lambda v: jnp.tanh(v) / 2,
    conjugate=lambda v: jnp.tanh(v) / 2,
    threshold=0.0,
    f="|u - 1|/2",
    activation_formula="tanh(v)/2",
    conjugate_formula="tanh(v)/2",
    optimum="+infinity where p > q, -infinity where p < q",
  ),
}


def variational_loss(name: str, value: str, use: str) -> Loss:
  """The pair of losses of one f-divergence.

  Args:
    name: key of DIVERGENCES.
    value: what the divergence is called in words, for the registry page.
    use: when it is chosen, for the same.

  Returns:
    The Loss, with the option `fgan_generator`.
  """
  divergence = DIVERGENCES[name]
  activation, conjugate = divergence.activation_formula, divergence.conjugate_formula
  return Loss(
    discriminator=functools.partial(variational_discriminator_loss, divergence),
    generator=functools.partial(variational_generator_loss, divergence),
    threshold=fixed_threshold(divergence.threshold),
    about=About(
      discriminator=f"-T(r) + C(f); T(v) = {activation}, C(v) = {conjugate}",
      generator="-C(f); nonsat: -T(f)",
      optimum=divergence.optimum,
      divergence=f"{value}; f(u) = {divergence.f}",
      source="Nowozin et al. 2016, arXiv:1606.00709",
      use=use,
    ),
    options=("fgan_generator",),
    zero_sum=True,
  )
