"""optax optimisers by name, with rates that are arrays.

An optimiser here is a function from hyper-parameters to an `optax.GradientTransformation`, made
anew inside the compiled step: rates, betas and momentum are then ordinary array inputs that a
schedule can change and that `vmap` can map over, and the optimiser's state holds moments only.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import optax

Optimizer = Callable[..., optax.GradientTransformation]


class Entry(NamedTuple):
  """An optimiser, and what it is given.

  Attributes:
    make: `(learning_rate, **rates) -> optax.GradientTransformation`.
    rates: the names of its other hyper-parameters: b1, b2, the decays of the moments; momentum.
  """

  make: Callable[..., optax.GradientTransformation]
  rates: tuple[str, ...]


_MOMENTS, _MOMENTUM = ("b1", "b2"), ("momentum",)
# g / (sqrt(v) + eps) with alpha .99 and eps 1e-8: PyTorch's, which "Wasserstein GAN" by Arjovsky et
# al. (https://arxiv.org/abs/1701.07875) was trained by. optax's default is g / sqrt(v + eps), whose
# steps are far smaller at gradients below sqrt(eps), the usual ones of a clipped critic.
_RMSPROP = functools.partial(optax.rmsprop, decay=0.99, eps=1e-8, eps_in_sqrt=False)

OPTIMIZERS: dict[str, Entry] = {
  "adam": Entry(optax.adam, _MOMENTS),
  "adamw": Entry(optax.adamw, _MOMENTS),
  "adabelief": Entry(optax.adabelief, _MOMENTS),
  "amsgrad": Entry(optax.amsgrad, _MOMENTS),
  "lion": Entry(optax.lion, _MOMENTS),
  "nadam": Entry(optax.nadam, _MOMENTS),
  "radam": Entry(optax.radam, _MOMENTS),
  "yogi": Entry(optax.yogi, _MOMENTS),
  "rmsprop": Entry(_RMSPROP, _MOMENTUM),
  "sgd": Entry(optax.sgd, _MOMENTUM),
}


def make_optimizer(name: str, player: str) -> Optimizer:
  """Returns `hyperparameters -> optax.GradientTransformation` for one player.

  Args:
    name: one of OPTIMIZERS.
    player: "generator" or "discriminator", whose learning rate is read.
  """

  make, rates = OPTIMIZERS[name]

  def optimizer(hyper):
    learning_rate = getattr(hyper, f"{player}_learning_rate")
    return make(learning_rate, **{rate: getattr(hyper, rate) for rate in rates})

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
