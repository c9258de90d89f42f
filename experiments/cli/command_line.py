"""A config as the command line that trains it."""

import shlex
from collections.abc import Iterator
from typing import Any

from experiments.cli.common import starting_point
from gan.training.config import Config
from gan.training.options import fields, value
from gan.training.validation import unread

# Of this machine, or said by the flags of their parts.
LEFT_OUT = ("parallel", "data_on", "options")


def flags_of(config: Config, defaults: Config) -> list[str]:
  """Returns the flags by which an experiment trains a config, the loss first.

  Args:
    config: of a run.
    defaults: of the experiment.
  """
  start = starting_point(defaults, None, config.model)
  others = [name for name in fields() if name not in ("loss", *LEFT_OUT, *_idle(config))]
  differing = (name for name in others if value(config, name) != value(start, name))
  return [f"--{name}={_text(value(config, name))}" for name in ("loss", *differing)]


def _idle(config: Config) -> Iterator[str]:
  """What the command itself puts back to its default: numbers of another optimiser."""
  for name, (choice, *_) in unread(config).items():
    if choice == "optimizer" and value(config, name) == fields()[name].default:
      yield name


def _text(found: Any) -> str:
  return str(found).lower() if isinstance(found, bool) else str(found)


def given(line: str, name: str) -> list[str]:
  """Returns a flag as a recorded command line has it: [] or ["--name=value"], the last one.

  Args:
    line: as `typed` returns it.
    name: of the flag.
  """
  words = shlex.split(line)
  found = [word for word in words if word.startswith(f"--{name}=")]
  apart = [
    f"--{name}={after}"
    for word, after in zip(words, words[1:], strict=False)
    if word == f"--{name}"
  ]
  return (found or apart)[-1:]
