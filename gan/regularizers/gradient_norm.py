"""Gradient normalisation: what D hands to G has one size, whatever D's slope is."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan.networks import Gan
from gan.regularizers.base import Regularizer, Term, View
from gan.system.schema import check, within

SMALLEST = 1e-8  # added to the norm that is divided by


def make_gradient_norm(*, gradient_norm_decay: float = 0.9) -> Regularizer:
  """Returns the regulariser, which has no term: it divides the gradient of G's loss in D's inputs.

  g becomes g / (sqrt(mean n |g|^2) + 1e-8), the mean over recent updates, this one included, by
  weights that fall by the decay and sum to 1; n numbers are in the batch of samples, and |g| is the
  norm over all of them. Where D does not change, g becomes as large as the gradient of the mean of
  these numbers: of norm 1 / sqrt(n), whatever the slope of D. Terms of the generator that do not go
  through D keep their gradient. In the source the mean begins at 0, so that first updates are
  larger.

  See "Adversarial Flow Models" (https://arxiv.org/abs/2511.22475),
  https://github.com/ByteDance-Seed/Adversarial-Flow-Models.

  Args:
    gradient_norm_decay: of the mean in an update, in [0, 1).
  """
  check("gradient_norm_decay", gradient_norm_decay, within(0, 1))

  def init(key: Array, gan: Gan) -> dict[str, Float[Array, ""]]:
    del key, gan
    return {"square": jnp.zeros(()), "updates": jnp.zeros(())}

  def backward(gradient: Float[Array, "b ..."], state: dict, axis_name: Any) -> tuple[Array, dict]:
    square = gradient.size * jnp.sum(jnp.square(gradient.astype(jnp.float32)))
    square = jax.lax.pmean(square, axis_name)
    updates = state["updates"] + 1
    share = (1 - gradient_norm_decay) / (1 - gradient_norm_decay**updates)
    mean = state["square"] + share * (square - state["square"])
    divided = gradient / (jnp.sqrt(mean) + SMALLEST).astype(gradient.dtype)
    return divided, {"square": mean, "updates": updates}

  def generator(view: View, state: dict) -> Term:
    del view
    return jnp.zeros(()), {"gradient_norm_mean": jnp.sqrt(state["square"])}

  return Regularizer(init, generator=generator, backward=backward, default_weight=None)
