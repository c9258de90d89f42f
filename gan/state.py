"""The whole state of a run: arrays only, so that vmap, donation and checkpoints just work."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

from gan.networks import ModelState, Params

Scalar = Float[Array, ""]


class Hyperparameters(struct.PyTreeNode):
  """The numbers of a method that may differ between the runs of a sweep, each float32 [].

  A schedule may change each of them from step to step. They are a part of the state, and so apart
  from the static choices of a Game: `vmap` over them is one line.

  Attributes:
    generator_learning_rate: step size of the generator's optimiser.
    discriminator_learning_rate: step size of the discriminator's optimiser.
    b1: decay of the first moment (Adam and its kin).
    b2: decay of the second moment.
    momentum: decay of the momentum (SGD, RMSProp).
    ema_rate: 1 - decay of the averaged generator in a step, in (0, 1]; a decay near 1 would lose
      its digits in float32.
    ema_half_life: images after which a generator's weight in the average has halved; read where the
      average has a half-life in the place of a decay. At 0 the average is the generator itself.
    real_label: target of the discriminator on real data, in (0, 1].
    discriminator_loss_scale: factor on the discriminator's loss.
    weight_clip: bound on every weight of the discriminator where clipping is on.
    penalty_weight: factor on the gradient penalty.
    instance_noise: standard deviation of the instance noise, in units of the image range.
    augment_strength: of the augmentation, in [0, 1]; what it means is the augmentation's.
    regularizer_weights: factor on each regulariser's term, by the regulariser's name.

  Examples:
    >>> import gan
    >>> hyper = gan.Hyperparameters(penalty_weight=5.0)
    >>> hyper.replace(b1=0.0).with_values({"ema_decay": 0.75}).ema_rate
    0.25
  """

  generator_learning_rate: Scalar = 2e-4
  discriminator_learning_rate: Scalar = 2e-4
  b1: Scalar = 0.5
  b2: Scalar = 0.999
  momentum: Scalar = 0.0
  ema_rate: Scalar = 0.01
  ema_half_life: Scalar = 0.0
  real_label: Scalar = 1.0
  discriminator_loss_scale: Scalar = 1.0
  weight_clip: Scalar = 0.0
  penalty_weight: Scalar = 0.0
  instance_noise: Scalar = 0.0
  augment_strength: Scalar = 1.0
  regularizer_weights: dict[str, Scalar] = struct.field(default_factory=dict)

  def get(self, name: str) -> Scalar:
    """Returns a field, "ema_decay", or the weight of a regulariser by `<regulariser>_weight`."""
    if name == "ema_decay":
      return 1 - self.ema_rate
    regularizer = name.removesuffix("_weight")
    if name != regularizer and regularizer in self.regularizer_weights:
      return self.regularizer_weights[regularizer]
    return getattr(self, name)

  def names(self) -> list[str]:
    """Returns every name that `get` takes."""
    fields = [field.name for field in dataclasses.fields(self)]
    weights = [f"{name}_weight" for name in self.regularizer_weights]
    fields[fields.index("ema_rate")] = "ema_decay"
    return [*(name for name in fields if name != "regularizer_weights"), *weights]

  def with_values(self, values: Mapping[str, Any]) -> "Hyperparameters":
    """Returns the same with other values under some of `names()`; KeyError for any other name."""
    if unknown := set(values) - {*self.names(), *_FIELDS}:
      raise KeyError(f"{', '.join(sorted(unknown))}: choose from {', '.join(self.names())}")
    weights = {
      name: values.get(f"{name}_weight", weight)
      for name, weight in self.regularizer_weights.items()
    }
    own = {name: value for name, value in values.items() if name in _FIELDS}
    if "ema_decay" in values:
      own["ema_rate"] = 1 - values["ema_decay"]
    return self.replace(**own, regularizer_weights=weights)


_FIELDS = {field.name for field in dataclasses.fields(Hyperparameters)}


class PlayerState(struct.PyTreeNode):
  """One player.

  Attributes:
    params: its parameters, a tree of arrays.
    model_state: its batch statistics and other collections, a tree of arrays; {} where it has none.
    opt_state: its optimiser's state.
  """

  params: Params
  model_state: ModelState
  opt_state: Any


class GanState(struct.PyTreeNode):
  """A run.

  Attributes:
    step: int32 [], generator updates so far; the single truth about where the run is.
    hyperparameters: the numbers of this run, as they are before any schedule.
    generator: the player that makes images.
    discriminator: the player that judges them.
    ema_params: average of the generator's parameters over recent steps, for samples and metrics.
    ema_model_state: the same of its batch statistics; other model state is copied.
    aux_state: what regularisers keep from step to step, by their names; under "augmentation" and
      "update_rule" what these keep.
  """

  step: Int[Array, ""]
  hyperparameters: Hyperparameters
  generator: PlayerState
  discriminator: PlayerState
  ema_params: Params
  ema_model_state: ModelState
  aux_state: dict[str, Any] = struct.field(default_factory=dict)


class Start(NamedTuple):
  """Arrays with which a run begins in the place of those that are drawn.

  Attributes:
    generator: of its parameters and model state, by the names of `named`.
    discriminator: of its own.
    average: of the averaged generator.
  """

  generator: Mapping[str, Any] = {}
  discriminator: Mapping[str, Any] = {}
  average: Mapping[str, Any] = {}


def named(params: Params, model_state: ModelState) -> dict[str, Any]:
  """Returns the arrays of a network by their paths, such as params/Dense_0/kernel."""
  trees = {"params": params, "model_state": model_state}
  return {
    jax.tree_util.keystr(path, simple=True, separator="/"): leaf
    for path, leaf in jax.tree.leaves_with_path(trees)
  }


def begun_with(
  params: Params, model_state: ModelState, arrays: Mapping[str, Any]
) -> tuple[Params, ModelState]:
  """Returns the trees of a network with other arrays under some of their names, as copies."""
  leaves = [
    jnp.array(arrays.get(name, leaf), leaf.dtype)
    for name, leaf in named(params, model_state).items()
  ]
  trees = {"params": params, "model_state": model_state}
  made = jax.tree.unflatten(jax.tree.structure(trees), leaves)
  return made["params"], made["model_state"]


def as_arrays(hyperparameters: Hyperparameters) -> Hyperparameters:
  """Returns the same numbers as float32 arrays []."""
  return jax.tree.map(jnp.float32, hyperparameters)
