"""Which runs a sweep has: grids, draws, names, and what is refused."""

import dataclasses

import pytest

from gan import models
from gan.errors import UserError
from gan.sweeps.search import (
  applicable,
  array_names,
  grid_points,
  make_trials,
  parse_grid,
  static_names,
  sweep_identity,
)
from gan.sweeps.spaces import SPACES, draw_points
from gan.training import options
from gan.training.build import DataInfo, build
from gan.training.config import Config


def test_a_grid_is_read_by_the_types_of_its_fields():
  grid = parse_grid(" b1 = 0, 0.5 ; discriminator_steps=1,5;conditional=true,False;model=mlp;")
  assert grid == {
    "b1": [0.0, 0.5],
    "discriminator_steps": [1, 5],
    "conditional": [True, False],
    "model": ["mlp"],
  }
  assert [type(grid[name][0]) for name in grid] == [float, int, bool, str]


def test_points_are_every_combination():
  points = grid_points({"b1": [0.0, 0.5], "width": [8, 16]})
  assert points == [
    {"b1": 0.0, "width": 8},
    {"b1": 0.0, "width": 16},
    {"b1": 0.5, "width": 8},
    {"b1": 0.5, "width": 16},
  ]
  assert grid_points(parse_grid("")) == [{}]


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("b1", "'b1' must be field=value,value"),
    ("b1=", "'b1=' must be field=value,value"),
    ("b1=0;b1=1", "each field once"),
    ("b1=0,0.0", "has a value twice"),
    ("b1=half", "b1=half must be of type float"),
    ("conditional=perhaps", "conditional=perhaps must be of type bool"),
    ("steps=1,2", "runs cannot differ in 'steps'. Arrays, in one program: generator_learning_"),
    ("loss=sat,wgan", "--losses, --seeds"),
    ("lsgan_targets=0,1,1", "runs cannot differ in 'lsgan_targets'"),
    ("learning_rate=1", "A program for each value: model, width"),
  ],
)
def test_malformed_grids_are_refused_in_one_line(text, message):
  with pytest.raises(UserError) as refusal:
    parse_grid(text)
  assert message in str(refusal.value) and "\n" not in str(refusal.value)


def test_fields_are_arrays_or_static_or_not_to_be_varied():
  fields = set(options.fields())
  arrays, static = set(array_names()), set(static_names())
  assert arrays <= fields and static <= fields and not arrays & static
  rest = fields - arrays - static
  assert {"dataset", "split", "steps", "parallel", "eval_every", "loss", "seed"} <= rest


def test_a_loss_takes_of_a_draw_what_it_reads():
  point = draw_points(SPACES["lucic_wide"], 2, seed=0)[1]
  plain = applicable(point, Config(loss="nonsat", model="mlp"))
  assert not {"weight_clip", "penalty_weight", "discriminator_norm"} & set(plain)
  assert "weight_clip" in applicable(point, Config(loss="wgan"))
  assert "weight_clip" not in applicable(point, Config(loss="wgan", penalty="wgan_gp"))
  assert "penalty_weight" in applicable(point, Config(loss="wgan", penalty="wgan_gp"))
  assert "discriminator_norm" in applicable(point, Config(model="infogan"))


@pytest.mark.parametrize("name", sorted(models.MODELS))
def test_models_that_are_normed_take_a_norm_and_others_refuse_it(name):
  shape = {
    "points": (2,),
    "pacgan": (2,),
    "firstgan_dcgan": (64, 64, 1),
    "tutorial_dcgan": (64, 64, 1),
    "stylegan2": (32, 32, 3),
    "sndcgan": (32, 32, 3),
  }
  info = DataInfo(shape.get(name, (28, 28, 1)), 0, 10, None)
  config = Config(model=name, discriminator_norm="batch")
  if "discriminator_norm" in models.MODELS[name].options:
    build(config, info)
  else:
    with pytest.raises(UserError, match="discriminator_norm"):
      build(config, info)


