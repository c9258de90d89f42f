"""Layers that models share: NHWC images [B, H, W, C], float32 parameters."""

from gan.models.layers.convolution import conv, conv_transpose
from gan.models.layers.dropout import Dropout
from gan.models.layers.labels import PROJECTION, LabelledLatents, ProjectionLogit
from gan.models.layers.linear import Conv, Dense, Embed, leaky_relu, torch_uniform
from gan.models.layers.norms import ConditionalNorm, Norm, SelfModulatedNorm, modulate
from gan.models.layers.resampling import mean_pool, nearest_up
from gan.models.layers.spectral import SPECTRAL, normalised, singular_triple

__all__ = [
  "PROJECTION",
  "SPECTRAL",
  "ConditionalNorm",
  "Conv",
  "Dense",
  "Dropout",
  "Embed",
  "LabelledLatents",
  "Norm",
  "ProjectionLogit",
  "SelfModulatedNorm",
  "conv",
  "conv_transpose",
  "leaky_relu",
  "mean_pool",
  "modulate",
  "nearest_up",
  "normalised",
  "singular_triple",
  "torch_uniform",
]
