"""Processes that a command starts, which end when it does, however it ends.

  python experiments/cli/children.py PARENT MODULE ARGUMENT...

runs a module as `python -m MODULE ARGUMENT...` does, for as long as the process PARENT lives. It is
a module of this package, also where the current folder has an `experiments` of its own: this file
is started by its path.
"""

import os
import pathlib
import runpy
import signal
import sys
import threading
import time

SECONDS = 0.5  # between looks
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]  # of this package


def command(module: str, *arguments: str) -> list[str]:
  """Returns the command of a module of this package that ends with this process, even by SIGKILL.

  Args:
    module: as for `python -m`.
    arguments: of the module.
  """
  return [sys.executable, __file__, str(os.getpid()), module, *arguments]


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
  # Python has put the folder of this file first.
  sys.path = [str(ROOT), *(path for path in sys.path if path not in (str(HERE), str(ROOT)))]
  module, sys.argv = sys.argv[2], ["-m", *sys.argv[3:]]
  runpy.run_module(module, run_name="__main__", alter_sys=True)
