"""The bilinear game under every update rule."""

import textwrap

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments.theory import style
from experiments.theory.case import Check, Result, Settings, at_most, close, within
from gan.method.update_rules import adversarial_rules
from gan.report import plots
from gan.report.line_names import name_lines
from gan.theory import bilinear, dirac

RATE, STEPS = 0.1, 200
CHOICES = {"consensus_weight": 1.0}
EXACT = "linear algebra: the rule is a matrix"
# Alternating play keeps theta^2 + psi^2 - eta theta psi: an ellipse. It starts where it is nearest.
ELLIPSE = ((1 + RATE / 2) / (1 - RATE / 2)) ** 0.5
# Growth of the radius from the start, eta = .1; known in closed form.
GROWTH = {
  "simultaneous": ("sqrt(1 + eta^2) a step", 200, (1 + RATE**2) ** 100),
  "extragradient": (
    "sqrt((1 - eta^2)^2 + eta^2) a step",
    2000,
    ((1 - RATE**2) ** 2 + RATE**2) ** 1000,
  ),
  "consensus": ("sqrt((1 - eta gamma)^2 + eta^2) a step", 200, (0.9**2 + RATE**2) ** 100),
}
SOURCES = {
  "simultaneous": "Gidel et al. 2019, arXiv:1802.10551",
  "extragradient": "Gidel et al. 2019, arXiv:1802.10551",
  "consensus": "Mescheder et al. 2017, arXiv:1705.10461",
}


def run(settings: Settings) -> Result:
  """min over x, max over y of x y: which update rules reach the equilibrium.

  Played as the Wasserstein loss on the Dirac-GAN, from (1, -1), at the rate 0.1. Plain simultaneous
  play spirals out, alternating play circles; the rules made for games go to the equilibrium. The
  trajectory of every rule is held against the powers of its matrix.
  """
  del settings
  with jax.enable_x64(True):
    paths = {name: play(name, STEPS) for name in adversarial_rules()}
    checks = [_growth(name) for name in GROWTH]
  radii = {name: np.linalg.norm(path, axis=1) / 2**0.5 for name, path in paths.items()}
  checks.append(
    within(
      "alternating, radii over 200 steps",
      radii["alternating"],
      1 - 1e-9,
      ELLIPSE + 1e-9,
      source=EXACT,
    )
  )
  checks += [_trajectory_check(name, path) for name, path in paths.items()]
  records = [{"update_rule": name, "radius": radii[name].tolist()} for name in paths]
  return Result(checks, {"trajectories": _figure(paths, radii)}, records, _notes(radii))


def play(update_rule: str, steps: int) -> np.ndarray:
  """Returns (theta, psi) [steps, 2] of the project's own step."""
  method = dirac.Method("wgan", consensus_weight=CHOICES["consensus_weight"])
  return dirac.play([method], update_rule, steps, rate=RATE)[0]


def _growth(name) -> Check:
  formula, steps, exact = GROWTH[name]
  ours = np.linalg.norm(play(name, steps)[-1]) / 2**0.5
  title = f"{name}, radius after {steps} steps, {formula}"
  return close(title, ours, exact, relative=1e-6, source=SOURCES[name])


def _trajectory_check(name, path) -> Check:
  exact = bilinear.trajectory(name, RATE, STEPS, **CHOICES)
  title = f"{name}, distance of the trajectory from the exact one over {STEPS} steps"
  return at_most(title, np.abs(path - exact).max(), 1e-9, source=EXACT)


def _notes(radii):
  shrinking = [name for name, radius in radii.items() if radius[-1] < 0.9]
  return [
    f"After {STEPS} steps the radius is below 0.9 of the start under: {', '.join(shrinking)}."
  ]


def _figure(paths, radii) -> Figure:
  figure = Figure(figsize=(style.WIDTH, 6.4), layout="constrained")
  planes, below = figure.subfigures(2, 1, height_ratios=(1.6, 1))
  panels = planes.subplots(-(-len(paths) // 4), 4, sharex=True, sharey=True)
  for i, (axes, (name, path)) in enumerate(zip(panels.flat, paths.items(), strict=False)):
    axes.plot(*np.vstack([[1, -1], path]).T, color=style.line_style(i)["color"])
    axes.plot(0, 0, "+", color=plots.INK, markersize=8)
    axes.set(aspect="equal", xlim=(-2.2, 2.2), ylim=(-2.2, 2.2))
    axes.set_title(textwrap.fill(name.replace("_", " "), 16))
  planes.supxlabel("theta, of G", fontsize=9)
  planes.supylabel("psi, of D", fontsize=9)
  axes = below.subplots()
  for i, (name, radius) in enumerate(radii.items()):
    axes.semilogy(np.append(1.0, radius), **style.line_style(i), label=name.replace("_", " "))
  axes.set(xlabel="step", ylabel="radius / radius at the start", ylim=(1e-6, 10))
  name_lines(axes)
  return figure
