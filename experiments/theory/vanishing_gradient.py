"""The slope that a frozen generator is given by a new discriminator, while that one trains."""

import functools
import os
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments.cli import common
from experiments.theory import style
from experiments.theory.case import Check, Result, Settings, reported, text, within
from experiments.theory.fresh_discriminator import EVERY, FIRST, Lab, fresh
from gan import datasets
from gan.datasets import recorded
from gan.losses import make_loss
from gan.method.game import Batch
from gan.method.play import to_range
from gan.models import mlp
from gan.models.spec import ModelSpec, to_networks
from gan.networks import Gan, latent_sampler
from gan.report import plots
from gan.report.line_names import name_lines
from gan.theory import games
from gan.training import restore
from gan.training.build import build_game, hyperparameters
from gan.training.run_folder import read_config

PAPER = "Arjovsky and Bottou 2017, arXiv:1701.04862"
UNITS = (128, 128)
LATENT, BATCH = 64, 64
NUMBERS = {"generator_learning_rate": 2e-4, "discriminator_learning_rate": 2e-4, "b1": 0.5}
WINDOW = 5  # records that a norm is averaged over
EARLY = 500  # updates that count as the beginning, and the end, of the noise
GROWTH = 2.0  # least ratio of the last norm of nonsat to the first
NOISE = (
  "The criterion on the noise reads it off examples that stay the same: there only D's movement "
  "makes any, which ends as D's loss goes to 0, and the growth at the beginning counts as noise. "
  "The scatter is that of the norm on newly drawn examples at each record, a batch of D's size, "
  "about the line through 5 records, in the norm's own unit: the noise that a generator would meet."
)
OTHERS = {"accuracy", "drawn", "loss"}  # curves beside those of the costs
TITLES = {"sat": "log(1 - D(G(z)))", "nonsat": "-log D(G(z))"}


class Length(NamedTuple):
  """How long the case runs, and what is then asked of it.

  Attributes:
    epochs: after which G is frozen.
    steps: updates of the new D.
    fall: bound on the ratio, end to start, of the saturating norm at every checkpoint.
    deepest: the same at the checkpoint where it falls farthest.
  """

  epochs: tuple[int, ...]
  steps: int
  fall: float
  deepest: float


FULL = Length((1, 10, 25), 4000, fall=1e-2, deepest=1e-4)
QUICK = Length((1, 2, 3), 600, fall=5e-2, deepest=2e-2)


def run(settings: Settings) -> Result:
  """The better D is, the less slope the original cost leaves G; that of -log D grows instead.

  G is frozen after 1, 10 and 25 epochs, a new D is trained against it by cross-entropy, and the
  norm of the slope along G's parameters is recorded for both costs, on 256 examples that stay the
  same. Norms are means of 5 records, the first five and the last five, 20 updates apart. Both
  players have two hidden layers of 128 units, no dropout; the data are MNIST where --data_dir or
  GAN_DATA_DIR has it, else scikit-learn's digits. A quick run freezes G after 1, 2 and 3 epochs and
  trains D for 600 updates instead of 4000, by when less has vanished: the ratios of the saturating
  norm are held to 0.05 and 0.02 there, where the full run asks for 0.01 and 0.0001.

  With --workdir=RUN it is the generator of that run, against a new D of its own architecture, loss,
  penalty and optimiser; the slope of its own cost is recorded too. No criterion is laid on it.
  """
  seeds = settings.seeds_or(3, 3)
  length = QUICK if settings.quick else FULL
  if settings.workdir:
    lab, generator, title = of_run(settings.workdir, settings.data_dir)
    curves = {title: _fresher(lab, seeds, length.steps, axis=None)(generator)}
  else:
    dataset = _dataset(settings)
    lab = thin(dataset)
    curves = measure(lab, seeds, length)
  summaries = {name: summarise(rows) for name, rows in curves.items()}
  checks = _reports(summaries) if settings.workdir else _checks(summaries, length)
  records = [
    {"checkpoint": name, "seed": seed, **{key: float(v[seed]) for key, v in summary.items()}}
    for name, summary in summaries.items()
    for seed in range(seeds)
  ]
  notes = [f"Data: {len(lab.images)} images. {NOISE}"]
  return Result(checks, {"norms": _figure(curves)}, records, notes)


def _dataset(settings):
  at_hand = settings.data_dir or os.environ.get("GAN_DATA_DIR")
  name = "auto" if at_hand else "digits"
  dataset = datasets.load(name, data_dir=settings.data_dir, image_size=28)
  return common.with_notice_printed(dataset, ("data_dir",))


