"""Spaces that a search draws from: read, drawn, shared by losses, refused."""

import dataclasses

import numpy as np
import pytest

from gan.errors import UserError
from gan.sweeps.search import make_trials
from gan.sweeps.spaces import SPACES, Axis, check_read, draw_points, space_of
from gan.training.config import Config

TYPED = "generator_learning_rate=log:1e-5:1e-2; b1=0:0.9; discriminator_steps=1|5; batch_size=8:11"


def test_a_typed_space_is_read_by_the_types_of_its_fields():
  assert space_of(TYPED) == (
    Axis(("generator_learning_rate",), (1e-5, 1e-2), "log"),
    Axis(("b1",), (0.0, 0.9), "uniform"),
    Axis(("discriminator_steps",), (1, 5)),
    Axis(("batch_size",), (8, 11), "uniform", integer=True),
  )
  assert space_of("discriminator_norm=none|batch")[0].values == ("none", "batch")
  assert space_of(" lucic_wide ") is SPACES["lucic_wide"]


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("nosuch", "--space=nosuch is unknown: choose from rates, lucic_wide, lucic_narrow, or give"),
    ("speed=0:1", "--space: runs cannot differ in 'speed'. Arrays, in one program"),
    ("loss=sat|wgan", "--losses, --seeds"),
    ("model=0:1", "model is not numeric: give its values, value|value"),
    ("b1=0.5:0.5", "'b1=0.5:0.5' is an empty range"),
    ("b1=0.5:nan", "is an empty range"),
    ("b1=log:0:0.9", "has no logarithm at 0.0: begin above 0"),
    ("b1=0:2", "--b1=2.0 must be below 1"),
    ("b1=half:1", "--space: b1=half must be of type float"),
    ("discriminator_steps=1:2.5", "discriminator_steps=2.5 must be of type int"),
    ("discriminator_steps=0:5", "--discriminator_steps=0 must be above 0"),
    ("generator_learning_rate=0:inf", "must be a finite number"),
    ("b1=0.5", "a value that all runs have is a flag"),
    ("b1=lin:0:0.5", "must be field=low:high"),
    ("b1=", "must be field=low:high"),
    ("b1=0|0.0", "has a value twice"),
    ("b1=0|1", "--b1=1.0 must be below 1"),
    ("b1=0:0.5;b1=0|0.5", "--space has b1 twice"),
    ("b1+discriminator_steps=0:1", "are of different types"),
  ],
)
def test_spaces_that_cannot_be_are_refused_in_one_line(text, message):
  with pytest.raises(UserError) as refusal:
    space_of(text)
  assert message in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_share_of_an_axis_lies_below_each_value():
  assert Axis(("b1",), (0.2, 0.6), "uniform").at(0.25) == pytest.approx(0.3)
  assert Axis(("b1",), (1e-4, 1e-2), "log").at(0.5) == pytest.approx(1e-3)
  whole = Axis(("batch_size",), (8, 11), "uniform", integer=True)
  assert [whole.at((i + 0.5) / 8) for i in range(8)] == [8, 8, 9, 9, 10, 10, 11, 11]
  # 1, 2 and 4 begin the thirds of log 1 to log 8; 7 is the last whole number below.
  octaves = Axis(("batch_size",), (1, 7), "log", integer=True)
  assert [octaves.at(i / 3 + 0.01) for i in range(3)] == [1, 2, 4] and octaves.at(0.999) == 7
  assert Axis(("model",), ("a", "b", "c")).at(0.7) == "c"


# Names of the ranges of Lucic et al. as in peers' `params.py`: (field, lowest, highest).
RANGES = {
  "lucic_wide": [
    ("generator_learning_rate", 1e-5, 1e-2),
    ("b1", 0, 1),
    ("weight_clip", 1e-3, 1),
    ("penalty_weight", 0.1, 100),
  ],
  "lucic_narrow": [
    ("generator_learning_rate", 1e-4, 1e-3),
    ("b1", 0.5, 0.5),
    ("weight_clip", 1e-2, 1),
    ("penalty_weight", 0.1, 10),
  ],
}


@pytest.mark.parametrize("name", sorted(RANGES))
def test_draws_fill_the_ranges_of_the_study(name):
  points = draw_points(SPACES[name], 300, seed=0)
  assert points[0] == {}, "the first are the values as they stand"
  for field, low, high in RANGES[name]:
    values = np.array([point[field] for point in points[1:]])
    assert values.min() >= low and values.max() <= high
    # Rates and weights are uniform in their logarithm, b1 itself: a tenth at either end is hit.
    if low < high:
      line = values if field == "b1" else np.log10(values)
      ends = np.array([low, high]) if field == "b1" else np.log10([low, high])
      share = (line - ends[0]) / (ends[1] - ends[0])
      assert share.min() < 0.1 and share.max() > 0.9
      assert abs(share.mean() - 0.5) < 0.06  # 3.5 standard errors, sqrt(1/12/299) each
  assert all(p["generator_learning_rate"] == p["discriminator_learning_rate"] for p in points[1:])
  steps = {point["discriminator_steps"] for point in points[1:]}
  assert steps == ({1, 5} if name == "lucic_wide" else {1})


