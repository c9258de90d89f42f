"""Commands: `python -m experiments.<name> --help`."""

import os
import signal
import sys
import traceback


def _end(number, frame):
  """Ends the process at once: an exception could be lost in a callback of JAX, or print itself."""
  os.write(2, b"Interrupted before anything was begun.\n")
  os._exit(128 + number)


def _refuse(kind, error, trace):
  """Ends the process in one line where JAX cannot be imported with the environment's variables."""
  where = traceback.extract_tb(trace)
  if not where or not where[-1].filename.endswith(os.path.join("jax", "_src", "config.py")):
    sys.__excepthook__(kind, error, trace)
    return
  print(f"error: {error}: JAX reads it from a variable JAX_* of the environment", file=sys.stderr)
  sys.stderr.flush()
  os._exit(2)


def begin() -> None:
  """Gives Ctrl-C and errors back to Python: what a command needs is imported, and it begins."""
  if sys.excepthook is _refuse:
    sys.excepthook = sys.__excepthook__
  if signal.getsignal(signal.SIGINT) is _end:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def guard() -> None:
  """Lets Ctrl-C, and JAX, end a command that is still being imported in one line."""
  if sys.excepthook is sys.__excepthook__:
    sys.excepthook = _refuse
  if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)


# While `python -m` looks for a module, this is its name.
if sys.argv[:1] == ["-m"]:
  guard()
