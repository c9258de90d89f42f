"""Update rules on games whose course is known: the Dirac-GAN, the bilinear game, tiny networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from gan.errors import UserError
from gan.game import (
  Batch,
  Examples,
  apply_discriminator,
  apply_generator,
  discriminator_update,
  generator_objective,
  generator_update,
)
from gan.losses import LOSSES, Loss, make_loss
from gan.train_step import make_train_step
from gan.update_rules import UPDATE_RULES, unrolled_objective, validate

RATE = 0.2


@pytest.fixture
def x64():
  with jax.enable_x64(True):
    yield


# The Dirac-GAN. Mescheder et al. write D's gain as f(psi theta) with f(t) = -log(1 + e^-t), which
# is ours for -psi: their (theta, psi) = (1, 1) is our (1, -1). Their WGAN-GP pulls psi by
# lambda (|psi| - g0), the gradient of lambda/2 (|psi| - g0)^2: our weight is lambda / 2.

METHODS = {
  "gan": {"loss": "sat"},
  "nsgan": {"loss": "nonsat"},
  "wgan": {"loss": "wgan", "clip_weights": True},
  "wgan_gp": {"loss": "wgan", "penalty": "wgan_gp", "penalty_weight": 0.35},
  "noise": {"loss": "sat", "instance_noise": 0.7, "instance_noise_steps": 10**9},
  "r1_0.3": {"loss": "sat", "penalty": "r1", "penalty_weight": 0.3},
  "r1_1": {"loss": "sat", "penalty": "r1", "penalty_weight": 1.0},
  "r1_2": {"loss": "sat", "penalty": "r1", "penalty_weight": 2.0},
  "nsgan_r1_0.3": {"loss": "nonsat", "penalty": "r1", "penalty_weight": 0.3},
  "consensus_1": {"loss": "sat", "consensus_weight": 1.0},
}


def dirac(method, update_rule, theta=1.0, psi=-1.0):
  """Returns (game, state) of a method, both players at rate 0.2."""
  choices = dict(METHODS[method])
  numbers = {
    name: choices.pop(name) for name in ("penalty_weight", "instance_noise") if name in choices
  }
  game = toys.make_game(toys.dirac_gan(theta, psi), update_rule=update_rule, **choices)
  rates = {"generator_learning_rate": RATE, "discriminator_learning_rate": RATE}
  return game, toys.start(game, update_rule, **rates, **numbers)


def dirac_radii(method, update_rule, examples=1):
  """Distances from the equilibrium after each of 500 steps.

  In Mescheder et al.'s alternating schedule the generator moves first and the discriminator sees
  the result, (G D)^t. Ours is D first: the same is G, (D G)^(t - 1), and D to close each step.
  """
  game, state = dirac(method, update_rule)
  data, key = jnp.zeros((1, examples, 1)), toys.key(2)
  if update_rule != "alternating":
    return jnp.linalg.norm(toys.play(game, update_rule, state, data, 500)[1], axis=1)
  minibatch = Examples(data[0], None)
  state = apply_generator(game, state, generator_update(game, state, minibatch, key))
  _, path = toys.play(game, "alternating", state, data, 499)

  def close(point):
    moved = at(state, point)
    update = discriminator_update(game, moved, minibatch, key)
    return point_of(apply_discriminator(game, moved, update))

  path = jnp.concatenate([point_of(state)[None], path])
  return jnp.linalg.norm(toys.compiled(lambda path: jax.lax.map(close, path))(path), axis=1)


def point_of(state):
  return jnp.stack([state.generator.params, state.discriminator.params])


def at(state, point):
  """The state with (theta, psi) moved to a point."""
  return state.replace(
    generator=state.generator.replace(params=point[0]),
    discriminator=state.discriminator.replace(params=point[1]),
  )


@pytest.mark.parametrize(
  "method, update_rule, radius",
  [
    ("gan", "simultaneous", 3.10),
    ("nsgan", "simultaneous", 0.640),
    ("nsgan", "alternating", 0.284),
    ("wgan", "simultaneous", 1.00),
    ("wgan_gp", "simultaneous", 1.80),
    ("r1_0.3", "simultaneous", 2.64e-6),
    ("r1_0.3", "alternating", 2.30e-7),
    ("r1_1", "simultaneous", 9.5e-22),
    ("r1_1", "alternating", 7.5e-17),
    ("nsgan_r1_0.3", "simultaneous", 2.21e-6),
    ("nsgan_r1_0.3", "alternating", 1.50e-7),
    ("consensus_1", "consensus", 2.578553e-10),  # see consensus_radius
  ],
)
def test_dirac_gan_ends_at_the_published_radius(x64, method, update_rule, radius):
  found = dirac_radii(method, update_rule)[-1]
  if radius < 1e-10:
    assert radius / 3 < found < 3 * radius
  else:
    np.testing.assert_allclose(found, radius, rtol=0.01)


def consensus_radius(second_term):
  """Radius of the recursion v - grad |v|^2 / 2 in numbers, v = (-psi, theta) s, s = f'(theta psi).

  |v|^2 / 2 = r^2 s^2 / 2 has the derivative theta s^2 + psi r^2 s s' along theta. The notebook of
  Mescheder et al. has half of the second term, and ends at 2.08e-10 by it.
  """
  theta = psi = 1.0
  for _ in range(500):
    s = 1 / (1 + np.exp(theta * psi))
    cross = second_term * (theta**2 + psi**2) * s * s * (s - 1)  # s' = s (s - 1)
    theta, psi = (
      theta + RATE * (-psi * s - theta * s**2 - psi * cross),
      psi + RATE * (theta * s - psi * s**2 - theta * cross),
    )
  return np.hypot(theta, psi)


def test_consensus_radius_differs_from_the_notebook_by_its_half_term():
  np.testing.assert_allclose(consensus_radius(0.5), 2.08e-10, rtol=0.01)
  np.testing.assert_allclose(consensus_radius(1.0), 2.578553e-10, rtol=1e-6)


@pytest.mark.parametrize(
  "method, update_rule, low, high",
  [
    ("gan", "alternating", 1.34, 1.42),
    ("wgan", "simultaneous", 1.00, 1.27),
    ("wgan", "alternating", 0.95, 1.05),
    ("wgan_gp", "simultaneous", 1.62, 1.97),
    ("wgan_gp", "alternating", 1.14, 1.44),
  ],
)
def test_dirac_gan_circles_within_the_published_radii(x64, method, update_rule, low, high):
  radii = dirac_radii(method, update_rule)[-100:]
  assert radii.min() > low - 0.01 and radii.max() < high + 0.01


@pytest.mark.parametrize("update_rule", ["simultaneous", "alternating"])
def test_instance_noise_takes_the_dirac_gan_to_the_noise_of_its_samples(update_rule):
  # 1000 samples of noise a step, as in the notebook; there the radius ends near 0.017.
  radii = dirac_radii("noise", update_rule, examples=1000)[-100:]
  assert 0.003 < radii.mean() < 0.05


def operator_moduli(method, update_rule, discriminator_steps=1):
  """Moduli of the eigenvalues of a step's derivative at the equilibrium, largest first."""
  game, state = dirac(method, update_rule, 0.0, 0.0)
  step = make_train_step(game, update_rule)
  batch = Batch(jnp.zeros((discriminator_steps, 1, 1)), None)

  def operator(point):
    return point_of(step(at(state, point), batch, toys.key(0))[0])

  jacobian = toys.compiled(jax.jacobian(operator))(jnp.zeros(2))
  return np.sort(np.abs(np.linalg.eigvals(jacobian)))[::-1]


