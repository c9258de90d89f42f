"""The seam between training code and a neural network library.

Everything outside `gan/models/` sees a network as two pure functions. Flax Linen modules become one
by `from_linen`, NNX modules by `from_nnx`; a network of another library joins by an adapter of the
same shape.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int, Key

from gan.errors import UserError, look_up
from gan.system.flax_errors import as_user_errors
from gan.system.schema import check_whole

Params = Any
ModelState = Any
Initial = tuple[Params, ModelState]
BATCH_STATISTICS = "batch_stats"  # the part of a model state that is averaged with the parameters


class Outputs(NamedTuple):
  """What a discriminator may return in the place of logits [B], where something needs more.

  Attributes:
    logits: [B], unbounded; what a loss is a function of.
    class_logits: [B, classes], of an auxiliary classifier, or None.
    features: [B, F], of the layer before the logit, or None.
    last_weight: [F], direction of the last layer, which features are projected on; or None.
    residual: [B, ...], examples less an autoencoder's reconstruction of them, or None.

  Examples:
    A discriminator of points that shows its features to a regulariser:

    >>> import flax.linen as nn, gan, jax, jax.numpy as jnp
    >>> class D(nn.Module):
    ...   @nn.compact
    ...   def __call__(self, points):
    ...     features = nn.relu(nn.Dense(8)(points))
    ...     return gan.Outputs(nn.Dense(1)(features)[:, 0], features=features)
    >>> discriminator, points = gan.from_linen(D()), jnp.zeros((4, 2))
    >>> params, model_state = discriminator.init(jax.random.key(0), points)
    >>> outputs, _ = discriminator.apply(params, model_state, points, train=False)
    >>> outputs.logits.shape, outputs.features.shape
    ((4,), (4, 8))
  """

  logits: Float[Array, " b"]
  class_logits: Float[Array, "b classes"] | None = None
  features: Float[Array, "b f"] | None = None
  last_weight: Float[Array, " f"] | None = None
  residual: Float[Array, "b ..."] | None = None


def at_least_float32(values: Float[Array, "..."]) -> Float[Array, "..."]:
  """Values in float32 or more: losses and norms are, whatever a network computes in."""
  return values.astype(jnp.promote_types(values.dtype, jnp.float32))


def as_outputs(returned: Any, examples: int, needs: Mapping[str, str] = {}) -> Outputs:
  """Returns what a discriminator returned as Outputs.

  Args:
    returned: logits [B], or Outputs.
    examples: B.
    needs: what needs a field of Outputs, by the field.

  Raises:
    UserError: a field that is needed is absent, or the logits are not [B] floats; [B, 1] less [B]
      would broadcast to [B, B] in a loss.
  """
  outputs = returned if isinstance(returned, Outputs) else Outputs(returned)
  kind = getattr(outputs.logits, "dtype", type(outputs.logits).__name__)
  if not (isinstance(outputs.logits, jax.Array) and jnp.issubdtype(kind, jnp.floating)):
    raise UserError(
      f"the discriminator returned {kind} for logits: it must return an array of floats "
      f"[{examples}], or gan.Outputs with one"
    )
  outputs = outputs._replace(logits=at_least_float32(outputs.logits))
  if outputs.logits.shape != (examples,):
    raise UserError(
      f"the discriminator returned logits {list(outputs.logits.shape)} for {examples} examples: "
      f"they must be [{examples}], so drop a last axis of 1 by logits[:, 0]"
    )
  for field, what in needs.items():
    if getattr(outputs, field, None) is None:
      found = ", ".join(name for name in Outputs._fields if getattr(outputs, name) is not None)
      raise UserError(
        f"{what} needs {field} of the discriminator, which returned {found}: return "
        f"gan.Outputs with it; a model of gan.models does by ModelSpec(outputs=({field!r},))"
      )
  return outputs


def apart(outputs: Outputs, count: int) -> tuple[Outputs, Outputs]:
  """Returns the outputs for the first `count` examples, and those for the others."""

  def part(of: slice) -> Outputs:
    halves = {
      name: value[of]
      for name, value in outputs._asdict().items()
      if value is not None and name != "last_weight"
    }
    return outputs._replace(**halves)

  return part(slice(None, count)), part(slice(count, None))


class Network(NamedTuple):
  """A network as a pair of pure functions.

  Attributes:
    init: `(key, inputs, labels) -> (params, model_state)`; of inputs [B, ...] and of labels [B]
      or None only the shapes are used. A model state is a dictionary; its entry "batch_stats", if
      there is one, is averaged with the parameters, other entries are copied.
    apply: `(params, model_state, inputs, labels, *, train, key) -> (outputs, model_state)`; `train`
      selects batch statistics and dropout, for which `key` is drawn from; with `train=False` the
      examples of a batch do not influence each other and `key` is not used.
    name: what config.json calls it, where it was passed and not named.
    recipe: how MODELS makes it again, in JSON; "" where they did not make it.
    stages: of a generator with a mapping network its two halves, each called as `apply` is:
      latents -> styles [B, layers, S], and styles -> images; None for any other network.
    joint: of a discriminator, whether its objective may have data and samples judged in one call:
      no example influences another in training either, and there is no state and no dropout.
  """

  init: Callable[..., tuple[Params, ModelState]]
  apply: Callable[..., tuple[Any, ModelState]]
  name: str = ""
  recipe: str = ""
  stages: tuple[Callable[..., Any], Callable[..., Any]] | None = None
  joint: bool = False


class Gan(NamedTuple):
  """The two players and what connects them.

  Attributes:
    generator: latents [B, Z] -> images [B, H, W, C] (points [B, 2]).
    discriminator: images -> logits [B], or Outputs.
    sample_latent: `key -> [Z]`, one latent.
    image_range: the interval of pixel values on which both players work, (-1, 1) or (0, 1).
    packing: m, examples that the discriminator judges at once; see `pack`.
  """

  generator: Network
  discriminator: Network
  sample_latent: Callable[[Key[Array, ""]], Float[Array, " z"]]
  image_range: tuple[float, float]
  packing: int = 1


def from_linen(
  module: nn.Module,
  example: Float[Array, "b ..."] | jax.ShapeDtypeStruct | None = None,
  labels: Int[Array, " b"] | None = None,
) -> Network:
  """Returns a Linen module as a Network.

  Args:
    module: called as `module(inputs)`, with `labels` second and `train` by name where its
      `__call__` has parameters of these names. Its collections other than "params" become the model
      state; dropout draws from the stream "dropout". `apply` takes `method`, the name of another
      method than `__call__`, of the same parameters.
    example: inputs [B, ...], or their shape, that `init(key)` takes where it is given none.
    labels: the same of labels [B].

  Examples:
    >>> import flax.linen as nn, gan, jax, jax.numpy as jnp
    >>> network = gan.from_linen(nn.Dense(3))
    >>> params, model_state = network.init(jax.random.key(0), jnp.zeros((1, 2)))
    >>> network.apply(params, model_state, jnp.ones((5, 2)), train=False)[0].shape
    (5, 3)
  """
  if not isinstance(module, nn.Module):
    raise UserError(
      f"`module={_shown(module)}` must be a flax.linen.Module as it was made, such as "
      "gan.from_linen(G()), and not its class; one of flax.nnx is given to gan.from_nnx"
    )
  call = _Call(type(module).__call__)

  def init(key: Key[Array, ""], inputs: Any = example, labels: Any = labels) -> Initial:
    inputs = jnp.zeros(inputs.shape, inputs.dtype)
    variables = module.init(key, *call(inputs, labels), **call.train(False))
    model_state = {name: value for name, value in variables.items() if name != "params"}
    return variables.get("params", {}), model_state

  def apply(params, model_state, inputs, labels=None, *, train, key=None, method=None):
    variables = {"params": params, **model_state}
    run = functools.partial(module.apply, variables, *call(inputs, labels), method=method)
    with as_user_errors(type(module).__name__, train):
      if not train:
        return run(**call.train(False)), model_state
      return run(
        **call.train(True),
        rngs={"dropout": key},
        mutable=list(model_state),
      )

  return Network(jax.jit(init), apply, " ".join(repr(module).split()))


def from_nnx(make: Callable[[Any], Any]) -> Network:
  """Returns an NNX module as a Network.

  Args:
    make: `nnx.Rngs -> nnx.Module`; the module is called as one of `from_linen`. Statistics of
      `nnx.BatchNorm` are its batch statistics. Where it has dropout, each call in training draws
      from a stream of its own.

  Examples:
    >>> from flax import nnx
    >>> import gan, jax, jax.numpy as jnp
    >>> network = gan.from_nnx(lambda rngs: nnx.Linear(2, 3, rngs=rngs))
    >>> params, model_state = network.init(jax.random.key(0))
    >>> network.apply(params, model_state, jnp.ones((5, 2)), train=False)[0].shape
    (5, 3)
  """
  from flax import nnx

  if not callable(make) or isinstance(make, (nnx.Module, nn.Module)):
    raise UserError(
      f"`make={_shown(make)}` must be a function `nnx.Rngs -> nnx.Module`, such as "
      "gan.from_nnx(lambda rngs: D(rngs)), and not a module as it was made"
    )

  def made_of(rngs: Any) -> Any:
    if not isinstance(made := make(rngs), nnx.Module):
      raise UserError(
        f"`make={_shown(make)}` returned {_shown(made)}: it must return a flax.nnx.Module; one of "
        "flax.linen is given to gan.from_linen"
      )
    return made

  module = nnx.eval_shape(lambda: made_of(nnx.Rngs(0)))
  graph, streams, _ = nnx.split(module, nnx.RngState, ...)
  call = _Call(type(module).__call__)

  def init(key: Key[Array, ""], inputs: Any = None, labels: Any = None) -> Initial:
    del inputs, labels
    return _take_apart(make(nnx.Rngs(key)))

  def _take_apart(made: Any) -> Initial:
    # Streams of random numbers are seeded in each call, and so no state.
    parts = nnx.split(made, nnx.RngState, nnx.Param, nnx.BatchStat, ...)
    _, _, params, statistics, rest = parts
    return params, {BATCH_STATISTICS: statistics, "other": rest}

  def apply(params, model_state, inputs, labels=None, *, train, key=None):
    # Without the copy NNX takes a module that was made outside of a gradient for a leak.
    seeded = jax.tree.map(_unseeded, streams)
    made = nnx.merge(graph, seeded, params, *model_state.values(), copy=True)
    made.train() if train else made.eval()
    if train and key is not None:
      nnx.reseed(made, default=key, params=key, dropout=key)
    outputs = made(*call(inputs, labels), **call.train(train))
    return outputs, _take_apart(made)[1] if train else model_state

  named = getattr(make, "func", make)  # of a partial
  return Network(jax.jit(init), apply, f"{named.__module__}.{named.__qualname__}")


def _shown(value: Any) -> str:
  """A module, class or function in a few words; their own representations are long."""
  return getattr(value, "__qualname__", f"a {type(value).__module__}.{type(value).__qualname__}")


def _unseeded(stream: jax.ShapeDtypeStruct) -> Array:
  """A key, or the count of its draws, of a stream that has not been seeded."""
  if jnp.issubdtype(stream.dtype, jax.dtypes.prng_key):
    return jnp.broadcast_to(jax.random.key(0), stream.shape)
  return jnp.zeros(stream.shape, stream.dtype)


class _Call:
  """How a module's `__call__` is given labels and `train`: where it has parameters of the names."""

  def __init__(self, function: Callable):
    names = set(inspect.signature(function).parameters)
    self._labels, self._train = "labels" in names, "train" in names

  def __call__(self, inputs: Any, labels: Any) -> tuple:
    return (inputs, labels) if self._labels else (inputs,)

  def train(self, value: bool) -> dict[str, bool]:
    return {"train": value} if self._train else {}


