"""Everything that a run is determined by, and how it becomes an algorithm.

A hyper-parameter is one field of `Config` (its flag comes by itself) and one use in `build`.
"""

import dataclasses
import hashlib
import json
import math
import typing
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from gan import losses, models, update_rules
from gan.errors import UserError
from gan.game import Game
from gan.networks import LATENTS, Gan
from gan.optimizers import OPTIMIZERS, SCHEDULES, make_optimizer
from gan.parallel import PLACES, WAYS
from gan.penalties import PENALTIES, make_penalty
from gan.state import GanState, Hyperparameters, init_state
from gan.train_step import TrainStep, make_train_step
from gan.update_rules import UPDATE_RULES

PRECISIONS = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def option(
  default: Any,
  group: str,
  text: str,
  *,
  choices=None,
  positive=False,
  minimum=None,
  resumable=False,
) -> Any:
  """A field of Config with what its flag needs.

  Args:
    default: the default; its type, or the annotation where it is None, is the flag's type.
    group: the heading under which `--help` lists the flag.
    text: what it means, with its unit.
    choices: the names it may take, or None.
    positive: whether it must be above 0.
    minimum: the least value it may take, or None.
    resumable: whether a run may be continued with another value.
  """
  metadata = {
    "group": group,
    "help": text,
    "choices": None if choices is None else tuple(choices),
    "positive": positive,
    "minimum": minimum,
    "resumable": resumable,
  }
  return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """The choices of a run; every field says in its help what it means."""

  dataset: str = option(
    "auto", "data", "data set by name: auto, digits, ring, grid, or any of TFDS"
  )
  split: str = option("train", "data", "part of the data set, sliced as in TFDS: train[:50000]")
  image_size: int | None = option(
    None, "data", "side in pixels to which images are resized", positive=True
  )
  model: str = option("dcgan", "model", "architecture", choices=models.MODELS)
  width: int | None = option(
    None, "model", "channels of the narrowest layer (dcgan: 64), units (points: 128)", positive=True
  )
  discriminator_norm: str | None = option(
    None, "model", "normalisation in the discriminator (dcgan: none)", choices=models.NORMS
  )
  discriminator_hidden: int | None = option(
    None, "model", "units of a dense layer before D's logit (dcgan: 0, no such layer)", minimum=0
  )
  conditional: bool = option(False, "model", "give the class labels to both players")
  packing: int = option(
    1, "model", "examples that D judges at once, joined along the channels (PacGAN)", positive=True
  )
  latent: str = option("normal", "model", "distribution of the latents", choices=LATENTS)
  latent_dim: int = option(64, "model", "length of a latent", positive=True)
  precision: str = option(
    "float32", "model", "type in which activations are computed", choices=PRECISIONS
  )
  loss: str = option("nonsat", "loss", "adversarial loss", choices=losses.LOSSES)
  real_label: float = option(
    1.0, "loss", "target of D on real data, in (0, 1]; 0.9 smooths it", positive=True
  )
  discriminator_loss_scale: float = option(1.0, "loss", "factor on D's loss", positive=True)
  weight_clip: float | None = option(
    None,
    "loss",
    "bound on D's weights (wgan without penalty: 0.01; else off); 0 turns it off",
    minimum=0,
  )
  penalty: str = option(
    "none", "loss", "gradient penalty on D, of each example's logit", choices=PENALTIES
  )
  penalty_weight: float | None = option(
    None, "loss", "lambda or gamma of the penalty (default: that of its paper)", minimum=0
  )
  penalty_every: int = option(
    1, "loss", "steps between penalties, which then weigh as much more (lazy)", positive=True
  )
  instance_noise: float = option(
    0.0, "loss", "deviation of Gaussian noise on all that D sees, in the model's range", minimum=0
  )
  instance_noise_steps: int = option(
    1000, "loss", "steps in which the instance noise falls to 0", positive=True
  )
  lecam_weight: float = option(0.0, "loss", "weight of the LeCam regulariser; 0: off", minimum=0)
  lsgan_targets: str = option(
    "0,1,1", "loss", "targets a,b,c of lsgan: D on fakes, D on data, G; -1,1,0 for Pearson"
  )
  fgan_generator: str = option(
    "bound",
    "loss",
    "what G of fgan_* descends: the bound, or the alternative that does not saturate",
    choices=losses.FGAN_GENERATORS,
  )
  update_rule: str = option(
    "alternating", "training", "which player is updated when", choices=UPDATE_RULES
  )
  unrolled_steps: int = option(
    5, "training", "D updates that G looks ahead (--update_rule=unrolled)", minimum=0
  )
  lookahead_steps: int = option(
    5, "training", "steps between interpolations (--update_rule=lookahead)", positive=True
  )
  consensus_weight: float = option(
    10.0, "training", "weight of the field's squared norm (--update_rule=consensus)", minimum=0
  )
  discriminator_steps: int = option(
    1, "training", "k, D updates in each step (one G update)", positive=True
  )
  shared_latents: bool = option(
    False, "training", "G's update takes all draws of D's last: one pass of G less in each step"
  )
  optimizer: str = option(
    "adam",
    "training",
    "optimiser of both players, of optax with its further defaults",
    choices=OPTIMIZERS,
  )
  generator_optimizer: str | None = option(
    None, "training", "optimiser of G, if another", choices=OPTIMIZERS
  )
  discriminator_optimizer: str | None = option(
    None, "training", "optimiser of D, if another", choices=OPTIMIZERS
  )
  generator_learning_rate: float = option(2e-4, "training", "step size of G", minimum=0)
  discriminator_learning_rate: float = option(2e-4, "training", "step size of D", minimum=0)
  b1: float = option(0.5, "training", "decay of the first moment (Adam and its kin)", minimum=0)
  b2: float = option(0.999, "training", "decay of the second moment (Adam and its kin)", minimum=0)
  momentum: float = option(0.0, "training", "decay of the momentum (sgd, rmsprop)", minimum=0)
  schedule: str = option(
    "constant", "training", "how rates and momentum change with the step", choices=SCHEDULES
  )
  ema_decay: float = option(
    0.99, "training", "decay a step of the averaged G, which samples are drawn from", minimum=0
  )
  batch_size: int = option(
    64, "training", "real examples in each update, over all devices", positive=True
  )
  steps: int = option(2000, "training", "G updates in all", positive=True, resumable=True)
  seed: int = option(0, "training", "everything random follows from it", minimum=0)
  parallel: str = option(
    "auto", "devices", "how local devices share a batch", choices=("auto", *WAYS), resumable=True
  )
  data_on: str = option(
    "auto",
    "devices",
    "where the data lie: a copy on each device, or host, which feeds each its share of a batch; "
    "auto: device, while that takes a quarter of its memory at most",
    choices=PLACES,
    resumable=True,
  )
  steps_per_call: int = option(
    0,
    "devices",
    "steps in one compiled call; 0 chooses: 1 on the CPU but for points",
    minimum=0,
    resumable=True,
  )
  log_every: int = option(20, "records", "steps between records", positive=True)
  sample_every: int = option(250, "records", "steps between image grids", positive=True)
  eval_every: int = option(
    0, "records", "steps between evaluations by the metrics; 0: none", minimum=0
  )
  eval_samples: int = option(
    2000, "records", "generated samples, and reference examples, in an evaluation", minimum=50
  )
  checkpoint_every: int = option(
    500, "records", "steps between checkpoints", positive=True, resumable=True
  )


