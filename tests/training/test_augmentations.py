"""The text of --augment, its strength, and which augmentations a run has."""

import dataclasses

import jax
import numpy as np
import pytest
import toys

from gan.augment import AUGMENTATIONS
from gan.errors import UserError
from gan.models import MODELS
from gan.sweeps.plan import _static
from gan.training.augmentations import named
from gan.training.build import DataInfo, build_game, hyperparameters
from gan.training.config import Config
from gan.training.parts import arguments, augmentation_names
from gan.training.validation import validate


@pytest.mark.parametrize(
  ("text", "found"),
  [
    ("", {}),
    ("mirror", {"mirror": ""}),
    ("diffaugment", {"diffaugment": ""}),
    (" diffaugment : color , cutout, mirror ", {"diffaugment": "color,cutout", "mirror": ""}),
    ("mirror,diffaugment:cutout", {"mirror": "", "diffaugment": "cutout"}),
    ("diffaugment:color,mirror,cutout", {"diffaugment": "color", "mirror": "", "cutout": ""}),
  ],
)
def test_what_is_no_augmentation_belongs_to_the_last_name_with_a_colon(text, found):
  assert named(text) == found and list(named(text)) == list(found)


def test_no_choice_of_an_augmentation_is_the_name_of_one():
  assert not {each for entry in AUGMENTATIONS.values() for each in entry.choices} & {*AUGMENTATIONS}


def test_what_is_typed_behind_a_colon_reaches_the_augmentation():
  config = Config(model="mlp", augment="mirror,diffaugment:cutout,color")
  expected = {"policy": "cutout,color", "image_range": MODELS["mlp"].image_range}
  assert arguments(config, "augment", "diffaugment") == expected
  assert arguments(config, "augment", "mirror") == {}


IMAGES = DataInfo((8, 8, 1), 0, 64, np.zeros((8, 8, 1)))
MOVED = {"schedules": "augment_strength=linear:0.5"}


def test_at_strength_0_nothing_is_run_unless_a_schedule_moves_it():
  base = Config(augment="diffaugment,mirror", model="mlp")
  off, moved = (dataclasses.replace(base, augment_strength=0.0, **each) for each in ({}, MOVED))
  for config in (base, off, moved):
    validate(config)
  assert augmentation_names(off) == ["mirror"]
  assert augmentation_names(base) == augmentation_names(moved) == ["diffaugment", "mirror"]
  alone = dataclasses.replace(off, augment="diffaugment")
  assert build_game(alone, IMAGES).augment is None
  # Runs of one program may differ in a strength above 0.
  half, more = (dataclasses.replace(base, augment_strength=each) for each in (0.5, 0.7))
  assert _static(half) == _static(more) != _static(off)


def test_the_strength_of_a_run_is_that_given_and_moves_by_its_schedule():
  config = Config(augment="diffaugment", augment_strength=0.25, steps=10, model="mlp", **MOVED)
  schedule = build_game(config, IMAGES).schedule
  at = [schedule(hyperparameters(config), jax.numpy.int32(t)).augment_strength for t in (0, 5, 10)]
  np.testing.assert_allclose(at, [0.25, 0.375, 0.5], rtol=1e-6)
  assert hyperparameters(Config(augment="diffaugment")).augment_strength == 1


@pytest.mark.parametrize(
  "name", [name for name, entry in AUGMENTATIONS.items() if entry.for_images]
)
def test_points_are_refused(name):
  config = dataclasses.replace(toys.RING, augment=name)
  with pytest.raises(UserError, match=f"^--augment={name} is for images, and the data are points"):
    build_game(config, DataInfo((2,), 0, 64, None))
  points, state = jax.numpy.zeros((2, 2)), toys.state_of()
  with pytest.raises(
    UserError, match=rf"^{name} is for images \[H, W, C\], and an example is \[2\]"
  ):
    AUGMENTATIONS[name].make().apply(points, jax.random.split(toys.key(0)), state)
