"""What the values of flags may be, said once for all commands."""

import math
import os
import pathlib

from absl import flags

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


# Text and switches are absl's own.
PARSERS = {float: Number, int: Count, pathlib.Path: Path, list[pathlib.Path]: Paths}


def expanded(path: str) -> str:
  """Returns a path in which `~` and `~name` are what they are to a shell.

  Raises:
    ValueError: it is empty, or there is no such home.
  """
  if not path:
    raise ValueError("must not be empty: name a file or folder, or leave the flag out")
  whole = os.path.expanduser(path)
  if whole.startswith("~"):
    name = path.split(os.sep)[0]
    raise ValueError(f"there is no home folder {name}: write ./{name} for a folder of that name")
  return whole
