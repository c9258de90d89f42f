"""Times our work beside PyTorch's, side by side on this machine, and draws both.

  pip install -e '.[bench]'
  python -m experiments.benchmark --peer=torch

The same networks, batches, updates and precision on both sides, with equally many parameters, each
side in a process of its own. They take turns, so that neither disturbs the other and a change of
the machine's speed meets both. PyTorch takes part in the quickest of its forms: eager, channels
last, or torch.compile upon the quicker of these, tried for each case (cases that differ in k or in
the batch size alone share one). A ratio is PyTorch's time
over ours: above 1 we are faster. Beside it stand the share of the rate of matrix products that was
measured between the turns (the better library's; only the products and convolutions that the
mathematics needs are counted), and the peak memory of each process.

  python -m experiments.benchmark --cases=dcgan-28-r1 --forms=eager,channels_last --pairs=3

times one case, quickly. A case is MODEL-SIZE-PENALTY-kN-bN-TASK, with what is left out plain;
MODEL is mlp, dcgan or infogan, TASK sampling, evaluation, metrics or start. resnet-32, biggan-32,
stylegan2-32 and r3gan-32 are steps with the loss and penalty of their papers, in the group modern;
wN sets their width. Groups of cases are steps, modern, sampling, evaluation, k, batch, pixels,
members, start and accelerator. Where JAX and PyTorch see a GPU, both work there, and torch.compile
records CUDA graphs.

  python -m experiments.benchmark --sweeps=ring_small,ring_large,mlp,dcgan,ring_many

times whole sweeps beside their runs as single commands, one after the other, and needs no
PyTorch. Here a ratio is the time of the single commands over that of the sweep: above 1 the sweep
is faster. Give --peer or --cases as well for both comparisons.

benchmark.json holds every turn, table.md the table, ratios.png and growth.png the pictures.
"""

import functools
import importlib.util
import json
import shlex
import sys

from absl import flags

from experiments.benchmark import cases, compare, device, figures, results, sweeps
from experiments.cli.command import OK, PATH, Command, refuse_unread
from gan.errors import UserError
from gan.training.run_folder import writable_folder


def main(argv=None):
  command = Command(__doc__)
  command.add(str, "peer", "torch", "what to compare with", "benchmark", ["torch", "none"])
  command.add(str, "cases", None, "cases and groups, by commas (default: all)", "benchmark")
  forms = ",".join(compare.FORMS)
  command.add(str, "forms", forms, "forms of PyTorch to try, by commas", "benchmark")
  command.add(int, "pairs", 5, "turns of each side", "benchmark")
  command.add(float, "seconds", 0.5, "that a turn lasts at least", "benchmark")
  choices = ",".join(sweeps.SWEEP_CASES)
  command.add(str, "sweeps", "", f"sweeps to time, by commas, of {choices}", "sweeps")
  command.add(int, "sweep_steps", 500, "steps of every run", "sweeps")
  command.add(int, "sweep_singles", 4, "single commands to time; the rest are scaled", "sweeps")
  command.add(PATH, "outdir", "runs/benchmark", "where the results go", "output")
  typed = ["python", "-m", "experiments.benchmark", *(argv or sys.argv)[1:]]
  return command.run(lambda: _benchmark(command.values, shlex.join(typed)), argv)


def _benchmark(values: flags.FlagValues, typed: str) -> int:
  if values.cases is not None and not values.cases.strip(", "):
    raise UserError("--cases is empty: name some, or leave it out for all")
  for name in ("pairs", "seconds", "sweep_steps", "sweep_singles"):
    if values[name].value <= 0:
      raise UserError(f"--{name}={values[name].value} must be above 0")
  chosen = sweeps.chosen_cases(values.sweeps)
  _refuse_unread(values, chosen)
  folder = writable_folder(values.outdir)
  environment = device.describe()
  report = {"format": results.FORMAT, "command": typed, "environment": environment}
  report |= {"cases": [], "sweeps": []}
  write = functools.partial(_write, report, folder)
  if values["peer"].present or values["cases"].present or not chosen:
    _compare(_plan(values, device.kind(environment)), values.cases, report["cases"], write)
  if chosen:
    report["sweeps"] = sweeps.compare(chosen, values.sweep_steps, values.sweep_singles)
  _finish(report, folder)
  return OK


def _refuse_unread(values, sweeps_chosen):
  if not sweeps_chosen:
    refuse_unread(values, ["sweep_steps", "sweep_singles"], "--sweeps")
  elif not (values["peer"].present or values["cases"].present):
    refuse_unread(values, ["forms", "pairs", "seconds"], "--peer or --cases")
  if values.peer == "none":
    refuse_unread(values, ["forms"], "--peer=torch")


def _plan(values, kind) -> compare.Plan:
  forms = tuple(values.forms.split(","))
  for form in forms:
    if form not in compare.FORMS:
      raise UserError(f"--forms={form} is unknown: choose from {', '.join(compare.FORMS)}")
  peer = values.peer == "torch"
  if peer and importlib.util.find_spec("torch") is None:
    raise UserError("PyTorch is not installed: pip install -e '.[bench]', or --peer=none")
  return compare.Plan(kind, peer, forms, values.pairs, values.seconds)


def _compare(plan, names, records, write):
  known = {}
  for case in cases.chosen(names or cases.default_groups(plan.device)):
    records.append(compare.run(case, plan, known))
    print(results.line(records[-1]), flush=True)
    write()


def _write(report, folder):
  (folder / "benchmark.json").write_text(json.dumps(report, indent=1) + "\n")


def _finish(report, folder):
  _write(report, folder)
  if report["cases"]:
    text = results.table(report["cases"])
    (folder / "table.md").write_text(text + "\n")
    print(f"\n{text}")
    figures.save(report["cases"], folder)
  print(f"\n{folder / 'benchmark.json'}")


if __name__ == "__main__":
  sys.exit(main())