# f'(0) = 1/2: eigenvalues of the field are -gamma/2 +- sqrt(gamma^2/4 - 1/4). A step in which D
# moves before G has the same eigenvalues as one in which G moves before D (of AB and BA).
@pytest.mark.parametrize(
  "method, update_rule, discriminator_steps, expected",
  [
    ("gan", "simultaneous", 1, [1.004988, 1.004988]),  # sqrt(1 + h^2/4)
    ("gan", "alternating", 1, [1.0, 1.0]),
    ("gan", "alternating", 5, [1.0, 1.0]),
    ("r1_0.3", "simultaneous", 1, [0.974679, 0.974679]),
    ("r1_1", "simultaneous", 1, [0.9, 0.9]),
    ("r1_2", "simultaneous", 1, [0.973205, 0.626795]),
    ("r1_0.3", "alternating", 1, [0.969536, 0.969536]),
    ("r1_0.3", "alternating", 5, [0.856682, 0.856682]),
    ("r1_1", "alternating", 1, [0.927016, 0.862984]),
  ],
)
def test_update_operator_has_the_published_spectrum(
  x64, method, update_rule, discriminator_steps, expected
):
  found = operator_moduli(method, update_rule, discriminator_steps)
  # The critical value gamma = 1 is a double eigenvalue: rounding moves it by its square root.
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


