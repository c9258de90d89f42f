"""Saving and restoring a state with Orbax, without stalling the step, and never a damaged one."""

import hashlib
import pathlib
import re
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from gan import distributed

STEP = re.compile(r"0|[1-9][0-9]{0,17}")  # name of a complete checkpoint
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
    self._checkpointer = None

  def _open(self):
    """Orbax's own, for saving: where metadata of one checkpoint are damaged, it reads none."""
    every_save = ocp.training.save_decision_policies.FixedIntervalPolicy(1)
    return ocp.training.Checkpointer(
      self._directory,
      save_decision_policy=every_save,
      preservation_policy=ocp.training.preservation_policies.LatestN(KEEP),
      cleanup_tmp_directories=True,
    )

  def steps(self) -> list[int]:
    """The steps that have a complete checkpoint, ascending."""
    # Those that are not complete have a longer name.
    found = (path.name for path in self._directory.glob("*") if path.is_dir())
    return sorted(int(name) for name in found if STEP.fullmatch(name))

  def save(self, step: int, state: Any) -> None:
    """Starts writing `state`; returns once it is copied to the host. A step there is left alone."""
    self._checkpointer = self._checkpointer or self._open()
    self._checkpointer.wait()
    if step in (checkpoint.step for checkpoint in self._checkpointer.checkpoints):
      return
    # np.array copies: the buffers of a donated state are overwritten by the next step.
    state = jax.tree.map(np.array, jax.device_get(state))
    self._checkpointer.save_async(step, state, custom_metadata={"sha256": _digest(state)})

  def wait(self) -> None:
    """Waits until everything is written."""
    if self._checkpointer:
      self._checkpointer.wait()

  def close(self) -> None:
    """Waits until everything is written and lets go of the folder."""
    if self._checkpointer:
      self._checkpointer.close()
      self._checkpointer = None

  def restore(self, like: Any) -> Iterator[tuple[int, Any, str]]:
    """Yields (step, state or None, reason) from the newest checkpoint back, until one is whole.

    Args:
      like: the state's `jax.eval_shape`.

    A damaged checkpoint is yielded with state None and the reason, and, unless read only, moved to
    `<directory>/../damaged_checkpoints/<step>`: it makes room for a new one and is not lost.
    """
    steps = self.steps()
    while steps:
      step = steps.pop()
      state, reason = self._try(step, like)
      if distributed.all_true(state is not None):
        yield from self._undescribed(steps)
        yield step, state, ""
        return
      yield self._damaged(step, reason or "another process cannot read it")

  def _damaged(self, step, reason):
    if not self._read_only:
      self._set_aside(step)
    return step, None, reason

  def _undescribed(self, steps):
    """Of older checkpoints, those beside which Orbax saves nothing."""
    for step in [] if self._read_only else reversed(steps):
      if not distributed.all_true(self._has_metadata(step)):
        yield self._damaged(step, "its metadata cannot be read")

  def _has_metadata(self, step):
    try:
      _metadata(self._directory / str(step))
      return True
    except Exception:  # noqa: BLE001 - as for its arrays
      return False

  def _try(self, step, like):
    try:
      return self._load(step, like), ""
    except DamagedError as error:
      return None, str(error)
    except Exception:  # noqa: BLE001 - Orbax raises whatever the damaged file provokes
      return None, "its files cannot be read"

  def _load(self, step, like):
    folder = self._directory / str(step)
    metadata = _metadata(folder)
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    abstract = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device),
      jax.eval_shape(lambda: like),
    )
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      # On the host: the devices that it is placed on next may be others than those it came from.
      state = jax.device_get(ocp.load(folder, abstract))
    if metadata["sha256"] != _digest(state):
      raise DamagedError("its arrays are not those that were saved (SHA-256)")
    return state

  def _set_aside(self, step):
    aside = self._directory.parent / "damaged_checkpoints"
    aside.mkdir(exist_ok=True)
    target = aside / str(step)
    while target.exists():
      target = target.with_name(target.name + "_again")
    self.close()
    with distributed.together():
      if distributed.leads():
        (self._directory / str(step)).rename(target)


def _metadata(folder) -> dict[str, Any]:
  """What was saved beside the arrays of a checkpoint."""
  # A pipe would be waited for.
  if not all(path.is_file() or path.is_dir() for path in folder.rglob("*")):
    raise DamagedError("it holds what is neither a file nor a folder")
  return ocp.metadata(folder).custom_metadata


def _digest(tree) -> str:
  digest = hashlib.sha256()
  for leaf in jax.tree.leaves(tree):
    digest.update(np.ascontiguousarray(leaf).tobytes())
  return digest.hexdigest()
