"""Training a game that is passed, and not described by a config of names."""

import dataclasses
import os
import pathlib
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from gan import datasets
from gan.datasets import Dataset
from gan.datasets.base import as_array, as_labels
from gan.errors import UserError
from gan.losses import LOSSES
from gan.method.examples import made_shape
from gan.method.game import GAME, Batch, Game
from gan.metrics.extractors import Extractor, check_all
from gan.state import GanState
from gan.system import memory, schema
from gan.system.progress import say
from gan.training import loop, measuring, passed, program, restore, starting
from gan.training.arguments import raising_arguments, saying_arguments
from gan.training.build import Algorithm, DataInfo
from gan.training.config import Config
from gan.training.run_folder import PROGRAM, named_folder, read_config
from gan.training.setting import GAME_IDENTITY_FIELDS, Setting, make_evaluators
from gan.training.validation import validate_field
from gan.training.writers import chosen

ARGUMENTS = frozenset({"workdir", *(field.name for field in dataclasses.fields(Config))})


@raising_arguments(ARGUMENTS)
def fit(
  game: Game,
  images: np.ndarray,
  *,
  steps: int,
  workdir: str | os.PathLike,
  labels: Int[np.ndarray, " n"] | None = None,
  name: str = "images",
  extractor: Extractor | str | os.PathLike | Sequence[Extractor] | None = None,
  writers: Any = (),
  init_from: str | os.PathLike | restore.LoadedRun | None = None,
  say: Callable[[str], None] = say,
  **options: Any,
) -> restore.LoadedRun:
  """Trains a game up to `steps`, from where the folder's last whole checkpoint stands.

  The run folder is that of a command: records, pictures, checkpoints, and the same call again
  continues, to the same bits. No code is kept in it, but a digest of what the game computes: one
  that computes something else is refused there.

  Args:
    game: what is played.
    images: uint8 [N, H, W, C], or [N, H, W], in 0 .. 255; float32 [N, H, W, C] in the game's image
      range; or float32 points [N, 2].
    steps: updates of the generator in all.
    workdir: the run folder; one that belongs to another run is refused.
    labels: [N] integers from 0 on, which a game with classes is given.
    name: of the data, in records and pictures.
    extractor: of the metrics' features where `eval_every` is above 0: a shipped name, a file of
      experiments.train_classifier, several of these with commas between them, or one or more of
      `gan.Extractor`; by default the shipped one that fits the data, if one does.
    writers: that take the numbers and pictures too: names of `gan.WRITERS`, functions of a
      `Session`, or objects with the methods of a `Writer` (gan.training.writer).
    init_from: what to start from: RUN or RUN:PART of a run folder, an export or its file, PART one
      of generator, discriminator, both, ema; or a run that was loaded. Arrays are taken that have
      the same name and shape.
    say: prints one line to the user.
    **options: of a run, as in Config: seed, batch_size, discriminator_steps, log_every,
      sample_every, eval_every, eval_samples, checkpoint_every, parallel, data_on, steps_per_call.

  Returns:
    The run, with `summary` and `sample`.

  Raises:
    UserError: anything that the user can put right; nothing on disk is lost.

  Examples:
    >>> import gan, jax, numpy as np
    >>> players = gan.models.build("points", gan.ModelSpec((2,), latent_dim=4, width=8))
    >>> points = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    >>> game = gan.Game(**players._asdict())
    >>> run = gan.fit(game, points, steps=2, workdir="runs/mine", batch_size=16)
    >>> run.summary["status"], run.sample(8, jax.random.key(0)).shape
    ('finished', (8, 2))
  """
  schema.check("game", game, GAME)
  if not callable(say):
    raise UserError(f"`say={say!r}` must be a function that takes a line of text, such as print")
  if isinstance(jax.numpy.zeros(()), jax.core.Tracer):
    raise UserError(
      "gan.fit writes files and cannot be traced: call it outside of jax.jit, or game.step in it"
    )
  if game.axis_name != ():
    raise UserError(
      "`axis_name` of the game is chosen by gan.fit, as `parallel` says: leave it out"
    )
  say = saying_arguments(say, ARGUMENTS)
  workdir, asked = named_folder(workdir), chosen(writers)
  dataset = _dataset(game, images, labels, name)
  if empty := datasets.base.empty_classes(dataset):
    say(empty)
  source: starting.Given | None = (
    os.fspath(init_from) if isinstance(init_from, os.PathLike) else init_from
  )
  options = options | {"init_from": starting.placed(source)}
  config, named = _measured(_config(game, name, steps, options), extractor)
  measuring.check(named, config, dataset, say)
  shape = dataset.images.shape[1:]
  info = DataInfo(shape, dataset.num_classes, len(dataset.images), pixel_mean=None)

  def make(folder: os.PathLike, axis_name: Any) -> loop.Made:
    placed = game.replace(axis_name=axis_name)
    algorithm = Algorithm(placed.init, placed.step, placed.gan)
    memory.require_training(config, algorithm.init, shape)
    _check_state(jax.eval_shape(algorithm.init, jax.random.key(0)))
    data = Batch(dataset.images, dataset.labels if config.conditional else None)
    described = program.describe(game, config, info)
    start = starting.begin(source, config.model, algorithm.init, pathlib.Path(folder), say)
    return Setting(
      dataset,
      info,
      algorithm,
      datasets.digest(dataset),
      data,
      make_evaluators(config, dataset, say, named),
      lambda config: game.default_hyperparameters(),
      passed.names_there(folder, passed.describe(game), described),
      {
        PROGRAM: described,
        passed.FIELD: passed.references(game),
      },
      named,
      writers=asked,
      start=start,
    ), config

  summary = loop.run_in(workdir, config, make, command="gan.fit", say=say)
  try:
    return restore.read(workdir, read_config(workdir), game, None, say)._replace(summary=summary)
  except UserError:
    if not summary["status"].startswith("diverged"):
      raise
    return restore.LoadedRun(config, info, game.gan, None, summary=summary)


