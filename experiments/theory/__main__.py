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
"""

import inspect
import json
import pathlib
import sys
import time
import traceback
from typing import Any

from experiments.command import OK, Command
from gan.errors import UserError
from gan.progress import say
from gan.records import plain, writable_folder, write_json

FAILED = 1


def main(argv=None):
  command = Command(__doc__)
  command.add(str, "case", "all", "names by commas, or all; see above", "cases")
  command.add(bool, "quick", False, "fewer steps and seeds", "cases")
  command.add(int, "seeds", None, "seeds (default: each case's own number)", "cases")
  command.add(str, "data_dir", None, "where data sets lie, for cases that read one", "cases")
  command.add(str, "workdir", None, "a run folder, for cases that look into one", "cases")
  command.add(str, "outdir", "runs/theory", "where pictures, records and report go", "output")
  command.add(str, "docs", None, "a Markdown page to write, docs/theory.md", "output")
  return command.run(lambda: _run(command.values), argv)


def _run(values) -> int:
  # Importing JAX only now keeps --help quick.
  from experiments.common import prepare
  from experiments.theory import page
  from experiments.theory.case import Settings
  from experiments.theory.registry import CASES, LONG, every_case

  names = every_case(quick=values.quick) if values.case == "all" else values.case.split(",")
  if unknown := [name for name in names if name not in CASES]:
    raise UserError(f"--case={','.join(unknown)} is unknown: choose from all, {', '.join(CASES)}")
  if values.seeds is not None and values.seeds < 1:
    raise UserError(f"--seeds={values.seeds} must be above 0")
  prepare()
  folder = writable_folder(values.outdir)
  settings = Settings(values.quick, values.seeds, values.data_dir, values.workdir, folder)
  outcomes = [perform(name, CASES[name], settings, folder) for name in names]
  page.write_report(folder, list(CASES))
  say(f"Report: {folder / 'report.html'}")
  if values.case == "all":
    for name in (name for name in LONG if name not in names):
      needed = "needs MNIST" if values.quick else f"takes {LONG[name]}"
      say(f"Left out, for it {needed}: --case={name}")
  if values.docs:
    page.write_docs(folder, list(CASES), pathlib.Path(values.docs))
  return OK if all(map(met, outcomes)) else FAILED


def perform(name: str, run, settings, folder: pathlib.Path) -> dict[str, Any]:
  """Runs a case, prints its table, writes its folder; returns what result.json holds.

  A case that ends with an error leaves the error there, and does not keep others from running.
  """
  say(f"{name} ...")
  began = time.monotonic(), time.process_time()
  try:
    result, error = run(settings), None
  except UserError as failure:
    result, error = None, str(failure)
  except Exception as failure:
    traceback.print_exc()
    result, error = None, f"{type(failure).__name__}: {failure}"
  took = time.monotonic() - began[0], time.process_time() - began[1]
  outcome = _describe(name, run, settings, took, error)
  if result:
    outcome |= _save(result, writable_folder(folder / name))
  write_json(writable_folder(folder / name) / "result.json", outcome)
  print(table(outcome), flush=True)
  return outcome


def _describe(name, run, settings, took, error):
  from gan.environment import describe

  title, _, about = inspect.getdoc(run).partition(".\n\n")
  return {
    "case": name,
    "title": title,
    "about": about,
    "quick": settings.quick,
    "seeds": settings.seeds,
    "seconds": round(took[0], 1),
    "processor_seconds": round(took[1], 1),
    "environment": describe(),
    "error": error,
    "checks": [],
    "notes": [],
    "figures": [],
  }


def _save(result, folder) -> dict[str, Any]:
  from gan import animation, pictures

  figures = {f"{name}.png": figure for name, figure in result.figures.items()}
  films = {f"{name}.gif": frames for name, frames in result.films.items() if frames}
  for name, figure in figures.items():
    pictures.save(figure, folder / name)
  for name, frames in films.items():
    animation.write_gif(frames, folder / name)
  lines = [json.dumps({key: plain(value) for key, value in row.items()}) for row in result.records]
  (folder / "records.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
  checks = [check._asdict() for check in result.checks]
  return {"checks": checks, "notes": result.notes, "figures": [*figures, *films]}


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
