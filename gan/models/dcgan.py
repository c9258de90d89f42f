"""Convolutional GANs: a stack of transposed convolutions against a stack of strided ones.

See "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks"
by Radford, Metz and Chintala (https://arxiv.org/abs/1511.06434). Three networks of one shape:

* `build`, for 28, 32 and 64 pixels; no normalisation in the discriminator unless asked for, so that
  one architecture serves every loss and every gradient penalty;
* `build_firstgan`, the 64-pixel network of https://github.com/s-abdullah/FirstGAN;
* `build_tutorial`, the 64-pixel network of https://github.com/diegoalejogm/gans.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gan.errors import UserError
from gan.models.layers import (
  PROJECTION,
  Conv,
  Dense,
  LabelledLatents,
  Norm,
  ProjectionLogit,
  leaky_relu,
  told,
  torch_uniform,
)
from gan.models.spec import ModelSpec, halvings, of_spec, require_images, to_networks
from gan.networks import Network, Outputs

DCGAN_INIT = nn.initializers.normal(0.02)  # DCGAN, section 4
ONES = nn.initializers.ones


class Generator(nn.Module):
  """Latents [B, Z] -> dense to channels[0] -> transposed convolutions -> images in (-1, 1).

  Attributes:
    image_shape: (H, W, C); each of the len(channels) transposed convolutions doubles the side.
    channels: of the projected latent and of every hidden layer.
    kernel_init: initialiser of all weights but the projection's; None for PyTorch's default.
    project_init: initialiser of the projection.
    project_bias: whether the projection has a bias, and then neither normalisation nor activation.
    output_bias: whether the last layer has a bias.
    scale_init: initialiser of the scales of batch normalisation.
  """

  image_shape: tuple[int, ...]
  channels: tuple[int, ...]
  kernel_init: Callable[..., Array] | None = DCGAN_INIT
  project_init: Callable[..., Array] | None = DCGAN_INIT
  project_bias: bool = False
  output_bias: bool = True
  scale_init: Callable[..., Array] = ONES
  num_classes: int = 0
  dtype: Any = jnp.float32
  axis_name: Any = ()

  @nn.compact
  def __call__(
    self, latents: Float[Array, "b z"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, "b h w c"]:
    def norm_relu(hidden):
      norm = Norm("batch", self.scale_init, axis_name=self.axis_name, dtype=self.dtype)
      return jax.nn.relu(norm(hidden, train=train))

    conv_options = {"transpose": True, "kernel_init": self.kernel_init, "dtype": self.dtype}
    hidden = self._project(LabelledLatents(self.num_classes)(latents, labels))
    hidden = hidden if self.project_bias else norm_relu(hidden)
    for channels in self.channels[1:]:
      hidden = norm_relu(Conv(channels, use_bias=False, **conv_options)(hidden))
    images = Conv(self.image_shape[-1], use_bias=self.output_bias, **conv_options)(hidden)
    return jnp.tanh(images.astype(jnp.float32))

  def _project(self, latents):
    side, channels = self.image_shape[0] // 2 ** len(self.channels), self.channels[0]
    dense = Dense(
      side * side * channels,
      use_bias=self.project_bias,
      kernel_init=self.project_init,
      dtype=self.dtype,
    )
    return dense(latents).reshape(-1, side, side, channels)


class Discriminator(nn.Module):
  """Images [B, H, W, C] -> strided convolutions -> dense -> logits [B].

  Attributes:
    channels: of every layer; each halves the side. The first has no normalisation.
    norm: one of NORMS.
    hidden: units of a dense layer before the logit, 0 for none.
    conv_bias: whether convolutions without normalisation have a bias.
    output_bias: whether the last layer has a bias.
    kernel_init: initialiser of the convolutions; None for PyTorch's default.
    output_init: initialiser of the last layer.
    scale_init: initialiser of the scales of the normalisation.
  """

  channels: tuple[int, ...]
  norm: str = "none"
  hidden: int = 0
  conv_bias: bool = True
  output_bias: bool = True
  kernel_init: Callable[..., Array] | None = DCGAN_INIT
  output_init: Callable[..., Array] | None = DCGAN_INIT
  scale_init: Callable[..., Array] = ONES
  num_classes: int = 0
  dtype: Any = jnp.float32
  axis_name: Any = ()
  outputs: tuple[str, ...] = ()

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w c"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, " b"] | Outputs:
    options = {"dtype": self.dtype, "spectral": int(self.norm == "spectral")}
    hidden = images
    for layer, channels in enumerate(self.channels):
      norm = self.norm if layer else "none"
      use_bias = self.conv_bias and norm in ("none", "spectral")
      conv = Conv(channels, use_bias=use_bias, kernel_init=self.kernel_init, **options)
      hidden = conv(hidden)
      normalise = Norm(norm, self.scale_init, axis_name=self.axis_name, dtype=self.dtype)
      hidden = leaky_relu(normalise(hidden, train=train))
    hidden = hidden.reshape(hidden.shape[0], -1)
    if self.hidden:
      dense = Dense(self.hidden, kernel_init=self.kernel_init, **options)
      hidden = leaky_relu(dense(hidden))
    output = Dense(1, use_bias=self.output_bias, kernel_init=self.output_init, **options)
    logits = output(hidden)[:, 0].astype(jnp.float32)
    if self.num_classes:
      spectral = options["spectral"]
      project = ProjectionLogit(self.num_classes, spectral=spectral, name=PROJECTION)
      logits = logits + project(hidden, labels)
    return told(logits, hidden, output, self.outputs)


def build(spec: ModelSpec) -> tuple[Network, Network]:
  """Returns (generator, discriminator) with `width` (64), 2 width, ... channels.

  Args:
    spec: sides of 4 to 7 times a power of two (28, 32, 64), any number of channels.
  """
  require_images("dcgan", spec)
  layers = halvings("dcgan", spec.image_shape[0])
  channels = tuple((spec.width or 64) * 2**layer for layer in range(layers))
  shared = of_spec(spec)
  return to_networks(
    Generator(spec.image_shape, channels[::-1], **shared),
    Discriminator(
      channels,
      norm=spec.discriminator_norm or "none",
      hidden=spec.discriminator_hidden or 0,
      **shared,
    ),
    spec,
  )


def build_firstgan(spec: ModelSpec) -> tuple[Network, Network]:
  """Returns FirstGAN's networks: 512-256-128-64, no biases, PyTorch's default initialisers."""
  _require_64_pixels("firstgan_dcgan", spec)
  init = {"kernel_init": None, "output_bias": False}
  channels = (64, 128, 256, 512)
  # The source projects by a 4x4 transposed convolution: PyTorch reads its fan-in off the output.
  project_init = torch_uniform(16 * channels[-1])
  generator = Generator(
    spec.image_shape, channels[::-1], project_init=project_init, **init, **of_spec(spec)
  )
  discriminator = Discriminator(
    channels, norm="batch", conv_bias=False, output_init=None, **init, **of_spec(spec)
  )
  return to_networks(generator, discriminator, spec)


def build_tutorial(spec: ModelSpec) -> tuple[Network, Network]:
  """Returns the tutorial's networks: 1024-512-256-128, N(0, .02) on kernels and on scales.

  Scales of batch normalisation start around 0, not 1: so does the tutorial's code.
  """
  _require_64_pixels("tutorial_dcgan", spec)
  init = {"scale_init": DCGAN_INIT}
  channels = (128, 256, 512, 1024)
  generator = Generator(
    spec.image_shape,
    channels[::-1],
    project_init=None,
    project_bias=True,
    output_bias=False,
    **init,
    **of_spec(spec),
  )
  discriminator = Discriminator(
    channels, norm="batch", conv_bias=False, output_init=None, **init, **of_spec(spec)
  )
  return to_networks(generator, discriminator, spec)


def _require_64_pixels(model, spec):
  require_images(model, spec)
  if spec.image_shape[0] != 64:
    raise UserError(
      f"`model={model}` makes images of 64x64, not {spec.image_shape[0]}x{spec.image_shape[0]}: "
      "add `image_size=64`"
    )
