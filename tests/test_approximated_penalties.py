"""Penalties of differences of logits: by hand, in the limit, and without a second backward pass."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from gan import penalties
from gan.errors import UserError
from gan.penalties import AugmentedCritic, approx_r1_penalty
from gan.training.config import Config
from gan.training.options import with_values
from gan.training.validation import validate

KEYS = jax.random.split(toys.key(0), 4)
NAMES = ["approx_r1", "approx_r2", "approx_r1r2"]
make_penalty = functools.partial(penalties.make_penalty, approx_share=1.0)


@pytest.fixture
def x64():
  with jax.enable_x64(True):
    yield


def directions(keys, size=2):
  """The e of each example, on data: read off a critic x_j, whose change over s is e_j."""
  zeros = jnp.zeros((len(keys), size))
  near = []
  approx_r1_penalty(
    lambda x: near.append(x) or x[:, 0], zeros, zeros, keys, approx_sigma=1.0, approx_share=1.0
  )
  (shown,) = [each for each in near if np.any(each != 0)]
  return shown


def points():
  return jax.random.normal(toys.key(4), (4, 2)), jax.random.normal(toys.key(5), (4, 2))


@pytest.mark.parametrize("sigma", [0.01, 1.0, 30.0])
def test_linear_critic_has_half_of_the_squared_slope_along_the_direction_at_any_sigma(x64, sigma):
  w, (real, fake) = jnp.array([3.0, -4.0]), points()
  values = make_penalty("approx_r1", approx_sigma=sigma)(lambda x: x @ w + 7, real, fake, KEYS)
  np.testing.assert_allclose(values, (directions(KEYS) @ w) ** 2 / 2, rtol=1e-9)


def test_quadratic_critic_has_the_value_by_hand(x64):
  # |x + s e|^2 / 2 - |x|^2 / 2 = s x e + s^2 |e|^2 / 2.
  real, fake = points()
  e, sigma = directions(KEYS), 0.5
  values = make_penalty("approx_r1", approx_sigma=sigma)(
    lambda x: jnp.sum(x * x, axis=-1) / 2, real, fake, KEYS
  )
  along, square = jnp.sum(real * e, axis=-1), jnp.sum(e * e, axis=-1)
  np.testing.assert_allclose(values, (along + sigma * square / 2) ** 2 / 2, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_error_falls_with_sigma_to_the_slope_along_the_direction(x64, name):
  def critic(x):
    return jnp.sum(jnp.tanh(x @ jnp.array([[1.0, -2.0], [0.5, 1.5]])), axis=-1)

  real, fake = points()
  sigmas = (1e-2, 1e-3, 1e-4)
  values = [
    make_penalty(name, approx_sigma=sigma)(critic, real, fake, KEYS) for sigma in (*sigmas, 1e-6)
  ]
  errors = [np.abs(each - values[-1]).max() for each in values[:-1]]
  # Of first order in sigma.
  np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 10, rtol=0.15)
  if name == "approx_r1":
    slopes = jax.grad(lambda x: jnp.sum(critic(x)))(real)
    along = jnp.sum(slopes * directions(KEYS), axis=-1)
    np.testing.assert_allclose(values[-1], along**2 / 2, rtol=1e-4)


def test_data_and_samples_have_directions_of_their_own_and_both_parts_add_up():
  real, fake = points()
  at_data, at_samples, both = (
    make_penalty(name)(lambda x: x[:, 0], real, fake, KEYS) for name in NAMES
  )
  np.testing.assert_allclose(both, at_data + at_samples, rtol=1e-6)
  assert np.all(at_data != at_samples)


def test_a_direction_is_that_of_a_key_whatever_else_is_in_the_batch():
  alone, among = directions(KEYS[2:3]), directions(KEYS)
  np.testing.assert_array_equal(alone[0], among[2])
  assert len(np.unique(among)) == among.size
  many = directions(jax.random.split(jax.random.key(1), 20_000))
  np.testing.assert_allclose(many.mean(axis=0), 0, atol=0.03)
  np.testing.assert_allclose(jnp.cov(many.T), np.eye(2), atol=0.04)


def test_logits_that_are_known_are_not_computed_again():
  calls = []

  def critic(x):
    calls.append(x)
    return x[:, 0]

  def both(*images):
    return [critic(each) for each in images]

  (real, fake), plain = points(), make_penalty("approx_r1r2")
  expected = plain(critic, real, fake, KEYS)
  assert len(calls) == 4
  known = AugmentedCritic(critic, critic, both, real[:, 0], fake[:, 0])
  calls.clear()
  np.testing.assert_allclose(plain(known, real, fake, KEYS), expected, rtol=1e-6)
  assert len(calls) == 2 and not any(np.array_equal(each, real) for each in calls)


@pytest.mark.parametrize("name", NAMES)
def test_a_share_of_the_batch_has_its_own_values_and_the_others_none(name):
  real, fake = points()
  whole, half = (
    make_penalty(name, approx_share=share)(lambda x: jnp.tanh(x[:, 0]), real, fake, KEYS)
    for share in (1.0, 0.5)
  )
  np.testing.assert_allclose(half, 2 * whole * jnp.array([1, 0, 1, 0]), rtol=1e-6)


@jax.custom_vjp
def once(x):
  """x^2, whose gradient has none: a second backward pass through it ends in an error."""
  return x * x


def _backward(x, cotangent):
  double = jax.custom_vjp(lambda x: 2 * x)
  double.defvjp(lambda x: (2 * x, None), lambda *_: pytest.fail("differentiated twice"))
  return (double(x) * cotangent,)


once.defvjp(lambda x: (x * x, x), _backward)


@pytest.mark.parametrize("name", ["r1r2", *NAMES])
def test_no_gradient_of_a_gradient_is_in_the_program(name):
  real, fake = points()

  def mean(w):
    return jnp.mean(make_penalty(name)(lambda x: once(x @ w), real, fake, KEYS))

  if name == "r1r2":
    with pytest.raises(pytest.fail.Exception, match="twice"):
      jax.grad(mean)(jnp.ones(2))
  else:
    assert np.isfinite(jax.grad(mean)(jnp.ones(2))).all()


@pytest.mark.parametrize("name", ["r1", "approx_r1"])
def test_no_convolution_of_the_program_is_a_gradient_in_the_image(name):
  # Of one convolution: two forward and two gradients in the kernel; R1 needs that in the image.
  images = jnp.ones((4, 6, 6, 1))

  def mean(kernel):
    def critic(x):
      made = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
      )
      return jnp.sum(jnp.tanh(made), axis=(1, 2, 3))

    return jnp.mean(make_penalty(name)(critic, images, images, KEYS))

  text = jax.jit(jax.grad(mean)).lower(jnp.ones((3, 3, 1, 1))).as_text()
  padded = [line for line in text.splitlines() if "pad = [[2, 2], [2, 2]]" in line]
  assert text.count("stablehlo.convolution") == (4 if name == "approx_r1" else 5)
  assert bool(padded) == (name == "r1")


@pytest.mark.parametrize(
  ("fields", "words"),
  [
    ({"approx_sigma": 0.0}, "`approx_sigma=0.0` must be a finite number above 0"),
    ({"approx_share": 1.5}, "`approx_share=1.5` must be a number above 0, and at most 1"),
    ({"precision": "bfloat16"}, "--approx_sigma=0.01 .*bfloat16.*at least 0.1, or .*float32"),
    ({"penalty": "r1", "approx_sigma": 0.1}, "--approx_sigma has no meaning for --penalty=r1"),
  ],
)
def test_what_cannot_be_is_refused(fields, words):
  with pytest.raises(UserError, match=words):
    validate(with_values(Config(penalty="approx_r1"), fields))
  validate(with_values(Config(penalty="approx_r1"), {"approx_sigma": 0.1, "precision": "bfloat16"}))
