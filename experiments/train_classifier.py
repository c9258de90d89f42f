"""Trains the classifier that gives the metrics of a data set their features.

  python -m experiments.train_classifier --dataset=mnist
  python -m experiments.train_classifier --dataset=images --data_dir=FOLDER --image_size=32

Writes its weights in float16 with what they were trained on, and prints the accuracy of these
weights on the test images, and what test images score by each metric in the place of generated
ones: no generator is told from data below that. Grey images get a plain network; others, and sides
that 4 does not divide, a residual one, whose images are mirrored if they are in colour. A set
without a test split keeps a tenth for it. An epoch takes about 25 seconds for MNIST on two CPU
cores, and three minutes for CIFAR-10. The same seed on the same machine gives the same file; the
same command again continues one that was stopped. Training, sweeps and evaluation take the file by
--extractor.
"""

import contextlib
import io
import json
import math
import pathlib
import sys
from typing import Any

import jax
import numpy as np

from experiments.cli import common
from experiments.cli.command import OK, PATH, Command
from gan.datasets.base import digest
from gan.errors import UserError
from gan.system.archive import Archive
from gan.system.files import replacing
from gan.system.progress import CountProgress, say
from gan.training.interrupts import interrupts, stop_here
from gan.training.run_folder import writable_file

HELD_OUT = 10  # one example in so many tests, where there is no test split
COUNTS = 2_000, 10_000  # of test images beside training images
UNFINISHED = ".unfinished"  # ending of the file from which training continues
EPOCHS, STEPS = 15, 300  # by default at least so many of both
SAVE_EVERY = 200  # steps


def main(argv=None):
  command = Command(__doc__)
  command.add(str, "dataset", "mnist", "image set with labels, by name", "data")
  command.add(PATH, "data_dir", None, "IDX files, .npz, .zip, images, or a root of these", "data")
  command.add(int, "image_size", None, "side in pixels to which images are resized", "data")
  command.add(
    PATH, "out", None, "file to write (default: runs/extractors/<dataset>.npz)", "records"
  )
  command.add(
    int, "epochs", None, "passes over the images (default: 15, or 300 steps of few)", "training"
  )
  command.add(
    bool, "mirror", None, "reflect images at random (default: those in colour)", "training"
  )
  command.add(int, "seed", 0, "of weights, batches, shifts and reflections", "training")
  return command.run(lambda: _run(command.values), argv)


def _run(values) -> int:
  _check_values(values)
  if values.out:
    _refuse_other_file(writable_file(values.out))
  common.prepare()
  train, test = _data(values)
  about = _about(train, values)
  _check_images(train, about["network"])
  _check_same_data(values, about, train.name)
  out = writable_file(_out(values, train.name))
  with interrupts():
    params = _fit(train, about, pathlib.Path(f"{out}{UNFINISHED}"))
  _write(out, params, about, train, test)
  return OK


def _about(train, values) -> dict[str, Any]:
  """What the file says of itself, but for the accuracy."""
  from gan.metrics import extractors
  from gan.metrics.extractors import training

  height, width, channels = train.images.shape[1:]
  colour = channels > 1 and train.kind not in extractors.STACKED
  network = "residual" if channels > 1 or height % 4 or width % 4 else "plain"
  recipe = training.RECIPES[network]
  return {
    "dataset": train.kind,
    "is_part": bool(train.part_of),
    "image_shape": [height, width, channels],
    "num_classes": train.num_classes,
    "epochs": values.epochs or _default_epochs(len(train.images), recipe),
    "seed": values.seed,
    "network": network,
    # Folders of one's own have one name, and those of a published set the same images.
    **({} if train.kind in extractors.shipped() else {"data": digest(train)}),
    "mirror": colour if values.mirror is None else values.mirror,
  }


