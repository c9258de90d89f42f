"""Four rotated templates: when an augmentation of what D sees shows in what G makes."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments.theory import style
from experiments.theory.case import Check, Result, Settings, at_most, close, reported
from experiments.theory.seeds import over_seeds
from gan.augment import Augmentation
from gan.augment.ada_draws import draw
from gan.augment.ada_geometry import turned
from gan.losses import LOSSES
from gan.method.game import Batch
from gan.networks import Gan, Network
from gan.report.line_names import name_lines
from gan.theory import games

PAPER = "Karras et al. 2020, arXiv:2006.06676"
EXACT = "the group of quarter turns: its Markov operator is (1 - p) I + p / 4"
PROBABILITIES = (0.5, 1.0)  # of the trained players
EVERY = np.linspace(0, 1, 21)  # of the exact values
SIDE, LATENT, UNITS, BATCH, SAMPLES = 6, 4, 64, 32, 256
STEPS, QUICK_STEPS = 2000, 800
NOISE = 0.1  # standard deviation of the pixels of the data
NUMBERS = {"generator_learning_rate": 1e-3, "discriminator_learning_rate": 1e-3, "b1": 0.0}
NUMBERS |= {"b2": 0.99, "penalty_weight": 0.3}
UPRIGHT, LEAKED = 0.9, 0.6  # shares of upright samples: at least, where nothing leaks; at most
NEAR = 0.9  # share of samples near a template, below which nothing is said
# An arm and a foot: no turn of it is itself.
TEMPLATE = -0.8 * np.ones((SIDE, SIDE, 1), np.float32)
TEMPLATE[1:5, 1] = TEMPLATE[4, 1:4] = 0.8
TEMPLATES = np.stack([np.rot90(TEMPLATE, turns) for turns in range(4)])
# What each transform makes of the template.
ORBITS = {"rotate90": TEMPLATES, "xflip": np.stack([TEMPLATE, TEMPLATE[:, ::-1]])}


def run(settings: Settings) -> Result:
  """When quarter turns of what D sees are found in samples: at probability 1, and not below.

  Data are one template, and with probability p an image is turned by one of four quarters before
  D sees it. On the four turns of the template this is a Markov operator M with the eigenvalues 1
  and 1 - p, here that of the library's own transform. Below p = 1 it can be inverted: D tells
  turned samples q from the data d by log (M d / M q). At p = 1 it maps all to the same, D* is 0 for
  every G of turned data, and nothing keeps G upright. Small players are trained at p = 0.5 and at
  p = 1. The criteria: on average over the seeds at least 0.9 of the samples are upright at 0.5, and
  at most 0.6 at 1. Where less than 0.9 of the samples at either are near a template, G has not
  learnt the data, and the trained players are inconclusive.
  """
  steps, seeds = QUICK_STEPS if settings.quick else STEPS, settings.seeds_or(32, 16)
  samples = {p: train(p, seeds, steps) for p in PROBABILITIES}
  found = {p: _judge(each) for p, each in samples.items()}
  records = [
    {
      "p": p,
      "seed": seed,
      "shares": rows["shares"][seed].tolist(),
      "near": float(rows["near"][seed]),
    }
    for p, rows in found.items()
    for seed in range(seeds)
  ]
  checks = [*_exact_checks(), *_trained_checks(found)]
  return Result(checks, {"leak": _figure(found, samples)}, records, [_note(found)])


def operator(name: str, p: float) -> np.ndarray:
  """Returns [n, n], the shares of images of ORBITS (rows) that a transform makes of each (columns).

  Args:
    name: key of ORBITS.
    p: probability of the transform.
  """
  on, off = _outcomes(name)
  return p * on + (1 - p) * off


@functools.cache
def _outcomes(name) -> tuple[np.ndarray, np.ndarray]:
  """The operators of the library's transform, always on and never, over all of its draws."""
  orbit = jnp.asarray(ORBITS[name])
  middles = (jnp.arange(len(orbit)) + 0.5) / len(orbit)  # one draw of each outcome

  def made(image, quantile, gate):
    draws = _alone(draw(jax.random.key(0)), name)
    draws.values[name], draws.gates[name] = quantile[None], gate[None]
    return turned(image, draws, jnp.float32(0.5))

  every = jax.jit(jax.vmap(jax.vmap(made, (None, 0, None)), (0, None, None)))
  images = (every(orbit, middles, jnp.float32(gate)) for gate in (0, 1))
  same = ((each[:, :, None] == orbit[None, None]).all((-3, -2, -1)) for each in images)
  on, off = (np.asarray(each.mean(1), float).T for each in same)
  return on, off


