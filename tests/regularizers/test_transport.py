"""Transport: its value by hand, its weight in G's objective, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

import gan
from gan.datasets import ring
from gan.errors import UserError
from gan.method.game import Batch, Examples
from gan.method.objectives import generator_objective
from gan.method.train_step import at_this_step
from gan.metrics.modes import mixture_modes
from gan.regularizers import make_transport, transport_costs
from gan.schedules import make_schedule
from gan.training.build import DataInfo, build_game
from gan.training.config import Config


def test_the_cost_is_the_mean_squared_step_from_the_latent():
  latents = jnp.array([[1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
  images = jnp.array([[[[1.0], [2.0]], [[0.0], [-1.0]]], [[[3.0], [0.0]], [[0.0], [4.0]]]])
  np.testing.assert_allclose(transport_costs(latents, images), [(0 + 4 + 4 + 1) / 4, 25 / 4])
  assert transport_costs(latents, images.astype(jnp.bfloat16)).dtype == jnp.float32


def test_it_has_the_weight_of_the_step_in_the_generator_s_objective():
  # Half way along half a cosine from .2 to .005: .1025.
  schedule = make_schedule("transport_weight=cosine:0.005", images_per_step=4, schedule_images=40)
  game = toys.make_game(
    toys.tanh_gan(), regularizers={"transport": make_transport()}, schedule=schedule
  )

  def objective(weight):
    state = toys.start(game, transport_weight=weight).replace(step=jnp.int32(5))
    state = at_this_step(game, state)
    examples = Examples(toys.points()[0], None)
    return generator_objective(state.generator.params, game, state, examples, toys.key(7))

  # From 0 the schedule leads to .0025, half way.
  (value, seen), (less, _) = objective(0.2), objective(0.0)
  assert seen.metrics["transport"] > 0.1
  np.testing.assert_allclose(value - less, 0.1 * seen.metrics["transport"], rtol=1e-4)


def test_latents_of_another_size_are_refused_in_one_line():
  players = gan.models.build("points", gan.ModelSpec((2,), latent_dim=3, width=4))
  game = gan.Game(**players._asdict(), regularizers={"transport": make_transport()})
  with pytest.raises(UserError) as refusal:
    jax.eval_shape(game.step, game.init(toys.key(0)), Batch(toys.points(), None), toys.key(1))
  assert str(refusal.value) == (
    "transport is from latents to samples of as many numbers, and [2] is 2 where a latent is 3: "
    "give `latent_dim=2`"
  )


def test_a_run_with_latents_of_another_size_is_refused_before_it_begins():
  chosen = {"model": "dcgan", "width": 4, "regularizers": "transport"}
  info = DataInfo((8, 8, 1), 2, 64, None)
  assert build_game(Config(**chosen, latent_dim=64), info).regularizers
  with pytest.raises(
    UserError, match="numbers as an example, 64, .* is 3: give --latent_dim=64, or"
  ):
    build_game(Config(**chosen, latent_dim=3), info)


@pytest.mark.slow
def test_with_it_the_ring_is_found_and_latents_are_moved_less():
  text, steps = "transport_weight=cosine:0.005", 800
  schedule = make_schedule(text, images_per_step=256, schedule_images=256 * steps)
  terms = {"regularizers": {"transport": make_transport()}, "schedule": schedule}
  latents, samples = toys.ring_samples(steps, latent_dim=2, **terms)
  modes, share, _ = mixture_modes(samples, ring.centres(), 10 * ring.SIGMA)
  assert modes == ring.MODES and share > 0.6
  other, further = toys.ring_samples(steps, latent_dim=2)
  assert np.mean(np.square(samples - latents)) < 0.5 * np.mean(np.square(further - other))
