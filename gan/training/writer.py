"""What a writer beside the run folder is: the contract, and what it is told of its run."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from gan.system import schema
from gan.training.run_folder import write_json

FILE = "writers.json"  # of a run folder: what trackers call the run


@runtime_checkable
class Writer(Protocol):
  """Takes the numbers and pictures of a run: the methods that clu's metric writers have too."""

  def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
    """Takes numbers of a step, such as {"train/discriminator_loss": 0.69}."""

  def write_images(self, step: int, images: Mapping[str, UInt8[np.ndarray, "n h w 3"]]) -> None:
    """Takes pictures [N, H, W, 3] of a step, 0 .. 255."""

  def write_hparams(self, hparams: Mapping[str, Any]) -> None:
    """Takes what the run is: values of its config. Called once in a session, before all else."""

  def flush(self) -> None:
    """Brings what was taken to where it is kept."""

  def close(self) -> None:
    """Lets go of everything; nothing follows."""


class Session(NamedTuple):
  """What the function that opens a writer is told of the run.

  Attributes:
    folder: the run folder, in which a writer may keep files of its own.
    step: from which the run goes on. Those after it are made again where an earlier session made
      them, and a log has each of them once.
  """

  folder: pathlib.Path
  step: int


Make = Callable[[Session], Writer]


class Entry(NamedTuple):
  """A writer that has a name.

  Attributes:
    make: opens it.
    package: that `make` imports; "" for none.
    extra: of this package, which installs that.
  """

  make: Make
  package: str = ""
  extra: str = ""


def remembered(folder: pathlib.Path, tracker: str) -> str | None:
  """Returns what a tracker called the run in an earlier session; None for a new run."""
  return _all(folder).get(tracker)


def remember(folder: pathlib.Path, tracker: str, called: str) -> None:
  """Keeps what a tracker calls the run."""
  write_json(folder / FILE, _all(folder) | {tracker: called})


def _all(folder: pathlib.Path) -> dict[str, str]:
  kind = schema.entries(others=schema.TEXT)
  return schema.read(folder / FILE, kind, "delete it, for logs of another name") or {}
