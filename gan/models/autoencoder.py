"""A DCGAN whose discriminator is an autoencoder, as in EBGAN and BEGAN.

See "Energy-based Generative Adversarial Network" by Zhao et al. (https://arxiv.org/abs/1609.03126)
and "BEGAN: Boundary Equilibrium Generative Adversarial Networks" by Berthelot et al.
(https://arxiv.org/abs/1703.10717); layers are those of `dcgan`, and not of these sources.
"""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gan.errors import UserError
from gan.models.dcgan import DCGAN_INIT, Generator
from gan.models.layers import Conv, Dense, LabelledLatents, leaky_relu
from gan.models.spec import ModelSpec, halvings, of_spec, require_images, to_networks
from gan.networks import Network, Outputs


class Discriminator(nn.Module):
  """Images [B, H, W, C] -> code -> images like them; the logit is minus the mean absolute error.

  No normalisation: no example sees another. It is for losses that need the residual, `ebgan` and
  `began`: others draw logits to values above 0, which no error has.

  Attributes:
    channels: of every layer of the encoder, each of which halves the side; back in the decoder.
    code_dim: length of the code.
  """

  channels: tuple[int, ...]
  code_dim: int = 64
  num_classes: int = 0
  dtype: Any = jnp.float32
  outputs: tuple[str, ...] = ()

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w c"], labels: Int[Array, " b"] | None, *, train: bool
  ) -> Float[Array, " b"] | Outputs:
    del train
    options = {"kernel_init": DCGAN_INIT, "dtype": self.dtype}
    hidden = images
    for channels in self.channels:
      hidden = leaky_relu(Conv(channels, **options)(hidden))
    shape = hidden.shape
    code = Dense(self.code_dim, **options)(hidden.reshape(len(hidden), -1))
    code = LabelledLatents(self.num_classes)(code, labels)
    hidden = leaky_relu(Dense(shape[1] * shape[2] * shape[3], **options)(code).reshape(shape))
    for channels in self.channels[-2::-1]:
      hidden = leaky_relu(Conv(channels, transpose=True, **options)(hidden))
    made = Conv(images.shape[-1], transpose=True, **options)(hidden).astype(jnp.float32)
    residual = images.astype(jnp.float32) - jnp.tanh(made)
    logits = -jnp.mean(jnp.abs(residual), axis=(1, 2, 3))
    return Outputs(logits, residual=residual) if "residual" in self.outputs else logits


def build(spec: ModelSpec, *, code_dim: int = 64) -> tuple[Network, Network]:
  """Returns (generator, discriminator) with `width` (64), 2 width, ... channels.

  Args:
    spec: sides of 4 to 7 times a power of two (28, 32, 64), any number of channels. With labels
      both the generator's latents and the code have them.
    code_dim: length of the discriminator's code

  Raises:
    UserError: the images do not fit, or the code has no length.
  """
  require_images("autoencoder", spec)
  if code_dim < 1:
    raise UserError(f"`code_dim={code_dim}` must be above 0")
  layers = halvings("autoencoder", spec.image_shape[0])
  channels = tuple((spec.width or 64) * 2**layer for layer in range(layers))
  return to_networks(
    Generator(spec.image_shape, channels[::-1], **of_spec(spec)),
    Discriminator(channels, code_dim=code_dim, num_classes=spec.num_classes, dtype=spec.dtype),
    spec,
    joint=True,
  )