def _default_epochs(count, recipe) -> int:
  steps = max(count // recipe.batch_size, 1)
  return max(EPOCHS, math.ceil(STEPS / steps))


def _data(values) -> tuple[Any, Any]:
  """Training and test images with labels, of one shape."""
  from gan import datasets

  def load(split):
    place = values.data_dir, values.image_size
    return common.with_notice_printed(datasets.load(values.dataset, split, *place), values)

  train = load("train")
  _check_labels(train)
  try:
    test = load("test")
  except UserError as error:
    say(f"One image in {HELD_OUT} is kept for the test: {error}")
    train, test = _split(train, values.seed)
  _check_labels(test)
  _check_alike(train, test)
  return train, test


def _split(dataset, seed) -> tuple[Any, Any]:
  order = np.random.default_rng([seed, HELD_OUT]).permutation(len(dataset.images))
  count = len(order) // HELD_OUT
  if not count:
    raise UserError(
      f"{dataset.name} has {len(order)} images and no test split: a tenth of them is none; give "
      f"at least {HELD_OUT} images"
    )
  return tuple(
    dataset._replace(images=dataset.images[chosen], labels=dataset.labels[chosen])
    for chosen in (np.sort(order[count:]), np.sort(order[:count]))
  )


def _refuse_other_file(out):
  """Raises UserError where a file is there that is no extractor, such as a data set."""
  from gan.metrics import extractors

  if out.exists():
    try:
      extractors.load(out)
    except UserError as error:
      raise UserError(f"--out={out} is there and is no extractor: name another file") from error


def _check_values(values):
  if values.epochs is not None and values.epochs < 1:
    raise UserError(f"--epochs={values.epochs} must be above 0")
  if values.image_size is not None and values.image_size < 1:
    raise UserError(f"--image_size={values.image_size} must be above 0")
  # The seed above it is that of the batches.
  if not 0 <= values.seed < 2**32 - 1:
    raise UserError(f"--seed={values.seed} must be at least 0 and below 2^32 - 1")


def _check_labels(dataset):
  if dataset.labels is None or dataset.images.ndim != 4:
    raise UserError(
      f"{dataset.name} has no labelled images, which a classifier learns from: sort them into one "
      "folder for each class, or measure a run by an extractor that there is"
    )


def _check_images(dataset, network):
  if dataset.num_classes < 2:
    raise UserError(f"{dataset.name} has one class, and a classifier tells at least two apart")
  from gan.models.residual_classifier import SMALLEST_SIDE

  side = min(dataset.images.shape[1:3])
  if network == "residual" and side < SMALLEST_SIDE:
    raise UserError(
      f"images of {dataset.name} have a side of {side} pixels, and at least {SMALLEST_SIDE} are "
      "needed: give --image_size"
    )


def _check_same_data(values, about, name):
  """Refuses to write over the classifier of other images."""
  from gan.metrics import extractors

  out = _out(values, name)
  if out.exists() and "data" in about:
    there = extractors.load(out).about.get("data")
    if there != about["data"]:
      raise UserError(f"{out} is of other images: name another file by --out")


def _out(values, name) -> pathlib.Path:
  return pathlib.Path(values.out or f"runs/extractors/{name}.npz")


def _check_alike(train, test):
  if train.images.shape[1:] != test.images.shape[1:]:
    shapes = ["x".join(map(str, part.images.shape[1:])) for part in (train, test)]
    raise UserError(
      f"training images of {train.name} are {shapes[0]}, test images {shapes[1]}: make them equal, "
      "in size by --image_size"
    )


def _fit(dataset, about, unfinished) -> Any:
  """Returns the parameters as they are saved; continues from the file `unfinished` if it can."""
  from gan.metrics.extractors import training

  recipe, seed, epochs = training.RECIPES[about["network"]], about["seed"], about["epochs"]
  count, shape = len(dataset.images), dataset.images.shape[1:]
  chosen = training.orders(count, recipe.batch_size, epochs, seed)
  state = training.start(recipe, shape, dataset.num_classes, len(chosen), seed)
  made = about if "data" in about else about | {"data": digest(dataset)}
  state = _continued(unfinished, state, made)
  losses = []
  steps = training.train(
    recipe,
    dataset.images,
    dataset.labels,
    about["num_classes"],
    chosen,
    seed,
    about["mirror"],
    state,
  )
  with CountProgress("training", len(chosen), state.step, "step") as progress:
    for state, loss in steps:
      losses.append(loss)
      if state.step % (len(chosen) // epochs) == 0:
        say(f"epoch {state.step * epochs // len(chosen)}/{epochs}: loss {_mean(losses):.4f}")
        losses = []
      if state.step % SAVE_EVERY == 0:
        _save(unfinished, state, made)
      progress.advance(1)
      _stop_if_asked(unfinished, state, made)
  return recipe.finish(state.params, state.model_state)


def _mean(losses) -> float:
  return float(np.mean(jax.device_get(losses)))


def _stop_if_asked(unfinished, state, made):
  try:
    stop_here()
  except KeyboardInterrupt:
    _save(unfinished, state, made)
    say(f"Stopped at step {state.step}; the same command continues.")
    raise


def _save(path, state, made):
  """Writes a state from which training continues; whole under its name, or not at all."""
  leaves = jax.device_get(jax.tree.leaves(state[:3]))
  arrays = {str(number): leaf for number, leaf in enumerate(leaves)}
  file = io.BytesIO()
  np.savez(file, made=json.dumps(made, sort_keys=True), step=state.step, **arrays)
  with replacing(path) as whole:
    whole.write(file.getvalue())


def _continued(path, state, made) -> Any:
  """The state of the same training in a file, or the one given."""
  if not path.exists():
    return state
  leaves, structure = jax.tree.flatten(state[:3])
  with contextlib.suppress(UserError, KeyError), Archive(path, str(path)) as archive:
    found = [archive[str(number)] for number in range(len(leaves))]
    same = str(archive["made"]) == json.dumps(made, sort_keys=True)
    if same and [a.shape for a in found] == [np.shape(leaf) for leaf in leaves]:
      step = int(archive["step"])
      say(f"Continuing at step {step}.")
      return type(state)(*jax.tree.unflatten(structure, found), step)
  raise UserError(f"{path} is of another training: remove it, or name another --out")


def _write(out, params, about, train, test):
  """The accuracy is that of the rounded weights, which metrics will use."""
  from gan.metrics import extractors

  extractor = extractors.from_bytes(extractors.to_bytes(params, about), out)
  accuracy = np.mean(extractor.extract(test.images).probabilities.argmax(axis=1) == test.labels)
  content = extractors.to_bytes(params, about | {"test_accuracy": round(float(accuracy), 4)})
  with replacing(out) as file:
    file.write(content)
  pathlib.Path(f"{out}{UNFINISHED}").unlink(missing_ok=True)
  print(f"{out}: {accuracy:.2%} of {len(test.images):,} test images right, {len(content):,} bytes")
  extractor = extractors.load(out)
  print(f"extractor {extractor.digest}")
  _print_references(extractor, train, test)


def _print_references(extractor, train, test):
  """What test images score in the place of generated ones, at the counts that there are."""
  from gan.metrics import evaluation

  for count in sorted({min(count, len(test.images)) for count in COUNTS}):
    data = evaluation.make_data(train, test, extractor, count, 0)
    print(f"{count:,} test images beside {len(data.reference.examples):,} training images:")
    for name in evaluation.applicable(data):
      try:
        values = evaluation.held_out_references(data, [name], count, 0)
      except UserError as error:
        say(f"Left out, {error}")
        continue
      for number, value in values.items():
        print(f"  {number:24}{value.value:12.5g}")


if __name__ == "__main__":
  sys.exit(main())
