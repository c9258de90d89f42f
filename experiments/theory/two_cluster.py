"""Two clusters on a line: how long the original GAN and the paired one stay collapsed."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments.theory import style
from experiments.theory.case import Check, Result, Settings, reported
from gan.method.game import Examples
from gan.method.updates import (
  apply_discriminator,
  apply_generator,
  discriminator_update,
  generator_update,
)
from gan.networks import Gan, Network
from gan.report import plots
from gan.theory import games

PAPER = "Sun et al. 2020, arXiv:2011.04926, and GAN2_2Cluster.py of its code, AilsaF/RS-GAN"
POINTS, UPDATES, EPOCHS = 100, 10, 5000
RATE, MOMENTUM = 0.01, 0.9
LONG = 200  # epochs in the band that count as stuck
WINDOW = 50  # epochs, of which the figure has the median


class Kind(NamedTuple):
  """A loss.

  Attributes:
    label: the authors' name of it.
    scale: factor on D's loss; the authors average the two terms of the original one.
    band: values of D's loss that count as collapsed, about its value at the loss's own collapse.
  """

  label: str
  scale: float
  band: tuple[float, float]


LOSSES = {
  "nonsat": Kind("JS-GAN", 0.5, (0.44, 0.51)),  # the authors' band; the collapse is at 0.4774
  "rsgan": Kind("RS-GAN", 1.0, (0.3116, 0.3816)),  # as wide, about (log 2) / 2
}


NOTE = (
  "Each loss is counted by its own band, which the figure shows. The paired loss can be slow at "
  "its collapse too, though it has nothing to climb: a seed that stays for long counts as stuck."
)


def run(settings: Settings) -> Result:
  """How often the original GAN is held at its collapse, and the paired one at its own.

  100 points in [0, 0.3] and [4, 4.3], small networks, plain gradient descent with momentum, ten
  updates of each player an epoch, all as in the authors' script. An epoch counts as collapsed
  where D's loss lies in a band about its value at the collapse of that very loss: the original one
  has 0.4774 there and is counted from 0.44 to 0.51, the paired one has (log 2) / 2 = 0.3466, also
  where it covers one cluster, and is counted from 0.3116 to 0.3816. All seeds are runs of one
  compiled program.
  """
  seeds = settings.seeds_or(30, 10)
  losses = {name: train(name, seeds, EPOCHS) for name in LOSSES}
  collapsed = {name: epochs_collapsed(name, loss) for name, loss in losses.items()}
  records = [
    {
      "loss": name,
      "seed": seed,
      "epochs_collapsed": int(collapsed[name][seed]),
      "last_loss": float(losses[name][seed, -1]),
    }
    for name in LOSSES
    for seed in range(seeds)
  ]
  return Result(_checks(collapsed, losses), {"losses": _figure(losses)}, records, [NOTE])


def train(loss: str, seeds: int, epochs: int) -> np.ndarray:
  """Returns D's loss at its last update in every epoch [seeds, epochs]."""
  keys = jax.random.split(jax.random.key(0), seeds)
  return np.asarray(jax.jit(jax.vmap(lambda key: _trajectory(loss, epochs, key)))(keys))


def _trajectory(loss, epochs, key):
  init_key, data_key, latent_key = jax.random.split(key, 3)
  game = games.make_game(_gan(latent_key), loss=loss)
  numbers = {"generator_learning_rate": RATE, "discriminator_learning_rate": RATE}
  scale = LOSSES[loss].scale
  numbers |= {"momentum": MOMENTUM, "discriminator_loss_scale": scale}
  state = games.start(init_key, game, **numbers)
  examples = Examples(clusters(data_key), None)

  def judge(state, _):
    update = discriminator_update(game, state, examples, key)
    return apply_discriminator(game, state, update), update.metrics["discriminator_loss"]

  def improve(state, _):
    return apply_generator(game, state, generator_update(game, state, examples, key)), None

  def epoch(state, _):
    state, losses = jax.lax.scan(judge, state, None, length=UPDATES)
    state, _ = jax.lax.scan(improve, state, None, length=UPDATES)
    return state, scale * losses[-1]

  return jax.lax.scan(epoch, state, None, length=epochs)[1]


