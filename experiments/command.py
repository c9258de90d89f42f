"""A command line without JAX: flags under headings, help, clean errors, exit codes."""

import collections
import os
import sys
import textwrap
from collections.abc import Callable, Sequence

from absl import flags, logging

from experiments import begin
from gan.errors import UserError

OK, BAD_INPUT, DIVERGED, INTERRUPTED, CLOSED_PIPE = 0, 2, 3, 130, 141


class Command:
  """A command line: flags under headings, and what runs when they are parsed.

  Args:
    doc: the docstring of the experiment, the head of `--help`.
  """

  def __init__(self, doc: str):
    self.values = flags.FlagValues()
    self._doc = doc
    self._groups = collections.defaultdict(list)

  def add(self, kind: type, name: str, default, text: str, group: str, choices=None) -> None:
    """Defines one flag of type int, float, bool or str; `choices` makes it one of a list."""
    define = {
      int: flags.DEFINE_integer,
      float: flags.DEFINE_float,
      bool: flags.DEFINE_bool,
      str: flags.DEFINE_string,
    }[kind]
    if choices is not None:
      flags.DEFINE_enum(name, default, sorted(choices), text, flag_values=self.values)
    else:
      define(name, default, text, flag_values=self.values)
    self._groups[group].append(name)

  def run(self, main: Callable[[], int], argv: Sequence[str] | None = None) -> int:
    """Parses the flags and runs `main`; returns the exit code, and prints errors in one line."""
    begin()
    argv = list(sys.argv if argv is None else argv)
    logging.set_verbosity(logging.ERROR)
    try:
      code = self._parse_and_run(main, argv)
      sys.stdout.flush()
      return code
    except (UserError, flags.Error) as error:
      print(f"error: {error}", file=sys.stderr)
      return BAD_INPUT
    except BrokenPipeError:
      # The reader of our output has gone, as `head` does: nothing more can be printed.
      sys.stdout = open(os.devnull, "w")  # noqa: SIM115
      return CLOSED_PIPE
    except KeyboardInterrupt:
      print("Interrupted; what was saved before is on disk.", file=sys.stderr)
      return INTERRUPTED

  def _parse_and_run(self, main, argv):
    if {"--help", "-h", "-help", "--helpfull", "--helpshort"} & set(argv[1:]):
      print(self._help())
      return OK
    if rest := self.values(argv)[1:]:
      raise UserError(f"{' '.join(rest)}: every argument is a flag, --name=value; see --help")
    return main()

  def _help(self) -> str:
    lines = [self._doc.strip()]
    for group, names in self._groups.items():
      lines += ["", f"{group}:"] + [self._flag_help(name) for name in names]
    return "\n".join(lines)

  def _flag_help(self, name):
    flag = self.values[name]
    default = "" if flag.default is None else f" (default: {flag.default})"
    # absl puts the names of an enum flag before its help.
    text = f"--{name}: {flag.help}{default}".replace("|", " | ")
    return textwrap.fill(text, width=100, initial_indent="  ", subsequent_indent=" " * 6)
