"""Draws from a trained generator, from its run folder alone.

  python -m experiments.sample --workdir=runs/nonsat

Writes pictures to <workdir>/drawn: grid.png, from latents of --seed; interpolation.png, each row a
path between two latents; and classes.png, a class a row, where the run is conditional, of all
classes or of --classes=cat,dog. --samples=50000 also writes as many images to samples.zip, a data
set for experiments.evaluate --fake and others. --truncation=0.7 draws the styles of stylegan2
towards their mean: fewer odd images, and less variety. A run on points writes grid.png: generated
points over the level sets of D.
"""

import pathlib
import sys

import jax
import numpy as np

from experiments.cli import common
from experiments.cli.command import OK, PATH, Command
from gan.errors import UserError
from gan.training.run_folder import WEIGHTS, writable_folder


def main(argv=None):
  command = Command(__doc__)
  command.add(PATH, "workdir", None, "run folder of a training command", "run")
  command.add(PATH, "outdir", None, "where the pictures go (default: <workdir>/drawn)", "run")
  command.add(int, "seed", 0, "of the latents", "run")
  command.add(int, "step", None, "of the checkpoint (default: the newest)", "run")
  command.add(
    str, "weights", "ema", "average of the generator, or the generator itself", "run", WEIGHTS
  )
  command.add(str, "classes", None, "rows of classes.png, names or numbers by commas", "run")
  command.add(int, "samples", 0, "images in samples.zip; 0: none is written", "run")
  command.add(
    float, "truncation", None, "of styles towards their mean, in (0, 1]; 1: none (stylegan2)", "run"
  )
  return command.run(lambda: _draw(command.values), argv)


def _draw(flags) -> int:
  from gan.training import pictures, restore

  if not 0 <= flags.seed < 2**32:
    raise UserError(f"--seed={flags.seed} must be at least 0 and below 2^32")
  if not flags.workdir:
    raise UserError("--workdir is missing: name the run folder of a training command")
  if flags.samples < 0:
    raise UserError(f"--samples={flags.samples} must be at least 0")
  if flags.truncation is not None and not 0 < flags.truncation <= 1:
    raise UserError(f"--truncation={flags.truncation} must be above 0 and at most 1, which is none")
  common.prepare()
  run = restore.find(flags.workdir, step=flags.step).with_weights(flags.weights)
  if flags.samples and len(run.info.image_shape) == 1:
    raise UserError("--samples is for images, and this run makes points: leave it out")
  run = run if flags.truncation is None else _truncated(run, flags.truncation)
  chosen = None if flags.classes is None else _chosen(flags.classes, run)
  outdir = writable_folder(flags.outdir or pathlib.Path(flags.workdir) / "drawn")
  for name, picture in _pictures(run, jax.random.key(flags.seed), flags.seed, chosen):
    pictures.save(picture, outdir / f"{name}.png")
    print(outdir / f"{name}.png")
  if flags.samples:
    print(_write_set(run, jax.random.key(flags.seed), flags.samples, outdir / "samples.zip"))
  return OK


def _truncated(run, truncation):
  """The run with its generator truncated otherwise than in training; its parameters stay."""
  from gan.models import MODELS
  from gan.training.build import build
  from gan.training.options import with_values

  takers = [name for name, model in MODELS.items() if "truncation" in model.options]
  if run.config.model not in takers:
    raise UserError(
      f"--truncation has no meaning for a run of {run.config.model}; it is for "
      f"{', '.join(takers)}: leave it out"
    )
  config = with_values(run.config, {"truncation": truncation})
  return run._replace(gan=build(config, run.info).gan)


def _write_set(run, key, count, path) -> pathlib.Path:
  """Writes samples of the classes in turn, where there are any."""
  from gan.datasets import write_zip

  labels = np.arange(count) % run.info.num_classes if run.config.conditional else None
  return write_zip(path, run.sample(count, key, labels), labels)


def _chosen(text, run) -> list[int]:
  """The classes of a flag, each by its name or, where that is none, by its number."""
  from gan.datasets.base import some

  if not run.config.conditional or len(run.info.image_shape) == 1:
    raise UserError("--classes is for images of a run that was trained with labels: leave it out")
  count = run.info.num_classes
  numbers = {str(i): i for i in range(count)}
  known = numbers | {name: i for i, name in enumerate(run.class_names)}
  for name in (names := text.split(",")):
    if name not in known:
      choices = some(run.class_names, 50) if run.class_names else f"0 to {count - 1}"
      raise UserError(f"--classes={name} is unknown: choose from {choices}")
  return [known[name] for name in names]


def _pictures(run, key, seed, chosen):
  """Yields (name, picture)."""
  from gan.training import sampling

  config, classes = run.config, run.info.num_classes if run.config.conditional else 0
  model = f"{config.dataset}  {config.loss}  {config.model}  step {int(run.state.step)}"
  title = f"{model}  latents of seed {seed}"
  if len(run.info.image_shape) == 1:
    what = sampling.square(run.gan, key, classes, count=2500)
    yield "grid", sampling.scatter(run.gan, run.state, what, title)
    return
  yield "grid", sampling.grid(run.gan, run.state, sampling.square(run.gan, key, classes), title)
  what = sampling.interpolation(run.gan, key, classes)
  yield "interpolation", sampling.grid(run.gan, run.state, what, f"{title}, interpolated")
  if classes:
    what = sampling.class_rows(run.gan, key, classes, names=run.class_names, chosen=chosen)
    cut = sampling.rows_shown(classes) if chosen is None else ""
    yield "classes", sampling.grid(run.gan, run.state, what, f"{title}, a class a row{cut}")


if __name__ == "__main__":
  sys.exit(main())
