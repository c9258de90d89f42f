"""Top-k: the generator learns from the samples alone that D takes for data most."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan.regularizers.base import Regularizer, Term, View
from gan.system.schema import Kind, are_finite, check, check_whole

_SHARE = Kind("above 0 and at most 1", lambda it: are_finite(it, 0) and 0 < it <= 1)


def top_k_weights(
  logits: Float[Array, " n"], share: Float[Array, ""], axis_name: Any = ()
) -> Float[Array, " n"]:
  """Weights n / k of the k samples of the global batch with the largest logits, and 0 of others.

  Of equal logits those of lower places come first.

  Args:
    logits: [N], D's of this device's share of the samples; n counts those of all devices.
    share: [], of the samples that have a weight: k is the nearest whole number, and 1 at least.
    axis_name: mapped axes that hold the rest of the batch.

  Returns:
    [N], of mean 1 over all devices; constants.
  """
  count, place = len(logits), jax.lax.axis_index(axis_name)
  every = jax.lax.stop_gradient(logits)
  if axis_name != ():
    every = jax.lax.all_gather(every, axis_name, tiled=True)
  k = jnp.maximum(jnp.round(share * len(every)), 1)
  rank = jnp.argsort(jnp.argsort(-every))
  weights = jnp.where(rank < k, len(every) / k, 0)
  return jax.lax.dynamic_slice_in_dim(weights, place * count, count)


def make_topk(
  *, topk_gamma: float = 0.99, topk_nu: float = 0.5, topk_every: int = 1000
) -> Regularizer:
  """Returns the regulariser, which has no term: it weighs the generator's loss of each sample.

  k falls from the batch n by the factor gamma once in `topk_every` steps, to nu n. With packing it
  counts packs; of a batch in parts it is the share k / n of each part.

  See "Top-k Training of GANs: Improving GAN Performance by Throwing Away Bad Samples" by Sinha et
  al. (https://arxiv.org/abs/2002.06224). Implementations round k down or up.

  Args:
    topk_gamma: factor on k in a fall, above 0 and at most 1.
    topk_nu: least share of the samples that G learns from, above 0 and at most 1.
    topk_every: steps between falls of k; an epoch in the source.
  """
  check("topk_gamma", topk_gamma, _SHARE)
  check("topk_nu", topk_nu, _SHARE)
  check_whole("topk_every", topk_every, least=1)

  def share(view: View) -> Float[Array, ""]:
    falls = (view.step // topk_every).astype(jnp.float32)
    return jnp.maximum(jnp.float32(topk_gamma) ** falls, topk_nu)

  def weigh(view: View, state: dict) -> Float[Array, " r"]:
    del state
    return top_k_weights(view.fake_outputs.logits, share(view), view.axis_name)

  def generator(view: View, state: dict) -> Term:
    del state
    return jnp.zeros(()), {"topk_share": share(view)}

  return Regularizer(generator=generator, weigh=weigh, default_weight=None)
