"""MLflow: a run of theirs for each of ours, where MLFLOW_TRACKING_URI says."""

import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gan.training.writer import Session, remember, remembered

EXPERIMENT = "gan"  # unless MLFLOW_EXPERIMENT_NAME names another


def mlflow(session: Session) -> "MlflowRun":
  """Opens the run by the id that the run folder keeps, or a new one."""
  run = MlflowRun(remembered(session.folder, "mlflow"), session.folder.name)
  remember(session.folder, "mlflow", run.called)
  return run


class MlflowRun:
  """A Writer to a run of MLflow.

  Args:
    called: its id; None for a new one.
    name: of a new one.
  """

  def __init__(self, called: str | None, name: str):
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    self._client, self._metric, self._param = MlflowClient(), Metric, Param
    if called is None:
      called = self._client.create_run(self._experiment(), run_name=name).info.run_id
    else:
      self._client.update_run(called, status="RUNNING")
    self.called = called
    data = self._client.get_run(called).data
    self._params, self._last = set(data.params), {name: self._newest(name) for name in data.metrics}

  def _experiment(self) -> str:
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
    found = self._client.get_experiment_by_name(name)
    return found.experiment_id if found else self._client.create_experiment(name)

  def _newest(self, name: str) -> int:
    return max(each.step for each in self._client.get_metric_history(self.called, name))

  def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
    """Logs numbers, but for those of steps that an earlier session logged: MLflow keeps both."""
    now = int(1000 * time.time())
    new = [
      self._metric(name, value, now, step)
      for name, value in scalars.items()
      if step > self._last.get(name, -1)
    ]
    if new:
      self._client.log_batch(self.called, metrics=new)

  def write_images(self, step: int, images: Mapping[str, UInt8[np.ndarray, "n h w 3"]]) -> None:
    """Logs pictures as files, each in the place of that of an earlier session."""
    for name, pictures in images.items():
      for place, picture in enumerate(pictures):
        self._client.log_image(self.called, picture, f"{name}/step_{step:08d}_{place}.png")

  def write_hparams(self, hparams: Mapping[str, Any]) -> None:
    """Makes them parameters of the run; those that it has stay, for MLflow changes none."""
    new = [
      self._param(name, str(value)) for name, value in hparams.items() if name not in self._params
    ]
    self._client.log_batch(self.called, params=new)

  def flush(self) -> None:
    """Does nothing: what was logged is there."""

  def close(self) -> None:
    """Says that the run is at its end."""
    self._client.set_terminated(self.called)
