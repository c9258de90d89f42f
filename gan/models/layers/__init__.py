"""Layers that models share: NHWC images [B, H, W, C], float32 parameters."""

from gan.models.layers.convolution import conv, conv_transpose
from gan.models.layers.dropout import Dropout
from gan.models.layers.labels import PROJECTION, LabelledLatents, ProjectionLogit
from gan.models.layers.linear import Conv, Dense, Embed, leaky_relu, torch_uniform
from gan.models.layers.norms import Norm
from gan.models.layers.spectral import SPECTRAL, normalised, singular_triple

__all__ = [
  "PROJECTION",
  "SPECTRAL",
  "Conv",
  "Dense",
  "Dropout",
  "Embed",
  "LabelledLatents",
  "Norm",
  "ProjectionLogit",
  "conv",
  "conv_transpose",
  "leaky_relu",
  "normalised",
  "singular_triple",
  "torch_uniform",
]
