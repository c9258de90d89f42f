"""A page for each architecture and each preset: sizes, pictures, and what is not verified."""

import json
import math
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import jax

from experiments.catalogue import words
from gan import models
from gan.errors import UserError
from gan.training.presets import PRESETS

COUNTS = pathlib.Path(__file__).with_name("parameters.json")
SHAPES = {"28 x 28 x 1": (28, 28, 1), "32 x 32 x 3": (32, 32, 3), "64 x 64 x 3": (64, 64, 3)}
SHAPES |= {"points": (2,)}
LATENTS = 128
PICTURES = "figures/families"
NO_PICTURE = "There is no picture of it here."
# Pictures that are not of the short runs on CIFAR-10: file in `docs`, and what it shows.
OTHER_PICTURES = {
  "dcgan": ("figures/study_mnist/samples.png", "Eight losses on MNIST, 1,000 steps, width 16"),
  "points": ("figures/study_ring/samples.png", "25 losses on eight Gaussians, width 32"),
}
# The experiment whose data a preset is of, by what its name ends with; else mnist.
EXPERIMENTS = {
  "cifar10": "cifar10",
  "pacgan2018": "ring",
  "ffhq64": "images",
  "imagenet32": "images",
}


def parameters(model: str) -> dict[str, list[int]]:
  """Returns {shape in words: [parameters of G, of D]} of an architecture, of shapes alone.

  Latents have LATENTS numbers; shapes that it does not make are left out.

  Args:
    model: key of MODELS.
  """
  found = {}
  for words_of_shape, shape in SHAPES.items():
    try:
      players = models.build(model, models.ModelSpec(shape, LATENTS))[:2]
    except UserError:
      continue
    found[words_of_shape] = [_count(network) for network in players]
  return found


def _count(network: Any) -> int:
  params, _ = jax.eval_shape(network.init, jax.random.key(0))
  return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def model_page(name: str, docs: pathlib.Path) -> str:
  """Returns the page of an architecture.

  Args:
    name: key of MODELS.
    docs: the folder with `models.md` and figures.
  """
  page, model = (docs / "models.md").read_text(encoding="utf-8"), models.MODELS[name]
  _, what, data = _cells(page, "`--model`", name)
  options = ", ".join(f"`--{option}`" for option in model.options) or "none"
  low, high = model.image_range
  facts = [
    f"- **Data:** {data}",
    f"- **Options:** {options}, and those that [all have](../models.md#models)",
    f"- **Conditioning:** {', '.join(f'`{each}`' for each in model.conditionings)}",
    f"- **Images:** in [{low:g}, {high:g}]",
    f"- **D returns:** {', '.join(f'`{each}`' for each in model.outputs)}",
  ]
  lines = [f"# {name}", words.sentence(what), "\n".join(facts), "## Parameters", _count_table(name)]
  lines += ["## Use it", f"```\n{_model_command(name)}\n```", _presets_with(name)]
  lines += ["## Samples", *_pictures(name, docs)]
  return "\n\n".join(lines) + "\n"


def _cells(page: str, head: str, name: str) -> list[str]:
  (cells,) = words.rows(page, head)[name]
  return [words.from_below(cell, "models.md") for cell in cells]


def _count_table(name: str) -> str:
  counts = json.loads(COUNTS.read_text(encoding="utf-8"))[name]
  rows = [f"| {shape} | {g:,} | {d:,} |" for shape, (g, d) in counts.items()]
  head = f"Without labels, with latents of {LATENTS} numbers and the default options:\n\n"
  return head + "\n".join(["| images | G | D |", "| --- | --- | --- |", *rows])


def _model_command(name: str) -> str:
  counts = json.loads(COUNTS.read_text(encoding="utf-8"))[name]
  experiment, size = "mnist", ""
  if "points" in counts:
    experiment = "ring"
  elif "32 x 32 x 3" not in counts:
    size = " --image_size=64"
  elif "28 x 28 x 1" not in counts:
    size = " --image_size=32"
  loss = " --loss=ebgan" if models.MODELS[name].loss_needs else ""
  return f"gan-train {experiment} --model={name}{loss}{size} --workdir=runs/{name}"