def _measured(config: Config, extractor: Any) -> tuple[Config, tuple[Extractor, ...]]:
  """The config with the names of extractors, if they have any, and the extractors."""
  if isinstance(extractor, os.PathLike):
    extractor = os.fspath(extractor)
  if extractor is None or isinstance(extractor, str):
    config = dataclasses.replace(config, extractor=extractor)
    return config, measuring.read(config)
  named = (extractor,) if isinstance(extractor, Extractor) else extractor
  if not isinstance(named, (tuple, list)) or not all(isinstance(it, Extractor) for it in named):
    what = reprlib.repr(extractor)
    raise UserError(f"`extractor={what}` must be a name, a file, or one or more of gan.Extractor")
  measuring.check_read(config)
  check_all(named)
  return config, tuple(named)


def _check_state(state: GanState) -> None:
  """Raises UserError where a state holds what no checkpoint can."""
  keys = [
    jax.tree_util.keystr(path, simple=True, separator="/")
    for path, leaf in jax.tree.leaves_with_path(state)
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
  ]
  if keys:
    raise UserError(
      f"the state holds random keys, which no checkpoint can hold, in {', '.join(keys)}: keep "
      "their numbers, `jax.random.key_data(key)`, or use an optimizer without noise of its own"
    )


def _dataset(game: Game, images: Any, labels: Any, name: str) -> Dataset:
  images = as_array("images", images)
  if images.dtype == np.uint8:
    images = datasets.base.as_images(images, "images")
  else:
    _check_floats(game, images)
  if (made := made_shape(game)) != images.shape[1:]:
    raise UserError(
      f"images are {list(images.shape[1:])} each, and the generator of the game makes "
      f"{list(made)}: give images of that size, or another generator"
    )
  if labels is not None and not game.num_classes:
    raise UserError("labels are for a game with classes: leave them out, or give it `num_classes`")
  labels = None if labels is None else as_labels(as_array("labels", labels), len(images), "labels")
  if game.num_classes and (labels is None or labels.max() >= game.num_classes):
    raise UserError(f"the game has {game.num_classes} classes: give labels from 0 to that less 1")
  return Dataset(name, images, labels, game.num_classes, "an array that was passed")


def _check_floats(game: Game, images: np.ndarray) -> None:
  low, high = game.image_range
  points = images.ndim == 2 and images.shape[1] == 2
  if images.dtype != np.float32 or not (points or images.ndim == 4) or not len(images):
    raise UserError(
      f"images are {images.dtype} {list(images.shape)}: give uint8 [N, H, W, C], float32 "
      "[N, H, W, C] in the game's image range, or float32 points [N, 2]"
    )
  if not np.isfinite(images).all():
    raise UserError("images hold numbers that are not finite")
  rounding = 1e-6 * (high - low)  # of images that were scaled in float32
  if not points and (images.min() < low - rounding or images.max() > high + rounding):
    raise UserError(
      f"images are from {images.min():g} to {images.max():g}, and the game's image_range is "
      f"({low:g}, {high:g}): scale one to the other"
    )


def _config(game: Game, name: str, steps: int, options: Mapping[str, Any]) -> Config:
  if not (isinstance(name, str) and name.isprintable()):
    raise UserError(f"`name={name!r}` must be a line of text, what to call the data")
  own = {"dataset", "split", "conditional", "loss", "model", "steps", "extractor"}
  known = set(GAME_IDENTITY_FIELDS) - own
  if unknown := sorted(set(options) - known):
    raise UserError(f"{', '.join(unknown)} unknown: options are {', '.join(sorted(known))}")
  options = dict(options)
  # The players' own batch statistics know of no mapped axis: the whole batch is in one program.
  options.setdefault("parallel", "jit" if len(jax.devices()) > 1 else "none")
  sizes = {size: getattr(game, size) for size in ("packing", "generator_batch_size", "accumulate")}
  config = Config(
    dataset=name,
    steps=steps,
    loss=_loss_name(game),
    model="passed",
    conditional=game.num_classes > 0,
    **sizes,
    **options,
  )
  for field in dataclasses.fields(Config):
    if field.name in {*known, "steps"}:
      validate_field(field, getattr(config, field.name))
  return config


def _loss_name(game: Game) -> str:
  found = [name for name, loss in LOSSES.items() if loss is game.loss]
  return found[0] if found else "passed"
