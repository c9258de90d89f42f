"""Approximated R1 against R1: its mean and variance over directions, and the Dirac-GAN with it."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments.theory import style
from experiments.theory.case import Check, Result, Settings, close, reported
from experiments.theory.dirac import converged
from gan.penalties import approx_r1_penalty, r1_penalty
from gan.report import plots
from gan.report.line_names import name_lines
from gan.theory import dirac

EXACT = "moments of a normal direction, by hand"
QUADRATURE = "Gauss-Hermite quadrature of 80 nodes"
PAPER = "Mescheder et al. 2018, arXiv:1801.04406: R1 converges"
SIGMAS = (0.01, 0.1, 1.0)
SLOPE = np.array([1.0, -2.0, 0.5])  # of the linear critic
POINT = np.array([0.6, 0.0, -0.8])  # the one that the quadratic critic is at
STEEP = 2.0  # of the tanh critic, at the first number of POINT
DRAWS, QUICK_DRAWS = 1_000_000, 200_000
GAMMAS = (0.3, 1.0)
STEPS = 500


class Critic(NamedTuple):
  """A critic of points [n, 3], and the moments of ((D(x + s e) - D(x)) / s)^2 at POINT."""

  function: Callable
  moments: Callable[[float], tuple[float, float]]
  source: str


def run(settings: Settings) -> Result:
  """The approximated R1 is R1 in the mean as its step falls, and its game converges.

  ((D(x + s e) - D(x)) / s)^2 at a point x, e ~ N(0, I), by a million draws of the library's own
  penalty (a quick run: 200,000). Of a linear critic the mean is |w|^2 and the variance 2 |w|^4 at
  any s. Of |x|^2 / 2 in d = 3 the mean is |x|^2 + s^2 (d^2 + 2 d) / 4, and of tanh(2 x_1) both are
  integrals over one normal number. A mean may differ by four of its standard errors, a variance by
  5 %. The Dirac-GAN then plays 500 steps with a direction of its own at each, and counts as
  converged as in `dirac`.
  """
  draws = QUICK_DRAWS if settings.quick else DRAWS
  with jax.enable_x64(True):
    found = {key: measure(*key, draws) for key in [(name, s) for name in CRITICS for s in SIGMAS]}
    checks = [check for key, seen in found.items() for check in _moments(*key, *seen, draws)]
    checks += [_limit(name) for name in CRITICS]
    paths = {schedule: play(schedule) for schedule in ("simultaneous", "generator_first")}
  checks += [check for schedule, seen in paths.items() for check in _games(schedule, seen)]
  records = [
    {"critic": name, "sigma": sigma, "mean": mean, "variance": variance}
    for (name, sigma), (mean, variance) in found.items()
  ]
  figures = {"moments_and_games": _figure(found, paths)}
  return Result(checks, figures, records, NOTES)


NOTES = [
  "One direction measures a squared slope with a standard deviation of sqrt 2 times its value, "
  "which the mean over a batch makes less.",
]


def _linear(sigma: float) -> tuple[float, float]:
  del sigma
  square = float(SLOPE @ SLOPE)
  return square, 2 * square**2


def _quadratic(sigma: float) -> tuple[float, float]:
  """Of (x e + s |e|^2 / 2)^2: odd moments vanish, E |e|^2k = d (d + 2) ... (d + 2k - 2)."""
  d, square, s = len(POINT), float(POINT @ POINT), sigma**2
  mean = square + s * d * (d + 2) / 4
  fourth = 3 * square**2 + 6 * square * s * (d + 2) * (d + 4) / 4
  fourth += s**2 * d * (d + 2) * (d + 4) * (d + 6) / 16
  return mean, fourth - mean**2


def _tanh(sigma: float) -> tuple[float, float]:
  nodes, weights = np.polynomial.hermite_e.hermegauss(80)
  x = POINT[0]
  squares = ((np.tanh(STEEP * (x + sigma * nodes)) - np.tanh(STEEP * x)) / sigma) ** 2
  weights = weights / weights.sum()
  mean = float(weights @ squares)
  return mean, float(weights @ squares**2) - mean**2


CRITICS = {
  "linear": Critic(lambda x: x @ jnp.asarray(SLOPE) + 3, _linear, EXACT),
  "quadratic": Critic(lambda x: jnp.sum(x * x, axis=-1) / 2, _quadratic, EXACT),
  "tanh": Critic(lambda x: jnp.tanh(STEEP * x[:, 0]), _tanh, QUADRATURE),
}


def measure(name: str, sigma: float, draws: int) -> tuple[float, float]:
  """Returns the mean and the variance of twice the penalty at POINT, over directions."""
  keys = jax.random.split(jax.random.key(0), draws)
  points = jnp.broadcast_to(jnp.asarray(POINT), (draws, len(POINT)))

  @jax.jit
  def squares(points):
    critic = CRITICS[name].function
    return 2 * approx_r1_penalty(critic, points, points, keys, approx_sigma=sigma, approx_share=1.0)

  values = np.asarray(squares(points))
  return float(values.mean()), float(values.var())


def _moments(name, sigma, mean, variance, draws) -> list[Check]:
  exact, spread = CRITICS[name].moments(sigma)
  title, source = f"{name} critic, s = {sigma:g}", CRITICS[name].source
  allowed = 4 * (spread / draws) ** 0.5
  return [
    close(f"{title}, mean of the squared difference", mean, exact, absolute=allowed, source=source),
    close(f"{title}, its variance", variance, spread, relative=0.05, source=source),
  ]


def _limit(name) -> Check:
  """The exact mean at a small s against the library's R1, which knows the gradient."""
  point = jnp.asarray(POINT)[None]
  (slope,) = 2 * r1_penalty(CRITICS[name].function, point, point, None)
  mean, _ = CRITICS[name].moments(1e-4)
  title = f"{name} critic, the mean as s falls to 0, |grad D|^2"
  return close(title, mean, float(slope), relative=1e-6, source="the gradient, by autodiff")


