"""Layers that models share: NHWC images [B, H, W, C], float32 parameters."""

from gan.models.layers.attention import SelfAttention
from gan.models.layers.convolution import conv, conv_transpose
from gan.models.layers.dropout import Dropout
from gan.models.layers.fir import fir_down, fir_smooth, fir_up
from gan.models.layers.fir_conv import fir_conv_down, fir_conv_up
from gan.models.layers.fixup import Basis, fixup, unit_gain
from gan.models.layers.grouped import GroupedConv, grouped_conv
from gan.models.layers.labels import (
  FEATURES,
  PROJECTION,
  LabelledLatents,
  ProjectionLogit,
  judged,
  told,
)
from gan.models.layers.linear import Conv, Dense, Embed, leaky_relu, torch_uniform
from gan.models.layers.norms import ConditionalNorm, Norm, SelfModulatedNorm, modulate
from gan.models.layers.resampling import max_pool, mean_pool, nearest_up
from gan.models.layers.residual import DownBlock, UpBlock
from gan.models.layers.spectral import SPECTRAL, normalised, singular_triple
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
  "FEATURES",
  "PROJECTION",
  "Bias",
  "Conv",
  "Dense",
  "DownBlock",
  "Dropout",
  "EqualizedConv",
  "EqualizedDense",
  "SPECTRAL",
  "ConditionalNorm",
  "Embed",
  "Basis",
  "GroupedConv",
  "LabelledLatents",
  "LearntConstant",
  "MappingNetwork",
  "MinibatchStd",
  "ModulatedConv",
  "Noise",
  "Norm",
  "ProjectionLogit",
  "SelfAttention",
  "SelfModulatedNorm",
  "UpBlock",
  "conv",
  "conv_transpose",
  "demodulation",
  "fir_conv_down",
  "fir_conv_up",
  "fir_down",
  "fir_smooth",
  "fir_up",
  "fixup",
  "grouped_conv",
  "judged",
  "leaky_relu",
  "max_pool",
  "mean_pool",
  "modulate",
  "nearest_up",
  "normalised",
  "singular_triple",
  "minibatch_std",
  "pixel_norm",
  "scaled_leaky_relu",
  "torch_uniform",
  "unit_gain",
  "told",
]
