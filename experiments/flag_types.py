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
  """A file or folder, as a str, where `~` is the user's home."""

  def parse(self, argument):
    return expanded(argument)


# Text and switches are absl's own.
PARSERS = {float: Number, int: Count, pathlib.Path: Path}


def expanded(path: str) -> str:
  """Returns a path in which `~` and `~name` are what they are to a shell.

  Raises:
    ValueError: it is empty, or there is no such home.
  """
  if not path:
    raise ValueError("must not be empty: name a file or folder, or leave the flag out")
  whole = os.path.expanduser(path)
  if whole.startswith("~"):
    raise ValueError(f"there is no home folder {whole.split(os.sep)[0]}: write ./~ for that name")
  return whole
