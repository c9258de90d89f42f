"""What a run ran on: versions, devices, commit."""

import importlib.metadata
import pathlib
import platform
import subprocess
import time
from typing import Any

import jax

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy")


def describe() -> dict[str, Any]:
  """Returns versions, devices, commit and time as JSON values."""
  return {
    "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    "python": platform.python_version(),
    "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    "platform": platform.platform(),
    "processor": _processor(),
    "backend": jax.default_backend(),
    "devices": [str(device) for device in jax.devices()],
    "git_commit": _git_commit(),
  }


def _processor() -> str:
  """The model of the CPU, where the system tells."""
  cpuinfo = pathlib.Path("/proc/cpuinfo")
  lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
  models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
  return f"{len(models)} x {models[0]}" if models else platform.processor()


def _git_commit() -> str | None:
  """The commit of the working copy that this file lies in; None for an installed package."""
  root = pathlib.Path(__file__).resolve().parent.parent
  if not (root / ".git").exists():
    return None
  command = ["git", "-C", str(root), "rev-parse", "HEAD"]
  result = subprocess.run(command, capture_output=True, text=True, check=False)
  return result.stdout.strip() or None
