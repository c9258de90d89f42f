"""Compares losses: figures, tables and tests from the records of runs, without JAX.

  python -m experiments.compare --workdir=runs/sweep
  python -m experiments.compare --workdir=runs/sweep,runs/more --outdir=runs/comparison

Folders are those of sweeps, of runs, or any with runs below; or one of a study in two phases. Runs
need not be finished: what there is so far is shown, and what is missing is said. Writes
report.html, one page that opens anywhere, with figures/ and summary.csv; prints the table. 18 runs
of 6 losses take about 5 seconds on a CPU.
"""

import os
import pathlib
import sys
from typing import Any

from experiments.cli import plugin_flag
from experiments.cli.command import OK, PATH, PATHS, Command, typed
from gan.errors import UserError
from gan.sweeps.study import SEARCH
from gan.system.progress import say
from gan.training.run_folder import writable_file, writable_folder


def main(argv=None):
  command = Command(__doc__, opens_run=False)
  command.add(PATHS, "workdir", None, "folders with runs, by commas", "what")
  command.add(str, "metric", None, "of the comparison (default: the first evaluated)", "what")
  command.add(PATH, "outdir", None, "where the page goes (default: the first folder)", "output")
  command.add(PATH, "docs", None, "also write it as a page of documentation, a .md file", "output")
  return command.run(lambda: _run(command.values, typed("compare", argv or sys.argv)), argv)


def _run(values, line) -> int:
  folders = split_folders(values.workdir or "")
  if not folders:
    raise UserError("--workdir is missing: name folders with runs, by commas")
  if values.docs:
    writable_file(values.docs, ".md")
  for folder in folders:
    _know_metrics(folder)
  outdir = values.outdir or folders[0]
  result = draw(folders, values.metric, outdir)
  if values.docs:
    # Importing matplotlib only now keeps --help and flag errors quick.
    from gan.report import docs_page

    docs_page.write(result, pathlib.Path(outdir) / "figures", pathlib.Path(values.docs), line)
  return OK


def draw(folders: list[str], metric: str | None, outdir: str | os.PathLike) -> Any:
  """Writes the page of some folders, prints its table and findings, and returns their analysis.

  Args:
    folders: of runs, of sweeps, or of one study.
    metric: of the comparison; None for the first that was evaluated.
    outdir: where the page goes.
  """
  # Importing matplotlib only now keeps --help and flag errors quick.
  from gan.report import page, table, words

  result, outdir = _analysis(folders, metric), writable_folder(outdir)
  page.write(result, outdir, say)
  for note in words.notes(result):
    say(f"Note: {note}")
  if result.metric:
    print(f"{result.metric}, last and best up to step {result.headline[0].step}")
    print(table.to_text(result), end="\n\n")
  print("\n".join(words.findings(result)))
  say(f"Written: {outdir / 'report.html'}, {outdir / 'summary.csv'}, {outdir / 'figures'}")
  return result


def _analysis(folders, metric):
  """Of a study in two phases its confirmation, or its search where nothing is confirmed yet."""
  from gan.report import analysis, studies, study

  two_phases = [folder for folder in folders if studies.is_study(folder)]
  if two_phases and len(folders) > 1:
    raise UserError(f"{two_phases[0]} is a study of its own: name it alone as --workdir")
  if two_phases:
    confirmed, search = studies.load(folders[0], metric)
    return confirmed or search
  return analysis.analyse(study.load(folders), metric)


def _know_metrics(folder):
  """Which way a metric of a plugin is better, the plugin says; all else is in the records."""
  try:
    for place in (folder, os.path.join(folder, SEARCH)):
      plugin_flag.load_of(place)
  except UserError as error:
    say(f"Note: its metrics are shown without a direction, for {error}")


def split_folders(text: str) -> list[str]:
  """Returns the folders of a flag: names by commas, where runs of sweeps have commas too.

  Pieces are joined again as far as they name a folder that is there.
  """
  pieces, folders = text.split(","), []
  while pieces:
    lengths = range(len(pieces), 1, -1)
    joined = (n for n in lengths if pathlib.Path(",".join(pieces[:n])).is_dir())
    taken = next(joined, 1)
    folders.append(",".join(pieces[:taken]))
    pieces = pieces[taken:]
  return [folder for folder in folders if folder]


if __name__ == "__main__":
  sys.exit(main())
