"""Every adversarial loss at the optimal discriminator, against closed forms on discrete pairs.

A tabular discriminator, one logit a point, is trained by the loss itself on all pairs of a batch
whose examples are counted out in proportion to p and to q; the optimum it must reach is worked out
here in NumPy from divergences alone. So is the gradient that each generator must follow.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from gan.losses import LOSSES, make_loss, of_logits
from gan.theory import divergences
from gan.theory.divergences import js, kl, total_variation

P = np.array([0.5, 0.3, 0.15, 0.05])
Q = np.array([0.1, 0.2, 0.3, 0.4])
COUNT = 20  # examples a side: 20 P and 20 Q are whole numbers
CLIP = 0.5  # the box that keeps the Wasserstein critic bounded
FAR = 18.0  # stands for infinity: there tanh is 1 to the last digit but one of float64
BOX = {
  "wgan": CLIP,
  "fgan_tv": FAR,
  "rp_fgan_tv": FAR,
}  # what the tabular discriminator's logits are held to

F_DIVERGENCES = {f"fgan_{name}": value for name, value in divergences.F_DIVERGENCES.items()}
# The logit at which T = f'(u), u = p/q.
F_LOGITS = {f"fgan_{name}": logit for name, logit in divergences.OPTIMAL_LOGITS.items()} | {
  "fgan_tv": lambda u: FAR * np.sign(u - 1)
}


def triangular(p, q):
  """S = sum (p - q)^2/(p + q), which is Pearson's chi2(p + q, 2q)."""
  return jnp.sum((p - q) ** 2 / (p + q))


# --- optima: (p, q) -> (loss, logits or None where they are not unique) ------------------------


def cross_entropy_optimum(p, q, real_label=1.0):
  judged_real = real_label * p / (p + q)
  loss = -np.sum(
    real_label * p * np.log(judged_real) + ((1 - real_label) * p + q) * np.log(1 - judged_real)
  )
  return loss, np.log(judged_real / (1 - judged_real))


def least_squares_optimum(p, q, a=0.0, b=1.0):
  return (b - a) ** 2 / 2 * np.sum(p * q / (p + q)), (b * p + a * q) / (p + q)


def hinge_optimum(p, q):
  return 2 * (1 - total_variation(p, q)), np.sign(p - q)


def wasserstein_optimum(p, q):
  return -2 * CLIP * total_variation(p, q), CLIP * np.sign(p - q)


def relativistic_optimum(p, q):
  # All pairs (i, j) are one classification of p_i q_j against q_i p_j, at half the weight.
  return np.log(2) - js(np.outer(p, q).ravel(), np.outer(q, p).ravel()), np.log(p / q)


def relativistic_average_optimum(p, q):
  def objective(v):
    real, fake = v - q @ v, v - p @ v
    return (p @ np.logaddexp(0, -real) + q @ np.logaddexp(0, fake)) / 2

  found = minimize(objective, np.log(p / q), method="BFGS", options={"gtol": 1e-9})
  # The stationarity condition that the registry prints, with sigmoids of the relative logits.
  v, s = found.x, lambda x: 1 / (1 + np.exp(-x))
  wrong_real, wrong_fake = s(q @ v - v), s(v - p @ v)
  balance = p * (wrong_real + q @ wrong_fake) - q * (wrong_fake + p @ wrong_real)
  np.testing.assert_allclose(balance, 0, atol=1e-6)
  return found.fun, v


def relativistic_average_least_squares_optimum(p, q):
  # With m = mean_p v - mean_q v: setting the derivative to zero gives v = (2 - 3m/2)(p-q)/(p+q)
  # up to a constant, so m = (2 - 3m/2) S, m = 4S/(2 + 3S), and the loss is (2 - S)/(2 + 3S).
  s = float(triangular(p, q))
  return (2 - s) / (2 + 3 * s), 4 / (2 + 3 * s) * (p - q) / (p + q)


def relativistic_average_hinge_optimum(p, q):
  # min [p.x + q.y]/2 over v, x, y >= 0 with x >= 1 - v + q.v and y >= 1 + v - p.v.
  n, eye = len(p), np.eye(len(p))
  real = np.hstack([-eye + q, -eye, np.zeros((n, n))])
  fake = np.hstack([eye - p, np.zeros((n, n)), -eye])
  costs = np.concatenate([np.zeros(n), p / 2, q / 2])
  bounds = [(None, None)] * n + [(0, None)] * (2 * n)
  found = linprog(costs, np.vstack([real, fake]), -np.ones(2 * n), bounds=bounds)
  assert found.status == 0
  return found.fun, None


