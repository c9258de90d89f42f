"""The small convolutional classifier whose last hidden layer serves as features of images."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gan.models.layers import Conv, Dense
from gan.networks import Network, from_linen

FEATURES = 64
_HE = nn.initializers.he_normal()


class Classifier(nn.Module):
  """Images [B, H, W, C] in [-1, 1] -> (features [B, 64], logits [B, num_classes])."""

  num_classes: int
  channels: tuple[tuple[int, int, int], ...] = ((32, 5, 2), (64, 3, 1), (64, 4, 2))
  dropout: float = 0.5

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w c"], labels: None, *, train: bool
  ) -> tuple[Float[Array, "b f"], Float[Array, "b k"]]:
    del labels
    hidden = images
    for features, kernel_size, stride in self.channels:
      hidden = jax.nn.relu(Conv(features, kernel_size, stride, kernel_init=_HE)(hidden))
    hidden = hidden.reshape(hidden.shape[0], -1)
    hidden = nn.Dropout(self.dropout, deterministic=not train)(hidden)
    features = jax.nn.relu(Dense(FEATURES, kernel_init=_HE)(hidden))
    return features, Dense(self.num_classes, kernel_init=_HE)(features)


def build(image_shape: tuple[int, int, int], num_classes: int) -> Network:
  """Returns the classifier as a Network whose outputs are (features, logits).

  Args:
    image_shape: (H, W, C), sides divisible by 4.
    num_classes: number of logits.
  """
  image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
  return from_linen(Classifier(num_classes), image, None)
