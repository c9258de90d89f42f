"""Two parallel lines: a distance that W1 sees and the Jensen-Shannon divergence does not."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments.theory import style
from experiments.theory.case import Check, Result, Settings, at_most, within
from gan.method.game import Examples
from gan.method.updates import generator_update
from gan.networks import Gan
from gan.report import plots
from gan.report.line_names import name_lines
from gan.theory import games

PAPER = "Arjovsky et al. 2017, arXiv:1701.07875, example 1"
THETAS = (-1.0, -0.5, -0.25, 0.25, 0.5, 1.0)
UNITS, BATCH, RATE = 64, 256, 2e-3
# With weight lambda the best critic's slope is 1 + |theta|/(2 lambda): 2.5 % too much at theta = 1.
PENALTY_WEIGHT = 20.0


def run(settings: Settings) -> Result:
  """W1 = |theta| and pulls the lines together; JSD = log 2 wherever they do not meet, and is flat.

  The data are (0, U[0, 1]), the generator makes (theta, U[0, 1]). A critic trained by `wgan` with
  the gradient penalty reads off W1, and its slope moves theta; a discriminator trained by
  cross-entropy separates the lines, its value goes to that of JSD = log 2, and the saturating
  generator is left with no slope. The penalty has weight 20, by which the critic overshoots by a
  share |theta|/40.
  """
  seeds, steps = settings.seeds_or(3, 1), 1000 if settings.quick else 2000
  critic, separator = measure("wgan", seeds, steps), measure("sat", seeds, steps)
  checks = [check for i, theta in enumerate(THETAS) for check in _critic(critic, i, theta)]
  checks += [check for i, theta in enumerate(THETAS) for check in _separator(separator, i, theta)]
  records = [
    {"loss": name, "theta": theta, "seed": seed, **{k: float(v[i, seed]) for k, v in rows.items()}}
    for name, rows in (("wgan", critic), ("sat", separator))
    for i, theta in enumerate(THETAS)
    for seed in range(seeds)
  ]
  return Result(checks, {"distances": _figure(critic, separator)}, records, [])


def measure(loss: str, seeds: int, steps: int) -> dict[str, np.ndarray]:
  """Trains a discriminator at every theta; returns {quantity: [thetas, seeds]}.

  Quantities: the mean logit on data less that on samples, the value of D, G's slope along theta.
  """
  keys = jax.random.split(jax.random.key(0), seeds)
  both = jax.vmap(jax.vmap(lambda t, k: _one(loss, steps, t, k), (None, 0)), (0, None))
  return jax.tree.map(np.asarray, jax.jit(both)(jnp.array(THETAS), keys))


def _one(loss, steps, theta, key):
  generator = games.network(
    lambda key: jnp.asarray(theta, float), lambda t, z: jnp.stack([0 * z[:, 0] + t, z[:, 0]], 1)
  )
  critic = games.mlp((2, UNITS, UNITS, 1), jnp.tanh, games.as_logits)
  gan = Gan(generator, critic, lambda key: jax.random.uniform(key, (1,)), (-1.0, 1.0))
  game = games.make_game(
    gan,
    loss=loss,
    penalty="wgan_gp" if loss == "wgan" else "none",
    optimizer="adam",
    schedule=games.falling_rates(steps),
  )
  init_key, train_key, key = jax.random.split(key, 3)
  numbers = {"discriminator_learning_rate": RATE, "b1": 0.5, "penalty_weight": PENALTY_WEIGHT}
  state = games.start(init_key, game, **numbers)
  state, metrics = games.train_discriminator(game, state, real_line, train_key, steps)
  slope = generator_update(game, state, Examples(real_line(key), None), key).grads
  last = jax.tree.map(lambda values: jnp.mean(values[-50:]), metrics)
  difference = last["real_logit"] - last["fake_logit"]
  return {"difference": difference, "value": -last["discriminator_loss"], "slope": slope}


def real_line(key):
  """Draws the data, points (0, U[0, 1]) [B, 2]."""
  return jnp.stack([jnp.zeros(BATCH), jax.random.uniform(key, (BATCH,))], axis=1)


def _critic(rows, i, theta) -> list[Check]:
  distance, sign = abs(theta), math.copysign(1, theta)
  slopes = sorted((0.95 * sign, 1.05 * sign))
  return [
    within(
      f"theta = {theta}, W1 by the critic, exact {distance}, within 5 %",
      rows["difference"][i],
      0.95 * distance,
      1.05 * distance,
      source=PAPER,
    ),
    within(
      f"theta = {theta}, slope of the wgan generator, exact {sign:g}, within 5 %",
      rows["slope"][i],
      *slopes,
      source=PAPER,
    ),
  ]


def _separator(rows, i, theta) -> list[Check]:
  divergence = (rows["value"][i] + math.log(4)) / 2
  bounds = (0.95 * math.log(2), 1.05 * math.log(2))
  title = f"theta = {theta}, JSD by cross-entropy, exact log 2 = {math.log(2):.5f}, within 5 %"
  steep = f"theta = {theta}, |slope| of the saturating generator, exact 0"
  return [
    within(title, divergence, *bounds, source=PAPER),
    at_most(steep, np.abs(rows["slope"][i]), 0.05, source=PAPER),
  ]


def _figure(critic, separator) -> Figure:
  figure, ((left, right),) = style.panels(1, 2, 2.7)
  fine = np.linspace(-1.1, 1.1, 201)
  divergence = (separator["value"] + math.log(4)) / 2
  _draw(left, 0, fine, np.abs(fine), critic["difference"], "W1 = |theta|")
  _draw(left, 1, fine, np.full_like(fine, math.log(2)), divergence, "JSD = log 2")
  _draw(right, 0, fine, np.sign(fine), critic["slope"], "wgan")
  _draw(right, 1, fine, np.zeros_like(fine), separator["slope"], "sat")
  left.set(ylabel="distance of the lines", title="lines: exact; points: trained")
  right.set(ylabel="slope of the generator's loss", title="lines: exact; points: trained")
  for axes in (left, right):
    axes.set(xlabel="theta, where G's line is", xlim=(-1.1, 1.1))
    name_lines(axes)
  return figure


def _draw(axes, i, fine, exact, trained, name) -> None:
  """Draws what is known at `fine` as a line, and what was trained at THETAS as points."""
  axes.plot(fine, exact, **style.line_style(i), label=name)
  axes.plot(THETAS, trained, plots.MARKERS[i], color=plots.COLOURS[i])
