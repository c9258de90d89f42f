"""The bilinear game min over theta, max over psi of theta psi, by linear algebra.

It is the Dirac-GAN under the Wasserstein loss: theta' = psi and psi' = -theta up to a sign of psi,
a rotation about the equilibrium (0, 0). Each update rule is then a matrix.
"""

import itertools
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

ROTATION = np.array([[0.0, 1.0], [-1.0, 0.0]])  # (theta', psi') = ROTATION (theta, psi)
GENERATOR = np.array([[0.0, 1.0], [0.0, 0.0]])  # the generator's part of it


def operator(
  update_rule: str, rate: float, *, consensus_weight: float = 10.0, unrolled_steps: int = 5
) -> Float[np.ndarray, "2 2"]:
  """Returns the matrix that a step of a rule multiplies (theta, psi) by.

  Args:
    update_rule: key of UPDATE_RULES that is not in REMEMBERING.
    rate: h, of both players.
    consensus_weight: gamma; J^T v = w here, so that w shrinks by h gamma.
    unrolled_steps: K; against psi - K h theta the generator's slope falls by 2 K h theta.
  """
  eye, turn = np.eye(2), rate * ROTATION
  generator = eye + rate * GENERATOR
  discriminator = eye + turn - rate * GENERATOR
  return {
    "simultaneous": eye + turn,
    "alternating_generator_first": eye + turn,
    "alternating": generator @ discriminator,
    "extragradient": eye + turn @ (eye + turn),
    "consensus": eye + turn - rate * consensus_weight * eye,
    "unrolled": eye + turn - np.diag([2 * unrolled_steps * rate**2, 0.0]),
  }[update_rule]


def trajectory(
  update_rule: str,
  rate: float,
  steps: int,
  *,
  lookahead_steps: int = 5,
  lookahead_alpha: float = 0.5,
  **choices,
) -> Float[np.ndarray, "steps 2"]:
  """Returns (theta, psi) after each step from (1, -1).

  Args:
    update_rule: key of UPDATE_RULES.
    rate: h, of both players.
    steps: how many.
    lookahead_steps: k fast steps between two interpolations.
    lookahead_alpha: share of the way to the fast weights that an interpolation goes.
    **choices: see `operator`.
  """
  start = np.array([1.0, -1.0])
  if update_rule in REMEMBERING:
    each = REMEMBERING[update_rule](start, rate, lookahead_steps, lookahead_alpha)
  else:
    each = _powers(operator(update_rule, rate, **choices), start)
  return np.array(list(itertools.islice(each, steps)))


def _powers(matrix: np.ndarray, now: np.ndarray) -> Iterator[np.ndarray]:
  while True:
    now = matrix @ now
    yield now


def _optimistic(now: np.ndarray, rate: float, *_) -> Iterator[np.ndarray]:
  """Steps by 2 v(now) - v(before), v the velocity of the game; the first step is a plain one."""
  before = now
  while True:
    velocity = 2 * ROTATION @ now - ROTATION @ before
    now, before = now + rate * velocity, now
    yield now


def _lookahead(now: np.ndarray, rate: float, every: int, share: float) -> Iterator[np.ndarray]:
  """Alternating steps; after each `every` of them, a share of the way from the last such point."""
  slow, step = now, operator("alternating", rate)
  for t in itertools.count(1):
    now = step @ now
    if t % every == 0:
      now = slow = slow + share * (now - slow)
    yield now


# The rules whose step depends on more than where the players stand.
REMEMBERING = {"optimistic": _optimistic, "lookahead": _lookahead}
