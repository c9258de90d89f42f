"""Drawing from a trained generator: fixed latents, classes in rows, and the picture of a run."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from matplotlib.figure import Figure
from PIL import Image

from gan.datasets.base import as_array
from gan.errors import UserError
from gan.networks import Gan, as_outputs
from gan.state import GanState
from gan.system import memory
from gan.system.compilation import compiled
from gan.training import pictures

BATCH_SIZE = 500  # examples drawn in one call
MAX_ROWS = 1000  # of a picture: stacked digits have as many classes


class Draw(NamedTuple):
  """Latents to draw from, and how the images stand in a grid.

  Attributes:
    latents: [N, Z].
    labels: [N], or None for an unconditional generator.
    columns: images in a row.
    rows: the name of each row, or () where they have none.
  """

  latents: Float[Array, "n z"]
  labels: Int[Array, " n"] | None
  columns: int
  rows: tuple[str, ...] = ()


def square(gan: Gan, key: Key[Array, ""], num_classes: int, count: int = 64) -> Draw:
  """Returns `count` latents, a square number; with classes, image i is of class i modulo them."""
  latents = jax.vmap(gan.sample_latent)(jax.random.split(key, count))
  labels = jnp.arange(count) % num_classes if num_classes else None
  return Draw(latents, labels, round(count**0.5))


def class_rows(
  gan: Gan,
  key: Key[Array, ""],
  num_classes: int,
  columns: int = 10,
  *,
  names: Sequence[str] = (),
  chosen: Sequence[int] | None = None,
) -> Draw:
  """Returns a class in each row and a latent in each column.

  Args:
    num_classes: in all.
    columns: images of a class.
    names: of all classes, to stand beside the rows; () for their numbers.
    chosen: the classes; None for all, or the first MAX_ROWS of more.
  """
  classes = range(min(num_classes, MAX_ROWS)) if chosen is None else chosen
  latents = jax.vmap(gan.sample_latent)(jax.random.split(key, columns))
  labels = jnp.repeat(jnp.array(classes), columns)
  rows = tuple(names[label] if names else str(label) for label in classes)
  return Draw(jnp.tile(latents, (len(classes), 1)), labels, columns, rows)


def rows_shown(num_classes: int) -> str:
  """What a title says where `class_rows` does not show all classes; else ""."""
  return f", the first {MAX_ROWS} of {num_classes} classes" if num_classes > MAX_ROWS else ""


def interpolation(gan: Gan, key: Key[Array, ""], num_classes: int, rows: int = 10) -> Draw:
  """Returns `rows` paths between two latents each, in 10 steps; row i is of class i.

  The path goes along the great circle: latents in between then are as long as those that the
  generator was trained on; on the straight line they would be shorter.
  """
  first_key, last_key = jax.random.split(key)
  first, last = (
    jax.vmap(gan.sample_latent)(jax.random.split(k, rows)) for k in (first_key, last_key)
  )
  paths = jax.vmap(_great_circle, in_axes=(None, None, 0), out_axes=1)(
    first, last, jnp.linspace(0, 1, 10)
  )
  labels = jnp.repeat(jnp.arange(rows) % num_classes, 10) if num_classes else None
  return Draw(paths.reshape(rows * 10, -1), labels, 10)


def _great_circle(
  first: Float[Array, "r z"], last: Float[Array, "r z"], share: Float[Array, ""] | float
) -> Float[Array, "r z"]:
  """Rows between those of two arrays: directions along the great circle, lengths in even steps.

  White ("Sampling Generative Networks", https://arxiv.org/abs/1609.04468) weighs the rows
  themselves, which in few dimensions leads far beyond the longer one. Equal or opposite directions,
  as all are in one dimension, tell no circle: there the rows lie on the straight line.
  """
  lengths = [jnp.linalg.norm(rows, axis=1, keepdims=True) for rows in (first, last)]
  start, end = first / lengths[0], last / lengths[1]
  angle = jnp.arccos(jnp.clip(jnp.sum(start * end, axis=1, keepdims=True), -1, 1))
  direction = jnp.sin((1 - share) * angle) * start + jnp.sin(share * angle) * end
  length = (1 - share) * lengths[0] + share * lengths[1]
  line = (1 - share) * first + share * last
  return jnp.where(jnp.sin(angle) > 0.01, length * direction / jnp.sin(angle), line)


def images(gan: Gan, state: GanState, latents: Array, labels: Array | None) -> Array:
  """Returns images [N, ...] of the averaged generator, in inference mode; for compiled programs."""
  generated, _ = gan.generator.apply(
    state.ema_params, state.ema_model_state, latents, labels, train=False
  )
  return generated


def draw(gan: Gan, state: GanState, latents: Array, labels: Array | np.ndarray | None) -> Array:
  """Returns `images`, by a program of its own."""
  return _compiled_images()(gan, state, latents, labels)


@functools.cache
def _compiled_images() -> Callable[..., Array]:
  return compiled(images, static_argnums=0)


def is_finite(state: GanState) -> bool:
  """Returns whether all that training goes on from is finite: of both players and their optimisers,
  of the averaged generator and of what update rules keep.

  Losses are of the weights before an update: they do not show what the latest one did.
  """
  averages = (state.ema_params, state.ema_model_state)
  # On the host, where a state that is saved goes: no program is compiled for it.
  kept = jax.device_get((state.generator, state.discriminator, averages, state.aux_state))
  return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(kept))


def class_labels(count: int, labels: Any, num_classes: int) -> Int[np.ndarray, " n"] | None:
  """Returns the labels of `count` examples, by default each class in turn.

  Args:
    count: of the examples.
    labels: [count] integers, or None.
    num_classes: 0 for an unconditional generator, which has None.

  Raises:
    UserError: they are no such labels, or there are no classes.
  """
  if not num_classes:
    if labels is not None:
      raise UserError("labels are for a conditional run: leave them out")
    return None
  labels = np.arange(count) % num_classes if labels is None else as_array("labels", labels)
  whole = np.issubdtype(labels.dtype, np.integer)
  if not whole or labels.shape != (count,) or labels.min() < 0 or labels.max() >= num_classes:
    raise UserError(
      f"labels must be {count} integers 0 .. {num_classes - 1}, the numbers of classes"
    )
  return labels.astype(np.int32)


def samples(
  gan: Gan, state: GanState, key: Key[Array, ""], count: int, labels: Int[np.ndarray, " n"] | None
) -> np.ndarray:
  """Returns `count` examples of the averaged generator: uint8 images, or float points.

  Example i depends on the key, on i and on its label only.

  Args:
    key: of the latents.
    labels: [count] for a conditional generator, else None.
  """
  parts = []
  for part in batches(gan, state, key, count, labels):
    if not parts:
      whole = 2 * count / len(part) * part.nbytes  # in parts and then as one
      memory.require(whole, f"a set of {count:,} samples", "samples or eval_samples")
    parts.append(part)
  return np.concatenate(parts)


def batches(
  gan: Gan,
  state: GanState,
  key: Key[Array, ""],
  count: int,
  labels: Int[np.ndarray, " n"] | None,
  start: int = 0,
) -> Iterator[np.ndarray]:
  """Yields the examples of `samples` in parts of BATCH_SIZE, of which the last may be smaller.

  Args:
    key: of the latents.
    count: of all.
    labels: [count], or None.
    start: the first example, a multiple of BATCH_SIZE: parts are the same wherever one starts.
  """
  run, sent = _compiled_batch(), []
  for first in range(start, count, BATCH_SIZE):
    chosen = None if labels is None else np.resize(labels[first : first + BATCH_SIZE], BATCH_SIZE)
    sent.append(run(gan, state, key, first, chosen))
    if len(sent) > 1:  # One is made while another is fetched; the device holds no more.
      yield np.asarray(sent.pop(0))
  for part in sent:
    yield np.asarray(part)[: (count - 1) % BATCH_SIZE + 1]


def _batch(
  gan: Gan,
  state: GanState,
  key: Key[Array, ""],
  start: Int[Array, ""],
  labels: Int[Array, " b"] | None,
) -> Array:
  """Examples start .. start + BATCH_SIZE - 1 of the key."""
  keys = jax.vmap(jax.random.fold_in, (None, 0))(key, start + jnp.arange(BATCH_SIZE))
  drawn = images(gan, state, jax.vmap(gan.sample_latent)(keys), labels)
  return drawn if drawn.ndim == 2 else pictures.to_uint8(drawn, gan.image_range)


@functools.cache
def _compiled_batch() -> Callable[..., Array]:
  return compiled(_batch, static_argnums=0)


def grid(gan: Gan, state: GanState, what: Draw, title: str) -> Image.Image:
  """Returns the images of a Draw as a picture under a title."""
  drawn = np.asarray(draw(gan, state, what.latents, what.labels))
  shown = pictures.to_uint8(drawn, gan.image_range)
  return pictures.image_grid(shown, what.columns, title, what.rows)


@functools.partial(jax.jit, static_argnums=0)
def _probabilities(
  gan: Gan, state: GanState, points: Float[Array, "n 2"], labels: Int[Array, " n"] | None
) -> Float[Array, " n"]:
  player = state.discriminator
  # One that judges several points at once is shown the same point as often.
  points = jnp.tile(points, gan.packing)
  returned, _ = gan.discriminator.apply(
    player.params, player.model_state, points, labels, train=False
  )
  return jax.nn.sigmoid(as_outputs(returned, len(points)).logits)


def scatter(
  gan: Gan, state: GanState, what: Draw, title: str, real: Float[np.ndarray, "n 2"] | None = None
) -> Figure:
  """Returns generated points, and real ones if given, over the level sets of D.

  Where D is told the class, the level sets are those of class 0.
  """
  fake = np.asarray(draw(gan, state, what.latents, what.labels))
  real = np.zeros((0, 2)) if real is None else real[:1000]
  limit = half_side(real if len(real) else fake)
  levels = np.asarray(level_sets(gan, state, limit, conditional=what.labels is not None))
  return pictures.points_over_levels(real, fake, levels, limit, title)


def half_side(points: np.ndarray) -> float:
  """Returns half the side of a square about 0 in which the points have room."""
  return 1.35 * float(np.abs(points).max())


def level_sets(gan: Gan, state: GanState, limit: float, *, conditional: bool = False) -> Array:
  """Returns D(x) on a lattice over [-limit, limit]^2, [121, 121], rows are y; for class 0."""
  ticks = jnp.linspace(-limit, limit, 121)
  lattice = jnp.stack(jnp.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
  labels = jnp.zeros(len(lattice), jnp.int32) if conditional else None
  return _probabilities(gan, state, lattice, labels).reshape(121, 121)


def progress_picture(
  gan: Gan,
  state: GanState,
  key: Key[Array, ""],
  num_classes: int,
  title: str,
  real: np.ndarray,
  class_names: Sequence[str] = (),
) -> Image.Image | Figure:
  """Returns what a run shows of itself, from latents that depend on the key only.

  Images stand in a grid, a class a row where there are classes; points over the level sets of D.

  Args:
    num_classes: 0 for an unconditional generator.
    real: the data, [N, H, W, C] or [N, 2].
    class_names: of all classes, or ().
  """
  if real.ndim == 2:
    return scatter(gan, state, square(gan, key, num_classes, count=1024), title, real)
  if not num_classes:
    return grid(gan, state, square(gan, key, 0), title)
  rows = class_rows(gan, key, num_classes, names=class_names)
  return grid(gan, state, rows, title + rows_shown(num_classes))