def field_types() -> dict[str, type]:
  """Returns the type of each field of Config: int for `int | None`, and so on."""
  found = {}
  for field in dataclasses.fields(Config):
    kinds = [kind for kind in typing.get_args(field.type) if kind is not type(None)]
    found[field.name] = kinds[0] if kinds else field.type
  return found


class DataInfo(NamedTuple):
  """What a model needs to know of the data.

  Attributes:
    image_shape: (H, W, C) or (2,).
    num_classes: 0 without labels.
    num_examples: length of an epoch.
    pixel_mean: [*image_shape] mean pixel in [0, 1]; None for points.
  """

  image_shape: tuple[int, ...]
  num_classes: int
  num_examples: int
  pixel_mean: np.ndarray | None


class Algorithm(NamedTuple):
  """A GAN method: a pair of pure functions, and the two players in it.

  Attributes:
    init: `key -> GanState`.
    step: `(state, batch, key) -> (state, metrics)`.
    gan: the players, for drawing samples.
  """

  init: Callable[[Key[Array, ""]], GanState]
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
  game = _build_game(config, info, axis_name)
  memories = update_rules.memories(config.update_rule, lecam=game.lecam)

  def init(key):
    return init_state(
      key,
      game.gan,
      hyperparameters(config),
      game.generator_optimizer,
      game.discriminator_optimizer,
      memories=memories,
    )

  return Algorithm(init, make_train_step(game, config.update_rule), game.gan)


