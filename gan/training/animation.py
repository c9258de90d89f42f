"""A run on points in the plane as an animation: samples over the level sets of D.

The run is trained once more, from its seed, in one compiled scan that stacks snapshots.
"""

import io
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from PIL.Image import Image

from gan import datasets
from gan.datasets.batches import batch_indices
from gan.errors import UserError
from gan.method.game import Batch
from gan.state import GanState
from gan.system import files
from gan.system.progress import say
from gan.training import parallel, pictures, sampling
from gan.training.config import Config
from gan.training.run import Keys
from gan.training.setting import Setting, fix_schedule, load_data, make_setting

FRAMES = 60
MILLISECONDS = 120  # that a frame is shown; the last stays ten times as long


class Film(NamedTuple):
  """Snapshots of samples and of D's level sets over a run, the first before any step.

  Attributes:
    fake: [T, n, 2], samples of the generator from latents that stay the same.
    levels: [T, k, k], D(x) on a square lattice; rows are y.
    limit: half the side of that square.
    steps: [T], after which a snapshot was taken.
  """

  fake: Float[np.ndarray, "t n 2"]
  levels: Float[np.ndarray, "t k k"]
  limit: float
  steps: list[int]


def animate(
  config: Config,
  path: pathlib.Path,
  data_dir: str | None = None,
  *,
  say: Callable[[str], None] = say,
) -> None:
  """Trains a config and writes the animation, a GIF.

  Raises:
    UserError: the data are not points in the plane, or cannot be had.
  """
  dataset, config = check(fix_schedule(config, pathlib.Path(path).parent), data_dir)
  setting = make_setting(config, dataset, (), say, pathlib.Path(path).parent)
  title = f"{dataset.name}  {config.loss}  seed {config.seed}"
  write_gif(draw_frames(film(setting, config), dataset.images[:1000], title), path)


def check(config: Config, data_dir: str | None) -> tuple[datasets.Dataset, Config]:
  """Returns the data set and the config with its name.

  Raises:
    UserError: the data are not points in the plane, or cannot be had.
  """
  dataset, config = load_data(config, data_dir, lambda line: None)
  if dataset.images.ndim != 2:
    raise UserError(f"--animate draws points, and {dataset.name} has images: use ring or grid")
  return dataset, config


def film(setting: Setting, config: Config, frames: int = FRAMES) -> Film:
  """Trains from step 0 and returns at most `frames` snapshots beside the first.

  Equal configs see equal batches, keys and weights here and in `loop.fit` on one device.
  """
  keys = Keys(*jax.random.split(jax.random.key(config.seed), 3))
  count = min(frames, config.steps)
  each = config.steps // count
  rest = config.steps - count * each  # steps that the first frame has more than the others
  limit = sampling.half_side(setting.dataset.images[:1000])
  fake, levels = _train(setting, keys, limit, _indices(setting, config), rest, each)
  steps = [0, *range(rest + each, config.steps + 1, each)]
  return Film(np.asarray(fake), np.asarray(levels), limit, steps)


def _indices(setting: Setting, config: Config) -> Int[np.ndarray, "t k b"]:
  updates, size = config.discriminator_steps, config.batch_size
  return batch_indices(config.seed, setting.info.num_examples, 0, config.steps, updates, size)


def _train(
  setting: Setting,
  keys: Keys,
  limit: float,
  indices: Int[np.ndarray, "t k b"],
  rest: int,
  each: int,
) -> tuple[Float[Array, "f n 2"], Float[Array, "f side side"]]:
  """Returns fakes [T, n, 2] and levels [T, k, k]: of step 0, then every `each` steps to the end."""
  algorithm, data = setting.algorithm, setting.data
  classes = 0 if data.label is None else setting.info.num_classes
  what = sampling.square(algorithm.gan, keys.latents, classes, count=1024)
  run = parallel.many_steps(algorithm.step)
  start = setting.start.weights() if setting.start else None

  def look(state: GanState) -> tuple[Array, Array]:
    fake = sampling.images(algorithm.gan, state, what.latents, what.labels)
    return fake, sampling.level_sets(algorithm.gan, state, limit, conditional=bool(classes))

  def scan(data: Batch, indices: Array) -> tuple[Array, Array]:
    def advance(state: GanState, rows: Array) -> tuple[GanState, tuple[Array, Array]]:
      state, _ = run(state, data, rows, keys.training)
      return state, look(state)

    first = state = algorithm.init(keys.init, start=start)
    if rest:
      state, _ = run(state, data, indices[:rest], keys.training)
    frames = indices[rest:].reshape(-1, each, *indices.shape[1:])
    _, looks = jax.lax.scan(advance, state, frames)
    return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), look(first), looks)

  return jax.jit(scan)(jax.tree.map(jnp.asarray, data), indices)


def draw_frames(found: Film, real: Float[np.ndarray, "m 2"], title: str) -> list[Image]:
  """Returns a picture of each snapshot, up to the first that holds what is not finite.

  Args:
    found: what is drawn.
    real: points of the data.
    title: one line; the step is added to it.
  """
  finite = np.isfinite(found.fake).all(axis=(1, 2)) & np.isfinite(found.levels).all(axis=(1, 2))
  count = len(finite) if finite.all() else int(finite.argmin())
  return [_frame(found, i, real, title) for i in range(count)]


def _frame(found: Film, i: int, real: Float[np.ndarray, "n 2"], title: str) -> Image:
  title = f"{title}  step {found.steps[i]}"
  figure = pictures.points_over_levels(real, found.fake[i], found.levels[i], found.limit, title)
  buffer = io.BytesIO()
  figure.savefig(buffer, format="png", dpi=72)
  with files.image(buffer, "a frame") as picture:
    return picture.convert("RGB")


def write_gif(frames: list[Any], path: pathlib.Path) -> None:
  """Writes pictures of one size as a GIF that repeats, whole or not at all."""
  part = path.with_suffix(".part")
  first, *rest = (frame.quantize(128) for frame in frames)
  times = [MILLISECONDS] * len(rest) + [10 * MILLISECONDS]
  first.save(part, format="GIF", save_all=True, append_images=rest, duration=times, loop=0)
  part.replace(path)
