"""Classification accuracy score: what a classifier learns of generated images about real ones."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Int, UInt8

from gan.errors import UserError
from gan.metrics.checks import check_labels
from gan.models import classifier

STEPS, BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY = 1000, 128, 1e-3, 1e-4
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
  `models.classifier` after 1,000 batches of 128, by Adam with decoupled weight decay and a rate
  that falls to 0 along a cosine: a fixed recipe, of which values are compared, and no record.

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
  labels = check_labels("training", labels, len(images))
  test_labels = check_labels("test", test_labels, len(test_images))
  classes = int(max(labels.max(), test_labels.max())) + 1
  network = classifier.build(images.shape[1:], classes)
  params = _fit(network, images, labels, seed, steps)
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


def _fit(network, images, labels, seed, steps):
  """The weights after so many steps."""
  rate = optax.cosine_decay_schedule(LEARNING_RATE, steps)
  optimizer = optax.adamw(rate, weight_decay=WEIGHT_DECAY)
  init_key, dropout_key = jax.random.split(jax.random.key(seed))
  params, _ = network.init(init_key)
  opt_state, step = optimizer.init(params), _make_step(network, optimizer)
  for number, batch in enumerate(_batches(len(images), steps, seed)):
    key = jax.random.fold_in(dropout_key, number)
    params, opt_state = step(params, opt_state, images[batch], labels[batch], key)
  return params


def _batches(count, steps, seed):
  """Rows [steps, B]: one order of all of them after another, each on its own."""
  rng, size = np.random.default_rng(seed), min(BATCH_SIZE, count)
  passes = -(-steps * size // count)
  orders = np.concatenate([rng.permutation(count) for _ in range(passes)])
  return orders[: steps * size].reshape(steps, size)


def _make_step(network, optimizer):
  def loss(params, images, labels, key):
    (_, logits), _ = network.apply(params, {}, _to_range(images), None, train=True, key=key)
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))

  @functools.partial(jax.jit, donate_argnums=(0, 1))
  def step(params, opt_state, images, labels, key):
    grads = jax.grad(loss)(params, images, labels, key)
    changes, opt_state = optimizer.update(grads, opt_state, params)
    return optax.apply_updates(params, changes), opt_state

  return step


def _classes(network, params, images):
  """The class [M] that the classifier finds in each image."""

  @jax.jit
  def judge(params, images):
    (_, logits), _ = network.apply(params, {}, _to_range(images), None, train=False)
    return logits.argmax(axis=1)

  parts = (images[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE))
  return np.concatenate([judge(params, part) for part in parts])


def _to_range(images):
  """Maps pixels 0 .. 255 to [-1, 1], where the classifier works."""
  return images.astype(jnp.float32) / 127.5 - 1
