"""Keeps libraries from printing what a command says in one line itself."""

import functools
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable

from absl import logging as absl_logging

from gan.errors import failure

# asyncio, and Orbax, which logs by absl, print whole tracebacks of what they also raise in the
# thread that waits for them, and so does JAX of its callbacks; Matplotlib says in two lines that a
# user without a home has no cache.
TALKATIVE = (
  "asyncio",
  "absl",
  "orbax",
  "jax._src.callback",
  "jax._src.debugging",
  "matplotlib",
)
# What is left of a loop of asyncio that such an error ended, or kept from opening its files.
REMAINS = ("Event loop is closed", "_ssock")


@functools.cache
def background() -> None:
  """Lets threads of libraries fail without a traceback where the waiting thread gets the error.

  It holds to the end of the process: they fail late, too.
  """
  absl_logging.set_verbosity(absl_logging.FATAL)
  for name in TALKATIVE:
    logging.getLogger(name).setLevel(logging.CRITICAL)
  warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
  threading.excepthook = _unless_told(threading.excepthook, lambda thread: thread.exc_value)
  told = _unless_told(sys.unraisablehook, lambda found: found.exc_value)
  sys.unraisablehook = functools.partial(_interrupt_again, told)
  # C++ hands an exception of its threads to this one.
  sys.excepthook = _unless_told(sys.excepthook, lambda kind, error, traceback: error)


def _interrupt_again(hook: Callable, found) -> None:
  """Sends Ctrl-C once more where it was raised in a callback, of JAX say, and lost there."""
  if isinstance(found.exc_value, KeyboardInterrupt):
    threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
  else:
    hook(found)


def _unless_told(hook: Callable, get: Callable) -> Callable:
  """Returns a hook that drops what follows a failure, and passes on faults of a program."""

  def filtered(*arguments):
    error = get(*arguments)
    if not (failure(error) or any(text in str(error) for text in REMAINS)):
      hook(*arguments)

  return filtered
