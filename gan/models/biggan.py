"""BigGAN and SAGAN at the size of CIFAR-10: residual, with spectral norm in both players.

See "Large Scale GAN Training for High Fidelity Natural Image Synthesis" by Brock, Donahue and
Simonyan (https://arxiv.org/abs/1809.11096), with sizes and initialisers of
https://github.com/ajbrock/BigGAN-PyTorch, and "Self-Attention Generative Adversarial Networks" by
Zhang et al. (https://arxiv.org/abs/1805.08318), which trains on larger images: sizes of
https://github.com/POSTECH-CVLab/PyTorch-StudioGAN.

* `build`, BigGAN: 4 x 64 channels in all blocks of both players;
* `build_sagan`, SAGAN: 4 x 64 in the generator, 2 x 64 in the discriminator, attention in both.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gan.errors import UserError
from gan.models.layers import (
  ConditionalNorm,
  Conv,
  Dense,
  DownBlock,
  Embed,
  Norm,
  SelfAttention,
  SelfModulatedNorm,
  UpBlock,
  judged,
)
from gan.models.spec import (
  ModelSpec,
  conditioned,
  doublings,
  of_spec,
  require_choice,
  require_images,
  to_networks,
)
from gan.networks import Network, Outputs

WIDTH = 64
DOWNS = (True, True, False, False)  # blocks of the discriminator that halve the side
WEIGHT_INITS = {
  "normal": nn.initializers.normal(0.02),
  "orthogonal": nn.initializers.orthogonal(),
  "glorot": nn.initializers.glorot_uniform(),
}


class Generator(nn.Module):
  """Latents [B, Z] -> dense -> blocks that double the side -> images in (-1, 1).

  Attributes:
    image_shape: (H, W, C); H is divisible by 2^n where there are n + 1 channels.
    channels: of the projected latent, and of every block.
    num_classes: of labels that are given, which the norms of blocks have; 0 for none.
    shared_embedding: length of the vector of a label that all norms share; 0 for tables of theirs.
    hierarchical: whether the dense layer and each block have an equal part of the latent.
    attention_side: of the images behind the block that has attention after it; 0 for none.
    weight_init: one of WEIGHT_INITS.
    spectral_tables: whether the norms' own tables have spectral norm.
    epsilon: of batch normalisation.
  """

  image_shape: tuple[int, ...]
  channels: tuple[int, ...]
  num_classes: int = 0
  shared_embedding: int = 0
  hierarchical: bool = False
  attention_side: int = 0
  weight_init: str = "normal"
  spectral_tables: bool = False
  epsilon: float = 1e-5
  dtype: Any = jnp.float32
  axis_name: Any = ()

  @nn.compact
  def __call__(
    self, latents: Float[Array, "b z"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, "b h w c"]:
    shared = {"kernel_init": WEIGHT_INITS[self.weight_init], "spectral": 1, "dtype": self.dtype}
    first, *others = self.channels
    side = self.image_shape[0] // 2 ** len(others)
    latents, conditions = self._split(latents, labels)
    hidden = Dense(side * side * first, **shared)(latents).reshape(-1, side, side, first)
    plain = functools.partial(Norm, "batch", **self._statistics())
    norm = plain if conditions[0] is None else self._norm()
    for features, condition in zip(others, conditions, strict=True):
      block = UpBlock(features, pixel_init=shared["kernel_init"], norm=norm, **shared)
      hidden = block(hidden, condition, train=train)
      if hidden.shape[1] == self.attention_side:
        hidden = SelfAttention(**shared)(hidden)
    hidden = Conv(self.image_shape[-1], 3, 1, **shared)(jax.nn.relu(plain()(hidden, train=train)))
    return jnp.tanh(hidden.astype(jnp.float32))

  def _split(self, latents, labels):
    """What the dense layer has, and what the norms of each block have: labels or vectors."""
    blocks = len(self.channels) - 1
    if self.num_classes and self.shared_embedding:
      init = WEIGHT_INITS[self.weight_init]
      labels = Embed(self.num_classes, self.shared_embedding, init, name="shared")(labels)
    if not self.hierarchical:
      return latents, [labels] * blocks
    first, *rest = jnp.split(latents, blocks + 1, axis=1)
    return first, [part if labels is None else jnp.concatenate([labels, part], 1) for part in rest]

  def _norm(self):
    """Makes a layer whose scale and bias are functions of the condition of a block."""
    init = WEIGHT_INITS[self.weight_init]
    if self.shared_embedding or self.hierarchical:
      options = {"use_bias": False, "spectral": 1, **self._statistics()}
      return functools.partial(SelfModulatedNorm, 0, init, **options)
    options = {"add_one": True, "spectral": int(self.spectral_tables), **self._statistics()}
    return functools.partial(ConditionalNorm, self.num_classes, init, init, **options)

  def _statistics(self):
    return {"axis_name": self.axis_name, "epsilon": self.epsilon, "dtype": self.dtype}


class Discriminator(nn.Module):
  """Images [B, H, W, C] -> blocks -> ReLU -> sum over pixels -> logits [B], or Outputs.

  Attributes:
    channels: of every block.
    norm: one of NORMS.
    num_classes: of labels that are given; 0 for none.
    head: whether the classes are predicted (AC-GAN) and not projected on.
    attention_side, weight_init: as of Generator.
  """

  channels: int
  norm: str = "spectral"
  num_classes: int = 0
  head: bool = False
  attention_side: int = 0
  weight_init: str = "normal"
  dtype: Any = jnp.float32
  axis_name: Any = ()
  outputs: tuple[str, ...] = ()

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w c"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, " b"] | Outputs:
    init, hidden = WEIGHT_INITS[self.weight_init], images
    options = {"kernel_init": init, "spectral": int(self.norm == "spectral")}
    shared = {"dtype": self.dtype, **options}
    norm = functools.partial(Norm, self.norm, axis_name=self.axis_name, dtype=self.dtype)
    for place, down in enumerate(DOWNS):
      block = DownBlock(
        self.channels, pixel_init=init, down=down, first=place == 0, norm=norm, **shared
      )
      hidden = block(hidden, train=train)
      if down and hidden.shape[1] == self.attention_side:
        hidden = SelfAttention(**shared)(hidden)
    features = jnp.sum(jax.nn.relu(hidden).astype(jnp.float32), axis=(1, 2))
    options |= {"head": self.head, "outputs": self.outputs}
    return judged(features, labels, self.num_classes, **options)


def build(
  spec: ModelSpec,
  *,
  shared_embedding: int = 0,
  hierarchical_latents: bool = False,
  attention_side: int = 0,
  weight_init: str = "",
) -> tuple[Network, Network]:
  """Returns BigGAN's networks for square images whose side is a multiple of 4, from 8 on.

  The defaults are those of the source for CIFAR-10. With labels the generator has them in its
  norms, and the discriminator projects on them or, for acgan, predicts them.

  Args:
    spec: `width`, 64, is a quarter of the channels of all blocks; `discriminator_norm` is spectral
      by default.
    shared_embedding: length of a vector of each label that all norms of the generator share, 128 in
      the paper; 0 for a table in each norm.
    hierarchical_latents: whether the latent is split in equal parts, the first for the dense layer
      and one for the norms of each block.
    attention_side: side of the images that attention connects the pixels of, in both players; 0 for
      none in biggan, for half of the images' in sagan.
    weight_init: "normal" of standard deviation 0.02, "orthogonal" or "glorot"; "" for normal in
      biggan, for orthogonal in sagan.

  Raises:
    UserError: the side or the length of latents does not fit, or options do not fit each other.
  """
  own = {"shared_embedding": shared_embedding, "hierarchical": hierarchical_latents}
  common = _common("biggan", spec, attention_side, weight_init or "normal")
  _check_labels(spec, shared_embedding, hierarchical_latents)
  if hierarchical_latents:
    _check_latents(spec)
  return _networks(spec, 4, common, own)


def build_sagan(
  spec: ModelSpec, *, attention_side: int = 0, weight_init: str = ""
) -> tuple[Network, Network]:
  """Returns SAGAN's networks for square images whose side is a multiple of 4, from 16 on.

  Args:
    spec: `width`, 64, is a half of the channels of the discriminator and a quarter of those of the
      generator; `discriminator_norm` is spectral by default.
    attention_side: as of `build`.
    weight_init: as of `build`.

  Raises:
    UserError: the side does not fit.
  """
  side = attention_side or (spec.image_shape[0] + 1) // 2
  common = _common("sagan", spec, side, weight_init or "orthogonal")
  return _networks(spec, 2, common, {"spectral_tables": True, "epsilon": 1e-4})


def _common(model, spec, attention_side, weight_init):
  """The attributes that both players have, checked."""
  require_images(model, spec)
  require_choice("weight_init", weight_init, WEIGHT_INITS)
  size = spec.image_shape[0]
  made = {size // 2**count for count in range(doublings(model, size))}
  fitting = sorted(made & {size // 2, size // 4})
  if attention_side not in (0, *fitting):
    choices = ", ".join(map(str, fitting)) or "`image_size=16` and above"
    raise UserError(
      f"`model={model}` cannot have attention at {attention_side} pixels a side of images of "
      f"{size}x{size}, where both players pass: choose from {choices}"
    )
  shared = of_spec(spec)
  return {"attention_side": attention_side, "weight_init": weight_init, **shared}


def _check_labels(spec, shared_embedding, hierarchical):
  if shared_embedding < 0 or (shared_embedding and not spec.num_classes):
    raise UserError(
      f"`shared_embedding={shared_embedding}` is the length of a vector of each label: give "
      "labels, and a length above 0, or leave it out"
    )
  if hierarchical and spec.num_classes and not shared_embedding:
    raise UserError(
      "`hierarchical_latents` joins latents to the vectors of labels that all norms share: set "
      "`shared_embedding`, 128 in the paper"
    )


def _check_latents(spec):
  parts = doublings("biggan", spec.image_shape[0]) + 1
  if rest := spec.latent_dim % parts:
    below, above = spec.latent_dim - rest, spec.latent_dim - rest + parts
    raise UserError(
      f"`hierarchical_latents` splits {spec.latent_dim} numbers in {parts} equal parts: set "
      f"`latent_dim={above}`{f' or `latent_dim={below}`' if below else ''}"
    )


def _networks(spec, discriminator_scale, common, own):
  """The two players, with four times `width` channels in the generator."""
  width, blocks = spec.width or WIDTH, doublings("biggan", spec.image_shape[0])
  return to_networks(
    Generator(spec.image_shape, (4 * width,) * (blocks + 1), **common, **own),
    Discriminator(
      discriminator_scale * width,
      norm=spec.discriminator_norm or "spectral",
      head=conditioned(spec.conditioning).head,
      **common,
    ),
    spec,
  )
