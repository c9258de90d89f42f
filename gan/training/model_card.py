"""What an export says of itself: export.json for programs, README.md for readers."""

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from gan.system import environment
from gan.training.checkpoint import digest
from gan.training.exported import GENERATOR, HUB, MODEL, TENSORS
from gan.training.exporting import ONNX, PLATFORMS, SAMPLES
from gan.training.restore import LoadedRun

_USE = {
  "stablehlo": """import gan, jax
run = gan.load("FOLDER")  # needs the package, and none of its networks
images = run.sample(16, jax.random.key(0))  # uint8

# Without the package, on PLATFORMS:
import jax.export
program = jax.export.deserialize(bytearray(open("FILE", "rb").read()))
images = program.call(ARGUMENTS)  # arrays of these shapes""",
  "onnx": """import numpy as np, onnxruntime
session = onnxruntime.InferenceSession("FILE")
names = [each.name for each in session.get_inputs()]
latents = DRAWN
(images,) = session.run(None, dict(zip(names, [ARGUMENTS])))""",
  "hub": """import gan, jax
run = gan.load("FOLDER")  # this folder; pip install gan-jax
images = run.sample(16, jax.random.key(0))  # uint8, those of the run to the bit""",
  "safetensors": """from safetensors.numpy import load_file
weights = load_file("FILE")
print({name: array.shape for name, array in weights.items()})""",
}
_FILES = {"stablehlo": GENERATOR, "onnx": ONNX, "safetensors": TENSORS, "hub": MODEL}


def facts(run: LoadedRun, form: str, more: Mapping[str, Any], latent_dim: int) -> dict[str, Any]:
  """Returns export.json.

  Args:
    run: that is exported.
    form: a key of EXPORTERS.
    more: of which run, and of which of its weights.
    latent_dim: Z.
  """
  config = run.config
  return {
    "format": form,
    "file": _FILES[form],
    "image_shape": list(run.info.image_shape),
    "image_range": list(run.gan.image_range),
    "latent_dim": latent_dim,
    "num_classes": run.info.num_classes if config.conditional else 0,
    "class_names": list(run.class_names) if config.conditional else [],
    "dataset": config.dataset,
    "split": config.split,
    "loss": config.loss,
    "latent": config.latent,
    "model": config.model,
    "seed": config.seed,
    "step": int(run.state.step),
    "weights_sha256": digest((run.state.ema_params, run.state.ema_model_state)),
    "packages": environment.versions(environment.COMPUTING),
    **more,
  }


def write(
  facts: Mapping[str, Any],
  record: Mapping[str, Any],
  summary: Any,
  evaluations: Sequence[Mapping[str, Any]] = (),
) -> str:
  """Returns the text of README.md.

  Args:
    facts: of `facts`.
    record: config.json of the run.
    summary: summary.json of the run, or None.
    evaluations: the records of evaluations.jsonl, which say of how many examples each is.
  """
  low, high = facts["image_range"]
  points = len(facts["image_shape"]) == 1
  made = "points" if points else f"images in [{low:g}, {high:g}]"
  labels = ", labels [B] int32" if facts["num_classes"] else ""
  shape = ", ".join(map(str, facts["image_shape"]))
  sections = [
    f"# A generator of {facts['dataset']}",
    f"`{facts['file']}`{_HOLDS.get(facts['format'], '')}: (latents [B, {facts['latent_dim']}] "
    f"float32{labels}) -> float32 [B, {shape}], {made}; the weights are "
    f"{_WEIGHTS[facts['weights']]}.",
    _table(facts, record),
    _metrics(summary, evaluations),
    f"## Use\n\n```python\n{_use(facts)}\n```",
    "## Licence\n\nNot stated yet: it is the author's to give, and depends on the data too.",
  ]
  if facts["format"] == HUB:
    sections[1:1] = [f"![Samples of the averaged generator]({SAMPLES})"]
    sections[:0] = [_front_matter(facts, summary, points)]
  return "\n\n".join(sections) + "\n"


