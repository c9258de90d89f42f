"""A command line without JAX: flags under headings, help, clean errors, exit codes."""

import collections
import contextlib
import contextvars
import os
import pathlib
import re
import shlex
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Container, Sequence

from absl import flags

import gan
from experiments import begin
from experiments.cli import flag_types, plugin_flag, quiet
from gan.errors import UserError, failure
from gan.system.progress import say
from gan.training import plugins

# Kinds of flags that name a file or folder, and several by commas.
PATH, PATHS = pathlib.Path, list[pathlib.Path]
# gan-NAME; others: gan-train NAME
CONSOLE = ("sample", "evaluate", "export", "sweep", "compare", "study", "best", "theory")
CONSOLE += ("completion",)
_MODULE = re.compile(r"(?:python -m )?experiments\.(\w+)")
FULL, VERSION = "--helpfull", "--version"
HELPS = {"--help", "-h", "-help", FULL, "--helpshort"}
OK, BAD_INPUT, DIVERGED, MACHINE_FAILED, INTERRUPTED, CLOSED_PIPE = 0, 2, 3, 5, 130, 141
# Takes the command that a main function makes, in the place of running it.
_MADE: contextvars.ContextVar[list["Command"] | None] = contextvars.ContextVar("made", default=None)


class Command:
  """A command line: flags under headings, their parsing, `--help`, errors and exit codes.

  Args:
    doc: the docstring of the experiment, the head of `--help`.
    opens_run: whether a run in --workdir needs its plugins.
  """

  def __init__(self, doc: str, opens_run: bool = True):
    self.values = flags.FlagValues()
    self._doc, self._opens_run = doc, opens_run
    self._groups = collections.defaultdict(list)
    self._rare = set()
    plugin_flag.define(self.values)

  def add(
    self, kind: type, name: str, default, text: str, group: str, choices=None, rare: bool = False
  ) -> None:
    """Defines one flag; its value is of the kind, and paths are a str.

    Args:
      kind: int, float, bool, str, PATH or PATHS; in paths `~` is the user's home.
      name: what the user types after `--`.
      default: where the flag is not given.
      text: what it means, with its unit.
      group: the heading under which `--help` lists it.
      choices: the names it may take, or may list, read when it is parsed; or None.
      rare: whether few people set it: `--helpfull` lists it, and `--help` does not.
    """
    if choices is not None:
      several = name in flag_types.LISTS
      parser = flag_types.Names(choices) if several else flag_types.Choice(name, choices)
      flags.DEFINE(parser, name, default, text, self.values, flags.ArgumentSerializer())
    elif kind in flag_types.PARSERS:
      parser = flag_types.PARSERS[kind]()
      flags.DEFINE(parser, name, default, text, self.values, flags.ArgumentSerializer())
    else:
      define = {bool: flags.DEFINE_bool, str: flags.DEFINE_string}[kind]
      define(name, default, text, flag_values=self.values)
    self._groups[group].append(name)
    self._rare |= {name} if rare else set()

  def add_plugin_flags(self) -> None:
    """Defines the flags that plugins bring, once these are imported."""

  def run(self, main: Callable[[], int], argv: Sequence[str] | None = None) -> int:
    """Parses the flags and runs `main`; returns the exit code, and prints errors in one line.

    What is wrong with the input, what the world outside refuses, the end of a reader of our
    output, and what a plugin raised, are translated here, and nowhere else. Other exceptions are
    faults of the program.
    """
    if (made := _MADE.get()) is not None:
      made.append(self)
      return OK
    _open_streams()
    quiet.background()
    begin()
    code, line = self._outcome(main, list(sys.argv if argv is None else argv))
    if line:
      _tell(line)
    _let_go_of_output()
    if code == MACHINE_FAILED:
      _end_without_threads(code, at_once=argv is None)
    return code

  def _outcome(self, main, argv) -> tuple[int, str]:
    """(exit code, a line for the user)"""
    try:
      code = self._parse_and_run(main, argv)
      _flush()
      return code, ""
    except (UserError, flags.Error) as error:
      return BAD_INPUT, f"error: {as_flags(str(error), self.values)}"
    except BrokenPipeError:
      return CLOSED_PIPE, ""
    except KeyboardInterrupt:
      return INTERRUPTED, "Interrupted; what was saved before is on disk."
    except (Exception, SystemExit) as error:
      if (found := failure(error)) is not None:
        return MACHINE_FAILED if found.of_machine else BAD_INPUT, f"error: {found.line}"
      if (fault := plugins.fault(error)) is not None:
        return BAD_INPUT, f"error: {fault}"
      raise

  def _parse_and_run(self, main, argv):
    if VERSION in argv[1:]:
      print(f"gan-jax {gan.__version__}")
      return OK
    plugin_flag.load(argv, self._opens_run)
    self.add_plugin_flags()
    if HELPS & set(argv[1:]):
      print(self._help(argv))
      return OK
    try:
      rest = self.values(argv)[1:]
    except ValueError as error:  # absl's, of --noNAME=VALUE
      raise UserError(f"{error}; see --help") from error
    for name in flag_types.LISTS:
      if name in self.values and self.values[name].present > 1:
        read = self.values[name].serialize()
        say(f"note: --{name} is given again: {read} alone is read; one flag can hold all")
    if rest:
      raise UserError(f"{' '.join(rest)}: every argument is a flag, --name=value; see --help")
    return main()

  def _help(self, argv: Sequence[str]) -> str:
    hidden = set() if FULL in argv else self._rare
    lines = [_as_started(self._doc.strip(), argv)]
    for group, names in [*self._groups.items(), ("your own parts", ["plugin"])]:
      if shown := [name for name in names if name not in hidden]:
        lines += ["", f"{group}:"] + [self._flag_help(name) for name in shown]
    more = [f"{len(hidden)} more flags, of all parts and for rare needs: {FULL}"] if hidden else []
    return "\n".join([*lines, "", *more, f"{VERSION} prints the version."])

  def _flag_help(self, name):
    flag = self.values[name]
    default = "" if flag.default is None else f" (default: {flag.default})"
    choices = getattr(flag.parser, "choices", ())
    names = f"<{' | '.join(sorted(choices))}>: " if choices else ""
    text = f"--{name}: {names}{flag.help}{default}"
    return textwrap.fill(text, width=100, initial_indent="  ", subsequent_indent=" " * 6)


