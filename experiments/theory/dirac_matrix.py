"""The Dirac-GAN under every loss, penalty and update rule."""

import textwrap
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from experiments.theory import style
from experiments.theory.case import Result, Settings, reported
from experiments.theory.dirac import converged
from gan.losses import of_logits
from gan.method.update_rules import adversarial_rules
from gan.penalties import PENALTIES
from gan.report import plots
from gan.theory import dirac

STEPS, PENALTY_WEIGHT, CONSENSUS_WEIGHT = 500, 1.0, 1.0
CHOICES = {"unrolled_steps": 1, "lookahead_steps": 5}
QUICK = ("simultaneous", "alternating", "optimistic", "lookahead")
OUTCOMES = ("converges", "within twice its start", "farther out")


class Look(NamedTuple):
  """How an outcome is drawn: a symbol on a field of a colour."""

  field: str
  marker: str
  fillstyle: str = "full"

  def symbol(self) -> dict[str, Any]:
    return {
      "marker": self.marker,
      "fillstyle": self.fillstyle,
      "linestyle": "",
      "color": plots.INK,
      "markersize": 3.5,
      "markeredgewidth": 0.8,
    }


LOOKS = (Look("#b3d9f2", "."), Look("#f0f1f3", "o", "none"), Look("#f2b48c", "x"))


def run(settings: Settings) -> Result:
  """Which losses, penalties and update rules take the Dirac-GAN to its equilibrium.

  Every loss under every penalty (weight 1) and every update rule, both players at the rate 0.2 from
  a distance of 1.414 of the equilibrium, 500 steps; consensus with gamma 1, unrolled by one step,
  lookahead every 5. No criterion is laid on the whole; the rows count.
  """
  rules = QUICK if settings.quick else tuple(adversarial_rules())
  with jax.enable_x64(True):
    found = {rule: outcomes(rule) for rule in rules}
  checks = [_count(rule, found[rule]) for rule in rules]
  losses, penalties = of_logits(), list(PENALTIES)
  records = [
    {"update_rule": rule, "loss": loss, "penalty": penalty, "outcome": OUTCOMES[int(cells[i, j])]}
    for rule, cells in found.items()
    for i, loss in enumerate(losses)
    for j, penalty in enumerate(penalties)
  ]
  return Result(checks, {"matrix": _figure(found)}, records, NOTES)


NOTES = [
  "Of D = psi x every logit on the data is 0: lsgan and its kin, whose targets lie elsewhere, have "
  "no say there, and the averages of the relativistic losses are those of one example.",
  "A penalty that pulls |psi| to 1 (wgan_gp, wgan_lp, dragan) has no smooth equilibrium at 0.",
]


def outcomes(update_rule: str) -> np.ndarray:
  """Returns the place in OUTCOMES of every loss [rows] and penalty [columns] under a rule."""
  losses, penalties = of_logits(), list(PENALTIES)
  methods = [
    dirac.Method(loss, penalty, PENALTY_WEIGHT, consensus_weight=CONSENSUS_WEIGHT)
    for loss in losses
    for penalty in penalties
  ]
  paths = dirac.play(methods, update_rule, STEPS, **CHOICES)
  places = [0 if converged(path) else 1 if _bounded(path) else 2 for path in paths]
  return np.array(places).reshape(len(losses), len(penalties))


def _bounded(path):
  return bool(np.linalg.norm(path[-100:], axis=1).max() < 2 * 2**0.5)


def _count(rule, cells):
  text = ", ".join(f"{np.sum(cells == i)} {label}" for i, label in enumerate(OUTCOMES))
  return reported(f"{rule}, {cells.size} pairs of loss and penalty", text)


def _figure(found) -> Figure:
  columns = min(4, len(found))
  rows = -(-len(found) // columns)
  figure, panels = style.panels(rows, columns, 3.3, sharex=True, sharey=True)
  for axes, (rule, cells) in zip(panels.flat, found.items(), strict=False):
    _draw_outcomes(axes, cells)
    axes.set_title(textwrap.fill(rule.replace("_", " "), 16))
    axes.set_xticks(np.arange(len(PENALTIES)), list(PENALTIES), rotation=90, fontsize=7)
    axes.set_yticks(np.arange(len(cells)), of_logits(), fontsize=7)
  plots.label(figure, "penalty", "loss")
  handles = [(Patch(color=look.field), Line2D([], [], **look.symbol())) for look in LOOKS]
  figure.legend(handles, OUTCOMES, loc="outside lower center", ncols=len(OUTCOMES))
  return figure


def _draw_outcomes(axes, cells) -> None:
  axes.imshow(cells, cmap=ListedColormap([look.field for look in LOOKS]), vmin=-0.5, vmax=2.5)
  axes.set_aspect("auto")
  axes.grid(False)
  for place, look in enumerate(LOOKS):
    axes.plot(*np.argwhere(cells == place)[:, ::-1].T, **look.symbol())
