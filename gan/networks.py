"""The seam between training code and a neural network library.

Everything outside `gan/models/` sees a network as two pure functions. Flax Linen modules become one
by `from_linen`; a network of another library joins by an adapter of the same shape.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int, Key

from gan.errors import UserError

Params = Any
ModelState = Any


class Network(NamedTuple):
  """A network as a pair of pure functions.

  Attributes:
    init: `key -> (params, model_state)`.
    apply: `(params, model_state, inputs, labels, *, train, key) -> (outputs, model_state)`; `train`
      selects batch statistics and dropout, for which `key` is drawn from; with `train=False` the
      examples of a batch do not influence each other and `key` is not used.
  """

  init: Callable[..., tuple[Params, ModelState]]
  apply: Callable[..., tuple[Array, ModelState]]


class Gan(NamedTuple):
  """The two players and what connects them.

  Attributes:
    generator: latents [B, Z] -> images [B, H, W, C] (points [B, 2]).
    discriminator: images -> logits [B].
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
  example: Float[Array, "b ..."] | jax.ShapeDtypeStruct,
  labels: Int[Array, " b"] | None,
) -> Network:
  """Wraps a Linen module with signature `module(inputs, labels, train=...)`.

  Args:
    module: the module; its collections other than "params" become the model state.
    example: [B, ...] inputs of the right shape, or that shape; values are not used.
    labels: [B] int32, or None for an unconditional network.
  """

  def init(key):
    inputs = jnp.zeros(example.shape, example.dtype)
    variables = module.init(key, inputs, labels, train=False)
    model_state = {name: value for name, value in variables.items() if name != "params"}
    return variables["params"], model_state

  def apply(params, model_state, inputs, labels, *, train, key=None):
    variables = {"params": params, **model_state}
    if not train:
      return module.apply(variables, inputs, labels, train=False), model_state
    return module.apply(
      variables,
      inputs,
      labels,
      train=True,
      rngs={"dropout": key},
      mutable=list(model_state),
    )

  return Network(jax.jit(init), apply)


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
      f"--packing={packing} does not divide the {examples.shape[0]} examples of a device: choose "
      "--batch_size as a multiple of --packing times the number of devices, or --parallel=jit"
    )
  rows = examples.reshape(-1, packing, *examples.shape[1:])
  rows = jnp.moveaxis(rows, 1, -2)  # [B/m, ..., m, C]
  return rows.reshape(*rows.shape[:-2], -1)


def latent_sampler(kind: str, latent_dim: int) -> Callable[[Key[Array, ""]], Float[Array, " z"]]:
  """Returns `key -> [latent_dim]` for one of LATENTS."""
  return lambda key: LATENTS[kind](key, (latent_dim,))


def _unit_variance_uniform(key, shape):
  """Uniform on (-sqrt 3, sqrt 3): mean 0 and variance 1, as the normal latents have."""
  return jax.random.uniform(key, shape, minval=-(3**0.5), maxval=3**0.5)


LATENTS: dict[str, Callable[..., Array]] = {
  "normal": jax.random.normal,
  "uniform": _unit_variance_uniform,
}
