"""Measures a trained generator, or two sets of images, by every metric that applies.

  python -m experiments.evaluate --workdir=runs/nonsat
  python -m experiments.evaluate --real=A.npz --fake=B.npz

Prints a table and writes evaluation.json. A row has the value, its 95 % interval where the metric
has an error (Student's t of ten halves, within the metric's range), and the held-out reference:
what held-out data score in the place of the fakes, or a perfect sampler where that is known. Both
stand at their sample counts. A run is measured by its averaged generator on the data that it was
trained on, which are looked for where they lay, and its discriminator by its accuracy on held-out
and on training data; sets are .npz or .zip files or folders of images, and a test split of the real
ones gives the references. A metric that so few images do not give is left out, with a line.
"""

import pathlib
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from experiments.cli import common, two_sets
from experiments.cli.command import OK, PATH, Command, notify, refuse_unread
from gan.errors import UserError
from gan.system.progress import say
from gan.training.run_folder import WEIGHTS, read_config, writable_folder

TO_STATISTICS = "frechet_to_statistics"


class Subject(NamedTuple):
  """What is measured.

  Attributes:
    draw: gives the fakes; the slowest part, and the last.
    labels: the classes that the fakes are of, where they and the data have some, or None.
    count: number of fakes.
    train: the data set that they stand beside.
    held_out: others of its kind, or None.
    facts: what to call all this, with the split of the data.
    judge: gives the rows of a run's discriminator, and of how many examples they are.
  """

  draw: Callable[[], np.ndarray]
  labels: np.ndarray | None
  count: int
  train: Any
  held_out: Any
  facts: dict[str, Any]
  judge: Callable[[], tuple[dict[str, Any], dict[str, int]]] = lambda: ({}, {})


def main(argv=None):
  command = Command(__doc__)
  command.add(PATH, "workdir", None, "run folder of a training command", "what")
  command.add(PATH, "real", None, ".npz, .zip or folder of real images", "what")
  command.add(PATH, "fake", None, ".npz, .zip or folder of generated images", "what")
  command.add(PATH, "data_dir", None, "where the data set of the run lies", "what")
  command.add(int, "image_size", None, "side in pixels to which all images are resized", "what")
  command.add(PATH, "outdir", None, "of evaluation.json (default: --workdir, or .)", "what")
  command.add(int, "samples", 10_000, "generated images, and reference images, at most", "how")
  command.add(int, "seed", 0, "of latents, reference and resamples", "how")
  command.add(int, "step", None, "of the run's checkpoint (default: the newest)", "how")
  command.add(str, "weights", "ema", "average of the generator, or itself", "how", WEIGHTS)
  command.add(
    str,
    "extractor",
    None,
    "names or files, by commas (default: the run's, else the data set's)",
    "how",
  )
  command.add(
    PATH, "statistics", None, "mu and sigma of real features to measure against, .npz", "what"
  )
  command.add(PATH, "write_statistics", None, "file for those of these real images", "what")
  command.add(str, "metrics", None, "names by commas (default: all that apply)", "how")
  return command.run(lambda: _run(command.values), argv)


def _run(values) -> int:
  from experiments.cli import evaluation_table, features
  from gan.metrics.evaluator import digests
  from gan.metrics.spaces import make_spaces

  _check(values)
  outdir = writable_folder(values.outdir or values.workdir or ".")
  common.prepare()
  subject = _of_run(values) if values.workdir else _of_sets(values)
  used = features.extractors_of(subject, values)
  labelled = subject.labels is not None
  spaces = make_spaces(subject.train, subject.held_out, used, subject.count, values.seed, labelled)
  spaces = features.with_statistics(spaces, values)
  _check_applicable(_chosen(values), spaces)
  features.write_statistics(spaces[0], values)
  facts = subject.facts | _counts(subject, spaces[0].data) | {"seed": values.seed}
  facts |= {"extractor": digests(used)}
  rows, left_out = _measure(spaces, subject.draw(), subject.labels, values)
  of_discriminator, judged = _judged(subject, left_out, values)
  rows |= of_discriminator
  evaluation_table.show(rows, facts, used)
  evaluation_table.write(outdir / "evaluation.json", rows, facts, left_out, used, judged)
  return OK


def _check(values):
  """Refuses what can be refused before anything is read or written."""
  if bool(values.workdir) == bool(values.real or values.fake):
    raise UserError("give --workdir of a run, or --real and --fake")
  if not values.workdir and not (values.real and values.fake):
    raise UserError("--real and --fake belong together: name a .npz, a .zip or a folder for each")
  if not values.workdir:
    refuse_unread(values, ["data_dir", "step", "weights"], "--workdir")
  if values.image_size is not None and values.image_size < 1:
    raise UserError(f"--image_size={values.image_size} must be above 0")
  if values.statistics and _chosen(values) and TO_STATISTICS not in _chosen(values):
    raise UserError(f"--statistics is read by --metrics={TO_STATISTICS} only: give that too")
  if not values.statistics and TO_STATISTICS in _chosen(values):
    raise UserError(f"--metrics={TO_STATISTICS} needs --statistics=FILE")
  if values.samples < 1:
    raise UserError(f"--samples={values.samples} must be above 0")
  if not 0 <= values.seed < 2**32:
    raise UserError(f"--seed={values.seed} must be at least 0 and below 2^32")
  _check_names(_chosen(values))
  if values.workdir:
    read_config(values.workdir)
  for path in filter(None, (values.real, values.fake)):
    if not pathlib.Path(path).exists():
      raise UserError(f"{path} does not exist: name a .npz, a .zip or a folder of images")


def _chosen(values) -> list[str]:
  """The names in --metrics; none where the flag is left out."""
  return [] if values.metrics is None else values.metrics.split(",")


