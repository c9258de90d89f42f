"""Successive halving's rungs and choices, by hand."""

import math

import pytest

from gan.errors import UserError
from gan.sweeps import rungs as halving


def test_rungs_are_the_evaluations_nearest_to_a_geometric_series():
  # 1000 / 3 = 333.3 and 1000 / 9 = 111.1; 12 settings: 12, 4, 2, 1.
  assert halving.rungs(1000, 125, 3, 12) == [125, 375]
  assert halving.rungs(900, 100, 3, 9) == [100, 300]
  # Two settings need one rung, and near step 0 there is none.
  assert halving.rungs(900, 100, 3, 2) == [300]
  assert halving.rungs(900, 300, 3, 100) == [300]
  assert halving.rungs(1000, 100, 2, 3) == [300, 500]  # 250 lies between two: the later


def test_the_share_of_steps_by_hand():
  # 12 to 125, 4 to 375, 2 to 1000: 1500 + 1000 + 1250.
  assert halving.share_of_steps(12, 1000, [125, 375], 3) == pytest.approx(3750 / 12000)
  assert halving.share_of_steps(1, 1000, [125, 375], 3) == 1


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ((100, 10, 1, 4), "--halving=1 must be 2 or more"),
    ((100, 10, 3, 1), "there is one: give more --samples"),
    ((100, 0, 3, 4), "give an --eval_every above 0"),
    ((100, 80, 3, 4), "no evaluation near step 33 .* --eval_every of 33 or less, it is 80"),
  ],
)
def test_what_has_no_rung_is_refused(arguments, message):
  with pytest.raises(UserError, match=message):
    halving.rungs(*arguments)


def test_the_best_third_goes_on_and_the_first_of_equals():
  inf = math.inf
  # Medians 2, 1, inf, 2: two of four, and of the equal ones the first sample.
  values = {"a": [2, 2, 9], "b": [inf, 1, 1], "c": [0, inf, inf], "d": [2, 1, 3]}
  assert halving.promoted(values, 3) == ["a", "b"]
  assert halving.promoted(values, 5) == ["b"]
  assert halving.promoted({"a": [inf], "b": [inf]}, 2) == ["a"]


def test_values_have_the_sign_of_their_metric_and_lost_ones_are_the_worst():
  records = [{"step": 2, "frechet_distance": 3.0, "coverage": 0.25}]
  records += [{"step": 4, "frechet_distance": "nan", "coverage": "inf"}]
  found = [
    halving.value_at(records, name, step)
    for step in (2, 4, 6)
    for name in ("frechet_distance", "coverage")
  ]
  assert found == [3.0, -0.25, math.inf, -math.inf, math.inf, math.inf]
