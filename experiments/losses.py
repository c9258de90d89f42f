"""Prints the registry of adversarial losses, and draws those that are functions of logits.

  python -m experiments.losses --outdir=runs/losses

The table names for each loss what both players minimise, the optimal logit, what the generator
minimises against it, and the source. Pictures: losses.png, the generators' costs and slopes side by
side; generator_costs.png, figure 16 of Goodfellow's tutorial (arXiv 1701.00160).
"""

import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments.cli.command import OK, PATH, Command
from gan import losses
from gan.report import plots
from gan.report.line_names import name_lines
from gan.training import pictures
from gan.training.aliases import earlier_names
from gan.training.run_folder import writable_folder

LOGITS = np.linspace(-6, 6, 241, dtype=np.float32)
WIDTH, DPI = 7.0, 200  # inches, and pixels an inch: text is readable where a page shows 700 pixels


def main(argv=None):
  command = Command(__doc__)
  command.add(PATH, "outdir", "runs/losses", "where the pictures go", "output")
  return command.run(lambda: _run(command.values.outdir), argv)


def _run(outdir) -> int:
  folder = writable_folder(outdir)
  print(table())
  with plots.styled():
    drawn = {"losses": overview(), "generator_costs": generator_costs()}
    for name, figure in drawn.items():
      figure.set_dpi(DPI)
      pictures.save(figure, folder / f"{name}.png")
  print(f"\n{len(drawn)} pictures in {folder}")
  return OK


def table() -> str:
  """Returns the registry as text, an entry a paragraph."""
  entries = []
  for name, loss in losses.LOSSES.items():
    title, about = _title(name), about_of(loss)
    rows = [
      ("D minimises", about.discriminator),
      ("G minimises", about.generator),
      ("optimal logit", about.optimum),
      ("G's divergence", about.divergence),
      ("source", about.source),
      ("status", "experimental: no closed form of D's optimum is known" * about.experimental),
      ("options", ", ".join(f"--{option}" for option in loss.options if option != "axis_name")),
    ]
    lines = [_row(label, text) for label, text in rows if text]
    entries.append("\n".join([title, *lines]))
  return "\n\n".join(entries)


def _title(name):
  return name + "".join(f" (also {alias})" for alias in earlier_names(name))


def about_of(loss: losses.Loss) -> losses.About:
  """Returns what is known of a loss; a plugin's may say nothing."""
  return loss.about or losses.About()


def _row(label, text):
  indent = " " * 18
  return textwrap.fill(f"  {label:<16}{text}", width=100, subsequent_indent=indent)


def curves(name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
  """Returns {label: (cost, slope)} of a loss over LOGITS.

  One example on each side; the logit that is not varied is 0, which only relativistic losses see.
  """
  loss = losses.make_loss(name)

  def of_real(logit):
    return loss.discriminator(logit[None], jnp.zeros(1))[0]

  def of_fake(logit):
    return loss.discriminator(jnp.zeros(1), logit[None])[0]

  def of_generator(logit):
    return loss.generator(jnp.zeros(1), logit[None])[0]

  functions = {"D, on data": of_real, "D, on fakes": of_fake, "G": of_generator}
  return {label: _cost_and_slope(function) for label, function in functions.items()}


def _cost_and_slope(function):
  cost, slope = jax.vmap(jax.value_and_grad(function))(jnp.asarray(LOGITS))
  return np.asarray(cost), np.asarray(slope)


def _limit(axes):
  """Keeps a cost that grows as an exponential from flattening the others."""
  low, high = axes.get_ylim()
  axes.set_ylim(max(low, -8), min(high, 8))


def overview() -> Figure:
  """Returns the generators' costs and slopes of all losses of logits as small multiples."""
  names = losses.of_logits()
  columns = 5
  rows = -(-len(names) // columns)
  figure = Figure(figsize=(WIDTH, 1.35 * rows + 0.6), layout="constrained")
  panels = figure.subplots(rows, columns, sharex=True, squeeze=False)
  for axes, name in zip(panels.flat, names, strict=False):
    for values, line, label in zip(
      curves(name)["G"], "-:", ("cost of G", "its slope"), strict=True
    ):
      axes.plot(LOGITS, values, line, label=label)
    axes.set_title(name)
    _limit(axes)
  for axes in panels.flat[len(names) :]:
    axes.set_visible(False)
  figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
  figure.supxlabel("logit of a fake (left: recognised as fake, right: taken for real)", fontsize=9)
  figure.supylabel("cost of G, and its slope against the logit", fontsize=9)
  return figure


def generator_costs() -> Figure:
  """Returns figure 16 of Goodfellow's tutorial: three costs of G against D(G(z)).

  With the tutorial's factor 1/2. The saturating and the maximum-likelihood cost are flat on the
  left, where the samples are bad; the non-saturating cost is steep there.
  """
  probabilities = np.linspace(0.002, 0.975, 500)
  logits = jnp.asarray(np.log(probabilities) - np.log1p(-probabilities))
  figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
  axes = figure.subplots()
  labels = {"sat": "minimax (sat)", "nonsat": "non-saturating", "ml": "maximum likelihood"}
  for (name, label), line in zip(labels.items(), plots.STYLES, strict=True):
    cost = losses.make_loss(name).generator(jnp.zeros_like(logits), logits) / 2
    axes.plot(probabilities, np.asarray(cost), line, label=label)
  axes.set(xlabel="D(G(z))", ylabel="cost of the generator", xlim=(0, 1), ylim=(-20, 5))
  name_lines(axes)
  return figure


if __name__ == "__main__":
  sys.exit(main())