def made_by(main: Callable[[list[str]], int]) -> Command:
  """Returns the command line that the main function of a command makes; nothing is run."""
  token = _MADE.set([])
  try:
    main(["command"])
    (command,) = _MADE.get()
  finally:
    _MADE.reset(token)
  return command


def program(name: str, argv: Sequence[str]) -> str:
  """Returns how to start a command of this package, in the way in which this one was started.

  Args:
    name: of its module in experiments.
    argv: the command line of this process; a console command begins with "gan-".
  """
  if not argv[0].startswith("gan-"):
    return f"python -m experiments.{name}"
  return f"gan-{name}" if name in CONSOLE else f"gan-train {name}"


def _as_started(text: str, argv: Sequence[str]) -> str:
  """Returns a text that names commands with their console commands where one of these was started.

  Args:
    text: `python -m experiments.NAME` in it, or experiments.NAME, is the command NAME.
    argv: as for `program`.
  """
  if not argv[0].startswith("gan-"):
    return text
  return _MODULE.sub(lambda found: program(found[1], argv), text)


def typed(name: str, argv: Sequence[str]) -> str:
  """Returns the command line of a command as the user typed it, for records."""
  return " ".join([program(name, argv), *map(shlex.quote, argv[1:])])


def refuse_unread(values: flags.FlagValues, names: Sequence[str], reader: str) -> None:
  """Raises UserError where one of the flags `names` was given, which only `reader` reads."""
  if given := [name for name in names if values[name].present]:
    raise UserError(f"--{given[0]} is read by {reader} only: give that too, or leave it out")


def _tell(line: str) -> None:
  """Prints one line to stderr, where that still takes any; endless words are cut."""
  line = re.sub(r"\S{400,}", lambda word: f"{word[0][:100]}...", " ".join(line.splitlines()))
  with contextlib.suppress(OSError):
    print(line, file=sys.stderr, flush=True)


def as_flags(message: str, values: Container[str]) -> str:
  """Shows arguments that the package names, `steps=3`, as flags where a command has them."""

  def flag(found: re.Match) -> str:
    return f"--{found[1]}" if found[2] in values else found[0]

  return re.sub(r"`((\w+)(=[^`]*)?)`", flag, message)


def notify(message: str, values: Container[str]) -> None:
  """Prints a line of the package with its arguments as flags; "" is none."""
  if message:
    say(as_flags(message, values))


def _open_streams() -> None:
  """Opens the standard streams that the process was started without, to nowhere.

  Libraries write to their numbers, which files of ours would be given otherwise.
  """
  while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
    pass
  os.close(number)
  sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
  sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _end_without_threads(code: int, at_once: bool) -> None:
  """Ends the process soon after its main thread: what broke off can leave threads that wait.

  Python joins the workers of pools before it says that the main thread has ended, so that is not
  waited for where the command is the process (`at_once`); otherwise its caller goes on.
  """

  def end():
    if not at_once:
      threading.main_thread().join()
    time.sleep(5)
    os._exit(code)

  threading.Thread(target=end, daemon=True).start()


def _flush() -> None:
  sys.stdout.flush()


def _let_go_of_output() -> None:
  """Drops buffered output that cannot be written (closed pipe, full disk) before Python exits."""
  try:
    _flush()
  except OSError:
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
