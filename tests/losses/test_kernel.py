"""Cramer GAN and MMD GAN: pairs by hand, the unbiased estimate, witnesses, devices, extremes."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P
from jax.test_util import check_grads

from gan.errors import UserError
from gan.losses import LOSSES, make_loss
from gan.networks import Outputs

BOTH = ("cramer", "mmd")


def outputs(features):
  features = jnp.asarray(features, float)
  return Outputs(jnp.zeros(len(features)), features=features)


def drawn(seed, count=6, width=3):
  return np.random.default_rng(seed).standard_normal((count, width)) + seed


def mean(name, player, real, fake):
  return jnp.mean(getattr(LOSSES[name], player)(outputs(real), outputs(fake)))


def test_cramer_is_the_energy_distance_worked_by_hand():
  real, fake = outputs([[0.0], [3.0]]), outputs([[1.0], [6.0]])
  # |x - g| = 1, 6; 2, 3. |x - x'| = 3, |g - g'| = 5: 2 3.5 - 3 - 5, 2 2.5 - 3 - 5
  np.testing.assert_allclose(LOSSES["cramer"].generator(real, fake), [-1.0, -3.0], rtol=1e-6)
  # f(x) = 3.5 - 0, 2.5 - 3; f(g) = 5 - 1, 5 - 6
  np.testing.assert_allclose(LOSSES["cramer"].discriminator(real, fake), [0.5, -0.5], rtol=1e-6)
  f = LOSSES["cramer"].witness
  np.testing.assert_allclose(f(real, real, fake, "real"), [3.5, -0.5], rtol=1e-6)
  np.testing.assert_allclose(f(fake, real, fake, "fake"), [4.0, -1.0], rtol=1e-6)
  np.testing.assert_allclose(f(fake, real, fake, "other"), [1.5, -3.5], rtol=1e-6)  # 2.5 - |g|


def test_mmd_is_the_unbiased_estimate_of_a_double_loop():
  real, fake = drawn(0), drawn(1)

  def kernel(u, v):
    squared = np.sum((u - v) ** 2)
    return sum((1 + squared / (2 * a)) ** -a for a in (0.2, 0.5, 1, 2, 5))

  def within(side):
    return np.mean([kernel(u, v) for u, v in itertools.permutations(side, 2)])

  across = np.mean([kernel(u, v) for u, v in itertools.product(real, fake)])
  expected = within(real) + within(fake) - 2 * across
  np.testing.assert_allclose(mean("mmd", "generator", real, fake), expected, rtol=1e-5)
  np.testing.assert_allclose(mean("mmd", "discriminator", real, fake), -expected, rtol=1e-5)


@pytest.mark.parametrize("name", BOTH)
def test_the_mean_over_all_splits_of_one_set_is_zero(name):
  """Over them each pair is within a side as often as its share asks, so that p = q gives 0."""
  points, found = drawn(2), []
  for chosen in itertools.combinations(range(6), 3):
    others = [place for place in range(6) if place not in chosen]
    found.append(float(mean(name, "generator", points[list(chosen)], points[others])))
  np.testing.assert_allclose(np.mean(found), 0.0, atol=1e-6)
  assert min(found) < -0.01 and max(found) > 0.01


def test_what_d_maximises_is_the_witness_on_data_less_that_on_samples():
  real, fake = outputs(drawn(0)), outputs(drawn(1))
  for name in BOTH:
    witness = LOSSES[name].witness
    on_data = witness(real, real, fake, "real")
    on_samples = witness(fake, real, fake, "fake")
    np.testing.assert_allclose(
      jnp.mean(LOSSES[name].discriminator(real, fake)),
      jnp.mean(on_samples) - jnp.mean(on_data),
      rtol=1e-4,
      atol=1e-6,
    )


@pytest.mark.parametrize("name", BOTH)
def test_only_distances_count_for_the_generator(name):
  real, fake, rng = drawn(0), drawn(1), np.random.default_rng(5)
  turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
  moved = [side[rng.permutation(6)] @ turn + 4.0 for side in (real, fake)]
  np.testing.assert_allclose(
    mean(name, "generator", *moved), mean(name, "generator", real, fake), rtol=1e-4
  )


@pytest.mark.parametrize("player", ["discriminator", "generator"])
@pytest.mark.parametrize("name", BOTH)
def test_gradients_are_finite_differences(name, player):
  with jax.enable_x64(True):
    function = jax.jit(functools.partial(mean, name, player))
    check_grads(function, (drawn(0), drawn(1)), order=1, modes=["rev"], rtol=1e-5)


@pytest.mark.parametrize("name", BOTH)
def test_equal_and_far_features_have_finite_gradients(name):
  slope = jax.jit(jax.grad(functools.partial(mean, name, "discriminator"), (0, 1)))
  for real, fake in (np.ones((2, 4, 2)), (np.full((4, 2), 1e6), np.full((4, 2), -1e6))):
    assert all(np.isfinite(each).all() for each in slope(real, fake))
  zeros = np.ones((4, 2))
  assert mean(name, "generator", zeros, zeros) == 0


def test_a_batch_of_one_has_no_pairs():
  for name in BOTH:
    with pytest.raises(UserError, match="compares pairs of examples: give a batch of at least two"):
      mean(name, "generator", drawn(0, 1), drawn(1, 1))


@pytest.mark.parametrize("name", BOTH)
def test_parts_of_a_batch_on_two_devices_make_the_value_and_gradient_of_the_whole(name):
  """As a step has it: each device's own gradient of its own mean, averaged."""
  loss, real, fake = make_loss(name, axis_name="batch"), drawn(0), drawn(1)
  scale = jnp.array([[1.0, 0.5, 2.0]])  # the parameters

  def value(loss, scale, real, fake):
    return sum(
      jnp.mean(getattr(loss, player)(outputs(real * scale), outputs(fake * scale)) * factor)
      for player, factor in (("discriminator", 1.0), ("generator", 0.3))
    )

  def share(real, fake):
    return jax.lax.pmean(jax.value_and_grad(value, argnums=1)(loss, scale, real, fake), "batch")

  mesh = jax.make_mesh((2,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
  specs = {"in_specs": (P("batch"), P("batch")), "out_specs": P()}
  apart = jax.shard_map(share, mesh=mesh, check_vma=False, **specs)
  found = jax.jit(apart)(jnp.asarray(real, jnp.float32), jnp.asarray(fake, jnp.float32))
  expected = jax.value_and_grad(value, argnums=1)(LOSSES[name], scale, real, fake)
  for ours, theirs in zip(found, expected, strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)
