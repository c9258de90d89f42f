"""Kills a training run with SIGKILL, runs its command again, and compares with an unbroken run.

  python tests/kill_and_resume.py --model=dcgan --loss=nonsat --steps=40

Final state, records (but for "seconds") and sample pictures must be equal bit for bit. Prints a
line for each comparison; the exit code is 0 where all are equal, else 1. Data are scikit-learn's
digits.
Further flags are handed to the run: --width=8 --batch_size=16, ...
"""

import argparse
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import tempfile
import time

import jax
import numpy as np

from gan.training import restore
from gan.training.run_folder import EVALUATIONS, read_metrics, read_summary

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIMEOUT = 900  # seconds for one run


def main(argv=None) -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--model", default="dcgan")
  parser.add_argument("--loss", default="nonsat")
  parser.add_argument("--steps", type=int, default=40)
  parser.add_argument("--folder", help="where both runs go (default: a temporary folder)")
  options, flags = parser.parse_known_args(argv)
  if options.steps < 8:
    parser.error("--steps must be at least 8")
  with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(options.folder or temporary)
    killed, unbroken = folder / "killed", folder / "unbroken"
    flags = [f"--model={options.model}", f"--loss={options.loss}", *flags]
    for run in (killed, unbroken):
      if run.exists():
        parser.error(f"{run} is there already")
    kill_at = kill_half_way(command(killed, options.steps, flags), killed, options.steps)
    report = run_to_end(command(killed, options.steps, flags))
    continued = [line for line in report.splitlines() if line.startswith("Continuing from step")]
    print(f"killed at step {kill_at} or later; then: {continued}")
    run_to_end(command(unbroken, options.steps, flags))
    results = {"continued from a checkpoint": len(continued) == 1, **compare(killed, unbroken)}
  for what, equal in results.items():
    print(f"{'ok  ' if equal else 'FAIL'} {what}")
  return 0 if all(results.values()) else 1


def command(workdir: pathlib.Path, steps: int, flags: list[str]) -> list[str]:
  """The command line: records at each step, checkpoints and pictures every quarter of the run."""
  quarter = steps // 4
  cadence = f"--log_every=1 --sample_every={quarter} --checkpoint_every={quarter}"
  cadence += f" --eval_every={quarter} --eval_samples=200"
  start = [sys.executable, "-m", "experiments.mnist", "--dataset=digits", f"--steps={steps}"]
  return [*start, *cadence.split(), f"--workdir={workdir}", *flags]


def kill_half_way(arguments: list[str], workdir: pathlib.Path, steps: int) -> int:
  """Runs until a checkpoint is whole and steps after it are recorded, kills; returns the step."""
  print(shlex.join(arguments))
  checkpoint = workdir / "checkpoints" / str(steps // 4)
  goal = steps // 2 + 1
  deadline = time.monotonic() + TIMEOUT
  with tempfile.TemporaryFile() as output:
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=output, stderr=output)
    try:
      while process.poll() is None and time.monotonic() < deadline:
        records = read_metrics(workdir)
        if checkpoint.exists() and records and records[-1]["step"] >= goal:
          break
        time.sleep(0.002)
    finally:
      process.kill()
      process.wait()
    if process.returncode != -signal.SIGKILL or read_summary(workdir)["status"] != "running":
      output.seek(0)
      print(output.read().decode())
      raise RuntimeError(f"the run ended before it was killed (code {process.returncode})")
  return read_metrics(workdir)[-1]["step"]


def run_to_end(arguments: list[str]) -> str:
  """Runs a command that must succeed, and returns what it printed."""
  print(shlex.join(arguments))
  result = subprocess.run(
    arguments, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=False
  )
  if result.returncode:
    raise RuntimeError(f"exit code {result.returncode}\n{result.stdout}{result.stderr}")
  return result.stdout + result.stderr


def compare(first: str | os.PathLike, second: str | os.PathLike) -> dict[str, bool]:
  """Whether what two run folders hold is equal bit for bit, by what was compared.

  The states are those of the newest checkpoints: parameters, optimisers, averages, and the rest.
  """
  states = [restore.load(folder).state for folder in (first, second)]
  records = [list(map(untimed, all_records(folder))) for folder in (first, second)]
  pictures = [picture_bytes(folder) for folder in (first, second)]
  return {
    f"state of step {int(states[0].step)}": same_bits(*states),
    f"{len(records[0])} records": bool(records[0]) and records[0] == records[1],
    f"{len(pictures[0])} pictures": bool(pictures[0]) and pictures[0] == pictures[1],
  }


def all_records(folder: str | os.PathLike) -> list[dict]:
  """The records of every step, then those of every evaluation."""
  return read_metrics(folder) + read_metrics(folder, EVALUATIONS)


def untimed(record: dict) -> dict:
  """A record without the one value that may differ between equal runs."""
  return {name: value for name, value in record.items() if name != "seconds"}


def picture_bytes(folder: str | os.PathLike) -> dict[str, bytes]:
  """{name: content} of a run's sample pictures."""
  return {path.name: path.read_bytes() for path in pathlib.Path(folder, "samples").glob("*.png")}


def same_bits(first, second) -> bool:
  """Whether two trees of arrays agree in structure, types and every bit."""
  if jax.tree.structure(first) != jax.tree.structure(second):
    return False
  pairs = zip(*(map(np.asarray, jax.tree.leaves(tree)) for tree in (first, second)), strict=True)
  return all(one.dtype == two.dtype and one.tobytes() == two.tobytes() for one, two in pairs)


if __name__ == "__main__":
  sys.exit(main())
