"""Losses of a discriminator that is an autoencoder: EBGAN and BEGAN.

It reconstructs data well and samples badly. Its logit here is minus the error, so that a higher one
is more real, as everywhere.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan.losses.base import About, Logits, Loss, paired_threshold

State = dict[str, Float[Array, ""]]


def _pixels(residual: Float[Array, "b ..."]) -> Float[Array, "b n"]:
  return residual.reshape(len(residual), -1)


def euclidean_error(outputs: Any) -> Logits:
  """EBGAN's energy, |v - AE(v)|, the Euclidean norm over all pixels.

  Args:
    outputs: gan.Outputs with the residual [B, ...].

  Returns:
    [B], with a finite gradient everywhere.
  """
  return jnp.sqrt(jnp.sum(jnp.square(_pixels(outputs.residual)), axis=1) + 1e-12)


def absolute_error(outputs: Any) -> Logits:
  """BEGAN's reconstruction error, mean |v - AE(v)| over pixels. Arguments as `euclidean_error`."""
  return jnp.mean(jnp.abs(_pixels(outputs.residual)), axis=1)


def ebgan_discriminator_loss(real: Any, fake: Any, *, ebgan_margin: float = 10.0) -> Logits:
  """EBGAN's loss of D, L(x) + max(0, m - L(G(z))), L(v) = |v - AE(v)|.

  See "Energy-based Generative Adversarial Network" by Zhao et al.
  (https://arxiv.org/abs/1609.03126); its pulling-away term is not here.

  Args:
    real: gan.Outputs of B examples of data, with their residual [B, ...].
    fake: of generated samples.
    ebgan_margin: m, the error of a sample that D asks no more of, in units of pixels

  Returns:
    [B], loss per example, not averaged.
  """
  return euclidean_error(real) + jax.nn.relu(ebgan_margin - euclidean_error(fake))


def ebgan_generator_loss(real: Any, fake: Any, *, ebgan_margin: float = 10.0) -> Logits:
  """EBGAN's loss of G, L(G(z)). Arguments as of `ebgan_discriminator_loss`; the data are unused."""
  del real, ebgan_margin
  return euclidean_error(fake)


def ebgan_threshold(
  real_logits: Logits, fake_logits: Logits, *, ebgan_margin: float = 10.0
) -> tuple[Logits, Logits]:
  """Half of the margin: D's optimal error is 0 where p > q, and m where q > p.

  Args:
    real_logits: [*batch], minus errors on data.
    fake_logits: [*batch], on samples.
    ebgan_margin: m.

  Returns:
    (for real, for fake), [*batch] each.
  """
  half = -ebgan_margin / 2
  return jnp.full_like(real_logits, half), jnp.full_like(fake_logits, half)


def began_discriminator_loss(
  real: Any,
  fake: Any,
  state: State,
  *,
  began_ratio: float = 0.5,
  began_rate: float = 0.001,
  axis_name: Any = (),
) -> Logits:
  """BEGAN's loss of D, L(x) - k L(G(z)), L(v) = mean |v - AE(v)|; k is moved by `began_update`.

  See "BEGAN: Boundary Equilibrium Generative Adversarial Networks" by Berthelot et al.
  (https://arxiv.org/abs/1703.10717).

  Args:
    real: gan.Outputs of B examples of data, with their residual [B, ...].
    fake: of generated samples.
    state: k in 0 .. 1.
    began_ratio: gamma, the error of samples over that of data that k keeps; lower is less variety
    began_rate: of k, in an update
    axis_name: mapped axes that the batch is spread over.

  Returns:
    [B], loss per example, not averaged.
  """
  del began_ratio, began_rate, axis_name
  return absolute_error(real) - state["k"] * absolute_error(fake)


def began_generator_loss(real: Any, fake: Any, state: State, **options: Any) -> Logits:
  """BEGAN's loss of G, L(G(z)). Arguments as of `began_discriminator_loss`; only samples are used.

  Returns:
    [B], loss per example, not averaged.
  """
  del real, state, options
  return absolute_error(fake)


def began_init() -> State:
  """k = 0: D begins as an autoencoder of data."""
  return {"k": jnp.zeros(())}


def began_update(
  real: Any,
  fake: Any,
  state: State,
  *,
  began_ratio: float = 0.5,
  began_rate: float = 0.001,
  axis_name: Any = (),
) -> tuple[State, dict[str, Array]]:
  """Moves k by rate (gamma L(x) - L(G(z))), within 0 .. 1, of means over the global batch.

  The samples are those of D's update, where the paper takes those of G's.

  Arguments are those of `began_discriminator_loss`.

  Returns:
    The new state; k, and the measure of convergence L(x) + |gamma L(x) - L(G(z))|.
  """
  means = [jnp.mean(absolute_error(each)) for each in (real, fake)]
  on_data, on_samples = jax.lax.pmean(means, axis_name)
  balance = began_ratio * on_data - on_samples
  k = jnp.clip(state["k"] + began_rate * balance, 0.0, 1.0)
  return {"k": k}, {"began_k": k, "began_convergence": on_data + jnp.abs(balance)}


def _paired(real_logits: Logits, fake_logits: Logits, **options: Any) -> tuple[Logits, Logits]:
  del options
  return paired_threshold(real_logits, fake_logits)


ENERGY = Loss(
  discriminator=ebgan_discriminator_loss,
  generator=ebgan_generator_loss,
  threshold=ebgan_threshold,
  about=About(
    discriminator="L(x) + relu(m - L(G(z))), L(v) = |v - AE(v)|",
    generator="L(G(z))",
    optimum="-L: 0 where p > q, -m where q > p; anything in [-m, 0] where p = q",
    divergence="m Q(q > p), against any D; m (1 - TV(p, q)) is D's optimum",
    source="Zhao et al. 2017, arXiv:1609.03126",
    use="where D should tell G by an error at every pixel what is wrong, and not by one logit; it "
    "needs the model `autoencoder`",
  ),
  options=("ebgan_margin",),
  needs=("residual",),
  logit=lambda outputs: -euclidean_error(outputs),
)

BOUNDARY_EQUILIBRIUM = Loss(
  discriminator=began_discriminator_loss,
  generator=began_generator_loss,
  threshold=_paired,
  about=About(
    discriminator="L(x) - k L(G(z)), L(v) = mean |v - AE(v)|; k by 0.001 (gamma L(x) - L(G(z)))",
    generator="L(G(z))",
    optimum="no closed form: D is held by its code, and k by its own rule",
    divergence="no closed form; the mean errors are matched, as in a Wasserstein distance of them",
    source="Berthelot et al. 2017, arXiv:1703.10717",
    use="as `ebgan`, with a rule that keeps the players in balance; a lower `began_ratio` makes "
    "samples less varied",
    experimental=True,
  ),
  options=("began_ratio", "began_rate", "axis_name"),
  needs=("residual",),
  logit=lambda outputs: -absolute_error(outputs),
  init=began_init,
  update=began_update,
  metrics=(
    ("began_k", "k, the weight of samples in BEGAN's loss of the discriminator"),
    ("began_convergence", "BEGAN's measure of convergence, L(x) + |gamma L(x) - L(G(z))|"),
  ),
)
