"""Orthogonal regularisation: the columns of each matrix of weights are to be orthogonal."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan.networks import Params
from gan.regularizers.base import Regularizer, Term, View

TABLES = jax.tree_util.DictKey("embedding")  # what layers call the vectors of labels


def orthogonality(params: Params) -> Float[Array, ""]:
  """Sum of (w_i . w_j)^2 over i != j and all matrices W, ||W^T W o (1 - I)||^2.

  w_i are the weights of an output of a layer: a kernel [..., outputs] is a matrix of `outputs`
  columns (of a transposed convolution, inputs). Arrays of one axis and vectors of labels are left
  out.

  Args:
    params: of a network.
  """
  total = jnp.zeros(())
  for path, weights in jax.tree_util.tree_leaves_with_path(params):
    if weights.ndim > 1 and path[-1] != TABLES:
      matrix = weights.reshape(-1, weights.shape[-1])
      products = jnp.matmul(matrix.T, matrix, precision="highest")
      total += jnp.sum(jnp.square(products - jnp.diag(jnp.diagonal(products))))
  return total


def make_orthogonal(*, orthogonal_discriminator: bool = False) -> Regularizer:
  """Returns the regulariser ||W^T W o (1 - I)||^2 of the generator's weights.

  The code of BigGAN (https://github.com/ajbrock/BigGAN-PyTorch) adds half of this term's gradient.

  See "Large Scale GAN Training for High Fidelity Natural Image Synthesis" by Brock, Donahue and
  Simonyan, section 3.1 (https://arxiv.org/abs/1809.11096).

  Args:
    orthogonal_discriminator: whether the discriminator's loss has the term of its weights too.
  """

  def term_of(player: int, name: str) -> Callable[[View, dict], Term]:
    def term(view: View, state: dict) -> Term:
      del state
      assert view.params is not None, "both objectives give them"
      value = orthogonality(view.params[player])
      return value, {name: value}

    return term

  discriminator = term_of(1, "orthogonal_discriminator") if orthogonal_discriminator else None
  return Regularizer(generator=term_of(0, "orthogonal"), discriminator=discriminator)
