"""The constant that relativistic losses leave free, with and without centring."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from experiments.theory import style, trajectory
from experiments.theory.case import Check, Result, Settings, at_most, close, decided, reported
from experiments.theory.seeds import over_seeds
from gan.losses import LOSSES
from gan.method.game import Game
from gan.networks import Gan
from gan.regularizers import REGULARIZERS
from gan.report import plots
from gan.report.line_names import name_lines
from gan.theory import games

FREE = ("wgan", "rsgan", "ragan", "ralsgan", "rahinge", "rp_hinge", "rp_lsgan")
HELD = ("nonsat", "lsgan", "hinge")
EXACT = "exact: the loss is of differences of logits"
OPTIMUM = "the optimal D of rsgan is log p/q and any constant"
OWN = "our criterion, set before the run"
AFM = "weight of Adversarial Flow Models, arXiv:2511.22475"

# Data and samples on four points, in tenths.
DATA, SAMPLES = np.array([4, 3, 2, 1]), np.array([1, 2, 3, 4])
RATIO = np.log(DATA / SAMPLES)
WEIGHT = 0.01
STARTS = (-5.0, 0.0, 5.0)
SLOW, FAST, FALLS = 0.5, 4.0, 100  # rates of the descents, and updates of the falling constant
SNAPSHOTS, SHOWN = 24, 1000
STEPS, QUICK_STEPS = 166 * SNAPSHOTS, 41 * SNAPSHOTS


class Kind(NamedTuple):
  """What holds the constant: the weight of a term, and which of REGULARIZERS."""

  title: str
  weight: float
  term: str = "centering"


KINDS = (
  Kind("without", 0.0),
  Kind("(D(x) + D(G(z)))^2, 0.01", WEIGHT),
  Kind("D(x)^2, 0.001", 1e-3, "drift"),
)


def run(settings: Settings) -> Result:
  """Nothing holds the constant in a relativistic D but what its optimiser conserves; centring does.

  A loss of differences of logits does not change under D -> D + c, so its gradient has no part
  along c. First, exactly: that slope for each loss; full gradient descent of rsgan on four points
  by a D that is a table of logits, which ends at log p/q plus the constant it began with; and the
  fall of the constant under centring, by (1 - 8 rate weight) an update. Then by batches: the same
  table trained on batches of 16. Plain SGD conserves the constant there too; Adam, which scales
  each gradient by itself, need not: 256 seeds. Last, both players: one Gaussian, networks of two
  hidden layers of 32 units, Adam with rate 1e-3, batches of 64, rsgan with R1 + R2, 3,984 steps of
  16 seeds (a quick run: 984 of 8). Criteria, set before the first run: the constant wanders if
  its spread over seeds grows by time to a power of 0.25 or more (0.5 is a random walk), and does
  not if it is 0.1 or less; centring holds it if that spread is at most half of that without, and
  does not if it is no smaller. Between its two bounds a row is inconclusive. The claim was that it
  wanders under Adam; the rows of b2 = 0.9 were added after the first run, which had 0.999 alone.
  """
  steps = QUICK_STEPS if settings.quick else STEPS
  with jax.enable_x64(True):
    checks = [_slope(name) for name in (*FREE, *HELD)] + _optima() + [_fall()]
  seeds = settings.seeds_or(256, 256)
  tables = {kind: wander(kind, seeds, steps, b2=0.9) for kind in KINDS}
  slow, sgd = wander(KINDS[0], seeds, steps), wander(KINDS[0], 8, steps, optimizer="sgd")
  trained = {kind: train(kind, settings.seeds_or(16, 8), steps) for kind in KINDS}
  checks += [_conserved(sgd), _wanders(slow, 0.999), _wanders(tables[KINDS[0]], 0.9)]
  checks += [*_held("table, b2 = 0.9", tables), *_of_players(trained)]
  records = [
    {"part": part, "kind": kind.title, "seed": seed, "offset": rows["offset"][seed].tolist()}
    for part, found in (("table", tables), ("players", trained))
    for kind, rows in found.items()
    for seed in range(len(rows["offset"]))
  ]
  return Result(checks, {"offsets": _figure(tables, slow, trained, steps)}, records, NOTES)


NOTES = [
  "Adam divides the gradient of each logit by a scale of its own. While these scales stand, it "
  "conserves the sum of the logits times their scales, which ties the constant to D's shape; with "
  "b2 = 0.999 they hardly move, with 0.9 they follow the batches.",
  "Centring by pairs bends D: its term is of each pair, and not of the constant alone. The term of "
  "the data alone is least where D is 0 on data in the mean, so that of D = log p/q + c it takes c "
  "to -KL(p, q), -0.456 on the four points, and not to 0.",
]


# What is exact.


def _slope(name) -> Check:
  """The gradient of D's loss along the constant, at logits drawn at random."""
  real, fake = (jax.random.normal(jax.random.key(seed), (64,)) for seed in range(2))
  slope = jax.grad(lambda c: jnp.mean(LOSSES[name].discriminator(real + c, fake + c)))(0.0)
  quantity = f"{name}, slope of D's loss in the constant"
  if name in HELD:
    return reported(quantity, float(slope), "a loss that holds it")
  return at_most(quantity, abs(float(slope)), 1e-12, source=EXACT)


