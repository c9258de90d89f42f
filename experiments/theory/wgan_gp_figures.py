"""What critics by clipped weights and by the gradient penalty look like."""

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments.theory import trajectory
from experiments.theory.wgan_gp_data import LIMIT, SCALE, draw
from gan.datasets import grid
from gan.theory import densities


def surfaces(fixed) -> Figure:
  """Level lines of a critic of each kind on each data set."""
  figure = Figure(figsize=(11, 7.2), dpi=90, layout="constrained")
  names = list(dict.fromkeys(name for name, _ in fixed))
  panels = figure.subplots(2, len(names), sharex=True, sharey=True)
  points, _ = densities.lattice(-LIMIT, LIMIT, 101, 2)
  for i, name in enumerate(names):
    data = draw(name, jax.random.key(2), 500)
    for axes, kind in zip(panels[:, i], ("clip", "penalty"), strict=True):
      found = fixed[name, kind]
      params = jax.tree.map(lambda values: values[0], found["params"])
      values = found["gan"].discriminator.apply(params, {}, points, None, train=False)[0]
      square = np.asarray(values).reshape(101, 101)
      axes.contour(square, 14, extent=(-LIMIT, LIMIT, -LIMIT, LIMIT), linewidths=1, cmap="viridis")
      axes.plot(*data.T, "C1.", ms=2)
      axes.set(aspect="equal", title=f"{name}, {'clipped' if kind == 'clip' else kind}")
  return figure


def weights(fixed, deep) -> Figure:
  """The weights of a critic of each kind, and slopes by layer of deep ones."""
  figure = Figure(figsize=(12, 3.8), dpi=90, layout="constrained")
  left, middle, right = figure.subplots(1, 3)
  for axes, kind, color in ((left, "clip", "C0"), (middle, "penalty", "C1")):
    axes.hist(fixed["swiss roll", kind]["weights"][0], bins=81, color=color)
    axes.set(title=f"weights, {'clipped' if kind == 'clip' else kind}, swiss roll", yscale="log")
  for i, (label, norms) in enumerate(deep.items()):
    for seed, row in enumerate(norms):
      layers = np.arange(1, len(row) + 1)
      right.semilogy(layers, row, f"C{i}o-", ms=3, label=None if seed else label)
  right.set(title="norm of the critic's slope along a layer", xlabel="layer, 12 next to the output")
  right.legend(fontsize=8)
  for axes in (left, middle, right):
    axes.grid(alpha=0.3)
  return figure


def samples(points) -> Figure:
  """Samples of the generators [seeds, n, 2] on the modes."""
  figure = Figure(figsize=(4 * len(points), 4), dpi=90, layout="constrained")
  for seed, axes in enumerate(figure.subplots(1, len(points), squeeze=False)[0]):
    axes.plot(*(grid.centres() / SCALE).T, "k+", ms=10)
    axes.plot(*points[seed].T, "C0.", ms=2, alpha=0.4)
    axes.set(
      aspect="equal", title=f"25 Gaussians, seed {seed}", xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT)
    )
  return figure


def film(shown, each: int):
  """The generators over time, a picture every `each` steps."""
  real = np.asarray(draw("25 Gaussians", jax.random.key(1), 1000))
  title = "25 Gaussians  wgan + wgan_gp"
  return trajectory.film(shown, real, title, limit=LIMIT, each=each)
