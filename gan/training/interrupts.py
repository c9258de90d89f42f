"""Ctrl-C and its kin: a flag that is looked at where a run can stop, and never lost.

An exception would be lost where it lands in a callback of JAX, and would end what cannot end half
way.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator

import jax

from gan.training import distributed

_open: list[list[int]] = []  # the flag of each block that is open; blocks inside a block share it
_at_once: list[bool] = []  # no longer empty where the first signal raises, too


@contextlib.contextmanager
def interrupts() -> Iterator[list[int]]:
  """Yields a list that is no longer empty once the user interrupts; a second time stops at once.

  SIGINT, SIGTERM and SIGHUP interrupt, but for a SIGHUP that is ignored, as under `nohup`. In a
  run of many processes SIGTERM is JAX's, which tells it to all of them. Python lets the main
  thread alone have signals: in another one nothing is changed.
  """
  seen = _open[-1] if _open else []
  _open.append(seen)
  previous = _install(seen) if threading.current_thread() is threading.main_thread() else {}
  try:
    yield seen
  finally:
    _open.pop()
    for number, handler in previous.items():
      signal.signal(number, handler)


def _install(seen):
  def note(number, frame):
    # A terminal that closes sends SIGHUP twice: from the system, and from the shell.
    again = bool(seen) and number != getattr(signal, "SIGHUP", None)
    seen.append(number)
    if again or _at_once:
      raise KeyboardInterrupt
    distributed.tell_stop()

  return {number: signal.signal(number, note) for number in _numbers()}


def _numbers():
  numbers = [signal.SIGINT]
  if not jax.distributed.is_initialized():
    numbers.append(signal.SIGTERM)
  if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
    numbers.append(signal.SIGHUP)
  # A handler that was not installed from Python could not be put back.
  return [number for number in numbers if signal.getsignal(number) is not None]


@contextlib.contextmanager
def at_once() -> Iterator[None]:
  """A block in which the first interrupt raises KeyboardInterrupt, for what may take minutes.

  Where that is lost, the flag is still set: `stop_here` comes after the block.
  """
  _at_once.append(True)
  try:
    yield
  finally:
    _at_once.pop()


def stop_here() -> None:
  """Raises KeyboardInterrupt where the user has interrupted: a place where nothing is to be saved.

  The processes of a run of many stop together, at a step, and not here.
  """
  if _open and _open[-1] and not jax.distributed.is_initialized():
    raise KeyboardInterrupt
