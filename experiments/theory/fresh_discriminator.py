"""A new discriminator against a generator that stays, and the slopes that it gives it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gan.losses import Loss
from gan.method.game import Examples, Game
from gan.method.play import to_range
from gan.method.updates import apply_discriminator, discriminator_update, generator_update

PROBE = 256  # examples that the slopes are measured on
FIRST, EVERY = 10, 20  # updates of D before the first record, and between two


class Lab(NamedTuple):
  """What the new discriminator is trained with.

  Attributes:
    game: its loss, penalty and optimiser, and G's architecture.
    costs: costs of G whose slopes are recorded, by name.
    start: `key -> GanState` with a new D.
    images: [N, ...], the data, as they are stored.
    labels: [N], or None.
    batch: examples in an update.
  """

  game: Game
  costs: Mapping[str, Loss]
  start: Callable
  images: Any
  labels: Any
  batch: int


def fresh(lab: Lab, generator, key, steps: int) -> dict[str, Any]:
  """Trains a new D against a G that stays; returns norms by cost, and D's accuracy, [records].

  Args:
    lab: what it is trained with.
    generator: PlayerState of G.
    key: of D's weights and of all draws.
    steps: updates of D; the first record is after 10 of them, the next are 20 apart.
  """
  init_key, probe_key, key = jax.random.split(key, 3)
  state = lab.start(init_key).replace(generator=generator)
  probe = _draw(lab, probe_key, PROBE)

  def record(state, key):
    norms = {name: _norm(lab, cost, state, probe, probe_key) for name, cost in lab.costs.items()}
    draw_key, key = jax.random.split(key)
    drawn = _norm(lab, lab.costs["nonsat"], state, _draw(lab, draw_key, lab.batch), draw_key)
    state, seen = _train(lab, state, key, EVERY)
    return state, norms | {"drawn": drawn} | seen

  first_key, key = jax.random.split(key)
  state, _ = _train(lab, state, first_key, FIRST)
  return jax.lax.scan(record, state, jax.random.split(key, steps // EVERY))[1]


def _norm(lab, cost, state, probe, key):
  update = generator_update(lab.game.replace(loss=cost), state, probe, key)
  return update.metrics["generator_gradient_norm"]


def _train(lab, state, key, steps):
  def step(state, key):
    data_key, key = jax.random.split(key)
    update = discriminator_update(lab.game, state, _draw(lab, data_key, lab.batch), key)
    state = apply_discriminator(lab.game, state, update)
    right = (update.metrics["real_accuracy"] + update.metrics["fake_accuracy"]) / 2
    seen = {"accuracy": right, "loss": update.metrics["discriminator_loss"]}
    return state.replace(step=state.step + 1), seen

  state, seen = jax.lax.scan(step, state, jax.random.split(key, steps))
  return state, jax.tree.map(jnp.mean, seen)


def _draw(lab, key, count) -> Examples:
  rows = jax.random.randint(key, (count,), 0, len(lab.images))
  real = to_range(lab.images[rows], lab.game.gan.image_range)
  return Examples(real, None if lab.labels is None else lab.labels[rows])
