"""Architectures by name: `build(name, spec)` gives a generator and a discriminator."""

import json
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax.numpy as jnp

from gan.errors import UserError, look_up
from gan.models import (
  autoencoder,
  biggan,
  dcgan,
  goodfellow,
  infogan,
  mlp,
  pacgan,
  points,
  r3gan,
  resnet,
  sndcgan,
  stylegan2,
)
from gan.models.layers import FEATURES
from gan.models.spec import CONDITIONINGS, NORMS, ModelSpec, checked, conditioned
from gan.networks import Gan, Network, latent_sampler
from gan.system.schema import Kind, check_made

__all__ = [
  "CONDITIONINGS",
  "MODELS",
  "NORMS",
  "Model",
  "ModelSpec",
  "build",
  "check_conditioning",
  "check_outputs",
]


class Model(NamedTuple):
  """An architecture.

  Attributes:
    build: how its two players are made.
    image_range: of the pixels that its generator makes.
    options: fields of ModelSpec that the architecture reads, of those that default to None.
    small: whether dispatch, not arithmetic, is what a step takes on the CPU.
    outputs: fields of Outputs that its discriminator returns, beside those of a conditioning; those
      that FEATURES lists where the spec asks for them.
    conditionings: those of CONDITIONINGS that it has; the first is its own.
    loss_needs: a field of Outputs that the loss has to need; "" where logits are any number, and so
      of use to every loss.
  """

  build: Callable[[ModelSpec], tuple[Network, Network]]
  image_range: tuple[float, float] = (-1.0, 1.0)
  options: tuple[str, ...] = ()
  small: bool = False
  outputs: tuple[str, ...] = ("logits",)
  conditionings: tuple[str, ...] = ("concat",)
  loss_needs: str = ""


_WITH_FEATURES = ("logits", *FEATURES)

MODELS: dict[str, Model] = {
  "mlp": Model(mlp.build, outputs=_WITH_FEATURES),
  "dcgan": Model(
    dcgan.build,
    options=("width", "discriminator_norm", "discriminator_hidden"),
    outputs=_WITH_FEATURES,
  ),
  "infogan": Model(
    infogan.build,
    (0.0, 1.0),
    options=("width", "discriminator_norm"),
    outputs=_WITH_FEATURES,
  ),
  "goodfellow": Model(goodfellow.build, (0.0, 1.0), outputs=_WITH_FEATURES),
  "firstgan_dcgan": Model(dcgan.build_firstgan, outputs=_WITH_FEATURES),
  "tutorial_dcgan": Model(dcgan.build_tutorial, outputs=_WITH_FEATURES),
  "points": Model(points.build, options=("width",), small=True, outputs=_WITH_FEATURES),
  "pacgan": Model(pacgan.build, small=True, outputs=_WITH_FEATURES),
  "resnet": Model(
    resnet.build,
    outputs=_WITH_FEATURES,
    options=(
      "width",
      "discriminator_norm",
      "generator_scale",
      "resnet_channels",
      "pooling",
      "logit_bias",
    ),
    conditionings=("concat", "projection", "cbn+projection", "acgan"),
  ),
  "biggan": Model(
    biggan.build,
    outputs=_WITH_FEATURES,
    options=(
      "width",
      "discriminator_norm",
      "shared_embedding",
      "hierarchical_latents",
      "attention_side",
      "weight_init",
    ),
    conditionings=("cbn+projection", "acgan"),
  ),
  "sagan": Model(
    biggan.build_sagan,
    outputs=_WITH_FEATURES,
    options=("width", "discriminator_norm", "attention_side", "weight_init"),
    conditionings=("cbn+projection", "acgan"),
  ),
  "sndcgan": Model(
    sndcgan.build,
    options=("width", "discriminator_norm", "flat_norm"),
    outputs=_WITH_FEATURES,
  ),
  "stylegan2": Model(
    stylegan2.build,
    options=(
      "width",
      "channel_base",
      "channel_max",
      "style_dim",
      "mapping_layers",
      "generator_architecture",
      "discriminator_architecture",
      "style_mixing",
      "truncation",
      "inference_noise",
      "deviation_group",
    ),
    conditionings=("native",),
  ),
  "r3gan": Model(
    r3gan.build,
    options=("width", "stage_widths", "stage_groups", "stage_blocks"),
    conditionings=("native",),
  ),
  "r3gan_small": Model(r3gan.build_small, options=("width",), conditionings=("native",)),
  "autoencoder": Model(
    autoencoder.build,
    options=("width", "code_dim"),
    outputs=("logits", "residual"),
    loss_needs="residual",
  ),
}