# The bilinear game: with data at 0 the Wasserstein loss is min over theta, max over -psi of their
# product.


def bilinear_radii(update_rule, rate, steps, **choices):
  """Distances from the equilibrium after each step from (1, 1), divided by sqrt 2."""
  game = toys.make_game(toys.dirac_gan(1.0, -1.0), loss="wgan", update_rule=update_rule, **choices)
  rates = {"generator_learning_rate": rate, "discriminator_learning_rate": rate}
  state = toys.start(game, update_rule, **rates)
  path = toys.play(game, update_rule, state, jnp.zeros((1, 1, 1)), steps)[1]
  return jnp.linalg.norm(path, axis=1) / 2**0.5


def test_simultaneous_play_of_the_bilinear_game_grows(x64):
  # sqrt(1 + eta^2) a step.
  np.testing.assert_allclose(bilinear_radii("simultaneous", 0.1, 200)[-1], 2.70481, rtol=1e-5)


def test_alternating_play_of_the_bilinear_game_stays_bounded(x64):
  # G first from (1, 1), within [0.951, 1]: our D first mirrors it, within [1, 1.052].
  radii = bilinear_radii("alternating", 0.1, 200)
  assert radii.min() > 0.951 and radii.max() < 1.052


def test_extragradient_contracts_the_bilinear_game(x64):
  # sqrt((1 - eta^2)^2 + eta^2) a step.
  found = bilinear_radii("extragradient", 0.1, 2000)[-1] * 2**0.5
  np.testing.assert_allclose(found, 6.754e-5, rtol=1e-3)


def test_optimistic_play_of_the_bilinear_game_has_the_spectrum_of_its_recursion(x64):
  # w_(t+1) = w_t - 2 h v_t + h v_(t-1) with v = i w: m^2 - (1 - 2ih) m - ih = 0, |m| < 1.
  rate = 0.1
  slowest = max(abs(np.roots([1, -(1 - 2j * rate), -1j * rate])))
  radii = bilinear_radii("optimistic", rate, 400)
  np.testing.assert_allclose(radii[-1] / radii[-2], slowest, rtol=1e-5)


def test_consensus_contracts_the_bilinear_game(x64):
  # v = i w and J^T v = w: each step multiplies w by 1 - h gamma - ih.
  radii = bilinear_radii("consensus", 0.1, 10, consensus_weight=2.0)
  np.testing.assert_allclose(radii[-1], (0.8**2 + 0.1**2) ** 5, rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.5, 0.25])