def _alone(draws, name):
  """Draws of which every other transform is off."""
  gates = {
    each: gate if each == name else jnp.ones_like(gate) for each, gate in draws.gates.items()
  }
  return draws._replace(gates=gates)


def ideal_logits(p: float, of_samples: np.ndarray) -> np.ndarray:
  """Returns D* [4] on the turns of the template, log (M d / M q) of upright data and samples q."""
  shown = operator("rotate90", p) @ np.stack([np.eye(4)[0], of_samples], axis=1)
  return np.log(shown[:, 0]) - np.log(shown[:, 1])


def divergence(p: float, of_samples: np.ndarray) -> float:
  """Returns the Jensen-Shannon divergence of upright data and samples q as D sees them."""
  one, other = (operator("rotate90", p) @ each for each in (np.eye(4)[0], of_samples))
  middle = (one + other) / 2
  terms = (each[each > 0] @ np.log(each[each > 0] / middle[each > 0]) for each in (one, other))
  return sum(terms) / 2


def _exact_checks() -> list[Check]:
  quarters = [_furthest("rotate90", p) for p in EVERY]
  flips = [_furthest("xflip", p) for p in EVERY]
  turned_samples = np.eye(4)[1]
  every = [*np.eye(4), np.full(4, 0.25)]
  leaks = [np.abs(ideal_logits(1.0, q)).max() for q in every]
  slopes = [_slope(p, q) for p in (0.3, 0.5, 0.9) for q in every]
  title = "distance of eigenvalues from 1 and 1 - p, p from 0 to 1"
  return [
    at_most(f"quarter turns, {title}", quarters, 1e-6, source=EXACT),
    at_most(f"flips, {title}", flips, 1e-6, source="the same of two elements"),
    at_most("slope of D's loss at log (M d / M q)", slopes, 1e-6, source="its minimum"),
    close(
      "p = 0.5, D* of upright images, samples all turned once",
      ideal_logits(0.5, turned_samples)[0],
      np.log(5),
      absolute=1e-6,
      source="log ((1 - 3 p / 4) / (p / 4))",
    ),
    at_most("p = 1, largest |D*|, samples of any one turn or of all", leaks, 1e-6, source=PAPER),
  ]


def _furthest(name, p) -> float:
  found = np.sort(np.linalg.eigvals(operator(name, p)).real)
  return np.abs(found - np.append(np.full(len(found) - 1, 1 - p), 1)).max()


def _slope(p, of_samples) -> float:
  """The largest slope of the expected loss of D in its four logits, at D*."""
  markov = operator("rotate90", p)
  weights = jnp.asarray(np.outer(markov[:, 0], markov @ of_samples))

  def expected(logits):
    pairs = (jnp.repeat(logits, 4), jnp.tile(logits, 4))
    return weights.ravel() @ LOSSES["nonsat"].discriminator(*pairs)

  return float(jnp.abs(jax.grad(expected)(jnp.asarray(ideal_logits(p, of_samples)))).max())


def train(p: float, seeds: int, steps: int) -> np.ndarray:
  """Returns samples [seeds, SAMPLES, SIDE, SIDE, 1] of G, trained with turns of probability p."""
  return over_seeds(lambda key: _samples(p, steps, key), seeds)


def _samples(p, steps, key):
  gan = _players()
  game = games.make_game(gan, penalty="r1", optimizer="adam", augment=_turns())
  init_key, data_key, sample_key, step_key = jax.random.split(key, 4)

  def step(state, _):
    noise = jax.random.normal(jax.random.fold_in(data_key, state.step), (1, BATCH, *TEMPLATE.shape))
    return game.step(state, Batch(TEMPLATE[None, None] + NOISE * noise, None), step_key)[0], None

  state = games.start(init_key, game, augment_strength=p, **NUMBERS)
  state, _ = jax.lax.scan(step, state, None, length=steps)
  latents = jax.random.normal(sample_key, (SAMPLES, LATENT))
  return gan.generator.apply(state.generator.params, {}, latents, None, train=False)[0]


def _turns() -> Augmentation:
  def apply(images, keys, state):
    def one(image, key):
      return turned(image, _alone(draw(key), "rotate90"), state.hyperparameters.augment_strength)

    return jax.vmap(one)(images, keys)

  return Augmentation(apply, reads=("augment_strength",))


