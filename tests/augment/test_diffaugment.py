"""DiffAugment: each policy against slices and hand arithmetic, its gradient, its draws."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

import gan
from gan.augment import diffaugment
from gan.errors import UserError
from gan.training.build import game_parts
from gan.training.config import Config

MAKE = gan.AUGMENTATIONS["diffaugment"].make


def images(shape, seed=0):
  return jnp.asarray(np.random.default_rng(seed).uniform(-1, 1, shape), jnp.float32)


def draws(*numbers):
  return jnp.array(numbers, jnp.float32)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_colours_are_moved_as_by_hand_and_not_by_draws_of_one_half(channels):
  image = images((6, 4, channels))
  u, v, w = 0.9, 0.2, 0.75
  bright = image + 0.4
  grey = bright.mean(-1, keepdims=True)
  saturated = grey + 0.4 * (bright - grey)
  expected = saturated.mean() + 1.25 * (saturated - saturated.mean())
  np.testing.assert_allclose(diffaugment.color(image, draws(u, v, w)), expected, atol=1e-6)
  np.testing.assert_allclose(diffaugment.color(image, draws(0.5, 0.5, 0.5)), image, atol=1e-6)


@pytest.mark.parametrize("side", [28, 32])
def test_shifts_are_slices_with_zeros_and_reach_an_eighth_of_the_side(side):
  image, most = images((side, side, 2)), 4
  up_left = np.zeros(image.shape)
  up_left[:-most, :-most] = image[most:, most:]
  np.testing.assert_array_equal(diffaugment.translation(image, draws(1, 1)), up_left)
  down = np.zeros(image.shape)
  down[most:] = image[:-most]
  np.testing.assert_array_equal(diffaugment.translation(image, draws(0, 0.5)), down)
  np.testing.assert_array_equal(diffaugment.translation(image, draws(0.5, 0.5)), image)
  seen = jax.vmap(lambda u: diffaugment.translation(image, jnp.stack([u, draws(0.5)[0]])))(
    (jnp.arange(2 * most + 1) + 0.5) / (2 * most + 1)
  )
  assert len(np.unique(seen, axis=0)) == 2 * most + 1


@pytest.mark.parametrize(("side", "length"), [(28, 14), (32, 16), (6, 3)])
def test_the_box_that_is_cut_out_has_half_the_sides_less_what_is_outside(side, length):
  image = jnp.ones((side, side, 1))
  centres = side + 1 - length % 2
  holes = jax.vmap(lambda u: 1 - diffaugment.cutout(image, jnp.stack([u, draws(0.5)[0]])))(
    (jnp.arange(centres) + 0.5) / centres
  )
  # Rows from centre - length // 2 on, as many of them as there are.
  first = np.arange(centres) - length // 2
  rows = np.minimum(first + length, side) - np.maximum(first, 0)
  np.testing.assert_array_equal(holes.sum((1, 2, 3)), rows * length)
  whole = diffaugment.cutout(image, draws(0.5, 0.5))[..., 0] == 0
  top = centres // 2 - length // 2
  np.testing.assert_array_equal(np.argwhere(whole).min(0), [top, top])


@pytest.mark.parametrize(
  ("name", "strength", "options"),
  [("diffaugment", 1.0, {}), ("ada", 0.8, {"groups": "blit,color,noise,cutout"})],
)
def test_images_in_another_range_are_mapped_augmented_and_mapped_back(name, strength, options):
  make, state = gan.AUGMENTATIONS[name].make, toys.state_of(augment_strength=strength)
  signed, keys = images((6, 8, 8, 3)), jax.random.split(toys.key(1), 6)
  usual, other = (make(**options, image_range=each) for each in ((-1.0, 1.0), (0.0, 1.0)))
  shown = usual.apply(signed, keys, state)
  assert jnp.any(jnp.abs(shown) > 1) and jnp.any(shown == 0)  # noise or light, and what is cut out
  found = other.apply((signed + 1) / 2, keys, state)
  np.testing.assert_allclose(found, (shown + 1) / 2, atol=2e-6)
  assert (usual.image_range, other.image_range) == ((-1.0, 1.0), (0.0, 1.0))
  np.testing.assert_array_equal(make(**options).apply(signed, keys, state), shown)


def test_a_range_is_that_of_the_game_and_of_the_model():
  mirror, other = gan.AUGMENTATIONS["mirror"].make(), MAKE(image_range=(0.0, 1.0))
  both = gan.augment.compose([mirror, other])
  game = toys.make_game(toys.tanh_gan())
  assert gan.augment.compose([mirror, mirror]).image_range is None
  for refused, message in (
    (lambda: game.replace(augment=both), "images in .0.0, 1.0., and .* make it with `image_range="),
    (lambda: gan.augment.compose([MAKE(), other]), "do not go together: make them with one"),
    (lambda: MAKE(image_range=(1.0, 0.0)), "^`image_range=.* must be two numbers, the lower one"),
  ):
    with pytest.raises(UserError, match=message) as caught:
      refused()
    assert "\n" not in str(caught.value)
  for model, image_range in (("dcgan", (-1.0, 1.0)), ("goodfellow", (0.0, 1.0))):
    made = game_parts(Config(model=model, augment="diffaugment"))["augment"]
    assert made.image_range == image_range


def test_an_example_has_its_own_draws_and_gradients_flow_through():
  augmentation, state = MAKE(), toys.state_of(augment_strength=1.0)
  batch, keys = images((6, 8, 8, 3)), jax.random.split(toys.key(1), 6)
  apply = jax.jit(functools.partial(augmentation.apply, state=state))
  shown = apply(batch, keys)
  order = np.array([3, 0, 5, 1, 4, 2])
  np.testing.assert_array_equal(apply(batch[order], keys[order]), shown[order])
  other = apply(batch, keys.at[2].set(toys.key(9)))
  np.testing.assert_array_equal(np.delete(other, 2, 0), np.delete(shown, 2, 0))
  assert jnp.any(other[2] != shown[2])
  # Linear in the images but for the brightness: the gradient of the sum gives the difference.
  gradient = jax.grad(lambda x: apply(x, keys).sum())(batch)
  found = jnp.sum(gradient * batch, (1, 2, 3))
  np.testing.assert_allclose(
    found, (shown - apply(jnp.zeros_like(batch), keys)).sum((1, 2, 3)), rtol=1e-3, atol=1e-3
  )


def test_the_strength_is_the_share_of_examples_that_are_augmented():
  augmentation, batch = MAKE(policy="translation"), jnp.ones((4000, 8, 8, 1))
  keys = jax.random.split(toys.key(0), 4000)
  shown = augmentation.apply(batch, keys, toys.state_of(augment_strength=0.3))
  moved = jnp.mean(jnp.any(shown != batch, (1, 2, 3)))
  # A shift of 1 of 3 places a side leaves 1/9 of them where they are: 0.3 * 8/9, 5 standard errors.
  assert abs(moved - 0.3 * 8 / 9) < 5 * (0.27 * 0.73 / 4000) ** 0.5
  np.testing.assert_array_equal(
    augmentation.apply(batch, keys, toys.state_of(augment_strength=0.0)), batch
  )


def test_half_precision_stays_and_is_near():
  batch, keys = images((4, 8, 8, 3)), jax.random.split(toys.key(2), 4)
  exact = MAKE().apply(batch, keys, toys.state_of(augment_strength=1.0))
  half = MAKE().apply(batch.astype(jnp.bfloat16), keys, toys.state_of(augment_strength=1.0))
  assert half.dtype == jnp.bfloat16
  np.testing.assert_allclose(half.astype(jnp.float32), exact, atol=0.06)


@pytest.mark.parametrize(
  ("policy", "message"),
  [
    ("colour", "policy of diffaugment 'colour' is unknown: choose from color, translation, cutout"),
    ("", "no policy of diffaugment is named: choose from color, translation, cutout"),
  ],
)
def test_an_unknown_policy_is_one_line(policy, message):
  with pytest.raises(UserError) as refusal:
    MAKE(policy=policy)
  assert str(refusal.value) == message
