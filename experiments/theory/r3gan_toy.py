"""Two losses and two penalties on 25 Gaussians, the penalty at every step or at every eighth."""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments.theory import style, trajectory
from experiments.theory.case import Check, Result, Settings, reported
from experiments.theory.seeds import over_seeds
from gan.datasets import grid
from gan.metrics.modes import expected_mixture_modes, mixture_modes
from gan.networks import Gan
from gan.penalties import gradient_norm
from gan.report import plots
from gan.report.line_names import name_lines
from gan.theory import densities, games

PAPER = "Huang et al. 2024, arXiv:2501.05441, table 1"
LAZY = "the same, on lazy regularisation"
UNITS, LAYERS, LATENT, BATCH, SAMPLES = 128, 4, 16, 128, 2500
SPREAD = 4.0  # the grid is divided by it: its outermost means then lie at +-1
NUMBERS = {"generator_learning_rate": 1e-3, "discriminator_learning_rate": 1e-3, "b1": 0.0}
NUMBERS |= {"b2": 0.99, "penalty_weight": 0.1}
SNAPSHOTS = 20
STEPS, QUICK_STEPS = 3000, 300
LIMIT = 1.4  # of what is drawn


class Kind(NamedTuple):
  """A combination: loss, penalty, steps between penalties; of a lazy one its form."""

  loss: str
  penalty: str
  every: int
  correction: bool = False
  step: str = "joint"

  @property
  def title(self) -> str:
    words = [f"every {self.every} steps"] * (self.every > 1)
    words += ["corrected"] * self.correction + ["in a step of its own"] * (self.step != "joint")
    return ", ".join([f"{self.loss} + {self.penalty}", *words])


KINDS = [Kind(*parts) for parts in itertools.product(("rsgan", "nonsat"), ("r1r2", "r1"), (1, 8))]

FILMED = {"every_step": Kind("rsgan", "r1r2", 1), "every_eighth": Kind("rsgan", "r1r2", 8)}
QUICK_KINDS = [kind for kind in KINDS if kind.every == 1 or kind in FILMED.values()]


def run(settings: Settings) -> Result:
  """What of R3GAN's claims a toy shows: paired or original loss, R1 or R1 + R2, lazy or not.

  The paper has, on stacked MNIST: the paired loss with R1 and R2 covers 1000 modes, the original
  one with both 693, and either diverges with R1 alone; penalties at every eighth step fail there
  and on 25 Gaussians. Here are 25 Gaussians, divided by 4 so that they fill [-1, 1], both players
  of four hidden layers of 128 ReLU units, Adam with b1 0, b2 0.99 and rate 1e-3 (theirs is 2e-4,
  for runs many times as long), batches of 128, gamma 0.1, 3,000 steps, 3 seeds, with no criterion:
  modes of 2500 samples, and the mean norm of D's slope on samples. A run counts as diverged where
  something is not finite. A quick run makes 300 steps of 2 seeds, and one of the lazy
  kinds: it shows that everything runs, and little more.
  """
  seeds, steps = settings.seeds_or(3, 2), QUICK_STEPS if settings.quick else STEPS
  kinds = QUICK_KINDS if settings.quick else KINDS
  shown = {kind: train(kind, seeds, steps) for kind in kinds}
  found = {kind: judge(rows) for kind, rows in shown.items()}
  records = [
    kind._asdict()
    | {"seed": seed, **{key: rows[key][seed].tolist() for key in rows if key != "last"}}
    for kind, rows in found.items()
    for seed in range(seeds)
  ]
  checks = [check for kind, rows in found.items() for check in _checks(kind, rows)]
  figures = {"trajectories": _trajectories(found, steps), "samples": _clouds(found)}
  films = {name: _film(kind, shown[kind], steps) for name, kind in FILMED.items()}
  return Result(checks, figures, records, _notes(found), films)


def train(kind: Kind, seeds: int, steps: int) -> dict[str, np.ndarray]:
  """Returns what `trajectory.show` does and "norm", D's slope on samples, [seeds, snapshots]."""
  return over_seeds(lambda key: _seed(kind, steps, key), seeds)


def _seed(kind, steps, key) -> dict[str, Any]:
  gan = _players()
  game = games.make_game(
    gan,
    loss=kind.loss,
    penalty=kind.penalty,
    penalty_every=kind.every,
    lazy_correction=kind.correction,
    lazy_step=kind.step,
    optimizer="adam",
  )
  init_key, data_key, sample_key, step_key = jax.random.split(key, 4)
  latents = jax.random.normal(sample_key, (SAMPLES, LATENT))

  def look(state):
    shown = trajectory.show(gan, state, latents, LIMIT)
    params = state.discriminator.params

    def critic(x):
      return gan.discriminator.apply(params, {}, x, None, train=False)[0]

    return shown | {"norm": jnp.mean(gradient_norm(critic, shown["samples"]))}

  return trajectory.play(
    game.step,
    games.start(init_key, game, **NUMBERS),
    lambda step: densities.samples(mixture(), jax.random.fold_in(data_key, step), BATCH)[None],
    step_key,
    snapshots=SNAPSHOTS,
    each=steps // SNAPSHOTS,
    look=look,
  )


def mixture() -> densities.Mixture:
  """The grid, divided by SPREAD."""
  return densities.mixture([1 / 25] * 25, grid.centres() / SPREAD, [grid.SIGMA / SPREAD] * 25)


