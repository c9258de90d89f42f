"""Transport: of all generators that make the data, the one that moves latents least."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan.errors import UserError
from gan.networks import at_least_float32
from gan.regularizers.base import Regularizer, Term, View


def transport_costs(
  latents: Float[Array, "b z"], samples: Float[Array, "b ..."]
) -> Float[Array, " b"]:
  """|G(z) - z|^2 / n of each example, the mean of squares over its n numbers.

  Args:
    latents: [B, Z].
    samples: [B, ...], made of them; Z numbers each.

  Raises:
    UserError: a sample is not of as many numbers as a latent.
  """
  size = math.prod(samples.shape[1:])
  if latents.shape[1] != size:
    raise UserError(
      f"transport is from latents to samples of as many numbers, and {list(samples.shape[1:])} is "
      f"{size} where a latent is {latents.shape[1]}: give `latent_dim={size}`"
    )
  moved = at_least_float32(samples).reshape(latents.shape) - latents
  return jnp.mean(jnp.square(moved), axis=1)


def make_transport() -> Regularizer:
  """Returns the mean of |G(z) - z|^2 / n, which the generator minimises beside its loss.

  Adversarial losses do not say which latent becomes which example; with this term as little as
  possible is moved, as in optimal transport. It keeps samples from the data's distribution too, so
  its weight falls in training: in the source along half a cosine from 0.2 to 0.005.

  See "Adversarial Flow Models" (https://arxiv.org/abs/2511.22475),
  https://github.com/ByteDance-Seed/Adversarial-Flow-Models.
  """

  def generator(view: View, state: dict) -> Term:
    del state
    costs = transport_costs(view.latents, view.fake)
    return costs, {"transport": jnp.mean(costs)}

  return Regularizer(generator=generator)
