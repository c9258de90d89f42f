"""What an export says of itself: export.json for programs, README.md for readers."""

from collections.abc import Mapping
from typing import Any

from gan.system import environment
from gan.training.checkpoint import digest
from gan.training.exported import GENERATOR
from gan.training.exporting import ONNX, PLATFORMS, TENSORS
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
  "safetensors": """from safetensors.numpy import load_file
weights = load_file("FILE")
print({name: array.shape for name, array in weights.items()})""",
}
_FILES = {"stablehlo": GENERATOR, "onnx": ONNX, "safetensors": TENSORS}


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


def write(facts: Mapping[str, Any], record: Mapping[str, Any], summary: Any) -> str:
  """Returns the text of README.md.

  Args:
    facts: of `facts`.
    record: config.json of the run.
    summary: summary.json of the run, or None.
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
    _metrics(summary),
    f"## Use\n\n```python\n{_use(facts)}\n```",
    "## Licence\n\nNot stated yet: it is the author's to give, and depends on the data too.",
  ]
  return "\n\n".join(sections) + "\n"


_HOLDS = {"safetensors": " holds the weights alone of this function"}
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


def _metrics(summary: Any) -> str:
  found = (summary or {}).get("evaluation") or {}
  if not found:
    return "## Metrics\n\nNone were recorded."
  rows = [
    f"| {name} | {_at(values['last'])} | {_at(values['best'])} |" for name, values in found.items()
  ]
  head = ["## Metrics of the run, of its averaged generator", ""]
  head += ["| metric | last | best |", "| --- | --- | --- |"]
  return "\n".join([*head, *rows])


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
