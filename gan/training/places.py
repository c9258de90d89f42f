"""Checks of the folders of runs and sweeps: none may lie inside the folder of another.

No JAX is needed here.
"""

import os
import pathlib
from collections.abc import Collection, Iterator

from gan.errors import UserError
from gan.training.run_folder import CONFIG, METRICS, SWEEP

OWN = ("checkpoints", "damaged_checkpoints", "samples")  # folders that a run has in its own
# How far below a folder other work is looked for: runs/<sweep>/members/<name> is found from beside
# runs/, and a user's whole home is not searched.
DEPTH = 4


def check_place(folder: pathlib.Path, what: str, own: Collection[pathlib.Path] = ()) -> None:
  """Raises UserError if a folder for new work lies in, or above, the folder of a run or sweep.

  Args:
    folder: of the new work.
    what: the kind of work: "a run", "a sweep" or "a study".
    own: folders below that belong to it.
  """
  other = f"give {what} a --workdir of its own"
  if what == "a run" and (folder / SWEEP).exists():
    raise UserError(f"{folder} holds a sweep: {other}")
  if below := next((path for path in works_below(folder) if path not in own), None):
    raise UserError(f"{folder} lies above other work ({below}): {other}")
  for above in folder.absolute().parents:
    if _holds_run(above):
      raise UserError(f"{folder} lies in the folder of another run, {above}: {other}")
    if what != "a run" and (above / SWEEP).is_file():
      raise UserError(f"{folder} lies in the folder of another sweep, {above}: {other}")


def check_outside_sweeps(folder: pathlib.Path) -> None:
  """Raises UserError if a folder for a new run, which no sweep began, lies in a sweep's."""
  if (folder / CONFIG).exists():
    return
  if sweep := next((each for each in folder.absolute().parents if (each / SWEEP).is_file()), None):
    raise UserError(
      f"{folder} lies in the folder of a sweep, {sweep}, which compares all runs in it: give the "
      "run a --workdir of its own"
    )


def works_below(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields the nearest folders below that hold a run or a sweep, in order of their names."""
  for path, below, _ in os.walk(folder):
    here = pathlib.Path(path)
    below.sort()
    if here != folder and (_holds_run(here) or (here / SWEEP).is_file()):
      below.clear()
      yield here
    elif here == folder:
      below[:] = [name for name in below if name not in OWN]
    elif len(here.relative_to(folder).parts) >= DEPTH:
      below.clear()


def _holds_run(folder: pathlib.Path) -> bool:
  """Whether a folder holds a config.json of a run; other programs have files of that name."""
  try:
    text = (folder / CONFIG).read_text(encoding="utf-8", errors="replace")
    return '"determining"' in text or (folder / METRICS).exists()
  except OSError:
    return False
