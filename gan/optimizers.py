"""optax optimisers by name, with rates that are arrays.

An optimiser here is a function from hyper-parameters to an `optax.GradientTransformation`, made
anew inside the compiled step: rates, betas and momentum are then ordinary array inputs that a
schedule can change and that `vmap` can map over, and the optimiser's state holds moments only.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import optax

Optimizer = Callable[..., optax.GradientTransformation]


class Rates(NamedTuple):
  """What an optimiser is made of; each a float or a float32 [] array.

  Attributes:
    learning_rate: step size.
    b1: decay of the first moment.
    b2: decay of the second moment.
    momentum: decay of the momentum.
  """

  learning_rate: float
  b1: float
  b2: float
  momentum: float


OPTIMIZERS: dict[str, Callable[[Rates], optax.GradientTransformation]] = {
  "adam": lambda r: optax.adam(r.learning_rate, b1=r.b1, b2=r.b2),
  "adamw": lambda r: optax.adamw(r.learning_rate, b1=r.b1, b2=r.b2),
  "adabelief": lambda r: optax.adabelief(r.learning_rate, b1=r.b1, b2=r.b2),
  "amsgrad": lambda r: optax.amsgrad(r.learning_rate, b1=r.b1, b2=r.b2),
  "lion": lambda r: optax.lion(r.learning_rate, b1=r.b1, b2=r.b2),
  "nadam": lambda r: optax.nadam(r.learning_rate, b1=r.b1, b2=r.b2),
  "radam": lambda r: optax.radam(r.learning_rate, b1=r.b1, b2=r.b2),
  "yogi": lambda r: optax.yogi(r.learning_rate, b1=r.b1, b2=r.b2),
  "rmsprop": lambda r: optax.rmsprop(r.learning_rate, decay=0.99, momentum=r.momentum),
  "sgd": lambda r: optax.sgd(r.learning_rate, momentum=r.momentum),
}


def make_optimizer(name: str, player: str) -> Optimizer:
  """Returns `hyperparameters -> optax.GradientTransformation` for one player.

  Args:
    name: one of OPTIMIZERS.
    player: "generator" or "discriminator", whose learning rate is read.
  """

  def optimizer(hyper):
    learning_rate = getattr(hyper, f"{player}_learning_rate")
    return OPTIMIZERS[name](Rates(learning_rate, hyper.b1, hyper.b2, hyper.momentum))

  return optimizer


def _constant(hyper, step, steps_per_epoch):
  del step, steps_per_epoch
  return hyper


def _goodfellow2014(hyper, step, steps_per_epoch):
  """The first GAN's schedule on MNIST (`mnist.yaml` of https://github.com/goodfeli/adversarial).

  Momentum grows linearly to 0.7 from epoch 1 to epoch 250; rates fall by a factor 1.000004 at each
  update down to 1e-6.
  """
  epoch = step.astype(jnp.float32) / steps_per_epoch
  progress = jnp.clip((epoch - 1) / 249, 0, 1)
  decay = jnp.exp(-step.astype(jnp.float32) * jnp.log1p(jnp.float32(4e-6)))
  return hyper.replace(
    momentum=hyper.momentum + progress * (0.7 - hyper.momentum),
    generator_learning_rate=jnp.maximum(hyper.generator_learning_rate * decay, 1e-6),
    discriminator_learning_rate=jnp.maximum(hyper.discriminator_learning_rate * decay, 1e-6),
  )


SCHEDULES: dict[str, Callable] = {"constant": _constant, "goodfellow2014": _goodfellow2014}