_PLAYERS = Kind(
  "a pair of gan.Networks, generator and discriminator,",
  lambda it: isinstance(it, (tuple, list)) and [type(each) for each in it] == [Network] * 2,
)


def check_conditioning(model: str, conditioning: str | None) -> None:
  """Checks that an architecture has a conditioning, how labels reach its players.

  Args:
    model: one of MODELS.
    conditioning: one of CONDITIONINGS; None for the architecture's own.

  Raises:
    UserError: they cannot.
  """
  own = MODELS[model].conditionings
  if conditioning not in (None, *own):
    fitting = [name for name, each in MODELS.items() if conditioning in each.conditionings]
    raise UserError(
      f"`conditioning={conditioning}` is not one of `model={model}`: choose from "
      f"{', '.join(own)}, or from the models with it: {', '.join(fitting) or 'none as yet'}"
    )


def check_outputs(
  model: str,
  part: str,
  needs: Collection[str],
  conditioning: str | None = None,
  *,
  conditional: bool = False,
) -> None:
  """Checks that the discriminator of an architecture returns what a part of the method needs.

  Args:
    model: one of MODELS.
    part: what needs it, as it was chosen: "loss=NAME".
    needs: fields of Outputs.
    conditioning: one of CONDITIONINGS, where labels are given.
    conditional: whether labels are given.

  Raises:
    UserError: it does not.
  """
  if missing := sorted(set(needs) - _returned(model, conditioning)):
    fitting = _fitting(set(needs))
    words = ", ".join(map(repr, dict.fromkeys(("logits", *sorted(needs)))))
    how = (
      f"choose from {', '.join(fitting)}"
      if fitting
      else f"no model does; a Model(build, outputs=({words})) of a plugin may"
    )
    raise UserError(
      f"`{part}` needs {', '.join(missing)} of the discriminator, which `model={model}` does not "
      f"return: {how}"
    )
  if conditional and "last_weight" in needs and not conditioned(conditioning).head:
    raise UserError(
      f"`{part}` needs the one direction of the discriminator's last layer, and with labels each "
      "class has its own: leave out `conditional`, or take `conditioning=acgan`"
    )


def _returned(model: str, conditioning: str | None) -> set[str]:
  """The fields of Outputs that the discriminator of an architecture returns."""
  return {*MODELS[model].outputs, *conditioned(conditioning).outputs}


def _fitting(needs: set[str]) -> list[str]:
  """The models that return what is needed, or the conditionings with which they do."""
  found = []
  for name, model in MODELS.items():
    ways = {None: name} | {
      each: f"{name} with `conditioning={each}`" for each in model.conditionings
    }
    found += [words for way, words in ways.items() if needs <= _returned(name, way)][:1]
  return found


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
  model, spec = look_up(MODELS, name, "model"), checked(spec)
  for option in ("width", "discriminator_norm", "discriminator_hidden"):
    if option not in model.options and (value := getattr(spec, option)) is not None:
      raise UserError(f"`model={name}` has no `{option}` (given: {value}): leave it out")
  check_conditioning(name, spec.conditioning)
  check_outputs(
    name,
    f"outputs={','.join(spec.outputs)}",
    spec.outputs,
    spec.conditioning,
    conditional=spec.num_classes > 0,
  )
  built = check_made(model.build(spec, **options), _PLAYERS, f"MODELS[{name!r}]")
  networks = dict(zip(("generator", "discriminator"), built, strict=True))
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
  for choice in ("conditioning", "outputs"):  # as recipes were before there was a choice
    if not fields[choice]:
      del fields[choice]
  return json.dumps({"model": name, "player": player, "spec": fields})
