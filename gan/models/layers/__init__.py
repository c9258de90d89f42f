"""Layers that models share: NHWC images [B, H, W, C], float32 parameters."""

from gan.models.layers.convolution import conv, conv_transpose
from gan.models.layers.dropout import Dropout
from gan.models.layers.fir import fir_down, fir_up
from gan.models.layers.fixup import Basis, fixup, unit_gain
from gan.models.layers.grouped import GroupedConv, grouped_conv
from gan.models.layers.labels import PROJECTION, LabelledLatents, ProjectionLogit
from gan.models.layers.linear import Conv, Dense, leaky_relu, torch_uniform
from gan.models.layers.norms import Norm

__all__ = [
  "PROJECTION",
  "Basis",
  "Conv",
  "Dense",
  "Dropout",
  "GroupedConv",
  "LabelledLatents",
  "Norm",
  "ProjectionLogit",
  "conv",
  "conv_transpose",
  "fir_down",
  "fir_up",
  "fixup",
  "grouped_conv",
  "leaky_relu",
  "torch_uniform",
  "unit_gain",
]
