"""What a penalty is: a function of a critic, and what is known about it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int, Key

from gan.system.recipe import Recipe

Images = Float[Array, "b ..."]
PerExample = Float[Array, " b"]
Critic = Callable[[Images], PerExample]


class AugmentedCritic(NamedTuple):
  """A critic of raw images through the augmentation, with the very draws that D was shown.

  Called as a function it has the draws of the data: so do points between data and samples, or
  around data.

  Attributes:
    on_real: with the draws of the data.
    on_fake: with those of the samples.
    on_both: `(data, samples) -> logits of each`, in one call of a discriminator that mixes none;
      None for any other.
    real_logits: those of the data that D was shown, as the loss has them, where `on_real` of the
      data is the same: of a discriminator that mixes no examples and has neither state nor dropout;
      None for any other.
    fake_logits: the same of the samples.
    part: `rows [M] -> the critic of these rows` of those that D was shown; None where it is not
      known.
  """

  on_real: Critic
  on_fake: Critic
  on_both: Callable[[Images, Images], tuple[PerExample, PerExample]] | None = None
  real_logits: PerExample | None = None
  fake_logits: PerExample | None = None
  part: Callable[[Int[np.ndarray, " m"]], "AugmentedCritic"] | None = None

  def __call__(self, images: Images) -> PerExample:
    return self.on_real(images)


# Fields of a config that the step reads, of every penalty.
OF_STEP = ("penalty_weight", "penalty_every", "lazy_correction", "lazy_step")


class Penalty(NamedTuple):
  """A gradient penalty and what is known about it; called `(critic, real, fake, keys) -> [B]`.

  Attributes:
    function: `(critic, real, fake, keys) -> [B]`, or None.
    default_weight: lambda, or gamma, of the source.
    formula: what is averaged and weighted; x is data, G(z) a sample, x^ a point between the two.
    source: paper.
    keywords: keyword-only arguments of the function.
    options: fields of a config that it reads.
    recipe: the call of `make_penalty` that bound options, or None.
    use: when it is chosen.

  Examples:
    >>> import gan, jax, jax.numpy as jnp
    >>> def slope(critic, real, fake, keys):
    ...   return jnp.abs(jax.grad(lambda x: critic(x).sum())(real)).sum(axis=1)
    >>> penalty = gan.Penalty(slope, 0.1, "|grad D(x)|_1", "own")
    >>> points, keys = jnp.ones((2, 3)), jax.random.split(jax.random.key(0), 2)
    >>> penalty(lambda x: 3 * x[:, 0], points, points, keys)
    Array([3., 3.], dtype=float32)
  """

  function: Callable[..., PerExample] | None
  default_weight: float
  formula: str
  source: str
  keywords: tuple[str, ...] = ()
  options: tuple[str, ...] = OF_STEP
  recipe: Recipe | None = None
  use: str = ""

  def __call__(
    self, critic: Critic, real: Images, fake: Images, keys: Key[Array, " b"]
  ) -> PerExample:
    """The penalty of each example, before its weight."""
    assert self.function is not None, "PENALTIES['none'] is no penalty"
    return self.function(critic, real, fake, keys)