def test_lookahead_contracts_the_bilinear_game(x64, alpha):
  # k alternating steps are a matrix M^k; then (1 - alpha) + alpha M^k on the slow weights.
  rate, steps = 0.1, 5
  game = {"lookahead_steps": steps, "lookahead_alpha": alpha}
  radii = bilinear_radii("lookahead", rate, 40 * steps, **game)
  discriminator, generator = np.eye(2), np.eye(2)
  discriminator[1, 0], generator[0, 1] = -rate, rate  # psi -= h theta, then theta += h psi
  once = np.linalg.matrix_power(generator @ discriminator, steps)
  mixed = (1 - alpha) * np.eye(2) + alpha * once
  expected = np.linalg.norm(np.linalg.matrix_power(mixed, 40) @ [1, -1]) / 2**0.5
  np.testing.assert_allclose(radii[-1], expected, rtol=1e-6)
  assert radii[-1] < 0.6


# Identities between rules.


def tiny(update_rule, penalty="r1", loss="nonsat", seed=0, **choices):
  game = toys.make_game(
    toys.tanh_gan(), loss=loss, penalty=penalty, update_rule=update_rule, **choices
  )
  return game, toys.start(game, update_rule, seed, penalty_weight=0.5, lecam_weight=0.3)


def real_points(discriminator_steps=1, examples=4, seed=3):
  return jax.random.normal(toys.key(seed), (discriminator_steps, examples, 2)) + 1


def assert_same(left, right, tolerance=1e-6):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), left, right
  )


def players(state):
  return state.generator, state.discriminator


def stepped(update_rule, discriminator_steps=1, **choices):
  game, state = tiny(update_rule, **choices)
  batch = Batch(real_points(discriminator_steps), None)
  return toys.compiled(make_train_step(game, update_rule))(state, batch, toys.key(4))[0]


def test_generator_first_with_one_discriminator_update_is_simultaneous(x64):
  # The two rules derive their keys differently: compare on latents that do not depend on them.
  results = []
  for update_rule in ("alternating_generator_first", "simultaneous"):
    gan = toys.tanh_gan()._replace(sample_latent=lambda key: jnp.array([0.5, -1.0]))
    game = toys.make_game(gan, penalty="r1", update_rule=update_rule)
    state = toys.start(game, update_rule, penalty_weight=0.5)
    step = toys.compiled(make_train_step(game, update_rule))
    results.append(players(step(state, Batch(real_points(), None), toys.key(4))[0]))
  assert_same(*results, 1e-12)


def test_unrolled_by_no_steps_is_generator_first(x64):
  unrolled = stepped("unrolled", 3, unrolled_steps=0)
  assert_same(players(unrolled), players(stepped("alternating_generator_first", 3)), 1e-12)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_unrolled_gradient_agrees_with_finite_differences(x64, optimizer):
  game, state = tiny("unrolled", unrolled_steps=3, optimizer=optimizer)
  examples, key = Examples(real_points()[0], None), toys.key(5)

  params, shape = jax.flatten_util.ravel_pytree(state.generator.params)

  def value(flat):
    return unrolled_objective(shape(flat), game, state, examples, key)[0]

  found, value = toys.compiled(jax.grad(value))(params), toys.compiled(value)
  expected = [(value(params + d) - value(params - d)) / 2e-5 for d in 1e-5 * jnp.eye(len(params))]
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


def test_unrolled_generator_sees_the_discriminator_that_one_update_leads_to(x64):
  game, state = tiny("unrolled", unrolled_steps=1)
  examples, key = Examples(real_points()[0], None), toys.key(5)
  ahead = apply_discriminator(game, state, discriminator_update(game, state, examples, key))
  foreseen = unrolled_objective(state.generator.params, game, state, examples, key)[1].metrics
  seen = generator_objective(state.generator.params, game, ahead, examples, key)[1].metrics
  np.testing.assert_allclose(foreseen["generator_loss"], seen["generator_loss"], rtol=1e-12)


def test_unrolled_discriminator_keeps_its_own_updates_only(x64):
  kept = stepped("unrolled", 2, unrolled_steps=4).discriminator
  assert_same(kept, stepped("alternating_generator_first", 2).discriminator, 1e-12)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_unrolled_gradient_is_finite_where_the_discriminators_gradient_is_zero(optimizer):
  game = toys.make_game(toys.dirac_gan(0.0, 0.0), update_rule="unrolled", optimizer=optimizer)
  state = toys.start(game, "unrolled")
  step = toys.compiled(make_train_step(game, "unrolled"))
  after, _ = step(state, Batch(jnp.zeros((1, 2, 1)), None), toys.key(0))
  assert np.isfinite(after.generator.params)


