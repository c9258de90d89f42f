"""Measures a trained generator, or two sets of images, by every metric that applies.

  python -m experiments.evaluate --workdir=runs/nonsat
  python -m experiments.evaluate --real=A.npz --fake=B.npz

Prints a table and writes evaluation.json. A row has the value, its 95 % interval over resamples
where there is one, and the floor: what held-out data score in the place of the fakes, or a perfect
sampler where that is known. Both stand at their sample counts. A run is measured by its averaged
generator on the data that it was trained on; sets are .npz files or folders of images.
"""

import hashlib
import pathlib
import sys
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from experiments import common
from gan.errors import UserError
from gan.progress import say
from gan.records import read_config, writable_folder, write_json


class Subject(NamedTuple):
  """What is measured: fakes, the data they stand beside, and what to call them."""

  fake: np.ndarray
  train: Any
  held_out: Any
  split: str
  facts: dict[str, Any]


def main(argv=None):
  command = common.Command(__doc__)
  command.add(str, "workdir", None, "run folder of a training command", "what")
  command.add(str, "real", None, ".npz or folder of real images", "what")
  command.add(str, "fake", None, ".npz or folder of generated images", "what")
  command.add(str, "data_dir", None, "where the data set of the run lies", "what")
  command.add(str, "outdir", None, "of evaluation.json (default: --workdir, or .)", "what")
  command.add(int, "samples", 10_000, "generated images, and reference images, at most", "how")
  command.add(int, "seed", 0, "of latents, reference and resamples", "how")
  command.add(str, "extractor", None, "name or file (default: that of the data set)", "how")
  command.add(str, "metrics", None, "names by commas (default: all that apply)", "how")
  return command.run(lambda: _run(command.values), argv)


def _run(values) -> int:
  from gan import evaluate

  _check(values)
  common.use_compilation_cache()
  outdir = writable_folder(values.outdir or values.workdir or ".")
  subject = _of_run(values) if values.workdir else _of_sets(values)
  extractor = _extractor(subject, values)
  data = evaluate.make_data(
    subject.train, subject.held_out, extractor, len(subject.fake), values.seed
  )
  names = _names(values.metrics, evaluate.applicable(data))
  fake = evaluate.see(subject.fake, extractor)
  count, measured, floors = len(subject.fake), {}, {}
  for name in tqdm(names, unit="metric", disable=not sys.stderr.isatty()):
    measured |= evaluate.measure(data, fake, [name], values.seed, errors=True)
    floors |= evaluate.floors(data, [name], count, values.seed)
  facts = subject.facts | {
    "extractor": extractor and extractor.digest,
    "split": subject.split,
    "seed": values.seed,
    "samples": count,
    "reference_samples": len(data.reference.examples),
    "floor_samples": _floor_samples(data, count),
  }
  _print_table(measured, floors, facts)
  _write(outdir / "evaluation.json", measured, floors, facts)
  return common.OK


def _check(values):
  if bool(values.workdir) == bool(values.real or values.fake):
    raise UserError("give --workdir of a run, or --real and --fake")
  if not values.workdir and not (values.real and values.fake):
    raise UserError("--real and --fake belong together: name a .npz or a folder for each")
  if values.samples < 1:
    raise UserError(f"--samples={values.samples} must be above 0")
  if not 0 <= values.seed < 2**32:
    raise UserError(f"--seed={values.seed} must be at least 0 and below 2^32")


def _of_run(values) -> Subject:
  """Draws from the averaged generator of a run, beside the data that it was trained on."""
  from gan import datasets, sampling, trained

  run = trained.load(values.workdir)
  config, name = run.config, run.config.dataset.removesuffix("_subset")
  load = lambda split: datasets.load(name, split, values.data_dir, config.image_size)  # noqa: E731
  train = load(config.split)
  _check_data(train, read_config(values.workdir), values.workdir)
  held_out = load("test") if config.split.split("[")[0] == "train" else None
  labels = None
  if config.conditional:
    labels = np.random.default_rng(values.seed).choice(train.labels, values.samples)
  say(f"Drawing {values.samples:,} samples of step {int(run.state.step)}.")
  key = jax.random.key(values.seed)
  fake = sampling.samples(run.gan, run.state, key, values.samples, labels)
  facts = {"run": str(values.workdir), "step": int(run.state.step), "dataset": train.name}
  facts |= {"loss": config.loss, "model": config.model}
  return Subject(fake, train, held_out, config.split, facts)


