"""Distances between the features of two batches: Cramer GAN's and MMD GAN's.

D is a map h to features, of which every pair in a batch is compared; its logit plays no part. The
estimates are U-statistics over the global batch: no example meets itself, and the mean of what
comes back is unbiased for fixed features.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan.errors import UserError
from gan.losses.base import About, Logits, Loss, paired_threshold, zero_threshold

EXPONENTS = (0.2, 0.5, 1.0, 2.0, 5.0)  # of the rational quadratic kernels, as in the paper
Features = Float[Array, "b f"]
Pairs = Float[Array, "b n"]


def norm(squared: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
  """Square root whose gradient at 0 is 0, as that of a distance of an example to itself.

  Args:
    squared: [*shape], of at least 0.
  """
  positive = squared > 0
  return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)


def squared_distances(rows: Features, columns: Float[Array, "n f"]) -> Pairs:
  """Squared Euclidean distances of pairs, [B, N]; exactly 0 of an example to itself."""
  return jnp.sum(jnp.square(rows[:, None] - columns[None]), axis=-1)


def distances(rows: Features, columns: Float[Array, "n f"]) -> Pairs:
  """Euclidean distances of pairs, [B, N]."""
  return norm(squared_distances(rows, columns))


def rational_quadratic(rows: Features, columns: Float[Array, "n f"]) -> Pairs:
  """Sum of rational quadratic kernels, k(u, v) = sum_a (1 + |u - v|^2/(2 a))^-a, a in EXPONENTS."""
  squared = squared_distances(rows, columns)
  return sum(jnp.power(1 + squared / (2 * exponent), -exponent) for exponent in EXPONENTS)


def _everywhere(features: Features, axis_name: Any) -> Float[Array, "n f"]:
  """The features of the global batch."""
  if axis_name == ():
    return features
  return jax.lax.all_gather(features, axis_name, tiled=True)


def _mean_of_others(pairs: Pairs, own: float) -> Logits:
  """The mean over all columns but an example's own, at which pairs are `own`."""
  count = pairs.shape[1]
  if count < 2:
    raise UserError("this loss compares pairs of examples: give a batch of at least two")
  return (jnp.sum(pairs, axis=1) - own) / (count - 1)


def cramer_discriminator_loss(real: Any, fake: Any, *, axis_name: Any = ()) -> Logits:
  """Cramer GAN's loss of D, f(G(z)) - f(x), f(v) = mean |h(v) - h(G(z'))| - |h(v)|.

  It is the paper's surrogate, that of Algorithm 1, in which 0 takes the place of a second real
  example; samples are compared with the others alone.

  See "The Cramer Distance as a Solution to Biased Wasserstein Gradients" by Bellemare et al.
  (https://arxiv.org/abs/1705.10743).

  Args:
    real: gan.Outputs of B examples of data, with features [B, F].
    fake: of generated samples.
    axis_name: mapped axes that the batch is spread over; pairs are those of all of it.

  Returns:
    [B], loss per example, not averaged.
  """
  return cramer_witness(fake, real, fake, "fake", axis_name=axis_name) - cramer_witness(
    real, real, fake, "real", axis_name=axis_name
  )


def cramer_witness(
  outputs: Any, real: Any, fake: Any, place: str, *, axis_name: Any = ()
) -> Logits:
  """f(v) = mean |h(v) - h(G(z'))| - |h(v)|, the critic whose slope the paper penalises.

  Args:
    outputs: gan.Outputs of B examples v.
    real: unused.
    fake: of the samples that they are compared with.
    place: "fake" where `outputs` are these samples: none is compared with itself.
    axis_name: mapped axes that the batch is spread over.

  Returns:
    [B].
  """
  del real
  across = distances(outputs.features, _everywhere(fake.features, axis_name))
  mean = _mean_of_others(across, 0.0) if place == "fake" else jnp.mean(across, axis=1)
  return mean - norm(jnp.sum(jnp.square(outputs.features), axis=-1))


def cramer_generator_loss(real: Any, fake: Any, *, axis_name: Any = ()) -> Logits:
  """Energy distance of features, 2 E|h(x) - h(G(z))| - E|h(x) - h(x')| - E|h(G(z)) - h(G(z'))|.

  Arguments and what it returns are those of `cramer_discriminator_loss`; the mean over the batch is
  unbiased.
  """
  return _energy(distances, real, fake, 0.0, axis_name)


