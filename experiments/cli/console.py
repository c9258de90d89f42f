"""Trains a GAN: `gan-train EXPERIMENT [flags]`, from any folder.

  gan-train mnist --loss=nonsat
  gan-train images --data_dir=my_photos --image_size=64
  gan-train ring --help

Experiments: cifar10, fashion_mnist, images, mnist, ring. Their flags are in their own --help.
"""

import importlib
import sys

import experiments

EXPERIMENTS = ("cifar10", "fashion_mnist", "images", "mnist", "ring")


def train() -> int:
  """gan-train; its first argument is the experiment."""
  experiments.guard()
  name, *arguments = sys.argv[1:] or [""]
  if name in EXPERIMENTS:
    return _run(name, f"gan-train {name}", arguments)
  from experiments.cli.command import HELPS, VERSION, Command

  asked = [name] if name in {*HELPS, VERSION} else []
  return Command(__doc__).run(lambda: _refuse(name), ["gan-train", *asked])


def _refuse(name):
  from gan.errors import UserError

  what = f"{name!r} is no experiment" if name else "the experiment is missing"
  raise UserError(
    f"{what}: choose from {', '.join(EXPERIMENTS)}, before all flags, as in gan-train mnist "
    "--loss=nonsat"
  )


def sample() -> int:
  """gan-sample"""
  return _run("sample", "gan-sample", sys.argv[1:])


def evaluate() -> int:
  """gan-evaluate"""
  return _run("evaluate", "gan-evaluate", sys.argv[1:])


def export() -> int:
  """gan-export"""
  return _run("export", "gan-export", sys.argv[1:])


def sweep() -> int:
  """gan-sweep"""
  return _run("sweep", "gan-sweep", sys.argv[1:])


def compare() -> int:
  """gan-compare"""
  return _run("compare", "gan-compare", sys.argv[1:])


def study() -> int:
  """gan-study"""
  return _run("study.__main__", "gan-study", sys.argv[1:])


def best() -> int:
  """gan-best"""
  return _run("best", "gan-best", sys.argv[1:])


def theory() -> int:
  """gan-theory"""
  return _run("theory.__main__", "gan-theory", sys.argv[1:])


def _run(module, program, arguments) -> int:
  experiments.guard()
  return importlib.import_module(f"experiments.{module}").main([program, *arguments])