def pairs() -> tuple[np.ndarray, np.ndarray]:
  """All pairs of ten data and ten samples, [100, 4] each, with a 1 at the place of the point."""
  rows = [np.eye(4)[np.repeat(np.arange(4), counts)] for counts in (DATA, SAMPLES)]
  return np.repeat(rows[0], 10, axis=0), np.tile(rows[1], (10, 1))


def _game(generate: Any, discriminator: Any, kind: Kind, optimizer: str = "sgd") -> Game:
  """rsgan on points that `generate(params, latents)` makes of four numbers drawn by SAMPLES."""
  shares = jnp.log(jnp.asarray(SAMPLES / SAMPLES.sum()))

  def latent(key):
    return jax.nn.one_hot(jax.random.categorical(key, shares), 4)

  generator = games.network(lambda key: jnp.zeros(()), generate)
  gan = Gan(generator, discriminator, latent, (-1.0, 1.0))
  terms = {kind.term: REGULARIZERS[kind.term].make()}
  return games.make_game(gan, loss="rsgan", optimizer=optimizer, regularizers=terms)


def table(start: float) -> Any:
  """A D with a logit for each of the four points, all of which begin at `start`."""
  return games.network(lambda key: jnp.full((4, 1), start), lambda logits, x: (x @ logits)[:, 0])


def descend(discriminator: Any, weight: float, rate: float, updates: int) -> np.ndarray:
  """Returns D's parameters after full gradient descent on the expectation over all pairs."""
  real, fake = map(jnp.asarray, pairs())
  game = _game(lambda params, latents: fake, discriminator, KINDS[1])
  numbers = {"discriminator_learning_rate": rate, "centering_weight": weight}
  state = games.start(jax.random.key(0), game, **numbers)
  key = jax.random.key(1)  # of draws that there are none of
  train = jax.jit(
    lambda state: games.train_discriminator(game, state, lambda _: real, key, updates)
  )
  return np.asarray(train(state)[0].discriminator.params)


def _optima() -> list[Check]:
  free, held = (
    np.stack([descend(table(start), weight, FAST, 4000)[:, 0] for start in STARTS])
    for weight in (0.0, WEIGHT)
  )
  differences = free - RATIO
  bend = np.ptp(held - RATIO, axis=1)
  constants = held @ (DATA + SAMPLES) / 20
  return [
    at_most("rsgan, D - log p/q, spread over points", np.ptp(differences, 1), 1e-6, source=OPTIMUM),
    at_most(
      "rsgan, mean of D at the end less that at the start, from -5, 0 and 5",
      np.abs(free.mean(axis=1) - STARTS),
      1e-9,
      source=EXACT,
    ),
    at_most(
      "with centring, mean of D over data and samples, from -5, 0 and 5",
      np.abs(constants),
      1e-6,
      source="exact: the slope of the term in the constant is 0 there alone",
    ),
    reported("with centring, D - log p/q, spread over points", bend, "0 without", AFM),
  ]


