"""The cache on every supported jaxlib, the end of an aborted process, and numbers held by hand."""

import os
import pathlib
import subprocess
import sys

import pytest

from gan import distributed

ROOT = pathlib.Path(__file__).resolve().parent.parent

# A command that caches every program, however quickly it compiles, and counts how each was had.
COMMAND = """
import collections, sys
import jax
from experiments import common, mnist
always = {"jax_persistent_cache_min_compile_time_secs": 0}
common.use_compilation_cache = lambda: [jax.config.update(*item) for item in always.items()]
seen = collections.Counter()
jax.monitoring.register_event_listener(lambda name, **_: seen.update([name.split("/")[-1]]))
code = mnist.main(sys.argv)
print("programs:", seen["compile_requests_use_cache"], seen["cache_hits"])
sys.exit(code)
"""


def run_python(*arguments, **environment):
  return subprocess.run(
    [sys.executable, *arguments],
    cwd=ROOT,
    env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"} | environment,
    capture_output=True,
    text=True,
    check=False,
  )


def test_a_second_process_compiles_nothing_and_neither_warns(tmp_path):
  cache, entries, programs = tmp_path / "cache", [], []
  flags = ["--dataset=digits", "--steps=2", "--width=8", "--batch_size=16"]
  flags += ["--eval_every=2", "--eval_samples=100"]
  for name in ("first", "second"):
    # Any warning is an error there.
    done = run_python(
      *("-W", "error", "-c", COMMAND, *flags, f"--workdir={tmp_path / name}"),
      JAX_COMPILATION_CACHE_DIR=str(cache),
    )
    assert done.returncode == 0, done.stderr
    assert "arning" not in done.stdout + done.stderr
    entries.append({path.name for path in cache.glob("*-cache")})
    programs.append([int(count) for count in done.stdout.splitlines()[-1].split()[1:]])
  (asked, hits), (asked_again, hits_again) = programs
  assert asked == asked_again == hits_again > 10 and hits == 0
  assert len(entries[0]) == asked and entries[1] == entries[0]


# What ends a process of many, and the line it leaves; the wait for the others at the end fails too.
ENDS = {
  "abort()": "error: process 0 ended: it was killed, or another one died or was silent for 9 s",
  "threading.Thread(target=abort).start(); time.sleep(60)": "error: process 0 ended: it was killed",
  "raise UserError('no room')": "error: process 0 ended: no room. What was saved is whole",
  "raise OSError('no room')": "error: process 0 ended: OSError: no room. What was saved is whole",
  "logging.error('pages'); 1 / 0": "error: process 0 ended: ZeroDivisionError: division by zero",
  "pass": "error: process 0 ended: RuntimeError: nobody came. What was saved is whole",
}
PROCESS = """
import ctypes, logging, sys, threading, time
import jax
from gan import distributed
from gan.errors import UserError

def nobody_comes():
  raise RuntimeError("nobody came")

abort = ctypes.CDLL(None).abort
distributed._initialize = distributed._meet = distributed._exchange = lambda *arguments: None
jax.distributed.shutdown = nobody_comes
with distributed.joined("127.0.0.1:1", 2, 0, 9):
  exec(sys.argv[1])
"""


@pytest.mark.parametrize("event", ENDS)
def test_a_process_that_loses_the_others_ends_with_a_line_and_its_code(event, tmp_path):
  done = run_python("-c", PROCESS, event, TMPDIR=str(tmp_path))
  assert done.returncode == distributed.LOST
  # The watcher prints it once the process is gone, and holds stderr open until then.
  (line,) = done.stderr.splitlines()
  assert line.startswith(ENDS[event]) and not done.stdout
