"""Processes that a command starts, which end when it does, however it ends.

  python -m experiments.cli.children PARENT MODULE ARGUMENT...

runs a module as `python -m MODULE ARGUMENT...` does, for as long as the process PARENT lives.
"""

import os
import runpy
import signal
import sys
import threading
import time

SECONDS = 0.5  # between looks


def command(module: str, *arguments: str) -> list[str]:
  """Returns the command of a module of this package that ends with this process, even by SIGKILL.

  Args:
    module: as for `python -m`.
    arguments: of the module.
  """
  return [sys.executable, "-m", "experiments.cli.children", str(os.getpid()), module, *arguments]


def end_with(parent: int) -> None:
  """Ends this process, now or later, where `parent`, which started it, has ended.

  The system gives an orphan another parent at once.
  """

  def watch():
    while os.getppid() == parent:
      time.sleep(SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)

  threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
  end_with(int(sys.argv[1]))
  _, module = sys.argv.pop(0), sys.argv.pop(1)
  runpy.run_module(module, run_name="__main__", alter_sys=True)
