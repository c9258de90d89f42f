"""Classification accuracy score: what a classifier learns of generated images about real ones."""

import collections

import jax
import numpy as np
from jaxtyping import Int, UInt8

from gan.errors import UserError
from gan.metrics.checks import check_labels
from gan.metrics.extractors import training
from gan.metrics.extractors.base import to_range
from gan.system.schema import check_whole

STEPS = 1000
PLAIN = training.RECIPES["plain"]._replace(shift=0)
_AT_ONCE = 500  # images judged in one call


def classification_accuracy(
  images: UInt8[np.ndarray, "n h w c"],
  labels: Int[np.ndarray, " n"],
  test_images: UInt8[np.ndarray, "m h w c"],
  test_labels: Int[np.ndarray, " m"],
  seed: int,
  *,
  steps: int = STEPS,
) -> float:
  """Accuracy on test images of a classifier that was trained on other images alone.

  mean_i 1[argmax f(x_i) = y_i] over real (x_i, y_i), for f trained on generated images with the
  classes that were asked for. It falls where samples are of another class, unlike real ones, or
  without variety; that of a classifier trained on real images stands beside it. The classifier is
  that of the shipped extractors of grey images after 1,000 batches of 128, see
  `extractors.training`, without shifts: a fixed recipe whose values are compared, and no record.

  See "Classification Accuracy Score for Conditional Generative Models" by Ravuri and Vinyals
  (https://arxiv.org/abs/1905.10887).

  Args:
    images: [N, H, W, C], 0..255, sides divisible by 4.
    labels: [N], their classes, >= 0.
    test_images: [M, H, W, C].
    test_labels: [M].
    seed: of weights, batches and dropout.
    steps: batches.

  Returns:
    The share of test images in 0..1 whose class is found.

  Raises:
    UserError: no image, two sizes, sides that 4 does not divide; see `checks.check_labels`.
  """
  _check_images(images, test_images)
  check_whole("steps", steps, least=1)
  labels = check_labels("training", labels, len(images))
  test_labels = check_labels("test", test_labels, len(test_images))
  classes = int(max(labels.max(), test_labels.max())) + 1
  params = _fit(images, labels, classes, seed, steps)
  network = PLAIN.saved(images.shape[1:], classes)
  return float(np.mean(_classes(network, params, test_images) == test_labels))


def _check_images(images, test_images):
  if not (len(images) and len(test_images)):
    raise UserError(
      f"there are {len(images)} images to train on and {len(test_images)} to test: both are needed"
    )
  if images.shape[1:] != test_images.shape[1:]:
    sizes = ["x".join(map(str, each.shape[1:])) for each in (images, test_images)]
    raise UserError(f"training images are {sizes[0]}, test images {sizes[1]}: make them equal")
  if any(side % 4 for side in images.shape[1:3]):
    size = "x".join(map(str, images.shape[1:3]))
    raise UserError(f"images are {size}, and sides must be multiples of 4: resize them")


def _fit(images, labels, classes, seed, steps):
  """The weights after so many steps."""
  chosen = _batches(len(images), steps, seed)
  steps = training.train(PLAIN, images, labels, classes, chosen, seed)
  (last, _) = collections.deque(steps, maxlen=1).pop()
  return last.params


def _batches(count, steps, seed):
  """Rows [steps, B]: one order of all of them after another, each on its own."""
  rng, size = np.random.default_rng(seed), min(PLAIN.batch_size, count)
  passes = -(-steps * size // count)
  orders = np.concatenate([rng.permutation(count) for _ in range(passes)])
  return orders[: steps * size].reshape(steps, size)


def _classes(network, params, images):
  """The class [M] that the classifier finds in each image."""

  @jax.jit
  def judge(params, images):
    (_, logits), _ = network.apply(params, {}, to_range(images), None, train=False)
    return logits.argmax(axis=1)

  parts = (images[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE))
  return np.concatenate([judge(params, part) for part in parts])