@pytest.mark.parametrize("sampler", ["random", "sobol"])
def test_a_longer_search_begins_with_the_points_of_a_shorter_one(sampler):
  for space in (SPACES["lucic_wide"], space_of(TYPED)):
    short, long = (draw_points(space, count, 3, sampler) for count in (4, 9))
    assert long[:4] == short and len(long) == 9 and long[0] == {}
    assert draw_points(space, 4, 4, sampler)[1:] != short[1:]


def test_published_spaces_keep_their_draws():
  # As drawn before spaces could be typed: folders of earlier searches go on.
  point = draw_points(SPACES["lucic_wide"], 2, seed=7)[1]
  assert point == {
    "generator_learning_rate": 0.0020437268612084774,
    "discriminator_learning_rate": 0.0020437268612084774,
    "b1": 0.1119272443176843,
    "discriminator_steps": 1,
    "discriminator_norm": "none",
    "weight_clip": 0.0030190185720720174,
    "penalty_weight": 1.9765439065124684,
  }
  point = draw_points(SPACES["lucic_narrow"], 2, seed=7)[1]
  assert (point["weight_clip"], point["penalty_weight"]) == (
    0.023888862272392522,
    0.2088865721409678,
  )


def test_a_sobol_search_has_one_point_in_each_cell():
  # The first 2^m points of a scrambled sequence: one in each of 2^m equal parts of every axis.
  points = draw_points(space_of("b1=0:0.8;b2=0:0.8"), 17, seed=0, sampler="sobol")[1:]
  for name in ("b1", "b2"):
    assert sorted(int(point[name] / 0.05) for point in points) == list(range(16))


def test_a_grid_has_every_choice_at_the_middles_of_equal_parts():
  # 2 choices x 2 levels of each of two ranges are 8 points; 3 levels would be 18.
  space = space_of("b1=0:0.8;penalty_weight=log:1:16;discriminator_steps=1|5")
  points = draw_points(space, 18, seed=0, sampler="grid")
  assert points[0] == {} and len(points) == 9
  names = ("b1", "penalty_weight", "discriminator_steps")
  found = {tuple(round(point[name], 9) for name in names) for point in points[1:]}
  assert found == {(b, w, k) for b in (0.2, 0.6) for w in (2, 8) for k in (1, 5)}
  with pytest.raises(UserError, match="give --samples=3 or more"):
    draw_points(space, 2, seed=0, sampler="grid")
  # Four levels of three whole numbers are three.
  assert len(draw_points(space_of("batch_size=2:4"), 5, seed=0, sampler="grid")) == 4


def make(losses, space, samples=6, sampler="random", **changes):
  points = draw_points(space, samples, 0, sampler)
  base = dataclasses.replace(Config(), **changes)
  return make_trials(
    losses, (0,), points, lambda point: dataclasses.replace(base, **point), searched=True
  )


@pytest.mark.parametrize("sampler", ["random", "sobol", "grid"])
def test_the_draws_of_losses_are_equal_where_both_read_them(sampler):
  space = space_of("generator_learning_rate=log:1e-5:1e-2;weight_clip=log:0.01:1;b1=0:0.9")
  trials = make(["nonsat", "wgan"], space, 9, sampler)
  drawn = {trial.name: trial.varied for trial in trials}
  pairs = [
    (drawn.get(f"nonsat,sample={i},seed=0"), drawn[f"wgan,sample={i},seed=0"]) for i in range(9)
  ]
  # On a grid nonsat has the draws of wgan's two bounds once.
  pairs = [(ours, theirs) for ours, theirs in pairs if ours]
  assert len(pairs) == (5 if sampler == "grid" else 9)
  for ours, theirs in pairs:
    same = theirs.items() - {("loss", "wgan"), ("weight_clip", theirs.get("weight_clip"))}
    assert ours.items() - {("loss", "nonsat")} == same
  assert len(drawn["wgan,sample=1,seed=0"]) == 5 and len(drawn["nonsat,sample=1,seed=0"]) == 4


def test_a_draw_is_read_with_the_parts_that_it_chooses():
  trials = make(["nonsat"], space_of("penalty=none|r1;penalty_weight=log:1:100"), 12)
  for trial in trials:
    assert ("penalty_weight" in trial.varied) == (trial.config.penalty == "r1")
  # Without a penalty all draws are one run, that of the values as they stand.
  assert [trial.name for trial in trials if trial.config.penalty == "none"] == [
    "nonsat,sample=0,seed=0"
  ]


def test_a_field_that_no_chosen_loss_reads_is_refused():
  space = space_of("b1=0:0.9;penalty_weight=log:1:100")
  check_read(space, make(["nonsat", "wgan"], space, penalty="r1"))
  with pytest.raises(UserError, match="no chosen loss reads penalty_weight: it is for --penalty="):
    check_read(space, make(["nonsat", "wgan"], space))
  clip = space_of("b1=0:0.9;weight_clip=log:0.01:1")
  check_read(clip, make(["nonsat", "wgan"], clip))
  with pytest.raises(UserError, match="no chosen loss reads weight_clip; leave it out"):
    check_read(clip, make(["nonsat"], clip))
