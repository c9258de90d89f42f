"""Update rules on tiny networks; on games whose trajectory is known, see test_theory_games.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from gan.errors import UserError
from gan.losses import of_logits
from gan.method.game import Batch, Examples
from gan.method.objectives import generator_objective
from gan.method.update_rules import (
  UPDATE_RULES,
  adversarial_rules,
  check_updates,
  unrolled_objective,
)
from gan.method.updates import apply_discriminator, discriminator_update
from gan.regularizers import make_lecam
from gan.theory import games


@pytest.fixture
def x64():
  with jax.enable_x64(True):
    yield


# Identities between rules.


def tiny(update_rule, penalty="r1", loss="nonsat", seed=0, **choices):
  game = toys.make_game(
    toys.tanh_gan(), loss=loss, penalty=penalty, update_rule=update_rule, **choices
  )
  weights = {f"{name}_weight": 0.3 for name in game.regularizers}
  return game, toys.start(game, seed, penalty_weight=0.5, **weights)


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
  return jax.jit(game.step)(state, batch, toys.key(4))[0]


def test_generator_first_with_one_discriminator_update_is_simultaneous(x64):
  # The two rules derive their keys differently: compare on latents that do not depend on them.
  results = []
  for update_rule in ("alternating_generator_first", "simultaneous"):
    gan = toys.tanh_gan()._replace(sample_latent=lambda key: jnp.array([0.5, -1.0]))
    game = toys.make_game(gan, penalty="r1", update_rule=update_rule)
    state = toys.start(game, penalty_weight=0.5)
    step = jax.jit(game.step)
    results.append(players(step(state, Batch(real_points(), None), toys.key(4))[0]))
  assert_same(*results, 1e-12)


def test_shared_latents_show_the_generator_the_fakes_of_the_last_discriminator_update(x64):
  game, state = tiny("alternating", shared_latents=True)
  batch, key = Batch(real_points(2), None), toys.key(4)
  _, metrics = jax.jit(game.step)(state, batch, key)
  # By hand: two discriminator updates, then the generator's loss at the key of the second.
  keys = jax.random.split(jax.random.fold_in(key, state.step), 3)[:2]
  for points, own in zip(batch.image, keys, strict=True):
    examples = Examples(points, None)
    update = discriminator_update(game, state, examples, own)
    state = apply_discriminator(game, state, update)
  loss, _ = generator_objective(state.generator.params, game, state, examples, keys[-1])
  np.testing.assert_allclose(metrics["generator_loss"], loss, rtol=1e-12)


def test_shared_latents_save_a_pass_of_the_generator():
  def products(shared):
    game, state = tiny("alternating", shared_latents=shared)
    step = jax.jit(game.step)
    program = step.lower(state, Batch(real_points(), None), toys.key(4)).compile()
    return program.as_text().count(" dot(")

  # A pass of the affine generator is one product.
  assert products(shared=False) - products(shared=True) == 1


def test_unrolled_by_no_steps_is_generator_first(x64):
  unrolled = stepped("unrolled", 3, unrolled_steps=0)
  assert_same(players(unrolled), players(stepped("alternating_generator_first", 3)), 1e-12)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_unrolled_gradient_agrees_with_finite_differences(x64, optimizer):
  game, state = tiny("unrolled", unrolled_steps=3, optimizer=optimizer)
  examples, key = Examples(real_points()[0], None), toys.key(5)

  params, shape = jax.flatten_util.ravel_pytree(state.generator.params)

  def value(flat):
    return unrolled_objective(shape(flat), game, state, examples, key, unrolled_steps=3)[0]

  found, value = jax.jit(jax.grad(value))(params), jax.jit(value)
  expected = [(value(params + d) - value(params - d)) / 2e-5 for d in 1e-5 * jnp.eye(len(params))]
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


def test_unrolled_generator_sees_the_discriminator_that_one_update_leads_to(x64):
  game, state = tiny("unrolled", unrolled_steps=1)
  examples, key = Examples(real_points()[0], None), toys.key(5)
  ahead = apply_discriminator(game, state, discriminator_update(game, state, examples, key))
  args = state.generator.params, game, state, examples, key
  foreseen = unrolled_objective(*args, unrolled_steps=1)[1].metrics
  seen = generator_objective(state.generator.params, game, ahead, examples, key)[1].metrics
  np.testing.assert_allclose(foreseen["generator_loss"], seen["generator_loss"], rtol=1e-12)


@pytest.mark.parametrize("loss", ["sat", "wgan"])
def test_unrolled_generator_of_a_zero_sum_game_raises_the_foreseen_loss_on_the_data_too(x64, loss):
  game, state = tiny("unrolled", loss=loss, penalty="none", unrolled_steps=1)
  examples, key = Examples(real_points()[0], None), toys.key(5)
  ahead = apply_discriminator(game, state, discriminator_update(game, state, examples, key))
  args = state.generator.params, game, state, examples, key
  foreseen = unrolled_objective(*args, unrolled_steps=1)[1].metrics
  seen = discriminator_update(game, ahead, examples, key).metrics
  np.testing.assert_allclose(foreseen["generator_loss"], -seen["discriminator_loss"], rtol=1e-12)


def test_unrolled_discriminator_keeps_its_own_updates_only(x64):
  kept = stepped("unrolled", 2, unrolled_steps=4).discriminator
  assert_same(kept, stepped("alternating_generator_first", 2).discriminator, 1e-12)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_unrolled_gradient_is_finite_where_the_discriminators_gradient_is_zero(optimizer):
  game = toys.make_game(toys.dirac_gan(0.0, 0.0), update_rule="unrolled", optimizer=optimizer)
  state = toys.start(game)
  step = jax.jit(game.step)
  after, _ = step(state, Batch(jnp.zeros((1, 2, 1)), None), toys.key(0))
  assert np.isfinite(after.generator.params)


def test_lookahead_moves_both_players_on_every_kth_step_only():
  game, state = tiny("lookahead", lookahead_steps=2)
  plain = jax.jit(game.replace(update_rule=None).step)
  step = jax.jit(game.step)
  batch, key = Batch(real_points(), None), toys.key(4)
  first, slow = step(state, batch, key)[0], state.aux_state["update_rule"]
  assert_same(players(first), players(plain(state, batch, key)[0]))
  assert_same(first.aux_state["update_rule"], slow)
  second, fast = step(first, batch, key)[0], plain(first, batch, key)[0]
  halfway = jax.tree.map(lambda a, b: (a + b) / 2, fast.generator.params, slow["generator"])
  assert_same(second.generator.params, halfway)
  assert_same(second.aux_state["update_rule"]["discriminator"], second.discriminator.params)


# Every rule with every loss: alone, as a run of a sweep, split over devices.


def assert_agrees(update_rule, names):
  """Plays one step with each loss in the three ways."""
  choices = {"penalty": "dragan", "regularizers": {"lecam": make_lecam()}}
  options = {"unrolled_steps": 1, "consensus_weight": 0.1}
  read = UPDATE_RULES[update_rule].options
  choices |= {name: value for name, value in options.items() if name in read}
  (whole, state), (split_game, other) = (
    tiny(update_rule, seed=seed, axis_name=axis, **choices)
    for seed, axis in ((0, ()), (9, "batch"))
  )
  states = jax.tree.map(lambda *leaves: jnp.stack(leaves), other, state)
  batch, key = Batch(real_points(), None), toys.key(4)

  @jax.jit
  def both(index):
    alone, split = (
      game.replace(loss=games.any_loss(index, names, game.axis_name)).step
      for game in (whole, split_game)
    )
    swept = jax.vmap(toys.over_two_devices(split), (0, None, None))
    return alone(state, batch, key), swept(states, batch, key)

  for name in names:
    alone, swept = both(names.index(name))
    assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(alone)), name
    assert alone[0].aux_state["lecam"]["updates"] == 1  # also where a rule looks ahead
    assert_same(jax.tree.map(lambda leaf: leaf[1], swept), alone, 2e-6)


def test_every_loss_agrees_alone_in_a_sweep_and_over_devices():
  assert_agrees("alternating", of_logits())


@pytest.mark.parametrize("update_rule", adversarial_rules())
def test_every_rule_agrees_alone_in_a_sweep_and_over_devices(update_rule):
  # A relativistic average: the loss that needs the rest of the batch from the other device.
  assert_agrees(update_rule, ["ragan"])


@pytest.mark.slow
@pytest.mark.parametrize("update_rule", adversarial_rules())
def test_every_rule_with_every_loss_agrees_alone_in_a_sweep_and_over_devices(update_rule):
  assert_agrees(update_rule, of_logits())


# What is refused.


@pytest.mark.parametrize("update_rule", UPDATE_RULES)
def test_rules_for_one_discriminator_update_or_whole_batches_refuse_more(update_rule):
  rule = UPDATE_RULES[update_rule].make()
  check_updates(rule, 1, 1, update_rule)
  for fits, numbers, name in (
    (rule.several, (5, 1), "discriminator_steps"),
    (rule.in_parts, (1, 5), "accumulate"),
  ):
    if fits:
      check_updates(rule, *numbers, update_rule)
    else:
      with pytest.raises(UserError, match=f"`{name}` must be 1, not 5"):
        check_updates(rule, *numbers, update_rule)


@pytest.mark.parametrize(
  ("update_rule", "discriminator_steps", "accumulate", "expected"),
  [
    ("simultaneous", 2, 1, "the first axis of a gan.Batch must be 1, not 2"),
    ("extragradient", 2, 1, "the first axis of a gan.Batch must be 1, not 2"),
    ("unrolled", 1, 2, "`accumulate` must be 1, not 2"),
  ],
)
def test_a_step_of_a_game_whose_rule_cannot_hold_it_is_one_line(
  update_rule, discriminator_steps, accumulate, expected
):
  game, state = tiny(update_rule, accumulate=accumulate)
  with pytest.raises(UserError, match=f"^this `update_rule` .*: {expected}; alternating, "):
    game.step(state, Batch(real_points(discriminator_steps), None), toys.key(0))