def _check_data(train, record, workdir):
  digest = hashlib.sha256(np.ascontiguousarray(train.images).data)
  digest.update(b"" if train.labels is None else np.ascontiguousarray(train.labels).data)
  if digest.hexdigest()[:16] != record["determining"].get("data_sha256"):
    raise UserError(
      f"{train.source} is not what {workdir} was trained on ({record.get('source')}): "
      "name that by --data_dir or GAN_DATA_DIR"
    )


def _of_sets(values) -> Subject:
  """Two sets of images; a test split of the real ones gives the floors."""
  from gan.datasets import local

  real, fake = (_load_set(path) for path in (values.real, values.fake))
  if real.images.shape[1:] != fake.images.shape[1:]:
    shapes = [list(images.shape[1:]) for images in (real.images, fake.images)]
    raise UserError(f"images of --real are {shapes[0]}, of --fake {shapes[1]}: give equal ones")
  try:
    held_out = local.load("held_out", "test", pathlib.Path(values.real), None)
  except UserError:
    held_out = None
  order = np.random.default_rng(values.seed).permutation(len(fake.images))
  facts = {"real": values.real, "fake": values.fake}
  return Subject(
    fake.images[np.sort(order[: values.samples])], real, held_out, "train of --real", facts
  )


def _load_set(path):
  from gan.datasets import local

  if not pathlib.Path(path).exists():
    raise UserError(f"{path} does not exist: name a .npz or a folder of images")
  return local.load("images", "train", pathlib.Path(path), None)


def _extractor(subject, values):
  from gan import features

  if values.extractor is None:
    extractor, notice = _default_extractor(subject.train)
    if notice:
      say(f"Metrics of features are left out: {notice}; --extractor=FILE names one.")
    return extractor
  extractor = features.load(values.extractor)
  expected = features.for_dataset(subject.train.name)
  if values.workdir and extractor.dataset != expected:
    raise UserError(
      f"--extractor={values.extractor} was trained on {extractor.dataset}, the run on "
      f"{subject.train.name}: its features mean nothing there; leave the flag out or name another"
    )
  return extractor


def _default_extractor(train):
  """The data set's own; for images of no name but MNIST's size that of MNIST, with a notice."""
  from gan import evaluate, features

  if train.name != "images":
    return evaluate.find_extractor(train)
  if train.images.shape[1:3] != (28, 28):
    return None, "none comes with the package for images of this size"
  say("Features are those of the extractor of MNIST; --extractor names another.")
  return features.load("mnist"), ""


def _names(chosen, applicable):
  from gan.metrics import METRICS

  if chosen is None:
    return applicable
  for name in chosen.split(","):
    if name not in METRICS:
      raise UserError(f"--metrics={name} is unknown: choose from {', '.join(METRICS)}")
    if name not in applicable:
      raise UserError(f"--metrics={name} does not apply here: choose from {', '.join(applicable)}")
  return chosen.split(",")


def _floor_samples(data, count):
  return None if data.held_out is None else min(count, len(data.held_out.examples))


def _print_table(measured, floors, facts):
  print(", ".join(f"{name} {value}" for name, value in facts.items()))
  print(f"{'metric':24}{'value':>12}  {'95 % interval':24}{'floor':>12}  better")
  for name, row in _rows(measured, floors).items():
    interval = "" if row["low"] is None else f"{row['low']:.5g} to {row['high']:.5g}"
    floor = "" if row["floor"] is None else f"{row['floor']:.5g}"
    print(f"{name:24}{row['value']:12.5g}  {interval:24}{floor:>12}  {row['better'] or ''}")


def _rows(measured, floors):
  from gan import evaluate

  return {
    name: {
      "value": value.value,
      **_interval(value),
      "floor": floors[name].value if name in floors else None,
      "better": evaluate.better(name),
    }
    for name, value in measured.items()
  }


def _interval(value):
  if value.standard_error is None:
    return {"low": None, "high": None}
  half = 1.96 * value.standard_error
  return {"low": value.value - half, "high": value.value + half}


def _write(path, measured, floors, facts):
  """evaluation.json: each value with all that it depends on."""
  rows = {name: row | facts for name, row in _rows(measured, floors).items()}
  write_json(path, {**facts, "metrics": rows})
  say(f"Written: {path}")


if __name__ == "__main__":
  sys.exit(main())