def _build_game(config, info, axis_name) -> Game:
  def loss(hyper):
    return losses.make_loss(
      config.loss,
      real_label=hyper.real_label,
      lsgan_targets=lsgan_targets(config),
      fgan_generator=config.fgan_generator,
      axis_name=axis_name,
    )

  def schedule(hyper, step):
    steps_per_epoch = info.num_examples / (config.batch_size * config.discriminator_steps)
    return SCHEDULES[config.schedule](hyper, step, steps_per_epoch)

  return Game(
    gan=_build_gan(config, info, axis_name),
    loss=loss,
    generator_optimizer=_optimizer(config, "generator"),
    discriminator_optimizer=_optimizer(config, "discriminator"),
    schedule=schedule,
    penalty=make_penalty(config.penalty, axis_name=axis_name),
    penalty_every=config.penalty_every,
    clip_weights=weight_clip(config) > 0,
    instance_noise_steps=config.instance_noise_steps if config.instance_noise else 0,
    lecam=config.lecam_weight > 0,
    shared_latents=config.shared_latents,
    unrolled_steps=config.unrolled_steps,
    lookahead_steps=config.lookahead_steps,
    consensus_weight=config.consensus_weight,
    axis_name=axis_name,
  )


def _optimizer(config, player):
  optimizer = make_optimizer(_optimizer_name(config, player), player)
  return update_rules.wrap_optimizer(config.update_rule, optimizer)


def _optimizer_name(config, player):
  return getattr(config, f"{player}_optimizer") or config.optimizer


def _build_gan(config, info, axis_name):
  spec = models.ModelSpec(
    image_shape=info.image_shape,
    latent_dim=config.latent_dim,
    num_classes=info.num_classes if config.conditional else 0,
    width=config.width,
    discriminator_norm=config.discriminator_norm,
    discriminator_hidden=config.discriminator_hidden,
    pixel_mean=info.pixel_mean,
    dtype=PRECISIONS[config.precision],
    axis_name=axis_name,
    packing=config.packing,
  )
  return models.build(config.model, spec, config.latent)


def hyperparameters(config: Config) -> Hyperparameters:
  """Returns the array-valued part of a config, each float32 []."""
  values = {
    field.name: getattr(config, field.name)
    for field in dataclasses.fields(Hyperparameters)
    if hasattr(config, field.name)
  }
  values |= {"weight_clip": weight_clip(config), "penalty_weight": penalty_weight(config)}
  with np.errstate(over="ignore"):  # infinite, it is said to diverge
    return Hyperparameters(**{name: jnp.float32(value) for name, value in values.items()})


def weight_clip(config: Config) -> float:
  """Returns the bound on D's weights, 0 for none; 0.01 by default for `wgan` (Arjovsky 2017)."""
  if config.weight_clip is not None:
    return config.weight_clip
  return 0.01 if config.loss == "wgan" and config.penalty == "none" else 0.0


def penalty_weight(config: Config) -> float:
  """Returns the weight of the penalty, by default that of the paper it is from."""
  given = config.penalty_weight
  return PENALTIES[config.penalty].default_weight if given is None else given


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