def _check_names(chosen):
  from gan.metrics import METRICS

  for name in chosen:
    if name not in METRICS:
      raise UserError(f"--metrics={name} is unknown: choose from {', '.join(METRICS)}")


def _check_applicable(chosen, spaces):
  applicable = list(dict.fromkeys(name for space in spaces for name in space.metrics()))
  if not (chosen or applicable):
    raise UserError("no metric applies to these data: give --extractor=FILE, or a test split")
  for name in chosen:
    if name not in applicable:
      raise UserError(f"--metrics={name} does not apply here: choose from {', '.join(applicable)}")


def _of_run(values) -> Subject:
  """The averaged generator of a run, beside the data that it was trained on."""
  from gan.datasets import recorded
  from gan.training import restore

  run = restore.find(values.workdir, step=values.step).with_weights(values.weights)
  config = run.config
  train, load = recorded.reopen(read_config(values.workdir), values.workdir, values.data_dir)
  if values.data_dir and not train.path:
    raise UserError(f"--data_dir is not read: {train.kind} needs no files; leave it out")
  train = _sized(train, values)
  trained_on_train = config.split.split("[")[0] == "train"
  facts = {"run": str(values.workdir), "step": int(run.state.step), "dataset": train.name}
  facts |= {
    "weights": values.weights,
    "loss": config.loss,
    "model": config.model,
    "split": config.split,
  }
  rng = np.random.default_rng(values.seed)
  labels = rng.choice(train.labels, values.samples) if config.conditional else None
  subject = Subject(
    draw=lambda: _resized(_draw(run, labels, values), values),
    labels=labels,
    count=values.samples,
    train=train,
    held_out=_held_out(lambda: _sized(load("test"), values), train, values)
    if trained_on_train
    else None,
    facts=facts,
  )
  return subject._replace(judge=lambda: _judge(run, subject, values))


def _judge(run, subject, values):
  """The rows of the discriminator, where held-out data are as it is shown them."""
  from gan.training import judging, passed

  held_out, record = subject.held_out, read_config(values.workdir)
  if held_out is None or (subject.labels is not None and held_out.labels is None):
    return {}, {}
  if values.image_size is not None or _chosen(values) or passed.were_passed(record):
    return {}, {}
  return judging.judge_run(run, subject.train, held_out, subject.labels, values.seed)


def _judged(subject, left_out, values):
  """The rows of the discriminator; where it gives none, that is told and left out."""
  try:
    return subject.judge()
  except UserError as error:
    left_out.append(f"discriminator: {error}")
    notify(f"Left out, {left_out[-1]}", values)
    return {}, {}


def _sized(dataset, values):
  """The data set in --image_size, with what has to be said of it."""
  notify(dataset.notice, values)
  return dataset._replace(images=_resized(dataset.images, values))


def _resized(examples, values):
  from gan.datasets import resize

  if values.image_size is None:
    return examples
  if examples.ndim != 4:
    raise UserError(f"--image_size={values.image_size} is for images, and these are points")
  return resize.resize(examples, values.image_size)


def _draw(run, labels, values):
  from gan.training import sampling

  say(f"Drawing {values.samples:,} samples of step {int(run.state.step)}.")
  return sampling.samples(run.gan, run.state, jax.random.key(values.seed), values.samples, labels)


def _of_sets(values) -> Subject:
  from gan import datasets

  def load(path, split="train"):
    return common.with_notice_printed(
      datasets.load("images", split, path, values.image_size), values
    )

  real, generated = load(values.real), load(values.fake)
  fake, labels = generated.images, two_sets.labels_of_both(real, generated, values)
  two_sets.check_alike(real.images, fake)
  # In random order: files may be sorted by class, which the splits of a score would notice.
  chosen = np.random.default_rng(values.seed).permutation(len(fake))[: values.samples]
  return Subject(
    draw=lambda: fake[chosen],
    labels=None if labels is None else labels[chosen],
    count=len(chosen),
    train=real,
    held_out=_held_out(lambda: load(values.real, "test"), real, values),
    facts={"real": values.real, "fake": values.fake, "split": "train of --real"},
  )


def _held_out(load, train, values):
  try:
    held_out = load()
    shapes = [list(part.images.shape[1:]) for part in (held_out, train)]
    if shapes[0] != shapes[1]:
      raise UserError(f"test images are {shapes[0]}, training images {shapes[1]}")
    return held_out
  except UserError as error:
    notify(f"There are no held-out data for a reference: {error}", values)
    return None


def _counts(subject, data):
  held_out = subject.held_out and min(subject.count, len(subject.held_out.images))
  reference = len(data.reference.examples)
  return {"samples": subject.count, "reference_samples": reference, "held_out_samples": held_out}


def _measure(spaces, examples, labels, values):
  """The rows of all metrics, and the lines on those that these samples do not give."""
  from gan.metrics import evaluation

  rows, left_out = {}, []
  for space in spaces:
    fake = evaluation.extract_features(examples, space.extractor, labels)
    there = space.metrics()
    names = [name for name in _chosen(values) or there if name in there]
    for name in tqdm(names, unit="metric", disable=not sys.stderr.isatty()):
      try:
        found = evaluation.rows(space.data, fake, [name], values.seed)
        rows |= {space.number(number): row for number, row in found.items()}
      except UserError as error:
        if _chosen(values):
          raise UserError(f"{error}; --metrics chooses others") from error
        left_out.append(str(error))
        notify(f"Left out, {error}", values)
  if not rows:
    counts = f"{len(spaces[0].data.reference.examples)} real and {len(examples)} generated images"
    raise UserError(f"no metric can be had of {counts}: take more")
  return rows, left_out


if __name__ == "__main__":
  sys.exit(main())
