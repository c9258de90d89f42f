"""How the classifiers that serve as extractors are trained, one step after another.

"plain" is for grey images: AdamW, the rate falling along a cosine. "residual" is for all
others: SGD with Nesterov's momentum and L2 on its kernels, the rate rising for a fifth of the steps
and falling to 0 in the rest.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, UInt8

from gan.metrics.extractors.base import to_range
from gan.models import classifier, residual_classifier
from gan.networks import Network
from gan.system import memory

WARM_UP = 0.2  # of the steps
L2 = 5e-4


class Recipe(NamedTuple):
  """A classifier and how it is trained.

  Attributes:
    build: `(image_shape, num_classes) -> Network` of (features, logits), as it is trained.
    saved: `(image_shape, num_classes) -> Network`, as it is used, without a model state.
    finish: `(params, model_state) -> params` of `saved`.
    optimizer: `steps -> optax transformation`.
    batch_size: examples of a step.
    shift: pixels by which training images are moved at random, at most, to each side.
    smoothing: share of a label that is spread over all classes.
  """

  build: Callable[[tuple[int, int, int], int], Network]
  saved: Callable[[tuple[int, int, int], int], Network]
  finish: Callable[[Any, Any], Any]
  optimizer: Callable[[int], optax.GradientTransformation]
  batch_size: int
  shift: int
  smoothing: float


class TrainingState(NamedTuple):
  """Everything that a step changes; `step` is the number of steps made."""

  params: Any
  model_state: Any
  opt_state: Any
  step: int


def _adamw(steps: int) -> optax.GradientTransformation:
  return optax.adamw(optax.cosine_decay_schedule(1e-3, steps), weight_decay=1e-4)


def _sgd(steps: int) -> optax.GradientTransformation:
  warm = max(int(WARM_UP * steps), 1)
  rate = optax.join_schedules(
    [
      optax.linear_schedule(0.0, 0.15, warm),
      optax.linear_schedule(0.15, 0.0, max(steps - warm, 1)),
    ],
    [warm],
  )
  kernels = optax.add_decayed_weights(L2, mask=lambda params: jax.tree.map(_is_kernel, params))
  return optax.chain(kernels, optax.sgd(rate, 0.9, nesterov=True))


def _is_kernel(array: Array) -> bool:
  return array.ndim > 1


def _folded(image_shape: tuple[int, int, int], num_classes: int) -> Network:
  return residual_classifier.build(image_shape, num_classes, folded=True)


RECIPES = {
  "plain": Recipe(
    build=classifier.build,
    saved=classifier.build,
    finish=lambda params, _: params,
    optimizer=_adamw,
    batch_size=128,
    shift=2,
    smoothing=0.0,
  ),
  "residual": Recipe(
    build=residual_classifier.build,
    saved=_folded,
    finish=residual_classifier.fold,
    optimizer=_sgd,
    batch_size=128,
    shift=4,
    smoothing=0.1,
  ),
}


def start(
  recipe: Recipe, image_shape: tuple[int, int, int], num_classes: int, steps: int, seed: int
) -> TrainingState:
  """Returns the state before the first step."""
  params, model_state = recipe.build(image_shape, num_classes).init(jax.random.key(seed))
  return TrainingState(params, model_state, recipe.optimizer(steps).init(params), 0)


def orders(count: int, batch_size: int, epochs: int, seed: int) -> Int[np.ndarray, "s b"]:
  """Returns the numbers of the examples of each step; an epoch leaves out what fills no batch."""
  memory.require(8 * epochs * count, "the order of all examples", "epochs")
  rng, size = np.random.default_rng(seed), min(batch_size, count)
  chosen = [rng.permutation(count)[: count // size * size] for _ in range(epochs)]
  return np.concatenate(chosen).reshape(-1, size)


def train(
  recipe: Recipe,
  images: UInt8[np.ndarray, "n h w c"],
  labels: Int[np.ndarray, " n"],
  num_classes: int,
  chosen: Int[np.ndarray, "s b"],
  seed: int,
  mirror: bool = False,
  state: TrainingState | None = None,
) -> Iterator[tuple[TrainingState, Float[Array, ""]]]:
  """Yields the state after each step, and its loss.

  Args:
    recipe: see RECIPES.
    images: in 0 .. 255.
    labels: in 0 .. num_classes - 1.
    num_classes: of the labels.
    chosen: of `orders`.
    seed: of weights, shifts, reflections and dropout.
    mirror: whether half of the images are reflected.
    state: where to go on; None for the start.
  """
  shape = images.shape[1:]
  state = state or start(recipe, shape, num_classes, len(chosen), seed)
  step = _make_step(recipe, shape, num_classes, len(chosen), jax.random.key(seed + 1), mirror)
  for number, batch in enumerate(chosen[state.step :], start=state.step):
    changed, loss = step(state[:3], images[batch], labels[batch], number)
    state = TrainingState(*changed, number + 1)
    yield state, loss


def _make_step(recipe, image_shape, num_classes, steps, key, mirror):
  network, optimizer = recipe.build(image_shape, num_classes), recipe.optimizer(steps)

  def loss(params, model_state, images, labels, key):
    augment_key, dropout_key = jax.random.split(key)
    images = _augmented(to_range(images), augment_key, recipe.shift, mirror)
    (_, logits), model_state = network.apply(
      params, model_state, images, None, train=True, key=dropout_key
    )
    targets = optax.smooth_labels(jax.nn.one_hot(labels, num_classes), recipe.smoothing)
    return jnp.mean(optax.softmax_cross_entropy(logits, targets)), model_state

  @jax.jit
  def step(state, images, labels, number):
    params, model_state, opt_state = state
    step_key = jax.random.fold_in(key, number)
    (value, model_state), grads = jax.value_and_grad(loss, has_aux=True)(
      params, model_state, images, labels, step_key
    )
    changes, opt_state = optimizer.update(grads, opt_state, params)
    return (optax.apply_updates(params, changes), model_state, opt_state), value

  return step


def _augmented(
  images: Float[Array, "b h w c"], key: Key[Array, ""], shift: int, mirror: bool
) -> Float[Array, "b h w c"]:
  """Moves each image by whole pixels, a copy of the border coming in, and reflects half of them."""
  pads = (0, 0), (shift, shift), (shift, shift), (0, 0)
  padded = jnp.pad(images, pads, mode="edge")
  shifts = jax.random.randint(key, (len(images), 2), 0, 2 * shift + 1)

  def cut(image, at):
    return jax.lax.dynamic_slice(image, (*at, 0), images.shape[1:])

  moved = jax.vmap(cut)(padded, shifts)
  if not mirror:
    return moved
  turned = jax.random.bernoulli(jax.random.fold_in(key, 1), shape=(len(images), 1, 1, 1))
  return jnp.where(turned, moved[:, :, ::-1], moved)