def paired_hinge_optimum(p, q):
  # min sum_ij p_i q_j x_ij over v and x >= 0 with x_ij >= 1 - v_i + v_j.
  n = len(p)
  rows = np.kron(np.eye(n), np.ones((n, 1))), np.kron(np.ones((n, 1)), np.eye(n))
  bounds = [(None, None)] * n + [(0, None)] * n**2
  costs = np.concatenate([np.zeros(n), np.outer(p, q).ravel()])
  constraints = np.hstack([rows[1] - rows[0], -np.eye(n**2)])
  found = linprog(costs, constraints, -np.ones(n**2), bounds=bounds)
  assert found.status == 0
  return found.fun, None


def paired_least_squares_optimum(p, q):
  # With m = mean_p v - mean_q v: setting the derivative to zero gives v = (1 - m/2)(p-q)/(p+q)
  # up to a constant, so m = (1 - m/2) S, m = 2S/(2 + S), and the loss is
  # [4S/(2 + S)^2 - m^2/2 + (m - 1)^2]/2 = (2 - S)/(4 + 2S).
  s = float(triangular(p, q))
  return (2 - s) / (4 + 2 * s), 2 / (2 + s) * (p - q) / (p + q)


def paired_exponential_optimum(p, q):
  # sum p e^-v sum q e^v >= (sum sqrt(p q))^2 by Cauchy and Schwarz, with equality where
  # p e^-v = c q e^v.
  return np.sum(np.sqrt(p * q)) ** 2, np.log(p / q) / 2


def paired_total_variation_optimum(p, q):
  # Of a pair of points no order is better than that by p/q, which orders all of them.
  return -total_variation(np.outer(p, q).ravel(), np.outer(q, p).ravel()) / 2, None


def variational_optimum(name, p, q):
  return -F_DIVERGENCES[name](p, q), F_LOGITS[name](p / q)


OPTIMA = {
  "sat": cross_entropy_optimum,
  "nonsat": cross_entropy_optimum,
  "ml": cross_entropy_optimum,
  "lsgan": least_squares_optimum,
  "hinge": hinge_optimum,
  "wgan": wasserstein_optimum,
  "rsgan": relativistic_optimum,
  "ragan": relativistic_average_optimum,
  "ralsgan": relativistic_average_least_squares_optimum,
  "rahinge": relativistic_average_hinge_optimum,
  **{name: functools.partial(variational_optimum, name) for name in F_DIVERGENCES},
  "rp_hinge": paired_hinge_optimum,
  "rp_lsgan": paired_least_squares_optimum,
  "rp_exponential": paired_exponential_optimum,
  "rp_fgan_tv": paired_total_variation_optimum,
  "mcgan": hinge_optimum,
}
# Logits known up to a constant.
RELATIVE = ("rsgan", "ragan", "ralsgan", "rahinge", "rp_hinge", "rp_lsgan", "rp_exponential")
EVERY = sorted(OPTIMA)


# --- the tabular discriminator ----------------------------------------------------------------


def all_pairs(p, q):
  """One-hot rows [COUNT^2, points] of the real and the fake example of every pair."""
  real, fake = (np.repeat(np.eye(len(w)), np.rint(COUNT * w).astype(int), 0) for w in (p, q))
  return np.repeat(real, COUNT, axis=0), np.tile(fake, (COUNT, 1))


def rprop(gradient, start, bound):
  """Minimum by the signs of the gradient alone, a step size a coordinate: no scale to tune."""

  def step(carry, _):
    table, size, last = carry
    slope = gradient(table)
    agreement = jnp.sign(slope * last)
    size = jnp.clip(size * jnp.where(agreement < 0, 0.5, jnp.where(agreement > 0, 1.2, 1.0)), 0, 1)
    slope = jnp.where(agreement < 0, 0.0, slope)
    return (jnp.clip(table - size * jnp.sign(slope), -bound, bound), size, slope), None

  carry = (start, jnp.full_like(start, 0.1), jnp.zeros_like(start))
  return jax.lax.scan(step, carry, length=600)[0][0]


def subgradient(gradient, start, bound):
  """Minimum of a piecewise linear function, by unit steps that shrink geometrically."""

  def step(carry, _):
    table, size = carry
    slope = gradient(table)
    unit = slope / jnp.maximum(jnp.linalg.norm(slope), 1e-12)
    return (jnp.clip(table - size * unit, -bound, bound), 0.997 * size), None

  return jax.lax.scan(step, (start, jnp.asarray(1.0)), length=5000)[0][0]