def _players() -> Gan:
  size = TEMPLATE.size
  shaped = games.mlp(
    (LATENT, UNITS, UNITS, size),
    jax.nn.relu,
    lambda out: jnp.tanh(out).reshape(-1, *TEMPLATE.shape),
  )
  flat = games.mlp((size, UNITS, UNITS, 1), jax.nn.relu, games.as_logits)

  def judge(params, model_state, images, labels, *, train, key=None):
    rows = images.reshape(-1, size)
    return flat.apply(params, model_state, rows, labels, train=train, key=key)

  discriminator = Network(flat.init, judge)
  return Gan(shaped, discriminator, lambda key: jax.random.normal(key, (LATENT,)), (-1.0, 1.0))


def _judge(samples) -> dict[str, np.ndarray]:
  """Shares of samples nearest to each turn [seeds, 4], and of those near it [seeds]."""
  apart = np.sqrt(np.sum((samples[:, :, None] - TEMPLATES) ** 2, axis=(-3, -2, -1)))
  pairs = itertools.combinations(TEMPLATES, 2)
  least = min(np.linalg.norm(one - other) for one, other in pairs)
  shares = (apart.argmin(-1)[..., None] == np.arange(4)).mean(1)
  return {"shares": shares, "near": (apart.min(-1) < least / 2).mean(1)}


def _trained_checks(found) -> list[Check]:
  below, at_one = (found[p]["shares"][:, 0].mean() for p in PROBABILITIES)
  learnt = min(rows["near"].mean() for rows in found.values()) >= NEAR
  criteria = [
    (f"p = {PROBABILITIES[0]:g}", below, f"at least {UPRIGHT:g}", below >= UPRIGHT),
    (f"p = {PROBABILITIES[1]:g}", at_one, f"at most {LEAKED:g}", at_one <= LEAKED),
  ]
  checks = [
    Check(
      f"trained, {title}, share of upright samples, mean over seeds",
      f"{share:.3f}" if learnt else f"inconclusive ({share:.3f})",
      expected,
      PAPER,
      bool(passed) if learnt else None,
    )
    for title, share, expected, passed in criteria
  ]
  near = [rows["near"].mean() for rows in found.values()]
  return [
    *checks,
    reported("trained, share of samples near a template", near, f"at least {NEAR:g}"),
  ]


def _note(found) -> str:
  turns = [int(np.sum(found[1.0]["shares"].argmax(1) == turn)) for turn in range(4)]
  return (
    f"At p = 1, most samples of a seed are turned by 0, 1, 2 and 3 quarters in "
    f"{', '.join(map(str, turns))} of {sum(turns)} seeds."
  )


def _figure(found, samples) -> Figure:
  figure = Figure(figsize=(style.WIDTH, 6.6), layout="constrained")
  top, middle, bottom = figure.subfigures(3, 1, height_ratios=(1.1, 1, 1))
  _draw_exact(top.subplots())
  _draw_shares(middle, found)
  for part, p in zip(bottom.subfigures(1, 2), PROBABILITIES, strict=True):
    _draw_samples(part, p, samples[p])
  return figure


def _draw_exact(axes) -> None:
  samples = {"turned once": np.eye(4)[1], "of every turn": np.full(4, 0.25)}
  for i, (name, q) in enumerate(samples.items()):
    look = style.line_style(i) | {"label": f"samples {name}"}
    axes.plot(EVERY, [divergence(p, q) for p in EVERY], **look)
  axes.set(xlabel="probability p of a turn", ylabel="JSD that D can see, nats", xlim=(0, 1))
  name_lines(axes)


def _draw_shares(part, found) -> None:
  panels = part.subplots(1, len(found), sharey=True)
  for axes, (p, rows) in zip(panels, found.items(), strict=True):
    picture = axes.imshow(rows["shares"].T, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    seeds = range(0, len(rows["shares"]), 5)
    axes.set(title=f"trained with p = {p:g}", xlabel="seed", xticks=seeds)
    axes.grid(False)
  panels[0].set_yticks(range(4), [f"{90 * turn}°" for turn in range(4)])
  panels[0].set_ylabel("turn of samples")
  part.colorbar(picture, ax=panels, label="share")


def _draw_samples(part, p, samples):
  part.suptitle(f"a sample of each of 8 seeds, p = {p:g}", fontsize=9)
  for axes, image in zip(part.subplots(2, 4).flat, samples[:8, 0], strict=False):
    axes.imshow(image[..., 0], cmap="gray", vmin=-1, vmax=1)
    axes.set_axis_off()
