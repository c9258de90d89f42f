"""What is done to real images: levels, mirrors and shifts by hand, and the same on two devices."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from gan.augment import real
from gan.errors import UserError
from gan.method.game import Batch, Game
from gan.method.update_rules import UpdateRule
from gan.training.build import DataInfo, build
from gan.training.config import Config

KEYS = jax.random.split(jax.random.key(0), 4000)


@pytest.mark.parametrize("image_range", [(-1.0, 1.0), (0.0, 1.0)])
def test_levels_are_spread_evenly_and_stay_apart(image_range):
  low, high = image_range
  levels = np.tile(np.arange(256.0).reshape(1, 16, 16, 1), (40, 1, 1, 1))
  images = jnp.asarray(low + (high - low) * levels / 255, jnp.float32)
  spread = np.asarray(real.dequantize(images, KEYS[:40], image_range), np.float64)
  found = (spread - low) / (high - low) * 256  # x + u
  noise = found - levels
  assert noise.min() > -1e-4 and noise.max() < 1 + 1e-4
  # The mean of n = 10240 uniform draws, standard error 1 / sqrt(12 n).
  assert abs(noise.mean() - 0.5) < 4 / np.sqrt(12 * noise.size)
  assert abs(noise.var() - 1 / 12) < 0.003


def test_half_of_the_images_are_mirrored_and_none_is_changed_otherwise():
  image = jnp.arange(12.0).reshape(1, 2, 3, 2)
  found = np.asarray(real.mirror(jnp.tile(image, (4000, 1, 1, 1)), KEYS))
  flipped = (found == np.asarray(image)[:, :, ::-1]).all(axis=(1, 2, 3))
  kept = (found == np.asarray(image)).all(axis=(1, 2, 3))
  assert (flipped ^ kept).all() and abs(flipped.mean() - 0.5) < 4 * 0.5 / np.sqrt(4000)


def test_crops_are_the_windows_of_the_reflected_image_equally_often():
  image = jnp.arange(12.0).reshape(1, 3, 4, 1)
  found = np.asarray(real.crop(jnp.tile(image, (4000, 1, 1, 1)), KEYS, 1))
  padded = np.pad(np.asarray(image)[0], ((1, 1), (1, 1), (0, 0)), mode="reflect")
  windows = [padded[row : row + 3, column : column + 4] for row in range(3) for column in range(3)]
  counts = [sum((each == window).all() for each in found) for window in windows]
  assert sum(counts) == 4000
  # Nine equally likely windows: the standard deviation of a count is 20.
  assert max(abs(count - 4000 / 9) for count in counts) < 80


def test_nothing_asked_for_is_nothing_done():
  assert real.make_prepare(False, 0, False, (-1.0, 1.0)) is None


def test_each_draw_has_a_key_of_its_own():
  images = jax.random.uniform(jax.random.key(1), (8, 4, 4, 1))
  everything = real.make_prepare(True, 1, True, (0.0, 1.0))(images, KEYS[:8])
  for_mirror, for_crop, for_levels = jnp.stack([jax.random.split(key, 3) for key in KEYS[:8]]).T
  by_hand = real.crop(real.mirror(images, for_mirror), for_crop, 1)
  np.testing.assert_array_equal(everything, real.dequantize(by_hand, for_levels, (0.0, 1.0)))


def seen(axis_name=()):
  """step(state, batch, key) -> (state, every value of the prepared images of both updates)."""

  def step(game, state, minibatches, key):
    images = jnp.stack([examples.real for examples in minibatches])
    if axis_name:
      images = jax.lax.all_gather(images, axis_name, axis=1, tiled=True)
    return state, {str(place): value for place, value in enumerate(images.ravel())}

  game = Game(
    **toys.tanh_gan()._asdict(),
    prepare=real.make_prepare(True, 1, True, (-1.0, 1.0)),
    update_rule=UpdateRule(init=None, step=step),
    axis_name=axis_name,
  )
  return game.init(jax.random.key(0)), game.step


def test_draws_go_by_step_update_and_place_in_the_whole_batch():
  images = jnp.asarray(np.random.default_rng(0).integers(0, 256, (4, 3, 3, 1), np.uint8))
  batch, key = Batch(jnp.stack([images, images]), None), jax.random.key(1)
  state, step = seen()
  after, one = jax.jit(step)(state, batch, key)
  two = jax.jit(toys.over_two_devices(seen("batch")[1]))(state, batch, key)[1]
  next_step = jax.jit(step)(after, batch, key)[1]
  one, two, next_step = (np.stack(list(each.values())) for each in (one, two, next_step))
  np.testing.assert_array_equal(one, two)
  assert (one[:36] != one[36:]).all() and (one != next_step).all()
  assert one.min() >= -1 and one.max() < 1


@pytest.mark.parametrize(
  ("fields", "words"),
  [({"mirror": True}, "--mirror is for images"), ({"crop": 1}, "--crop is for images")],
)
def test_points_are_not_prepared(fields, words):
  with pytest.raises(UserError, match=words):
    build(dataclasses.replace(toys.RING, **fields), DataInfo((2,), 0, 10, None))


def test_a_crop_leaves_something_of_an_image():
  config = Config(model="mlp", crop=28)
  with pytest.raises(UserError, match="--crop=28 must be below the side of the images, 28"):
    build(config, DataInfo((28, 28, 1), 0, 10, None))
