"""Statistics over seeds, against numbers worked by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from gan.report import statistics


def test_median_and_interquartile_mean_by_hand():
  # 8 // 4 = 2 at each end are left out: (3 + 4 + 5 + 6) / 4.
  centre = statistics.centre([8, 1, 3, 5, 2, 100, 4, 6])
  assert (centre.count, centre.median, centre.iqm) == (8, 4.5, 4.5)
  # Of 5 values one at each end is left out, of 3 none.
  assert statistics.centre([1, 2, 3, 10, 50]).iqm == 5
  assert statistics.centre([1, 2, 6]).iqm == 3


def test_the_interval_of_three_values_is_their_range():
  # The resample of three times the lowest comes once in 27, which is above 2.5 %.
  centre = statistics.centre([5.0, 1.0, 2.0])
  assert centre.median_interval == (1, 5) and centre.iqm_interval == (1, 5)


def test_intervals_of_many_values_are_those_of_the_normal_law():
  values = np.random.default_rng(0).normal(10, 2, size=400)
  low, high = statistics.centre(values).iqm_interval
  # The interquartile mean of a normal law has about 1.19 times the variance of the mean.
  half = 1.96 * math.sqrt(1.19) * 2 / math.sqrt(400)
  assert (high - low) / 2 == pytest.approx(half, rel=0.15)
  assert low < 10 < high


@pytest.mark.parametrize("values", [[1.0, 2.0], [3.0], [1.0, 2.0, math.inf]])
def test_few_or_infinite_values_have_no_interval(values):
  centre = statistics.centre(values)
  assert centre.median_interval is None and centre.iqm_interval is None
  assert centre.median == np.median(values)


def test_no_values_have_no_centre():
  assert statistics.centre([]) is None


def test_an_interval_does_not_depend_on_the_order_of_seeds():
  values = [3.0, 1.0, 4.0, 1.5, 9.0]
  assert statistics.centre(values) == statistics.centre(values[::-1])


def test_a_band_resamples_whole_seeds():
  # Two points of a curve that are the same up to sign and place: so are their intervals.
  values = np.array([1.0, 2.0, 4.0, 8.0])
  low, high = statistics.band(np.stack([values, 10 - values], axis=1))
  assert low[1] == pytest.approx(10 - high[0]) and high[1] == pytest.approx(10 - low[0])


def test_holm_by_hand():
  # Sorted: 0.005 x 4 = 0.02, 0.01 x 3 = 0.03, 0.03 x 2 = 0.06, 0.04 x 1 = 0.04 -> 0.06 before it.
  adjusted = statistics.holm([0.01, 0.04, 0.03, 0.005])
  assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_never_exceeds_one():
  assert statistics.holm([0.9, 0.6]) == [1.0, 1.0]
  assert statistics.holm([]) == []


def seeds(values):
  return {(seed,): value for seed, value in enumerate(values)}


def test_a_paired_difference_by_hand():
  # Differences 1, 2, 3: mean 2, standard error 1 / sqrt 3, t = 2 sqrt 3 with 2 degrees of freedom.
  (found,) = statistics.compare({"a": seeds([2, 4, 6]), "b": seeds([1, 2, 3])})
  assert (found.first, found.second, found.count, found.difference) == ("a", "b", 3, 2)
  # The distribution of t with 2 degrees in closed form: F(t) = 1/2 + t / (2 sqrt(2 + t^2)).
  t = 2 * math.sqrt(3)
  assert found.p_value == pytest.approx(1 - t / math.sqrt(2 + t * t))
  assert found.adjusted == found.p_value and not found.survives
  half = 4.302653 / math.sqrt(3)  # the 97.5 % point of t with 2 degrees
  assert found.interval == pytest.approx((2 - half, 2 + half), rel=1e-5)


def test_intervals_of_several_comparisons_are_at_the_corrected_level():
  values = {"a": seeds([2, 4, 6]), "b": seeds([1, 2, 3]), "c": seeds([0, 5, 1])}
  found = statistics.compare(values)
  assert [(each.first, each.second) for each in found] == [("a", "b"), ("a", "c"), ("b", "c")]
  assert [each.adjusted for each in found] == statistics.holm([each.p_value for each in found])
  low, high = found[0].interval
  assert (high - low) / 2 == pytest.approx(stats.t.ppf(1 - 0.05 / 6, 2) / math.sqrt(3))


def test_only_seeds_that_both_have_are_paired():
  first, second = {(0,): 5.0, (1,): 7.0, (2,): 9.0}, {(1,): 6.0, (2,): 6.0, (3,): 0.0}
  (found,) = statistics.compare({"a": first, "b": second})
  assert (found.count, found.difference) == (2, 2)


def test_settings_of_a_seed_are_one_pair():
  # Seed 0 differs by 1 and 3 in two settings, seed 1 by 5 in the only one that both have.
  first = {(0, "x"): 2.0, (0, "y"): 5.0, (1, "x"): 6.0, (1, "y"): 100.0}
  second = {(0, "x"): 1.0, (0, "y"): 2.0, (1, "x"): 1.0}
  (found,) = statistics.compare({"a": first, "b": second})
  assert (found.count, found.difference) == (2, 3.5)


@pytest.mark.parametrize(
  "first, second, count, difference",
  [([1.0], [3.0], 1, -2), ([2.0, 3.0], [1.0, 2.0], 2, 1), ([1.0, math.inf], [2.0, 2.0], 1, -1)],
)
def test_what_cannot_be_tested_has_no_p_value(first, second, count, difference):
  (found,) = statistics.compare({"a": seeds(first), "b": seeds(second)})
  assert (found.count, found.difference) == (count, difference)
  assert found.p_value is found.adjusted is found.interval is None
  assert not found.survives


def test_losses_without_a_common_seed_have_no_difference():
  (found,) = statistics.compare({"a": {(0,): 1.0}, "b": {(1,): 1.0}})
  assert found.count == 0 and found.difference is None


def test_a_clear_difference_survives():
  rng = np.random.default_rng(0)
  values = {loss: seeds(level + 0.1 * rng.normal(size=5)) for loss, level in (("a", 1), ("b", 9))}
  (found,) = statistics.compare(values)
  assert found.survives and found.interval[1] < 0


def test_a_field_that_one_loss_varies_alone_does_not_part_the_pairs():
  first = {(0, "x", "c"): 2.0, (0, "y", "d"): 5.0, (1, "x", "c"): 6.0, (1, "y", "d"): 8.0}
  second = {(0, "x", ""): 1.0, (0, "y", ""): 2.0, (1, "x", ""): 1.0, (1, "y", ""): 5.0}
  (found,) = statistics.compare({"a": first, "b": second})
  assert (found.count, found.difference) == (2, 3)


def test_draws_are_paired_by_what_both_losses_read():
  # wgan alone draws a weight clip; the rate tells the draws apart. Differences: -1 and -3, mean -2.
  nonsat = {(seed, str(rate), "None"): float(rate) for seed in (0, 1) for rate in (1, 2)}
  clips = {1: "None", 2: "0.03"}
  wgan = {(seed, str(rate), clips[rate]): 3.0 * rate - 1 for seed in (0, 1) for rate in (1, 2)}
  (found,) = statistics.compare({"nonsat": nonsat, "wgan": wgan})
  assert found.count == 2 and found.difference == -2.0


def test_a_setting_that_one_loss_has_not_reached_is_not_paired_with_another():
  done = {(seed, str(rate)): float(rate) for seed in (0, 1) for rate in (1, 2)}
  begun = {(seed, "1"): 4.0 for seed in (0, 1)}
  (found,) = statistics.compare({"done": done, "begun": begun})
  assert found.difference == -3.0


def test_equal_differences_count_in_the_family_and_are_tested_where_they_are_zero():
  values = {"a": {(0,): 1.0, (1,): 2.0}, "b": {(0,): 1.0, (1,): 2.0}, "c": {(0,): 2.0, (1,): 3.0}}
  same, moved, _ = statistics.compare(values)
  assert (same.difference, same.p_value, same.interval) == (0.0, 1.0, (0.0, 0.0))
  assert (moved.difference, moved.p_value, moved.adjusted) == (-1.0, None, None)


def test_chosen_pairs_alone_are_compared_and_corrected_for():
  values = {"a": {(0,): 1.0, (1,): 2.0}, "b": {(0,): 3.0, (1,): 5.0}, "c": {(0,): 9.0, (1,): 8.0}}
  (found,) = statistics.compare(values, [("c", "a")])
  assert (found.first, found.second, found.difference) == ("c", "a", 7)
  assert found.adjusted == found.p_value
  of_all = {(each.first, each.second): each for each in statistics.compare(values)}
  assert of_all["a", "c"].p_value == found.p_value < of_all["a", "c"].adjusted
