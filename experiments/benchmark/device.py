"""Where both sides work, decided in one place: `python -m experiments.benchmark.device`."""

import json
import subprocess
from typing import Any

from experiments.benchmark.cases import CPU, GPU
from experiments.cli import children
from gan.errors import UserError
from gan.system import schema

# Both sides share the memory of one GPU; by default JAX takes three quarters at once.
ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
# What `gan.system.compilation.keep_freed_memory` tells the C library on our side, for PyTorch's.
KEEP_MEMORY = {
  "MALLOC_MMAP_THRESHOLD_": str(2**30),
  "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
  "MALLOC_ARENA_MAX": "1",
}


def describe() -> dict[str, Any]:
  """Returns what `environment` says of this machine, in a process that leaves the GPU free."""
  command = children.command("experiments.benchmark.device")
  result = subprocess.run(command, capture_output=True, text=True, check=False)
  if result.returncode:
    raise UserError(f"JAX finds no device: {result.stderr.strip().splitlines()[-1]}")
  kind = schema.entries({"backend": schema.TEXT})
  return schema.checked(result.stdout, kind, "JAX's answer is damaged", f"run {command[-1]}")


def kind(environment: dict[str, Any]) -> str:
  """Returns "cpu" or "gpu" from what `describe` says.

  Raises:
    UserError: JAX has another device, for which PyTorch has no build here.
  """
  backend = environment["backend"]
  if backend not in (CPU, GPU):
    raise UserError(f"no peer for JAX's backend {backend}: set JAX_PLATFORMS=cpu")
  return backend


if __name__ == "__main__":
  from gan.system import environment

  print(json.dumps(environment.describe()))
