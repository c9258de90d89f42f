"""Saving and restoring a state with Orbax, without stalling the step, and never a damaged one."""

import hashlib
import pathlib
import shutil
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from gan import distributed

KEEP = 3  # checkpoints kept: the newest, and two to fall back on


class DamagedError(Exception):
  """A checkpoint that can be read and does not hold what was saved."""


class Checkpoints:
  """The checkpoints of one run, in `<directory>/<step>`.

  Saving copies the state to the host and writes it in the background, under a name that is not
  valid until all is written: a run that is killed leaves the checkpoints before it whole. Each
  carries the SHA-256 of its arrays, for Orbax loads arrays with flipped bits without a word.

  Args:
    directory: of all checkpoints of the run.
    read_only: nothing in it is changed; the run may be training at the same time.
  """

  def __init__(self, directory: pathlib.Path, *, read_only: bool = False):
    self._directory, self._read_only = directory.absolute(), read_only
    self._checkpointer = self._open()

  def _open(self):
    every_save = ocp.training.save_decision_policies.FixedIntervalPolicy(1)
    return ocp.training.Checkpointer(
      self._directory,
      save_decision_policy=every_save,
      preservation_policy=ocp.training.preservation_policies.LatestN(KEEP),
      # What a reader takes for left over may be what a trainer is writing.
      cleanup_tmp_directories=not self._read_only,
    )

  def steps(self) -> list[int]:
    """The steps that have a complete checkpoint, ascending."""
    return sorted(checkpoint.step for checkpoint in self._checkpointer.checkpoints)

  def save(self, step: int, state: Any) -> None:
    """Starts writing `state`; returns once it is copied to the host. A step there is left alone."""
    self._checkpointer.wait()
    if step in self.steps():
      return
    # np.array copies: the buffers of a donated state are overwritten by the next step.
    state = jax.tree.map(np.array, jax.device_get(state))
    self._checkpointer.save_async(step, state, custom_metadata={"sha256": _digest(state)})

  def wait(self) -> None:
    """Waits until everything is written."""
    self._checkpointer.wait()

  def close(self) -> None:
    """Waits until everything is written and lets go of the folder."""
    self._checkpointer.close()

  def discard_unfinished(self) -> None:
    """Deletes what was written of a checkpoint that failed: on a full disk, that makes room."""
    for path in self._directory.glob("*.orbax-checkpoint-tmp*"):
      shutil.rmtree(path, ignore_errors=True)

  def restore(self, like: Any) -> Iterator[tuple[int, Any, str]]:
    """Yields (step, state or None, reason) from the newest checkpoint back, until one is whole.

    Args:
      like: the state's `jax.eval_shape`.

    A damaged checkpoint is yielded with state None and the reason, and, unless read only, moved to
    `<directory>/../damaged_checkpoints/<step>`: it makes room for a new one and is not lost.
    """
    for step in reversed(self.steps()):
      state, reason = self._try(step, like)
      if distributed.all_true(state is not None):
        yield step, state, ""
        return
      if not self._read_only:
        self._set_aside(step)
      yield step, None, reason or "another process cannot read it"

  def _try(self, step, like):
    try:
      return self._load(step, like), ""
    except DamagedError as error:
      return None, str(error)
    except Exception:  # noqa: BLE001 - Orbax raises whatever the damaged file provokes
      return None, "its files cannot be read"

  def _load(self, step, like):
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    abstract = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device),
      jax.eval_shape(lambda: like),
    )
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      # On the host: the devices that it is placed on next may be others than those it came from.
      state = jax.device_get(self._checkpointer.load(step, abstract))
      metadata = self._checkpointer.metadata(step).custom_metadata
    if metadata["sha256"] != _digest(state):
      raise DamagedError("its arrays are not those that were saved (SHA-256)")
    return state

  def _set_aside(self, step):
    aside = self._directory.parent / "damaged_checkpoints"
    aside.mkdir(exist_ok=True)
    target = aside / str(step)
    while target.exists():
      target = target.with_name(target.name + "_again")
    self._checkpointer.close()
    with distributed.together():
      if distributed.leads():
        (self._directory / str(step)).rename(target)
    self._checkpointer = self._open()


def _digest(tree) -> str:
  digest = hashlib.sha256()
  for leaf in jax.tree.leaves(tree):
    digest.update(np.ascontiguousarray(leaf).tobytes())
  return digest.hexdigest()
