"""Rings and grids of Gaussians: modes under every loss, and where D judges several points."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments.theory import style, trajectory
from experiments.theory.case import Check, Result, Settings, reported, span
from experiments.theory.seeds import over_seeds
from gan import losses
from gan.datasets import grid, ring
from gan.metrics.modes import expected_mixture_modes, mixture_modes
from gan.report import plots
from gan.training.build import build
from gan.training.config import Config
from gan.training.presets import PRESETS
from gan.training.setting import describe

PAPER = "Lin et al. 2018 (PacGAN), arXiv:1712.04086, table 1"
DATA = {"ring": ring, "grid": grid}
ROWS = 100  # packed rows in a batch
SAMPLES, SNAPSHOTS = 2500, 10
# Modes, share of good samples in %, KL: means of ten runs of 400,000 steps.
PUBLISHED = {
  ("ring", 1): (6.3, 98.2, 0.45),
  ("ring", 2): (7.9, 95.6, 0.07),
  ("ring", 3): (7.8, 97.7, 0.10),
  ("ring", 4): (7.8, 95.9, 0.07),
  ("grid", 1): (17.3, 94.8, 0.70),
  ("grid", 2): (23.8, 91.3, 0.13),
  ("grid", 3): (24.6, 94.2, 0.06),
  ("grid", 4): (24.8, 93.6, 0.04),
}


class Condition(NamedTuple):
  """What a row of the table is trained with."""

  data: str
  loss: str
  packing: int

  @property
  def title(self) -> str:
    return f"{self.data}, {self.loss}, packing {self.packing}"


class Plan(NamedTuple):
  """Conditions that are trained alike."""

  name: str
  conditions: list[Condition]
  seeds: int
  steps: int


PAIR = [Condition("grid", "nonsat", packing) for packing in (1, 2)]
PACKINGS = [Condition(data, "nonsat", m) for data in DATA for m in (1, 2, 3, 4)]
LOSSES = [Condition("grid", name, 1) for name in sorted(losses.of_logits())]

FULL = [
  Plan("pair", PAIR, 5, 100_000),
  Plan("packings", PACKINGS, 2, 20_000),
  Plan("losses", LOSSES, 2, 20_000),
]
QUICK = [Plan("pair", PAIR, 2, 300)]


def run(settings: Settings) -> Result:
  """What of a mixture a GAN covers, by its loss and by how many points its D judges at once.

  PacGAN's set-up (--preset=pacgan2018): batch statistics in G, maxout in D, Adam at 1e-4 with b1
  0.8, both players updated at once, batches of 100 rows of m packed points, from a fixed set of
  100,000. A mode is hit where one of 2500 samples lies within three standard deviations of it; KL
  is of the histogram of such samples against the uniform one. The paper's numbers are means of 10
  runs of 400,000 steps. Here the pair that the criterion is laid on has 5 seeds of 100,000 steps,
  every packing and every loss (as defined; wgan clips at 0.01; no penalties) 2 seeds of 20,000. A
  quick run has the pair alone, 2 seeds of 300 steps, no criterion and, of so few, no pictures.
  """
  checks, figures, records, films = [], {}, [], {}
  for plan in QUICK if settings.quick else FULL:
    plan = plan._replace(seeds=settings.seeds or plan.seeds)
    found = {condition: measure(condition, plan) for condition in plan.conditions}
    if plan.name == "pair":
      checks += _pair_checks(found, quick=settings.quick)
      if not settings.quick:
        films = {f"packing_{of.packing}": _film(of, rows, plan) for of, rows in found.items()}
    for condition, rows in found.items():
      checks.append(_row(condition, rows, plan))
      records += _records(condition, rows)
    if not settings.quick:
      figures |= {f"{plan.name}_samples": _clouds(found), f"{plan.name}_modes": _ends(found)}
  return Result(checks, figures, records, [], films)


def measure(condition: Condition, plan: Plan) -> dict[str, np.ndarray]:
  """Returns modes, good share and KL [seeds, snapshots], beside what `train` does."""
  shown, mixture = train(condition, plan.seeds, plan.steps), DATA[condition.data]
  rows = np.array([[_modes(cloud, mixture) for cloud in row] for row in shown["samples"]])
  names = ("modes", "good", "kl")
  return {name: rows[..., i] for i, name in enumerate(names)} | shown


def _modes(cloud, mixture):
  if not np.isfinite(cloud).all():
    return 0, 0.0, np.inf
  return mixture_modes(cloud, mixture.centres(), mixture.SIGMA)


def train(condition: Condition, seeds: int, steps: int) -> dict[str, np.ndarray]:
  """Returns what `trajectory.show` does, [seeds, snapshots, ...]."""
  config, dataset = make_config(condition), DATA[condition.data].load("train")
  algorithm, data = build(config, describe(config, dataset)), jnp.asarray(dataset.images)
  return over_seeds(lambda key: _seed(condition, algorithm, data, steps, key), seeds)


def make_config(condition: Condition) -> Config:
  """The preset, with a batch of as many packed rows whatever the packing."""
  preset = PRESETS["pacgan2018"] | condition._asdict()
  del preset["data"]
  return Config(**preset | {"dataset": condition.data, "batch_size": ROWS * condition.packing})


def reach(condition: Condition) -> float:
  """Half the side of what is drawn."""
  return 1.4 * float(np.abs(DATA[condition.data].centres()).max())


def _seed(condition, algorithm, data, steps, key):
  init_key, data_key, sample_key, step_key = jax.random.split(key, 4)
  latents = jax.vmap(algorithm.gan.sample_latent)(jax.random.split(sample_key, SAMPLES))

  def real(step):
    draw = jax.random.fold_in(data_key, step)
    return data[jax.random.randint(draw, (ROWS * condition.packing,), 0, len(data))][None]

  return trajectory.play(
    algorithm.step,
    algorithm.init(init_key),
    real,
    step_key,
    snapshots=SNAPSHOTS,
    each=steps // SNAPSHOTS,
    look=lambda state: trajectory.show(algorithm.gan, state, latents, reach(condition)),
  )


# The table and the pictures.


def _pair_checks(found, *, quick: bool) -> list[Check]:
  """The criteria of the reduced run: packing two points finds three modes more, spread better."""
  plain, packed = (found[condition] for condition in PAIR)
  more = packed["modes"][:, -1].mean() - plain["modes"][:, -1].mean()
  better, seeds = int(np.sum(packed["kl"][:, -1] < plain["kl"][:, -1])), len(plain["modes"])
  needed = -(-4 * seeds // 5)
  rows = [
    ("mean modes with packing 2 less those with 1", f"{more:g}", "at least 3", more >= 3),
    ("seeds in which 2 has the smaller KL", f"{better}", f"at least {needed}", better >= needed),
  ]
  full = " in a full run" if quick else ""
  return [
    Check(f"grid, nonsat, {title}", ours, expected + full, PAPER, None if quick else bool(passed))
    for title, ours, expected, passed in rows
  ]


def _row(condition, rows, plan) -> Check:
  values = [rows[name][:, -1] for name in ("modes", "good", "kl")]
  ours = f"{span(values[0])}; {span(100 * values[1])} %; {span(values[2])}"
  modes, good, kl = expected_mixture_modes(SAMPLES, len(DATA[condition.data].centres()))
  expected = f"perfect: {modes:.0f}; {100 * good:.1f} %; {kl:.3f}"
  source = ""
  if condition.loss == "nonsat":
    modes, good, kl = PUBLISHED[condition.data, condition.packing]
    expected, source = f"paper: {modes:g}; {good:g} %; {kl:g}", PAPER
  title = f"{condition.title}, {plan.steps:,} steps: modes; good; KL"
  return reported(title, ours, expected, source)


def _records(condition, rows) -> list[dict[str, Any]]:
  return [
    condition._asdict()
    | {"seed": seed, **{name: rows[name][seed].tolist() for name in ("modes", "good", "kl")}}
    for seed in range(len(rows["modes"]))
  ]


def _clouds(found) -> Figure:
  columns = min(4, len(found))
  figure, panels = style.panels(-(-len(found) // columns), columns, 7.0 / columns)
  for axes in panels.flat[len(found) :]:
    axes.set_visible(False)
  for axes, (condition, rows) in zip(panels.flat, found.items(), strict=False):
    means = DATA[condition.data].centres()
    style.cloud(axes, rows["samples"][0, -1], means, reach(condition))
    axes.set_title(condition.title)
  plots.label(figure, "x", "y")
  return figure


def _ends(found) -> Figure:
  """The modes at the end: a row for each condition, in it a point for each seed."""
  figure, ((axes,),) = style.panels(1, 1, 0.6 + 0.2 * len(found))
  for row, (condition, rows) in enumerate(found.items()):
    modes = rows["modes"][:, -1]
    axes.plot(modes, np.full(len(modes), row), "o", color=plots.COLOURS[0], alpha=0.6)
    if condition.loss == "nonsat":
      published = PUBLISHED[condition.data, condition.packing][0]
      axes.plot(published, row, "|", color=plots.INK, markersize=12)
  axes.set_yticks(range(len(found)), [condition.title for condition in found])
  axes.invert_yaxis()
  axes.set_xlim(left=0)
  axes.set(xlabel="modes that are hit at the end", title="points: seeds; bars: the paper's mean")
  return figure


def _film(condition, rows, plan):
  real = DATA[condition.data].load("train").images[:1000]
  each = plan.steps // SNAPSHOTS
  return trajectory.film(rows, real, condition.title, limit=reach(condition), each=each)
