"""DINOv2: the class token of a vision transformer, from its published weights.

"DINOv2: Learning Robust Visual Features without Supervision" by Oquab et al.
(https://arxiv.org/abs/2304.07193), ViT-S, B and L with patches of 14 pixels, without registers; and
"Exposing flaws of generative model evaluation metrics" by Stein et al.
(https://arxiv.org/abs/2306.04675), whose FD_DINOv2 is the Frechet distance of features of ViT-L/14.

The files are `dinov2_vits14_pretrain.pth`, `dinov2_vitb14_pretrain.pth` and
`dinov2_vitl14_pretrain.pth`, of https://github.com/facebookresearch/dinov2.
"""

import functools
import math
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from gan.errors import look_up
from gan.metrics.extractors import tf1_resize, weights
from gan.metrics.extractors.base import Extractor
from gan.system import tensors

SIZE, PATCH = 224, 14
GRID = SIZE // PATCH  # patches a side
TRAINED_GRID = 37  # of the positions in the file: 518 pixels
HEAD = 64  # features of a head of attention
BATCH_SIZE = 16
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, of colours in [0, 1]
EPSILON = 1e-6  # of layer normalisation
# Of bicubic interpolation in PyTorch; Pillow's is -0.5.
_CUBIC = -0.75
_IGNORED = "mask_token"  # of training


class Size(NamedTuple):
  """A published network: its name, its width, and how many blocks it has."""

  name: str
  width: int
  depth: int


SIZES = (Size("ViT-S/14", 384, 12), Size("ViT-B/14", 768, 12), Size("ViT-L/14", 1024, 24))


def shapes(size: Size) -> dict[str, tuple[int, ...]]:
  """Returns the shape of every array of the file that is used, linear layers [out, in]."""
  width = size.width
  found: dict[str, tuple[int, ...]] = {
    "cls_token": (1, 1, width),
    "pos_embed": (1, 1 + TRAINED_GRID**2, width),
    "patch_embed.proj.weight": (width, 3, PATCH, PATCH),
    "patch_embed.proj.bias": (width,),
  }
  for block in range(size.depth):
    found |= {f"blocks.{block}.{name}": shape for name, shape in _block_shapes(width).items()}
  return found | {"norm.weight": (width,), "norm.bias": (width,)}


def _block_shapes(width: int) -> dict[str, tuple[int, ...]]:
  linear = {"attn.qkv": (3, 1), "attn.proj": (1, 1), "mlp.fc1": (4, 1), "mlp.fc2": (1, 4)}
  found: dict[str, tuple[int, ...]] = {"ls1.gamma": (width,), "ls2.gamma": (width,)}
  for name in ("norm1", "norm2"):
    found |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
  for name, (out, given) in linear.items():
    found |= {f"{name}.weight": (out * width, given * width), f"{name}.bias": (out * width,)}
  return found


def positions(embedding: Float[np.ndarray, "1 p d"]) -> Float[np.ndarray, "1 q d"]:
  """Returns the embedding of positions for 16 x 16 patches and the class token, which comes first.

  As in the authors' code, bicubic (a = -0.75, no filter before) by the factor s = 16.1 / 37, not
  16 / 37: patch i lies at (i + 0.5) / s - 0.5 of the file's 37.

  Args:
    embedding: of the class token and 37 x 37 patches.
  """
  matrix = _cubic_matrix()
  grid = embedding[0, 1:].reshape(TRAINED_GRID, TRAINED_GRID, -1).astype(np.float64)
  resized = np.einsum("ia,jb,abd->ijd", matrix, matrix, grid, optimize=True)
  patches = resized.reshape(1, GRID**2, -1).astype(np.float32)
  return np.concatenate([embedding[:, :1], patches], axis=1)


def _cubic_matrix() -> np.ndarray:
  """Weights [16, 37] of the file's places, which end at the edge, for each of ours."""
  places = (np.arange(GRID) + 0.5) * (TRAINED_GRID / (GRID + 0.1)) - 0.5
  matrix = np.zeros((GRID, TRAINED_GRID))
  for row, place in enumerate(places):
    for near in range(math.floor(place) - 1, math.floor(place) + 3):
      matrix[row, np.clip(near, 0, TRAINED_GRID - 1)] += _cubic(abs(place - near))
  return matrix


def _cubic(distance: float) -> float:
  """Keys' cubic convolution at a distance in [0, 2]."""
  a, x = _CUBIC, distance
  if x <= 1:
    return ((a + 2) * x - (a + 3)) * x * x + 1
  return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a


def features(params: Mapping[str, Any], images: Float[Array, "n 224 224 3"]) -> Float[Array, "n d"]:
  """Returns the class token after the last normalisation.

  Args:
    params: arrays of `shapes` by name, "pos_embed" after `positions`.
    images: of unit variance by ImageNet's mean and standard deviation of each colour.
  """
  tokens = _embedded(params, images)
  for block in range(sum(name.endswith("ls1.gamma") for name in params)):
    tokens = _block(_below(params, f"blocks.{block}."), tokens)
  return _normalised(_below(params, "norm."), tokens[:, 0])


