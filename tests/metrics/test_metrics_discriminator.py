"""The discriminator's accuracy: shares by hand, thresholds of losses, and critics without one."""

import numpy as np
import pytest

from gan.errors import UserError
from gan.losses import LOSSES, decides, make_loss
from gan.metrics.discriminator import (
  discriminator_accuracy,
  logit_difference,
  overfitting,
)

REAL, FAKE = np.array([2.0, 1.0, 0.4, -1.0]), np.array([-3.0, 0.2])


@pytest.mark.parametrize("name", ["sat", "nonsat", "hinge", "fgan_js"])
def test_a_classifier_decides_at_0(name):
  value, error = discriminator_accuracy(LOSSES[name], REAL, FAKE)
  assert value == (3 / 4 + 1 / 2) / 2
  # Variances p (1 - p)/n of the shares, over the 4 of their mean.
  assert error == pytest.approx(np.sqrt(3 / 16 / 4 + 1 / 4 / 2) / 2, rel=1e-12)


def test_least_squares_decide_half_way_between_their_targets():
  # Targets 0 and 1: at 0.5, above which two of four real logits lie, and both fake ones below.
  assert discriminator_accuracy(make_loss("lsgan"), REAL, FAKE).value == (2 / 4 + 1) / 2
  symmetric = make_loss("lsgan", lsgan_targets=(-1.0, 1.0, 0.0))
  assert discriminator_accuracy(symmetric, REAL, FAKE).value == (3 / 4 + 1 / 2) / 2


def test_kl_decides_at_the_slope_of_its_divergence():
  # f(u) = u log u has f'(1) = 1.
  assert discriminator_accuracy(LOSSES["fgan_kl"], REAL, FAKE).value == (1 / 4 + 1) / 2


def test_what_tells_nothing_is_right_in_half_of_all_cases_whatever_the_counts():
  ones = np.ones(7)
  assert discriminator_accuracy(LOSSES["hinge"], ones, np.ones(1000)) == (0.5, 0.0)


def test_losses_without_an_absolute_zero_are_those_of_differences():
  relative = {"wgan", "rsgan", "ragan", "ralsgan", "rahinge"}
  relative |= {name for name in LOSSES if name.startswith("rp_")} | {"cramer", "began"}
  assert {name for name, loss in LOSSES.items() if not decides(loss)} == relative
  with pytest.raises(UserError, match="no absolute zero"):
    discriminator_accuracy(LOSSES["wgan"], REAL, FAKE)


def test_a_difference_of_means_has_the_error_of_both():
  value, error = logit_difference(REAL, FAKE)
  assert value == pytest.approx(0.6 - -1.4, rel=1e-12)
  # Squares about the means: 1.96 + 0.16 + 0.04 + 2.56 over 4^2, and 2 1.6^2 over 2^2.
  assert error == pytest.approx(np.sqrt(4.72 / 16 + 5.12 / 4), rel=1e-12)
  assert logit_difference(REAL + 9, FAKE + 9).value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("logits", [np.zeros(0), np.array([1.0, np.nan]), np.array([np.inf])])
def test_logits_that_are_none_are_one_clear_line(logits):
  for function in (logit_difference, lambda *each: discriminator_accuracy(LOSSES["sat"], *each)):
    with pytest.raises(UserError, match="are finite: all must be") as error:
      function(REAL, logits)
    assert "\n" not in str(error.value)


def test_overfitting_is_0_for_data_as_trained_on_and_1_for_data_as_samples_are():
  held_out = np.array([0.5, -0.3])
  expected = (0.6 - 0.1) / (0.6 + 1.4)
  assert overfitting(REAL, held_out, FAKE) == pytest.approx(expected, rel=1e-12)
  shifted = (3 - 2 * each for each in (REAL, held_out, FAKE))
  assert overfitting(*shifted) == pytest.approx(expected, rel=1e-12)
  assert overfitting(REAL, REAL, FAKE) == 0 and overfitting(REAL, FAKE, FAKE) == 1
