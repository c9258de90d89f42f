"""A page for each loss and each penalty, and one for each other kind of part."""

from collections.abc import Iterable, Mapping
from typing import Any

from experiments.catalogue import figures, words
from gan.augment import AUGMENTATIONS
from gan.losses import LOSSES, Loss, of_logits
from gan.method.update_rules import UPDATE_RULES
from gan.penalties import OF_STEP, PENALTIES, Penalty
from gan.regularizers import REGULARIZERS
from gan.training.aliases import earlier_names
from gan.training.options import fields, weight_of

# Flags without which a part cannot be chosen, or is of no use.
FLAGS_OF_NEEDS = {"residual": "--model=autoencoder"}
PARTNERS = {"wgan_gp": "wgan", "wgan_lp": "wgan", "r1r2": "rsgan", "approx_r1r2": "rsgan"}
FLAGS_OF_PARTS = {
  "acgan": "--model=resnet --conditional --conditioning=acgan",
  "multi_hinge": "--loss=hinge --model=resnet --conditional --conditioning=acgan",
  "path_length": "--model=stylegan2 --image_size=32",
  "centering": "--loss=rsgan",
}


def advice(use: str) -> str:
  """Returns when a loss or a penalty is chosen, the names of others as links from its folder."""
  places = {name: f"../losses/{name}.md" for name in LOSSES}
  return words.advice(use, places | {name: f"../penalties/{name}.md" for name in PENALTIES})


def loss_page(name: str, table: Mapping[str, list[list[str]]]) -> str:
  """Returns the page of a loss.

  Args:
    name: key of LOSSES.
    table: rows of the table of losses in `docs/losses.md`, by name.
  """
  loss, about = LOSSES[name], LOSSES[name].about
  lines = [f"# {name}", _what(name, table[name][0])]
  if also := earlier_names(name):
    lines.append(f"Also called {', '.join(f'`{each}`' for each in also)}.")
  lines += [f"**When to use it:** {advice(about.use)}.", "## What the players minimise"]
  lines += ["The discriminator:", words.displayed(about.discriminator)]
  lines += ["The generator:", words.displayed(about.generator), _legend(loss)]
  if name in of_logits():
    lines += ["## Slopes", SLOPES_OF_LOSS, figures.loss_figure(name)]
  lines += [
    "## Optimum",
    f"The best logit of D: {words.shown(about.optimum)}.",
    _divergence(about.divergence),
  ]
  if about.experimental:
    lines.append("It is *experimental*: no closed form of the optimum is known to test against.")
  lines += ["## Use it", _command(f"--loss={name} {_needed(loss)}", name)]
  lines += [f'In Python: `gan.losses.make_loss("{name}")`.', *_flags(loss.options)]
  return _page(lines, about.source)


def _what(name: str, cells: list[str]) -> str:
  """The words of a row, and whose they are where it is of several losses."""
  names, text = cells[0], words.from_below(cells[1], "losses.md")
  return f"`{name}` is one of {names}: {text}." if names.count("`") > 4 else words.sentence(text)


SLOPES_OF_LOSS = (
  "Costs against the logit of one example, and the slopes from which the players learn; the logit "
  "of the other side is 0. On the left D takes the example for a sample, on the right for data."
)


def _legend(loss: Loss) -> str:
  return words.LEGEND_OF_OUTPUTS if loss.needs else words.LEGEND


def _divergence(text: str) -> str:
  return f"Against that D the generator minimises: {words.shown(text)}."


def _needed(loss: Loss) -> str:
  """Flags beside the name: an autoencoder, or a bound on the features of a witness."""
  needs = [FLAGS_OF_NEEDS[need] for need in loss.needs if need in FLAGS_OF_NEEDS]
  return " ".join(needs + ["--penalty=wgan_gp"] * (loss.witness is not None))


def penalty_page(name: str) -> str:
  """Returns the page of a penalty of PENALTIES."""
  penalty: Penalty = PENALTIES[name]
  lines = [f"# {name}", f"**When to use it:** {advice(penalty.use)}."]
  if penalty.function is None:
    return _page([*lines, _command("--loss=hinge --discriminator_norm=spectral", "spectral")], "")
  lines += ["## What is added to D's loss", "Averaged over the batch and weighted:"]
  lines += [words.displayed(penalty.formula), POINTS]
  lines += ["## How it grows", CURVE, figures.penalty_figure(name), "## Use it"]
  lines += [_command(f"--loss={PARTNERS.get(name, 'nonsat')} --penalty={name}", name)]
  lines += [f'In Python: `gan.penalties.make_penalty("{name}")`.']
  lines.append(f"Its weight, `--penalty_weight`, is {penalty.default_weight:g} by default.")
  return _page([*lines, *_flags(_own_first(penalty.options))], penalty.source)


