"""Every adversarial loss, by the name that a user types.

Most are functions of two batches of logits. SAN's and those that compare features need more of the
discriminator, EBGAN and BEGAN an autoencoder, and BEGAN's balance is a state: see `Loss`.
"""

import functools
from typing import Any

import numpy as np

from gan.errors import UserError, look_up
from gan.losses.autoencoder import BOUNDARY_EQUILIBRIUM, ENERGY
from gan.losses.base import About, Loss, decides
from gan.losses.bce import MAXIMUM_LIKELIHOOD, NONSATURATING, SATURATING
from gan.losses.fgan import FGAN_GENERATORS, variational_loss
from gan.losses.hinge import HINGE
from gan.losses.kernel import CRAMER, MAXIMUM_MEAN_DISCREPANCY
from gan.losses.klwgan import KL_WASSERSTEIN
from gan.losses.lsgan import LEAST_SQUARES
from gan.losses.mcgan import REGRESSION
from gan.losses.paired import (
  PAIRED_EXPONENTIAL,
  PAIRED_HINGE,
  PAIRED_LEAST_SQUARES,
  PAIRED_TOTAL_VARIATION,
  relativistic_loss,
)
from gan.losses.relativistic import (
  RELATIVISTIC,
  RELATIVISTIC_AVERAGE,
  RELATIVISTIC_AVERAGE_HINGE,
  RELATIVISTIC_AVERAGE_LEAST_SQUARES,
)
from gan.losses.san import SLICED_HINGE, SLICED_NONSATURATING, SLICED_SATURATING, san
from gan.losses.wgan import WASSERSTEIN
from gan.system.recipe import Recipe
from gan.system.schema import Kind, are_finite

__all__ = [
  "FGAN_GENERATORS",
  "LOSSES",
  "About",
  "Loss",
  "bind",
  "decides",
  "make_loss",
  "of_logits",
  "relativistic_loss",
  "san",
]

LOSSES: dict[str, Loss] = {
  "sat": SATURATING,
  "nonsat": NONSATURATING,
  "ml": MAXIMUM_LIKELIHOOD,
  "lsgan": LEAST_SQUARES,
  "hinge": HINGE,
  "wgan": WASSERSTEIN,
  "rsgan": RELATIVISTIC,
  "ragan": RELATIVISTIC_AVERAGE,
  "ralsgan": RELATIVISTIC_AVERAGE_LEAST_SQUARES,
  "rahinge": RELATIVISTIC_AVERAGE_HINGE,
  "fgan_kl": variational_loss(
    "kl",
    "KL(p, q)",
    "to study KL(p, q), which is large where there are data and no samples: G is to cover "
    "all modes",
  ),
  "fgan_reverse_kl": variational_loss(
    "reverse_kl",
    "KL(q, p)",
    "to study KL(q, p), which is large where there are samples and no data: G may leave modes out",
  ),
  "fgan_pearson": variational_loss(
    "pearson",
    "Pearson chi2(p, q) = sum (p - q)^2/q",
    "to study chi-squared, which is largest of all where there are data and no samples; below a "
    "logit of -2 its slope pushes G the wrong way",
  ),
  "fgan_neyman": variational_loss(
    "neyman",
    "Neyman chi2(p, q) = sum (p - q)^2/p",
    "to study the other chi-squared, which is largest of all where there are samples and no data",
  ),
  "fgan_hellinger": variational_loss(
    "hellinger",
    "squared Hellinger, sum (sqrt p - sqrt q)^2",
    "to study a divergence that is symmetric and bounded",
  ),
  "fgan_jeffrey": variational_loss(
    "jeffrey",
    "Jeffrey, KL(p, q) + KL(q, p)",
    "to study the sum of KL in both directions: symmetric, and not bounded",
  ),
  "fgan_js": variational_loss(
    "js",
    "2 JSD(p, q)",
    "to read `sat` as a distance: the two differ by a constant, and this one is 0 where D cannot "
    "tell data from samples",
  ),
  "fgan_gan": variational_loss(
    "gan",
    "2 JSD(p, q) - log 4",
    "to see `sat` as an f-GAN: the two are the same game",
  ),
  "fgan_tv": variational_loss(
    "tv",
    "TV(p, q)",
    "to study total variation, which is bounded; D's optimum is infinite, so give it a penalty",
  ),
  "rp_hinge": PAIRED_HINGE,
  "rp_lsgan": PAIRED_LEAST_SQUARES,
  "rp_exponential": PAIRED_EXPONENTIAL,
  "rp_fgan_tv": PAIRED_TOTAL_VARIATION,
  "klwgan": KL_WASSERSTEIN,
  "mcgan": REGRESSION,
  "san_hinge": SLICED_HINGE,
  "san_nonsat": SLICED_NONSATURATING,
  "san_sat": SLICED_SATURATING,
  "cramer": CRAMER,
  "mmd": MAXIMUM_MEAN_DISCREPANCY,
  "ebgan": ENERGY,
  "began": BOUNDARY_EQUILIBRIUM,
}


