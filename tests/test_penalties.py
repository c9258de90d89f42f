"""Gradient penalties of the discriminator."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys
from flax import linen as nn

from gan import augment, models, penalties, regularizers
from gan.errors import UserError
from gan.method.game import Batch, Examples
from gan.method.objectives import discriminator_objective
from gan.networks import from_linen
from gan.optimizers import make_optimizer
from gan.penalties import PENALTIES, interpolate

# Of a share of the batch the values of the others are 0.
make_penalty = functools.partial(penalties.make_penalty, approx_share=1.0)
NAMES = [name for name in PENALTIES if name != "none"]
EXACT = [name for name in NAMES if not name.startswith("approx")]
# What one example is given depends on the others.
OF_BATCH = {"dragan", "max_gradient"}
KEYS = jax.random.split(toys.key(0), 2)


@pytest.fixture
def x64():
  with jax.enable_x64(True):
    yield


def images(count=4, seed=1):
  """Two batches of images [B, 2, 2, 1]."""
  keys = jax.random.split(toys.key(seed))
  return tuple(jax.random.normal(key, (count, 2, 2, 1)) for key in keys)


def tanh_critic(params):
  """sum_j out_j tanh(x . kernel_j), on images [B, 2, 2, 1]."""
  return lambda x: jnp.tanh(x.reshape(len(x), -1) @ params["kernel"]) @ params["out"]


def tanh_params(steepness=1.0):
  kernel_key, out_key = jax.random.split(toys.key(5))
  out = steepness * jax.random.normal(out_key, (3,))
  return {"kernel": jax.random.normal(kernel_key, (4, 3)), "out": out}


# Values known by hand. A linear critic 3 x_0 + 4 x_1 has a gradient of norm 5 everywhere:
# (5 - 1)^2 = 16, 5^2 = 25 and 25 / 2.

LINEAR = {
  "wgan_gp": 16.0,
  "wgan_lp": 16.0,
  "gp0": 25.0,
  "r1": 12.5,
  "r2": 12.5,
  "r1r2": 25.0,
  "dragan": 16.0,
  "max_gradient": [50.0, 0.0],  # of both examples, for whose mean the first stands
}


@pytest.mark.parametrize("name", EXACT)
def test_linear_critic_has_the_known_penalty(name):
  slope = jnp.array([3.0, 4.0, 0.0, 0.0])
  real, fake = images(2)
  values = make_penalty(name)(lambda x: x.reshape(2, -1) @ slope, real, fake, KEYS)
  np.testing.assert_allclose(values, np.broadcast_to(LINEAR[name], 2), rtol=1e-6)


@pytest.mark.parametrize("name", EXACT)
def test_gentle_linear_critic_is_left_alone_by_one_sided_penalties_only(name):
  # A gradient of norm 1/2: (1/2 - 1)^2 = 1/4, one-sided 0, (1/2)^2 = 1/4, half of it 1/8.
  expected = {"wgan_gp": 0.25, "dragan": 0.25, "wgan_lp": 0, "gp0": 0.25, "r1": 0.125, "r2": 0.125}
  expected |= {"max_gradient": [0.5, 0]}
  real, fake = images(2)
  values = make_penalty(name)(lambda x: x.reshape(2, -1)[:, 0] / 2, real, fake, KEYS)
  np.testing.assert_allclose(values, np.broadcast_to(expected.get(name, 0.25), 2), rtol=1e-5)


# A quadratic critic |x|^2 / 2 has the gradient x: its norm is the distance from 0.
@pytest.mark.parametrize(
  "name, at_real, at_fake",
  [
    ("r1", 12.5, 0.5),  # |x| = 5, 1: halves of the squares
    ("r2", 0.5, 12.5),
    ("r1r2", 13.0, 13.0),
  ],
)
def test_quadratic_critic_shows_where_the_penalty_looks(name, at_real, at_fake):
  real, fake = jnp.array([[3.0, 4.0], [1.0, 0.0]]), jnp.array([[0.0, 1.0], [-3.0, 4.0]])

  def critic(x):
    return jnp.sum(jnp.square(x), axis=-1) / 2

  values = make_penalty(name)(critic, real, fake, KEYS)
  np.testing.assert_allclose(values, [at_real, at_fake], rtol=1e-6)


def test_quadratic_critic_on_interpolates():
  # From (0, 0) to (4, 0) the norm is 4 (1 - e) for the share e of the real image.
  real, fake = jnp.zeros((2, 2)), jnp.array([[4.0, 0.0]] * 2)
  share = 1 - interpolate(real, fake, KEYS)[:, 0] / 4
  assert np.all((share > 0) & (share < 1)) and share[0] != share[1]

  def critic(x):
    return jnp.sum(jnp.square(x), axis=-1) / 2

  norm = 4 * (1 - share)
  expected = {"wgan_gp": (norm - 1) ** 2, "wgan_lp": jnp.maximum(norm - 1, 0) ** 2, "gp0": norm**2}
  for name, values in expected.items():
    np.testing.assert_allclose(make_penalty(name)(critic, real, fake, KEYS), values, rtol=1e-5)


def test_dragan_looks_within_half_a_standard_deviation_above_the_data():
  # Values -1 and 1 have standard deviation 1. The quadratic's gradient is the point itself, of norm
  # between |x| and |x| + 1/2 per pixel on the positive side.
  real = jnp.array([[1.0], [-1.0]] * 50)
  keys = jax.random.split(toys.key(3), 100)
  values = make_penalty("dragan")(lambda x: jnp.square(x[:, 0]) / 2, real, real, keys)
  above = 1 + jnp.sqrt(values[::2])  # the norm at x = 1 is 1 + a n
  below = 1 - jnp.sqrt(values[1::2])  # the norm at x = -1 is 1 - a n
  assert above.min() >= 1 and above.max() < 1.5 and below.min() > 0.5
  # a and n / 0.5 are independent and uniform: the mean of a n is 1/2 * 1/4, of variance about .013.
  np.testing.assert_allclose(above.mean() - 1, 0.125, atol=0.06)


def test_max_gradient_is_that_of_the_steepest_point_of_the_batch():
  # The quadratic's slope is the point itself; from (0, 0) to (r, 0) its norm is r (1 - e).
  real, fake = jnp.zeros((3, 2)), jnp.array([[1.0, 0.0], [9.0, 0.0], [0.5, 0.0]])
  keys = jax.random.split(toys.key(0), 3)
  norms = interpolate(real, fake, keys)[:, 0]
  assert jnp.argmax(norms) == 1

  def mean(scale):
    def critic(x):
      return scale * jnp.sum(jnp.square(x), axis=-1) / 2

    return jnp.mean(make_penalty("max_gradient")(critic, real, fake, keys))

  value, slope = jax.value_and_grad(mean)(jnp.float32(3))
  np.testing.assert_allclose(value, (3 * norms[1]) ** 2, rtol=1e-6)
  np.testing.assert_allclose(slope, 2 * 3 * norms[1] ** 2, rtol=1e-6)


def test_tanh_critic_has_the_known_r1(x64):
  # One unit: gradient out (1 - tanh^2(w x)) w, halves of the squares.
  real = jnp.array([[0.3], [-1.2]])
  values = make_penalty("r1")(lambda x: 1.5 * jnp.tanh(2 * x[:, 0]), real, real, KEYS)
  expected = (1.5 * 2 * (1 - np.tanh(2 * np.array([0.3, -1.2])) ** 2)) ** 2 / 2
  np.testing.assert_allclose(values, expected, rtol=1e-5)


# What every penalty owes.


@pytest.mark.parametrize("name", NAMES)
def test_penalty_is_that_of_a_loop_over_examples(name):
  real, fake = images()
  keys, params = jax.random.split(toys.key(2), 4), tanh_params()
  values = make_penalty(name)(tanh_critic(params), real, fake, keys)

  def one(i):
    if name in OF_BATCH:  # the loop shows the batch and reads one example
      return make_penalty(name)(tanh_critic(params), real, fake, keys)[i]
    return make_penalty(name)(tanh_critic(params), real[i][None], fake[i][None], keys[i][None])[0]

  # An error of a logit in float32 is a hundred times as large in a difference over 0.01.
  rtol = 1e-5 if name in EXACT else 1e-3
  np.testing.assert_allclose(values, [one(i) for i in range(4)], rtol=rtol)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"max_gradient"}))
def test_no_example_leaks_into_the_penalty_of_another(name):
  real, fake = images()
  keys, critic = jax.random.split(toys.key(2), 4), tanh_critic(tanh_params(9.0))
  # Another sign of one example, and the data's mirror image, leave DRAGAN's standard deviation as
  # it is.
  real = jnp.concatenate([real, -real])
  fake, keys = jnp.concatenate([fake, fake]), jnp.concatenate([keys, keys])
  flip = jnp.ones(8).at[jnp.array([1, 5])].set(-1).reshape(8, 1, 1, 1)
  before = make_penalty(name)(critic, real, fake, keys)
  after = make_penalty(name)(critic, flip * real, flip * fake + (1 - flip), keys)
  untouched = np.array([0, 2, 3, 4, 6, 7])
  np.testing.assert_allclose(after[untouched], before[untouched], rtol=1e-6)
  if name != "r1":  # the gradient of a tanh critic is even: R1 does not see the sign
    assert before[1] != after[1] and before[5] != after[5]


@pytest.mark.parametrize("name", sorted(set(NAMES) - OF_BATCH))
def test_jacobian_over_examples_is_diagonal(name):
  real, fake = images()
  keys, critic = jax.random.split(toys.key(2), 4), tanh_critic(tanh_params(9.0))

  def values(shifts):
    shifts = shifts.reshape(4, 1, 1, 1)
    return make_penalty(name)(critic, real + shifts, fake + shifts, keys)

  jacobian = jax.jit(jax.jacobian(values))(jnp.zeros(4))
  diagonal = jnp.diag(jacobian)
  np.testing.assert_array_equal(jacobian, jnp.diag(diagonal))
  assert jnp.all(jnp.abs(diagonal) > 1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_finite_where_the_critic_is_flat(name):
  real, fake = images(2)

  def mean(slope):
    def critic(x):
      return jnp.sum(x * slope, axis=(1, 2, 3))

    return jnp.mean(make_penalty(name)(critic, real, fake, KEYS))

  value, gradient = jax.value_and_grad(mean)(jnp.zeros(()))
  assert np.isfinite(value) and np.isfinite(gradient)
  np.testing.assert_allclose(value, 1.0 if name in ("wgan_gp", "dragan") else 0.0, atol=3e-6)


@pytest.mark.parametrize("name", NAMES)
def test_parameter_gradient_agrees_with_finite_differences(x64, name):
  real, fake = images()
  keys = jax.random.split(toys.key(2), 4)
  params, shape = jax.flatten_util.ravel_pytree(tanh_params())

  def mean(flat):
    return jnp.mean(make_penalty(name)(tanh_critic(shape(flat)), real, fake, keys))

  found, mean = jax.jit(jax.grad(mean))(params), jax.jit(mean)
  expected = [(mean(params + d) - mean(params - d)) / 2e-6 for d in 1e-6 * jnp.eye(len(params))]
  np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", PENALTIES)
def test_penalty_is_described(name):
  penalty = PENALTIES[name]
  assert penalty.formula and penalty.default_weight >= 0
  assert (make_penalty(name, axis_name="batch") is None) == (name == "none")


# In the game.


class BatchNormCritic(nn.Module):
  """A critic whose examples influence each other in training."""

  axis_name: str | tuple = ()

  @nn.compact
  def __call__(self, points, labels, *, train):
    del labels
    hidden = jnp.tanh(nn.Dense(3)(points))
    norm = nn.BatchNorm(not train, momentum=0.5, axis_name=self.axis_name)
    return 5 * nn.Dense(1)(norm(hidden))[:, 0]


def batch_norm_game(penalty, axis_name=(), **choices):
  critic = from_linen(BatchNormCritic(axis_name), jnp.zeros((1, 2)), None)
  gan = toys.tanh_gan()._replace(discriminator=critic)
  return toys.make_game(gan, penalty=penalty, axis_name=axis_name, **choices)


def test_penalty_of_a_batch_norm_critic_is_per_example():
  # The penalty of one example, seen through the step's own critic, does not change with the others.
  seen = []

  def spy(critic, real, fake, keys):
    seen.append(jax.jacobian(critic)(real))  # [B, B, 2]
    return make_penalty("r1")(critic, real, fake, keys)

  game = batch_norm_game("none").replace(penalty=spy)
  state = toys.start(game)
  examples = Examples(toys.points()[0], None)
  discriminator_objective(state.discriminator.params, game, state, examples, toys.key(0))
  (gradient,) = seen
  others = gradient * (1 - jnp.eye(4))[:, :, None]
  np.testing.assert_array_equal(others, 0)
  assert np.all(np.abs(np.diagonal(gradient)).sum(0) > 1e-4)


@pytest.mark.slow
def test_two_devices_step_as_one_with_every_penalty(x64):
  numbers = {"penalty_weight": 0.1, "instance_noise": 0.3, "lecam_weight": 0.3}
  noise = augment.make_instance_noise()
  lecam = {"lecam": regularizers.make_lecam()}
  choices = {"augment": noise, "regularizers": lecam, "penalty_every": 2}
  state = toys.start(
    batch_norm_game("none", regularizers={"lecam": regularizers.make_lecam()}), **numbers
  )
  args = state, Batch(toys.points(), None), toys.key(7)

  def step(index, axis_name):
    # One compiled step for all: the penalty is picked when it runs.
    # Differences over a long step: D computes in float32.
    options = {"axis_name": axis_name, "approx_sigma": 0.5, "approx_share": 1.0}
    made = [make_penalty(name, **options) for name in NAMES]

    def penalty(*args):
      return jax.lax.switch(index, [lambda p=p: p(*args) for p in made])

    game = batch_norm_game("none", axis_name, **choices).replace(penalty=penalty)
    return game.step

  @jax.jit
  def both(index):
    return step(index, ())(*args), toys.over_two_devices(step(index, "batch"))(*args)

  for index, name in enumerate(NAMES):
    one, two = both(index)
    assert one[1]["penalty"] > 0, name
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), one, two)


def test_lazy_penalty_weighs_n_times_on_every_nth_step_and_nothing_between():
  plain, eager, lazy = (
    toys.make_game(toys.tanh_gan(), penalty=penalty, penalty_every=every)
    for penalty, every in (("none", 1), ("r1", 1), ("r1", 3))
  )
  base, _ = toys.objective(plain)
  every, metrics = toys.objective(eager, penalty_weight=0.5)
  np.testing.assert_allclose(every - base, 0.5 * metrics["penalty"], rtol=1e-5)
  for step in range(7):
    value, seen = toys.objective(lazy, step, penalty_weight=0.5)
    if step % 3 == 0:
      np.testing.assert_allclose(value - base, 3 * 0.5 * metrics["penalty"], rtol=1e-5)
      np.testing.assert_allclose(seen["penalty"], metrics["penalty"], rtol=1e-6)
    else:
      assert value == base and seen["penalty"] == 0


def test_lazy_penalty_gives_the_critic_the_gradient_on_multiples_only():
  game = toys.make_game(toys.tanh_gan(), penalty="r1", penalty_every=2)
  state, examples = toys.start(game, penalty_weight=0.5), Examples(toys.points()[0], None)

  @jax.jit
  def gradient(step, weight):
    hyper = state.hyperparameters.replace(penalty_weight=weight)
    here = state.replace(step=step, hyperparameters=hyper)
    args = state.discriminator.params, game, here, examples, toys.key(7)
    return jax.grad(discriminator_objective, has_aux=True)(*args)[0]["out"]

  assert jnp.any(gradient(4, 0.5) != gradient(4, 0.0))
  np.testing.assert_array_equal(gradient(5, 0.5), gradient(5, 0.0))


def test_an_unknown_name_of_a_part_is_refused_with_the_names():
  makers = {
    "penalty": make_penalty,
    "optimizer": lambda name: make_optimizer(name, "generator"),
    "model": lambda name: models.build(name, models.ModelSpec((2,), latent_dim=4)),
  }
  known = {"penalty": "dragan", "optimizer": "adam", "model": "points"}
  for what, make in makers.items():
    with pytest.raises(UserError, match=f"{what} 'nosuch' is unknown: .*{known[what]}"):
      make("nosuch")
