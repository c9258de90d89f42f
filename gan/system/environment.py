"""What a run ran on: versions, devices, commit."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess
import sys
import time
from typing import Any

import jax

from gan.system.compilation import compiler_options
from gan.system.cores import cores

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy")

# Of them, those on which the result of a computation depends.
COMPUTING = ("jax", "jaxlib", "flax", "optax", "numpy")


def describe() -> dict[str, Any]:
  """Returns versions, devices, cores, XLA's choices, commit and time as JSON values."""
  return {
    "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    "gan": sys.modules["gan"].__version__,  # no room imports what is above all
    "python": platform.python_version(),
    "packages": versions(PACKAGES),
    "platform": platform.platform(),
    "processor": _processor(),
    "cores": len(cores()),
    "backend": jax.default_backend(),
    "devices": [str(device) for device in jax.devices()],
    "xla": _xla(),
    "random": random_numbers(),
    "git_commit": _git_commit(),
  }


def versions(packages: tuple[str, ...]) -> dict[str, str]:
  """Returns the installed version of each package."""
  return {name: importlib.metadata.version(name) for name in packages}


def random_numbers() -> dict[str, Any]:
  """What decides which numbers are drawn from a key."""
  return {
    "JAX_DEFAULT_PRNG_IMPL": str(jax.config.jax_default_prng_impl),
    "JAX_THREEFRY_PARTITIONABLE": bool(jax.config.jax_threefry_partitionable),
  }


def _xla() -> dict[str, Any]:
  """What changes the programs that XLA makes."""
  return {
    "flags": os.environ.get("XLA_FLAGS", ""),
    "options": compiler_options(jax.default_backend()),
    "matmul_precision": jax.config.jax_default_matmul_precision,
    "x64": jax.config.jax_enable_x64,
    "compiled": not jax.config.jax_disable_jit,
  }


def bits_depend_on(session: dict[str, Any]) -> dict[str, Any]:
  """Returns, of what `describe` returned, all on which the bits of a result depend.

  XLA splits sums by the number of cores, and its versions differ. Fields that an earlier version
  did not write are left out.
  """
  names = ("processor", "cores", "backend", "parallel")
  found = {name: session[name] for name in names if name in session}
  found |= {name: session["packages"].get(name) for name in COMPUTING if "packages" in session}
  found |= {f"xla {name}": value for name, value in session.get("xla", {}).items()}
  return found | ({"devices": len(session["devices"])} if "devices" in session else {})


def _processor() -> str:
  """The model of the CPU, where the system tells."""
  cpuinfo = pathlib.Path("/proc/cpuinfo")
  lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
  models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
  return f"{len(models)} x {models[0]}" if models else platform.processor()


def _git_commit() -> str | None:
  """The commit of the working copy that this file lies in; None for an installed package."""
  root = pathlib.Path(__file__).resolve().parents[2]
  if not (root / ".git").exists():
    return None
  command = ["git", "-C", str(root), "rev-parse", "HEAD"]
  result = subprocess.run(command, capture_output=True, text=True, check=False)
  return result.stdout.strip() or None
