"""What the step of a preset at full size needs, by shapes alone."""

import dataclasses
import math
from typing import NamedTuple

import jax

from experiments.roofline import program
from experiments.roofline.predictions import Memory
from experiments.scaling import presets
from gan.system.memory import tree_bytes
from gan.system.progress import say
from gan.training.build import DataInfo
from gan.training.config import Config


class Needs(NamedTuple):
  """Of a step.

  Attributes:
    name: of the preset.
    config: of its training.
    counts: of the mean step, as lowered for CUDA.
    memory: that one run takes.
  """

  name: str
  config: Config
  counts: program.Counts
  memory: Memory


def precisions(name: str) -> list[str]:
  """Returns the precisions of a preset that are counted: float32, and its source's."""
  return list(dict.fromkeys(("float32", presets.config_of(name).precision)))


def of_preset(name: str, precision: str) -> Needs:
  """Returns what a preset needs in a precision."""
  say(f"{name}, {precision}: lowering for CUDA")
  config = dataclasses.replace(presets.config_of(name), precision=precision)
  return of_config(name, config, presets.data_of(name))


def of_config(name: str, config: Config, info: DataInfo) -> Needs:
  """Returns what a config needs on data of these sizes."""
  step = presets.parts(config, info)["step"]
  traced = jax.jit(step.function, donate_argnums=0).trace(*step.arguments)
  jaxpr = traced.jaxpr.jaxpr
  module = traced.lower(lowering_platforms=("cuda",)).compiler_ir()
  counts = program.counts(module, share=1 / config.penalty_every)
  pixel = 1 if len(info.image_shape) == 3 else 4  # uint8; points are float32
  data = pixel * info.num_examples * math.prod(info.image_shape)
  state, least = tree_bytes(step.arguments[0]), presets.peak(jaxpr, of_products=True)
  return Needs(name, config, counts, Memory(data, state, least, presets.peak(jaxpr)))