def _front_matter(facts: Mapping[str, Any], summary: Any, points: bool) -> str:
  """What a hub reads of a model, in YAML: texts are as in JSON, which it takes too."""
  quoted = functools.partial(json.dumps, ensure_ascii=False)
  task, data = "unconditional-image-generation", quoted(facts["dataset"])
  tags = ["gan", "jax", "flax", facts["loss"], facts["model"]]
  lines = ["---", "# license: add the identifier of yours, such as mit; see Licence below"]
  lines += ["library_name: gan-jax", f"tags: {quoted(tags)}"]
  lines += [] if points else [f"pipeline_tag: {task}"]
  if found := _last(summary):
    name = quoted(f"{facts['loss']} on {facts['dataset']}")
    lines += ["model-index:", f"- name: {name}"]
    lines += ["  results:", f"  - task: {{type: {task}}}"]
    lines += [f"    dataset: {{name: {data}, type: {data}}}", "    metrics:"]
    lines += [
      f"    - {{type: {quoted(name)}, name: {quoted(f'{name}, step {step}')}, value: {value}}}"
      for name, (step, value) in found.items()
    ]
  return "\n".join([*lines, "---"])


def _last(summary: Any) -> dict[str, tuple[int, float]]:
  """Each metric of samples at its last evaluation, where it is a number: (step, value)."""
  found = (summary or {}).get("evaluation") or {}
  return {
    name: tuple(values["last"])
    for name, values in found.items()
    if isinstance(values["last"][1], (int, float))
  }


_HOLDS = {
  "safetensors": " holds the weights alone of this function",
  "hub": " holds the weights of both players and of the average; of the average this function",
}
_DRAWN = {
  "normal": "np.random.default_rng(0).standard_normal((16, LATENT), np.float32)",
  "uniform": "np.random.default_rng(0).uniform(-(3**0.5), 3**0.5, (16, LATENT)).astype(np.float32)",
}
_WEIGHTS = {"ema": "an average over training steps", "raw": "those of the last step"}


def _table(facts: Mapping[str, Any], record: Mapping[str, Any]) -> str:
  data = f"{facts['dataset']}, {facts['split']}, {record['num_examples']:,} examples"
  rows = {
    "data": data,
    "source of the data": record.get("source", "not recorded"),
    "loss": facts["loss"],
    "latents": f"{facts['latent']}, {facts['latent_dim']} numbers",
    "network": facts["model"],
    "steps": facts["step"],
    "seed": facts["seed"],
    "command, with its preset": f"`{record.get('command', 'not recorded')}`",
    "versions": ", ".join(f"{name} {number}" for name, number in facts["packages"].items()),
    "SHA-256 of the weights": facts["weights_sha256"],
  }
  if facts["class_names"]:
    rows["classes, from 0 on"] = ", ".join(facts["class_names"])
  return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {it} |" for name, it in rows.items())])


def _metrics(summary: Any, evaluations: Sequence[Mapping[str, Any]]) -> str:
  found = (summary or {}).get("evaluation") or {}
  if not found:
    return "## Metrics\n\nNone were recorded."
  rows = [
    f"| {name} | {_at(values['last'])} | {_at(values['best'])} |" for name, values in found.items()
  ]
  head = ["## Metrics of the run, of its averaged generator", ""]
  head += ["| metric | last | best |", "| --- | --- | --- |"]
  return "\n".join([*head, *rows]) + _counts(evaluations)


def _counts(evaluations: Sequence[Mapping[str, Any]]) -> str:
  """A sentence on the examples and features of the last evaluation, or ""."""
  last = dict(evaluations[-1]) if evaluations else {}
  said = [
    f"{last[name]:,} {words}" for name, words in _COUNTED.items() if isinstance(last.get(name), int)
  ]
  said += [f"split {last['split']}"] * ("split" in last)
  said += [f"features of {last['extractor']}"] * bool(last.get("extractor"))
  return f"\n\nOf {', '.join(said)}." if said else ""


_COUNTED = {
  "eval_samples": "samples",
  "reference_samples": "examples beside them",
  "held_out_samples": "held-out examples",
}


def _at(point: Any) -> str:
  step, value = point
  return f"{value:.5g} (step {step})" if isinstance(value, float) else f"{value} (step {step})"


def _use(facts: Mapping[str, Any]) -> str:
  arguments = "latents, labels" if facts["num_classes"] else "latents"
  if facts["format"] == "onnx":
    arguments = arguments.replace(
      "labels", f"np.arange(16, dtype=np.int32) % {facts['num_classes']}"
    )
  replaced = {
    "DRAWN": _DRAWN.get(facts["latent"], f"...  # [16, LATENT] float32, {facts['latent']}"),
    "FILE": facts["file"],
    "FOLDER": ".",
    "PLATFORMS": ", ".join(PLATFORMS),
    "ARGUMENTS": arguments,
    "LATENT": str(facts["latent_dim"]),
  }
  text = _USE[facts["format"]]
  for name, value in replaced.items():
    text = text.replace(name, value)
  return text