def _players() -> Gan:
  hidden = (UNITS,) * LAYERS
  generator = games.mlp((LATENT, *hidden, 2), jax.nn.relu)
  discriminator = games.mlp((2, *hidden, 1), jax.nn.relu, games.as_logits)
  return Gan(generator, discriminator, lambda key: jax.random.normal(key, (LATENT,)), (-1.0, 1.0))


def judge(trained) -> dict[str, np.ndarray]:
  """Of what `train` returns: modes, good share and norm [seeds, snapshots], the last samples."""
  rows = np.array([[_modes(cloud) for cloud in row] for row in trained["samples"]])
  names = ("modes", "good", "kl")
  return {name: rows[..., i] for i, name in enumerate(names)} | {
    "norm": trained["norm"],
    "last": trained["samples"][:, -1],
  }


def _modes(cloud):
  if not np.isfinite(cloud).all():
    return 0, 0.0, np.inf
  return mixture_modes(cloud, grid.centres() / SPREAD, grid.SIGMA / SPREAD)


def diverged(rows) -> np.ndarray:
  """Which seeds hold something that is not finite at the end [seeds]."""
  return ~(np.isfinite(rows["norm"][:, -1]) & np.isfinite(rows["last"]).all(axis=(1, 2)))


def _checks(kind, rows) -> list[Check]:
  perfect, good, _ = expected_mixture_modes(SAMPLES, 25)
  ends = ", ".join(f"{modes:g}" for modes in rows["modes"][:, -1])
  claims = {("rsgan", "r1r2"): "1000 of 1000", ("nonsat", "r1r2"): "693 of 1000"}
  claim = claims.get((kind.loss, kind.penalty), "diverges")
  paper = f"stacked MNIST: {claim}" if kind.every == 1 else "fails"
  source = PAPER if kind.every == 1 else LAZY
  return [
    reported(f"{kind.title}, modes of {perfect:.0f}, by seed", ends, paper, source),
    reported(f"{kind.title}, share of good samples", rows["good"][:, -1], f"perfect: {good:.3f}"),
    reported(f"{kind.title}, mean |grad D| on samples", rows["norm"][:, -1]),
    reported(f"{kind.title}, seeds that diverged", str(int(diverged(rows).sum()))),
  ]


def _notes(found) -> list[str]:
  """What is seen and what is not, from the numbers."""
  modes = {kind: rows["modes"][:, -1].mean() for kind, rows in found.items()}
  norms = {kind: rows["norm"][:, -1].mean() for kind, rows in found.items()}
  fell = [kind.title for kind, rows in found.items() if diverged(rows).any()]
  return [
    _pair("Paired against original loss", modes, "loss", ("rsgan", "nonsat"), "modes"),
    _pair("R1 alone against both", norms, "penalty", ("r1", "r1r2"), "|grad D| on samples"),
    _pair("Every eighth step against every step", modes, "every", (8, 1), "modes"),
    f"Diverged: {', '.join(fell) or 'none'}; the paper has divergence with R1 alone and when lazy.",
  ]


def _pair(title, values, field, ends, quantity) -> str:
  """Means over the seeds of two kinds that differ in one field, for each choice of the others."""
  parts = []
  for kind in values:
    other = kind._replace(**{field: ends[1]})
    if getattr(kind, field) == ends[0] and other in values:
      parts.append(f"{values[kind]:.3g} ({kind.title}) and {values[other]:.3g} ({other.title})")
  return f"{title}, mean {quantity}: {'; '.join(parts)}."


def _trajectories(found, steps) -> Figure:
  pairs = list(dict.fromkeys(kind[:2] for kind in found))
  figure, panels = style.panels(2, len(pairs), 1.7, sharex=True, sharey="row")
  for kind, rows in found.items():
    column = panels[:, pairs.index(kind[:2])]
    column[0].set_title(" + ".join(kind[:2]))
    name = f"every {kind.every} steps" if kind.every > 1 else "every step"
    draw_runs(column, rows, steps, **style.line_style(kind.every > 1), label=name)
  finish(panels)
  for axes in panels[:, -1]:
    name_lines(axes)
  return figure


def draw_runs(column, rows, steps, **look) -> None:
  """Draws the modes of runs into the upper panel of a column, and D's slope into the lower."""
  times = steps // SNAPSHOTS * np.arange(1, SNAPSHOTS + 1)
  for axes, values in zip(column, (rows["modes"], rows["norm"]), strict=True):
    style.seeds(axes, times, values, **look)


def finish(panels) -> None:
  """Names the axes of such columns [2, columns]."""
  panels[0, 0].set(ylabel="modes of 25", ylim=(-0.5, 25.5), yticks=range(0, 26, 5))
  panels[1, 0].set(ylabel="mean |grad D|\non samples", yscale="log")
  for axes in panels[1]:
    axes.set_xlabel("step")
    plots.count_axis(axes)


def _clouds(found) -> Figure:
  figure, panels = style.panels(2, -(-len(found) // 2), 1.9, sharex=True, sharey=True)
  panels = panels.T.ravel()
  for axes in panels[len(found) :]:
    axes.set_visible(False)
  for axes, (kind, rows) in zip(panels, found.items(), strict=False):
    style.cloud(axes, rows["last"][0], grid.centres() / SPREAD, LIMIT)
    axes.set_title(kind.title.replace(", ", ",\n"))
  plots.label(figure, "x", "y")
  return figure


def _film(kind, shown, steps):
  real = np.asarray(densities.samples(mixture(), jax.random.key(1), 1000))
  title = f"25 Gaussians  {kind.title}"
  return trajectory.film(shown, real, title, limit=LIMIT, each=steps // SNAPSHOTS)
