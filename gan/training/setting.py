"""What a run is built from: its data, its method, and what config.json says of both."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gan import datasets
from gan.datasets import recorded
from gan.errors import UserError
from gan.method.game import Batch
from gan.metrics.evaluator import Evaluator, make_evaluator
from gan.metrics.extractors import Extractor
from gan.state import Hyperparameters
from gan.system import memory
from gan.training import heldout, measuring, plugins, run_format, starting
from gan.training.build import Algorithm, DataInfo, build, hyperparameters
from gan.training.config import Config, images_per_step
from gan.training.interrupts import at_once, stop_here
from gan.training.options import fields
from gan.training.parts import fingerprint, identity
from gan.training.run_folder import CONFIG, read_config
from gan.training.writers import Chosen, chosen


class Setting(NamedTuple):
  """The data set and the algorithm that runs of one compiled program share.

  Attributes:
    dataset: what they are trained on.
    info: what a model needs to know of it.
    algorithm: their init, their step and their players.
    data_sha256: names its images and labels.
    data: the data set as the step takes it, with labels where the runs are conditional.
    evaluator: `seed -> Evaluator`, or None where they do not measure themselves.
    numbers: `config -> Hyperparameters` of a run.
    parts: what the game was made of where it was passed and not named; {} for named parts.
    passed: further fields of config.json on such a game; {} for named parts.
    named: the extractors that were named for the metrics.
    judge: of the discriminator on held-out data, see `heldout.make_judge`; or None.
    writers: that each run tells of its records, beside its folder.
    start: what the runs begin with, or None where they draw it.
  """

  dataset: datasets.Dataset
  info: DataInfo
  algorithm: Algorithm
  data_sha256: str
  data: Batch
  evaluator: Callable[[int], Evaluator | None]
  numbers: Callable[[Config], Hyperparameters] = hyperparameters
  parts: dict[str, str] = {}
  passed: dict[str, Any] = {}
  named: tuple[Extractor, ...] = ()
  judge: heldout.Judge | None = None
  writers: tuple[Chosen, ...] = ()
  start: starting.Beginning | None = None


def load_data(
  config: Config, data_dir: str | None, say: Callable[[str], None]
) -> tuple[datasets.Dataset, Config]:
  """Returns (the data set, the config with its own name in the place of "auto")."""
  with at_once():
    dataset = datasets.load(config.dataset, config.split, data_dir, config.image_size)
  stop_here()
  if dataset.notice:
    say(dataset.notice)
  return dataset, dataclasses.replace(config, dataset=dataset.name)


def describe(config: Config, dataset: datasets.Dataset) -> DataInfo:
  """Returns what a model needs to know of a data set.

  Raises:
    UserError: labels are asked for and there are none.
  """
  if config.conditional and dataset.labels is None:
    raise UserError(f"--conditional needs labels, and {dataset.name} has none ({dataset.source})")
  points = dataset.images.ndim == 2
  mean = None if points else dataset.images.mean(axis=0, dtype=np.float64) / 255
  classes, labels = dataset.num_classes, dataset.labels
  counts = None if labels is None else np.bincount(labels, minlength=classes)
  return DataInfo(dataset.images.shape[1:], classes, len(dataset.images), mean, counts)


def fix_schedule(config: Config, folder: pathlib.Path) -> Config:
  """Returns the config with `schedule_images` set: the length of its schedules at the run's start.

  Args:
    config: what to run; `steps` may be more than at the start.
    folder: of the run, new or not.
  """
  if not config.schedules or config.schedule_images:
    return config
  images = config.steps * images_per_step(config)
  if (folder / CONFIG).exists():
    images = read_config(folder)["config"].get("schedule_images") or images
  return dataclasses.replace(config, schedule_images=images)


VARIED = ("data", "model", "loss", "training")  # groups of options that a run is called by
# Fields of the identity of a run whose game was passed; the game's parts are described beside them.
GAME_IDENTITY_FIELDS = (
  "dataset",
  "split",
  "conditional",
  "loss",
  "model",
  "discriminator_steps",
  "batch_size",
  "steps",
  "seed",
  "init_from",
  "parallel",
  "data_on",
  "steps_per_call",
  "log_every",
  "sample_every",
  "eval_every",
  "eval_samples",
  "extractor",
  "checkpoint_every",
)


def config_record(config: Config, setting: Setting, command: str) -> dict[str, Any]:
  """Returns what config.json holds: all fields, those that the result depends on, and the data.

  Args:
    config: of the run.
    setting: what it is built from.
    command: what the user typed.
  """
  info, dataset = setting.info, setting.dataset
  values, identity_fields = dataclasses.asdict(config), identity(config)
  values["extractor"] = measuring.place(config.extractor)
  if setting.parts:
    values, identity_fields = (
      {name: value for name, value in each.items() if name in GAME_IDENTITY_FIELDS}
      for each in (values, identity_fields)
    )
    identity_fields |= {f"game {name}": what for name, what in setting.parts.items()}
  identity_fields |= shared_identity(setting)
  named = {"class_names": list(dataset.class_names)} if dataset.class_names else {}
  return {
    run_format.FIELD: run_format.FORMAT,
    "fingerprint": fingerprint(identity_fields),
    "command": command,
    "source": dataset.source,
    "image_shape": list(info.image_shape),
    "num_classes": info.num_classes,
    **named,
    "num_examples": info.num_examples,
    "config": values,
    "determining": identity_fields,
    **recorded.describe(dataset, setting.data_sha256),
    **setting.passed,
    **plugins.record(),
  }


def hparams(record: dict[str, Any]) -> dict[str, Any]:
  """Returns what writers call a run by: what it depends on, but for what no sweep could vary.

  Args:
    record: of `config_record`.
  """
  groups = {name: field.metadata["group"] for name, field in fields().items()}
  values = {**record["determining"], **record["config"]}
  return {
    name: value
    for name, value in values.items()
    if (groups.get(name) in VARIED or name.startswith("game ")) and value not in (None, "")
  }


def shared_identity(setting: Setting) -> dict[str, str]:
  """Returns what the results of all runs of a setting depend on beside their configs."""
  start = setting.start.identity if setting.start else {}
  return {"data_sha256": setting.data_sha256, **measuring.identity(setting.named), **start}


def make_setting(
  config: Config,
  dataset: datasets.Dataset,
  axis_name: Any,
  say: Callable[[str], None],
  folder: pathlib.Path | None = None,
) -> Setting:
  """Returns what runs of a config are built from; they may differ in seeds and hyper-parameters.

  Args:
    config: of one of them.
    dataset: what they are trained on.
    axis_name: mapped axes that hold the rest of a batch.
    say: prints one line to the user, on where it starts, or where it cannot measure itself.
    folder: of the run, new or not; None for runs of several folders.

  Raises:
    UserError: the model cannot make such images, there are no labels, no memory holds it, the
      extractor that is named takes other images, there is no such held-out split, the package of
      a writer is missing, or there is nothing to start from.
  """
  named = measuring.read(config)
  measuring.check(named, config, dataset, say)
  info = describe(config, dataset)
  algorithm = build(config, info, axis_name)
  memory.require_training(config, algorithm.init, info.image_shape)
  start = starting.begin(config.init_from, config.model, algorithm.init, folder, say)
  judge = heldout.make_judge(config, algorithm.gan, dataset)
  data = Batch(dataset.images, dataset.labels if config.conditional else None)
  evaluators, sha256 = make_evaluators(config, dataset, say, named), datasets.digest(dataset)
  return Setting(
    dataset,
    info,
    algorithm,
    sha256,
    data,
    evaluators,
    named=named,
    judge=judge,
    writers=chosen(config.log),
    start=start,
  )


def make_evaluators(
  config: Config,
  dataset: datasets.Dataset,
  say: Callable[[str], None],
  named: tuple[Extractor, ...] = (),
) -> Callable[[int], Evaluator | None]:
  """Returns `seed -> Evaluator`, each made once; None where a run cannot measure itself.

  Raises:
    UserError: there is no such part of the data as `reference_split` names.
  """
  made, reference = {}, _reference(config, dataset)

  def evaluator(seed: int) -> Evaluator | None:
    if config.eval_every and seed not in made:
      what = reference, config.reference_split or config.split, config.eval_samples
      made[seed], notice = make_evaluator(*what, seed, named)
      if notice:
        say(notice)
    return made.get(seed)

  return evaluator


def _reference(config: Config, dataset: datasets.Dataset) -> datasets.Dataset:
  """The data that the metrics set beside samples: those of training, or another part of them."""
  if config.reference_split is None:
    return dataset
  asked = dataset.asked
  return datasets.load(asked.dataset, config.reference_split, asked.data_dir, asked.image_size)
