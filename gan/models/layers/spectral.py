"""Spectral normalisation: weights divided by an estimate of their largest singular value.

See "Spectral Normalization for Generative Adversarial Networks" by Miyato, Kataoka, Koyama and
Yoshida (https://arxiv.org/abs/1802.05957), https://github.com/pfnet-research/sngan_projection.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

SPECTRAL = "spectral"  # collection of a model state: a vector u for each normalised weight
EPSILON = 1e-12  # in x / (|x| + epsilon)


def singular_triple(
  matrix: Float[Array, "m n"], left: Float[Array, " m"], iterations: int
) -> tuple[Float[Array, " m"], Float[Array, ""], Float[Array, " n"]]:
  """Estimates the largest singular value of W by power iteration.

  v = l2(W^T u), u = l2(W v) in each iteration, and sigma = u^T W v; gradients flow through W alone,
  so that that of sigma is u v^T.

  Args:
    matrix: W.
    left: u to start from; of norm 1, or `iterations` is at least 1.
    iterations: 0 leaves u as it is, with v = l2(W^T u).

  Returns:
    u, sigma, v.
  """
  constant, left = jax.lax.stop_gradient((matrix, left))
  right = _unit(_product(constant.T, left))
  for later in reversed(range(iterations)):
    left = _unit(_product(constant, right))
    right = _unit(_product(constant.T, left)) if later else right
  return left, jnp.vdot(left, _product(matrix, right), precision="highest"), right


def _product(matrix, vector):
  return jnp.matmul(matrix, vector, precision="highest")


def _unit(vector):
  return vector / (jnp.linalg.norm(vector) + EPSILON)


def normalised(
  module: nn.Module, weights: Float[Array, "..."], iterations: int, *, rows: int = -1
) -> Float[Array, "..."]:
  """Divides the weights of a Linen module by their spectral norm.

  u starts uniform on the sphere and is kept in the module's collection "spectral". It moves in
  calls with that collection mutable, hence with `train=True` alone; other calls read it.

  Args:
    module: which calls this, once, in its `__call__`.
    weights: [..., features]; a matrix of `features` rows.
    iterations: of a call in training; the papers have 1. 0 for weights as they are.
    rows: the axis of the matrix's rows.
  """
  if not iterations:
    return weights
  matrix = jnp.moveaxis(weights, rows, 0).reshape(weights.shape[rows], -1)

  def init():
    return _unit(jax.random.normal(module.make_rng("params"), matrix.shape[:1]))

  state = module.variable(SPECTRAL, "u", init)
  moves = module.is_mutable_collection(SPECTRAL) and not module.is_initializing()
  left, norm, _ = singular_triple(matrix, state.value, iterations if moves else 0)
  if moves:
    state.value = left
  return weights / jnp.where(norm == 0, 1.0, norm)  # weights that are all 0 stay so
