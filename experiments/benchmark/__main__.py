"""Times a training step of ours beside the same network in PyTorch (eager), pair by pair.

  pip install -e '.[bench]'
  python -m experiments.benchmark --peer=torch

Both run in processes of their own and take turns, so that neither disturbs the other and a change
of the machine's speed meets both. A ratio is our step time over the peer's: below 1 we are faster.

  python -m experiments.benchmark --sweeps=ring_small,ring_large,mlp,dcgan

times whole sweeps beside their members as single commands, one after the other, and needs no
PyTorch. Here a ratio is the time of the single commands over that of the sweep: above 1 the sweep
is faster. Give --peer as well for both comparisons.
"""

import importlib.util
import statistics
import subprocess
import sys

from absl import flags

from experiments.benchmark import sweeps
from experiments.benchmark.cases import CASES
from experiments.command import OK, Command
from gan.errors import UserError


class Worker:
  """A process that makes steps when it is told to."""

  def __init__(self, module: str, case: str, batch_size: int):
    command = [sys.executable, "-m", f"experiments.benchmark.{module}", case, str(batch_size)]
    self._process = subprocess.Popen(
      command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    self.parameters = self._answer()

  def milliseconds(self, steps: int) -> float:
    """Returns the time of a step, over `steps` of them."""
    try:
      self._process.stdin.write(f"{steps}\n")
      self._process.stdin.flush()
    except BrokenPipeError:
      pass  # The worker has ended; reading says so.
    return float(self._answer())

  def close(self) -> None:
    self._process.stdin.close()
    self._process.wait()

  def _answer(self):
    line = self._process.stdout.readline()
    if not line:
      raise UserError(f"a worker ended with exit code {self._process.wait()}; see above")
    return line.strip()


def main(argv=None):
  command = Command(__doc__)
  command.add(str, "peer", "torch", "what to compare with", "benchmark", ["torch"])
  command.add(str, "cases", ",".join(CASES), "which networks, by commas", "benchmark")
  command.add(int, "batch_size", 128, "real examples in an update", "benchmark")
  command.add(int, "pairs", 7, "how often each takes its turn", "benchmark")
  command.add(int, "steps", 20, "steps in a turn", "benchmark")
  choices = ",".join(sweeps.SWEEP_CASES)
  command.add(str, "sweeps", "", f"sweeps to time, by commas, of {choices}", "sweeps")
  command.add(int, "sweep_steps", 500, "steps of every run", "sweeps")
  command.add(int, "sweep_singles", 4, "single commands to time; the rest are scaled", "sweeps")
  return command.run(lambda: _benchmark(command.values), argv)


def _benchmark(values: flags.FlagValues) -> int:
  for name in ("batch_size", "pairs", "steps", "sweep_steps", "sweep_singles"):
    if values[name].value < 1:
      raise UserError(f"--{name}={values[name].value} must be above 0")
  chosen = sweeps.chosen_cases(values.sweeps)
  if values["peer"].present or not chosen:
    _compare(values)
  if chosen:
    sweeps.compare(chosen, values.sweep_steps, values.sweep_singles)
  return OK


def _compare(values):
  if importlib.util.find_spec("torch") is None:
    raise UserError("PyTorch is not installed: pip install -e '.[bench]'")
  for name in values.cases.split(","):
    if name not in CASES:
      raise UserError(f"--cases={name} is unknown: choose from {', '.join(CASES)}")
    _compare_case(name, values)


def _compare_case(name, values):
  ours, peer = (Worker(module, name, values.batch_size) for module in ("ours", "torch_peer"))
  if ours.parameters != peer.parameters:
    raise UserError(f"{name}: {ours.parameters} parameters here, {peer.parameters} in the peer")
  print(f"{name}, batch {values.batch_size}, parameters of G and D: {ours.parameters}")
  ratios = []
  for pair in range(values.pairs):
    times = ours.milliseconds(values.steps), peer.milliseconds(values.steps)
    ratios.append(times[0] / times[1])
    print(
      f"  pair {pair + 1}: ours {times[0]:.1f} ms, torch {times[1]:.1f} ms, ratio {ratios[-1]:.2f}"
    )
  low, high = min(ratios), max(ratios)
  print(
    f"  median ratio {statistics.median(ratios):.2f} (from {low:.2f} to {high:.2f})", flush=True
  )
  for worker in (ours, peer):
    worker.close()


if __name__ == "__main__":
  sys.exit(main())
