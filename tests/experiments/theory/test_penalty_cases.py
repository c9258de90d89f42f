"""The cases of approximated and of lazy penalties: their closed forms, and what they decide."""

import itertools

import numpy as np
import pytest

from experiments.theory import approximated_penalty, lazy_penalty


@pytest.mark.parametrize("name", ["linear", "quadratic"])
def test_moments_by_hand_are_those_of_quadrature(name):
  # Polynomials of degree 8 in each of three numbers: nine nodes are exact.
  nodes, weights = np.polynomial.hermite_e.hermegauss(9)
  e = np.array(list(itertools.product(nodes, repeat=3)))
  weights = np.prod(np.array(list(itertools.product(weights / weights.sum(), repeat=3))), axis=1)
  critic, x, sigma = approximated_penalty.CRITICS[name], approximated_penalty.POINT, 0.7
  near, here = (np.asarray(critic.function(at), float) for at in (x + sigma * e, x[None]))
  squares = ((near - here) / sigma) ** 2
  mean = weights @ squares
  np.testing.assert_allclose(
    critic.moments(sigma), (mean, weights @ squares**2 - mean**2), rtol=1e-4
  )


def test_draws_of_the_penalty_have_the_moments_of_a_linear_critic():
  mean, variance = approximated_penalty.measure("linear", 0.5, 20_000)
  exact, spread = approximated_penalty.CRITICS["linear"].moments(0.5)
  np.testing.assert_allclose(mean, exact, atol=4 * (spread / 20_000) ** 0.5)
  np.testing.assert_allclose(variance, spread, rtol=0.15)


@pytest.mark.parametrize(
  ("always", "lazy", "verdicts"),
  [
    ((25, 25), (20, 19), (True, True)),
    ((25, 25), (25, 24), (True, False)),
    ((25, 24), (22, 22), (True, None)),
    # Of a game that does not work at every step nothing is decided.
    ((23, 23), (10, 10), (None, None)),
    ((20, 20), (20, 20), (False, None)),
    ((20, 20), (17, 17), (False, None)),
  ],
)
def test_lazy_penalties_fail_by_modes_that_they_lack(always, lazy, verdicts):
  def rows(ends):
    return {"modes": np.stack([np.zeros(2), ends], axis=1)}

  found = {lazy_penalty.ALWAYS: rows(always)} | {kind: rows(lazy) for kind in lazy_penalty.LAZY}
  checks = lazy_penalty._claims(found)
  assert [check.passed for check in checks] == [verdicts[0], *[verdicts[1]] * 3]
  assert all(check.ours.count("inconclusive") == (check.passed is None) for check in checks)


def test_lazy_kinds_say_how():
  titles = [kind.title for kind in lazy_penalty.LAZY]
  assert titles == [
    "rsgan + r1r2, every 16 steps",
    "rsgan + r1r2, every 16 steps, corrected",
    "rsgan + r1r2, every 16 steps, corrected, in a step of its own",
  ]