def play(schedule: str) -> dict[str, np.ndarray]:
  """Returns {penalty and gamma: (theta, psi) [500, 2]} of the Dirac-GAN."""
  methods = {
    f"{penalty} {gamma:g}": dirac.Method("sat", penalty, gamma)
    for penalty in ("r1", "approx_r1")
    for gamma in GAMMAS
  }
  return dict(zip(methods, dirac.play(list(methods.values()), schedule, STEPS), strict=True))


def _games(schedule, paths) -> list[Check]:
  checks = []
  for name, path in paths.items():
    ours, title = converged(path), f"Dirac-GAN, {name}, {schedule}"
    words = {True: "converges", False: "does not converge"}
    checks.append(Check(title, words[ours], "converges", PAPER, ours))
    checks.append(reported(f"{title}, distance after {STEPS} steps", np.linalg.norm(path[-1])))
  return checks


def _figure(found, paths) -> Figure:
  figure, ((left, right),) = style.panels(1, 2, 2.6)
  _draw_means(left, found)
  for i, (name, path) in enumerate(paths["simultaneous"].items()):
    radius = np.append(2**0.5, np.linalg.norm(path, axis=1))
    right.semilogy(radius, **style.line_style(i), label=name.replace(" ", ", gamma "))
  right.set(xlabel="step", ylabel="distance from the equilibrium", ylim=(1e-20, 10))
  right.set_title("Dirac-GAN, both players at once")
  name_lines(right)
  return figure


def _draw_means(axes, found):
  axis = np.geomspace(SIGMAS[0], SIGMAS[-1], 50)
  for i, (name, critic) in enumerate(CRITICS.items()):
    exact = np.array([critic.moments(sigma)[0] for sigma in axis])
    seen = np.array([found[name, sigma][0] for sigma in SIGMAS])
    axes.plot(axis, exact / exact[0], **style.line_style(i), label=name)
    axes.plot(SIGMAS, seen / exact[0], plots.MARKERS[i], color=plots.COLOURS[i], markersize=5)
  axes.set(xlabel="length s of the step", ylabel="mean over |grad D|$^2$", xscale="log")
  axes.set_title("lines: exact; points: drawn")
  plots.logarithmic(axes.yaxis)
  name_lines(axes)
