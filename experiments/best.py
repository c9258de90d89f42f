"""Prints the command line of each loss at the best of its settings, and how it was measured.

  python -m experiments.best --workdir=runs/study

The folder is that of a study, or of a sweep with several settings. A setting is chosen by the last
values of a metric in the search; what was picked looks better than it is, and the values of its
confirmation, by seeds that chose nothing, are printed beside it. No run is made, no device used.
"""

import pathlib
import shlex
import statistics
import sys

from experiments.cli import plugin_flag
from experiments.cli.command import OK, PATH, Command, program
from gan.errors import UserError
from gan.sweeps import study
from gan.training import plugins
from gan.training.run_folder import RUNS_FOLDER


def main(argv=None):
  command = Command(__doc__, opens_run=False)
  command.add(PATH, "workdir", None, "folder of a study, or of a sweep", "what")
  command.add(str, "metric", None, "by which (default: the study's, or the first)", "what")
  return command.run(lambda: _run(command.values, list(argv or sys.argv)), argv)


def _run(values, argv) -> int:
  if not values.workdir:
    raise UserError("--workdir is missing: name the folder of a study, or of a sweep")
  folder = pathlib.Path(values.workdir)
  asked = study.read_study(folder)
  search = folder if asked is None else folder / study.SEARCH
  record = study.read_sweep(search)
  if record is None:
    raise UserError(f"{folder} holds no study and no sweep: check --workdir")
  plugin_flag.load_of(search)
  metric = study.metric_of(search, values.metric or (asked or {}).get("metric"))
  for label, best in study.best_settings(search, metric).items():
    if best is None:
      print(f"{label}: no setting has a finite {metric} at its end")
      continue
    print(f"{best.setting}: {metric} {_measured(best, folder, metric)}")
    print(f"  {_line(search, record, best, argv)}")
  return OK


def _measured(best, folder, metric) -> str:
  """The value by the search, and those of the confirmation."""
  seeds = ", ".join(_seed(name) for name in best.runs)
  found = f"{best.value:.4g} by the search (seed {seeds})"
  confirm = folder / study.CONFIRM
  names = [run["name"] for run in (study.read_sweep(confirm) or {"members": []})["members"]]
  values = {
    _seed(name): measured[1]
    for name in names
    if name.startswith(f"{best.setting},seed=")
    and (measured := study.last_value(confirm / RUNS_FOLDER / name, metric))
  }
  if not values:
    return f"{found}, not confirmed yet"
  each = ", ".join(f"{value:.4g} (seed {seed})" for seed, value in values.items())
  return f"{found}; {statistics.median(values.values()):.4g} by its confirmation: {each}"


def _seed(name: str) -> str:
  return name.rpartition("seed=")[2]


def _line(search, record, best, argv) -> str:
  # Importing JAX only now keeps --help and flag errors quick.
  from experiments.cli.command_line import flags_of, given
  from experiments.sweep import EXPERIMENTS
  from gan.training.restore import recorded_config

  experiment = record.get("experiment")
  if experiment not in EXPERIMENTS:
    raise UserError(
      f"{search} does not say of which experiment it is: it was not made by a command"
    )
  line = record.get("command", "")
  preset = next(reversed(given(line, "preset")), None)
  config = recorded_config(search / RUNS_FOLDER / best.runs[0])
  flags = flags_of(config, EXPERIMENTS[experiment], preset)
  flags += [f"--data_dir={place}" for place in given(line, "data_dir")[-1:]]
  flags += [f"--plugin={','.join(names)}"] if (names := plugins.recorded(search)) else []
  return " ".join([program(experiment, argv), *map(shlex.quote, flags)])


if __name__ == "__main__":
  sys.exit(main())
