"""Instance noise: Gaussian noise on all that the discriminator is shown."""

import functools

import jax
from jaxtyping import Array, Float, Key

from gan.augment.base import Augmentation
from gan.state import GanState


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
  return images + sigma.astype(images.dtype) * jax.vmap(draw)(keys)


def make_instance_noise() -> Augmentation:
  """Returns the augmentation whose standard deviation is `hyperparameters.instance_noise`.

  A schedule of that number anneals it, such as `schedules.annealed("instance_noise", steps)`.
  """

  def apply(images: Array, keys: Key[Array, " b"], state: GanState) -> Array:
    return instance_noise(images, state.hyperparameters.instance_noise, keys)

  return Augmentation(apply, reads=("instance_noise",))
