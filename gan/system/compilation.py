"""XLA compiler options and malloc settings that make compiled programs fast on this backend.

Each choice here was measured; docs/performance_appendix.md has the numbers.
"""

import ctypes
import functools
import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax

# On the CPU XLA has several libraries for convolutions and products. In a training step Eigen's
# convolutions are faster than YNNPACK's, and YNNPACK's products and sums than the others'. oneDNN,
# which jaxlib has from 0.12 on, is not asked for: a program with a call of it cannot be written to
# the cache of compiled programs.
CPU_OPTIONS = {
  "xla_cpu_experimental_ynn_fusion_type": (
    "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"
  ),
}
# Parameters of glibc's mallopt, from malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
# Parts of memory that Linux maps for a process, hundreds for each compiled program: a line each of
# the first file, and how many may be in the second.
MAPS, MOST_MAPS = pathlib.Path("/proc/self/maps"), pathlib.Path("/proc/sys/vm/max_map_count")


def compiled(function: Callable, **options) -> Callable:
  """Returns `jax.jit(function, **options)`, compiled with `compiler_options` of this backend."""
  return jax.jit(function, compiler_options=compiler_options(jax.default_backend()), **options)


@functools.cache
def compiler_options(backend: str) -> dict[str, str | bool]:
  """Returns XLA's options for a backend, of those that the installed XLA knows.

  Args:
    backend: "cpu", "gpu" or "tpu".
  """
  if backend != "cpu":
    return {}
  return {name: value for name, value in CPU_OPTIONS.items() if _is_known({name: value})}


def _is_known(options: dict[str, Any]) -> bool:
  try:
    jax.jit(lambda x: x, compiler_options=options).lower(0.0).compile()
  except jax.errors.JaxRuntimeError:
    return False
  return True


def keep_freed_memory() -> None:
  """Makes malloc keep what a step frees for the next one, where the C library is glibc.

  XLA allocates the activations of a step anew in each call. By default glibc gives blocks of that
  size back to the system at once, and the next step waits for every page of them again. So it does
  with what threads other than the first free, unless all share one arena.
  """
  mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
  if mallopt is not None:
    mallopt(_MMAP_THRESHOLD, 2**30)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_ARENA_MAX, 1)


def forget_many_programs() -> None:
  """Lets go of all compiled programs once they take half of the maps that a process may have.

  Linux refuses memory beyond that number, whatever memory there is; those that are used again are
  compiled again, or read from the cache of compiled programs.
  """
  if MAPS.exists() and MOST_MAPS.exists():
    with MAPS.open() as lines:
      maps = sum(1 for _ in lines)
    if maps > int(MOST_MAPS.read_text()) / 2:
      jax.clear_caches()
