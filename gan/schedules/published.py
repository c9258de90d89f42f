"""Published schedules of several numbers at once."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Int

from gan.schedules.scheduled import HyperSchedule
from gan.state import Hyperparameters


def goodfellow2014(steps_per_epoch: float) -> HyperSchedule:
  """The first GAN's schedule on MNIST (`mnist.yaml` of https://github.com/goodfeli/adversarial).

  Momentum grows linearly to 0.7 from epoch 1 to epoch 250; rates fall by a factor 1.000004 at each
  update down to 1e-6.

  Args:
    steps_per_epoch: steps in which each example of the data is seen once.
  """

  def schedule(hyper: Hyperparameters, step: Int[Array, ""]) -> Hyperparameters:
    epoch = step.astype(jnp.float32) / steps_per_epoch
    progress = jnp.clip((epoch - 1) / 249, 0, 1)
    decay = jnp.exp(-step.astype(jnp.float32) * jnp.log1p(jnp.float32(4e-6)))
    return hyper.replace(
      momentum=hyper.momentum + progress * (0.7 - hyper.momentum),
      generator_learning_rate=jnp.maximum(hyper.generator_learning_rate * decay, 1e-6),
      discriminator_learning_rate=jnp.maximum(hyper.discriminator_learning_rate * decay, 1e-6),
    )

  return schedule


def unchanged(steps_per_epoch: float) -> HyperSchedule:
  """Every number as it is, at all steps."""
  del steps_per_epoch
  return lambda hyper, step: hyper


# Published schedules of several numbers at once: `steps_per_epoch -> HyperSchedule`.
PUBLISHED: dict[str, Callable[[float], HyperSchedule]] = {
  "constant": unchanged,
  "goodfellow2014": goodfellow2014,
}
