"""Architectures by name: `build(name, spec)` gives a generator and a discriminator."""

import json
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax.numpy as jnp

from gan.errors import UserError
from gan.models import dcgan, goodfellow, infogan, mlp, pacgan, points, r3gan
from gan.models.spec import NORMS, ModelSpec
from gan.networks import Gan, Network, latent_sampler

__all__ = ["MODELS", "NORMS", "Model", "ModelSpec", "build", "check_outputs"]


class Model(NamedTuple):
  """An architecture.

  Attributes:
    build: how its two players are made.
    image_range: of the pixels that its generator makes.
    options: fields of ModelSpec that the architecture reads, of those that default to None.
    small: whether dispatch, not arithmetic, is what a step takes on the CPU.
    outputs: fields of Outputs that its discriminator returns.
  """

  build: Callable[[ModelSpec], tuple[Network, Network]]
  image_range: tuple[float, float] = (-1.0, 1.0)
  options: tuple[str, ...] = ()
  small: bool = False
  outputs: tuple[str, ...] = ("logits",)


MODELS: dict[str, Model] = {
  "mlp": Model(mlp.build),
  "dcgan": Model(dcgan.build, options=("width", "discriminator_norm", "discriminator_hidden")),
  "infogan": Model(infogan.build, (0.0, 1.0), options=("discriminator_norm",)),
  "goodfellow": Model(goodfellow.build, (0.0, 1.0)),
  "firstgan_dcgan": Model(dcgan.build_firstgan),
  "tutorial_dcgan": Model(dcgan.build_tutorial),
  "points": Model(points.build, options=("width",), small=True),
  "pacgan": Model(pacgan.build, small=True),
  "r3gan": Model(r3gan.build, options=("width", "stage_widths", "stage_groups", "stage_blocks")),
  "r3gan_small": Model(r3gan.build_small, options=("width",)),
}


def check_outputs(model: str, regularizer: str, needs: Collection[str]) -> None:
  """Checks that the discriminator of an architecture returns what a regulariser needs.

  Args:
    model: one of MODELS.
    regularizer: its name.
    needs: fields of Outputs.

  Raises:
    UserError: it does not.
  """
  if missing := sorted(set(needs) - set(MODELS[model].outputs)):
    fitting = [name for name, each in MODELS.items() if set(needs) <= set(each.outputs)]
    raise UserError(
      f"`regularizers={regularizer}` needs {', '.join(missing)} of the discriminator, which "
      f"`model={model}` does not return: choose from {', '.join(fitting) or 'none as yet'}"
    )


def build(name: str, spec: ModelSpec, latent: str = "normal", **options: Any) -> Gan:
  """Returns the two players of an architecture.

  Args:
    name: one of MODELS.
    spec: sizes and choices.
    latent: one of LATENTS.
    **options: of the architecture's own.

  Raises:
    UserError: the architecture cannot do what the spec asks for.
  """
  model = MODELS[name]
  for option in ("width", "discriminator_norm", "discriminator_hidden"):
    if option not in model.options and (value := getattr(spec, option)) is not None:
      raise UserError(f"`model={name}` has no `{option}` (given: {value}): leave it out")
  networks = dict(zip(("generator", "discriminator"), model.build(spec, **options), strict=True))
  players = {
    player: network._replace(recipe="" if options else _recipe(name, player, spec))
    for player, network in networks.items()
  }
  sample_latent = latent_sampler(latent, spec.latent_dim)
  return Gan(
    **players,
    sample_latent=sample_latent,
    image_range=model.image_range,
    packing=spec.packing,
  )


def _recipe(name: str, player: str, spec: ModelSpec) -> str:
  """How a network is made again, in JSON; "" where that would need data or devices."""
  if spec.pixel_mean is not None or spec.axis_name:
    return ""
  fields = spec._replace(dtype=jnp.dtype(spec.dtype).name)._asdict()
  return json.dumps({"model": name, "player": player, "spec": fields})
