"""From a config to an algorithm: names are looked up here, and in commands, and nowhere below."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from gan import losses, models, schedules
from gan.augment import AUGMENTATIONS, compose, make_prepare
from gan.errors import UserError
from gan.method.game import Game
from gan.method.train_step import TrainStep
from gan.networks import Gan
from gan.optimizers import make_optimizer
from gan.penalties import make_penalty
from gan.regularizers import REGULARIZERS
from gan.state import GanState, Hyperparameters, Start, as_arrays
from gan.training.config import Config, images_per_step
from gan.training.parts import (
  arguments,
  asked_outputs,
  augment_strength,
  chosen,
  falling,
  made,
  optimizer_names,
  penalty_weight,
  regularizer_names,
  regularizer_weight,
  weight_clip,
  weighted,
)


class DataInfo(NamedTuple):
  """What a model needs to know of the data.

  Attributes:
    image_shape: (H, W, C) or (2,).
    num_classes: 0 without labels.
    num_examples: length of an epoch.
    pixel_mean: [*image_shape] mean pixel in [0, 1]; None for points.
    class_counts: [num_classes] examples of each class; None without labels.
  """

  image_shape: tuple[int, ...]
  num_classes: int
  num_examples: int
  pixel_mean: np.ndarray | None
  class_counts: Int[np.ndarray, " c"] | None = None


class Algorithm(NamedTuple):
  """A GAN method: a pair of pure functions, and the two players in it.

  Attributes:
    init: `(key, start=None) -> GanState`; `start` as for `Game.init`.
    step: `(state, batch, key) -> (state, metrics)`.
    gan: the players, for drawing samples.
  """

  init: Callable[..., GanState]
  step: TrainStep
  gan: Gan


def build(config: Config, info: DataInfo, axis_name: Any = ()) -> Algorithm:
  """Assembles the method that a config describes.

  Args:
    config: a valid config.
    info: of the data set that it will be trained on.
    axis_name: mapped axes that hold the rest of the batch.

  Raises:
    UserError: the model cannot make such images.
  """
  game = build_game(config, info, axis_name)

  def init(key: Key[Array, ""], start: Start | None = None) -> GanState:
    return game.init(key, hyperparameters(config), start)

  return Algorithm(init, game.step, game.gan)


def build_game(config: Config, info: DataInfo, axis_name: Any = ()) -> Game:
  """Returns the Game of a config; arguments as for `build`."""
  _check_shapes(config, info)
  return Game(
    **_build_gan(config, info, axis_name)._asdict(),
    **game_parts(config, axis_name),
    num_classes=info.num_classes if config.conditional else 0,
    prepare=_prepare(config, info),
    fake_labels=info.class_counts if config.fake_labels == "data" else config.fake_labels,
    schedule=_schedule(config, info),
  )


def _check_shapes(config: Config, info: DataInfo) -> None:
  """Raises UserError where a regulariser is of other data, or of latents of another length."""
  size = math.prod(info.image_shape)
  for name in regularizer_names(config):
    if REGULARIZERS[name].images and len(info.image_shape) != 3:
      raise UserError(
        f"--regularizers={name} changes images, and the data are points: leave {name} out"
      )
    if REGULARIZERS[name].same_size and config.latent_dim != size:
      raise UserError(
        f"--regularizers={name} needs latents of as many numbers as an example, {size}, and "
        f"--latent_dim is {config.latent_dim}: give --latent_dim={size}, or leave {name} out"
      )


def _prepare(config: Config, info: DataInfo) -> Callable[..., Array] | None:
  asked = [name for name in ("mirror", "crop", "dequantize") if getattr(config, name)]
  if asked and len(info.image_shape) != 3:
    raise UserError(f"--{asked[0]} is for images, and the data are points: leave it out")
  for name in chosen(config)["augment"]:
    if AUGMENTATIONS[name].for_images and len(info.image_shape) != 3:
      raise UserError(f"--augment={name} is for images, and the data are points: leave it out")
  if config.crop and config.crop >= info.image_shape[0]:
    raise UserError(
      f"--crop={config.crop} must be below the side of the images, {info.image_shape[0]}"
    )
  image_range = models.MODELS[config.model].image_range
  return make_prepare(config.mirror, config.crop, config.dequantize, image_range)


def game_parts(config: Config, axis_name: Any = ()) -> dict[str, Any]:
  """Returns the fields of a config's Game that are the same for any data."""
  (rule,) = made(config, "update_rule").values()
  optimizers = {
    f"{player}_optimizer": make_optimizer(name, player, **arguments(config, "optimizer", name))
    for player, name in optimizer_names(config).items()
    if player == "generator" or rule.adversarial
  }
  return dict(
    **optimizers,
    loss=losses.make_loss(
      config.loss,
      lsgan_targets=lsgan_targets(config),
      fgan_generator=config.fgan_generator,
      **arguments(config, "loss", config.loss),
    ),
    penalty=make_penalty(
      config.penalty, axis_name=axis_name, **arguments(config, "penalty", config.penalty)
    ),
    penalty_every=config.penalty_every,
    lazy_correction=config.lazy_correction,
    lazy_step=config.lazy_step,
    regularizers=made(config, "regularizers"),
    augment=compose(list(made(config, "augment").values())),
    update_rule=rule,
    clip_weights=weight_clip(config) > 0,
    generator_batch_size=config.generator_batch_size,
    accumulate=config.accumulate,
    ema_half_life=config.ema_half_life is not None,
    ema_ramp=config.ema_ramp,
    ema_start=config.ema_start,
    freeze_d=config.freeze_d,
    axis_name=axis_name,
  )