@functools.cache
def trainer(name, **options):
  """A jitted (real, fake) -> (loss, logits) of the tabular discriminator trained by the loss."""
  loss = make_loss(name, **options)
  # Means and pairs tie kinks together, where coordinates taken one by one get stuck.
  minimise = subgradient if name in ("rahinge", "rp_hinge") else rprop

  def train(real, fake):
    def mean_loss(table):
      return jnp.mean(loss.discriminator(real @ table, fake @ table))

    table = minimise(jax.grad(mean_loss), jnp.zeros(real.shape[1]), BOX.get(name, 100.0))
    return mean_loss(table), table

  return jax.jit(train)


def assert_optimum_is_reached(name, p, q, **options):
  with jax.enable_x64(True):
    real, fake = map(jnp.asarray, all_pairs(p, q))
    loss, table = map(np.asarray, trainer(name, **options)(real, fake))
    best, expected = OPTIMA[name](p, q, **options)
  np.testing.assert_allclose(loss, best, atol=1e-4)
  if expected is None:
    return
  if name in RELATIVE:
    table, expected = table - table.mean(), expected - expected.mean()
  if name in ("hinge", "mcgan", "wgan", "fgan_tv"):
    # Where p = q these losses leave the logit free.
    table, expected = table[p != q], expected[p != q]
  np.testing.assert_allclose(table, expected, atol=1e-4)


def test_every_loss_that_is_not_experimental_has_an_optimum_and_a_generator_identity():
  known = {name for name in of_logits() if not LOSSES[name].about.experimental}
  assert known <= set(OPTIMA) <= set(LOSSES)
  assert set(GENERATOR_GRADIENTS) | NO_IDENTITY == set(OPTIMA)


@pytest.mark.parametrize("name", EVERY)
def test_trained_discriminator_reaches_the_optimum(name):
  assert_optimum_is_reached(name, P, Q)


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("nonsat", "ml", "mcgan")])
def test_trained_discriminator_reaches_the_optimum_of_random_pairs(name):
  cuts = st.sets(st.integers(1, COUNT - 1), min_size=3, max_size=3).map(sorted)
  weights = cuts.map(lambda c: np.diff([0, *c, COUNT]) / COUNT)

  @settings(max_examples=6, deadline=None, derandomize=True, database=None)
  @given(weights, weights)
  def check(p, q):
    assert_optimum_is_reached(name, p, q)

  check()


@pytest.mark.parametrize("real_label", [0.9, 0.6])
def test_smoothed_discriminator_is_alpha_p_over_p_plus_q(real_label):
  assert_optimum_is_reached("nonsat", P, Q, real_label=real_label)


# The optimal discriminator loss on the pair (P, Q), as a constant to seven digits.
PRINTED = {
  "sat": 1.0502484,  # log 4 - 2 JSD
  "lsgan": 0.1738889,
  "hinge": 1.0,  # 2 (1 - TV)
  "wgan": -0.5,  # -2 c TV
  "rsgan": 0.4055637,
  "fgan_kl": -0.7184143,
  "fgan_reverse_kl": -0.7976840,
  "fgan_pearson": -2.03125,
  "fgan_neyman": -2.9533333,
  "fgan_hellinger": -0.3557817,
  "fgan_jeffrey": -1.5160983,
  "fgan_js": -0.3360460,
  "fgan_gan": 1.0502484,
  "fgan_tv": -0.5,
  "rp_lsgan": 0.2666099,
  "rp_exponential": 0.6758635,
  "rp_fgan_tv": -0.3075,
}


@pytest.mark.parametrize("name", PRINTED)
def test_optimal_losses_are_the_known_constants(name):
  with jax.enable_x64(True):
    np.testing.assert_allclose(OPTIMA[name](P, Q)[0], PRINTED[name], atol=1e-7)


# --- the generator against the optimal discriminator --------------------------------------------

GENERATOR_GRADIENTS = {
  # name: what the generator's loss, D held at its optimum, has the gradient of
  "sat": lambda p, q: 2 * js(p, q),
  "nonsat": lambda p, q: kl(q, p) - 2 * js(p, q),
  "ml": kl,
  "hinge": lambda p, q: 2 * total_variation(p, q),
  "wgan": lambda p, q: 2 * CLIP * total_variation(p, q),
  **F_DIVERGENCES,
}
# Not zero-sum: least squares has the value of a divergence at D*, not its gradient, and the
# relativistic generators play the discriminator's loss with the sides exchanged.
NO_IDENTITY = {"lsgan", *RELATIVE}
# Of pairs, and of the batch's mean: see the tests below.
NO_IDENTITY |= {"rp_fgan_tv", "mcgan"}


