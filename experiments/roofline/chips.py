"""Published peaks of accelerators: dense products, memory and its bandwidth."""

from typing import NamedTuple

from experiments.scaling.machines import MLPERF

BFLOAT16 = "bfloat16"


class Chip(NamedTuple):
  """An accelerator, in numbers of ten, not of two.

  Attributes:
    name: of the accelerator.
    memory: bytes.
    bandwidth: bytes a second, between memory and chip.
    peaks: FLOPs a second of dense products, by their kind: "bfloat16", or how exactly those of
      float32 are asked for, "default", "high" or "highest".
    sources: (what, value as published, where it was read).
  """

  name: str
  memory: float
  bandwidth: float
  peaks: dict[str, float]
  sources: tuple[tuple[str, str, str], ...]


def _gpu(bfloat16: float, tf32: float, float32: float) -> dict[str, float]:
  """Products of float32 are of TF32 unless they are asked for at their highest precision."""
  return {BFLOAT16: bfloat16, "default": tf32, "high": tf32, "highest": float32}


def _tpu(bfloat16: float) -> dict[str, float]:
  """Products of float32 are one, three or six of bfloat16."""
  return {BFLOAT16: bfloat16, "default": bfloat16, "high": bfloat16 / 3, "highest": bfloat16 / 6}


_H100 = "https://glennklockwood.com/garden/processors/h100"
_A100 = "https://glennklockwood.com/garden/processors/A100"
_V5E = "https://docs.cloud.google.com/tpu/docs/v5e"
_HOPPER = _gpu(989.4e12, 494.7e12, 66.9e12)  # the H200 is the H100 with more memory
_HOPPER_SOURCE = (
  "peaks",
  "989.4 TFLOP/s bf16, 494.7 TF32, dense; 66.9 float32 without tensor cores",
  _H100,
)
# What the platforms make of a product of float32.
PRECISIONS = "https://docs.jax.dev/en/latest/jax.lax.html#jax.lax.Precision"

CHIPS = (
  Chip(
    "H100 SXM",
    80e9,
    3.35e12,
    _HOPPER,
    (_HOPPER_SOURCE, ("memory", "80 GB, 3.35 TB/s", _H100)),
  ),
  Chip(
    "H200 SXM",
    141e9,
    4.8e12,
    _HOPPER,
    (
      ("peaks", "those of the H100", _H100),
      ("memory", "141 GB", MLPERF),
      (
        "bandwidth",
        "4.8 TB/s",
        "https://openmetal.io/resources/blog/how-the-h200-is-built-for-memory-bound-ai-workloads/",
      ),
    ),
  ),
  Chip(
    "A100 SXM 80 GB",
    80e9,
    2.039e12,
    _gpu(312e12, 156e12, 19.5e12),
    (
      ("peaks", "312 TFLOP/s bf16, 156 TF32, dense; 19.5 float32 without tensor cores", _A100),
      ("memory", "80 GB", _A100),
      (
        "bandwidth",
        "2,039 GB/s",
        "https://www.thundercompute.com/blog/nvidia-a100-specs-full-guide",
      ),
    ),
  ),
  Chip(
    "TPU v5e",
    16e9,
    819e9,
    _tpu(197e12),
    (("peak", "197 TFLOP/s bf16", _V5E), ("memory", "16 GB, 819 GB/s", _V5E)),
  ),
)