def thin(dataset) -> Lab:
  """Two networks of 2 x 128 LeakyReLU units, trained by the loss that does not saturate."""
  spec = ModelSpec(dataset.images.shape[1:], LATENT)
  generator = mlp.Generator(spec.image_shape, features=UNITS)
  discriminator = mlp.Discriminator(features=UNITS, dropout=0.0)
  players = to_networks(generator, discriminator, spec)
  gan = Gan(*players, latent_sampler("normal", LATENT), (-1.0, 1.0))
  game = games.make_game(gan, loss="nonsat", optimizer="adam")

  def start(key):
    return games.start(key, game, **NUMBERS)

  return Lab(game, _costs(), start, jnp.asarray(dataset.images), None, BATCH)


def _costs(**more):
  made = {name: make_loss(name) for name in ("sat", "nonsat")}
  return {**made, **more}


def of_run(workdir: str, data_dir: str | None):
  """Returns (Lab, G's state, title) of a run folder; of its newest checkpoint."""
  found = restore.find(workdir)
  config = found.config
  dataset, _ = recorded.reopen(read_config(workdir), workdir, data_dir)
  # Its own loss, penalty and optimisers; D is trained alone, so the rest has no say.
  game = build_game(config, found.info).replace(
    augment=None, regularizers={}, update_rule=None, generator_batch_size=None, accumulate=1
  )

  def start(key):
    return game.init(key, hyperparameters(config))

  labels = jnp.asarray(dataset.labels) if config.conditional else None
  costs = _costs(**{config.loss: game.loss})
  lab = Lab(game, costs, start, jnp.asarray(dataset.images), labels, config.batch_size)
  return lab, found.state.generator, f"{config.loss}, step {int(found.state.step)}"


def measure(lab: Lab, seeds: int, length: Length) -> dict[str, dict[str, np.ndarray]]:
  """Trains a G a seed, and a new D at every epoch of `length`; {title: {quantity: [seeds, T]}}."""
  keys = jax.random.split(jax.random.key(0), seeds)
  state = jax.vmap(lab.start)(keys)
  epoch = jax.jit(jax.vmap(lambda state, key: _epoch(lab, state, key)))
  train_new, curves = _fresher(lab, seeds, length.steps), {}
  for number in range(1, max(length.epochs) + 1):
    state = epoch(state, jax.vmap(jax.random.fold_in, (0, None))(keys, number))
    if number in length.epochs:
      title = f"{number} epoch{'s' if number > 1 else ''}"
      curves[title] = train_new(state.generator)
  return curves


def _epoch(lab, state, key):
  order_key, step_key = jax.random.split(key)
  steps = len(lab.images) // lab.batch
  order = jax.random.permutation(order_key, len(lab.images))[: steps * lab.batch]

  def one(state, rows):
    image = to_range(lab.images[rows], lab.game.gan.image_range)
    return lab.game.step(state, Batch(image[None], None), step_key)[0], None

  return jax.lax.scan(one, state, order.reshape(steps, lab.batch))[0]


def _fresher(lab, seeds, steps, axis=0):
  """Returns `G's state -> curves [seeds, T]`, compiled once; G's axis of seeds, or None."""
  keys = jax.random.split(jax.random.key(1), seeds)
  every = jax.jit(jax.vmap(functools.partial(fresh, lab, steps=steps), (axis, 0)))
  return lambda generator: jax.tree.map(np.asarray, every(generator, keys))


def times(rows: dict[str, np.ndarray]) -> np.ndarray:
  """Updates of D before each record."""
  return FIRST + EVERY * np.arange(rows["accuracy"].shape[1])