@pytest.mark.parametrize("name", GENERATOR_GRADIENTS)
@pytest.mark.parametrize("seed", [0, 1])
def test_generator_follows_the_gradient_of_its_divergence(name, seed):
  p, q = (P, Q) if seed == 0 else np.random.default_rng(seed).dirichlet(np.ones(4), 2)
  with jax.enable_x64(True):
    logits = jnp.asarray(OPTIMA[name](p, q)[1])

    def generator_loss(theta):
      return jnp.sum(jax.nn.softmax(theta) * LOSSES[name].generator(logits, logits))

    def divergence(theta):
      return GENERATOR_GRADIENTS[name](p, jax.nn.softmax(theta))

    theta = jnp.log(jnp.asarray(q))
    actual, expected = jax.grad(generator_loss)(theta), jax.grad(divergence)(theta)
  assert np.max(np.abs(expected)) > 1e-3
  np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


def test_paired_total_variation_generator_follows_that_of_products():
  # Any logits in the order of p/q, far apart, are the optimum.
  logits = FAR * np.array([2.0, 1.0, 0.0, -1.0])

  def on_pairs(function, q):
    return jnp.sum(jnp.outer(P, q).ravel() * function(jnp.repeat(logits, 4), jnp.tile(logits, 4)))

  def divergence(theta):
    q = jax.nn.softmax(theta)
    return total_variation(jnp.outer(P, q).ravel(), jnp.outer(q, P).ravel()) / 2

  with jax.enable_x64(True):
    theta, generator = jnp.log(jnp.asarray(Q)), LOSSES["rp_fgan_tv"].generator
    actual = jax.grad(lambda theta: on_pairs(generator, jax.nn.softmax(theta)))(theta)
    expected = jax.grad(divergence)(theta)
  assert np.max(np.abs(expected)) > 1e-3
  np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


def test_mcgan_generator_follows_the_square_of_twice_the_total_variation():
  with jax.enable_x64(True):
    logits = jnp.asarray(np.sign(P - Q))

    def loss(theta):  # one sample that has the mean logit of all
      mean = jnp.sum(jax.nn.softmax(theta) * logits)
      return jnp.sum(P * LOSSES["mcgan"].generator(logits, jnp.full(4, mean)))

    def divergence(theta):
      return jnp.square(2 * total_variation(P, jax.nn.softmax(theta)))

    theta = jnp.log(jnp.asarray(Q))
    actual, expected = jax.grad(loss)(theta), jax.grad(divergence)(theta)
  assert np.max(np.abs(expected)) > 1e-3
  np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
  ("targets", "printed"), [((-1.0, 1.0, 0.0), 0.6088889), ((0.0, 1.0, 1.0), 0.6522222)]
)
def test_least_squares_generator_has_the_value_of_pearson_chi_squared(targets, printed):
  # Mao et al. add E_p (D - c)^2 / 2, which the generator cannot change, to its loss: C(G).
  a, b, _ = targets
  loss = make_loss("lsgan", lsgan_targets=targets)
  with jax.enable_x64(True):
    logits = jnp.asarray(least_squares_optimum(P, Q, a, b)[1])
    twice = 2 * jnp.sum((P + Q) * loss.generator(logits, logits))
    chi_squared = np.sum(((P + Q) - 2 * Q) ** 2 / (P + Q))
  np.testing.assert_allclose(twice, printed, atol=1e-7)
  # (0, 1, 1) gives sum q^2/(p + q), which is an affine function of the same divergence.
  expected = chi_squared if targets[2] == 0.0 else (2 + chi_squared) / 4
  np.testing.assert_allclose(twice, expected, rtol=1e-12)


# Sun, Fang, Schwing 2020: minus the discriminator's optimum (halved for cross-entropy) for data on
# two points x0, x1, when the generator covers neither, one, one twice (collapse), or both.
LANDSCAPE = {
  # name: (where the two generated samples lie, of x0, x1, elsewhere; cross-entropy; paired)
  "none": ((2, 2), 0.0, 0.0),
  "matched": ((0, 2), -0.3466, -0.3466),
  "collapsed": ((0, 0), -0.4774, -0.3466),
  "both": ((0, 1), -0.6931, -0.6931),
}


@pytest.mark.parametrize("case", LANDSCAPE)
def test_collapse_is_a_dip_for_cross_entropy_and_not_for_the_paired_loss(case):
  places, cross_entropy, paired = LANDSCAPE[case]
  for name, expected in {"sat": 2 * cross_entropy, "rsgan": paired}.items():
    with jax.enable_x64(True):
      loss, _ = trainer(name)(jnp.eye(2, 3), jnp.eye(3)[jnp.asarray(places)])
    np.testing.assert_allclose(-loss, expected, atol=2e-4)