def validate(config: Config) -> None:
  """Raises UserError with one line about the first thing in a config that cannot be."""
  for field in dataclasses.fields(config):
    validate_field(field, getattr(config, field.name))
  if config.real_label > 1:
    raise UserError(f"--real_label={config.real_label} must be in (0, 1]")
  for name in ("b1", "b2", "momentum", "ema_decay"):
    if getattr(config, name) >= 1:
      raise UserError(f"--{name}={getattr(config, name)} must be below 1")
  lsgan_targets(config)
  _validate_packing(config)
  _validate_options(config)
  update_rules.validate(config.update_rule, config.discriminator_steps)


def _validate_packing(config):
  if config.batch_size % config.packing:
    fitting = max(config.packing, config.batch_size - config.batch_size % config.packing)
    raise UserError(
      f"--batch_size={config.batch_size} is not divisible by --packing={config.packing}: use "
      f"--batch_size={fitting}"
    )
  if config.packing > 1 and config.conditional:
    raise UserError("--packing joins examples of any class: leave out --conditional or --packing")


def _validate_options(config):
  """An option that nothing reads would change nothing, without a word."""
  rules = {"unrolled_steps": "unrolled", "lookahead_steps": "lookahead"}
  rules["consensus_weight"] = "consensus"
  for name, rule in rules.items():
    _refuse_unused(config, name, "update_rule", [rule])
  _refuse_unused(config, "shared_latents", "update_rule", ["alternating", "lookahead"])
  for name in ("real_label", "lsgan_targets", "fgan_generator"):
    takers = [loss for loss, entry in losses.LOSSES.items() if name in entry.options]
    _refuse_unused(config, name, "loss", takers)
  for name in ("penalty_weight", "penalty_every"):
    _refuse_unused(config, name, "penalty", [name for name in PENALTIES if name != "none"])
  for name in unread_rates(config):
    takers = [optimizer for optimizer, entry in OPTIMIZERS.items() if name in entry.rates]
    _refuse_unused(config, name, "optimizer", takers, _optimizers(config))


def unread_rates(config: Config) -> list[str]:
  """Returns which of b1, b2 and momentum no optimiser of the run reads."""
  read = {rate for name in _optimizers(config) for rate in OPTIMIZERS[name].rates}
  return [name for name in ("b1", "b2", "momentum") if name not in read]


def _optimizers(config):
  return {_optimizer_name(config, player) for player in ("generator", "discriminator")}


def _refuse_unused(config, name, choice, takers, chosen=()):
  """Raises UserError where an option was changed that no chosen method reads."""
  (default,) = (field.default for field in dataclasses.fields(config) if field.name == name)
  chosen = set(chosen) or {getattr(config, choice)}
  if getattr(config, name) != default and not chosen & set(takers):
    raise UserError(
      f"--{name} has no meaning for --{choice}={', '.join(sorted(chosen))}; it is for "
      f"{', '.join(takers)}; leave it out, or at its default, {default}"
    )


def validate_field(field: dataclasses.Field, value: Any) -> None:
  """Raises UserError where a field of Config cannot have a value, whatever the others are."""
  choices, minimum = field.metadata["choices"], field.metadata["minimum"]
  if value is None:
    return
  if isinstance(value, float) and not math.isfinite(value):
    raise UserError(f"--{field.name}={value} must be a finite number")
  if choices is not None and value not in choices:
    raise UserError(f"--{field.name}={value} is unknown: choose from {', '.join(sorted(choices))}")
  if field.metadata["positive"] and value <= 0:
    raise UserError(f"--{field.name}={value} must be above 0")
  if minimum is not None and value < minimum:
    raise UserError(f"--{field.name}={value} must be at least {minimum}")
  bits = 32 if field.name == "seed" else 31  # keys repeat from 2^32 on; counts are int32
  if isinstance(value, int) and value >= 2**bits:
    raise UserError(f"--{field.name}={value} must be below 2^{bits}")


def determining(config: Config) -> dict[str, Any]:
  """Returns the fields that the result of a run depends on, as JSON values."""
  return {
    field.name: getattr(config, field.name)
    for field in dataclasses.fields(config)
    if not field.metadata["resumable"]
  }


def fingerprint(values: dict[str, Any]) -> str:
  """Returns 12 hexadecimal digits that name a set of JSON values."""
  return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
