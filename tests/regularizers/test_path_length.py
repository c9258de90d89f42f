"""Path length: by hand where the images are linear in the styles, and its place in a step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from gan.errors import UserError
from gan.method.game import Batch
from gan.networks import Gan
from gan.regularizers import View, make_path_length, path_lengths

WEIGHTS = np.random.default_rng(0).standard_normal((3, 4 * 4 * 2)).astype(np.float32)


def view_of(step=0, axis_name=(), scale=1.0):
  """A generator of 4 x 4 pixels and two colours whose style stands for two layers."""

  def to_styles(latents):
    return jnp.broadcast_to(latents[:, None], (len(latents), 2, 3))

  def synthesise(styles):
    # The second layer has twice the weight of the first.
    joined = styles[:, 0] + 2 * styles[:, 1]
    return scale * (joined @ WEIGHTS).reshape(-1, 4, 4, 2)

  keys = jax.random.split(jax.random.key(1), 5)
  fields = {name: None for name in View._fields}
  fields |= {"latents": jnp.ones((5, 3)), "keys": keys, "step": jnp.int32(step)}
  return View(**fields | {"axis_name": axis_name, "stages": (to_styles, synthesise)})


def lengths_by_hand():
  drawn = [jax.random.normal(key, (4, 4, 2)) for key in view_of().keys]
  directions = np.stack(drawn).reshape(5, -1) / 4  # sqrt(16 pixels)
  slopes = directions @ WEIGHTS.T  # [5, 3], in the first layer; twice that in the second
  return np.sqrt((1 + 4) / 2 * np.sum(slopes**2, axis=1))


def test_lengths_are_those_of_the_jacobian():
  np.testing.assert_allclose(path_lengths(view_of()), lengths_by_hand(), rtol=1e-5)


def test_the_term_is_the_excess_over_the_mean_on_every_fourth_step():
  regularizer, mean = make_path_length(), jnp.float32(2)
  excess = np.mean((lengths_by_hand() - 2) ** 2)
  value, seen = regularizer.generator(view_of(step=8), mean)
  np.testing.assert_allclose([value, seen["path_length"]], [4 * excess, excess], rtol=1e-5)
  value, seen = regularizer.generator(view_of(step=9), mean)
  assert value == seen["path_length"] == 0
  always = make_path_length(path_length_every=1)
  np.testing.assert_allclose(always.generator(view_of(step=9), mean)[0], excess, rtol=1e-5)


def test_the_mean_moves_with_the_term_by_its_decay():
  regularizer, mean = make_path_length(path_length_decay=0.9), jnp.float32(2)
  expected = 0.9 * 2 + 0.1 * np.mean(lengths_by_hand())
  np.testing.assert_allclose(regularizer.update(view_of(step=4), mean), expected, rtol=1e-5)
  assert regularizer.update(view_of(step=5), mean) == 2


def test_the_gradient_reaches_the_generator():
  regularizer = make_path_length()

  def term(scale):
    return regularizer.generator(view_of(scale=scale), jnp.float32(0))[0]

  # With a mean of 0 the term is quadratic in the scale of the images.
  np.testing.assert_allclose(jax.grad(term)(1.0), 2 * term(1.0), rtol=1e-5)


def staged_gan() -> Gan:
  """The affine generator of points as images of one pixel, in two stages."""
  gan = toys.tanh_gan()

  def init(key, inputs=None, labels=None):
    return {"to_styles": jnp.eye(2), "to_images": 0.5 * jnp.eye(2)}, {}

  def to_styles(params, state, latents, labels=None, *, train, key=None):
    return (latents @ params["to_styles"])[:, None], state

  def synthesise(params, state, styles, labels=None, *, train, key=None):
    return (styles[:, 0] @ params["to_images"]).reshape(-1, 1, 1, 2), state

  def apply(params, state, latents, labels=None, **options):
    return synthesise(params, state, to_styles(params, state, latents, **options)[0], **options)

  def judge(params, state, images, labels=None, **options):
    return gan.discriminator.apply(params, state, images.reshape(-1, 2), labels, **options)

  generator = gan.generator._replace(init=init, apply=apply, stages=(to_styles, synthesise))
  return gan._replace(generator=generator, discriminator=gan.discriminator._replace(apply=judge))


@pytest.mark.parametrize("devices", [1, 2])
def test_a_step_moves_the_mean_and_the_weights_of_images_only(devices):
  axis_name = "batch" if devices == 2 else ()
  made = {"path_length": make_path_length(path_length_every=2, path_length_decay=0.5)}
  game = toys.make_game(staged_gan(), regularizers=made, axis_name=axis_name)
  images = toys.points().reshape(1, 4, 1, 1, 2)

  def after(weight, steps):
    state = toys.start(game, path_length_weight=weight)
    step = toys.over_two_devices(game.step) if devices == 2 else game.step
    step = jax.jit(step)
    for _ in range(steps):
      state, metrics = step(state, Batch(images, None), toys.key(0))
    return state, metrics

  with_term, metrics = after(0.1, 1)
  without, _ = after(0.0, 1)
  # J = 0.5 I at first: the mean of |y| / 2 times a half.
  assert 0 < with_term.aux_state["path_length"] < 1
  np.testing.assert_allclose(
    with_term.aux_state["path_length"], without.aux_state["path_length"], rtol=1e-6
  )
  assert metrics["path_length"] > 0
  moved = [state.generator.params for state in (with_term, without)]
  assert np.any(moved[0]["to_images"] != moved[1]["to_images"])
  # Step 1 is not due.
  later, metrics = after(0.1, 2)
  assert metrics["path_length"] == 0
  assert later.aux_state["path_length"] == with_term.aux_state["path_length"]


def test_a_generator_without_styles_is_refused_when_the_state_is_made():
  game = toys.make_game(toys.tanh_gan(), regularizers={"path_length": make_path_length()})
  with pytest.raises(UserError, match="`model=stylegan2`") as error:
    toys.start(game)
  assert "\n" not in str(error.value)
