"""LeCam: logits are drawn towards the average logit of the other side."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from gan.networks import Gan
from gan.regularizers.base import Regularizer, Term, View
from gan.system.schema import check, check_whole, within

MANY = 1e9  # updates after which no bias is left to correct: decay^MANY is 0
DECAY = 0.99  # of both averages, in the authors' code for StyleGAN2; 0.9 in that for BigGAN

Averages = dict[str, Float[Array, ""]]


def lecam(
  real_logits: Float[Array, " b"],
  fake_logits: Float[Array, " b"],
  real_average: Float[Array, ""],
  fake_average: Float[Array, ""],
) -> Float[Array, " b"]:
  """LeCam regulariser, relu(D(x) - alpha_F)^2 + relu(alpha_R - D(G(z)))^2.

  It draws the logits of each side towards the average of the other; with the Wasserstein loss and
  without the relu the generator minimises a weighted LeCam divergence. The relu is that of the
  authors' code.

  See "Regularizing Generative Adversarial Networks under Limited Data" by Tseng et al.
  (https://arxiv.org/abs/2104.03310), https://github.com/google/lecam-gan.

  Args:
    real_logits: [B], discriminator outputs on data.
    fake_logits: [B], on generated samples.
    real_average: [], alpha_R, average of the real logits over recent updates; a constant.
    fake_average: [], alpha_F, the same of the fake ones.

  Returns:
    [B], regulariser per pair of examples, not averaged.
  """
  real_average, fake_average = jax.lax.stop_gradient((real_average, fake_average))
  real_excess = jax.nn.relu(real_logits - fake_average)
  fake_excess = jax.nn.relu(real_average - fake_logits)
  return jnp.square(real_excess) + jnp.square(fake_excess)


def lecam_averages(
  averages: Averages,
  real_logits: Float[Array, " b"],
  fake_logits: Float[Array, " b"],
  axis_name: Any = (),
  *,
  decay: float = DECAY,
  copying: Bool[Array, ""] | bool = False,
) -> Averages:
  """Moves the averages of both sides' logits by one update, without gradient.

  Their weights fall by the factor `decay` with each update and sum to 1 from the first update on.

  Args:
    averages: [] each: "real_logit", "fake_logit" and the number of "updates" so far.
    real_logits: [B], this device's share of the batch.
    fake_logits: [B], on generated samples.
    axis_name: mapped axes that hold the rest of the batch.
    decay: in [0, 1).
    copying: whether the averages are set to the means of this batch; they count as full ones then.

  Returns:
    The same three, one update later.
  """
  means = {"real_logit": jnp.mean(real_logits), "fake_logit": jnp.mean(fake_logits)}
  means = jax.lax.pmean(jax.lax.stop_gradient(means), axis_name)
  updates = averages["updates"] + 1
  share = (1 - decay) / (1 - decay**updates)  # of the new batch
  if copying is not False:
    share, updates = jnp.where(copying, 1.0, share), jnp.where(copying, MANY, updates)
  moved = {name: averages[name] + share * (mean - averages[name]) for name, mean in means.items()}
  return moved | {"updates": updates}


def make_lecam(*, lecam_decay: float = DECAY, lecam_start: int = 0) -> Regularizer:
  """Returns the regulariser; its averages include the current batch.

  The authors' releases differ: that for StyleGAN2 has decay 0.99 and starts at once; that for
  BigGAN on CIFAR-10 has decay 0.9, and up to step 1,000 copies the means of each batch and leaves
  the term out (https://github.com/google/lecam-gan).

  Args:
    lecam_decay: of the averages in an update, in [0, 1).
    lecam_start: the first step with the term.
  """
  check("lecam_decay", lecam_decay, within(0, 1))
  check_whole("lecam_start", lecam_start, least=0)

  def moved(view: View, averages: Averages) -> Averages:
    return lecam_averages(
      averages,
      view.real_outputs.logits,
      view.fake_outputs.logits,
      view.axis_name,
      decay=lecam_decay,
      copying=view.step < lecam_start if lecam_start else False,
    )

  def discriminator(view: View, averages: Averages) -> Term:
    now = moved(view, averages)
    sides = view.real_outputs.logits, view.fake_outputs.logits
    value = jnp.mean(lecam(*sides, now["real_logit"], now["fake_logit"]))
    if lecam_start:
      value = jnp.where(view.step < lecam_start, 0.0, value)
    return value, {"lecam": value}

  def init(key: Key[Array, ""], gan: Gan) -> Averages:
    del key, gan
    return {name: jnp.zeros(()) for name in ("real_logit", "fake_logit", "updates")}

  return Regularizer(init, discriminator, update=moved)
