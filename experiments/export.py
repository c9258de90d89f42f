"""Writes the generator of a run in a form that other programs take.

  python -m experiments.export --workdir=runs/nonsat --format=stablehlo --out=my_generator

The folder gets the function (latents [B, d][, labels [B]]) -> images, floats in the range that the
network works in, [-1, 1] or [0, 1]; export.json; and README.md, which says what it is and how it is
used. stablehlo is a program for CPU, CUDA and TPU alike, which gan.load draws from; onnx is for
other runtimes; safetensors holds the weights alone, by names. hub is a folder that
`huggingface-cli upload` takes: all weights as safetensors, config.json, a model card with metrics,
samples; gan.load opens it as the run. What was written is read back, and its greatest difference
from the run is printed. stablehlo and onnx: pip install 'gan-jax[export]'.
"""

import pathlib
import sys

from experiments.cli import common
from experiments.cli.command import OK, PATH, Command
from gan.errors import UserError
from gan.system.progress import say
from gan.training.run_folder import (
  CONFIG,
  EVALUATIONS,
  SUMMARY,
  WEIGHTS,
  read_config,
  read_metrics,
  read_summary,
)

FORMATS = ("stablehlo", "onnx", "safetensors", "hub")


def main(argv=None):
  command = Command(__doc__)
  command.add(PATH, "workdir", None, "run folder of a training command", "what")
  command.add(int, "step", None, "of the checkpoint (default: the newest)", "what")
  command.add(
    str, "weights", "ema", "average of the generator, or the generator itself", "what", WEIGHTS
  )
  command.add(str, "format", "stablehlo", "of the export", "how", FORMATS)
  command.add(PATH, "out", None, "folder that is made for the export", "how")
  return command.run(lambda: _run(command.values), argv)


def _run(flags) -> int:
  from gan.training import exporting, model_card, restore

  for name in ("workdir", "out"):
    if not flags[name].value:
      raise UserError(f"--{name} is missing: name {_WHAT[name]}")
  common.prepare()
  run = restore.find(flags.workdir, step=flags.step).with_weights(flags.weights)
  latent_dim = exporting.examples(run)[0].shape[1]
  facts = model_card.facts(run, flags.format, {"weights": flags.weights}, latent_dim)
  record, summary = read_config(flags.workdir), read_summary(flags.workdir)
  card = model_card.write(facts, record, summary, read_metrics(flags.workdir, EVALUATIONS))
  records = {CONFIG: record, SUMMARY: summary} if flags.format == "hub" else {}
  back = exporting.write(run, flags.format, pathlib.Path(flags.out), facts, card, records)
  print(flags.out)
  print(_compared(exporting, run, back))
  say(f"How to use it: {pathlib.Path(flags.out) / 'README.md'}")
  return OK


_WHAT = {"workdir": "the run folder of a training command", "out": "a folder for the export"}


def _compared(exporting, run, back) -> str:
  if back is None:
    return "not compared with the run: onnxruntime is not installed"
  error = exporting.greatest_error(run, back)
  low, high = run.gan.image_range
  of = f"of values in [{low:g}, {high:g}]" if len(run.info.image_shape) == 3 else "of coordinates"
  return f"greatest difference from the run, {exporting.CHECKED} samples: {error:.2g} {of}"


if __name__ == "__main__":
  sys.exit(main())
