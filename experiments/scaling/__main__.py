"""Measures what a step costs on several devices of this machine, and predicts it for many.

  python -m experiments.scaling --docs=docs/scaling.md

Step times of simulated CPU devices, and of two processes on loopback; the bytes that a step puts on
the wire, by formula and counted in the compiled program, for every model; from them and from
published numbers, the efficiency on 8, 64 and 512 accelerators. Nothing is trained, and no data are
needed.

  python -m experiments.scaling --presets --docs=docs/models.md

lowers every preset at full size for CUDA and TPU, on any machine, and writes a table of what a step
needs between two marks of a page.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time
from typing import Any

from experiments.cli import children
from experiments.cli.command import OK, PATH, Command, typed
from experiments.scaling import page, presets
from experiments.scaling.cases import CASES
from gan.errors import UserError
from gan.system import environment, schema
from gan.system.progress import say
from gan.training.run_folder import writable_file

DEVICES = (1, 2, 4)
STEPS = 15


def main(argv=None):
  command = Command(__doc__)
  command.add(PATH, "docs", None, "write the page to this file (default: print it)", "scaling")
  command.add(int, "steps", None, f"steps that are timed (default: {STEPS})", "scaling")
  command.add(bool, "presets", False, "lower every preset at full size instead", "scaling")
  return command.run(lambda: _scaling(command.values, list(argv or sys.argv)), argv)


def _scaling(values, argv) -> int:
  if values.presets and values.steps is not None:
    raise UserError("--steps is of times, and --presets measures none: leave one of the two out")
  steps = STEPS if values.steps is None else values.steps
  if steps < 1:
    raise UserError(f"--steps={steps} must be above 0")
  if values.docs:
    writable_file(values.docs, ".md")
  if values.presets:
    return _presets(values.docs, argv)
  facts = {
    "command": typed("scaling", argv),
    "date": time.strftime("%Y-%m-%d"),
    "machine": environment.describe(),
    "load": os.getloadavg()[0],
  }
  text = page.render(facts | measured(steps))
  if values.docs:
    pathlib.Path(values.docs).write_text(text, encoding="utf-8")
  else:
    print(text)
  return OK


def _presets(docs, argv) -> int:
  text = presets.write(pathlib.Path(docs) if docs else None, typed("scaling", argv))
  if not docs:
    print(text)
  return OK


def measured(steps: int) -> dict[str, Any]:
  """Returns all that is measured here, as JSON values.

  Args:
    steps: how many are timed.
  """
  timed = {"time": [name for name, case in CASES.items() if case.timed], "steps": steps}
  times = {}
  for devices in DEVICES:
    say(f"Step times, {devices} devices")
    strategies = ["none"] if devices == 1 else ["shard_map", "jit"]
    times[f"{devices}"] = _run([timed | {"strategies": strategies}], devices)
  say("Step times, 2 processes")
  times["2 processes"] = _run(_two(timed | {"strategies": ["shard_map"]}), 1)
  say("Step times, data on the host")
  times["data_on_host"] = _run([timed | {"strategies": ["shard_map"], "data_on_host": True}], 2)
  say("Bytes, compiled for 4 devices")
  counts = _run([{"count": list(CASES), "strategies": ["shard_map", "jit"]}], 4)
  return {"times": times, "counts": counts, "steps": steps}


def _two(order):
  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{free.getsockname()[1]}"
  return [order | {"coordinator": address, "processes": 2, "process": i} for i in range(2)]


def _run(orders, devices):
  """What the first of the processes that get these orders has to say."""
  environ = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
  processes = [
    subprocess.Popen(
      children.command("experiments.scaling.worker", json.dumps(order)),
      env=environ,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for order in orders
  ]
  outputs = [process.communicate() for process in processes]
  for process, (_, errors) in zip(processes, outputs, strict=True):
    if process.returncode:
      last = errors.strip().rpartition("\n")[-1] or "it said nothing"
      raise UserError(f"a worker ended with exit code {process.returncode}: {last}")
  answer = outputs[0][0]
  return schema.checked(answer, schema.entries(), "a worker's answer is damaged", "run it again")


if __name__ == "__main__":
  sys.exit(main())
