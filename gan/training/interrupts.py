"""SIGINT, SIGTERM and SIGHUP set a flag, which a run polls where it can stop.

An exception would be lost where it is raised in a callback of JAX, and would break off writing.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

import jax

from gan.training import distributed

_open: list[list[int]] = []  # the flag of each block that is open; blocks inside a block share it
_at_once: list[bool] = []  # no longer empty where the first signal raises, too


@contextlib.contextmanager
def interrupts() -> Iterator[list[int]]:
  """Yields the list of signals received, empty until the first; a second one raises.

  SIGINT, SIGTERM and SIGHUP interrupt, but for a SIGHUP that is ignored, as under `nohup`. In a
  run of many processes JAX handles SIGTERM and passes it on to all of them. Python delivers signals
  to the main thread alone: in another thread no handler is installed.

  Raises:
    KeyboardInterrupt: in the block, at a second signal other than SIGHUP.
  """
  signals = _open[-1] if _open else []
  _open.append(signals)
  previous = _install(signals) if threading.current_thread() is threading.main_thread() else {}
  try:
    yield signals
  finally:
    _open.pop()
    for number, handler in previous.items():
      signal.signal(number, handler)


def _install(signals: list[int]) -> dict[int, Any]:
  def note(number: int, frame: Any) -> None:
    # A terminal that closes sends SIGHUP twice: from the system, and from the shell.
    again = bool(signals) and number != getattr(signal, "SIGHUP", None)
    signals.append(number)
    if again or _at_once:
      raise KeyboardInterrupt
    distributed.request_stop()

  return {number: signal.signal(number, note) for number in _numbers()}


def _numbers() -> list[int]:
  numbers = [signal.SIGINT]
  if not jax.distributed.is_initialized():
    numbers.append(signal.SIGTERM)
  if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
    numbers.append(signal.SIGHUP)
  # A handler that was not installed from Python could not be put back.
  return [number for number in numbers if signal.getsignal(number) is not None]


@contextlib.contextmanager
def at_once() -> Iterator[None]:
  """A block in which the first signal raises KeyboardInterrupt, for work that may take minutes.

  Where a library swallows the exception, the flag is still set: call `stop_here` after the block.
  """
  _at_once.append(True)
  try:
    yield
  finally:
    _at_once.pop()


def stop_here() -> None:
  """Raises KeyboardInterrupt if a signal was received; for places where nothing is to be saved.

  In a run of many processes it does nothing: these stop together, before a call of the step.
  """
  if _open and _open[-1] and not jax.distributed.is_initialized():
    raise KeyboardInterrupt
