"""A GAN method as data: two players, what they play, and the pair `(init, step)`."""

import dataclasses
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import optax
from jaxtyping import Array, Float, Int, Key

from gan import schedules
from gan.augment import Augmentation, check_range
from gan.errors import UserError
from gan.losses import LOSSES, Loss
from gan.method import lazy
from gan.method.acting import check_acting, check_controls
from gan.method.fields import FIELDS, PLAYERS, as_fake_labels, classes_of
from gan.method.reading import read_by
from gan.networks import Gan, Network, latent_sampler
from gan.optimizers import Optimizer, as_optimizer, is_transformation
from gan.penalties import Penalty
from gan.regularizers import REGULARIZERS, Regularizer
from gan.state import GanState, Hyperparameters, Start, as_arrays
from gan.system.schema import Kind, plain_number

Metrics = dict[str, Float[Array, ""]]

# Metrics that a step may have without a regulariser: none of a regulariser takes such a name.
GAME_METRICS = {
  "discriminator_loss": "mean of the discriminator's adversarial loss",
  "generator_loss": "mean of the generator's adversarial loss",
  "real_logit": "mean logit on data",
  "fake_logit": "mean logit on samples",
  "real_probability": "mean sigmoid(logit) on data",
  "fake_probability": "mean sigmoid(logit) on samples",
  "real_accuracy": "share of the data judged right",
  "fake_accuracy": "share of the samples judged right",
  "penalty": "mean penalty before its weight; 0 on steps that skip it",
  "discriminator_gradient_norm": "norm of the gradient of all that the discriminator minimises",
  "generator_gradient_norm": "norm of the gradient of all that the generator minimises",
}
_KEEPING: tuple[Any, ...] = (*REGULARIZERS.values(), *LOSSES.values())  # may have metrics
# Every metric of a step; those of a regulariser of one's own begin with its name.
STEP_METRICS = GAME_METRICS | {
  "drifting_field": "root mean square of the drifting field before it is scaled, mean over radii",
}
STEP_METRICS |= {name: meaning for each in _KEEPING for name, meaning in dict(each.metrics).items()}

# Entries of GanState.aux_state, and <name>_weight, that are of other parts than regularisers.
TAKEN = ("augmentation", "update_rule", "penalty", "loss")


class Batch(NamedTuple):
  """Real examples for one step: K discriminator updates of B examples each.

  Attributes:
    image: [K, B, H, W, C] uint8 in 0 .. 255 or float32 in the game's range; points [K, B, 2].
    label: int32 [K, B], or None.

  Examples:
    >>> import gan, numpy as np
    >>> images = np.zeros((96, 28, 28, 1), np.uint8)
    >>> batch = gan.Batch(images.reshape(3, 32, 28, 28, 1), None)  # three updates of D
    >>> batch.image.shape
    (3, 32, 28, 28, 1)
  """

  image: Array
  label: Int[Array, "k b"] | None