def _fall() -> Check:
  """D(x) = log p/q + c, of which c is learnt: only centring moves it."""
  shape = jnp.asarray(RATIO).reshape(4, 1)
  lifted = games.network(lambda key: jnp.full((1,), 5.0), lambda c, x: (x @ shape)[:, 0] + c)
  offset = float(descend(lifted, WEIGHT, SLOW, FALLS)[0])
  factor = (1 - 8 * SLOW * WEIGHT) ** FALLS
  quantity = f"with centring, share of the constant after {FALLS} updates"
  return close(quantity, offset / 5, factor, relative=1e-6, source="(1 - 8 rate weight)^updates")


# What batches do.


def wander(
  kind: Kind, seeds: int, steps: int, *, optimizer: str = "adam", b2: float = 0.999
) -> dict[str, np.ndarray]:
  """Returns {"offset": [seeds, snapshots]}, the mean of a table of logits that batches of 16 train.

  Args:
    kind: what holds it.
    seeds: how many.
    steps: updates of D, at the rate 0.01.
    optimizer: key of OPTIMIZERS.
    b2: decay of Adam's scales.
  """
  game = _game(lambda params, latents: latents, table(0.0), kind, optimizer)
  shares = jnp.log(jnp.asarray(DATA / DATA.sum()))
  numbers = {"discriminator_learning_rate": 0.01, "generator_learning_rate": 0.0}
  numbers |= {f"{kind.term}_weight": kind.weight, "b1": 0.0, "b2": b2}

  def seed(key):
    init_key, data_key, step_key = jax.random.split(key, 3)

    def real(step):
      drawn = jax.random.categorical(jax.random.fold_in(data_key, step), shares, shape=(1, 16))
      return jax.nn.one_hot(drawn, 4)

    return trajectory.play(
      game.step,
      games.start(init_key, game, **numbers),
      real,
      step_key,
      snapshots=SNAPSHOTS,
      each=steps // SNAPSHOTS,
      look=lambda state: {"offset": jnp.mean(state.discriminator.params)},
    )

  return over_seeds(seed, seeds)


def train(kind: Kind, seeds: int, steps: int) -> dict[str, np.ndarray]:
  """Returns "offset", "spread" of D and "distance" W1 of G, [seeds, snapshots], of both players.

  Args:
    kind: what holds the constant.
    seeds: how many.
    steps: of the game.
  """
  generator = games.mlp((2, 32, 32, 1), jax.nn.relu)
  discriminator = games.mlp((1, 32, 32, 1), jax.nn.relu, games.as_logits)
  gan = Gan(generator, discriminator, lambda key: jax.random.normal(key, (2,)), (-1.0, 1.0))
  terms = {kind.term: REGULARIZERS[kind.term].make()}
  game = games.make_game(gan, loss="rsgan", penalty="r1r2", optimizer="adam", regularizers=terms)
  numbers = {"generator_learning_rate": 1e-3, "discriminator_learning_rate": 1e-3, "b1": 0.0}
  numbers |= {"b2": 0.99, "penalty_weight": 0.1, f"{kind.term}_weight": kind.weight}

  def seed(key):
    init_key, data_key, look_key, step_key = jax.random.split(key, 4)
    latents = jax.random.normal(look_key, (SHOWN, 2))

    return trajectory.play(
      game.step,
      games.start(init_key, game, **numbers),
      lambda step: jax.random.normal(jax.random.fold_in(data_key, step), (1, 64, 1)),
      step_key,
      snapshots=SNAPSHOTS,
      each=steps // SNAPSHOTS,
      look=lambda state: _look(gan, state, latents),
    )

  return over_seeds(seed, seeds)


def _look(gan, state, latents) -> dict[str, jax.Array]:
  """The mean logit of data and samples, D's spread on data, and W1 of the samples to the data."""
  data = jax.scipy.stats.norm.ppf((jnp.arange(SHOWN) + 0.5) / SHOWN).reshape(-1, 1)
  samples, of_data = (
    network.apply(player.params, {}, inputs, None, train=False)[0]
    for network, player, inputs in (
      (gan.generator, state.generator, latents),
      (gan.discriminator, state.discriminator, data),
    )
  )
  of_samples = gan.discriminator.apply(state.discriminator.params, {}, samples, None, train=False)
  return {
    "offset": (jnp.mean(of_data) + jnp.mean(of_samples[0])) / 2,
    "spread": jnp.std(of_data),
    "distance": jnp.mean(jnp.abs(jnp.sort(samples, axis=0) - data)),
  }


