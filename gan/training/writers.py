"""Writers beside the run folder by name, and what tells all those of a run the same."""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from gan.errors import UserError, look_up
from gan.training import distributed
from gan.training.run_folder import COUNTS, EVALUATIONS, FACTS, METRICS
from gan.training.to_mlflow import mlflow
from gan.training.to_tensorboard import tensorboard
from gan.training.to_wandb import wandb
from gan.training.writer import Entry, Make, Session, Writer

WRITERS = {
  "mlflow": Entry(mlflow, "mlflow", "mlflow"),
  "tensorboard": Entry(tensorboard, "tensorboardX", "tensorboard"),
  "wandb": Entry(wandb, "wandb", "wandb"),
}
_GROUPS = {METRICS: "train", EVALUATIONS: "evaluation"}


class Chosen(NamedTuple):
  """A writer that is asked for.

  Attributes:
    name: by which the user is told of it.
    make: opens it.
  """

  name: str
  make: Make


def names_in(text: str) -> list[str]:
  """Returns the writers that a text names, separated by commas.

  Raises:
    UserError: one is unknown, or is there twice.
  """
  names = [name.strip() for name in text.split(",") if name.strip()]
  for name in names:
    look_up(WRITERS, name, "writer")
  if len(set(names)) < len(names):
    raise UserError(f"the writers {text} have a name twice: give each once")
  return names


def chosen(asked: Any) -> tuple[Chosen, ...]:
  """Returns the writers that are asked for; their packages are imported.

  Args:
    asked: names by commas; or names, functions `Session -> Writer`, and objects that are Writers,
      which their owner closes.

  Raises:
    UserError: one is unknown or none, or its package is missing.
  """
  if not isinstance(asked, str) and not isinstance(asked, Sequence):
    asked = [asked]
  each = names_in(asked) if isinstance(asked, str) else asked
  return tuple(map(_choose, each))


def _choose(asked: Any) -> Chosen:
  if isinstance(asked, str):
    entry = look_up(WRITERS, asked, "writer")
    _require(asked, entry)
    return Chosen(asked, entry.make)
  if isinstance(asked, Writer) and not isinstance(asked, type):
    return Chosen(type(asked).__name__, lambda session: _Lent(asked))
  if not callable(asked):
    raise UserError(
      f"`writers`: {asked!r} must be one of {', '.join(sorted(WRITERS))}, a function that takes a "
      "session and returns a writer, or a writer: an object with write_scalars, write_images, "
      "write_hparams, flush and close"
    )
  return Chosen(getattr(asked, "__name__", type(asked).__name__), asked)


def _require(name: str, entry: Entry) -> None:
  try:
    if entry.package:
      importlib.import_module(entry.package)
  except ImportError as error:
    needed = f"pip install 'gan-jax[{entry.extra}]'" if entry.extra else "install it"
    raise UserError(
      f"the writer {name} needs {entry.package}: {needed}, or leave it out"
    ) from error


class _Lent:
  """A Writer of the user's, who closes it."""

  def __init__(self, writer: Writer):
    self.write_scalars, self.write_images = writer.write_scalars, writer.write_images
    self.write_hparams, self.flush, self.close = writer.write_hparams, writer.flush, writer.flush


def scalars(record: Mapping[str, Any], file: str) -> dict[str, float]:
  """Returns the numbers of a record of the run folder as writers name them.

  Args:
    record: a line of metrics.jsonl or of EVALUATIONS.
    file: which of the two.
  """
  own = {
    f"{_GROUPS[file]}/{name}": float(value)
    for name, value in record.items()
    if name not in (*COUNTS, *FACTS) and isinstance(value, (int, float))
  }
  if file == METRICS:
    own |= {f"progress/{name}": float(record[name]) for name in COUNTS if name != "step"}
  return own


class Writers:
  """Tells all writers of a run the same; one that fails is named once, and told nothing more.

  Args:
    asked: the writers.
    say: prints one line to the user.
  """

  def __init__(self, asked: Sequence[Chosen], say: Callable[[str], None]):
    self._asked, self._say = asked, say
    self._open: list[tuple[str, Writer]] = []

  def __bool__(self) -> bool:
    """Whether there is one to be told."""
    return bool(self._open)

  def begin(self, session: Session, hparams: Mapping[str, Any]) -> None:
    """Opens them and says what the run is, in process 0; in the others there is none to be told.

    Raises:
      UserError: one cannot be opened, for a reason that the user can put right.
    """
    for name, make in self._asked if distributed.is_main_process() else ():
      with self._guarded(name, refused=UserError):
        self._open.append((name, make(session)))
    self._tell(lambda writer: writer.write_hparams(hparams))

  def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
    """Tells numbers of a step."""
    self._tell(lambda writer: writer.write_scalars(step, scalars))

  def write_images(self, step: int, images: Mapping[str, UInt8[np.ndarray, "n h w 3"]]) -> None:
    """Tells pictures of a step."""
    self._tell(lambda writer: writer.write_images(step, images))

  def flush(self) -> None:
    """Brings what was told to where it is kept."""
    self._tell(lambda writer: writer.flush())

  def close(self) -> None:
    """Closes them."""
    self._tell(lambda writer: writer.close())
    self._open = []

  def _tell(self, tell: Callable[[Writer], None]) -> None:
    for name, writer in list(self._open):
      with self._guarded(name, writer):
        tell(writer)

  @contextlib.contextmanager
  def _guarded(
    self, name: str, writer: Writer | None = None, refused: type[Exception] | tuple = ()
  ) -> Iterator[None]:
    """Lets a writer fail without ending the run, but for errors of the kind `refused`."""
    try:
      yield
    except refused:
      raise
    except Exception as error:  # noqa: BLE001 - of any service, and of code that was passed
      self._open = [each for each in self._open if each[1] is not writer]
      reason = " ".join(f"{type(error).__name__}: {error}".split())
      self._say(f"The writer {name} failed ({reason}): it is told nothing more; the run goes on.")