POINTS = (
  "$x$ is an example of the data, $G(z)$ a sample, $\\hat{x}$ a point drawn evenly between the "
  "two, and the gradient is in the image, of the logit of each example alone."
)
CURVE = (
  "The penalty of a discriminator that has the same slope everywhere, drawn by the function "
  "itself: where it is lowest, D is left alone."
)


def _own_first(options: Iterable[str]) -> list[str]:
  return sorted(options, key=lambda option: option in OF_STEP)


COMMON = "What holds for all of them is in [losses](../losses.md#{})."


def kinds() -> dict[str, str]:
  """Returns a page for each kind of part that has fewer words: place -> Markdown."""
  return {
    "parts/regularisers.md": _kind(
      "Regularisers", "regularisers", "--regularizers", REGULARIZERS, _regularizer
    ),
    "parts/augmentations.md": _kind(
      "Augmentations", "augmentations", "--augment", AUGMENTATIONS, _augmentation
    ),
    "parts/update_rules.md": _kind(
      "Update rules", "update-rules", "--update_rule", UPDATE_RULES, _rule
    ),
  }


def _kind(title: str, anchor: str, flag: str, entries: Mapping[str, Any], own) -> str:
  lines = [f"# {title}", f"Each of the {title.lower()}, by name. {COMMON.format(anchor)}"]
  for name, entry in entries.items():
    flags, notes = own(name, entry)
    lines += [f"## {name}", words.sentence(words.shown(entry.summary)), *notes]
    lines += [_command(" ".join([flags or f"{flag}={name}", FLAGS_OF_PARTS.get(name, "")]), name)]
    lines += [*_flags(entry.options), f"Source: {words.linked(entry.source)}."]
  return _page(lines, "")


def _regularizer(name: str, entry: Any) -> tuple[str, list[str]]:
  """(flags in the place of `--regularizers=name`, what is said of it)."""
  notes = [f"- `{metric}`: {words.escaped(told)}" for metric, told in entry.metrics.items()]
  notes = ["A step's metrics have\n\n" + "\n".join(notes)] if notes else []
  if entry.default_weight is not None:
    weight = f"`--{weight_of(name)}` is {entry.default_weight:g} where it is named."
    notes = [weight, *notes]
  flags = {"ada": "--augment=ada:bg --augment_control=ada", "apa": "--augment_control=apa"}
  flags["transport"] = "--latent_dim=784 --regularizers=transport"
  return flags.get(name, ""), notes


def _augmentation(name: str, entry: Any) -> tuple[str, list[str]]:
  choices = ", ".join(f"`{choice}`" for choice in entry.choices)
  notes = [f"Behind `{name}:` by commas: {choices}."] if choices else []
  flags = {"ada": "--augment=ada:bg --augment_strength=0.2"}
  flags["instance_noise"] = "--instance_noise=0.1 --instance_noise_steps=2000"
  return flags.get(name, ""), notes


def _rule(name: str, entry: Any) -> tuple[str, list[str]]:
  del name, entry
  return "", []


def _flags(options: Iterable[str]) -> list[str]:
  """A table of the flags of a part, without what devices decide."""
  known = fields()
  told = {option: known[option].metadata["help"] for option in options if option in known}
  if not told:
    return []
  rows = [f"| `--{option}` | {words.escaped(text)} |" for option, text in told.items()]
  return ["\n".join(["| flag | what it is |", "| --- | --- |", *rows])]


def _command(flags: str, name: str) -> str:
  experiment = "ring" if name == "drifting" else "mnist"  # which is of points
  line = " ".join(f"gan-train {experiment} {flags} --workdir=runs/{name}".split())
  return f"```\n{line}\n```"


def _page(lines: Iterable[str], source: str) -> str:
  end = [
    "## Source",
    f"{words.linked(source)}. What it was compared with: [sources](../sources.md).",
  ]
  return "\n\n".join([*lines, *(end if source else [])]) + "\n"
