"""Pictures of losses and penalties, in the colours of a light and of a dark page."""

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments.losses import LOGITS, curves
from gan.penalties import make_penalty
from gan.report import plots, svg

SIZE = (6.0, 2.9)  # inches: text stays readable where a page is 400 pixels wide
SLOPES = np.linspace(0.0, 3.0, 61)
DRAWS = 4096  # of the approximated penalties, which are random
LIMIT = 8.0  # beyond which an exponential would flatten all else


def loss_figure(name: str) -> str:
  """Returns costs of a loss and their slopes against the logit, as HTML.

  Args:
    name: of a loss that is a function of logits alone.
  """
  with plots.styled():
    figure = Figure(figsize=SIZE, layout="constrained")
    panels = figure.subplots(1, 2)
    for (label, pair), style in zip(curves(name).items(), plots.STYLES, strict=True):
      for axes, values in zip(panels, pair, strict=True):
        axes.plot(LOGITS, values, style, label=label)
    for axes, title in zip(panels, ("cost", "slope of the cost"), strict=True):
      low, high = axes.get_ylim()
      axes.set(xlabel="logit", title=title, ylim=(max(low, -LIMIT), min(high, LIMIT)))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return _html(figure, f"loss-{name}", f"Costs of {name} and their slopes against the logit")


def penalty_values(name: str) -> np.ndarray:
  """[S] the mean penalty of a critic whose slope is each of SLOPES, everywhere.

  The approximated ones are random, and their mean is over DRAWS examples.
  """
  penalty = make_penalty(name, approx_share=1.0)
  count = DRAWS if name.startswith("approx") else 2
  keys = jax.random.split(jax.random.key(0), count)
  points = jnp.zeros((count, 1))

  def mean(slope):
    return jnp.mean(penalty(lambda images: slope * images[:, 0], points, points + 1, keys))

  return np.asarray(jax.jit(jax.vmap(mean))(jnp.asarray(SLOPES, jnp.float32)))


def penalty_figure(name: str) -> str:
  """Returns a penalty against the slope of a critic that has the same slope everywhere, as HTML."""
  with plots.styled():
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.plot(SLOPES, penalty_values(name), color=plots.COLOURS[0])
    axes.set(xlabel="slope of D, the norm of its gradient", ylabel="penalty before its weight")
    return _html(figure, f"penalty-{name}", f"{name} against the slope of the discriminator")


def _html(figure: Figure, name: str, alt: str) -> str:
  drawn = svg.to_page(svg.from_figure(figure, name), alt)
  return f'<figure style="max-width: 40rem" data-search-exclude>{drawn}</figure>'
