"""Critics by clipped weights and by the gradient penalty: surfaces, weights, depth, samples."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.theory import trajectory, wgan_gp_figures
from experiments.theory.case import Check, Result, Settings, at_most, reported, span, within
from experiments.theory.seeds import over_seeds
from experiments.theory.wgan_gp_data import DATA, LIMIT, QUICK_DATA, SCALE, draw
from gan.datasets import grid
from gan.metrics.modes import mixture_modes
from gan.networks import Gan
from gan.penalties import gradient_norm, interpolate
from gan.theory import games

PAPER = "Gulrajani et al. 2017, arXiv:1704.00028, figure 1"
UNITS, LAYERS, BATCH = 128, 3, 256
DEEP_UNITS, DEEP_LAYERS, DEEP_BATCH = 256, 12, 64
PENALTY = {"discriminator_learning_rate": 1e-4, "generator_learning_rate": 1e-4, "b1": 0.5}
PENALTY |= {"b2": 0.9, "penalty_weight": 10.0}
CLIP = {"discriminator_learning_rate": 5e-5}
BOUND, BOUNDS = 0.01, (0.1, 0.01, 0.001)
DRAWN, SAMPLES = 2048, 2500
CRITIC_STEPS, SNAPSHOTS = 5, 20
GENERATOR_PENALTY = 0.1  # lambda of the authors' code; the fixed generators meet the paper's 10


class Length(NamedTuple):
  """Updates of the critics of each part, steps of the generator; see `run`."""

  critic: int
  deep: int
  generator: int


FULL, QUICK = Length(5000, 1000, 10_000), Length(1000, 200, 100)


def run(settings: Settings) -> Result:
  """Clipped weights pile up at the bounds and make simple critics; a penalty keeps slopes near 1.

  The set-up of the authors' toys (igul222/improved_wgan_training, gan_toy.py): ReLU critics with He
  weights, batches of 256; with the penalty (weight 10) Adam at 1e-4, b1 0.5, b2 0.9, with weights
  clipped at 0.01 RMSProp at 5e-5. Networks have three hidden layers of 128 units where theirs have
  512. First G is fixed: data plus N(0, 1). Weights at the bound are those of 99 % of it or more;
  critics with a penalty have no bound, and 99 % of their largest weight stands for it. Then critics
  of 12 layers of 256 units on the swiss roll, batches of 64: the norm of the critic's slope along
  the outputs of each layer, and how its logarithm (base 10) changes from a layer to the next.
  Last a generator, with five updates of the critic a step and the weight 0.1 of the authors' code,
  on 25 Gaussians, 10,000 steps where the authors make 100,000. A quick run has two of the three
  data sets, and makes 1000 and 200 updates and 100 steps where a full one makes 5000, 1000 and
  10,000: its generator has no criterion.
  """
  seeds, length = settings.seeds_or(2, 1), QUICK if settings.quick else FULL
  fixed = {
    (name, kind): critic(name, kind, seeds, length.critic)
    for name in (QUICK_DATA if settings.quick else DATA)
    for kind in ("clip", "penalty")
  }
  deep = {label: deepen(bound, seeds, length.deep) for label, bound in _deep_kinds().items()}
  shown = generate(seeds, length.generator)
  points = shown["samples"][:, -1]
  modes = [mixture_modes(p, grid.centres() / SCALE, grid.SIGMA / SCALE) for p in points]
  checks = [check for key, found in fixed.items() for check in _critic_checks(*key, found)]
  checks += _deep_checks(deep) + _generator_checks(modes, quick=settings.quick)
  figures = {
    "surfaces": wgan_gp_figures.surfaces(fixed),
    "weights_and_depth": wgan_gp_figures.weights(fixed, deep),
    "samples": wgan_gp_figures.samples(points),
  }
  films = {"generator": wgan_gp_figures.film(shown, each=length.generator // SNAPSHOTS)}
  return Result(checks, figures, _records(fixed, deep, modes), [], films)


# A critic against a fixed generator.


def fixed_generator(name: str, sizes) -> Gan:
  """G(z) = z with z a point of the data plus N(0, 1), and a ReLU critic with He weights."""

  def sample(key):
    data_key, noise_key = jax.random.split(key)
    return DATA[name](data_key) + jax.random.normal(noise_key, (2,))

  generator = games.network(lambda key: jnp.zeros(()), lambda params, z: z)
  return Gan(generator, _he(sizes, games.as_logits), sample, (-1.0, 1.0))


def _he(sizes, last):
  network = games.mlp(sizes, jax.nn.relu, last)

  def init(key, *example):
    layers, model_state = network.init(key)
    keys = jax.random.split(key, len(layers))
    draw = jax.nn.initializers.he_uniform()
    pairs = zip(keys, layers, strict=True)
    made = [{"kernel": draw(k, p["kernel"].shape), "bias": 0 * p["bias"]} for k, p in pairs]
    return made, model_state

  return network._replace(init=init)


def _game(gan, bound):
  """The game with clipped weights, or, without a bound, with the penalty; and its numbers."""
  if bound is None:
    return games.make_game(gan, loss="wgan", penalty="wgan_gp", optimizer="adam"), PENALTY
  game = games.make_game(gan, loss="wgan", optimizer="rmsprop", clip_weights=True)
  return game, CLIP | {"weight_clip": bound}


def critic(name: str, kind: str, seeds: int, steps: int) -> dict[str, Any]:
  """Trains a critic a seed; returns its parameters and mean |grad D| between data and samples."""
  gan = fixed_generator(name, (2, *[UNITS] * LAYERS, 1))
  game, numbers = _game(gan, BOUND if kind == "clip" else None)

  def one(key):
    init_key, train_key, real_key, fake_key, between_key = jax.random.split(key, 5)
    state = games.start(init_key, game, **numbers)

    def real(key):
      return draw(name, key, BATCH)

    state, _ = games.train_discriminator(game, state, real, train_key, steps)
    params = state.discriminator.params

    def critic_of(points):
      return gan.discriminator.apply(params, {}, points, None, train=False)[0]

    fake = jax.vmap(gan.sample_latent)(jax.random.split(fake_key, DRAWN))
    keys = jax.random.split(between_key, DRAWN)
    between = interpolate(draw(name, real_key, DRAWN), fake, keys)
    return {"params": params, "norm": jnp.mean(gradient_norm(critic_of, between))}

  found = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), seeds))
  return found | {"gan": gan, "weights": weights(found["params"], seeds)}


def weights(layers, seeds: int) -> np.ndarray:
  """All weights, without biases, of critics with a leading axis of seeds [seeds, W]."""
  return np.concatenate([np.reshape(p["kernel"], (seeds, -1)) for p in layers], axis=1)


def at_bound(values: np.ndarray, bound) -> np.ndarray:
  """Share of weights [seeds, W] with |w| of 99 % of the bound or more [seeds]."""
  return np.mean(np.abs(values) >= 0.99 * bound, axis=1)


# Depth.


def _deep_kinds():
  return {f"clip {bound:g}": bound for bound in BOUNDS} | {"penalty": None}


def deepen(bound: float | None, seeds: int, steps: int) -> np.ndarray:
  """Returns the norm of the critic's slope along each layer's outputs [seeds, layers]."""
  gan = fixed_generator("swiss roll", (2, *[DEEP_UNITS] * DEEP_LAYERS, 1))
  game, numbers = _game(gan, bound)

  def one(key):
    init_key, train_key, data_key = jax.random.split(key, 3)
    state = games.start(init_key, game, **numbers)

    def real(key):
      return draw("swiss roll", key, DEEP_BATCH)

    state, _ = games.train_discriminator(game, state, real, train_key, steps)
    return slopes_by_layer(state.discriminator.params, real(data_key))

  return over_seeds(one, seeds)


def slopes_by_layer(layers, points):
  """Norm of the slope of the critic's mean along the outputs of each hidden layer [layers]."""

  def function(offsets):
    hidden = points
    for layer, offset in zip(layers[:-1], offsets, strict=True):
      hidden = jax.nn.relu(hidden @ layer["kernel"] + layer["bias"]) + offset
    return jnp.mean(hidden @ layers[-1]["kernel"] + layers[-1]["bias"])

  shapes = [(len(points), layer["kernel"].shape[1]) for layer in layers[:-1]]
  grads = jax.grad(function)([jnp.zeros(shape) for shape in shapes])
  return jnp.stack([_norm(grad) for grad in grads])


