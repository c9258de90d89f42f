"""The cores of the CPU that this process may use. No JAX is needed here."""

import os


def cores() -> list[int]:
  """Returns the numbers of the cores that this process may run on; all, where no system tells."""
  if hasattr(os, "sched_getaffinity"):
    return sorted(os.sched_getaffinity(0))
  return list(range(os.cpu_count() or 1))