def _schedule(config: Config, info: DataInfo) -> schedules.HyperSchedule:
  steps_per_epoch = info.num_examples / images_per_step(config)
  specs = schedules.parse(config.schedules)
  images = config.schedule_images or config.steps * images_per_step(config)
  falls = [
    schedules.annealed(strength, getattr(config, steps))
    for strength, steps in falling(config).items()
    if strength not in specs
  ]
  return schedules.in_turn(
    schedules.PUBLISHED[config.schedule](steps_per_epoch),
    schedules.make(specs, images_per_step(config), images),
    *falls,
  )


def _build_gan(config: Config, info: DataInfo, axis_name: Any) -> Gan:
  spec = models.ModelSpec(
    image_shape=info.image_shape,
    latent_dim=config.latent_dim,
    num_classes=info.num_classes if config.conditional else 0,
    width=config.width,
    discriminator_norm=config.discriminator_norm,
    discriminator_hidden=config.discriminator_hidden,
    pixel_mean=info.pixel_mean,
    dtype=getattr(jnp, config.precision),
    axis_name=axis_name,
    packing=config.packing,
    conditioning=config.conditioning,
    outputs=asked_outputs(config),
  )
  options = arguments(config, "model", config.model)
  return models.build(config.model, spec, config.latent, **options)


def hyperparameters(config: Config) -> Hyperparameters:
  """Returns the array-valued part of a config, each float32 []."""
  values = {
    field.name: getattr(config, field.name)
    for field in dataclasses.fields(Hyperparameters)
    if hasattr(config, field.name)
  }
  values |= {"weight_clip": weight_clip(config), "penalty_weight": penalty_weight(config)}
  values |= {"augment_strength": augment_strength(config)}
  values |= {"ema_rate": 1 - config.ema_decay, "ema_half_life": config.ema_half_life or 0.0}
  on = [name for name in regularizer_names(config) if name in weighted()]
  weights = {name: regularizer_weight(config, name) for name in on}
  with np.errstate(over="ignore"):  # infinite, it is said to diverge
    return as_arrays(Hyperparameters(**values, regularizer_weights=weights))


def lsgan_targets(config: Config) -> tuple[float, ...]:
  """Returns (a, b, c) of --lsgan_targets; UserError where it is not three numbers."""
  try:
    a, b, c = (float(target) for target in config.lsgan_targets.split(","))
    if not all(map(math.isfinite, (a, b, c))):
      raise ValueError("not finite")
  except ValueError as error:
    raise UserError(
      f"--lsgan_targets={config.lsgan_targets} must be three numbers a,b,c, as in 0,1,1"
    ) from error
  return a, b, c
