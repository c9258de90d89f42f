"""Draws from a trained generator, from its run folder alone.

  python -m experiments.sample --workdir=runs/nonsat

Writes pictures to <workdir>/drawn: grid.png, from latents of --seed; interpolation.png, each row a
path between two latents; and classes.png, a class a row, where the run is conditional, of all
classes or of --classes=cat,dog. --truncation=0.7 draws the styles of stylegan2 towards their mean:
fewer odd images, and less variety. A run on points writes grid.png: generated points over the level
sets of D.

  python -m experiments.sample --workdir=runs/nonsat --count=50000 --format=zip

writes a set of images in the place of pictures: drawn/samples.zip, StyleGAN's form, samples.npz, or
a folder samples of PNG files; points go to samples.npz. Each image depends on --seed, its place and
its class only, and classes come in turn. The same command goes on with a set that was cut off.
samples.zip.json says what was drawn. experiments.evaluate --fake measures a set.
"""

import pathlib
import sys

import jax

from experiments.cli import common
from experiments.cli.command import OK, PATH, Command, notify, refuse_unread
from gan.datasets.streamed import WRITERS
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
  command.add(str, "classes", None, "that are drawn, names or numbers by commas", "run")
  command.add(
    float, "truncation", None, "of styles towards their mean, in (0, 1]; 1: none (stylegan2)", "run"
  )
  command.add(int, "count", None, "examples of a set, in the place of pictures", "set")
  command.add(str, "format", "zip", "of the set; points are npz", "set", WRITERS)
  return command.run(lambda: _draw(command.values), argv)


def _draw(flags) -> int:
  from gan.training import restore

  _check(flags)
  common.prepare()
  run = restore.find(flags.workdir, step=flags.step).with_weights(flags.weights)
  run = run if flags.truncation is None else _truncated(run, flags.truncation)
  chosen = None if flags.classes is None else _chosen(flags.classes, run, flags.count)
  if flags.count is not None:
    _check_format(flags, run)
  outdir = writable_folder(flags.outdir or pathlib.Path(flags.workdir) / "drawn")
  if flags.count is None:
    _draw_pictures(run, flags.seed, chosen, outdir)
  else:
    print(_draw_set(run, flags, chosen, outdir))
  return OK


def _check(flags):
  """Refuses what can be refused before anything is read."""
  if not 0 <= flags.seed < 2**32:
    raise UserError(f"--seed={flags.seed} must be at least 0 and below 2^32")
  if not flags.workdir:
    raise UserError("--workdir is missing: name the run folder of a training command")
  if flags.count is None:
    refuse_unread(flags, ["format"], "--count")
  elif not 0 < flags.count < 2**31:
    raise UserError(f"--count={flags.count} must be above 0 and below 2^31")
  if flags.truncation is not None and not 0 < flags.truncation <= 1:
    raise UserError(f"--truncation={flags.truncation} must be above 0 and at most 1, which is none")


def _check_format(flags, run):
  if len(run.info.image_shape) == 1 and flags.format != "npz":
    raise UserError(
      f"--format={flags.format} is for images, and this run makes points: give --format=npz"
    )


def _draw_pictures(run, seed, chosen, outdir):
  from gan.training import pictures

  for name, picture in _pictures(run, jax.random.key(seed), seed, chosen):
    pictures.save(picture, outdir / f"{name}.png")
    print(outdir / f"{name}.png")


def _draw_set(run, flags, chosen, outdir) -> pathlib.Path:
  from gan.training import options, sample_set

  takes = run.config.model in _with_truncation()
  truncation = options.value(run.config, "truncation") if takes else None
  more = {"run": flags.workdir, "weights": flags.weights, "truncation": truncation}
  facts = sample_set.describe(run, flags.format, flags.count, flags.seed, chosen or (), more)
  return sample_set.write(run, outdir, facts, lambda line: notify(line, flags))


def _truncated(run, truncation):
  """The run with its generator truncated otherwise than in training; its parameters stay."""
  from gan.training.build import build
  from gan.training.options import with_values

  takers = _with_truncation()
  if run.config.model not in takers:
    raise UserError(
      f"--truncation has no meaning for a run of {run.config.model}; it is for "
      f"{', '.join(takers)}: leave it out"
    )
  config = with_values(run.config, {"truncation": truncation})
  return run._replace(config=config, gan=build(config, run.info).gan)


def _with_truncation() -> list[str]:
  from gan.models import MODELS

  return [name for name, model in MODELS.items() if "truncation" in model.options]


def _chosen(text, run, count) -> list[int]:
  """The classes of a flag, each by its name or, where that is none, by its number."""
  from gan.datasets.base import some

  if not run.config.conditional or (count is None and len(run.info.image_shape) == 1):
    raise UserError("--classes is for images of a run that was trained with labels: leave it out")
  classes = run.info.num_classes
  numbers = {str(i): i for i in range(classes)}
  known = numbers | {name: i for i, name in enumerate(run.class_names)}
  for name in (names := text.split(",")):
    if name not in known:
      choices = some(run.class_names, 50) if run.class_names else f"0 to {classes - 1}"
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
