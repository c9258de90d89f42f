"""Figure 16 of Goodfellow's tutorial, and whose gradient each generator follows."""

import jax
import jax.numpy as jnp

from experiments import losses as losses_page
from experiments.theory.case import Check, Result, Settings, at_most, close
from gan.losses import make_loss
from gan.theory import divergences

TUTORIAL = "Goodfellow 2016, arXiv:1701.00160, section 3.2 and figure 16"
PRINCIPLED = "Arjovsky and Bottou 2017, arXiv:1701.04862, theorem 2.5"
JUDGED = (0.01, 0.5, 0.99)  # D(G(z))

# J and dJ/da of the logit a, with the tutorial's factor 1/2; D = sigmoid(a).
CLOSED_FORMS = {
  "sat": ("log(1 - D)/2", lambda d: jnp.log1p(-d) / 2, lambda d: -d / 2),
  "nonsat": ("-log(D)/2", lambda d: -jnp.log(d) / 2, lambda d: -(1 - d) / 2),
  "ml": ("-D/(1 - D)/2", lambda d: -d / (1 - d) / 2, lambda d: -d / (1 - d) / 2),
}

P = (0.5, 0.3, 0.15, 0.05)
Q = (0.1, 0.2, 0.3, 0.4)
# What the gradient of each generator's loss is the gradient of, D held at D*.
FOLLOWED = {
  "sat": ("2 JSD(p, q)", lambda p, q: 2 * divergences.js(p, q)),
  "nonsat": (
    "KL(q, p) - 2 JSD(p, q)",
    lambda p, q: divergences.kl(q, p) - 2 * divergences.js(p, q),
  ),
  "ml": ("KL(p, q)", divergences.kl),
}


def run(settings: Settings) -> Result:
  """What the generator minimises against D(G(z)), and its slope.

  Three costs of G on the same discriminator: the minimax one saturates where D recognises the fake,
  the non-saturating one is steep there, maximum likelihood learns from the best samples alone. At
  the optimal D their gradients are those of three different divergences.
  """
  del settings
  with jax.enable_x64(True):
    checks = [check for name in CLOSED_FORMS for check in _costs(name)]
    checks += [_identity(name) for name in FOLLOWED] + [_smoothing(0.9)]
  return Result(checks, {"figure_16": losses_page.generator_costs()}, [], [])


def cost(name: str, judged: float):
  """Returns (J, dJ/da) of a loss of LOSSES at D(G(z)) = `judged`, with the tutorial's 1/2."""
  loss, logit = make_loss(name), jnp.log(judged) - jnp.log1p(-judged)

  def half_cost(logit):
    return loss.generator(jnp.zeros(1), logit[None])[0] / 2

  return jax.value_and_grad(half_cost)(logit)


def _costs(name) -> list[Check]:
  formula, value, slope = CLOSED_FORMS[name]
  checks = []
  for judged in JUDGED:
    ours = cost(name, judged)
    for label, number, exact in zip(("J", "dJ/da"), ours, (value, slope), strict=True):
      title = f"{name}, {label} at D = {judged}" + (f", J = {formula}" if label == "J" else "")
      checks.append(close(title, number, exact(judged), absolute=1e-6, source=TUTORIAL))
  return checks


def _identity(name) -> Check:
  title, divergence = FOLLOWED[name]
  p, q = jnp.array(P), jnp.array(Q)
  judged = jnp.log(p / q)  # the logit of D*

  def loss(theta):
    return jnp.sum(jax.nn.softmax(theta) * make_loss(name).generator(judged, judged))

  theta = jnp.log(q)
  found = jax.grad(loss)(theta)
  expected = jax.grad(lambda theta: divergence(p, jax.nn.softmax(theta)))(theta)
  quantity = f"{name}, |gradient at D* - gradient of {title}|"
  return at_most(quantity, jnp.max(jnp.abs(found - expected)), 1e-5, source=PRINCIPLED)


def _smoothing(real_label) -> Check:
  p, q = jnp.array(P), jnp.array(Q)
  loss = make_loss("nonsat", real_label=real_label)
  best = divergences.minimise(
    lambda logits: divergences.expected_loss(loss, logits, p, q), jnp.zeros(len(P))
  )
  error = jnp.max(jnp.abs(jax.nn.sigmoid(best) - real_label * p / (p + q)))
  quantity = f"|D - {real_label} p/(p + q)|, D trained with --real_label={real_label}"
  return at_most(quantity, error, 1e-3, source="Goodfellow 2016, arXiv:1701.00160, section 4.2")
