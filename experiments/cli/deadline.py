"""Ends a piece of work after some time, as Ctrl-C would."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def interrupted_after(seconds: float | None) -> Iterator[None]:
  """A block in which this process is interrupted, as by Ctrl-C, after some time; None is never."""
  length = min(seconds or 0, threading.TIMEOUT_MAX)
  timer = threading.Timer(length, os.kill, (os.getpid(), signal.SIGINT))
  timer.daemon = True
  before = signal.getsignal(signal.SIGINT)
  if seconds is not None:
    if before is signal.SIG_IGN:  # as of a job that a shell put into the background
      signal.signal(signal.SIGINT, signal.default_int_handler)
    timer.start()
  try:
    yield
  finally:
    timer.cancel()
    if before is signal.SIG_IGN:
      signal.signal(signal.SIGINT, before)
