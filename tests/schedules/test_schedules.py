"""Schedules of hyper-parameters, by hand, and that all of a step reads the same numbers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toys

from gan import schedules
from gan.augment import Augmentation, make_instance_noise
from gan.errors import UserError
from gan.method.game import Batch
from gan.regularizers import make_lecam
from gan.state import Hyperparameters, as_arrays


def at(text, progress, **start):
  """The scheduled numbers after a share of 1,000 images, 10 a step; compiled, as in a step."""
  hyper = as_arrays(Hyperparameters(**start))
  schedule = schedules.make(schedules.parse(text), images_per_step=10, schedule_images=1000)
  return jax.jit(schedule.function)(hyper, jnp.int32(round(100 * progress)))


@pytest.mark.parametrize(
  ("spec", "expected"),
  [
    ("constant", [4, 4, 4, 4]),
    ("linear:2", [4, 3.5, 2, 2]),
    ("cosine:2", [4, 2 + 2 * (1 + np.cos(np.pi / 4)) / 2, 2, 2]),
    ("polynomial:2:2", [4, 2 + 2 * 0.75**2, 2, 2]),
    ("exponential:1", [4, 4 * 0.25**0.25, 1, 1]),
    ("warmup:0.5", [0, 2, 4, 4]),
    ("warmup_cosine:0.5:0", [0, 2, 0, 0]),
    ("piecewise_constant:0.25:0.5", [4, 2, 2, 2]),
    ("piecewise_constant:0.25:0.5:0.9:0.1", [4, 2, 0.2, 0.2]),
  ],
)
def test_a_schedule_goes_from_its_number_to_its_end_and_stays_there(spec, expected):
  found = [at(f"penalty_weight={spec}", t, penalty_weight=4.0) for t in (0, 0.25, 1, 2)]
  np.testing.assert_allclose([hyper.penalty_weight for hyper in found], expected, rtol=1e-6)


# As optax has them, over 100 steps; each under its own spelling too.
OF_OPTAX = {
  "warmup_exponential:0.2:1": optax.join_schedules(
    [optax.linear_schedule(0.0, 4.0, 20), optax.exponential_decay(4.0, 80, 0.25, end_value=1.0)],
    [20],
  ),
  "piecewise_interpolate:0.2:0.5:0.7:3": optax.piecewise_interpolate_schedule(
    "linear", 4.0, {20: 0.5, 70: 3.0}
  ),
  "linear_onecycle:0.3:0.8:10:100": optax.linear_onecycle_schedule(100, 4.0, 0.3, 0.8, 10.0, 100.0),
  "cosine_onecycle:0.3:10:100": optax.cosine_onecycle_schedule(100, 4.0, 0.3, 10.0, 100.0),
  "sgdr:4:1": optax.join_schedules(
    [optax.cosine_decay_schedule(4.0, 25, alpha=0.25)] * 4, [25, 50, 75]
  ),
  "warmup_cosine_decay_schedule:0.2:1": optax.warmup_cosine_decay_schedule(0, 4.0, 20, 100, 1.0),
  "cosine_decay_schedule:1": optax.cosine_decay_schedule(4.0, 100, alpha=0.25),
}


@pytest.mark.parametrize("spec", OF_OPTAX)
def test_a_schedule_is_that_of_optax(spec):
  steps = [0, 7, 20, 24, 30, 55, 70, 80, 99, 100, 101]
  found = [at(f"penalty_weight={spec}", step / 100, penalty_weight=4.0) for step in steps]
  expected = [OF_OPTAX[spec](step) for step in steps]
  # A float32 step that a cycle ends on may lie a rounding before it.
  np.testing.assert_allclose([hyper.penalty_weight for hyper in found], expected, rtol=1e-4)


def test_every_schedule_of_optax_has_its_spelling():
  own = {name for name in vars(optax) if name.endswith("_schedule")} | {"exponential_decay"}
  # What makes transformations or joins, and is no schedule of one number.
  assert own - {"scale_by_schedule", "join_schedules"} <= set(schedules.SPELLINGS)
  assert set(schedules.SPELLINGS.values()) == set(schedules.SCHEDULES)


def test_schedules_in_turn_change_what_each_of_them_does():
  both = schedules.in_turn(schedules.annealed("instance_noise", 10), lambda hyper, step: hyper)
  assert both.fields == ("instance_noise",)


def test_several_fields_go_together_and_others_stay():
  hyper = at("b2=cosine:0.99; generator_learning_rate=linear:0", 0.5, b2=0.9)
  np.testing.assert_allclose(hyper.b2, 0.945, rtol=1e-6)
  np.testing.assert_allclose(hyper.generator_learning_rate, 1e-4, rtol=1e-6)
  np.testing.assert_allclose(hyper.discriminator_learning_rate, 2e-4, rtol=1e-6)


def test_decays_of_averages_and_weights_of_regularizers_have_schedules():
  hyper = at("ema_decay=linear:0.9; lecam_weight=linear:0", 0.5, regularizer_weights={"lecam": 0.4})
  np.testing.assert_allclose(hyper.ema_rate, (0.01 + 0.1) / 2, rtol=1e-5)
  np.testing.assert_allclose(hyper.regularizer_weights["lecam"], 0.2, rtol=1e-6)


@pytest.mark.parametrize(
  "text",
  ["b1", "b1=", "=linear:0", "b1=linear", "b1=linear:x", "b1=linear:nan", "b1=linear:0:1"]
  + ["b1=warmup:0", "b1=warmup:2", "b1=nosuch:1", "b1=linear:0;b1=linear:0"]
  + ["b1=piecewise_constant:0.5", "b1=piecewise_constant", "b1=piecewise_constant:0.5:1:0.6"]
  + ["b1=piecewise_constant:0.5:1:2:1", "b1=linear:1e39", "b1=warmup:1e-60", ";;;", " "]
  + ["b1=exponential:0", "b1=exponential:-1", "b1=exponential:1e-60"]
  + ["b1=polynomial:0:0", "b1=polynomial:0:-1", "b1=sgdr:1.5:0", "b1=sgdr:0:0"]
  + ["b1=linear_onecycle:0.5:0.4:10:10", "b1=cosine_onecycle:0.5:0:10"]
  + ["b1=piecewise_interpolate:0.5:1:0.5:1"],
)
def test_what_is_no_schedule_is_refused_in_one_line(text):
  with pytest.raises(UserError, match="schedules: ") as caught:
    schedules.parse(text)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize("images", [0, -64, 1.5, True])
@pytest.mark.parametrize("name", ["images_per_step", "schedule_images"])
def test_a_schedule_of_no_images_is_refused(unchecked, name, images):
  numbers = {"images_per_step": 64, "schedule_images": 640} | {name: images}
  with pytest.raises(UserError, match=f"`{name}={images}` must be a whole number of at least 1"):
    schedules.make_schedule("b1=linear:0", **numbers)


def test_an_end_or_a_power_that_cannot_be_is_named():
  with pytest.raises(UserError, match="'b1=exponential:0' must have END above 0"):
    schedules.parse("b1=exponential:0")
  with pytest.raises(UserError, match="'b1=polynomial:0:0' must have POWER above 0"):
    schedules.parse("b1=polynomial:0:0")


@pytest.mark.parametrize("text", ["b1=linear:1", "real_label=linear:2", "penalty_weight=linear:-1"])
def test_numbers_that_leave_their_range_are_found(text):
  specs = schedules.parse(text)
  assert schedules.out_of_range(specs, as_arrays(Hyperparameters())) == list(specs)
  inside = schedules.parse("b1=linear:0;real_label=linear:0.9")
  assert schedules.out_of_range(inside, as_arrays(Hyperparameters())) == []


# Every reader of a number: halving it by a schedule is halving it in the state.


def scaled(images, keys, state):
  return images * (1 + state.hyperparameters.augment_strength)


# Choices of a game in which something reads the number; {} where every game does.
READERS = {
  "generator_learning_rate": {},
  "discriminator_learning_rate": {},
  "b1": {"optimizer": "adam"},
  "b2": {"optimizer": "adam"},
  "momentum": {"optimizer": "rmsprop"},
  "ema_rate": {},
  "ema_half_life": {"ema_half_life": True, "ema_ramp": 0.0},
  "real_label": {},
  "discriminator_loss_scale": {},
  "weight_clip": {"clip_weights": True},
  "penalty_weight": {"penalty": "r1"},
  "instance_noise": {"augment": make_instance_noise()},
  "augment_strength": {"augment": Augmentation(scaled, reads=("augment_strength",))},
  "regularizer_weights": {"regularizers": {"lecam": make_lecam()}},
}
START = {"b1": 0.5, "b2": 0.5, "momentum": 0.5, "ema_decay": 0.5, "ema_half_life": 4.0}
START |= {"weight_clip": 0.8, "penalty_weight": 0.5, "instance_noise": 0.5, "real_label": 1.0}


def furthest(one, other):
  """The largest difference of two states, their numbers and steps apart."""
  one, other = (state.replace(hyperparameters=None, step=None) for state in (one, other))
  return optax.tree.max(jax.tree.map(lambda x, y: jnp.abs(x - y).max(), one, other))


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Hyperparameters)])
def test_all_of_a_step_reads_the_scheduled_number(field):
  game = toys.make_game(toys.tanh_gan(), **READERS[field])
  name = "lecam_weight" if field == "regularizer_weights" else field
  assert name.replace("ema_rate", "ema_decay") in game.read_numbers()

  def halved(hyper, step):
    del step
    return hyper.with_values({name: hyper.get(name) / 2})

  state = toys.start(game, **START)
  batch, key = Batch(jax.random.normal(toys.key(3), (2, 4, 2)), None), toys.key(4)
  # Beyond the first steps the average's ramp is out of the way.
  state = state.replace(step=jnp.int32(1000) if field == "ema_rate" else state.step)
  if field == "b2":  # Adam's first step is of size 1 whatever the decays are.
    state, _ = game.step(state, batch, key)
  scheduled, _ = game.replace(schedule=halved).step(state, batch, key)
  changed = state.replace(hyperparameters=halved(state.hyperparameters, 0))
  by_hand, _ = game.step(changed, batch, key)
  plain, _ = game.step(state, batch, key)
  assert furthest(scheduled, by_hand) == 0
  assert furthest(scheduled, plain) > 0
  # The state keeps the number from before the schedule.
  assert scheduled.hyperparameters.get(name) == state.hyperparameters.get(name)
