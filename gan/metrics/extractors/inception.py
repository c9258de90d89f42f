"""The Inception network of the FID and of the Inception score, from its published weights.

"Rethinking the Inception Architecture for Computer Vision" by Szegedy et al.
(https://arxiv.org/abs/1512.00567), in the version of 2015-12-05 that Heusel et al. use
(https://arxiv.org/abs/1706.08500). It differs from the network of torchvision: average pools leave
padding out, the last block has a maximum in the place of one, and there are 1,008 classes.

The file of weights is `pt_inception-2015-12-05-6726825d.pth`, of the releases of pytorch-fid, with
a copy in those of torch-fidelity; its name holds the start of its SHA-256.
"""

import functools
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, UInt8

from gan.errors import UserError, look_up
from gan.metrics.extractors import tf1_resize, weights
from gan.metrics.extractors.base import Extractor
from gan.metrics.extractors.inception_blocks import STAGES, Conv, Step, convs
from gan.system import tensors

FILE = "pt_inception-2015-12-05-6726825d.pth"
OF_RECORD = "6726825d"  # the start of the digest of FILE
SIZE = 299
CLASSES = 1008
BATCH_SIZE = 32
EPSILON = 1e-3  # of batch normalisation
_TRACKER = ".bn.num_batches_tracked"  # a count of training, which some files have
ALL = list(STAGES.values())


def shapes() -> dict[str, tuple[int, ...]]:
  """Returns the shape of every array of the file, convolutions [out, in, height, width]."""
  found: dict[str, tuple[int, ...]] = {}
  for conv, channels in convs(ALL, 3):
    found[f"{conv.name}.conv.weight"] = (conv.features, channels, *conv.kernel)
    for part in ("weight", "bias", "running_mean", "running_var"):
      found[f"{conv.name}.bn.{part}"] = (conv.features,)
  return found | {"fc.weight": (CLASSES, 2048), "fc.bias": (CLASSES,)}


def fold(arrays: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
  """Returns (kernel, bias) of every layer, with batch normalisation in them.

  gamma (w * x - mean) / sqrt(var + 1e-3) + beta is the convolution by w gamma / sqrt(var + 1e-3)
  and the bias beta - mean gamma / sqrt(var + 1e-3), here in float64 and then rounded once.

  Args:
    arrays: of the shapes of `shapes`.

  Returns:
    By name: kernels [height, width, in, out] and biases [out]; of "fc" [in, out].
  """
  names = [conv.name for conv, _ in convs(ALL, 3)]
  return {name: _folded(arrays, name) for name in names} | {
    "fc": (arrays["fc.weight"].T, arrays["fc.bias"])
  }


def _folded(arrays, name):
  weight, bias, mean, variance = (
    arrays[f"{name}.bn.{part}"].astype(np.float64)
    for part in ("weight", "bias", "running_mean", "running_var")
  )
  scale = weight / np.sqrt(variance + EPSILON)
  kernel = arrays[f"{name}.conv.weight"].transpose(2, 3, 1, 0) * scale
  return kernel.astype(np.float32), (bias - mean * scale).astype(np.float32)


def outputs(params: Any, images: UInt8[Array, "n h w c"]) -> dict[str, Float[Array, "n f"]]:
  """Returns what the network says of images.

  Images are resized to 299 x 299 as TensorFlow 1 does, and mapped by (x - 128) / 128.

  Args:
    params: of `fold`.
    images: of any size, with one channel, which is seen three times, or three.

  Returns:
    "64", "192", "768" and "2048", the means over places of the stages' ends; "logits_unbiased",
    without the bias of the last layer, which the Inception score is of; and "logits".
  """
  colour = jnp.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images
  hidden, found = (tf1_resize.resize(colour, SIZE) - 128) / 128, {}
  for name, stage in STAGES.items():
    hidden = run(params, stage, hidden)
    found[name] = hidden.mean(axis=(1, 2))
  kernel, bias = params["fc"]
  logits = found["2048"] @ kernel
  return found | {"logits_unbiased": logits, "logits": logits + bias[None]}


def run(params: Any, step: Step, hidden: Float[Array, "n h w c"]) -> Float[Array, "n a b d"]:
  """Returns what a step makes of activations.

  Args:
    params: of `fold`, at least those of the step.
    step: of `inception_blocks`.
    hidden: before it.
  """
  if isinstance(step, Conv):
    return _convolved(params, step, hidden)
  if isinstance(step, tuple):
    return jnp.concatenate([run(params, branch, hidden) for branch in step], axis=-1)
  if isinstance(step, list):
    return functools.reduce(lambda before, part: run(params, part, before), step, hidden)
  return step(hidden)


def _convolved(params, conv: Conv, hidden):
  kernel, bias = params[conv.name]
  layout, strides = ("NHWC", "HWIO", "NHWC"), (conv.stride, conv.stride)
  product = lax.conv_general_dilated(
    hidden, kernel, strides, conv.padding, dimension_numbers=layout
  )
  return jax.nn.relu(product + bias[None, None, None])


def make(path: str | os.PathLike, features: str = "2048") -> Extractor:
  """Returns the extractor of the FID, whose logits are those of the Inception score.

  No device is asked for before it sees images.

  Args:
    path: the file of weights, or one of the same names and shapes in another format.
    features: "64", "192", "768" or "2048", which is that of the FID.

  Raises:
    UserError: there are no such features; the file cannot be read, or holds other weights; images
      have neither one channel nor three.
  """
  look_up(STAGES, features, "a layer of Inception")
  arrays = _read(path)
  digest = tensors.digest(path)
  return Extractor(
    name="inception",
    digest=digest,
    function=weights.on_device(fold(arrays), functools.partial(_seen, features=features)),
    image_shape=None,
    dataset=None,
    resize="bilinear to 299 as TensorFlow 1",
    batch_size=BATCH_SIZE,
    about={"features": features, "of_record": digest.startswith(OF_RECORD)},
  )


def _read(path):
  found = {name: it for name, it in tensors.read(path).items() if not name.endswith(_TRACKER)}
  arrays = weights.checked(found, shapes(), path, f"the Inception of the FID, {FILE}")
  for name, array in arrays.items():
    if name.endswith("running_var") and array.min() < 0:
      raise UserError(f"{path} does not hold {FILE}: {name} is below 0")
  return arrays


def _seen(params, images, features):
  found = outputs(params, images)
  return found[features], found["logits_unbiased"]
