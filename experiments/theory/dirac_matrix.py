"""The Dirac-GAN under every loss, penalty and update rule."""

import jax
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from experiments.theory.case import Result, Settings, reported
from experiments.theory.dirac import converged
from gan.losses import of_logits
from gan.method.update_rules import adversarial_rules
from gan.penalties import PENALTIES
from gan.theory import dirac

STEPS, PENALTY_WEIGHT, CONSENSUS_WEIGHT = 500, 1.0, 1.0
CHOICES = {"unrolled_steps": 1, "lookahead_steps": 5}
QUICK = ("simultaneous", "alternating", "optimistic", "lookahead")
OUTCOMES = ("converges", "within twice its start", "farther out")


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
  figure = Figure(figsize=(3 * columns + 1, 4.6 * rows + 0.5), dpi=90, layout="constrained")
  panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
  colours = ListedColormap(["#2a7f62", "#e9c46a", "#c1440e"])
  for axes, (rule, cells) in zip(panels, found.items(), strict=False):
    axes.pcolormesh(cells, cmap=colours, vmin=-0.5, vmax=2.5, edgecolors="white", lw=0.5)
    axes.set_title(rule, fontsize=10)
    axes.set_xticks(np.arange(len(PENALTIES)) + 0.5, list(PENALTIES), rotation=90, fontsize=8)
    axes.set_yticks(np.arange(len(cells)) + 0.5, of_logits(), fontsize=8)
  panels[0].invert_yaxis()
  handles = [Patch(color=colours(i), label=label) for i, label in enumerate(OUTCOMES)]
  figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9)
  return figure