def test_lookahead_moves_both_players_on_every_kth_step_only():
  game, state = tiny("lookahead", lookahead_steps=2)
  plain = toys.compiled(make_train_step(game, "alternating"))
  step = toys.compiled(make_train_step(game, "lookahead"))
  batch, key = Batch(real_points(), None), toys.key(4)
  first, slow = step(state, batch, key)[0], state.memory["lookahead"]
  assert_same(players(first), players(plain(state, batch, key)[0]))
  assert_same(first.memory["lookahead"], slow)
  second, fast = step(first, batch, key)[0], plain(first, batch, key)[0]
  halfway = jax.tree.map(lambda a, b: (a + b) / 2, fast.generator.params, slow["generator"])
  assert_same(second.generator.params, halfway)
  assert_same(second.memory["lookahead"]["discriminator"], second.discriminator.params)


# Every rule with every loss: alone, as a member of a sweep, split over devices.


def any_loss(index, axis_name=()):
  """The loss at a place of LOSSES that is known only to the compiled step: one step for all."""
  made = [make_loss(name, axis_name=axis_name) for name in LOSSES]

  def pick(field):
    functions = [getattr(loss, field) for loss in made]
    return lambda real, fake: jax.lax.switch(index, functions, real, fake)

  return Loss(pick("discriminator"), pick("generator"), pick("threshold"), None)


def assert_agrees(update_rule, names):
  """Plays one step with each loss in the three ways."""
  choices = {"penalty": "dragan", "unrolled_steps": 1, "consensus_weight": 0.1, "lecam": True}
  (game, state), (split_game, other) = (
    tiny(update_rule, seed=seed, axis_name=axis, **choices)
    for seed, axis in ((0, ()), (9, "batch"))
  )
  states = jax.tree.map(lambda *leaves: jnp.stack(leaves), other, state)
  batch, key = Batch(real_points(), None), toys.key(4)

  @toys.compiled
  def both(index):
    alone = make_train_step(game._replace(loss=lambda _: any_loss(index)), update_rule)
    loss = lambda _: any_loss(index, "batch")  # noqa: E731
    split = make_train_step(split_game._replace(loss=loss), update_rule)
    swept = jax.vmap(toys.over_two_devices(split), (0, None, None))
    return alone(state, batch, key), swept(states, batch, key)

  for name in names:
    alone, swept = both(list(LOSSES).index(name))
    assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(alone)), name
    assert_same(jax.tree.map(lambda leaf: leaf[1], swept), alone, 2e-6)


def test_every_loss_agrees_alone_in_a_sweep_and_over_devices():
  assert_agrees("alternating", LOSSES)


@pytest.mark.parametrize("update_rule", UPDATE_RULES)
def test_every_rule_agrees_alone_in_a_sweep_and_over_devices(update_rule, monkeypatch):
  # A relativistic average: the loss that needs the rest of the batch from the other device.
  for name in set(LOSSES) - {"ragan"}:
    monkeypatch.delitem(LOSSES, name)
  assert_agrees(update_rule, LOSSES)


@pytest.mark.slow
@pytest.mark.parametrize("update_rule", UPDATE_RULES)
def test_every_rule_with_every_loss_agrees_alone_in_a_sweep_and_over_devices(update_rule):
  assert_agrees(update_rule, LOSSES)


# What is refused.


@pytest.mark.parametrize("update_rule", UPDATE_RULES)
def test_rules_for_one_discriminator_update_refuse_more(update_rule):
  validate(update_rule, 1)
  if UPDATE_RULES[update_rule].several:
    validate(update_rule, 5)
  else:
    with pytest.raises(UserError, match="--discriminator_steps must be 1, not 5"):
      validate(update_rule, 5)
