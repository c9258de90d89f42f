"""Weights & Biases: a run of theirs for each of ours, online or, with WANDB_MODE, in files."""

import os
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gan.training.writer import Session, remember, remembered

PROJECT = "gan"  # unless WANDB_PROJECT names another


def wandb(session: Session) -> "WandbRun":
  """Opens the run by the id that the run folder keeps, so that a later session goes on in it.

  What wandb reads of its environment holds: WANDB_MODE, WANDB_PROJECT, WANDB_RUN_GROUP and others.
  """
  called = remembered(session.folder, "wandb") or uuid.uuid4().hex[:8]
  run = WandbRun(session, called)
  remember(session.folder, "wandb", called)
  return run


class WandbRun:
  """A Writer to a run of W&B.

  Args:
    session: of the run.
    called: its id.
  """

  def __init__(self, session: Session, called: str):
    import wandb

    self._image = wandb.Image
    self._run = wandb.init(
      id=called,
      resume="allow",
      project=os.environ.get("WANDB_PROJECT", PROJECT),
      name=os.environ.get("WANDB_NAME", session.folder.name),
      dir=str(session.folder),
      reinit="create_new",  # runs of a sweep are open side by side
    )

  def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
    """Logs numbers; W&B passes over a step that is before its last one."""
    self._run.log(dict(scalars), step=step)

  def write_images(self, step: int, images: Mapping[str, UInt8[np.ndarray, "n h w 3"]]) -> None:
    """Logs pictures."""
    shown = {name: [self._image(each) for each in pictures] for name, pictures in images.items()}
    self._run.log(shown, step=step)

  def write_hparams(self, hparams: Mapping[str, Any]) -> None:
    """Makes them the config of the run."""
    self._run.config.update(dict(hparams), allow_val_change=True)

  def flush(self) -> None:
    """Does nothing: a process of wandb's has what was logged."""

  def close(self) -> None:
    """Waits until everything is sent or written."""
    self._run.finish()
