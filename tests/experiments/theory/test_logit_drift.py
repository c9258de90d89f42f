"""The case `logit_drift` of the theory lab: its parts by hand, and a few steps of each."""

import math

import jax
import numpy as np
import pytest

from experiments.theory import case, logit_drift


@pytest.mark.parametrize(
  ("ours", "passes", "fails", "passed"),
  [
    (0.5, 0.25, 0.1, True),
    (0.2, 0.25, 0.1, None),
    (0.1, 0.25, 0.1, False),
    (0.3, 0.5, 1.0, True),
    (0.7, 0.5, 1.0, None),
    (1.2, 0.5, 1.0, False),
    (math.nan, 0.5, 1.0, False),
  ],
)
def test_a_number_between_two_bounds_is_inconclusive(ours, passes, fails, passed):
  check = case.decided("it", np.float64(ours), passes=passes, fails=fails, source="")
  assert check.passed is passed
  assert ("inconclusive" in check.ours) == (passed is None)
  assert check.expected.startswith("at least 0.25; not" if passes == 0.25 else "at most 0.5; not")


def test_pairs_are_all_of_data_and_samples_by_their_chances():
  real, fake = logit_drift.pairs()
  counts = np.einsum("np,nq->pq", real, fake)
  np.testing.assert_array_equal(counts, np.outer([4, 3, 2, 1], [1, 2, 3, 4]))


def test_the_exact_rows_hold_and_those_of_a_loss_that_holds_the_constant_would_not():
  with jax.enable_x64(True):
    fall = logit_drift._fall()
    slopes = {name: logit_drift._slope(name) for name in ("rsgan", "nonsat")}
  assert fall.passed and float(fall.ours) == pytest.approx(0.96**100, rel=1e-5)
  assert slopes["rsgan"].passed and slopes["nonsat"].passed is None
  assert abs(float(slopes["nonsat"].ours)) > 1e-4


def test_a_random_walk_has_the_power_of_a_half():
  times = np.arange(1, logit_drift.SNAPSHOTS + 1)
  walk = np.array([-1.0, 1.0]).reshape(2, 1) * np.sqrt(times)
  assert logit_drift.power({"offset": walk}) == pytest.approx(0.5)
  assert logit_drift.power({"offset": np.sign(walk)}) == 0


def test_batches_and_sgd_conserve_the_constant():
  free, *_ = logit_drift.KINDS
  check = logit_drift._conserved(
    logit_drift.wander(free, 2, logit_drift.SNAPSHOTS, optimizer="sgd")
  )
  assert check.passed


@pytest.mark.slow
def test_a_few_steps_of_both_players():
  _, held, _ = logit_drift.KINDS
  rows = logit_drift.train(held, 2, logit_drift.SNAPSHOTS)
  assert all(np.isfinite(each).all() for each in rows.values())
  free = {name: 3 * each for name, each in rows.items()}
  _, ratio, *others = logit_drift._of_players({logit_drift.KINDS[0]: free, held: rows})
  assert ratio.passed and float(ratio.ours) == pytest.approx(1 / 3, rel=1e-4)
  assert len(others) == 4
