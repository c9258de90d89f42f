"""Published speeds of accelerators and of what joins them."""

from typing import NamedTuple


class Machine(NamedTuple):
  """An accelerator, in numbers of ten, not of two.

  Attributes:
    name: of the accelerator.
    flops: a second, at its peak, dense bfloat16.
    domain: devices that the fast links join.
    fast: bytes a second and direction that a ring takes within the domain.
    slow: the same past it.
    sources: (what, value as published, where it was read).
  """

  name: str
  flops: float
  domain: int
  fast: float
  slow: float
  sources: tuple[tuple[str, str, str], ...]

  def link(self, devices: int) -> float:
    """Returns the bytes a second of the slowest link in a ring of so many devices."""
    return self.fast if devices <= self.domain else self.slow


MLPERF = (
  "https://github.com/mlcommons/inference_results_v4.1/blob/main/closed/NVIDIA/systems/"
  "H200-SXM-141GBx8_TRT_MaxQ.json"
)
TPU = "https://docs.cloud.google.com/tpu/docs/v5p"

MACHINES = (
  Machine(
    "H100 SXM",
    989.4e12,
    8,
    450e9,
    50e9,
    (
      ("peak", "989.4 TFLOP/s bf16, dense", "https://glennklockwood.com/garden/processors/h100"),
      ("8 in a host, NVLink 4", "900 GB/s both ways, so 450 one way", MLPERF),
      ("between hosts, InfiniBand", "400 Gb/s a port, so 50 GB/s one way", MLPERF),
    ),
  ),
  Machine(
    "TPU v5p",
    459e12,
    6144,
    100e9,
    100e9,
    (
      ("peak", "459 TFLOP/s bf16", TPU),
      ("ICI, a 3D torus", "1200 GB/s both ways over six links, so 100 one way by one link", TPU),
      ("largest slice", "6144 chips", TPU),
    ),
  ),
)
