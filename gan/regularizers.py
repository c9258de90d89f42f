"""Regularisers of the discriminator that are not gradient penalties: instance noise and LeCam."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

LECAM_DECAY = 0.99  # of both averages, as in the authors' code


def annealed(start: Float[Array, ""], step: Int[Array, ""], steps: int) -> Float[Array, ""]:
  """Linear decay, start max(0, 1 - step / steps).

  Args:
    start: [], value at step 0.
    step: int32 [], steps so far.
    steps: step at which the value is 0; at least 1.
  """
  return start * jnp.maximum(0, 1 - step / steps)


def instance_noise(
  images: Float[Array, "b ..."], sigma: Float[Array, ""], keys: Key[Array, " b"]
) -> Float[Array, "b ..."]:
  """Adds independent Gaussian noise to every value, x + sigma n with n ~ N(0, 1).

  Noise on data and on samples gives both distributions a density everywhere, so that their
  divergence is finite.

  See "Amortised MAP Inference for Image Super-resolution" by Sonderby et al.
  (https://arxiv.org/abs/1610.04490), and "Towards Principled Methods for Training Generative
  Adversarial Networks" by Arjovsky and Bottou, section 3 (https://arxiv.org/abs/1701.04862).

  Args:
    images: [B, ...], what the discriminator is shown.
    sigma: [], standard deviation, in units of the image range.
    keys: [B], one for each example.

  Returns:
    [B, ...].
  """
  draw = lambda key, image: jax.random.normal(key, image.shape, image.dtype)  # noqa: E731
  return images + sigma * jax.vmap(draw)(keys, images)


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
  averages: dict[str, Float[Array, ""]],
  real_logits: Float[Array, " b"],
  fake_logits: Float[Array, " b"],
  axis_name: Any = (),
) -> dict[str, Float[Array, ""]]:
  """Moves the averages of both sides' logits by one update, without gradient.

  Their weights fall by a factor 0.99 with each update and sum to 1 from the first update on.

  Args:
    averages: [] each: "real_logit", "fake_logit" and the number of "updates" so far.
    real_logits: [B], this device's share of the batch.
    fake_logits: [B], on generated samples.
    axis_name: mapped axes that hold the rest of the batch.

  Returns:
    The same three, one update later.
  """
  means = {"real_logit": jnp.mean(real_logits), "fake_logit": jnp.mean(fake_logits)}
  means = jax.lax.pmean(jax.lax.stop_gradient(means), axis_name)
  updates = averages["updates"] + 1
  share = (1 - LECAM_DECAY) / (1 - LECAM_DECAY**updates)  # of the new batch
  moved = {name: averages[name] + share * (mean - averages[name]) for name, mean in means.items()}
  return moved | {"updates": updates}