class Examples(NamedTuple):
  """Real examples of one update, in the range of the model.

  Attributes:
    real: [B, ...].
    labels: [B], or None.
    places: [B], of each example in the global batch; None for 0 .. B - 1 on one device.
  """

  real: Float[Array, "b ..."]
  labels: Int[Array, " b"] | None
  places: Int[Array, " b"] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Game:
  """A GAN method: two players and what they play; pure functions and static choices.

  Attributes:
    generator: latents [B, Z] -> images [B, H, W, C] (points [B, 2]).
    discriminator: images -> logits [B], or Outputs.
    loss: the pair of adversarial losses.
    sample_latent: `key -> [Z]`; 64 normal numbers by default.
    image_range: of the pixels on which both players work, (-1, 1) or (0, 1).
    num_classes: the players are given labels 0 .. num_classes - 1; 0 for none.
    fake_labels: one of FAKE_LABELS: those that the generator is given are those of the batch, or
      uniform; or drawn by weights of the classes, such as the data's `numpy.bincount(labels)`.
    packing: examples that the discriminator judges at once; see `networks.pack`.
    optimizer: of both players: an optax transformation, which brings its own rate, or
      `hyperparameters -> transformation`; Adam with the rates of the hyper-parameters by default.
    generator_optimizer, discriminator_optimizer: of one player, if another.
    hyperparameters: numbers in the place of the defaults, by the names of Hyperparameters; those
      that no part reads are refused.
    schedule: `(hyperparameters, step) -> hyperparameters` of that step.
    penalty: a Penalty or `(critic, real, fake, keys) -> [B]`, added to the discriminator's loss.
    penalty_every: the penalty is computed on the steps that this number divides, and its weight is
      multiplied by it there: the lazy regularisation of "Analyzing and Improving the Image Quality
      of StyleGAN" by Karras et al. (https://arxiv.org/abs/1912.04958).
    lazy_correction: whether D's rate and moments' decays are those for `penalty_every` + 1 updates
      in the place of `penalty_every`, of an optimiser that reads b1 and b2; see `lazy.corrected`.
    lazy_step: "joint", the lazy penalty is a term of D's loss, or "separate": D makes one more
      update on such steps, of the penalty alone and with latents of its own.
    regularizers: further terms, by name; each weighs its default_weight, or `<name>_weight` of
      `hyperparameters`.
    augment: an Augmentation or `(images, keys) -> images`: the discriminator sees everything
      through it, and the penalty's gradient is in the raw image.
    prepare: `(images, keys) -> images`, what is done to the real images of each update, such as
      mirroring them; in the range of the model, one key an image.
    update_rule: how updates make a step; None for `update_rules.alternating()`.
    clip_weights: whether the discriminator's weights are clipped after each of its updates, to
      `weight_clip` of the hyper-parameters: by default the loss's own bound, 0.01 if it has none.
    generator_batch_size: samples in an update of the generator over all devices; None for as many
      as there are real examples. The i-th is paired with the real example i B / size.
    accumulate: equal parts of a batch that gradients are computed of one after the other; the
      gradient is that of the whole batch where nothing in the players or losses mixes examples.
    ema_half_life: whether the average has a half-life in images and not a decay in steps.
    ema_ramp: the half-life is at most this share of the images so far; 0 for no such bound.
    ema_start: the update of the generator at which its average starts; 0 for a decay that grows to
      its value from the first on.
    freeze_d: layers of the discriminator that are not updated, from the image on; see `freezing`.
    axis_name: mapped axes over which gradients, statistics and metrics are averaged; under
      `jax.shard_map` with `check_vma=False`, for with it JAX sums gradients by itself.

  Examples:
    >>> import gan, jax, jax.numpy as jnp
    >>> players = gan.models.build("points", gan.ModelSpec((2,), latent_dim=4, width=8))
    >>> game = gan.Game(**players._asdict(), loss=gan.LOSSES["hinge"])
    >>> state, step = game.init(jax.random.key(0)), jax.jit(game.step)
    >>> state, metrics = step(state, jnp.zeros((16, 2)), jax.random.key(1))
    >>> int(state.step), bool(metrics["discriminator_loss"] > 0)
    (1, True)
  """

  generator: Network
  discriminator: Network
  loss: Loss = LOSSES["nonsat"]
  sample_latent: Callable[[Key[Array, ""]], Float[Array, " z"]] = latent_sampler("normal", 64)
  image_range: tuple[float, float] = (-1.0, 1.0)
  num_classes: int = 0
  fake_labels: Any = "batch"
  packing: int = 1
  optimizer: optax.GradientTransformation | Optimizer | None = None
  generator_optimizer: optax.GradientTransformation | Optimizer | None = None
  discriminator_optimizer: optax.GradientTransformation | Optimizer | None = None
  hyperparameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  schedule: Callable[[Hyperparameters, Int[Array, ""]], Hyperparameters] = lambda hyper, step: hyper
  penalty: Penalty | Callable[..., Float[Array, " b"]] | None = None
  penalty_every: int = 1
  lazy_correction: bool = False
  lazy_step: str = lazy.JOINT
  regularizers: Mapping[str, Regularizer] = dataclasses.field(default_factory=dict)
  augment: Augmentation | Callable[..., Array] | None = None
  prepare: Callable[..., Array] | None = None
  update_rule: Any = None
  clip_weights: bool = False
  generator_batch_size: int | None = None
  accumulate: int = 1
  ema_half_life: bool = False
  ema_ramp: float = 0.05
  ema_start: int = 0
  freeze_d: int = 0
  axis_name: Any = ()

  def __post_init__(self):
    for field in dataclasses.fields(self):
      object.__setattr__(self, field.name, plain_number(getattr(self, field.name)))
      self._check_field(field)
    for name in self.regularizers:
      if name in TAKEN:
        raise UserError(
          f"regularizers: {name} is what another part of the game is called: give it another name"
        )
    object.__setattr__(self, "image_range", tuple(map(plain_number, self.image_range)))
    self._check_classes()
    object.__setattr__(self, "fake_labels", as_fake_labels(self.fake_labels, self.num_classes))
    check_range(self.augment, self.image_range)
    self._check_numbers()

  def _check_field(self, field: dataclasses.Field) -> None:
    """Raises UserError where a field cannot have its value, whatever the others are."""
    value = getattr(self, field.name)
    if field.name not in FIELDS or value is None and field.default is None:
      return
    kind, usual = FIELDS[field.name]
    if not kind.fits(value):
      name = value if isinstance(value, str) else usual
      words = kind.words.format(name)
      raise UserError(f"`{field.name}={reprlib.repr(value)}` must be {words}")

  def _check_classes(self) -> None:
    """Raises UserError where a player that says how many classes it is made for has others."""
    for player in PLAYERS:
      made_for = classes_of(getattr(self, player))
      if made_for is not None and made_for != self.num_classes:
        raise UserError(
          f"`num_classes={self.num_classes}` of the game, and its {player} is made for {made_for}: "
          "give both the same"
        )

  def _check_numbers(self) -> None:
    """Raises UserError where a number is out of its range, or is given and no step reads it."""
    given = {*getattr(self.schedule, "fields", ()), *self.hyperparameters}
    self.check_rates(given)
    if given and (unread := sorted(given - set(self.read_numbers()))):
      known = set(unread) <= set(self._numbers().names())
      given_by = "hyperparameters" if {*unread} & {*self.hyperparameters} else "schedule"
      raise UserError(
        f"{given_by}: {', '.join(unread)} {'read by nothing here' if known else 'unknown'}: "
        f"choose from {', '.join(self.read_numbers())}, which a step of this game reads"
      )
    for name, value in self.hyperparameters.items():
      if not (kind := schedules.range_of(name)).fits(value):
        raise UserError(f"`hyperparameters`: {name}={value} must be {kind.words}")
    self._check_schedule()
    if any(part.controls for part in self.regularizers.values()):
      check_controls(self.regularizers, given, self.read_numbers())
    check_acting(self.regularizers, self.loss, self.update_rule)
    every = self.penalty_every if self.penalty else 1
    read = self._rates("discriminator") if self.lazy_correction else ()
    lazy.check_lazy(self.lazy_correction, self.lazy_step, every, self.update_rule, read)

  def _check_schedule(self) -> None:
    """Raises UserError where a schedule of `make_schedule` leads a number out of its range."""
    if (recipe := getattr(self.schedule, "recipe", None)) is None:
      return
    hyper = self._numbers().with_values(self.hyperparameters)
    known = {
      field: spec
      for field, spec in schedules.parse(recipe.arguments["text"]).items()
      if not isinstance(hyper.get(field), jax.core.Tracer)
    }
    with jax.ensure_compile_time_eval():  # a game may be made where a step is traced
      for field in schedules.out_of_range(known, hyper):
        raise UserError(
          f"`schedule`: {field} must be {schedules.range_of(field).words} at every step: check the "
          "number it ends at, and that of `hyperparameters` it starts from"
        )

  def check_rates(self, changed: Iterable[str]) -> None:
    """Raises UserError where a passed optimiser brings one of the changed numbers itself."""
    if taken := sorted(set(changed) & set(self.fixed_rates())):
      raise UserError(
        f"{', '.join(taken)} cannot be set or scheduled here: an optimizer that was passed brings "
        "its own rates; pass `hyperparameters -> transformation` for rates that are read there"
      )

  @property
  def gan(self) -> Gan:
    """The two players and what connects them; logits are those that the loss reads."""
    players = self.generator, read_by(self.loss, self.discriminator)
    return Gan(*players, self.sample_latent, self.image_range, self.packing)

  def replace(self, **changes: Any) -> "Game":
    """Returns the game with other fields."""
    return dataclasses.replace(self, **changes)

  def init(
    self,
    key: Key[Array, ""],
    hyperparameters: Hyperparameters | None = None,
    start: Start | None = None,
  ) -> GanState:
    """Returns the state before the first step; a pure function of the key.

    Args:
      key: of the initial parameters.
      hyperparameters: float32 [] each; by default those of the game.
      start: arrays in the place of those that are drawn, such as those of another run.
    """
    from gan.method.train_step import init_state  # the rules that it knows are built on this module

    return init_state(key, self, hyperparameters, start)

  def step(
    self, state: GanState, batch: Batch | Array, key: Key[Array, ""]
  ) -> tuple[GanState, Metrics]:
    """Returns the state after one step, and its metrics; see `train_step.step`."""
    from gan.method.train_step import step

    return step(self, state, batch, key)

  def default_hyperparameters(self) -> Hyperparameters:
    """Returns the numbers of the game: the defaults, and what it has in their place."""
    return as_arrays(self._numbers().with_values(self.hyperparameters))

  def _numbers(self) -> Hyperparameters:
    weight = self.penalty.default_weight if isinstance(self.penalty, Penalty) else 1.0
    weights = {
      name: each.default_weight
      for name, each in self.regularizers.items()
      if each.default_weight is not None
    }
    bound = (self.loss.default_clip or LOSSES["wgan"].default_clip) if self.clip_weights else 0.0
    return Hyperparameters(penalty_weight=weight, regularizer_weights=weights, weight_clip=bound)

  def read_numbers(self) -> list[str]:
    """Returns the names of the hyper-parameters that a step reads, as they are scheduled."""
    read = {"ema_half_life" if self.ema_half_life else "ema_decay"} | self._rates("generator")
    if getattr(self.update_rule, "adversarial", True):  # else the generator moves alone
      parts = [*self.regularizers.values(), *filter(None, [self.augment])]
      read |= {name for part in parts for name in getattr(part, "reads", ())}
      read |= {f"{name}_weight" for name in self.regularizers} | {"discriminator_loss_scale"}
      read |= self._rates("discriminator") | {*self.loss.options}
      read |= {"weight_clip"} if self.clip_weights else set()
      read |= {"penalty_weight"} if self.penalty is not None else set()
    return [name for name in self._numbers().names() if name in read]

  def _rates(self, player: str) -> set[str]:
    """The hyper-parameters that a player's optimiser reads as it is made."""
    seen = set()

    class Reader(Hyperparameters):
      def __getattribute__(self, name: str) -> Any:
        seen.add(name)
        return super().__getattribute__(name)

    as_optimizer(getattr(self, f"{player}_optimizer") or self.optimizer, player)(Reader())
    return seen

  def optimizer_of(self, player: str) -> Optimizer:
    """Returns `hyperparameters -> transformation` of "generator" or "discriminator"."""
    optimizer = as_optimizer(getattr(self, f"{player}_optimizer") or self.optimizer, player)
    wrap = self.update_rule.wrap if self.update_rule else lambda each: each
    if self.lazy_correction and player == "discriminator":
      return lambda hyper: wrap(optimizer(lazy.corrected(hyper, self.penalty_every)))
    return lambda hyper: wrap(optimizer(hyper))

  def fixed_rates(self) -> tuple[str, ...]:
    """Returns the hyper-parameters that a passed optimiser brings itself: nothing changes them."""
    passed = [
      is_transformation(getattr(self, f"{player}_optimizer") or self.optimizer)
      for player in PLAYERS
    ]
    own = [f"{name}_learning_rate" for name, fixed in zip(PLAYERS, passed, strict=True) if fixed]
    return (*own, "b1", "b2", "momentum") if all(passed) else tuple(own)


GAME = Kind("a gan.Game as it was made, and not its class", lambda it: isinstance(it, Game))
