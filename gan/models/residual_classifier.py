"""The residual classifier of colour images whose pooled last maps serve as features.

Blocks are those of "Deep Residual Learning for Image Recognition" by He, Zhang, Ren and Sun
(https://arxiv.org/abs/1512.03385), few and wide so that a CPU trains them in an hour.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gan.models.layers import Conv, Dense, Norm, max_pool
from gan.networks import Network, from_linen

SMALLEST_SIDE = 8  # three times halved
EPSILON = 1e-5  # of the batch normalisation
_HE = nn.initializers.he_normal()


class ResidualClassifier(nn.Module):
  """Images [B, H, W, C] in [-1, 1] -> (features [B, F], logits [B, num_classes]).

  Each stage is a convolution, a pool of two by two that leaves out a last odd row or column, and
  where it says so a residual block.

  Attributes:
    num_classes: number of logits.
    folded: whether the batch normalisation is folded into the convolutions, see `fold`.
    stem: channels before the first stage.
    stages: (channels, whether a residual block follows) of each; the last channels are F.
  """

  num_classes: int
  folded: bool = False
  stem: int = 32
  stages: tuple[tuple[int, bool], ...] = ((64, True), (128, True), (192, False))

  @nn.compact
  def __call__(
    self, images: Float[Array, "b h w c"], *, train: bool
  ) -> tuple[Float[Array, "b f"], Float[Array, "b k"]]:
    def block(channels: int, inputs: Array) -> Array:
      return _Block(channels, self.folded)(inputs, train=train)

    hidden = block(self.stem, images)
    for channels, residual in self.stages:
      hidden = max_pool(_even(block(channels, hidden)))
      if residual:
        hidden = hidden + block(channels, block(channels, hidden))
    features = jnp.mean(hidden, axis=(1, 2))
    return features, Dense(self.num_classes, kernel_init=_HE)(features)


class _Block(nn.Module):
  """Convolution, normalisation, ReLU."""

  channels: int
  folded: bool

  @nn.compact
  def __call__(self, inputs: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h w f"]:
    hidden = Conv(self.channels, 3, 1, use_bias=self.folded, kernel_init=_HE)(inputs)
    if not self.folded:
      hidden = Norm("batch", epsilon=EPSILON)(hidden, train=train)
    return jax.nn.relu(hidden)


def _even(images: Float[Array, "b h w c"]) -> Float[Array, "b p q c"]:
  return images[:, : images.shape[1] // 2 * 2, : images.shape[2] // 2 * 2]


def build(image_shape: tuple[int, int, int], num_classes: int, *, folded: bool = False) -> Network:
  """Returns the classifier as a Network whose outputs are (features, logits).

  Args:
    image_shape: (H, W, C), sides of at least SMALLEST_SIDE.
    num_classes: number of logits.
    folded: whether it is the form of `fold`, which has no model state.
  """
  image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
  return from_linen(ResidualClassifier(num_classes, folded=folded), image)


def fold(params: Any, model_state: Any) -> Any:
  """Returns the parameters of the folded form, which gives the same outputs as the trained one.

  s = scale / sqrt(variance + epsilon); the kernel becomes s kernel, the bias bias - s mean.

  Args:
    params: of `build`.
    model_state: its batch statistics.
  """
  folded = {name: layer for name, layer in params.items() if not name.startswith("_Block")}
  for name, statistics in model_state["batch_stats"].items():
    conv, norm = params[name]["Conv_0"], params[name]["Norm_0"]["BatchNorm_0"]
    seen = statistics["Norm_0"]["BatchNorm_0"]
    factor = norm["scale"] / jnp.sqrt(seen["var"] + EPSILON)
    kernel = conv["kernel"] * factor.reshape(1, 1, 1, -1)
    folded[name] = {"Conv_0": {"kernel": kernel, "bias": norm["bias"] - factor * seen["mean"]}}
  return folded
