"""Convolutions as matrix products over patches, and transposed ones as convolutions to blocks.

XLA's CPU backend runs these forms fast; the package chooses between them and the plain ones. With a
stride s that divides the kernel's side k, n = k/s, an image padded as for "SAME" falls into blocks
of s x s pixels, and each window of the convolution covers n x n whole blocks.

    patches(x) is [B, p, q, n n s s c]; conv(x, w) = patches(x) W, with W the kernel as a matrix

and, as the adjoint of a product of two maps is that of their adjoints in the other order,

    conv_transpose(g, w) = add_patches(g W^T),  add_patches the adjoint of patches.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

Images = Float[Array | np.ndarray, "b h w c"]
Kernel = Float[Array | np.ndarray, "k k c f"]
Maps = Float[Array | np.ndarray, "b p q f"]


def conv(images: Images, kernel: Kernel, stride: int) -> Maps:
  """Strided convolution with padding "SAME", as one product over patches."""
  return patches(images, len(kernel), stride) @ _matrix(kernel, stride)


def conv_transpose(inputs: Maps, kernel: Kernel, stride: int) -> Images:
  """The adjoint of `conv`, as one product and a sum over overlapping patches."""
  return add_patches(inputs @ _matrix(kernel, stride).T, len(kernel), stride)


def conv_transpose_to_blocks(inputs: Maps, kernel: Kernel, stride: int) -> Images:
  """The adjoint of `conv`, as a convolution whose channels are the pixels of a block.

  It makes the blocks that padding adds too, and drops them: ((p + n - 1) / p)^2 times the work.

  See "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
  Neural Network" by Shi et al. (https://arxiv.org/abs/1609.05158).
  """
  channels, rim = kernel.shape[2], len(kernel) // stride - 1
  # [n, n, f, s s c]: a block gets the taps of the inputs before it, hence from the far end on.
  taps = _by_blocks(kernel, stride)[::-1, ::-1].transpose(0, 1, 5, 2, 3, 4)
  taps = taps.reshape(*taps.shape[:3], -1)
  padding = [(rim, rim), (rim, rim)]
  blocks = lax.conv_general_dilated(
    inputs, taps, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
  )
  return _from_blocks(blocks, len(kernel), stride, channels)


def kernel_gradient(images: Images, cotangent: Maps, kernel: Kernel, stride: int) -> Kernel:
  """The gradient of <cotangent, conv(images, kernel)> in the kernel, for kernels of one block."""
  # Of matrices: from pixels in three dimensions XLA makes a transposed copy of one side.
  covered = patches(images, len(kernel), stride)
  rows = covered.reshape(-1, covered.shape[-1])
  gradient = jnp.einsum("pm,pf->mf", rows, cotangent.reshape(-1, cotangent.shape[-1]))
  return gradient.reshape(kernel.shape)


def patches(images: Images, kernel_size: int, stride: int) -> Float[Array | np.ndarray, "b p q m"]:
  """What each window covers: [B, h, w, c] -> [B, h/s, w/s, k k c], block after block."""
  blocks, count = _to_blocks(images, kernel_size, stride), kernel_size // stride
  height, width = (side - count + 1 for side in blocks.shape[1:3])
  covered = [blocks[:, i : i + height, j : j + width] for i in range(count) for j in range(count)]
  return jnp.concatenate(covered, axis=-1)


def add_patches(
  covered: Float[Array | np.ndarray, "b p q m"], kernel_size: int, stride: int
) -> Images:
  """The adjoint of `patches`: adds up what all windows hold of each pixel."""
  count = kernel_size // stride
  parts = covered.reshape(*covered.shape[:3], count, count, -1)
  blocks = sum(
    jnp.pad(parts[:, :, :, i, j], ((0, 0), (i, count - 1 - i), (j, count - 1 - j), (0, 0)))
    for i in range(count)
    for j in range(count)
  )
  return _from_blocks(blocks, kernel_size, stride, blocks.shape[-1] // stride**2)


def _to_blocks(images, kernel_size, stride):
  """[B, h, w, c] -> [B, h/s + n - 1, w/s + n - 1, s s c], padded as for "SAME"."""
  batch, channels = images.shape[0], images.shape[-1]
  low, high = _padding(kernel_size, stride)
  padded = jnp.pad(images, ((0, 0), (low, high), (low, high), (0, 0)))
  rows, columns = (side // stride for side in padded.shape[1:3])
  split = padded.reshape(batch, rows, stride, columns, stride, channels)
  return split.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows, columns, -1)


def _from_blocks(blocks, kernel_size, stride, channels):
  """The adjoint of `_to_blocks`: lays blocks side by side and cuts the padding off."""
  batch, rows, columns, _ = blocks.shape
  split = blocks.reshape(batch, rows, columns, stride, stride, channels)
  images = split.transpose(0, 1, 3, 2, 4, 5)
  images = images.reshape(batch, rows * stride, columns * stride, channels)
  low, high = _padding(kernel_size, stride)
  return images[:, low : images.shape[1] - high, low : images.shape[2] - high]


def _padding(kernel_size, stride):
  """Pixels that "SAME" adds before and behind, where the stride divides the image's side."""
  return (kernel_size - stride) // 2, (kernel_size - stride + 1) // 2


def _by_blocks(kernel, stride):
  """[k, k, c, f] -> [n, n, s, s, c, f]."""
  count = len(kernel) // stride
  split = kernel.reshape(count, stride, count, stride, *kernel.shape[2:])
  return split.transpose(0, 2, 1, 3, 4, 5)


def _matrix(kernel, stride):
  """The kernel as a matrix [k k c, f], rows in the order of `patches`."""
  return _by_blocks(kernel, stride).reshape(-1, kernel.shape[-1])
