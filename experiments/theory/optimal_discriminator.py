"""A trained discriminator beside p/(p + q), in one and in two dimensions."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments.theory.case import Check, Result, Settings, at_most, within
from gan.losses import make_loss
from gan.networks import Gan
from gan.theory import densities, divergences, games

PAPER = "Goodfellow et al. 2014, arXiv:1406.2661"
BULK = 0.99  # share of the mass of (p + q)/2 in which D is held to D*
SHIFTS = (2.0, 1.0, 0.5, 0.25, 0.0)


class Pair(NamedTuple):
  """Two mixtures, where they are compared, and how D is trained between them.

  Attributes:
    p: the data.
    q: the generator.
    points: [n, d] lattice.
    cell: volume of its cells.
    units: of both hidden layers of D.
    batch: examples of each side in an update.
    rate: of Adam at the start; it falls to 0.
    steps: updates; a quick run makes half of them.
  """

  p: densities.Mixture
  q: densities.Mixture
  points: Any
  cell: float
  units: int
  batch: int
  rate: float
  steps: int


def _line(shifted=False):
  p = densities.mixture([0.5, 0.5], [-2.0, 1.5], [0.6, 0.8])
  q = p if shifted else densities.mixture([1.0], [0.0], [1.5])
  return Pair(
    p, q, *densities.lattice(-9.0, 9.0, 1801), units=32, batch=2048, rate=1e-2, steps=5000
  )


def _plane():
  means = [[1.5, 0.0], [0.0, 1.5], [-1.5, 0.0], [0.0, -1.5]]
  p = densities.mixture([0.25] * 4, means, [0.5] * 4)
  q = densities.mixture([1.0], [[0.0, 0.0]], [1.3])
  return Pair(
    p, q, *densities.lattice(-7.0, 7.0, 141, 2), units=64, batch=4096, rate=2e-2, steps=3000
  )


PAIRS = {"one dimension": _line, "two dimensions": _plane}


def run(settings: Settings) -> Result:
  """Trained by cross-entropy, D approaches p/(p + q), its value -log 4 + 2 JSD, and 1/2 as q -> p.

  D has two hidden layers of swish units, 32 on the line and 64 in the plane; p and q are mixtures
  of Gaussians whose densities are known, so that D* and the value are exact, by quadrature. The
  largest error is over the densest 99 % of (p + q)/2. For the approach q is p itself, moved along
  the axis.
  """
  seeds, share = settings.seeds_or(3, 1), 2 if settings.quick else 1
  found = {name: _seeds(pair(), seeds, share) for name, pair in PAIRS.items()}
  shifted = _shifted(share)
  checks = [check for name, result in found.items() for check in _checks(name, result)]
  records = [
    {"pair": name, "seed": seed, "error": float(error), "value": float(value)}
    for name, result in found.items()
    for seed, (error, value) in enumerate(zip(result["error"], result["value"], strict=True))
  ] + [{"shift": shift, "error": float(e), "value": float(v)} for shift, e, v in shifted["rows"]]
  figures = {"line": _line_figure(found["one dimension"], shifted), "plane": _plane_figure(found)}
  return Result(checks + _shift_checks(shifted), figures, records, [])


def train(pair: Pair, key, steps: int, shift=0.0):
  """Trains a D between samples of p and of q moved by `shift`; returns its logits on the lattice.

  The generator is the sampler of q and has one parameter, the shift along the first axis.
  """
  dimensions = pair.points.shape[1]
  along = jnp.eye(1, dimensions)
  generator = games.network(lambda key: jnp.asarray(shift, float), lambda s, z: z + s * along)
  critic = games.mlp((dimensions, pair.units, pair.units, 1), jax.nn.swish, games.as_logits)
  gan = Gan(generator, critic, lambda key: densities.sample(pair.q, key), (-1.0, 1.0))
  game = games.make_game(gan, loss="sat", optimizer="adam", schedule=games.falling_rates(steps))
  init_key, train_key = jax.random.split(key)
  state = games.start(init_key, game, discriminator_learning_rate=pair.rate, b1=0.9)

  def real(key):
    return densities.samples(pair.p, key, pair.batch)

  state, _ = games.train_discriminator(game, state, real, train_key, steps)
  return critic.apply(state.discriminator.params, {}, pair.points, None, train=False)[0]


def judge(pair: Pair, logits, shift=0.0):
  """Returns (largest |D - D*| in the bulk, value of D, exact value) by quadrature."""
  real, fake = _densities(pair, shift)
  best = divergences.optimal_discriminator(real, fake)
  dense = densities.bulk(real + fake, BULK)
  error = jnp.max(jnp.where(dense, jnp.abs(jax.nn.sigmoid(logits) - best), 0))
  value = -divergences.expected_loss(make_loss("sat"), logits, real, fake, pair.cell)
  return error, value, divergences.optimal_value(real, fake, pair.cell)


def _densities(pair, shift=0.0):
  moved = pair.points - shift * jnp.eye(1, pair.points.shape[1])
  return densities.density(pair.p, pair.points), densities.density(pair.q, moved)


def _seeds(pair, seeds, share):

  def trained(key):
    return train(pair, key, pair.steps // share)

  logits = jax.jit(jax.vmap(trained))(jax.random.split(jax.random.key(0), seeds))
  error, value, exact = jax.vmap(lambda logits: judge(pair, logits))(logits)
  return {"pair": pair, "logits": logits, "error": error, "value": value, "exact": exact[0]}


def _shifted(share):
  pair = _line(shifted=True)

  def trained(key, shift):
    return train(pair, key, pair.steps // share, shift)

  keys, shifts = jax.random.split(jax.random.key(1), len(SHIFTS)), jnp.array(SHIFTS)
  logits = jax.jit(jax.vmap(trained))(keys, shifts)
  measure = jax.vmap(lambda logits, shift: judge(pair, logits, shift))
  error, value, exact = measure(logits, shifts)
  return {
    "pair": pair,
    "logits": logits,
    "exact": exact,
    "rows": list(zip(SHIFTS, error, value, strict=True)),
  }


def _checks(name, result) -> list[Check]:
  exact = float(result["exact"])
  low, high = sorted((0.98 * exact, 1.02 * exact))
  title = f"{name}, value, exact {exact:.5f} = -log 4 + 2 JSD, within 2 %"
  return [
    at_most(f"{name}, largest |D - D*|", result["error"], 0.03, source=f"{PAPER}, proposition 1"),
    within(title, result["value"], low, high, source=f"{PAPER}, theorem 1"),
  ]


def _shift_checks(shifted) -> list[Check]:
  checks = []
  for (shift, error, value), exact in zip(shifted["rows"], shifted["exact"], strict=True):
    title = f"q = p moved by {shift:g}, largest |D - D*|" + (", D* = 1/2" if shift == 0 else "")
    checks.append(at_most(title, error, 0.03, source=f"{PAPER}, proposition 1"))
    title = f"q = p moved by {shift:g}, value, exact {exact:.5f}, within 2 %"
    bounds = sorted((0.98 * float(exact), 1.02 * float(exact)))
    source = f"{PAPER}, theorem 1" + (", -log 4" if shift == 0 else "")
    checks.append(within(title, value, *bounds, source=source))
  return checks


def _line_figure(result, shifted) -> Figure:
  x = result["pair"].points[:, 0]
  real, fake = _densities(result["pair"])
  figure = Figure(figsize=(11, 4.2), dpi=90, layout="constrained")
  left, right = figure.subplots(1, 2, sharey=True)
  left.fill_between(x, real, color="C0", alpha=0.25, lw=0, label="p, the data")
  left.fill_between(x, fake, color="C1", alpha=0.25, lw=0, label="q, the generator")
  left.plot(x, divergences.optimal_discriminator(real, fake), "k", lw=2, label="D* = p/(p + q)")
  for i, logits in enumerate(result["logits"]):
    left.plot(x, jax.nn.sigmoid(logits), "C3--", lw=1, label=None if i else "D, trained, each seed")
  dense = np.asarray(densities.bulk(real + fake, BULK))
  left.axvspan(*x[dense][jnp.array([0, -1])], color="0.95", zorder=0)
  left.set(title="Trained D over the optimal one", xlabel="x", xlim=(-6, 6))
  for i, (shift, logits) in enumerate(zip(SHIFTS, shifted["logits"], strict=True)):
    real, fake = _densities(shifted["pair"], shift)
    best = divergences.optimal_discriminator(real, fake)
    inside = densities.bulk(real + fake, BULK)
    right.plot(x, jnp.where(inside, best, jnp.nan), "k", lw=2)
    shown = jnp.where(inside, jax.nn.sigmoid(logits), jnp.nan)
    right.plot(x, shown, "--", color=f"C{i}", lw=1.3, label=f"moved by {shift:g}")
  right.set(title="q -> p: D goes to 1/2", xlabel="x", xlim=(-6, 6))
  for axes in (left, right):
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
  return figure


def _plane_figure(found) -> Figure:
  result = found["two dimensions"]
  real, fake = _densities(result["pair"])
  side = math.isqrt(len(real))
  best = divergences.optimal_discriminator(real, fake)
  learned = jax.nn.sigmoid(result["logits"][0])
  dense = densities.bulk(real + fake, BULK)
  figure = Figure(figsize=(12, 4.2), dpi=90, layout="constrained")
  panels = figure.subplots(1, 3, sharey=True)
  extent = (-7, 7, -7, 7)
  shown = {"D* = p/(p + q)": best, "D, trained (seed 0)": learned, "D - D*": learned - best}
  for axes, (title, values) in zip(panels, shown.items(), strict=True):
    limits = (0, 1) if axes is not panels[2] else (-0.05, 0.05)
    cells = jnp.where(dense, values, jnp.nan).reshape(side, side)
    picture = axes.imshow(
      cells, origin="lower", extent=extent, cmap="PuOr_r", vmin=limits[0], vmax=limits[1]
    )
    axes.set(title=title, xlim=(-4.5, 4.5), ylim=(-4.5, 4.5))
    figure.colorbar(picture, ax=axes, shrink=0.8)
  return figure
