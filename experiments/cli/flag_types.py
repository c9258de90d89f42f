"""What the values of flags may be, said once for all commands."""

import math
import pathlib
from collections.abc import Collection

from absl import flags

from gan.system.files import expanded
from gan.system.progress import say
from gan.training.aliases import canonical

# Flags that hold several things: a second one takes the place of the first, which is said.
LISTS = ("schedules", "regularizers", "augment", "options", "losses", "grid", "metrics", "log")
LARGEST = 2**32  # seeds end below it, and so does what a compiled program can count


class Number(flags.FloatParser):
  """A finite number."""

  def convert(self, argument):
    value = super().convert(argument)
    if not math.isfinite(value):
      raise ValueError("must be a finite number")
    return value


class Count(flags.IntegerParser):
  """A whole number, of a size that compiled programs can count."""

  def convert(self, argument):
    value = super().convert(argument)
    if abs(value) > LARGEST:
      raise ValueError(f"must be at most {LARGEST:,} in size")
    return value


class Path(flags.ArgumentParser):
  """A file or folder."""

  def parse(self, argument):
    return expanded(argument)


class Paths(flags.ArgumentParser):
  """Files or folders by commas, which may be a part of a name too."""

  def parse(self, argument):
    first, *others = argument.split(",")
    return ",".join([expanded(first), *(other and expanded(other) for other in others)])


class Choice(flags.ArgumentParser):
  """One of some names; they are read when a value is, for plugins add to them.

  Args:
    field: of Config, whose aliases it takes too.
    choices: the names.
  """

  def __init__(self, field: str, choices: Collection[str]):
    self.field, self.choices = field, choices

  def parse(self, argument):
    name = known_as(self.field, argument, self.field)
    if name not in self.choices:
      raise ValueError(f"value should be one of <{'|'.join(sorted(self.choices))}>")
    return name


class Names(flags.ArgumentParser):
  """Names by commas, checked where all that they are for is known; help lists the choices.

  Args:
    choices: the names.
  """

  def __init__(self, choices: Collection[str]):
    self.choices = choices


def known_as(field: str, given: str, flag: str) -> str:
  """Returns the name of a value that was given by an alias, which is said; others as they are."""
  name = canonical({field: given})[field]
  if name != given:
    say(f"--{flag}={given} is another name of {name}")
  return name


# Text and switches are absl's own.
PARSERS = {float: Number, int: Count, pathlib.Path: Path, list[pathlib.Path]: Paths}