def of_logits() -> list[str]:
  """Returns the names of those losses that are functions of two batches of logits alone."""
  return [name for name, loss in LOSSES.items() if not loss.needs]


def make_loss(name: str, **options: Any) -> Loss:
  """The loss of that name with its options bound, so that it is called with logits only.

  Options that only other losses take are left aside: the caller can pass all it has.

  Args:
    name: key of LOSSES.
    **options: real_label, lsgan_targets, fgan_generator, axis_name, ebgan_margin, began_ratio,
      began_rate; see the functions.

  Returns:
    The Loss; its functions are called `(real_logits, fake_logits)`.

  Raises:
    UserError: if no loss has the name, or an option cannot have its value.
    TypeError: if no loss takes an option.

  Examples:
    >>> import gan, jax.numpy as jnp
    >>> gan.losses.make_loss("sat", real_label=0.9).generator(jnp.zeros(2), jnp.zeros(2))
    Array([-0.6931472, -0.6931472], dtype=float32)
  """
  loss = look_up(LOSSES, name, "loss")
  known = {option for loss in LOSSES.values() for option in loss.options}
  if unknown := sorted(set(options) - known):
    raise TypeError(f"no loss takes {', '.join(unknown)}; options are {', '.join(sorted(known))}")
  _check_numbers(**options)
  bound = bind(loss, **options)
  return (
    loss if bound is loss else bound._replace(recipe=Recipe(make_loss, {"name": name} | options))
  )


def _is_label(value: Any) -> bool:
  return are_finite(value) and (not isinstance(value, (int, float)) or 0 < value <= 1)


# What a number must be; one that is traced passes.
_NUMBERS = {
  "real_label": Kind("above 0, and at most 1", _is_label),
  "lsgan_targets": Kind(
    "three numbers, as (0, 1, 1)", lambda it: are_finite(it) and np.shape(it) == (3,)
  ),
  "ebgan_margin": Kind("above 0", lambda it: are_finite(it) and it > 0),
  "began_ratio": Kind("between 0 and 1", lambda it: are_finite(it) and 0 <= it <= 1),
  "began_rate": Kind("at least 0", lambda it: are_finite(it, 0)),
}


def _check_numbers(**options: Any) -> None:
  """Raises UserError where a number cannot be."""
  for name, kind in _NUMBERS.items():
    if name in options and not kind.fits(options[name]):
      raise UserError(f"`{name}={options[name]!r}` must be {kind.words}")


def bind(loss: Loss, **options: Any) -> Loss:
  """The loss with options bound; those that it does not take are left aside.

  Args:
    loss: a pair of losses.
    **options: values of `loss.options`.
  """
  bound = {option: value for option, value in options.items() if option in loss.options}
  if not bound:
    return loss
  with_state: dict[str, Any] = {
    name: functools.partial(function, **bound)
    for name in ("witness", "update")
    if (function := getattr(loss, name))
  }
  return loss._replace(
    options=tuple(option for option in loss.options if option not in bound),
    zero_sum=loss.zero_sum and bound.get("fgan_generator") != "nonsat",
    discriminator=functools.partial(loss.discriminator, **bound),
    generator=functools.partial(loss.generator, **bound),
    threshold=functools.partial(loss.threshold, **bound),
    **with_state,
  )