def pack(examples: Float[Array, "b ..."], packing: int) -> Float[Array, "r ..."]:
  """Joins m examples in a row along the last axis: [B, ..., C] -> [B/m, ..., m C].

  A discriminator of packed examples sees their variety, and with it collapse: "PacGAN: The power of
  two samples in generative adversarial networks" by Lin et al. (https://arxiv.org/abs/1712.04086).

  Args:
    examples: images [B, H, W, C] or points [B, 2], all real or all generated.
    packing: m >= 1, which divides B.

  Raises:
    UserError: it does not; under data parallelism B is the share of one device.
  """
  if packing == 1:
    return examples
  if examples.shape[0] % packing:
    raise UserError(
      f"`packing={packing}` does not divide the {examples.shape[0]} examples of a device: take a "
      "batch that is a multiple of `packing` times the number of devices"
    )
  rows = examples.reshape(-1, packing, *examples.shape[1:])
  rows = jnp.moveaxis(rows, 1, -2)  # [B/m, ..., m, C]
  return rows.reshape(*rows.shape[:-2], -1)


def unpack(rows: Float[Array, "r ..."], packing: int) -> Float[Array, "b ..."]:
  """The inverse of `pack`: [B/m, ..., m C] -> [B, ..., C]."""
  if packing == 1:
    return rows
  apart = jnp.moveaxis(rows.reshape(*rows.shape[:-1], packing, -1), -2, 1)
  return apart.reshape(-1, *apart.shape[2:])


@functools.cache
def latent_sampler(kind: str, latent_dim: int) -> Callable[[Key[Array, ""]], Float[Array, " z"]]:
  """Returns `key -> [latent_dim]` for one of LATENTS; of equal arguments the same function.

  Examples:
    >>> import gan, jax
    >>> draw = gan.latent_sampler("uniform", 3)
    >>> jax.vmap(draw)(jax.random.split(jax.random.key(0), 8)).shape
    (8, 3)
  """
  draw, shape = look_up(LATENTS, kind, "latent"), (check_whole("latent_dim", latent_dim, least=1),)
  return lambda key: draw(key, shape)


def _unit_variance_uniform(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
  """Uniform on (-sqrt 3, sqrt 3): mean 0 and variance 1, as the normal latents have."""
  return jax.random.uniform(key, shape, minval=-(3**0.5), maxval=3**0.5)


LATENTS: dict[str, Callable[..., Array]] = {
  "normal": jax.random.normal,
  "uniform": _unit_variance_uniform,
}
