"""Layers that models share: NHWC images [B, H, W, C], float32 parameters."""

from gan.models.layers.convolution import conv, conv_transpose
from gan.models.layers.dropout import Dropout
from gan.models.layers.fir import fir_down, fir_smooth, fir_up
from gan.models.layers.fir_conv import fir_conv_down, fir_conv_up
from gan.models.layers.labels import PROJECTION, LabelledLatents, ProjectionLogit
from gan.models.layers.linear import Conv, Dense, leaky_relu, torch_uniform
from gan.models.layers.norms import Norm
from gan.models.layers.style import (
  Bias,
  EqualizedConv,
  EqualizedDense,
  LearntConstant,
  MappingNetwork,
  MinibatchStd,
  ModulatedConv,
  Noise,
  demodulation,
  minibatch_std,
  pixel_norm,
  scaled_leaky_relu,
)

__all__ = [
  "PROJECTION",
  "Bias",
  "Conv",
  "Dense",
  "Dropout",
  "EqualizedConv",
  "EqualizedDense",
  "LabelledLatents",
  "LearntConstant",
  "MappingNetwork",
  "MinibatchStd",
  "ModulatedConv",
  "Noise",
  "Norm",
  "ProjectionLogit",
  "conv",
  "conv_transpose",
  "demodulation",
  "fir_conv_down",
  "fir_conv_up",
  "fir_down",
  "fir_smooth",
  "fir_up",
  "leaky_relu",
  "minibatch_std",
  "pixel_norm",
  "scaled_leaky_relu",
  "torch_uniform",
]
