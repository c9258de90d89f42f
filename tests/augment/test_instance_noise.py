"""Instance noise: its size, its end, and that both players feel it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from gan import augment, schedules
from gan.errors import UserError
from gan.method.game import Examples
from gan.method.objectives import generator_objective
from gan.method.play import example_keys
from gan.state import Hyperparameters, as_arrays
from gan.training.build import DataInfo, build_game, hyperparameters
from gan.training.validation import validate


def test_instance_noise_falls_linearly_to_zero():
  hyper = as_arrays(Hyperparameters(instance_noise=0.4))
  fall = schedules.annealed("instance_noise", 4)
  found = [float(fall(hyper, jnp.int32(t)).instance_noise) for t in (0, 1, 2, 4, 9)]
  np.testing.assert_allclose(found, [0.4, 0.3, 0.2, 0, 0], rtol=1e-6)


NOISY = dataclasses.replace(toys.RING, instance_noise=0.4, steps=10)


def noise_at(step, **fields):
  """The standard deviation that the step of a config reads."""
  config = dataclasses.replace(NOISY, **fields)
  game = build_game(config, DataInfo((2,), 0, 64, None))
  return float(game.schedule(hyperparameters(config), jnp.int32(step)).instance_noise)


def test_the_noise_of_a_run_falls_by_its_steps_or_by_its_schedule_and_never_by_both():
  assert [round(noise_at(t, instance_noise_steps=4), 6) for t in (0, 1, 4)] == [0.4, 0.3, 0]
  spec = {"schedules": "instance_noise=linear:0.2"}
  assert [round(noise_at(t, **spec), 6) for t in (0, 5, 10)] == [0.4, 0.3, 0.2]
  # Beside another number's schedule it falls as it does alone.
  assert round(noise_at(1, instance_noise_steps=4, schedules="b2=linear:0.9"), 6) == 0.3
  assert round(noise_at(1, instance_noise_steps=4, schedule="goodfellow2014"), 6) == 0.3


@pytest.mark.parametrize(
  ("fields", "words"),
  [
    ({"schedules": "instance_noise=linear:0", "instance_noise_steps": 9}, "leave out one of the"),
    (
      {"instance_noise": 0.0, "instance_noise_steps": 9},
      "--instance_noise_steps has no meaning for --augment=; it is for --instance_noise above 0",
    ),
  ],
)
def test_steps_in_which_no_noise_falls_are_refused(fields, words):
  with pytest.raises(UserError, match=words):
    validate(dataclasses.replace(NOISY, **fields))


def test_instance_noise_has_its_standard_deviation_and_is_independent_between_examples():
  keys = example_keys(toys.key(0), jnp.arange(500))
  noise = augment.instance_noise(jnp.zeros((500, 8)), jnp.float32(0.7), keys)
  np.testing.assert_allclose(jnp.std(noise), 0.7, rtol=0.05)
  assert jnp.max(jnp.abs(jnp.corrcoef(noise.T) - jnp.eye(8))) < 0.2
  assert len(np.unique(noise)) == noise.size


def test_noise_on_bfloat16_leaves_images_in_bfloat16():
  keys, state = jax.random.split(jax.random.key(0), 4), toys.state_of(instance_noise=0.5)
  half = augment.make_instance_noise().apply(jnp.ones((4, 8), jnp.bfloat16), keys, state)
  assert half.dtype == jnp.bfloat16 and float(jnp.std(half)) > 0.1


def test_discriminator_sees_noise_on_data_and_samples_and_the_generator_feels_it():
  noisy = toys.make_game(
    toys.tanh_gan(),
    augment=augment.make_instance_noise(),
    schedule=schedules.annealed("instance_noise", 10),
  )
  clean = toys.make_game(toys.tanh_gan())
  (_, here), (_, there), (_, late) = (
    toys.objective(noisy, instance_noise=0.5),
    toys.objective(clean),
    toys.objective(noisy, 10, instance_noise=0.5),
  )
  for name in ("real_logit", "fake_logit"):
    assert here[name] != there[name]
    np.testing.assert_allclose(late[name], there[name], rtol=1e-6)
  state, examples = toys.start(noisy, instance_noise=0.5), Examples(toys.points()[0], None)
  args = state, examples, toys.key(7)

  def value(game):
    return generator_objective(state.generator.params, game, *args)[0]

  assert value(noisy) != value(clean)
