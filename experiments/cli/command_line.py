"""A config as the command line that trains it."""

import shlex
from collections.abc import Iterator
from typing import Any

from experiments.cli.common import starting_point
from gan.training.config import Config
from gan.training.options import fields, value
from gan.training.validation import unread

# Of this machine, or said by the flags of their parts.
LEFT_OUT = ("parallel", "data_on", "log", "options")


def flags_of(config: Config, defaults: Config, preset: str | None = None) -> list[str]:
  """Returns the flags by which an experiment trains a config, the loss first.

  Args:
    config: of a run.
    defaults: of the experiment.
    preset: from whose values the run started, or None.
  """
  start = starting_point(defaults, preset, config.model)
  others = [name for name in fields() if name not in ("loss", *LEFT_OUT, *_idle(config))]
  differing = (name for name in others if value(config, name) != value(start, name))
  own = [f"--{name}={_text(value(config, name))}" for name in ("loss", *differing)]
  return own + ([f"--preset={preset}"] if preset else [])


def _idle(config: Config) -> Iterator[str]:
  """What the command itself puts back to its default: numbers of another optimiser."""
  for name, (choice, *_) in unread(config).items():
    if choice == "optimizer" and value(config, name) == fields()[name].default:
      yield name


def _text(found: Any) -> str:
  return str(found).lower() if isinstance(found, bool) else str(found)


def given(line: str, name: str) -> list[str]:
  """Returns the values of a flag in a recorded command line, as they were typed.

  Args:
    line: as `typed` returns it.
    name: of the flag.
  """
  words = shlex.split(line)
  pairs = zip(words, [*words[1:], ""], strict=True)
  flag = f"--{name}"
  return [
    after if word == flag else word.partition("=")[2]
    for word, after in pairs
    if word.partition("=")[0] == flag
  ]
