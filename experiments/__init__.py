"""Commands: `python -m experiments.<name> --help`."""

import os
import signal
import sys


def _end(number, frame):
  """Ends the process at once: an exception could be lost in a callback of JAX, or print itself."""
  os.write(2, b"Interrupted before anything was begun.\n")
  os._exit(128 + number)


def begin() -> None:
  """Gives Ctrl-C back to Python: what a command needs is imported, and it begins."""
  if signal.getsignal(signal.SIGINT) is _end:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def guard() -> None:
  """Lets Ctrl-C end a command that is still being imported, which takes seconds, in one line."""
  if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)


# While `python -m` looks for a module, this is its name.
if sys.argv[:1] == ["-m"]:
  guard()
