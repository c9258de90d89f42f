"""The case `augmentation_leak` of the theory lab: its parts by hand, and a few steps."""

import numpy as np
import pytest

from experiments.theory import augmentation_leak as leak


def test_the_library_s_turns_and_flips_are_the_operators_by_hand():
  np.testing.assert_allclose(leak.operator("rotate90", 0.4), 0.6 * np.eye(4) + 0.1)
  np.testing.assert_allclose(leak.operator("xflip", 0.4), 0.6 * np.eye(2) + 0.2)


def test_the_exact_rows_hold_and_a_leak_below_one_would_not():
  assert all(check.passed for check in leak._exact_checks())
  below = leak.ideal_logits(0.9, np.eye(4)[2])
  np.testing.assert_allclose(below, np.log([0.325 / 0.225, 1, 0.225 / 0.325, 1]), atol=1e-12)
  assert leak.divergence(1.0, np.eye(4)[2]) == 0 < leak.divergence(0.9, np.eye(4)[2])
  np.testing.assert_allclose(leak.divergence(0.0, np.eye(4)[2]), np.log(2))


def rows(upright, near):
  shares = np.tile([upright, 1 - upright, 0, 0], (2, 1))
  return {"shares": shares, "near": np.full(2, near)}


@pytest.mark.parametrize(
  ("half", "one", "near", "passed"),
  [
    (0.95, 0.25, 1.0, [True, True]),
    (0.5, 0.9, 1.0, [False, False]),
    (0.95, 0.25, 0.5, [None, None]),
  ],
)
def test_trained_players_are_judged_by_bounds_where_they_have_learnt_the_data(
  half, one, near, passed
):
  checks = leak._trained_checks({0.5: rows(half, 1.0), 1.0: rows(one, near)})
  assert [check.passed for check in checks[:2]] == passed
  assert all(("inconclusive" in check.ours) == (near < 1) for check in checks[:2])


def test_samples_are_counted_by_the_turn_that_is_nearest():
  samples = np.stack([leak.TEMPLATES[[0, 1, 1, 3]], leak.TEMPLATES[[2, 2, 2, 2]]]) * 0.9
  found = leak._judge(samples)
  np.testing.assert_array_equal(found["shares"], [[0.25, 0.5, 0, 0.25], [0, 0, 1, 0]])
  np.testing.assert_array_equal(found["near"], [1, 1])
  np.testing.assert_array_equal(leak._judge(0 * samples)["near"], [0, 0])


def test_a_few_steps_make_samples(monkeypatch):
  monkeypatch.setattr(leak, "BATCH", 2)
  samples = leak.train(1.0, seeds=2, steps=2)
  assert samples.shape == (2, leak.SAMPLES, leak.SIDE, leak.SIDE, 1)
  assert np.isfinite(samples).all() and not np.array_equal(*samples)
