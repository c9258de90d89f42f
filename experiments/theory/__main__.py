"""Holds the library against what is known exactly of GANs, and against toy results of papers.

  python -m experiments.theory --case=dirac --outdir=runs/theory
  python -m experiments.theory --case=all --quick

Each case prints a table of our values beside the published or exact ones and draws its figures and
animations. <outdir>/<case>/ then holds the pictures, records.jsonl (one object a seed) and
result.json; <outdir>/report.html is a page of every case that the folder holds. The exit code is 1
where a criterion fails or a case ends with an error. --docs=docs/theory.md writes the page of the
docs.

`all` is every case but two of hours: mixtures (among `all --quick`) and parzen, which needs MNIST.
Name them for the full runs; with --quick each takes about a minute.

On a CPU whose cores can be shared out, by Linux, as many cases run at once as there are cores, each
in a process on a core of its own: products as small as theirs gain little by a second core.
--jobs=1 runs one after the other.
"""

import os
import pathlib
import sys
from typing import Any

from tqdm import tqdm

from experiments.cli.command import OK, PATH, Command, refuse_unread
from gan.errors import UserError
from gan.system.cores import cores
from gan.system.progress import CountProgress, say
from gan.training.run_folder import writable_file, writable_folder

FAILED = 1
MOST_SEEDS = 10_000  # each is an object in records.jsonl


def main(argv=None):
  command = Command(__doc__)
  command.add(str, "case", "all", "names by commas, or all; see above", "cases")
  command.add(bool, "quick", False, "fewer steps and seeds", "cases")
  command.add(int, "jobs", None, "cases at once, one a core at most (default: see above)", "cases")
  command.add(int, "seeds", None, "seeds (default: each case's own number)", "cases")
  command.add(PATH, "data_dir", None, "where data sets lie, for cases that read one", "cases")
  command.add(PATH, "workdir", None, "a run folder, for cases that look into one", "cases")
  command.add(PATH, "outdir", "runs/theory", "where pictures, records and report go", "output")
  command.add(PATH, "docs", None, "a Markdown page to write, docs/theory.md", "output")
  return command.run(lambda: _run(command.values), argv)


def _run(values) -> int:
  # Importing JAX only now keeps --help quick.
  from experiments.cli.common import prepare
  from experiments.theory import page, perform
  from experiments.theory.case import Settings
  from experiments.theory.registry import CASES, LONG, WITHOUT, every_case

  names = every_case(quick=values.quick) if values.case == "all" else _each_once(values.case)
  if unknown := [name for name in names if name not in CASES]:
    raise UserError(f"--case={','.join(unknown)} is unknown: choose from all, {', '.join(CASES)}")
  for flag, cases in WITHOUT.items():
    if cases.issuperset(names):
      refuse_unread(values, [flag], f"--case={','.join(sorted(set(CASES) - cases))}")
  for name in ("seeds", "jobs"):
    if values[name].value is not None and values[name].value < 1:
      raise UserError(f"--{name}={values[name].value} must be above 0")
  if (values.seeds or 0) > MOST_SEEDS:
    raise UserError(f"--seeds={values.seeds} must be at most {MOST_SEEDS:,}")
  folder = writable_folder(values.outdir)
  if values.docs:
    writable_file(values.docs, ".md")
  prepare()
  settings = Settings(values.quick, values.seeds, values.data_dir, values.workdir, folder)
  outcomes = []
  jobs = min(values.jobs or _jobs(), len(cores()), len(names))
  with CountProgress("cases", len(names), 0, "case") as progress:
    for outcome in perform.each(names, settings, jobs):
      with tqdm.external_write_mode():
        print(table(outcome), flush=True)
      progress.advance(1)
      outcomes.append(outcome)
  page.write_report(folder, list(CASES))
  say(f"Report: {folder / 'report.html'}")
  if values.case == "all":
    for name in (name for name in LONG if name not in names):
      needed = "it needs MNIST" if values.quick else f"it takes {LONG[name]}"
      say(f"Not among all, for {needed}: --case={name}")
  if values.docs:
    page.write_docs(folder, list(CASES), pathlib.Path(values.docs))
  return OK if all(map(met, outcomes)) else FAILED


def _jobs() -> int:
  import jax

  # One process takes an accelerator's memory for itself.
  apart = jax.default_backend() == "cpu" and hasattr(os, "sched_setaffinity")
  return len(cores()) if apart else 1


def _each_once(names: str) -> list[str]:
  return list(dict.fromkeys(names.split(",")))


def met(outcome: dict[str, Any]) -> bool:
  """Whether a case ended without an error and every criterion in it is met."""
  return not outcome["error"] and all(check["passed"] is not False for check in outcome["checks"])


def table(outcome: dict[str, Any]) -> str:
  """Returns the result of a case as text: what is measured, ours, expected, whether it passes."""
  seconds = f"{outcome['seconds']} s, {outcome['processor_seconds']} s of processor time"
  lines = [f"{outcome['case']}: {outcome['title']} ({seconds})"]
  if outcome["error"]:
    return "\n".join([*lines, f"  error: {outcome['error']}", ""])
  rows = [["", "ours", "expected", ""]]
  words = {True: "pass", False: "FAIL", None: ""}
  for check in outcome["checks"]:
    rows.append([check["quantity"], check["ours"], check["expected"], words[check["passed"]]])
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  for row in rows:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    lines.append(("  " + "  ".join(cells)).rstrip())
  return "\n".join([*lines, *(f"  {note}" for note in outcome["notes"]), ""])


if __name__ == "__main__":
  sys.exit(main())
