"""Ctrl-C in the middle of a sweep, without a process of its own."""

import os
import signal

from gan.system.progress import SweepProgress


def interrupt_at(monkeypatch, steps):
  """Sends this process SIGINT once the runs of a sweep have made so many steps together."""
  advance, seen = SweepProgress.advance, [0]

  def advance_and_signal(self, count):
    advance(self, count)
    seen[0] += count
    if seen[0] == steps:
      os.kill(os.getpid(), signal.SIGINT)

  monkeypatch.setattr(SweepProgress, "advance", advance_and_signal)
