"""ADA's controller in a game: the number that it sets, where it acts, and what it excludes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from gan import schedules
from gan.augment import Augmentation
from gan.errors import UserError
from gan.method.game import Batch
from gan.regularizers import make_ada, make_apa
from gan.training.build import game_parts
from gan.training.config import Config
from gan.training.validation import validate

SCALED = Augmentation(
  lambda images, keys, state: images * (1 + state.hyperparameters.augment_strength),
  reads=("augment_strength",),
)
DATA = jnp.array([[1.0], [2.0], [3.0], [-1.0]])  # the mean sign is 1/2


def test_the_augmentation_has_the_strength_of_the_step_and_nothing_else_changes():
  game = toys.make_game(
    toys.dirac_gan(0.5, 1.0),
    regularizers={"ada": make_ada(ada_target=0.4, ada_every=2, ada_speed=16)},
    augment=SCALED,
  )
  assert game.default_hyperparameters().regularizer_weights == {}  # without a term, no weight
  step = jax.jit(game.step)
  state = toys.start(game, generator_learning_rate=0.0, discriminator_learning_rate=0.0)
  for strength in (0, 0, 0.5, 0.5, 1, 1, 1):  # 8 of 16 images in two updates
    before = state.hyperparameters
    state, metrics = step(state, Batch(DATA[None], None), toys.key(0))
    assert metrics["ada_strength"] == strength and metrics["ada_sign"] == 0.5
    np.testing.assert_allclose(metrics["real_logit"], 1.25 * (1 + strength))
    assert state.hyperparameters.augment_strength == before.augment_strength


ADA, APA = {"ada": make_ada()}, {"apa": make_apa()}


@pytest.mark.parametrize(
  ("parts", "message"),
  [
    ({"regularizers": ADA | APA}, "^two controllers of one strength: .* ada and apa both set"),
    ({"regularizers": ADA, "augment": None}, "ada sets augment_strength, which nothing here reads"),
    (
      {"regularizers": ADA, "hyperparameters": {"augment_strength": 0.3}},
      "augment_strength is set by the regularizer ada at every step: leave out",
    ),
    (
      {
        "regularizers": APA,
        "schedule": schedules.make_schedule(
          "augment_strength=linear:0", images_per_step=4, schedule_images=64
        ),
      },
      "augment_strength is set by the regularizer apa at every step",
    ),
  ],
)
def test_a_number_has_one_master_and_a_reader(parts, message):
  game = toys.make_game(toys.tanh_gan(), augment=SCALED)
  with pytest.raises(UserError, match=message) as caught:
    game.replace(**parts)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"regularizers": "apa", "augment_control": "apa"}, "^two controllers of one strength: --aug"),
    (
      {"regularizers": "apa", "augment_control": "ada"},
      "^two controllers of one strength: .*apa a",
    ),
    (
      {"model": "dcgan", "augment": "ada:bgc", "augment_control": "ada", "augment_strength": 0.0},
      "augment_strength is set by the regularizer ada at every step",
    ),
    ({"model": "dcgan", "augment": "ada"}, "--augment_control=ada sets it as D overfits"),
    ({"augment_control": "ada"}, "nothing here reads: add an augmentation that has a strength"),
    (
      {"augment_control": "apa", "schedules": "augment_strength=linear:0"},
      "augment_strength is set by the regularizer apa",
    ),
    ({"augment_control": "mine"}, "--augment_control=mine is unknown: choose from ada, apa, none"),
    ({"ada_speed": 7}, "--ada_speed has no meaning for --regularizers=; it is for ada, apa"),
    ({"regularizers": "apa", "options": "apa_weight=1"}, "no part has an option 'apa_weight'"),
  ],
)
def test_what_a_run_cannot_be_controlled_by_is_one_line(fields, message):
  options = {name: fields.pop(name) for name in ("ada_speed",) if name in fields}
  config = Config(**{"model": "points"} | fields)
  if options:
    config = dataclasses.replace(config, options="ada_speed=7")
  with pytest.raises(UserError, match=message) as caught:
    validate(config)
  assert "\n" not in str(caught.value)


def test_both_spellings_choose_the_same_parts_and_need_no_strength():
  for control in ("ada", "apa"):
    for fields in ({"augment_control": control}, {"regularizers": control}):
      config = Config(model="dcgan", augment="ada:bg", **fields)
      validate(config)
      assert list(game_parts(config)["regularizers"]) == [control]
