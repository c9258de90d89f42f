"""Optimisers by name against optax's own, and the schedules."""

import inspect
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan import schedules
from gan.errors import UserError
from gan.method.game import Game
from gan.optimizers import OPTIMIZERS, Entry, as_optimizer, make_optimizer
from gan.theory import games
from gan.training.build import hyperparameters
from gan.training.config import Config


class Rates(NamedTuple):
  """What an optimiser of G may read."""

  generator_learning_rate: float
  b1: float
  b2: float
  momentum: float


EVERY = sorted(OPTIMIZERS)
RATES = Rates(generator_learning_rate=0.01, b1=0.4, b2=0.95, momentum=0.6)
PARAMS = {"w": jnp.array([1.0, -2.0, 3.0]), "b": jnp.array(0.5)}
FIXED = {"rmsprop": {"decay": 0.99, "eps_in_sqrt": False}}  # PyTorch's alpha, and its denominator


def hyper(**numbers):
  return hyperparameters(Config(**numbers))


def made(name, rates=RATES):
  return make_optimizer(name, "generator")(rates)


def trajectory(optimizer, steps=4):
  """Parameters after each of `steps` steps on a fixed, uneven bowl."""
  params, state, seen = PARAMS, optimizer.init(PARAMS), []
  for _ in range(steps):
    grads = jax.tree.map(lambda p: 2 * p + jnp.sin(3 * p), params)
    updates, state = optimizer.update(grads, state, params)
    params = optax.apply_updates(params, updates)
    seen.append(jnp.concatenate([params["w"], params["b"][None]]))
  return jnp.stack(seen)


def of_optax(name):
  """optax's optimiser of that name, given those of RATES that it has an argument for."""
  function = getattr(optax, name)
  taken = inspect.signature(function).parameters
  rates = {key.removeprefix("generator_"): value for key, value in RATES._asdict().items()}
  given = {key: value for key, value in rates.items() if key in taken}
  return function(**given, **FIXED.get(name, {}))


@pytest.mark.parametrize("name", EVERY)
def test_each_optimizer_is_optaxs_own(name):
  expected = trajectory(of_optax(name))
  np.testing.assert_array_equal(trajectory(made(name)), expected)
  assert np.all(np.any(np.diff(expected, axis=0) != 0, axis=1))


