"""ADA's transforms at given percentiles against NumPy and SciPy, what is drawn, and gradients."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.spatial.transform
import scipy.special
import toys

import gan
from gan.augment import ada, ada_bands, ada_geometry
from gan.augment.ada_draws import OWN_GATES, PARAMETERS, Draws, draw
from gan.errors import UserError

SIDE, MARGIN, P = 24, 40, 0.5
MAKE = gan.AUGMENTATIONS["ada"].make


def noise_image(channels=3, seed=0, side=SIDE):
  return np.random.default_rng(seed).uniform(-1, 1, (side, side, channels)).astype(np.float32)


IMAGE = noise_image()


def at(quantile, *on):
  """Draws whose parameters are all at one quantile, and of which some transforms are on."""
  gates = {
    name: jnp.full(size if name in OWN_GATES else 1, 0.0 if name in on else 0.99)
    for name, size in PARAMETERS.items()
  }
  return Draws({name: jnp.full(size, quantile) for name, size in PARAMETERS.items()}, gates)


@functools.cache
def compiled(groups=ada.GROUPS, color_share=1.0):
  """One program for all percentiles of the transforms of some groups."""
  function = functools.partial(ada.transform, groups=groups, color_share=color_share)
  return jax.jit(lambda image, draws: function(image, draws, toys.key(5), jnp.float32(P)))


def shown(image, draws, **options):
  return np.asarray(compiled(**options)(jnp.asarray(image), draws))


# The oracle of the geometry: filters by convolution, and SciPy's affine map, on an image that is
# mirrored far enough beyond its border.
SYM6 = np.asarray(ada_geometry.SYM6)


def fine(line):
  """Twice as many values, smoothly: zeros between them, then the filter, whose middle is tap 5."""
  spread = np.zeros(2 * len(line))
  spread[::2] = line
  return 2 * np.convolve(spread, SYM6)[5 : 5 + len(spread)]


def resampled(image, inverse):
  """What a map of (x, y, 1), in pixels from the centre, makes of an image; by NumPy and SciPy."""
  side = len(image)
  padded = np.pad(image.astype(float), ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), "reflect")
  up = np.apply_along_axis(fine, 1, np.apply_along_axis(fine, 0, padded))
  swap = np.array([[0.0, 1], [1, 0]])  # to (row, column)
  linear, by = swap @ inverse[:2, :2] @ swap, swap @ inverse[:2, 2]
  # Places of pixels lie 2 apart in the finer image, the first of the result at 5 from its border.
  centre = np.full(2, side - 1.0)
  offset = centre + 2 * by + 2 * MARGIN - linear @ (centre + 5)
  size = (2 * side + 10,) * 2
  read = np.stack(
    [
      scipy.ndimage.affine_transform(up[..., c], linear, offset, size, order=1)
      for c in range(image.shape[-1])
    ],
    axis=-1,
  )
  down = [sum(SYM6[k] * read[2 * m + k] for k in range(12)) for m in range(side)]
  rows = np.stack(down).swapaxes(0, 1)
  return np.stack([sum(SYM6[k] * rows[2 * m + k] for k in range(12)) for m in range(side)], axis=1)


def turn(angle):
  cosine, sine = np.cos(angle), np.sin(angle)
  return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def moved(by):
  return np.array([[1, 0, by], [0, 1, by], [0, 0, 1]])


def normal(quantile):
  return scipy.special.ndtri(quantile)


MAPS = {  # from places of the result to places of the image
  "scale": lambda q: np.diag([2 ** (-0.2 * normal(q)), 2 ** (-0.2 * normal(q)), 1]),
  "rotate": lambda q: turn(np.pi * (2 * q - 1)),
  "aniso": lambda q: np.diag([2 ** (-0.2 * normal(q)), 2 ** (0.2 * normal(q)), 1]),
  "rotate_after": lambda q: turn(np.pi * (2 * q - 1)),
  "xfrac": lambda q: moved(-0.125 * SIDE * normal(q)),
}


@pytest.mark.parametrize("quantile", [0.12, 0.7])
@pytest.mark.parametrize("name", MAPS)
def test_each_map_of_places_is_that_of_scipy(name, quantile):
  expected = resampled(IMAGE, MAPS[name](quantile))
  np.testing.assert_allclose(shown(IMAGE, at(quantile, name)), expected, atol=2e-5)


def test_maps_are_composed_in_the_order_of_the_source():
  on = ("xflip", "rotate90", "xint", *MAPS)
  q = 0.85  # flips, 3 quarters, a shift of round(0.7 * 24 / 8) = 2 pixels
  turned = np.rot90(IMAGE[:, ::-1], 3)
  inverse = functools.reduce(np.matmul, [moved(-2), *(of(q) for of in MAPS.values())])
  np.testing.assert_allclose(shown(IMAGE, at(q, *on)), resampled(turned, inverse), atol=2e-5)


COLORS = {
  "brightness": lambda x, q: x + 0.2 * normal(q),
  "contrast": lambda x, q: x * 2 ** (0.5 * normal(q)),
  "lumaflip": lambda x, q: x - 2 * (q >= 0.5) * x.mean(-1, keepdims=True),
  "hue": lambda x, q: (
    x
    @ scipy.spatial.transform.Rotation.from_rotvec(np.full(3, np.pi * (2 * q - 1) / 3**0.5))
    .as_matrix()
    .T
  ),
  "saturation": lambda x, q: (
    x.mean(-1, keepdims=True) + (x - x.mean(-1, keepdims=True)) * 2 ** normal(q)
  ),
}


@pytest.mark.parametrize("name", COLORS)
def test_each_transform_of_colours_is_that_of_numpy(name):
  for q in (0.12, 0.7):
    found = shown(IMAGE, at(q, name))
    np.testing.assert_allclose(found, COLORS[name](IMAGE.astype(float), q), atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_other_numbers_of_channels_move_about_the_axis_of_grey(channels):
  image, q = noise_image(channels), 0.7
  expected = image.astype(float)
  for name in ("brightness", "contrast", "lumaflip", "saturation"):
    expected = COLORS[name](expected, q)
  on = shown(image, at(q, *COLORS), groups=("color",))
  np.testing.assert_allclose(on, expected, atol=1e-5)  # the hue is of three channels alone


def frequencies(bands):
  """The transfer of the four bands at frequencies, from the wavelet of two vanishing moments."""
  omega = 2 * np.pi * np.fft.fftfreq(bands)
  root = 3**0.5
  taps = np.array([1 + root, 3 + root, 3 - root, 1 - root]) / (4 * 2**0.5)

  def low(w):
    return abs(sum(tap * np.exp(-1j * k * w) for k, tap in enumerate(taps))) ** 2 / 2

  high = [low(w + np.pi) for w in (omega, 2 * omega, 4 * omega)]
  lows = [low(w) for w in (omega, 2 * omega, 4 * omega)]
  lowest = lows[0] * lows[1] * lows[2]
  return np.stack([lowest, lows[0] * lows[1] * high[2], lows[0] * high[1], high[0]])


def test_bands_are_those_of_the_wavelet_and_share_all_frequencies():
  found = np.stack([np.fft.fft(np.fft.ifftshift(each)) for each in ada_bands.bank()])
  np.testing.assert_allclose(found, frequencies(43), atol=1e-9)
  np.testing.assert_allclose(found.sum(0), 1, atol=1e-9)


@pytest.mark.parametrize("quantile", [0.12, 0.7])
def test_the_strengths_of_bands_are_those_of_scipy(quantile):
  power, gains = np.array([10, 1, 1, 1]) / 13, np.ones(4)
  for band in range(4):
    own = np.where(np.arange(4) == band, 2 ** normal(quantile), 1)
    gains *= own / np.sqrt(np.sum(power * own**2))
  taps = np.fft.fftshift(np.fft.ifft(gains @ frequencies(43)).real)
  expected = IMAGE.astype(float)
  for axis in (0, 1):
    expected = scipy.ndimage.convolve1d(expected, taps, axis, mode="mirror")
  np.testing.assert_allclose(shown(IMAGE, at(quantile, "filter")), expected, atol=2e-5)


def test_noise_and_boxes_are_those_of_numpy():
  sigma = 0.1 * scipy.special.ndtri(
    (1 + 0.7) / 2
  )  # the quantile 0.7 of the size of a normal number
  noise = np.asarray(jax.random.normal(toys.key(5), IMAGE.shape))
  found = shown(IMAGE, at(0.7, "noise"))
  np.testing.assert_allclose(found, IMAGE + sigma * noise, atol=1e-5)
  for centre in (0.1, 0.5, 0.9):
    inside = abs((np.arange(SIDE) + 0.5) / SIDE - centre) < 0.25
    box = np.where((inside[:, None] & inside)[..., None], 0, IMAGE)
    np.testing.assert_allclose(shown(IMAGE, at(centre, "cutout")), box, atol=1e-5)
  assert (shown(IMAGE, at(0.5, "cutout"), groups=("cutout",)) == 0).sum() == 3 * (SIDE // 2) ** 2


@pytest.mark.parametrize("groups", [("blit",), ada.GROUPS])
def test_flips_turns_and_whole_shifts_move_pixels_as_they_are(groups):
  # By resampling to rounding, since the filter gives all of an image back.
  same = functools.partial(np.testing.assert_allclose, atol=0 if groups == ("blit",) else 2e-6)
  same(shown(IMAGE, at(0.7), groups=groups), IMAGE)
  same(shown(IMAGE, at(0.7, "xflip"), groups=groups), IMAGE[:, ::-1])
  for quarters in range(4):
    found = shown(IMAGE, at((quarters + 0.5) / 4, "rotate90"), groups=groups)
    same(found, np.rot90(IMAGE, quarters))
  for quantile, by in ((1.0, 3), (0.0, -3), (0.9, 2)):
    found = shown(IMAGE, at(quantile, "xint"), groups=groups)
    mirrored = np.pad(IMAGE, ((3, 3), (3, 3), (0, 0)), "reflect")
    same(found, mirrored[3 - by : 3 - by + SIDE, 3 - by : 3 - by + SIDE])


def test_the_filter_of_the_geometry_loses_nothing_and_has_six_vanishing_moments():
  np.testing.assert_allclose(SYM6.sum(), 1, atol=1e-12)
  for shift in range(6):
    inner = 2 * SYM6[2 * shift :] @ SYM6[: 12 - 2 * shift]
    np.testing.assert_allclose(inner, shift == 0, atol=1e-11)
  signs = (-1.0) ** np.arange(12)
  for power in range(6):
    np.testing.assert_allclose(signs * SYM6 @ (np.arange(12) / 11) ** power, 0, atol=1e-9)


def test_a_product_of_maps_is_one_map_after_the_other():
  places = (np.arange(SIDE) - (SIDE - 1) / 2) / SIDE
  smooth = jnp.asarray(np.exp(-12 * (places[:, None] - 0.1) ** 2 - 20 * places**2)[..., None])
  smooth = smooth.astype(jnp.float32)
  one = ada_geometry.rotation(jnp.float32(0.6))
  other = ada_geometry.product(
    ada_geometry.scaling(jnp.float32(1.1), jnp.float32(0.9)),
    ada_geometry.translation(jnp.array([1.3, -0.4])),
  )
  apply = jax.jit(ada_geometry.resampled)
  twice = apply(apply(smooth, one), other)
  once = apply(smooth, ada_geometry.product(one, other))
  inside = slice(SIDE // 4, -SIDE // 4)
  np.testing.assert_allclose(twice[inside, inside], once[inside, inside], atol=0.01)
  np.testing.assert_array_less(0.3, np.ptp(once[inside, inside]))


# What is drawn.


def test_a_transform_is_on_with_its_probability_and_colours_with_their_share():
  draws = jax.vmap(draw)(jax.random.split(toys.key(0), 4000))
  for name, gates in draws.gates.items():
    np.testing.assert_allclose(
      (gates < 0.3).mean(0), 0.3, atol=5 * (0.21 / 4000) ** 0.5, err_msg=name
    )
  either = jax.vmap(lambda each: ada_geometry.inverse_map(each, jnp.float32(P), (8, 8)))
  alone = {
    name: draws.gates[name] if "rotate" in name else 1 + gates
    for name, gates in draws.gates.items()
  }
  turned = jnp.any(either(draws._replace(gates=alone)) != jnp.eye(3)[None], (1, 2))
  np.testing.assert_allclose(turned.mean(), P, atol=5 * (0.25 / 4000) ** 0.5)
  hue = at(0.7, "hue")
  hue.gates["hue"] = jnp.full(1, 0.3)
  assert np.any(shown(IMAGE, hue, groups=("color",)) != IMAGE)
  same = shown(IMAGE, hue, groups=("color",), color_share=0.5)
  np.testing.assert_allclose(same, IMAGE, atol=1e-6)


def test_percentiles_at_the_ends_give_finite_images():
  on = tuple(PARAMETERS)
  for quantile in (0.0, 1.0):
    assert np.isfinite(shown(IMAGE, at(quantile, *on))).all()


# As an augmentation.

BATCH = jnp.stack([jnp.asarray(noise_image(seed=seed, side=8)) for seed in range(4)])
KEYS = jax.random.split(toys.key(1), 4)


@functools.cache
def augmented():
  augmentation = MAKE(groups="bgcfnc")
  return jax.jit(lambda images, keys, p: augmentation.apply(images, keys, state_of(p)))


def state_of(p):
  return toys.state_of().replace(hyperparameters=gan.Hyperparameters(augment_strength=p))


def test_an_example_has_its_own_draws_on_any_number_of_devices():
  apply, p = augmented(), jnp.float32(0.9)
  whole = apply(BATCH, KEYS, p)
  order = np.array([2, 0, 3, 1])
  np.testing.assert_allclose(apply(BATCH[order], KEYS[order], p), whole[order], atol=1e-6)
  other = apply(BATCH.at[1].set(0), KEYS.at[1].set(toys.key(7)), p)
  np.testing.assert_allclose(np.delete(other, 1, 0), np.delete(whole, 1, 0), atol=1e-6)
  assert jnp.abs(whole - BATCH).min(0).max() > 0.01
  mesh, spec = jax.sharding.Mesh(jax.devices(), "batch"), jax.sharding.PartitionSpec("batch")
  share = functools.partial(augmented(), p=p)
  split = jax.shard_map(share, mesh=mesh, in_specs=(spec, spec), out_specs=spec, check_vma=False)
  np.testing.assert_allclose(jax.jit(split)(BATCH, KEYS), whole, atol=1e-6)
  np.testing.assert_allclose(apply(BATCH, KEYS, jnp.float32(0)), BATCH, atol=1e-6)


def test_gradients_are_those_of_an_affine_function_of_the_image():
  weights = jnp.asarray(np.random.default_rng(3).normal(size=BATCH.shape), jnp.float32)
  moved = jnp.asarray(np.random.default_rng(4).normal(size=BATCH.shape), jnp.float32)
  apply, p = augmented(), jnp.float32(0.9)
  gradient = jax.grad(lambda images: jnp.sum(weights * apply(images, KEYS, p)))(BATCH)
  difference = apply(BATCH + moved, KEYS, p) - apply(BATCH, KEYS, p)
  found, expected = (
    jnp.sum(a * b, (1, 2, 3)) for a, b in ((gradient, moved), (weights, difference))
  )
  np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_half_precision_is_computed_in_single():
  half = BATCH.astype(jnp.bfloat16)
  found = augmented()(half, KEYS, jnp.float32(0.9))
  exact = augmented()(half.astype(jnp.float32), KEYS, jnp.float32(0.9))
  assert found.dtype == jnp.bfloat16
  np.testing.assert_array_equal(found, exact.astype(jnp.bfloat16))


@pytest.mark.parametrize(
  ("options", "message"),
  [
    (
      {"groups": "bcg"},
      "group of ada 'bcg' is unknown: choose from bg, bgc, bgcf, bgcfn, bgcfnc, b",
    ),
    ({"groups": "bgc,color"}, "groups of ada: bgc,color has color twice: give it once"),
    ({"groups": " "}, "no group of ada is named: choose from bg, bgc"),
    ({"color_share": 1.5}, "color_share=1.5 of ada must be from 0 to 1"),
  ],
)
def test_what_cannot_be_is_one_line(options, message):
  with pytest.raises(UserError) as refusal:
    MAKE(**options)
  assert str(refusal.value).startswith(message)


def test_quarter_turns_are_of_squares():
  with pytest.raises(
    UserError, match=r"^ada turns images by quarters, and these are \[8, 6\]: leave"
  ):
    augmented()(BATCH[:, :, :6], KEYS, jnp.float32(0.5))


def test_the_gradient_of_what_is_read_between_pixels_is_its_transpose():
  keys = jax.random.split(jax.random.key(0), 4)
  image, given = jax.random.normal(keys[0], (6, 5, 2)), jax.random.normal(keys[1], (7, 4, 2))
  rows, columns = (jax.random.uniform(key, (7, 4), minval=-9, maxval=9) for key in keys[2:])
  read, transpose = jax.vjp(lambda image: ada_geometry.bilinear(image, rows, columns), image)
  expected, added = np.zeros(read.shape), np.zeros(image.shape)
  for place in np.ndindex(7, 4):
    for row, column in itertools.product((0, 1), repeat=2):
      y, x = math.floor(rows[place]) + row, math.floor(columns[place]) + column
      weight = (1 - abs(rows[place] - y)) * (1 - abs(columns[place] - x))
      expected[place] += weight * image[y % 6, x % 5]
      added[y % 6, x % 5] += weight * given[place]
  np.testing.assert_allclose(read, expected, atol=1e-5)
  np.testing.assert_allclose(transpose(given)[0], added, atol=1e-5)
  moved = jax.jvp(lambda image: ada_geometry.bilinear(image, rows, columns), (image,), (image,))
  np.testing.assert_allclose(moved[1], read, atol=1e-6)
