"""Lazy penalties of StyleGAN2: corrected rates, and a step of their own, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toys

from gan.errors import UserError
from gan.method.game import Batch, Examples
from gan.method.lazy import corrected
from gan.method.objectives import discriminator_objective
from gan.optimizers import make_optimizer
from gan.penalties import make_penalty, r1_penalty
from gan.state import Hyperparameters
from gan.training.config import Config
from gan.training.validation import validate


@pytest.fixture
def x64():
  with jax.enable_x64(True):
    yield


def dirac(**choices):
  """D(x) = psi x with psi = 0.8, G = 1.5, the data at 0; R1 is psi^2 / 2, of gradient psi."""
  chosen = {"penalty": "r1", "penalty_every": 3} | choices
  return toys.make_game(toys.dirac_gan(1.5, 0.8), loss="wgan", **chosen)


def steps(game, count, **numbers):
  """psi after each step, and the metrics of the last; D's rate is 0.1, gamma 0.5, G stands."""
  state = toys.start(game, penalty_weight=0.5, generator_learning_rate=0.0, **numbers)
  step, found, metrics = jax.jit(game.step), [], []
  for _ in range(count):
    state, seen = step(state, Batch(jnp.zeros((1, 2, 1)), None), toys.key(1))
    found.append(float(state.discriminator.params))
    metrics.append(float(seen["penalty"]))
  return found, metrics


def test_corrected_numbers_are_those_of_stylegan2():
  # n = 16: a rate of 0.0025 is 0.00235294, and a decay of 0.99 is 0.990585.
  hyper = Hyperparameters(discriminator_learning_rate=0.0025, b1=0.0, b2=0.99)
  found = corrected(hyper, 16)
  np.testing.assert_allclose(found.discriminator_learning_rate, 0.00235294, rtol=1e-5)
  np.testing.assert_allclose(found.b2, 0.990585, rtol=1e-6)
  assert found.b1 == 0 and found.generator_learning_rate == hyper.generator_learning_rate


def test_corrected_adam_is_adam_with_these_numbers(x64):
  c = 3 / 4
  numbers = {"discriminator_learning_rate": 0.1, "b1": 0.5, "b2": 0.9}
  by_hand = {"discriminator_learning_rate": 0.1 * c, "b1": 0.5**c, "b2": 0.9**c}
  found, _ = steps(dirac(lazy_correction=True, optimizer="adam"), 5, **numbers)
  expected, _ = steps(dirac(optimizer="adam"), 5, **by_hand)
  np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("rule", ["alternating", "alternating_generator_first", "lookahead"])
def test_a_separate_step_is_one_more_update_of_the_penalty_alone(x64, rule):
  found, seen = steps(dirac(lazy_step="separate", update_rule=rule, lookahead_steps=9), 4)
  psi, expected, penalties = 0.8, [], []
  for step in range(4):
    psi -= 0.1 * 1.5
    penalties.append(psi**2 / 2 if step % 3 == 0 else 0)
    psi -= 0.1 * 3 * 0.5 * psi if step % 3 == 0 else 0  # at the new psi
    expected.append(psi)
  np.testing.assert_allclose(found, expected, rtol=1e-6)
  np.testing.assert_allclose(seen, penalties, rtol=1e-6)


def test_a_separate_step_shares_the_state_of_adam(x64):
  numbers = {"discriminator_learning_rate": 0.1, "b1": 0.5, "b2": 0.9}
  (found,), _ = steps(dirac(lazy_step="separate", optimizer="adam"), 1, **numbers)
  adam, psi = optax.adam(0.1, 0.5, 0.9), jnp.asarray(0.8)
  kept = adam.init(psi)
  for gradient in (lambda psi: jnp.full((), 1.5), lambda psi: 3 * 0.5 * psi):
    change, kept = adam.update(gradient(psi), kept)
    psi = psi + change
  np.testing.assert_allclose(found, psi, rtol=1e-6)


def test_a_separate_penalty_is_no_part_of_the_loss_and_two_devices_step_as_one(x64):
  def game(axis_name=()):
    # Of all examples: a share of few is not the same on each number of devices.
    penalty = make_penalty("approx_r1r2", approx_share=1.0)
    own = {"penalty": penalty, "penalty_every": 2, "lazy_step": "separate"}
    return toys.make_game(toys.tanh_gan(), axis_name=axis_name).replace(**own)

  state = toys.start(game(), penalty_weight=0.5)
  examples = Examples(toys.points()[0], None)
  loss = [
    discriminator_objective(state.discriminator.params, each, state, examples, toys.key(1))[0]
    for each in (game(), toys.make_game(toys.tanh_gan()))
  ]
  assert loss[0] == loss[1]
  args = state, Batch(toys.points(), None), toys.key(7)
  one, two = jax.jit(
    lambda: (game().step(*args), toys.over_two_devices(game("batch").step)(*args))
  )()
  assert one[1]["penalty"] > 0
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8), one, two)


@pytest.mark.parametrize(
  ("fields", "words"),
  [
    ({"lazy_correction": True, "penalty": "r1"}, "`penalty_every` above 1"),
    ({"lazy_step": "separate", "penalty": "r1"}, "`penalty_every` above 1"),
    ({"lazy_step": "apart", "penalty": "r1"}, "--lazy_step=apart is unknown: .*joint, separate"),
    ({"lazy_correction": True}, "--lazy_correction has no meaning for --penalty=none"),
    (
      {"lazy_correction": True, "penalty": "r1", "penalty_every": 4, "optimizer": "rmsprop"},
      "the discriminator's optimizer does not read b1, b2: choose one that does, such as adam",
    ),
    (
      {"lazy_step": "separate", "penalty": "r1", "penalty_every": 4, "update_rule": "optimistic"},
      "take alternating, alternating_generator_first or lookahead",
    ),
  ],
)
def test_what_has_no_meaning_is_refused(fields, words):
  with pytest.raises(UserError, match=words):
    validate(Config(**fields))


def test_a_game_refuses_them_too():
  players = toys.dirac_gan(1.0, 1.0)._asdict()
  lazy = {"penalty": r1_penalty, "penalty_every": 4}
  corrected_by = lazy | {"lazy_correction": True}
  for fields, words in (
    ({"lazy_step": "separate"}, "penalty_every"),
    (lazy | {"lazy_step": "apart"}, "`lazy_step='apart'` must be one of joint, separate"),
    (corrected_by | {"optimizer": optax.adam(0.1)}, "not read discriminator_learning_rate, b1, b2"),
    (corrected_by | {"optimizer": make_optimizer("sgd", "discriminator")}, "not read b1, b2"),
  ):
    with pytest.raises(UserError, match=words):
      toys.Game(**players, **fields)
