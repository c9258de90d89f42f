"""What a loss is: a pair of pure functions on logits, and what is known about it."""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan.system.recipe import Recipe

Logits = Float[Array, "*batch"]
AxisName = Hashable | tuple[Hashable, ...]
EXP_CAP = (
  30.0  # e^30 = 1.07e13: a density ratio no sample shows, and its square is far below 3.4e38
)


class About(NamedTuple):
  """What the registry page prints of a loss; p is the data, q the generator, s the sigmoid."""

  discriminator: str = ""  # minimised; r = D(x), f = D(G(z)) are logits
  generator: str = ""  # minimised
  optimum: str = ""  # the discriminator's optimal logit
  divergence: str = ""  # what the generator minimises against that optimum
  source: str = ""
  use: str = ""  # when it is chosen
  experimental: bool = False  # no closed form of the discriminator's optimum is known


def fixed_threshold(logit: float) -> Callable:
  """The threshold of a loss whose optimal logit is `logit` wherever p = q.

  Args:
    logit: f'(1) seen through the output activation for an f-GAN, 0 for a classifier.

  Returns:
    (real_logits, fake_logits, **options) -> (for real, for fake), [*batch] each.
  """

  def threshold(real_logits: Logits, fake_logits: Logits, **options: Any) -> tuple[Logits, Logits]:
    del options
    return jnp.full_like(real_logits, logit), jnp.full_like(fake_logits, logit)

  return threshold


zero_threshold = fixed_threshold(0.0)


class Loss(NamedTuple):
  """A pair of pure functions, one loss for each player of the game, like optax's (init, update).

  The three functions share one signature, `(real_logits, fake_logits, **options)`; a function that
  needs only one of the two ignores the other. Losses come back per example and are averaged once,
  in the training step. An example is judged right if `real_logits > threshold[0]`, respectively
  `fake_logits < threshold[1]`; losses whose logits have no absolute zero put the threshold at the
  logits of the other side.

  Attributes:
    discriminator: -> [*batch], its loss of each example, not averaged.
    generator: -> [*batch], the same of the generator.
    threshold: -> ([*batch] or [], for data; the same for samples).
    about: what the page on losses says of it, or None.
    options: keyword-only arguments that all three functions take.
    zero_sum: whether the generator's loss is minus the discriminator's term of samples. The term of
      data has no gradient in the generator, but where it looks ahead through updates of the
      discriminator.
    default_clip: bound on the discriminator's weights where there is no penalty; 0 for none.
    needs: fields of gan.Outputs that the discriminator has to return beside logits; `discriminator`
      and `generator` are then given Outputs in the place of logits, `threshold` logits as ever.
    recipe: the call of make_loss that bound options, or None.
    logit: Outputs -> [*batch], what stands for the logits that the discriminator returned, wherever
      they are looked at: in penalties, regularisers, metrics; or None. It takes no options.
    witness: `(outputs, real, fake, place, **options)` -> [*batch], the same of a loss that compares
      whole batches: of `outputs`, where those of the data are `real` and of the samples `fake`.
      `place` is "real" or "fake" where `outputs` are these themselves, and "other" of other points.
      Or None.
    init: `() -> state`, arrays only, kept in `GanState.aux_state["loss"]`; the functions of both
      players are then given it third. Or None.
    update: `(real, fake, state, **options) -> (state, metrics)`, once with each update of the
      discriminator, as the one of a Regularizer; or None.
    metrics: (name, meaning) of each that `update` returns.

  Examples:
    >>> import gan, jax.numpy as jnp
    >>> loss = gan.Loss(lambda real, fake: fake - real, lambda real, fake: -fake)
    >>> loss.discriminator(jnp.array([2.0, 1.0]), jnp.array([0.5, 0.5]))
    Array([-1.5, -0.5], dtype=float32)
  """

  discriminator: Callable
  generator: Callable
  threshold: Callable = zero_threshold
  about: About | None = None
  options: tuple[str, ...] = ()
  zero_sum: bool = False
  default_clip: float = 0.0
  needs: tuple[str, ...] = ()
  recipe: Recipe | None = None
  logit: Callable | None = None
  witness: Callable | None = None
  init: Callable | None = None
  update: Callable | None = None
  metrics: tuple[tuple[str, str], ...] = ()


def decides(loss: Loss) -> bool:
  """Returns whether a loss has a logit at which its discriminator decides.

  The thresholds of critics and of relativistic losses move with the logits, which these know up to
  a constant alone.
  """
  real, fake = jnp.array([0.0, 1.0]), jnp.array([2.0, 5.0])
  pairs = zip(loss.threshold(real, fake), loss.threshold(real + 1, fake + 1), strict=True)
  return all(bool(jnp.array_equal(before, after)) for before, after in pairs)


def paired_threshold(real_logits: Logits, fake_logits: Logits) -> tuple[Logits, Logits]:
  """The threshold of a loss that knows logits up to a constant only: the partner in the batch.

  The share judged right is then an estimate of P(D(x) > D(G(z))), the area under the ROC curve.

  Args:
    real_logits: [*batch], discriminator outputs on data.
    fake_logits: [*batch], on generated samples; same shape.

  Returns:
    (for real, for fake), [*batch] each.
  """
  return fake_logits, real_logits


def bounded_exp(x: Float[Array, "*shape"], cap: float = EXP_CAP) -> Float[Array, "*shape"]:
  """exp(x) for x <= cap, and its tangent at the cap beyond: e^cap (1 + x - cap).

  Exact up to the cap; value and slope are continuous and finite, so a runaway logit costs a
  large gradient instead of the run.

  Args:
    x: [*shape], exponent, unbounded.
    cap: largest exponent at which the result is still the exponential.

  Returns:
    [*shape], in the dtype of x.
  """
  inside = jnp.minimum(x, cap)
  return jnp.exp(inside) * (1.0 + (x - inside))
