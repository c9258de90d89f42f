"""The trajectory of a game on points in the plane: snapshots of its samples, and an animation."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key
from PIL import Image

from gan.method.game import Batch
from gan.method.train_step import TrainStep
from gan.networks import Gan
from gan.state import GanState
from gan.training import animation, sampling


def play(
  step: TrainStep,
  state: GanState,
  real: Callable[[Array], Array],
  key: Key[Array, ""],
  *,
  snapshots: int,
  each: int,
  look: Callable[[GanState], Any],
) -> Any:
  """Plays on, and returns `look(state)` of every snapshot, stacked along a leading axis.

  Args:
    step: of the game.
    state: where it starts.
    real: `step -> [K, B, 2]`, the data of that step, an int32 [].
    key: of all draws of the step itself.
    snapshots: how many.
    each: steps before each of them.
    look: what is kept of a state.
  """

  def one(state, _):
    return step(state, Batch(real(state.step), None), key)[0], None

  def snapshot(state, _):
    state, _ = jax.lax.scan(one, state, None, length=each)
    return state, look(state)

  return jax.lax.scan(snapshot, state, None, length=snapshots)[1]


def show(gan: Gan, state: GanState, latents: Float[Array, "n z"], limit: float) -> dict[str, Array]:
  """Returns "samples" [n, 2] of latents, and "levels" [k, k], D on the square [-limit, limit]^2."""
  player = state.generator
  samples, _ = gan.generator.apply(player.params, player.model_state, latents, None, train=False)
  return {"samples": samples, "levels": sampling.level_sets(gan, state, limit)}


def film(
  shown: dict[str, np.ndarray],
  real: Float[np.ndarray, "m 2"],
  title: str,
  *,
  limit: float,
  each: int,
) -> list[Image.Image]:
  """Returns the frames of the first seed.

  Args:
    shown: what `show` returned, with leading axes of seeds and of snapshots.
    real: points of the data.
    title: one line.
    limit: as in `show`.
    each: steps between two snapshots.
  """
  fake, levels = shown["samples"][0], shown["levels"][0]
  steps = [each * (i + 1) for i in range(len(fake))]
  return animation.draw_frames(animation.Film(fake, levels, limit, steps), real, title)
