"""Performs cases: one after the other, or beside each other in processes on cores of their own."""

import concurrent.futures
import inspect
import json
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from experiments.cli import children
from experiments.cli.common import prepare
from experiments.losses import DPI
from experiments.theory.case import Settings
from experiments.theory.registry import CASES, HEAVY
from gan.errors import UserError, failure
from gan.report import plots
from gan.system.cores import cores
from gan.system.environment import describe
from gan.system.progress import say
from gan.training import animation, pictures, plugins
from gan.training.run_folder import plain, writable_folder, write_json


def each(names: Sequence[str], settings: Settings, jobs: int) -> Iterator[dict[str, Any]]:
  """Performs cases and yields what `perform` returns of each, as they end.

  Args:
    names: of the cases.
    settings: of all of them.
    jobs: how many run at once, each in a process with its share of the cores.

  Raises:
    UserError: one of the processes ended too soon.
  """
  if jobs == 1:
    yield from (perform(name, settings) for name in names)
    return
  context = multiprocessing.get_context("spawn")
  shares = context.Queue()
  for job in range(jobs):
    shares.put(cores()[job::jobs])
  before = multiprocessing.active_children()
  pool = concurrent.futures.ProcessPoolExecutor(jobs, context, _settle, (shares, plugins.loaded()))
  try:
    # The longest begin first, or the last one would run alone.
    order = sorted(names, key=lambda name: (*HEAVY, name).index(name))
    futures = [pool.submit(perform, name, settings) for name in order]
    for future in concurrent.futures.as_completed(futures):
      yield future.result()
  except concurrent.futures.BrokenExecutor:
    raise UserError(
      "a case's process ended before the case, killed for want of memory perhaps: what was done "
      f"before is in {settings.outdir}; run the others with --jobs=1"
    ) from None
  finally:
    pool.shutdown(wait=False, cancel_futures=True)
    for process in set(multiprocessing.active_children()) - set(before):
      process.terminate()


def _settle(shares: multiprocessing.Queue, modules: list[str]) -> None:
  """Readies a process for cases, on a share of the cores and with the plugins."""
  # Ctrl-C reaches the whole group of processes; the first of them ends the others.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  children.end_with(multiprocessing.parent_process().pid)
  share = shares.get()
  if share and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, share)
  prepare()
  plugins.load(modules)


def perform(name: str, settings: Settings) -> dict[str, Any]:
  """Runs a case and writes its folder; returns what result.json holds.

  A case that ends with an error leaves the error there, and does not keep others from running.
  """
  run, folder = CASES[name], settings.outdir
  say(f"{name} ...")
  began = time.monotonic(), time.process_time()
  found, error = {}, None
  try:
    with plots.styled():
      found = _save(run(settings), writable_folder(folder / name))
  except UserError as refusal:
    error = str(refusal)
  except Exception as fault:
    known = failure(fault)
    error = known.line if known else plugins.fault(fault)
    if error is None:
      traceback.print_exc()
      error = f"{type(fault).__name__}: {fault}"
  took = time.monotonic() - began[0], time.process_time() - began[1]
  outcome = _describe(name, run, settings, took, error) | found
  write_json(writable_folder(folder / name) / "result.json", outcome)
  return outcome


def _describe(name, run, settings, took, error):
  title, _, about = inspect.getdoc(run).partition(".\n\n")
  return {
    "case": name,
    "title": title,
    "about": about,
    "quick": settings.quick,
    "seeds": settings.seeds,
    "seconds": round(took[0], 1),
    "processor_seconds": round(took[1], 1),
    "cores": len(cores()),
    "environment": describe(),
    "error": error,
    "checks": [],
    "notes": [],
    "figures": [],
  }


def _save(result, folder) -> dict[str, Any]:
  figures = {f"{name}.png": figure for name, figure in result.figures.items()}
  films = {f"{name}.gif": frames for name, frames in result.films.items() if frames}
  for name, figure in figures.items():
    figure.set_dpi(DPI)
    pictures.save(figure, folder / name)
  for name, frames in films.items():
    animation.write_gif(frames, folder / name)
  lines = [json.dumps({key: plain(value) for key, value in row.items()}) for row in result.records]
  (folder / "records.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
  checks = [check._asdict() for check in result.checks]
  return {"checks": checks, "notes": result.notes, "figures": [*figures, *films]}