def summarise(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Of curves [seeds, T]: by cost last over first norm and its noise, D's accuracy; all [seeds]."""
  found = {}
  for cost in set(rows) - OTHERS:
    first, last = rows[cost][:, :WINDOW].mean(axis=1), rows[cost][:, -WINDOW:].mean(axis=1)
    noise = _noise(rows[cost])
    count = _early(noise)
    found |= {f"{cost}_first": first, f"{cost}_last": last, f"{cost}_ratio": last / first}
    found |= {f"{cost}_noise_early": noise[:, :count].mean(axis=1)}
    found |= {f"{cost}_noise_late": noise[:, -count:].mean(axis=1)}
  # A record's accuracy is of the 20 updates after it.
  by_200 = np.flatnonzero(times(rows) + EVERY <= 200)[-1]
  scatter = _scatter(rows["drawn"])
  found |= {"drawn_scatter_early": scatter[:, : _early(scatter)].mean(axis=1)}
  found |= {"drawn_scatter_late": scatter[:, -_early(scatter) :].mean(axis=1)}
  return dict(sorted(found.items())) | {"accuracy_by_200": rows["accuracy"][:, by_200]}


def _noise(norms):
  """Standard deviation over mean of every 5 records in a row, [seeds, T - 4]."""
  windows = np.lib.stride_tricks.sliding_window_view(norms, WINDOW, axis=1)
  return windows.std(axis=-1) / windows.mean(axis=-1)


def _scatter(norms):
  """Standard deviation of every 5 records in a row from the line through them, [seeds, T - 4]."""
  windows = np.lib.stride_tricks.sliding_window_view(norms, WINDOW, axis=1)
  line = np.vander(np.arange(WINDOW), 2)  # [5, 2]
  rest = windows - windows @ (line @ np.linalg.pinv(line)).T
  return np.sqrt(np.sum(rest**2, axis=-1) / (WINDOW - 2))


def _early(noise):
  """Windows that count as the beginning, and as the end."""
  return min(EARLY // EVERY, noise.shape[1] // 2)


def _checks(summaries, length) -> list[Check]:
  checks = []
  for name, found in summaries.items():
    source = f"{PAPER}, figures 1 to 3"
    checks += [
      within(
        f"{name}, D's accuracy by update 200", found["accuracy_by_200"], 0.99, 1, source=source
      ),
      within(
        f"{name}, sat, last norm over first", found["sat_ratio"], 0, length.fall, source=source
      ),
      _at_least(f"{name}, nonsat, last norm over first", found["nonsat_ratio"], GROWTH),
      _noisier(name, found),
      _scattered(name, found),
    ]
  deepest = {name: found["sat_ratio"].max() for name, found in summaries.items()}
  name = min(deepest, key=deepest.get)
  title = f"sat, where it falls farthest in all seeds ({name})"
  least = min(found["sat_ratio"].min() for found in summaries.values())
  return [
    *checks,
    within(title, summaries[name]["sat_ratio"], 0, length.deepest, source=PAPER),
    reported("sat, where it falls farthest in any seed", least, "1e-05 in the best case", PAPER),
  ]


def _at_least(title, values, bound) -> Check:
  shown = f"{text(values.min())} to {text(values.max())}"
  return Check(
    title, shown, f"at least {bound:g}", f"{PAPER}, figure 3", bool(values.min() >= bound)
  )


def _noisier(name, found) -> Check:
  early, late = found["nonsat_noise_early"], found["nonsat_noise_late"]
  shown = ", ".join(f"{a:.3f} to {b:.3f}" for a, b in zip(early, late, strict=True))
  title = f"{name}, nonsat, standard deviation/mean of 5 records, early to late, by seed"
  return Check(title, shown, "grows", f"{PAPER}, figure 3", bool(np.all(late > early)))


def _scattered(name, found) -> Check:
  pairs = zip(found["drawn_scatter_early"], found["drawn_scatter_late"], strict=True)
  shown = ", ".join(f"{early:.3f} to {late:.3f}" for early, late in pairs)
  title = f"{name}, nonsat, scatter of the norm on new examples, early to late, by seed"
  return reported(title, shown, "grows", f"{PAPER}, figure 3")


def _reports(summaries) -> list[Check]:
  return [
    reported(f"{name}, {key.replace('_', ' ')}", values)
    for name, found in summaries.items()
    for key, values in found.items()
  ]


def _figure(curves) -> Figure:
  costs = [cost for cost in next(iter(curves.values())) if cost not in OTHERS]
  figure, (panels,) = style.panels(1, len(costs) + 1, 2.8)
  for axes, quantity in zip(panels, [*costs, "loss"], strict=True):
    for i, (name, rows) in enumerate(curves.items()):
      look = style.line_style(i) | {"label": f"G of {name}"}
      style.seeds(axes, times(rows), rows[quantity], **look)
    cost = f"{quantity}:\n{TITLES.get(quantity, 'its own cost')}"
    axes.set(title="D's loss" if quantity == "loss" else cost, xlabel="updates of D")
    # The loss of a critic has either sign.
    positive = all((rows[quantity] > 0).all() for rows in curves.values())
    axes.set_yscale("log" if positive else "linear")
    plots.count_axis(axes)
  panels[0].set_ylabel("norm of G's slope")
  name_lines(panels[-1])
  return figure