@pytest.mark.parametrize("name", EVERY)
def test_rates_may_be_traced(name):
  traced = jax.jit(lambda rates: trajectory(made(name, rates)))(Rates(*map(jnp.float32, RATES)))
  np.testing.assert_allclose(traced, trajectory(made(name)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_rates_may_be_mapped_over(name):
  stacked = Rates(*(jnp.array([value, value / 2], jnp.float32) for value in RATES))
  both = jax.jit(jax.vmap(lambda rates: trajectory(made(name, rates))))(stacked)
  for i in range(2):
    alone = trajectory(made(name, Rates(*(float(value[i]) for value in stacked))))
    np.testing.assert_allclose(both[i], alone, rtol=1e-5, atol=1e-6)
  assert np.any(both[0] != both[1])


def test_sgd_with_momentum_worked_by_hand():
  # Gradient 1 throughout: traces 1, 1.6, 1.96; w = 1 - .01 (1 + 1.6 + 1.96).
  optimizer, params = made("sgd"), jnp.array(1.0)
  state = optimizer.init(params)
  for _ in range(3):
    updates, state = optimizer.update(jnp.array(1.0), state, params)
    params = optax.apply_updates(params, updates)
  np.testing.assert_allclose(params, 1 - 0.01 * 4.56, rtol=1e-6)


GRADIENTS = (1e-5, -2e-5, 3e-7, 1.0, 1e-9)  # below, at and above eps = 1e-8 and its root


@pytest.mark.parametrize("momentum", [0.0, 0.6])
def test_rmsprop_worked_by_hand(momentum):
  # v <- .99 v + .01 g^2 from 0; m <- momentum m + g / (sqrt(v) + 1e-8); w <- w - rate m.
  optimizer = made("rmsprop", RATES._replace(momentum=momentum))
  state, square, average = optimizer.init(jnp.array(0.0)), 0.0, 0.0
  for gradient in GRADIENTS:
    square = 0.99 * square + 0.01 * gradient**2
    average = momentum * average + gradient / (math.sqrt(square) + 1e-8)
    update, state = optimizer.update(jnp.array(gradient), state)
    np.testing.assert_allclose(update, -0.01 * average, rtol=1e-5)


@pytest.mark.parametrize("size", [1e-9, 1e-5, 1.0])
@pytest.mark.parametrize("name", ["adam", "rmsprop", "sgd"])
def test_the_steps_are_those_of_pytorch(name, size):
  torch = pytest.importorskip("torch", reason="PyTorch is in the extra bench")
  make, given = {
    "adam": (torch.optim.Adam, {"betas": (0.4, 0.95)}),
    "rmsprop": (torch.optim.RMSprop, {"momentum": 0.6}),
    "sgd": (torch.optim.SGD, {"momentum": 0.6}),
  }[name]
  weight = torch.zeros(3, requires_grad=True)
  theirs, ours, params = make([weight], lr=0.01, **given), made(name), jnp.zeros(3)
  state = ours.init(params)
  for gradient in size * np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32):
    weight.grad = torch.from_numpy(gradient)
    theirs.step()
    updates, state = ours.update(jnp.asarray(gradient), state, params)
    params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(params, weight.detach().numpy(), rtol=2e-5, atol=1e-9 * size)


@pytest.mark.parametrize("name", ["adam", "amsgrad"])
def test_the_first_step_is_the_sign_of_the_gradient(name):
  optimizer, grads = made(name), jnp.array([3.0, -0.2])
  updates, _ = optimizer.update(grads, optimizer.init(grads), grads)
  np.testing.assert_allclose(updates, [-0.01, 0.01], rtol=1e-4)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_each_player_has_its_own_rate(player):
  rates = {"generator_learning_rate": 0.5, "discriminator_learning_rate": 0.25}
  optimizer = make_optimizer("sgd", player)(hyper(**rates))
  updates, _ = optimizer.update(jnp.array(1.0), optimizer.init(jnp.array(0.0)))
  assert updates == -rates[f"{player}_learning_rate"]


@pytest.mark.parametrize(
  ("step", "momentum", "rate"),
  [
    # 500 steps an epoch. Momentum .5 + .2 (epoch - 1) / 249, rate .1 / 1.000004^step.
    (0, 0.5, 0.1),
    (500, 0.5, 0.1 * math.exp(-500 * math.log(1.000004))),  # epoch 1
    (62_500, 0.5 + 0.2 * 124 / 249, 0.1 * math.exp(-62_500 * math.log(1.000004))),  # epoch 125
    (125_000, 0.7, 0.1 * math.exp(-125_000 * math.log(1.000004))),  # epoch 250
    (1_000_000, 0.7, 0.1 * math.exp(-1_000_000 * math.log(1.000004))),
    (10_000_000, 0.7, 1e-6),  # 0.1 e^-40 is below the floor
  ],
)
def test_goodfellows_schedule_by_hand(step, momentum, rate):
  before = hyper(momentum=0.5, generator_learning_rate=0.1, discriminator_learning_rate=0.1, b1=0.9)
  after = schedules.goodfellow2014(500)(before, jnp.int32(step))
  np.testing.assert_allclose(after.momentum, momentum, rtol=1e-6)
  np.testing.assert_allclose(after.generator_learning_rate, rate, rtol=1e-5)
  np.testing.assert_allclose(after.discriminator_learning_rate, rate, rtol=1e-5)
  kept = {"momentum": 0, "generator_learning_rate": 0, "discriminator_learning_rate": 0}
  assert jax.tree.leaves(after.replace(**kept)) == jax.tree.leaves(before.replace(**kept))


def test_an_entry_that_makes_nothing_is_called_by_its_name(monkeypatch):
  monkeypatch.setitem(OPTIMIZERS, "idle", Entry(lambda rate: None))
  with pytest.raises(UserError, match="^optimizer idle returned a NoneType: it must return"):
    as_optimizer(make_optimizer("idle", "generator"), "generator")(RATES)


def test_steps_that_are_joined_are_given_as_a_transformation(unchecked):
  joined, players = optax.MultiSteps(optax.adam(1e-3), 2), games.dirac_gan(1.0, -1.0)._asdict()
  message = "optax.MultiSteps is no optax transformation: give what its `gradient_transformation"
  with pytest.raises(UserError, match=message):
    Game(**players, optimizer=joined)
  with pytest.raises(UserError, match=message):
    as_optimizer(lambda hyper: joined, "generator")(RATES)
  game = Game(**players, optimizer=joined.gradient_transformation())
  state, step = game.init(jax.random.key(0)), jax.jit(game.step)
  batch = jnp.zeros((4, 1))
  once, _ = step(state, batch, jax.random.key(1))
  twice, _ = step(once, batch, jax.random.key(1))
  assert once.generator.params == state.generator.params != twice.generator.params