def _conserved(rows) -> Check:
  quantity = "table by batches and SGD, |mean of D|"
  return at_most(quantity, np.abs(rows["offset"][:, -1]), 1e-5, source=f"{EXACT}, in float32")


def power(rows: dict[str, np.ndarray]) -> float:
  """Returns a of the spread over seeds ~ time^a, from a quarter of the run to its end."""
  spread = rows["offset"].std(axis=0)
  return float(np.log(spread[-1] / spread[SNAPSHOTS // 4 - 1]) / np.log(4))


def _held(title, found) -> list[Check]:
  """The spread of the constant over seeds at the end, over that without centring."""
  ends = {kind: rows["offset"][:, -1].std() for kind, rows in found.items()}
  free, *others = ends
  return [reported(f"{title}, spread of the constant without centring", ends[free])] + [
    decided(
      f"{title}, spread with {kind.title}, over that without",
      ends[kind] / ends[free],
      passes=0.5,
      fails=1.0,
      source=OWN,
    )
    for kind in others
  ]


def _wanders(rows, b2) -> Check:
  quantity = f"table by batches and Adam, b2 = {b2}: spread of the constant ~ time^"
  source = f"{OWN}; 0.5 of a random walk"
  return decided(quantity, power(rows), passes=0.25, fails=0.1, source=source)


def _of_players(found) -> list[Check]:
  checks = _held("both players", found)
  for kind, rows in found.items():
    checks.append(reported(f"{kind.title}: spread of D on data, by seed", rows["spread"][:, -1]))
    distances = rows["distance"][:, -1]
    error = distances.std(ddof=1) / len(distances) ** 0.5
    said = f"{distances.mean():.3g} +- {error:.2g}"
    checks.append(reported(f"{kind.title}: W1 of G, mean over seeds and its error", said))
  return checks


def _figure(tables, slow, trained, steps) -> Figure:
  figure = Figure(figsize=(style.WIDTH, 5.8), layout="constrained")
  upper, lower = figure.subfigures(2, 1, height_ratios=(1.6, 1))
  _draw_offsets(upper.subplots(2, len(KINDS), sharex=True, sharey="row"), (tables, trained), steps)
  axes, times = lower.subplots(), steps // SNAPSHOTS * np.arange(1, SNAPSHOTS + 1)
  for i, (kind, rows) in enumerate(tables.items()):
    axes.loglog(times, rows["offset"].std(axis=0), **style.line_style(i), label=kind.title)
  name = "without, b2 = 0.999"
  axes.loglog(times, slow["offset"].std(axis=0), **style.line_style(len(tables)), label=name)
  end = tables[KINDS[0]]["offset"].std(axis=0)[-1]
  root = end * (times / times[-1]) ** 0.5
  axes.loglog(times, root, ":", color=plots.INK, lw=1, label="as the root of time")
  axes.set(xlabel="step", ylabel="spread of the\ntable's constant")
  axes.xaxis.set_minor_formatter(NullFormatter())  # they would lie on each other
  name_lines(axes)
  return figure


def _draw_offsets(panels, games, steps) -> None:
  """A row for each game, a column for each kind, in it a line for each seed."""
  times = steps // SNAPSHOTS * np.arange(1, SNAPSHOTS + 1)
  for row, found in zip(panels, games, strict=True):
    for i, (axes, (kind, rows)) in enumerate(zip(row, found.items(), strict=True)):
      axes.plot(times, rows["offset"][:12].T, color=plots.COLOURS[i], lw=0.8, alpha=0.7)
      axes.set_title(kind.title)
      plots.count_axis(axes)
  for axes in panels[-1]:
    axes.set_xlabel("step")
  panels[0, 0].set_ylabel("constant of a table,\nb2 = 0.9")
  panels[1, 0].set_ylabel("constant of D,\nboth players")
