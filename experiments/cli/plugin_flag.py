"""--plugin, read before all other flags: what a plugin registers is among their choices."""

import contextlib
import os
import sys
from collections.abc import Sequence

from absl import flags

from gan.training import plugins

HELP = (
  "module of yours, as in `import my_module`, that is imported first and may add losses, models, "
  "data sets and so on; several by commas, or repeated. It is looked for on PYTHONPATH and in the "
  "current folder, and config.json keeps its name"
)


def define(values: flags.FlagValues) -> None:
  """Defines the flag."""
  flags.DEFINE_multi_string("plugin", None, "", flag_values=values)
  values["plugin"].help = HELP  # absl would add a line to it


def load(argv: Sequence[str], of_run: bool) -> None:
  """Imports the plugins that a command line names, and those of the run in its --workdir.

  Args:
    argv: the command line; its other flags are passed over.
    of_run: whether the run's are needed.

  Raises:
    UserError: as `plugins.load`.
  """
  early = flags.FlagValues()
  early.set_gnu_getopt()  # values of unknown flags do not end the flags
  define(early)
  flags.DEFINE_string("workdir", None, "run or sweep folder", flag_values=early)
  early(argv, known_only=True)
  given = [name.strip() for text in early.plugin or () for name in text.split(",")]
  if given:
    _find_here()
  plugins.load(given)
  if of_run and early.workdir:
    load_of(os.path.expanduser(early.workdir))


def load_of(folder: str) -> None:
  """Imports the plugins of a run or sweep; UserError as `plugins.load_recorded`."""
  if names := plugins.recorded(folder):
    _find_here()
    plugins.load_recorded(names, folder)


def _find_here() -> None:
  """Lets modules in the current folder be found, after all others: it may have an `experiments`."""
  with contextlib.suppress(OSError):  # it was deleted
    if "" not in sys.path and os.getcwd() not in sys.path:
      sys.path.append(os.getcwd())
