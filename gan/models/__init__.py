"""Architectures by name: `build(name, spec)` gives a generator and a discriminator."""

from collections.abc import Callable
from typing import Any, NamedTuple

from gan.errors import UserError
from gan.models import dcgan, goodfellow, infogan, mlp, pacgan, points
from gan.models.spec import NORMS, ModelSpec
from gan.networks import Gan, Network, latent_sampler

__all__ = ["MODELS", "NORMS", "Model", "ModelSpec", "build"]


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
}


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
      raise UserError(f"--model={name} has no --{option} (given: {value}): leave it out")
  generator, discriminator = model.build(spec, **options)
  sample_latent = latent_sampler(latent, spec.latent_dim)
  return Gan(generator, discriminator, sample_latent, model.image_range, spec.packing)
