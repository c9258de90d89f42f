"""What a model is built from."""

import functools
from collections.abc import Collection
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan import networks
from gan.errors import UserError
from gan.system.schema import Kind, check, check_whole, plain_number, whole


class ModelSpec(NamedTuple):
  """The choices that every architecture understands.

  Attributes:
    image_shape: (H, W, C) of images, (2,) of points.
    latent_dim: length Z of a latent.
    num_classes: labels 0 .. num_classes - 1 are given to both players; 0 for none.
    width: channels of the first layer of the discriminator; None for the model's own.
    discriminator_norm: one of NORMS; None for the model's own.
    discriminator_hidden: units of a dense layer before the discriminator's logit; None for none.
    pixel_mean: [*image_shape] mean of the data in [0, 1], for models that start from it, or None.
    dtype: float32 or bfloat16, in which activations are computed; parameters are float32.
    axis_name: mapped axes over which batch statistics are averaged.
    packing: examples that the discriminator judges at once, joined along the last axis.
    conditioning: one of CONDITIONINGS, how labels reach the players; None for the model's own.
    outputs: fields of Outputs that the discriminator returns beside logits, of those that it can.

  Examples:
    >>> import gan
    >>> spec = gan.ModelSpec((28, 28, 1), latent_dim=32, width=16)
    >>> gan.models.build("dcgan", spec).image_range
    (-1.0, 1.0)
  """

  image_shape: tuple[int, ...]
  latent_dim: int = 64
  num_classes: int = 0
  width: int | None = None
  discriminator_norm: str | None = None
  discriminator_hidden: int | None = None
  pixel_mean: np.ndarray | None = None
  dtype: Any = jnp.float32
  axis_name: Any = ()
  packing: int = 1
  conditioning: str | None = None
  outputs: tuple[str, ...] = ()


_SPEC = Kind("a gan.ModelSpec", lambda it: isinstance(it, ModelSpec))
_SHAPE = Kind(
  "(H, W, C) of images or (2,) of points",
  lambda it: isinstance(it, tuple) and len(it) in (1, 3) and all(map(whole(1).fits, it)),
)


def checked(spec: ModelSpec) -> ModelSpec:
  """Returns a spec whose sizes are Python's own numbers; UserError where one cannot be."""
  check("spec", spec, _SPEC)
  shape = spec.image_shape
  shape = tuple(map(plain_number, shape)) if isinstance(shape, (tuple, list)) else shape
  sizes: dict[str, Any] = {
    name: check_whole(name, value, least)
    for name, least in (
      ("latent_dim", 1),
      ("num_classes", 0),
      ("width", 1),
      ("discriminator_hidden", 1),
      ("packing", 1),
    )
    if (value := getattr(spec, name)) is not None
  }
  return spec._replace(
    image_shape=check("image_shape", shape, _SHAPE), outputs=tuple(spec.outputs), **sizes
  )


NORMS = ("none", "batch", "layer", "spectral")


class Conditioning(NamedTuple):
  """How labels reach the players, where a model has several ways.

  Attributes:
    by_norm: whether they choose scales and shifts of the generator's norms, and do not lie beside
      its latents.
    outputs: fields of Outputs that predict the labels; the discriminator is then not given them.
  """

  by_norm: bool = False
  outputs: tuple[str, ...] = ()

  @property
  def head(self) -> bool:
    """Whether the discriminator predicts the classes."""
    return "class_logits" in self.outputs


CONDITIONINGS: dict[str, Conditioning] = {
  "concat": Conditioning(),
  "projection": Conditioning(),
  "cbn+projection": Conditioning(by_norm=True),
  "acgan": Conditioning(by_norm=True, outputs=("class_logits",)),
  "native": Conditioning(),
}


def conditioned(name: str | None) -> Conditioning:
  """Returns an entry of CONDITIONINGS, or for None what asks for nothing of its own."""
  return Conditioning() if name is None else CONDITIONINGS[name]


def to_networks(
  generator: Any, discriminator: Any, spec: ModelSpec, *, joint: bool = False
) -> tuple[networks.Network, networks.Network]:
  """Wraps the two Linen modules of a model as a pair of Networks; `joint` as in Network."""
  labels = jnp.zeros((1,), jnp.int32) if spec.num_classes else None
  if spec.outputs and hasattr(discriminator, "outputs"):  # a plugin's returns what it returns
    discriminator = discriminator.clone(outputs=spec.outputs)

  def shaped(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)

  pack = functools.partial(networks.pack, packing=spec.packing)
  images = jax.eval_shape(pack, shaped(spec.packing, *spec.image_shape))
  return (
    networks.from_linen(generator, shaped(1, spec.latent_dim), labels),
    networks.from_linen(discriminator, images, labels)._replace(joint=joint),
  )


def of_spec(spec: ModelSpec) -> dict[str, Any]:
  """Returns what both modules of a model take of its spec."""
  return {"num_classes": spec.num_classes, "dtype": spec.dtype, "axis_name": spec.axis_name}


def require_images(model: str, spec: ModelSpec) -> None:
  """Raises UserError unless the data are square images of [H, W, C]."""
  if len(spec.image_shape) != 3:
    raise UserError(f"`model={model}` makes images, but the data are points: use `model=points`")
  height, width, _ = spec.image_shape
  if height != width:
    raise UserError(
      f"`model={model}` makes square images, the data are {height}x{width}: set `image_size`"
    )


def require_choice(option: str, value: str, choices: Collection[str]) -> None:
  """Raises UserError unless an option of a model is one of its choices."""
  if value not in choices:
    raise UserError(f"`{option}={value}` is unknown: choose from {', '.join(choices)}")


def require_points(model: str, spec: ModelSpec) -> None:
  """Raises UserError unless the data are points, (d,)."""
  if len(spec.image_shape) != 1:
    raise UserError(f"`model={model}` makes points, not images: use `model=mlp` or `model=dcgan`")


def halvings(model: str, size: int) -> int:
  """Returns how often `size` is halved to reach a side of 4 to 7 pixels.

  28 -> 7 in 2, 32 -> 4 in 3, 64 -> 4 in 4. Raises UserError where no number of halvings does it.
  """
  side, count = size, 0
  while side > 7 and side % 2 == 0:
    side, count = side // 2, count + 1
  if not (count and 4 <= side <= 7):
    raise UserError(
      f"`model={model}` cannot make images of {size}x{size}: the side must be 4, 5, 6 or 7 times a "
      "power of 2 (28, 32, 64, ...); set `image_size`, or take `model=mlp`, which makes any side"
    )
  return count


def doublings(model: str, size: int) -> int:
  """Returns how often a side of at least 4 that is odd or below 8 is doubled to reach `size`.

  28 -> 7 in 2, 32 -> 4 in 3, 36 -> 9 in 2. Raises UserError unless 4 divides it, from 8 on.
  """
  if size < 8 or size % 4:
    raise UserError(
      f"`model={model}` cannot make images of {size}x{size}: the side must be a multiple of 4, "
      "from 8 on; set `image_size`, or take `model=mlp`, which makes any side"
    )
  count = 0
  while size % 2 == 0 and size >= 8:
    size, count = size // 2, count + 1
  return count
