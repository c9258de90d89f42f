"""Trains the classifier that gives the metrics of a data set their features.

  python -m experiments.train_classifier --dataset=mnist --out=gan/extractors/mnist.npz

Writes its weights in float16 with what they were trained on, and prints the accuracy of these
weights on the test images. An epoch of MNIST takes about 25 seconds on two CPU cores. The same seed
on the same machine gives the same file. Metrics use another than the shipped file by --extractor.
"""

import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from experiments import common
from gan.errors import UserError
from gan.progress import say
from gan.records import writable_folder

BATCH_SIZE = 128
LEARNING_RATE = 1e-3
SHIFT = 2  # pixels by which training images are moved at random, at most, to each side


def main(argv=None):
  command = common.Command(__doc__)
  command.add(str, "dataset", "mnist", "image set with labels, by name", "data")
  command.add(str, "data_dir", None, "IDX files, .npz, images, or a root of such folders", "data")
  command.add(str, "out", None, "file to write (default: runs/extractors/<dataset>.npz)", "records")
  command.add(int, "epochs", 15, "passes over the training images", "training")
  command.add(int, "seed", 0, "of weights, batches and shifts", "training")
  return command.run(lambda: _run(command.values), argv)


def _run(values) -> int:
  from gan import datasets, features

  if values.epochs < 1:
    raise UserError(f"--epochs={values.epochs} must be above 0")
  if not 0 <= values.seed < 2**32:
    raise UserError(f"--seed={values.seed} must be at least 0 and below 2^32")
  common.use_compilation_cache()
  train, test = (datasets.load(values.dataset, s, values.data_dir) for s in ("train", "test"))
  _check(train)
  out = pathlib.Path(values.out or f"runs/extractors/{train.name}.npz")
  writable_folder(out.parent)
  params = _fit(train, values.epochs, values.seed)
  about = {"dataset": train.name, "image_shape": train.images.shape[1:]}
  about |= {"num_classes": train.num_classes, "epochs": values.epochs, "seed": values.seed}
  features.save(out, params, about)
  extractor = features.load(str(out))
  accuracy = np.mean(extractor.extract(test.images).probabilities.argmax(1) == test.labels)
  features.save(out, params, about | {"test_accuracy": round(float(accuracy), 4)})
  size = out.stat().st_size
  print(f"{out}: {accuracy:.2%} of {len(test.images):,} test images right, {size:,} bytes")
  print(f"extractor {features.load(str(out)).digest}")
  return common.OK


def _check(dataset):
  if dataset.labels is None or dataset.images.ndim != 4:
    raise UserError(f"{dataset.name} has no labelled images, which a classifier learns from")
  if dataset.images.shape[1] % 4:
    raise UserError(f"images of {dataset.name} are {dataset.images.shape[1]} pixels: use 4 n")


def _fit(dataset, epochs, seed):
  """Adam with decoupled weight decay, the rate falling to 0 along a cosine."""
  from gan.models import classifier

  network = classifier.build(dataset.images.shape[1:], dataset.num_classes)
  steps_per_epoch = len(dataset.images) // BATCH_SIZE
  rate = optax.cosine_decay_schedule(LEARNING_RATE, epochs * steps_per_epoch)
  optimizer = optax.adamw(rate, weight_decay=1e-4)
  params, _ = network.init(jax.random.key(seed))
  state, step = (params, optimizer.init(params)), _make_step(network, optimizer)
  rng, key = np.random.default_rng(seed), jax.random.key(seed + 1)
  for epoch in range(epochs):
    order = rng.permutation(len(dataset.images))[: steps_per_epoch * BATCH_SIZE]
    batches = tqdm(
      order.reshape(-1, BATCH_SIZE),
      f"epoch {epoch + 1}/{epochs}",
      disable=not sys.stderr.isatty(),
    )
    losses = []
    for i, batch in enumerate(batches):
      step_key = jax.random.fold_in(key, epoch * steps_per_epoch + i)
      state, loss = step(state, dataset.images[batch], dataset.labels[batch], step_key)
      losses.append(loss)
    say(f"epoch {epoch + 1}/{epochs}: loss {np.mean(jax.device_get(losses)):.4f}")
  return state[0]


def _make_step(network, optimizer):
  from gan import features

  def loss(params, images, labels, key):
    shift_key, dropout_key = jax.random.split(key)
    images = _shifted(features.to_range(images), shift_key)
    (_, logits), _ = network.apply(params, {}, images, None, train=True, key=dropout_key)
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))

  @jax.jit
  def step(state, images, labels, key):
    params, opt_state = state
    value, grads = jax.value_and_grad(loss)(params, images, labels, key)
    changes, opt_state = optimizer.update(grads, opt_state, params)
    return (optax.apply_updates(params, changes), opt_state), value

  return step


def _shifted(images, key):
  """Moves each image by a whole number of pixels; what comes in is a copy of the border."""
  padded = jnp.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="edge")
  shifts = jax.random.randint(key, (len(images), 2), 0, 2 * SHIFT + 1)
  cut = lambda image, at: jax.lax.dynamic_slice(image, (*at, 0), images.shape[1:])  # noqa: E731
  return jax.vmap(cut)(padded, shifts)


if __name__ == "__main__":
  sys.exit(main())
