"""Drifting: a generator without a discriminator, moved along a field between samples and data."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from gan.errors import UserError
from gan.method.game import Examples, Game
from gan.method.objectives import Observations
from gan.method.play import Keys, generate
from gan.method.rule import Minibatches, Stepped, UpdateRule
from gan.method.updates import apply_generator, propose
from gan.networks import Params, at_least_float32
from gan.state import GanState
from gan.system.recipe import recorded

RADII = "0.02,0.05,0.2"
OWN = 1e9  # in the exponent of a sample with itself: no weight, and finite
LEAST_BATCH = 2  # samples move away from each other
SMALLEST = 1e-12  # of a field by whose size is divided


def drifting_field(
  samples: Float[Array, "n d"], data: Float[Array, "m d"], radius: float
) -> Float[Array, "n d"]:
  """The field V along which each sample moves: to near data, and away from near samples.

  With r the radius times the mean distance, and A the geometric mean of the softmax of -distance/r
  over the examples that a sample sees, and over the samples that see an example,

    V_i = sum_jk A_ij A_ik (x_j - g_k),

  j over the data x and k over the other samples g: pairs that balance where samples are
  distributed as data.

  See "Generative Modeling via Drifting" (https://arxiv.org/abs/2602.04770).

  Args:
    samples: [N, D], g.
    data: [M, D], x.
    radius: of the kernel, in mean distances; above 0.

  Returns:
    [N, D], in the units of the samples.
  """
  count, seen = len(samples), jnp.concatenate([samples, data])
  # One row at a time: all differences together would be [N, N + M, D].
  distances = jax.lax.map(lambda row: jnp.linalg.norm(seen - row[None], axis=1), samples)
  own = jnp.eye(count, len(seen), dtype=bool)
  scale = radius * jnp.sum(distances) / (count * (len(seen) - 1))
  exponents = jnp.where(own, -OWN, -distances / jnp.maximum(scale, SMALLEST))
  weights = jnp.sqrt(jax.nn.softmax(exponents, axis=1) * jax.nn.softmax(exponents, axis=0))
  away, towards = weights[:, :count], weights[:, count:]
  pulled, pushed = (jnp.sum(each, axis=1, keepdims=True) for each in (towards, away))
  return pushed * (towards @ data) - pulled * (away @ samples)


def root_mean_square(values: Float[Array, "n d"]) -> Float[Array, ""]:
  """The root of the mean square of all numbers."""
  return jnp.sqrt(jnp.mean(jnp.square(values)))


def drifting_objective(
  params: Params,
  game: Game,
  state: GanState,
  examples: Examples,
  key: Key[Array, ""],
  *,
  radii: tuple[float, ...],
) -> tuple[Float[Array, ""], Observations]:
  """|G(z) - (G(z) + V)|^2 of the generator at `params`, the target G(z) + V held."""
  generator = state.generator.replace(params=params)
  latent_key, dropout_key = jax.random.split(Keys.of(key).generate)
  _, fake, model_state = generate(game, generator, examples, latent_key, dropout_key)
  samples, data = (at_least_float32(each).reshape(len(each), -1) for each in (fake, examples.real))
  everyone = _whole((jax.lax.stop_gradient(samples), data), game.axis_name)
  if len(everyone[0]) < LEAST_BATCH:
    raise UserError("drifting moves samples away from each other: give a batch of at least two")
  fields = [drifting_field(*everyone, radius) for radius in radii]
  sizes = [root_mean_square(field) for field in fields]
  # Each of unit size, so that no radius drowns the others.
  scaled = [f / jnp.maximum(size, SMALLEST) for f, size in zip(fields, sizes, strict=True)]
  first = jax.lax.axis_index(game.axis_name) * len(samples)
  field = jax.lax.dynamic_slice_in_dim(sum(scaled), first, len(samples))
  target = jax.lax.stop_gradient(samples) + field
  loss = jnp.mean(jnp.sum(jnp.square(samples - target), axis=1))
  metrics = {"generator_loss": loss, "drifting_field": sum(sizes) / len(sizes)}
  return loss, Observations(model_state, {}, metrics)


def _whole(batches: Any, axis_name: Any) -> Any:
  """Batches with the shares of all devices, in the order of their places."""
  if axis_name == ():
    return batches
  return jax.tree.map(lambda each: jax.lax.all_gather(each, axis_name, tiled=True), batches)


@recorded
def drifting(*, drifting_radii: str = RADII) -> UpdateRule:
  """The generator is moved along a field between its samples and the data; there is no game.

  It minimises |G(z) - stop(G(z) + V)|^2, V the sum of `drifting_field` of each radius, scaled to a
  root mean square of 1 in units of the samples; the source's loss is in units of their mean
  distance to all. The discriminator stays as it was made, and no metric is of it. Distances
  are those of points, or of pixels: the source takes features of a trained network for images,
  whose pixels' distances say little. Experimental: no divergence is known that a step lowers.

  See "Generative Modeling via Drifting" (https://arxiv.org/abs/2602.04770).

  Args:
    drifting_radii: radii of the kernel in mean distances, above 0, separated by commas.
  """
  radii = _numbers(drifting_radii)
  objective = functools.partial(drifting_objective, radii=radii)

  def step(game: Game, state: GanState, minibatches: Minibatches, key: Key[Array, ""]) -> Stepped:
    check_alone(game)
    (examples,) = minibatches
    update = propose(objective, "generator", game, state, examples, key)
    return apply_generator(game, state, update), update.metrics

  return UpdateRule(
    init=None,
    step=step,
    several=False,
    in_parts=False,
    adversarial=False,
    least_batch=LEAST_BATCH,
  )


def _numbers(text: str) -> tuple[float, ...]:
  try:
    radii = tuple(map(float, text.split(",")))
  except (AttributeError, ValueError):
    radii = ()
  if not radii or not all(radius > 0 and math.isfinite(radius) for radius in radii):
    raise UserError(
      f"`drifting_radii={text}` must be numbers above 0, separated by commas, as in {RADII}"
    )
  return radii


def check_alone(game: Game) -> None:
  """Raises UserError where a game has parts that are of a discriminator, or classes."""
  unread = {
    "penalty": game.penalty is not None,
    "regularizers": bool(game.regularizers),
    "augment": game.augment is not None,
    "num_classes": game.num_classes > 0,
    "packing": game.packing > 1,
    "clip_weights": game.clip_weights,
    "discriminator_optimizer": game.discriminator_optimizer is not None,
  }
  if given := [name for name, is_given in unread.items() if is_given]:
    raise UserError(
      f"drifting plays no game and knows no classes: leave out `{'`, `'.join(given)}`"
    )