def mmd_generator_loss(real: Any, fake: Any, *, axis_name: Any = ()) -> Logits:
  """Squared MMD of features, E k(x, x') + E k(G(z), G(z')) - 2 E k(x, G(z)), k(u, v) of h.

  k is `rational_quadratic`; the mean over the batch is the unbiased estimate, which is below 0 for
  half of the batches where the two distributions are equal.

  See "Demystifying MMD GANs" by Binkowski et al. (https://arxiv.org/abs/1801.01401).

  Args:
    real: gan.Outputs of B examples of data, with features [B, F].
    fake: of generated samples.
    axis_name: mapped axes that the batch is spread over; pairs are those of all of it.

  Returns:
    [B], loss per example, not averaged.
  """
  return -_energy(rational_quadratic, real, fake, len(EXPONENTS), axis_name)


def mmd_discriminator_loss(real: Any, fake: Any, *, axis_name: Any = ()) -> Logits:
  """MMD GAN's loss of D, minus `mmd_generator_loss`, whose arguments it has."""
  return -mmd_generator_loss(real, fake, axis_name=axis_name)


def mmd_witness(outputs: Any, real: Any, fake: Any, place: str, *, axis_name: Any = ()) -> Logits:
  """E k(v, x) - E k(v, G(z)), the critic of MMD GAN: above 0 where data are denser.

  Args:
    outputs: gan.Outputs of B examples v.
    real: of the data that they are compared with.
    fake: of the samples.
    place: "real" or "fake" where `outputs` are these: none is compared with itself.
    axis_name: mapped axes that the batch is spread over.

  Returns:
    [B].
  """

  def mean(side: Any, name: str) -> Logits:
    pairs = rational_quadratic(outputs.features, _everywhere(side.features, axis_name))
    return _mean_of_others(pairs, len(EXPONENTS)) if place == name else jnp.mean(pairs, axis=1)

  return mean(real, "real") - mean(fake, "fake")


def _energy(compare: Any, real: Any, fake: Any, own: float, axis_name: Any) -> Logits:
  """2 E c(x, y) - E c(x, x') - E c(y, y'), by example of both sides; c(v, v) is `own`."""
  rows = real.features, fake.features
  real_columns, fake_columns = (_everywhere(features, axis_name) for features in rows)
  within = (
    _mean_of_others(compare(features, columns), own)
    for features, columns in zip(rows, (real_columns, fake_columns), strict=True)
  )
  return 2 * jnp.mean(compare(rows[0], fake_columns), axis=1) - sum(within)


def _paired(real_logits: Logits, fake_logits: Logits, *, axis_name: Any = ()) -> tuple:
  del axis_name
  return paired_threshold(real_logits, fake_logits)


_NO_OPTIMUM = "no closed form: the features are without bound but for the penalty"

CRAMER = Loss(
  discriminator=cramer_discriminator_loss,
  generator=cramer_generator_loss,
  threshold=_paired,
  about=About(
    discriminator="f(G(z)) - f(x), f(v) = mean |h(v) - h(G(z'))| - |h(v)|, h the features of D",
    generator="2 mean |h(x) - h(G(z))| - mean |h(x) - h(x')| - mean |h(G(z)) - h(G(z'))|",
    optimum=_NO_OPTIMUM,
    divergence="the energy distance of features",
    source="Bellemare et al. 2017, arXiv:1705.10743",
    use="where G should match a whole batch to a batch of data; for a given D the gradient is "
    "unbiased at any batch size; give D a penalty",
    experimental=True,
  ),
  options=("axis_name",),
  needs=("features",),
  witness=cramer_witness,
)

MAXIMUM_MEAN_DISCREPANCY = Loss(
  discriminator=mmd_discriminator_loss,
  generator=mmd_generator_loss,
  threshold=zero_threshold,
  about=About(
    discriminator="-MMD^2, of h(x) and h(G(z)), unbiased, k = sum (1 + |u - v|^2/(2 a))^-a, over a",
    generator="MMD^2",
    optimum=_NO_OPTIMUM,
    divergence="the squared maximum mean discrepancy of features",
    source="Binkowski et al. 2018, arXiv:1801.01401",
    use="as `cramer`, by a bounded kernel in the place of the distance itself, so that outliers "
    "weigh less; give D a penalty",
    experimental=True,
  ),
  options=("axis_name",),
  needs=("features",),
  witness=mmd_witness,
)