def clusters(key):
  """Draws the data [100, 1]: by turns in [0, 0.3] and in [4, 4.3]."""
  centres = jnp.tile(jnp.array([0.0, 4.0]), POINTS // 2)
  return (centres + 0.3 * jax.random.uniform(key, (POINTS,)))[:, None]


def _gan(key):
  """G on 100 latents that stay the same, and D."""
  latents = 10 * (jax.random.uniform(key, (POINTS, 1)) - 0.5)
  generator = games.mlp((1, 5, 5, 1), jnp.tanh)

  def apply(params, model_state, inputs, labels, *, train, key=None):
    del inputs
    return generator.apply(params, model_state, latents, labels, train=train, key=key)

  discriminator = games.mlp((1, 10, 10, 1), jax.nn.sigmoid, games.as_logits)
  return Gan(Network(generator.init, apply), discriminator, lambda key: jnp.zeros(1), (-1.0, 1.0))


def epochs_collapsed(name: str, loss: np.ndarray) -> np.ndarray:
  """Returns how many epochs of D's loss [seeds, epochs] lie in the band of that loss [seeds]."""
  low, high = LOSSES[name].band
  return np.sum((loss > low) & (loss < high), axis=1)


def _checks(collapsed, losses) -> list[Check]:
  stuck = {name: int(np.sum(epochs >= LONG)) for name, epochs in collapsed.items()}
  seeds = len(collapsed["nonsat"])
  least = math.ceil(seeds / 10)
  title = f"seeds of {seeds} with {LONG} or more epochs collapsed"
  expected = f"at least {least} (3 of 30)"
  checks = [
    Check(f"JS-GAN, {title}", str(stuck["nonsat"]), expected, PAPER, stuck["nonsat"] >= least),
    Check(f"RS-GAN, {title}", str(stuck["rsgan"]), "0", PAPER, stuck["rsgan"] == 0),
  ]
  for name, (label, *_) in LOSSES.items():
    checks += [
      reported(f"{label}, epochs collapsed, mean", collapsed[name].mean()),
      reported(f"{label}, epochs collapsed, most", collapsed[name].max()),
      reported(f"{label}, D's loss at the end, log 2 when balanced", losses[name][:, -1], "0.693"),
    ]
  return checks


def _figure(losses) -> Figure:
  """Of windows of epochs the median, or the noise of seeds that go on would hide the others."""
  figure, (panels,) = style.panels(1, 2, 2.9, sharey=True)
  for axes, (name, loss) in zip(panels, losses.items(), strict=True):
    stuck, (label, _, band) = epochs_collapsed(name, loss) >= LONG, LOSSES[name]
    whole = loss[:, : loss.shape[1] // WINDOW * WINDOW].reshape(len(loss), -1, WINDOW)
    for seed, medians in enumerate(np.median(whole, axis=2)):
      look = {"color": plots.COLOURS[1] if stuck[seed] else "0.6", "zorder": 2 + stuck[seed]}
      axes.plot(WINDOW * np.arange(1, len(medians) + 1), medians, lw=0.8, **look)
    axes.axhspan(*band, color=plots.COLOURS[5], alpha=0.3, lw=0)
    axes.text(1, band[0], "counts as collapsed ", transform=axes.get_yaxis_transform(), ha="right")
    axes.set_title(f"{label}: {stuck.sum()} of {len(loss)} seeds stuck (orange)")
    axes.set(xlabel="epoch", ylim=(0.25, 0.9))
    plots.count_axis(axes)
  panels[0].set_ylabel(f"loss of D, median of {WINDOW} epochs")
  return figure
