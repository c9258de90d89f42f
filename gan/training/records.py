"""Where a run keeps its records: the run folder, or a read-only view of it in other processes.

No JAX is needed here.
"""

import pathlib
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from gan.errors import UserError
from gan.training.run_folder import CONFIG, METRICS, RunPaths, check_claim


@runtime_checkable
class Records(Protocol):
  """Where a run keeps its records, pictures and checkpoints; `RunFolder` is one.

  Attributes:
    path: the run folder.
    samples: the folder of pictures.
    checkpoints: the folder of checkpoints.
  """

  path: pathlib.Path

  @property
  def samples(self) -> pathlib.Path: ...

  @property
  def checkpoints(self) -> pathlib.Path: ...

  def claim(self, config: dict[str, Any], check: Callable[[], None] = ...) -> None:
    """Makes the folder this run's, or raises UserError where it belongs to another."""

  def close(self) -> None:
    """Lets another process train in the folder."""

  def add_environment(self, environment: dict[str, Any]) -> dict[str, Any] | None:
    """Takes one session; returns the one before, or None."""

  def rewind(self, step: int, every: int = 1, file: str = METRICS) -> None:
    """Drops the records after `step`, and those between the `every`-th."""

  def append(self, record: dict[str, Any], file: str = METRICS) -> None:
    """Takes a record."""

  def summarize(self, status: str, **facts: Any) -> dict[str, Any]:
    """Takes how the run stands, and returns its summary."""


class ReadOnlyRunFolder(RunPaths):
  """The Records of every process but process 0: it reads the run folder and writes nothing.

  Args:
    path: the folder.
  """

  def claim(self, config: dict[str, Any], check: Callable[[], None] = lambda: None) -> None:
    """Checks that process 0 has claimed this folder for the same run, and made all other checks.

    Raises:
      UserError: the folder is not the one that process 0 writes, or the run is another.
    """
    if not (self.path / CONFIG).exists():
      raise UserError(
        f"{self.path} holds nothing of process 0: --workdir must be on a file system that all "
        "hosts share"
      )
    check_claim(self.path / CONFIG, config["determining"], "a run")

  def close(self) -> None:
    """Holds nothing that could be let go of."""

  def add_environment(self, environment: dict[str, Any]) -> None:
    """Writes nothing; process 0 says what has changed."""

  def rewind(self, step: int, every: int = 1, file: str = METRICS) -> None:
    """Writes nothing."""

  def append(self, record: dict[str, Any], file: str = METRICS) -> None:
    """Writes nothing."""

  def summarize(self, status: str, **facts: Any) -> dict[str, Any]:
    """Returns what it is given."""
    return {"status": status, **facts}