def _norm(values):
  """The Euclidean norm, of values whose squares are too small for float32 as well."""
  largest = jnp.max(jnp.abs(values))
  return largest * jnp.sqrt(jnp.sum((values / jnp.maximum(largest, 1e-37)) ** 2))


def per_layer(norms: np.ndarray) -> np.ndarray:
  """Slope of log10 of the norm against the distance from the critic's output [seeds]."""
  from_top = -np.arange(norms.shape[1])
  return np.array([np.polyfit(from_top, np.log10(np.maximum(n, 1e-45)), 1)[0] for n in norms])


# A generator.


def generate(seeds: int, steps: int) -> dict[str, np.ndarray]:
  """Trains G on 25 Gaussians with the penalty; `trajectory.show` of [seeds, snapshots, ...]."""
  hidden = (UNITS,) * LAYERS
  generator = _he((2, *hidden, 2), lambda outputs: outputs)
  latent = functools.partial(jax.random.normal, shape=(2,))
  gan = Gan(generator, _he((2, *hidden, 1), games.as_logits), latent, (-1.0, 1.0))
  game, numbers = _game(gan, None)
  numbers = numbers | {"penalty_weight": GENERATOR_PENALTY}

  def one(key):
    init_key, data_key, step_key, sample_key = jax.random.split(key, 4)
    latents = jax.random.normal(sample_key, (SAMPLES, 2))
    return trajectory.play(
      game.step,
      games.start(init_key, game, **numbers),
      lambda step: _batches(jax.random.fold_in(data_key, step)),
      step_key,
      snapshots=SNAPSHOTS,
      each=steps // SNAPSHOTS,
      look=lambda state: trajectory.show(gan, state, latents, LIMIT),
    )

  return over_seeds(one, seeds)