def make(losses=("sat", "nonsat"), seeds=(3, 4), points=({},), searched=False):
  return make_trials(
    losses, seeds, list(points), lambda point: dataclasses.replace(Config(), **point), searched
  )


def test_runs_are_named_by_what_they_differ_in():
  trials = make(points=[{"b1": 0.0}, {"b1": 0.5}])
  assert len(trials) == 8 and len({trial.name for trial in trials}) == 8
  assert trials[0].name == "sat,b1=0.0,seed=3"
  assert trials[0].varied == {"loss": "sat", "seed": 3, "b1": 0.0}
  for trial in trials:
    assert all(getattr(trial.config, key) == value for key, value in trial.varied.items())


def test_names_hold_what_differs_and_fit_into_a_folder():
  assert [m.name for m in make(("sat",), (0,), [{"b1": 0.0, "b2": 0.9}])] == ["sat,seed=0"]
  fields = ("generator_learning_rate", "discriminator_learning_rate", "b1", "b2", "ema_decay")
  points = [dict.fromkeys(fields, value) for value in (0.12345678901234567, 0.2)]
  names = [m.name for m in make(("sat",), (0,), points)]
  assert names == ["sat,point=0,seed=0", "sat,point=1,seed=0"]


def test_runs_of_a_search_are_named_by_their_draw_and_share_it():
  points = draw_points(SPACES["lucic_narrow"], 3, seed=0)
  trials = make(points=points, seeds=(0,), searched=True)
  assert [m.name for m in trials][:3] == [f"sat,sample={i},seed=0" for i in range(3)]
  drawn = [m.config.generator_learning_rate for m in trials]
  assert drawn[:3] == drawn[3:], "draw i is the same for every loss"


def test_a_run_that_cannot_be_is_named():
  with pytest.raises(UserError, match=r"run sat,seed=3: --penalty_weight has"):
    make(points=[{"penalty_weight": 1.0}])


def test_a_loss_with_a_penalty_of_its_own_is_a_row_of_its_own():
  points = [{"b1": 0.0, "penalty_weight": 1.0}, {"b1": 0.5, "penalty_weight": 2.0}]
  trials = make(("wgan", "wgan+wgan_gp"), (0,), points, searched=True)
  assert [trial.name for trial in trials] == [
    "wgan,sample=0,seed=0",
    "wgan,sample=1,seed=0",
    "wgan+wgan_gp,sample=0,seed=0",
    "wgan+wgan_gp,sample=1,seed=0",
  ]
  assert [trial.label for trial in trials] == ["wgan"] * 2 + ["wgan+wgan_gp"] * 2
  assert [trial.config.penalty for trial in trials] == ["none"] * 2 + ["wgan_gp"] * 2
  # The weight goes with the penalty; b1 is drawn for both alike.
  assert [trial.config.penalty_weight for trial in trials] == [None, None, 1.0, 2.0]
  assert [trial.config.b1 for trial in trials] == [0.0, 0.5, 0.0, 0.5]
  record = sweep_identity(trials, {}, "", "")
  assert record["determining"]["loss"] == ["wgan", "wgan+wgan_gp"]
  assert [member.get("label") for member in record["members"]] == [None] * 2 + ["wgan+wgan_gp"] * 2
  assert record["members"][-1]["varied"] == {
    "loss": "wgan",
    "penalty": "wgan_gp",
    "seed": 0,
    **points[1],
  }


@pytest.mark.parametrize(
  ("losses", "points", "message"),
  [
    (("sat", "sat+none"), ({},), "--losses=sat,sat[+]none are one, --loss=sat with --penalty=none"),
    (("sat+r1",), ({"penalty": "r2"},), "penalty is chosen by --losses and by --grid or --space"),
  ],
)
def test_labels_that_are_one_run_or_a_second_choice_are_refused(losses, points, message):
  with pytest.raises(UserError, match=message):
    make(losses, points=points)
