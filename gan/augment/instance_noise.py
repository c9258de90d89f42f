"""Instance noise: Gaussian noise on all that the discriminator is shown."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from gan.augment.base import Augmentation


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
  draw = functools.partial(jax.random.normal, shape=images.shape[1:], dtype=images.dtype)
  return images + sigma * jax.vmap(draw)(keys)


def make_instance_noise(*, instance_noise_steps: int) -> Augmentation:
  """Returns the augmentation whose standard deviation falls linearly to 0.

  Args:
    instance_noise_steps: steps in which it falls from `hyperparameters.instance_noise`.
  """

  def apply(images, keys, state):
    sigma = annealed(state.hyperparameters.instance_noise, state.step, instance_noise_steps)
    return instance_noise(images, sigma, keys)

  return Augmentation(apply)
