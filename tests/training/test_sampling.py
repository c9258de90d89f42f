"""What is drawn from a generator, and how it stands in a picture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from gan.method.play import to_range
from gan.models import ModelSpec
from gan.models import build as build_model
from gan.networks import Gan, Network, Outputs
from gan.state import GanState, Hyperparameters, PlayerState
from gan.training import pictures, sampling

KEY = jax.random.key(3)


def network(function):
  """`(params, inputs, labels) -> outputs`, a network without state; fails in training mode."""

  def apply(params, model_state, inputs, labels, *, train, key=None):
    assert not train and key is None
    return function(params, inputs, labels), model_state

  return Network(lambda key: (jnp.ones(()), {}), apply)


def state_of(generator, discriminator, ema):
  def player(value):
    return PlayerState(jnp.asarray(value), {}, None)

  return GanState(
    step=jnp.int32(0),
    hyperparameters=Hyperparameters(),
    generator=player(generator),
    discriminator=player(discriminator),
    ema_params=jnp.asarray(ema),
    ema_model_state={},
  )


def brightness(params, latents, labels):
  """Grey images [N, 4, 4, 1] of value params * (first latent + label)."""
  value = latents[:, 0] if labels is None else latents[:, 0] + labels
  return jnp.broadcast_to(params * value.reshape(-1, 1, 1, 1), (len(latents), 4, 4, 1))


def sample_latent(key):
  return jax.random.normal(key, (5,))


IMAGES = Gan(
  network(brightness), network(lambda p, x, y: x.sum((1, 2, 3))), sample_latent, (-1.0, 1.0)
)
POINTS = Gan(
  network(lambda params, latents, labels: params * latents[:, :2]),
  network(lambda params, points, labels: params * points[:, 0]),
  sample_latent,
  (-1.0, 1.0),
)
STATE = state_of(generator=100.0, discriminator=2.0, ema=0.5)


# Layouts.


def test_a_square_has_as_many_columns_as_rows():
  what = sampling.square(IMAGES, KEY, 0, count=36)
  assert what.latents.shape == (36, 5) and what.labels is None and what.columns == 6
  assert len(np.unique(what.latents)) == 36 * 5


def test_the_square_of_a_run_is_eight_by_eight():
  assert sampling.square(IMAGES, KEY, 0).latents.shape[0] == 64


def test_image_i_of_a_square_is_of_class_i_modulo_the_classes():
  what = sampling.square(IMAGES, KEY, 3, count=9)
  np.testing.assert_array_equal(what.labels, [0, 1, 2, 0, 1, 2, 0, 1, 2])


def test_class_rows_hold_a_class_in_each_row_and_a_latent_in_each_column():
  what = sampling.class_rows(IMAGES, KEY, 3, columns=4)
  assert what.columns == 4
  np.testing.assert_array_equal(np.reshape(what.labels, (3, 4)), [[0] * 4, [1] * 4, [2] * 4])
  rows = np.reshape(what.latents, (3, 4, 5))
  np.testing.assert_array_equal(rows[0], rows[1])
  np.testing.assert_array_equal(rows[0], rows[2])
  assert len(np.unique(rows[0])) == 4 * 5


def test_interpolations_are_rows_of_ten_and_row_i_is_of_class_i():
  what = sampling.interpolation(IMAGES, KEY, 3, rows=4)
  assert what.latents.shape == (40, 5) and what.columns == 10
  np.testing.assert_array_equal(
    np.reshape(what.labels, (4, 10)), [[0] * 10, [1] * 10, [2] * 10, [0] * 10]
  )
  assert sampling.interpolation(IMAGES, KEY, 0).labels is None


def test_an_interpolation_begins_and_ends_at_its_two_latents():
  what = sampling.interpolation(IMAGES, KEY, 0, rows=6)
  paths = np.reshape(what.latents, (6, 10, 5))
  first_key, last_key = jax.random.split(KEY)
  first, last = (jax.vmap(sample_latent)(jax.random.split(key, 6)) for key in (first_key, last_key))
  np.testing.assert_allclose(paths[:, 0], first, atol=1e-5)
  np.testing.assert_allclose(paths[:, -1], last, atol=1e-5)


def test_an_interpolation_goes_along_the_circle_in_even_steps():
  # Of the unit vectors e1 and e2: at share t, cos(t pi / 2) e1 + sin(t pi / 2) e2.
  path = np.stack(
    [
      np.asarray(sampling._great_circle(jnp.eye(2)[:1], jnp.eye(2)[1:], share))[0]
      for share in np.linspace(0, 1, 10)
    ]
  )
  angles = np.arange(10) * np.pi / 18
  np.testing.assert_allclose(path, np.stack([np.cos(angles), np.sin(angles)], 1), atol=1e-6)


def test_latents_are_a_function_of_the_key():
  for layout in (sampling.square, sampling.class_rows, sampling.interpolation):
    one, same = (layout(IMAGES, KEY, 2).latents for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert np.all(one != layout(IMAGES, jax.random.key(4), 2).latents)


# Drawing.


def test_images_are_drawn_from_the_averaged_generator_in_inference_mode():
  latents = jnp.array([[0.4, 0, 0, 0, 0], [-1.0, 0, 0, 0, 0]])
  images = sampling.draw(IMAGES, STATE, latents, None)
  # The average's factor .5, not the generator's 100.
  np.testing.assert_allclose(images[:, 0, 0, 0], [0.2, -0.5], rtol=1e-6)
  labelled = sampling.draw(IMAGES, STATE, latents, jnp.array([1, 2]))
  np.testing.assert_allclose(labelled[:, 0, 0, 0], [0.7, 0.5], rtol=1e-6)


@pytest.mark.parametrize("classes", [None, 3])
@pytest.mark.parametrize("gan", [IMAGES, POINTS], ids=["images", "points"])
def test_a_sample_depends_on_its_place_its_label_and_the_key_alone(gan, classes):
  count = sampling.BATCH_SIZE + 3
  labels = None if classes is None else np.arange(count) % classes
  keys = jax.vmap(jax.random.fold_in, (None, 0))(KEY, jnp.arange(count))
  expected = np.asarray(sampling.draw(gan, STATE, jax.vmap(sample_latent)(keys), labels))
  if gan is IMAGES:
    expected = pictures.to_uint8(expected, gan.image_range)
  drawn = sampling.samples(gan, STATE, KEY, count, labels)
  assert drawn.dtype == expected.dtype
  np.testing.assert_array_equal(drawn, expected)
  few = sampling.samples(gan, STATE, KEY, 7, None if labels is None else labels[:7])
  np.testing.assert_array_equal(few, expected[:7])


def test_a_grid_shows_each_image_in_its_place():
  what = sampling.Draw(jnp.zeros((4, 5)).at[:, 0].set(jnp.array([-2.0, 2.0, 0.4, 0.0])), None, 2)
  picture = np.asarray(sampling.grid(IMAGES, STATE, what, "t"))
  # 4 pixels enlarged 56 / 4 = 14 times; the centres of the four images.
  centres = [
    picture[26 + row * 58 + 28, 8 + column * 58 + 28, 0] for row in range(2) for column in range(2)
  ]
  # -1 -> 0, 1 -> 255, .2 -> 1.2 * 127.5 = 153, 0 -> 127.5 -> 128
  assert centres == [0, 255, 153, 128]


def test_a_run_shows_rows_of_classes_where_it_has_classes():
  real = np.zeros((10, 4, 4, 1), np.uint8)
  sizes = [
    sampling.progress_picture(IMAGES, STATE, KEY, classes, "t", real).size for classes in (0, 3)
  ]
  # 8 x 8 and 10 columns x 3 rows of 56 pixels, 2 apart, 8 around and 18 for the title; 16 for the
  # number of each class and what is left of it.
  assert sizes == [(8 * 58 - 2 + 16, 8 * 58 - 2 + 16 + 18), (10 * 58 - 2 + 32, 3 * 58 + 32)]


# Pixels.


@pytest.mark.parametrize("image_range", [(-1.0, 1.0), (0.0, 1.0)])
def test_pixels_survive_the_way_to_the_model_and_back(image_range):
  pixels = np.arange(256, dtype=np.uint8)
  there = np.asarray(to_range(jnp.asarray(pixels), image_range))
  np.testing.assert_array_equal(pictures.to_uint8(there, image_range), pixels)


@pytest.mark.parametrize("image_range", [(-1.0, 1.0), (0.0, 1.0)])
def test_pixels_of_a_compiled_program_are_those_of_numpy(image_range):
  # Every 1/64 of a pixel's step, the halves among them, and what is outside.
  low, high = image_range
  steps = np.arange(-64 * 10, 64 * 265 + 1) / 64
  values = (low + steps * (high - low) / 255).astype(np.float32)
  there = jax.jit(pictures.to_uint8, static_argnums=1)(values, image_range)
  np.testing.assert_array_equal(there, pictures.to_uint8(values, image_range))


@pytest.mark.parametrize("image_range", [(-1.0, 1.0), (0.0, 1.0)])
def test_the_ends_of_the_range_are_black_and_white_and_what_is_outside_is_clipped(image_range):
  low, high = image_range
  values = np.array([low, high, low - 3, high + 3], np.float32)
  pixels = pictures.to_uint8(values, image_range)
  assert pixels.dtype == np.uint8 and pixels.tolist() == [0, 255, 0, 255]


# Grids.


def numbered(count, side, channels):
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (count, side, side, channels), np.uint8)


@pytest.mark.parametrize(
  ("side", "channels", "scale"), [(28, 1, 2), (32, 3, 1), (64, 3, 1), (8, 1, 7), (56, 1, 1)]
)
def test_a_grid_is_made_of_its_images_two_pixels_apart(side, channels, scale):
  images = numbered(6, side, channels)
  picture = pictures.image_grid(images, 3, "t")
  step = side * scale + 2
  assert picture.mode == "RGB"
  assert picture.size == (3 * step - 2 + 16, 8 + 18 + 2 * step - 2 + 8)
  canvas = np.asarray(picture)
  rest = canvas.copy()
  for i, image in enumerate(images):
    top, left = 26 + i // 3 * step, 8 + i % 3 * step
    shown = canvas[top : top + side * scale, left : left + side * scale]
    enlarged = image.repeat(scale, 0).repeat(scale, 1)
    np.testing.assert_array_equal(shown, np.broadcast_to(enlarged, shown.shape))
    rest[top : top + side * scale, left : left + side * scale] = 255
  assert np.all(rest[26:] == 255)  # nothing between them
  assert np.any(rest[:26] < 128)  # the title above


def test_a_long_title_wraps_between_words_and_moves_the_images_down():
  images, title = numbered(4, 28, 1), "mnist  nonsat  dcgan  seed 0  step 2000"
  short, long = (pictures.image_grid(images, 2, text) for text in ("t", title))
  lines = pictures._wrapped(title, 2 * 58).split("\n")
  assert " ".join(lines).split() == title.split() and len(lines) > 1
  assert all(pictures._font().getlength(line) <= 2 * 58 for line in lines)
  assert long.size == (short.size[0], short.size[1] + 18 * (len(lines) - 1))
  rows = -(2 * 58 - 2 + 8)
  np.testing.assert_array_equal(np.asarray(long)[rows:], np.asarray(short)[rows:])


def test_a_title_that_fits_stays_on_one_line():
  assert pictures._wrapped("step 20", 500) == "step 20"


# Points and files.


@pytest.mark.parametrize("classes", [0, 2])
@pytest.mark.parametrize("with_data", [False, True])
def test_points_are_drawn_over_the_level_sets(classes, with_data):
  real = np.random.default_rng(0).standard_normal((30, 2)) if with_data else None
  what = sampling.square(POINTS, KEY, classes, count=25)
  figure = sampling.scatter(POINTS, STATE, what, "a title", real)
  axes = figure.axes[0]
  assert isinstance(figure, Figure) and axes.get_title() == "a title"
  fake = 0.5 * np.asarray(what.latents[:, :2])
  drawn = [np.asarray(points.get_offsets()) for points in axes.collections]
  assert any(points.shape == fake.shape and np.allclose(points, fake) for points in drawn)
  widest = np.abs(real if with_data else fake).max()
  np.testing.assert_allclose(axes.get_xlim(), (-1.35 * widest, 1.35 * widest), rtol=1e-5)


def test_level_sets_are_the_probabilities_of_d_with_rows_as_y(monkeypatch):
  seen = {}

  def points_over_levels(real, fake, levels, limit, title):
    seen["levels"] = levels
    return Figure()

  monkeypatch.setattr(pictures, "points_over_levels", points_over_levels)
  what = sampling.square(POINTS, KEY, 0, count=4)
  sampling.scatter(POINTS, STATE, what, "t", np.ones((1, 2)))
  # D(x) = s(2 x1): along a row (y fixed) it grows with x, along a column it does not change.
  ticks = np.linspace(-1.35, 1.35, 121)
  expected = np.tile(1 / (1 + np.exp(-2 * ticks)), (121, 1))
  np.testing.assert_allclose(seen["levels"], expected, atol=1e-6)


def test_level_sets_are_those_of_a_discriminator_that_returns_more_than_logits():
  more = network(lambda p, x, y: Outputs(p * x[:, 0], features=x))
  found = sampling.level_sets(POINTS._replace(discriminator=more), STATE, 1.0)
  np.testing.assert_array_equal(found, sampling.level_sets(POINTS, STATE, 1.0))


def test_equal_pictures_are_equal_bytes(tmp_path):
  def files(folder):
    folder.mkdir()
    what = sampling.square(POINTS, KEY, 0, count=25)
    pictures.save(sampling.scatter(POINTS, STATE, what, "t"), folder / "points.png")
    what = sampling.square(IMAGES, KEY, 0, count=4)
    pictures.save(sampling.grid(IMAGES, STATE, what, "t"), folder / "grid.png")
    return {path.name: path.read_bytes() for path in folder.iterdir()}

  one, other = files(tmp_path / "one"), files(tmp_path / "other")
  assert sorted(one) == ["grid.png", "points.png"]  # and nothing half-written beside them
  assert one == other


def test_a_saved_grid_reads_back_pixel_for_pixel(tmp_path):
  picture = pictures.image_grid(numbered(4, 28, 1), 2, "t")
  pictures.save(picture, tmp_path / "grid.png")
  with Image.open(tmp_path / "grid.png") as read:
    np.testing.assert_array_equal(np.asarray(read), np.asarray(picture))


def test_a_model_of_the_registry_can_be_drawn_from():
  gan = build_model("points", ModelSpec((2,), latent_dim=5, width=4))
  params = jax.tree.map(
    lambda leaf: jnp.ones(leaf.shape), jax.eval_shape(gan.generator.init, KEY)[0]
  )
  state = STATE.replace(ema_params=params)
  points = sampling.draw(gan, state, jnp.ones((3, 5)), None)
  # Two layers of 4 units: 5 + 1 = 6, then 4 * 6 + 1 = 25, then 4 * 25 + 1 = 101.
  np.testing.assert_allclose(points, np.full((3, 2), 101.0))
