"""Trains the classifier that gives the metrics of a data set their features.

  python -m experiments.train_classifier --dataset=mnist

Writes its weights in float16 with what they were trained on, and prints the accuracy of these
weights on the test images. An epoch of MNIST takes about 25 seconds on two CPU cores. The same seed
on the same machine gives the same file. Training, sweeps and evaluation take it by --extractor.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from experiments.cli import common
from experiments.cli.command import OK, PATH, Command
from gan.errors import UserError
from gan.system import memory
from gan.system.progress import say
from gan.training.run_folder import writable_file

BATCH_SIZE = 128
LEARNING_RATE = 1e-3
SHIFT = 2  # pixels by which training images are moved at random, at most, to each side


def main(argv=None):
  command = Command(__doc__)
  command.add(str, "dataset", "mnist", "image set with labels, by name", "data")
  command.add(PATH, "data_dir", None, "IDX files, .npz, .zip, images, or a root of these", "data")
  command.add(int, "image_size", None, "side in pixels to which images are resized", "data")
  command.add(
    PATH, "out", None, "file to write (default: runs/extractors/<dataset>.npz)", "records"
  )
  command.add(int, "epochs", 15, "passes over the training images", "training")
  command.add(int, "seed", 0, "of weights, batches and shifts", "training")
  return command.run(lambda: _run(command.values), argv)


def _run(values) -> int:
  from gan import datasets

  _check_values(values)
  if values.out:
    _refuse_other_file(writable_file(values.out))
  common.prepare()
  place = values.data_dir, values.image_size
  train, test = (
    common.with_notice_printed(datasets.load(values.dataset, split, *place), values)
    for split in ("train", "test")
  )
  _check_images(train)
  _check_images(test)
  _check_alike(train, test)
  out = writable_file(values.out or f"runs/extractors/{train.name}.npz")
  params = _fit(train, values.epochs, values.seed)
  about = {"dataset": train.kind, "is_part": bool(train.part_of)}
  about |= {"image_shape": train.images.shape[1:]}
  about |= {"num_classes": train.num_classes, "epochs": values.epochs, "seed": values.seed}
  _write(out, params, about, test)
  return OK


def _refuse_other_file(out):
  """Raises UserError where a file is there that is no extractor, such as a data set."""
  from gan.metrics import extractors

  if out.exists():
    try:
      extractors.load(out)
    except UserError as error:
      raise UserError(f"--out={out} is there and is no extractor: name another file") from error


def _check_values(values):
  if values.epochs < 1:
    raise UserError(f"--epochs={values.epochs} must be above 0")
  if values.image_size is not None and values.image_size < 1:
    raise UserError(f"--image_size={values.image_size} must be above 0")
  # The seed above it is that of the batches.
  if not 0 <= values.seed < 2**32 - 1:
    raise UserError(f"--seed={values.seed} must be at least 0 and below 2^32 - 1")


def _check_images(dataset):
  if dataset.labels is None or dataset.images.ndim != 4:
    raise UserError(f"{dataset.name} has no labelled images, which a classifier learns from")
  if dataset.images.shape[1] % 4:
    raise UserError(
      f"images of {dataset.name} are {dataset.images.shape[1]} pixels wide, which 4 does not divide"
      ": give --image_size"
    )


def _check_alike(train, test):
  if train.images.shape[1:] != test.images.shape[1:]:
    shapes = ["x".join(map(str, part.images.shape[1:])) for part in (train, test)]
    raise UserError(
      f"training images of {train.name} are {shapes[0]}, test images {shapes[1]}: make them equal, "
      "in size by --image_size"
    )


def _write(out, params, about, test):
  """The accuracy is that of the rounded weights, which metrics will use."""
  from gan.metrics import extractors

  extractor = extractors.from_bytes(extractors.to_bytes(params, about), out)
  accuracy = np.mean(extractor.extract(test.images).probabilities.argmax(axis=1) == test.labels)
  content = extractors.to_bytes(params, about | {"test_accuracy": round(float(accuracy), 4)})
  out.write_bytes(content)
  print(f"{out}: {accuracy:.2%} of {len(test.images):,} test images right, {len(content):,} bytes")
  print(f"extractor {extractors.load(out).digest}")


def _fit(dataset, epochs, seed):
  """Adam with decoupled weight decay, the rate falling to 0 along a cosine."""
  from gan.models import classifier

  network = classifier.build(dataset.images.shape[1:], dataset.num_classes)
  batches = _batches(len(dataset.images), epochs, seed)  # [E, S, B]
  rate = optax.cosine_decay_schedule(LEARNING_RATE, batches.shape[0] * batches.shape[1])
  optimizer = optax.adamw(rate, weight_decay=1e-4)
  params, _ = network.init(jax.random.key(seed))
  state = params, optimizer.init(params)
  step = _make_step(network, optimizer, jax.random.key(seed + 1))
  for epoch, chosen in enumerate(batches):
    name = f"epoch {epoch + 1}/{epochs}"
    state, loss = _train_epoch(step, state, dataset, chosen, epoch * len(chosen), name)
    say(f"{name}: loss {loss:.4f}")
  return state[0]


def _batches(count, epochs, seed):
  memory.require(8 * epochs * count, "the order of all examples", "epochs")
  rng, size = np.random.default_rng(seed), min(BATCH_SIZE, count)
  orders = [rng.permutation(count)[: count // size * size] for _ in range(epochs)]
  return np.stack(orders).reshape(epochs, -1, size)


def _train_epoch(step, state, dataset, batches, first, name):
  """Returns the state after the batches [S, B], the first of which has the number `first`."""
  losses = []
  bar = tqdm(batches, name, disable=not sys.stderr.isatty())
  for number, batch in enumerate(bar, start=first):
    state, loss = step(state, dataset.images[batch], dataset.labels[batch], number)
    losses.append(loss)
  return state, np.mean(jax.device_get(losses))


def _make_step(network, optimizer, key):
  from gan.metrics import extractors

  def loss(params, images, labels, key):
    shift_key, dropout_key = jax.random.split(key)
    images = _shifted(extractors.to_range(images), shift_key)
    (_, logits), _ = network.apply(params, {}, images, None, train=True, key=dropout_key)
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))

  @jax.jit
  def step(state, images, labels, number):
    params, opt_state = state
    step_key = jax.random.fold_in(key, number)
    value, grads = jax.value_and_grad(loss)(params, images, labels, step_key)
    changes, opt_state = optimizer.update(grads, opt_state, params)
    return (optax.apply_updates(params, changes), opt_state), value

  return step


def _shifted(images, key):
  """Moves each image by a whole number of pixels; what comes in is a copy of the border."""
  padded = jnp.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="edge")
  shifts = jax.random.randint(key, (len(images), 2), 0, 2 * SHIFT + 1)

  def cut(image, at):
    return jax.lax.dynamic_slice(image, (*at, 0), images.shape[1:])

  return jax.vmap(cut)(padded, shifts)


if __name__ == "__main__":
  sys.exit(main())
