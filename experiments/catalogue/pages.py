"""Every page that is made of the registries, by its place in the site."""

import json
import pathlib

from experiments.catalogue import networks, parts, words
from gan.losses import LOSSES
from gan.models import MODELS
from gan.penalties import PENALTIES
from gan.training.presets import PRESETS

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"


def pages() -> dict[str, str]:
  """Returns {place, such as "losses/hinge.md": Markdown}, the same for the same code."""
  losses = words.rows((DOCS / "losses.md").read_text(encoding="utf-8"), "`--loss`")
  found = {"losses/index.md": choice(), "networks/index.md": gallery()}
  found |= {f"losses/{name}.md": parts.loss_page(name, losses) for name in LOSSES}
  found |= {f"penalties/{name}.md": parts.penalty_page(name) for name in PENALTIES}
  found |= {f"networks/{name}.md": networks.model_page(name, DOCS) for name in MODELS}
  found |= {f"presets/{name}.md": networks.preset_page(name, DOCS) for name in PRESETS}
  return found | parts.kinds()


def choice() -> str:
  """Returns the page that leads to the losses, the penalties and the other parts."""
  tables = [_uses("loss", "", LOSSES, lambda loss: loss.about.use)]
  tables += [_uses("penalty", "../penalties/", PENALTIES, lambda penalty: penalty.use)]
  lines = ["# Which loss, which penalty", CHOICE, tables[0], "## Penalties", tables[1]]
  return "\n\n".join([*lines, "## Other parts", OTHERS]) + "\n"


CHOICE = (
  "Any loss goes with any penalty. Start with [nonsat](nonsat.md), alone or with "
  "[r1](../penalties/r1.md); none is best everywhere, so compare under one budget: "
  "[sweeps](../sweeps.md). What holds for all of them, with every flag: [losses](../losses.md)."
)
OTHERS = """* [Regularisers](../parts/regularisers.md)
* [Augmentations](../parts/augmentations.md)
* [Update rules](../parts/update_rules.md)"""


def _uses(head, folder, entries, use) -> str:
  rows = [
    f"| [`{name}`]({folder}{name}.md) | {parts.advice(use(entry))} |"
    for name, entry in entries.items()
  ]
  return "\n".join([f"| {head} | when to use it |", "| --- | --- |", *rows])


def gallery() -> str:
  """Returns the page that leads to the networks and the presets, with their pictures and sizes."""
  counts = json.loads(networks.COUNTS.read_text(encoding="utf-8"))
  sizes = [_sizes(name, counts[name]) for name in MODELS]
  table = "\n".join(["| network | images | G | D |", "| --- | --- | --- | --- |", *sizes])
  pictures = [
    f"[![Samples of {name}](../{networks.PICTURES}/{name}.png)]({name}.md)"
    for name in MODELS
    if (DOCS / networks.PICTURES / f"{name}.png").exists()
  ]
  presets = "\n".join(f"* [{name}](../presets/{name}.md)" for name in PRESETS)
  lines = [*GALLERY, table, *SHORT_RUNS, " ".join(pictures), "## Presets", presets]
  return "\n\n".join(lines) + "\n"


GALLERY = (
  "# Networks and presets",
  "Parameters without labels and with the default options, for the smallest images of these that "
  f"each makes and latents of {networks.LATENTS} numbers. What all have in common, options and "
  "labels: [models](../models.md).",
)
SHORT_RUNS = (
  "## What they make on two cores",
  "Narrow forms after [short runs](../models.md#what-they-make-on-two-cores) on CIFAR-10, one seed "
  "each, failures included: they say nothing about which is better.",
)


def _sizes(name, counts) -> str:
  shape, (generator, discriminator) = next(iter(counts.items()))
  return f"| [`{name}`]({name}.md) | {shape} | {generator:,} | {discriminator:,} |"
