"""Keeps libraries from printing what a command says in one line itself."""

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator

from absl import logging as absl_logging

from gan.errors import failure

# asyncio, and Orbax, which logs by absl, print whole tracebacks of what they also raise in the
# thread that waits for them.
TALKATIVE = ("asyncio", "absl", "orbax")


@contextlib.contextmanager
def background() -> Iterator[None]:
  """Lets threads of libraries fail without a traceback where the waiting thread gets the error."""
  absl_logging.set_verbosity(absl_logging.FATAL)
  loggers = [logging.getLogger(name) for name in TALKATIVE]
  levels = [logger.level for logger in loggers]
  hooks = threading.excepthook, sys.excepthook, sys.unraisablehook
  for logger in loggers:
    logger.setLevel(logging.CRITICAL)
  threading.excepthook = _unless_told(hooks[0], lambda args: args.exc_value)
  # C++ hands an exception of its threads to this hook.
  sys.excepthook = _unless_told(hooks[1], lambda kind, error, traceback: error)
  sys.unraisablehook = _unless_told(hooks[2], lambda args: args.exc_value)
  try:
    yield
  finally:
    threading.excepthook, sys.excepthook, sys.unraisablehook = hooks
    for logger, level in zip(loggers, levels, strict=True):
      logger.setLevel(level)


def _unless_told(hook: Callable, get: Callable) -> Callable:
  """Returns a hook that drops what follows a failure, and passes on faults of a program."""

  def filtered(*arguments):
    error = get(*arguments)
    if not (failure(error) or str(error) == "Event loop is closed"):
      hook(*arguments)

  return filtered