def _presets_with(name: str) -> str:
  found = [preset for preset, fields in PRESETS.items() if fields.get("model") == name]
  if not found:
    return "No preset has it."
  return f"Presets with it: {', '.join(f'[{each}](../presets/{each}.md)' for each in found)}."


def _pictures(name: str, docs: pathlib.Path) -> list[str]:
  """Pictures of a short run on two cores, and what is said of it; or that there are none."""
  if name in OTHER_PICTURES:
    file, shows = OTHER_PICTURES[name]
    return [f"{shows}:", f"![{shows}](../{file})"]
  page = (docs / "models.md").read_text(encoding="utf-8")
  told = re.search(rf"\n\n`{name}`: (.*?)\n\n!\[", page, re.S)
  if not told or not (docs / PICTURES / f"{name}.png").exists():
    return [NO_PICTURE]
  files = [f"{name}{end}.png" for end in ("", "_classes")]
  there = [file for file in files if (docs / PICTURES / file).exists()]
  shown = " ".join(f"![Samples of {name}](../{PICTURES}/{file})" for file in there)
  return [
    "A narrow form after a [short run on two cores](../models.md#what-they-make-on-two-cores), "
    "CIFAR-10, one seed.",
    words.from_below(told[1][0].upper() + told[1][1:], "models.md"),
    shown,
  ]


def preset_page(name: str, docs: pathlib.Path) -> str:
  """Returns the page of a preset; its arguments are those of `model_page`."""
  page, fields = (docs / "models.md").read_text(encoding="utf-8"), PRESETS[name]
  _, system = _cells(page, "`--preset`", name)
  _, batch, precision, counts, state, _, _ = _cells(page, "preset | batch", name)
  generator, discriminator = counts.split(", ")
  facts = [
    f"- **Parameters:** G {generator}, D {discriminator}",
    f"- **Batches of D in a step:** {batch} examples, in {precision}",
    f"- **State:** {state} GiB, of both players, the average and the optimisers",
    f"- **Network:** [{fields['model']}](../networks/{fields['model']}.md)",
  ]
  told = f"`--preset={name}` sets the flags of a published system: {words.linked(system)}."
  lines = [f"# {name}", told, "\n".join(facts)]
  lines += ["## What differs from it, and what is not verified", _difference(page, name), UNTRAINED]
  lines += ["## Use it", f"```\n{_preset_command(name)}\n```", HINT]
  return "\n\n".join([*lines, "## Its values", _values(fields)]) + "\n"


NO_DIFFERENCE = "No difference is listed."
UNTRAINED = "It was not trained to its end here: published scores are not claimed."
HINT = (
  "`--steps` is the system's own budget; on a CPU give less, and a smaller `--width` where the "
  "network has one. Any other flag changes one value."
)


def _difference(page: str, name: str) -> str:
  told = [cells[1] for cells in words.rows(page, "preset | difference").get(name, [])]
  return "\n".join(f"- {words.from_below(text, 'models.md')}" for text in told) or NO_DIFFERENCE


def _preset_command(name: str) -> str:
  experiment = next((it for end, it in EXPERIMENTS.items() if name.endswith(end)), "mnist")
  data = " --data_dir=FOLDER" if experiment == "images" else ""
  return f"gan-train {experiment} --preset={name}{data} --workdir=runs/{name}"


def _values(fields: Mapping[str, Any]) -> str:
  rows = [f"| `--{name}` | {_value(value)} |" for name, value in fields.items()]
  return "\n".join(["| flag | value |", "| --- | --- |", *rows])


def _value(value: Any) -> str:
  return f"`{value}`" if value != "" else "empty"
