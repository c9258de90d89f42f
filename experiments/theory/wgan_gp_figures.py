"""What critics by clipped weights and by the gradient penalty look like."""

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments.theory import style, trajectory
from experiments.theory.wgan_gp_data import LIMIT, SCALE, draw
from gan.datasets import grid
from gan.report import plots
from gan.report.line_names import name_lines
from gan.theory import densities


def surfaces(fixed) -> Figure:
  """Level lines of a critic of each kind on each data set."""
  names = list(dict.fromkeys(name for name, _ in fixed))
  figure, panels = style.panels(2, len(names), 2.4, sharex=True, sharey=True)
  for i, name in enumerate(names):
    data = draw(name, jax.random.key(2), 500)
    for axes, kind in zip(panels[:, i], ("clip", "penalty"), strict=True):
      _draw_levels(axes, fixed[name, kind])
      axes.plot(*data.T, ".", color=plots.COLOURS[1], markersize=2)
      axes.set(aspect="equal", title=f"{name}, {'clipped' if kind == 'clip' else kind}")
      axes.grid(False)
  plots.label(figure, "x", "y")
  return figure


def _draw_levels(axes, found) -> None:
  points, _ = densities.lattice(-LIMIT, LIMIT, 101, 2)
  params = jax.tree.map(lambda values: values[0], found["params"])
  values = found["gan"].discriminator.apply(params, {}, points, None, train=False)[0]
  square, extent = np.asarray(values).reshape(101, 101), (-LIMIT, LIMIT, -LIMIT, LIMIT)
  axes.contour(square, 14, extent=extent, linewidths=1, cmap="viridis")


def weights(fixed, deep) -> Figure:
  """The weights of a critic of each kind, and slopes by layer of deep ones."""
  figure, ((left, middle, right),) = style.panels(1, 3, 2.6)
  for axes, kind, color in zip((left, middle), ("clip", "penalty"), plots.COLOURS, strict=False):
    axes.hist(fixed["swiss roll", kind]["weights"][0], bins=81, color=color)
    axes.set(title=f"swiss roll, {'clipped' if kind == 'clip' else kind}", yscale="log")
    axes.set_xlabel("weight")
  left.set_ylabel("weights in a bar")
  for i, (name, norms) in enumerate(deep.items()):
    for seed, row in enumerate(norms):
      look = style.line_style(i) | {"marker": plots.MARKERS[i], "markersize": 3}
      right.semilogy(np.arange(1, len(row) + 1), row, **look, label=None if seed else name)
  right.set(title="12 layers", xlabel="layer, 12 next to the output")
  right.set_ylabel("norm of the critic's slope")
  name_lines(right)
  return figure


def samples(points) -> Figure:
  """Samples of the generators [seeds, n, 2] on the modes."""
  figure, (panels,) = style.panels(1, len(points), style.WIDTH / len(points), sharey=True)
  for seed, axes in enumerate(panels):
    style.cloud(axes, points[seed], grid.centres() / SCALE, LIMIT)
    axes.set_title(f"seed {seed}")
  plots.label(figure, "x", "y")
  return figure


def film(shown, each: int):
  """The generators over time, a picture every `each` steps."""
  real = np.asarray(draw("25 Gaussians", jax.random.key(1), 1000))
  title = "25 Gaussians  wgan + wgan_gp"
  return trajectory.film(shown, real, title, limit=LIMIT, each=each)
