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
  """Trains a GAN; its first argument is the experiment, such as mnist."""
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
  """Draws pictures, or a set of samples, from a run."""
  return _run("sample", "gan-sample", sys.argv[1:])


def evaluate() -> int:
  """Measures a run, or two sets of images, by every metric that applies."""
  return _run("evaluate", "gan-evaluate", sys.argv[1:])


def export() -> int:
  """Writes the generator of a run for other programs."""
  return _run("export", "gan-export", sys.argv[1:])


def sweep() -> int:
  """Trains many losses, settings and seeds by few programs."""
  return _run("sweep", "gan-sweep", sys.argv[1:])


def compare() -> int:
  """Makes a page of runs: figures, tables and tests."""
  return _run("compare", "gan-compare", sys.argv[1:])


def study() -> int:
  """Searches every loss under one budget, and confirms each best by fresh seeds."""
  return _run("study.__main__", "gan-study", sys.argv[1:])


def best() -> int:
  """Prints the commands of the best settings of a study."""
  return _run("best", "gan-best", sys.argv[1:])


def theory() -> int:
  """Runs the theory lab: our values beside exact and published ones."""
  return _run("theory.__main__", "gan-theory", sys.argv[1:])


def completion() -> int:
  """Prints what lets bash or zsh complete the commands."""
  return _run("completion", "gan-completion", sys.argv[1:])


def _run(module, program, arguments) -> int:
  experiments.guard()
  return importlib.import_module(f"experiments.{module}").main([program, *arguments])