def _batches(key):
  """Data of a step [5, B, 2]."""
  return draw("25 Gaussians", key, CRITIC_STEPS * BATCH).reshape(CRITIC_STEPS, BATCH, 2)


# The table.


def _critic_checks(name, kind, found) -> list[Check]:
  if kind == "clip":
    piled = at_bound(found["weights"], BOUND)
    title = f"{name}, clipped, share of weights at the bound"
    norm = f"{name}, clipped, mean |grad D| between data and samples"
    return [within(title, piled, 0.5, 1, source=PAPER), reported(norm, found["norm"])]
  largest = np.abs(found["weights"]).max(axis=1, keepdims=True)
  title = f"{name}, penalty, mean |grad D| between data and samples"
  piled = f"{name}, penalty, share of weights at the largest"
  return [
    within(title, found["norm"], 0.9, 1.1, source=PAPER),
    at_most(piled, at_bound(found["weights"], largest), 0.01, source=PAPER),
  ]


def _deep_checks(deep) -> list[Check]:
  slopes = {label: per_layer(norms) for label, norms in deep.items()}
  rows = [
    reported(f"12 layers, {label}, log10 of the norm, change a layer down", values)
    for label, values in slopes.items()
  ]
  high, low, flat = slopes["clip 0.1"], slopes["clip 0.001"], np.abs(slopes["penalty"])
  title = "12 layers, slopes of clip 0.1 and 0.001 have opposite signs"
  opposite = Check(title, f"{span(high)}; {span(low)}", "", PAPER, bool(np.all(high * low < 0)))
  least = np.minimum(np.abs(high), np.abs(low)) / flat
  steeper = Check(
    "12 layers, lesser |slope| of the two over that of the penalty",
    span(least),
    "at least 5",
    PAPER,
    bool(np.all(least >= 5)),
  )
  return [*rows, opposite._replace(expected="opposite"), steeper]


def _generator_checks(modes, *, quick) -> list[Check]:
  found = np.array([row[0] for row in modes])
  # The authors show a picture after ten times as many steps; the number is ours.
  expected = "at least 20, a bound of ours" + (", in a full run" if quick else "")
  passed = None if quick else bool(np.all(found >= 20))
  title = "25 Gaussians, modes of the generator with the penalty"
  good = reported("25 Gaussians, share of good samples", [row[1] for row in modes])
  return [Check(title, span(found), expected, PAPER, passed), good]


def _records(fixed, deep, modes):
  seeds = range(len(modes))
  rows = [
    {"part": "critic", "data": name, "kind": kind, "seed": s, "norm": float(found["norm"][s])}
    for (name, kind), found in fixed.items()
    for s in seeds
  ]
  rows += [
    {"part": "depth", "kind": label, "seed": s, "norms": norms[s].tolist()}
    for label, norms in deep.items()
    for s in seeds
  ]
  return rows + [{"part": "generator", "seed": s, "modes": modes[s][0]} for s in seeds]
