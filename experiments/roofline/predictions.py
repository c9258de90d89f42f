"""The roofline of an accelerator over what a step needs: a time, what bounds it, what fits.

See "Roofline: An Insightful Visual Performance Model for Multicore Architectures" by Williams,
Waterman and Patterson (https://doi.org/10.1145/1498765.1498785).
"""

import math
from typing import NamedTuple

from experiments.roofline.chips import Chip
from experiments.roofline.program import FLOPS, Counts


class Memory(NamedTuple):
  """Bytes that the training of a run takes on a device.

  Attributes:
    data: of the data set, which all runs share.
    state: of what a step takes and returns.
    least: of values within a step, where those alone are kept that products read or write.
    most: of the same, where every operation keeps its own.
  """

  data: int
  state: int
  least: int
  most: int


def flops(counts: Counts) -> float:
  """Returns the FLOPs of all products of a step."""
  return sum(count for name, count in counts.items() if name.startswith(FLOPS))


def compute_seconds(counts: Counts, chip: Chip) -> float:
  """Returns what the products take at the peaks of their kinds, sum of FLOPs / peak."""
  kinds = (name for name in counts if name.startswith(FLOPS))
  return sum(counts[name] / chip.peaks[name.removeprefix(FLOPS)] for name in kinds)


def step_seconds(counts: Counts, chip: Chip) -> tuple[float, float]:
  """Returns the least and the most that a step takes: max(compute, bytes / bandwidth).

  The two are of the bytes that pass where all but products is fused, and where nothing is.
  """
  compute = compute_seconds(counts, chip)
  least, most = (max(compute, counts[name] / chip.bandwidth) for name in ("fused", "unfused"))
  return least, most


def bound(counts: Counts, chip: Chip) -> str:
  """Returns what a step waits for: "compute", "memory", or "either" where fusion decides."""
  compute = compute_seconds(counts, chip)
  if compute >= counts["unfused"] / chip.bandwidth:
    return "compute"
  return "memory" if compute < counts["fused"] / chip.bandwidth else "either"


def members(memory: Memory, chip: Chip) -> tuple[int, int]:
  """Returns how many runs fit beside the data set, by the most and by the least of their values."""
  free = max(0.0, chip.memory - memory.data)
  most, least = (memory.state + values for values in (memory.most, memory.least))
  return math.floor(free / most), math.floor(free / least)
