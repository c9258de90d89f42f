"""TensorBoard: event files in the run folder, by tensorboardX."""

import pathlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gan.training.run_folder import writable_folder
from gan.training.writer import Session

FOLDER = "tensorboard"
FLUSH_SECONDS = 2.0


def tensorboard(session: Session) -> "EventFile":
  """Opens a log in `tensorboard/` of the run folder, for `tensorboard --logdir`.

  Raises:
    UserError: it cannot be written to.
  """
  return EventFile(writable_folder(session.folder / FOLDER), session.step)


class EventFile:
  """A Writer to an event file of its own; TensorBoard reads all files of a folder as one log.

  Events are written by the calling thread: tensorboardX's SummaryWriter hands them to a thread, and
  waits without end once that has met a full disk.

  Args:
    folder: where it is made.
    step: events of later steps in the files before it are no longer shown.
  """

  def __init__(self, folder: pathlib.Path, step: int):
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    self._event, self._flushed = Event, 0.0
    # Sessions that begin at one step in one second share a file: all that it held is made again.
    self._file = EventsWriter(str(folder / "events"), f".{step:010d}")
    self._write(step=step + 1, session_log=SessionLog(status=SessionLog.START))

  def _write(self, **fields: Any) -> None:
    self._file.write_event(self._event(wall_time=time.time(), **fields))

  def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
    """Adds a number to each of the charts."""
    from tensorboardX.proto.summary_pb2 import Summary

    values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
    self._write(step=step, summary=Summary(value=values))
    if time.monotonic() - self._flushed > FLUSH_SECONDS:
      self.flush()

  def write_images(self, step: int, images: Mapping[str, UInt8[np.ndarray, "n h w 3"]]) -> None:
    """Adds pictures; of several by one name each has its number behind it."""
    from tensorboardX import summary

    for name, pictures in images.items():
      for place, picture in enumerate(pictures):
        tag = f"{name}/{place}" if len(pictures) > 1 else name
        self._write(step=step, summary=summary.image(tag, picture, dataformats="HWC"))
    self.flush()

  def write_hparams(self, hparams: Mapping[str, Any]) -> None:
    """Says what the run is; TensorBoard finds in all runs which values and metrics there are."""
    from tensorboardX import summary

    _, start, _ = summary.hparams(dict(hparams), {})
    self._write(summary=start)

  def flush(self) -> None:
    """Writes what is in memory."""
    self._file.flush()
    self._flushed = time.monotonic()

  def close(self) -> None:
    """Writes what is in memory, and closes the file."""
    self._file.close()
