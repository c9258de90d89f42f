"""A trained discriminator beside p/(p + q), in one and in two dimensions."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments.theory import style
from experiments.theory.case import Check, Result, Settings, at_most, within
from gan.losses import make_loss
from gan.networks import Gan
from gan.report import plots
from gan.report.line_names import name_lines
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
  figure, ((left, right),) = style.panels(1, 2, 3.0, sharey=True)
  x = result["pair"].points[:, 0]
  real, fake = _densities(result["pair"])
  for i, (density, name) in enumerate(((real, "p, the data"), (fake, "q, the generator"))):
    left.fill_between(x, density, color=plots.COLOURS[i], alpha=0.3, lw=0, label=name)
  best = divergences.optimal_discriminator(real, fake)
  left.plot(x, best, color=plots.INK, lw=2, label="D* = p/(p + q)")
  for i, logits in enumerate(result["logits"]):
    look = {"color": plots.COLOURS[1], "lw": 1, "label": None if i else "D, each seed"}
    left.plot(x, jax.nn.sigmoid(logits), "--", **look)
  dense = np.asarray(densities.bulk(real + fake, BULK))
  edges = x[dense][jnp.array([0, -1])]
  left.axvspan(*edges, color=plots.LINES, alpha=0.4, lw=0, zorder=0, label="where D is judged")
  left.set(xlabel="x", ylabel="D(x), and densities", xlim=(-6, 6))
  _draw_shifted(right, x, shifted)
  figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=3)
  return figure


def _draw_shifted(axes, x, shifted) -> None:
  for i, (shift, logits) in enumerate(zip(SHIFTS, shifted["logits"], strict=True)):
    real, fake = _densities(shifted["pair"], shift)
    inside = densities.bulk(real + fake, BULK)
    best = jnp.where(inside, divergences.optimal_discriminator(real, fake), jnp.nan)
    shown = jnp.where(inside, jax.nn.sigmoid(logits), jnp.nan)
    axes.plot(x, best, color=plots.INK, lw=2)
    axes.plot(x, shown, "--", color=plots.COLOURS[i], label=f"moved by {shift:g}")
  axes.set(xlabel="x", title="black: D*; dashed: D, q = p moved", xlim=(-6, 6))
  name_lines(axes)


def _plane_figure(found) -> Figure:
  result = found["two dimensions"]
  real, fake = _densities(result["pair"])
  best = divergences.optimal_discriminator(real, fake)
  learned = jax.nn.sigmoid(result["logits"][0])
  dense = densities.bulk(real + fake, BULK)
  figure, (panels,) = style.panels(1, 3, 2.7, sharey=True)
  shown = {"D* = p/(p + q)": best, "D, trained (seed 0)": learned, "D - D*": learned - best}
  side, drawn = math.isqrt(len(real)), []
  for axes, (title, values), limits in zip(
    panels, shown.items(), ((0, 1), (0, 1), (-0.05, 0.05)), strict=True
  ):
    cells = jnp.where(dense, values, jnp.nan).reshape(side, side)
    look = {"cmap": "PuOr_r", "vmin": limits[0], "vmax": limits[1], "extent": (-7, 7, -7, 7)}
    drawn.append(axes.imshow(cells, origin="lower", **look))
    axes.set(title=title, xlabel="x", xlim=(-4.5, 4.5), ylim=(-4.5, 4.5))
    axes.grid(False)
  panels[0].set_ylabel("y")
  figure.colorbar(drawn[0], ax=panels[:2], location="bottom", shrink=0.6, label="D")
  figure.colorbar(drawn[2], ax=panels[2], location="bottom", shrink=0.9, label="D - D*")
  return figure
