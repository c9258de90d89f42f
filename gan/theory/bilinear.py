"""The bilinear game min over theta, max over psi of theta psi, by linear algebra.

It is the Dirac-GAN under the Wasserstein loss: theta' = psi and psi' = -theta up to a sign of psi,
a rotation about the equilibrium (0, 0). Each update rule is then a matrix.
"""

import numpy as np
from jaxtyping import Float

ROTATION = np.array([[0.0, 1.0], [-1.0, 0.0]])  # (theta', psi') = ROTATION (theta, psi)
GENERATOR = np.array([[0.0, 1.0], [0.0, 0.0]])  # the generator's part of it


def operator(
  update_rule: str, rate: float, *, consensus_weight: float = 10.0, unrolled_steps: int = 5
) -> Float[np.ndarray, "2 2"]:
  """Returns the matrix that a step of a rule multiplies (theta, psi) by.

  Args:
    update_rule: key of UPDATE_RULES other than "optimistic" and "lookahead", which remember.
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
    lookahead_alpha: share of the fast weights in one.
    **choices: see `operator`.
  """
  now = before = slow = np.array([1.0, -1.0])
  path = []
  for t in range(1, steps + 1):
    if update_rule == "optimistic":
      # Twice the step here less the step there; the first step is a plain one.
      velocity = 2 * ROTATION @ now - ROTATION @ before
      now, before = now + rate * velocity, now
    elif update_rule == "lookahead":
      now = operator("alternating", rate) @ now
      if t % lookahead_steps == 0:
        now = slow = slow + lookahead_alpha * (now - slow)
    else:
      now = operator(update_rule, rate, **choices) @ now
    path.append(now)
  return np.array(path)