def _below(params: Mapping[str, Any], prefix: str) -> dict[str, Any]:
  return {
    name.removeprefix(prefix): array for name, array in params.items() if name.startswith(prefix)
  }


def _embedded(params, images):
  """Patches as a product: [n, 1 + 256, d], with the class token first."""
  count = len(images)
  patches = images.reshape(count, GRID, PATCH, GRID, PATCH, 3).transpose(0, 1, 3, 5, 2, 4)
  kernel = params["patch_embed.proj.weight"].reshape(-1, 3 * PATCH**2)
  embedded = patches.reshape(count, GRID**2, -1) @ kernel.T
  embedded += params["patch_embed.proj.bias"][None, None]
  first = jnp.broadcast_to(params["cls_token"], (count, 1, kernel.shape[0]))
  return jnp.concatenate([first, embedded], axis=1) + params["pos_embed"]


def _block(params, tokens):
  attended = _attention(_below(params, "attn."), _normalised(_below(params, "norm1."), tokens))
  tokens = tokens + params["ls1.gamma"][None, None] * attended
  hidden = _linear(params, "mlp.fc1", _normalised(_below(params, "norm2."), tokens))
  hidden = _linear(params, "mlp.fc2", jax.nn.gelu(hidden, approximate=False))
  return tokens + params["ls2.gamma"][None, None] * hidden


def _attention(params, tokens):
  count, places, width = tokens.shape
  parts = _linear(params, "qkv", tokens).reshape(count, places, 3, width // HEAD, HEAD)
  query, key, value = (parts[:, :, part] for part in range(3))
  return _linear(
    params, "proj", jax.nn.dot_product_attention(query, key, value).reshape(tokens.shape)
  )


def _linear(params, name, tokens):
  return tokens @ params[f"{name}.weight"].T + params[f"{name}.bias"][None, None]


def _normalised(params, tokens):
  ones = (1,) * (tokens.ndim - 1)
  centred = tokens - tokens.mean(axis=-1, keepdims=True)
  variance = jnp.square(centred).mean(axis=-1, keepdims=True)
  scale, bias = (params[name].reshape(*ones, -1) for name in ("weight", "bias"))
  return centred / jnp.sqrt(variance + EPSILON) * scale + bias


# Images, and the extractor.


def bicubic(images: UInt8[Array | np.ndarray, "n h w c"]) -> UInt8[np.ndarray, "n 224 224 c"]:
  """Returns images that Pillow resized to 224 x 224 pixels, by a = -0.5 and with its filter."""
  return np.stack([_resized(image) for image in np.asarray(images)])


def _resized(image):
  from PIL import Image

  grey = image.shape[-1] == 1
  picture = Image.fromarray(image[..., 0] if grey else image)
  resized = np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
  return resized[..., None] if grey else resized


def _bilinear(images):
  return tf1_resize.resize(images, SIZE)


class Resize(NamedTuple):
  """A way to 224 pixels: what is done on the host, then on the device, and what a record says."""

  before: Callable
  within: Callable
  words: str


def _unchanged(images):
  return images


RESIZES = {
  "bicubic": Resize(bicubic, _unchanged, "bicubic to 224 by Pillow"),
  "bilinear": Resize(_unchanged, _bilinear, "bilinear to 224 as TensorFlow 1"),
}


def make(path: str | os.PathLike, resize: str = "bicubic") -> Extractor:
  """Returns the extractor of FD_DINOv2, which has no logits.

  No device is asked for before it sees images.

  Args:
    path: the file of weights, whose shapes tell which of SIZES it is.
    resize: "bicubic", by which FD_DINOv2 is defined, or "bilinear", by which torch-fidelity
      resizes.

  Raises:
    UserError: there is no such resize; the file cannot be read, or holds other weights; images have
      neither one channel nor three.
  """
  way = look_up(RESIZES, resize, "a resize of DINOv2")
  arrays, size = _read(path)
  params = arrays | {"pos_embed": positions(arrays["pos_embed"])}
  return Extractor(
    name="dinov2",
    digest=tensors.digest(path),
    function=weights.on_device(params, functools.partial(_seen, within=way.within), way.before),
    image_shape=None,
    dataset=None,
    resize=way.words,
    batch_size=BATCH_SIZE,
    about={"network": size.name},
  )


def _read(path):
  found = {name: it for name, it in tensors.read(path).items() if name != _IGNORED}
  width = found["cls_token"].shape[-1:] if "cls_token" in found else ()
  size = next((size for size in SIZES if width == (size.width,)), SIZES[-1])
  what = f"DINOv2 {size.name} without registers, such as dinov2_vitl14_pretrain.pth"
  return weights.checked(found, shapes(size), path, what), size


def _seen(params, images, within):
  colour = jnp.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images
  mean, std = (255 * np.array(value, np.float32)[None, None, None] for value in (MEAN, STD))
  return features(params, (within(colour).astype(jnp.float32) - mean) / std), None
