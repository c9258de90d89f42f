"""Saving and restoring a state with Orbax, without stalling the step, and never a damaged one."""

import contextlib
import errno
import hashlib
import logging
import os
import pathlib
import re
import shutil
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from gan.errors import UserError, failure
from gan.state import GanState
from gan.system import schema
from gan.system.plain_path import plain_path
from gan.training import distributed, earlier
from gan.training.aliases import canonical
from gan.training.run_folder import differences

STEP = re.compile(r"0|[1-9][0-9]{0,17}")  # name of a complete checkpoint
KEEP = 3  # checkpoints kept: the newest, and two to fall back on
# An earlier version wrote the checksum alone.
_LATER = {"step": schema.COUNT, "layout": schema.COUNT}
_LATER |= {"determining": schema.nullable(schema.entries())}
_KIND = schema.entries({"custom_metadata": schema.entries({"sha256": schema.TEXT}, _LATER)})
METADATA = "_CHECKPOINT_METADATA"  # Orbax's file in a checkpoint, which holds ours
# Of a checkpoint, those without which its arrays cannot be found.
NEEDED = ("*/_METADATA", "*/manifest.ocdbt", "*/d/*")
# The machine's state, and not the file's.
PASSING = {errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}


class DamagedError(Exception):
  """A checkpoint that can be read and does not hold what was saved."""


class Checkpoints:
  """Saves and restores the checkpoints of one run, in `<directory>/<step>`.

  Saving copies the state to the host and writes it in the background, under a temporary name until
  all is written: a run that is killed leaves the checkpoints before it whole. Beside the arrays are
  written the step, the identity of the run and the SHA-256 of the arrays, because Orbax does not
  detect flipped bits when it loads.

  Args:
    directory: of all checkpoints of the run.
    identity: "fingerprint" and "determining" of the run, as config.json has them; None saves and
      asks for none.
    read_only: nothing in it is changed; the run may be training at the same time.

  Raises:
    UserError: the folder's name is one that Orbax cannot have, and no other can be given to it.
  """

  def __init__(
    self,
    directory: pathlib.Path,
    identity: dict[str, Any] | None = None,
    *,
    read_only: bool = False,
  ):
    self._directory, self._read_only = directory.absolute(), read_only
    names = ("fingerprint", "determining")
    self._identity = {name: identity.get(name) for name in names} if identity else {}
    self._unchecked: tuple[int, dict[str, Any]] | None = None  # what is being written
    self._stack = contextlib.ExitStack()
    for name in ("absl", "asyncio"):
      logging.getLogger(name).addFilter(_is_other)
    if not read_only:
      self._directory.mkdir(parents=True, exist_ok=True)
    self._path = self._stack.enter_context(plain_path(self._directory))
    self._checkpointer: ocp.training.Checkpointer | None = None  # opened by the first save

  def _open(self) -> ocp.training.Checkpointer:
    """Orbax's own, for saving: where metadata of one checkpoint are damaged, it reads none."""
    every_save = ocp.training.save_decision_policies.FixedIntervalPolicy(1)
    return ocp.training.Checkpointer(
      self._path,
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
    """Starts writing `state`; returns once it is copied to the host. A step there is left alone.

    Raises:
      UserError: the save before is not whole.
    """
    self.wait()
    if step in self.steps():
      return
    self._checkpointer = self._checkpointer or self._open()
    # np.array copies: the buffers of a donated state are overwritten by the next step.
    state = jax.tree.map(np.array, jax.device_get(state))
    metadata = {"sha256": digest(state), "step": step, "layout": earlier.LAYOUT}
    metadata |= self._identity
    self._unchecked = step, metadata
    with self._translated():
      self._checkpointer.save_async(step, state, custom_metadata=metadata)

  def wait(self) -> None:
    """Waits until everything is written.

    Raises:
      UserError: it could not be written, or is not whole though nothing was raised.
    """
    if self._unchecked is None:
      return
    with distributed.all_processes(), self._translated():
      self._checkpointer.wait()
      # The others may be done before the first has given the checkpoint its name.
      if distributed.is_main_process():
        _check_written(self._directory / str(self._unchecked[0]), self._unchecked[1])
    self._unchecked = None

  @contextlib.contextmanager
  def _translated(self) -> Iterator[None]:
    """Raises errors of the block as a UserError of the save, but for failures of the machine."""
    try:
      yield
    except Exception as error:
      step, self._unchecked = self._unchecked[0], None
      known = failure(error)
      if known and known.of_machine:
        raise
      raise UserError(
        f"the checkpoint of step {step} in {self._directory} was not saved ({_reason(error)}): "
        "those before it are whole, and the same command goes on from the newest"
      ) from error

  def close(self) -> None:
    """Waits until everything is written and lets go of the folder."""
    with self._stack:
      try:
        self.wait()
      finally:
        if self._checkpointer is not None:
          self._checkpointer.close()

  def discard_unfinished(self) -> None:
    """Deletes what was written of a checkpoint that failed: on a full disk, that makes room."""
    for path in self._directory.glob("*.orbax-checkpoint-tmp*"):
      shutil.rmtree(path, ignore_errors=True)

  def restore(self, like: Any, only: int | None = None) -> Iterator[tuple[int, Any, str]]:
    """Yields (step, state or None, reason) from the newest checkpoint back, until one is whole.

    Args:
      like: the state's `jax.eval_shape`.
      only: the step of the one checkpoint that is looked at; None for all.

    A damaged checkpoint is yielded with state None and the reason. Where one before it is whole,
    and unless read only, it was moved to `<directory>/../damaged_checkpoints/<step>`: it makes room
    for a new one and is not lost. Where none is whole, the cause may not lie in them, and nothing
    is moved.

    Raises:
      UserError: a checkpoint is of another run, the machine is what cannot read it, or there is
        none of step `only`.
    """
    check_identity(self._directory, self._identity, self._read_only)
    found = []
    for step in reversed(self._chosen(only)):
      with distributed.all_processes():
        state, reason = self._try(step, like)
      if distributed.all_true(state is not None):
        if not self._read_only:
          found += self._undescribed(step)
          self._set_aside([step for step, _, _ in found])
        yield from found
        yield step, state, ""
        return
      found.append((step, None, reason or "another process cannot read it"))
    yield from found

  def _chosen(self, only: int | None) -> list[int]:
    steps = self.steps()
    if only in (None, *steps):
      return steps if only is None else [only]
    has = ", ".join(map(str, steps)) or "none"
    raise UserError(f"{self._directory} has no checkpoint of step {only}; it has {has}")

  def _undescribed(self, whole: int) -> list[tuple[int, None, str]]:
    """Returns (step, None, reason) of checkpoints older than `whole` without readable metadata.

    Orbax, which reads the metadata of all, saves nothing beside such a one.
    """
    return [
      (step, None, "its metadata cannot be read")
      for step in reversed(self.steps())
      if step < whole and not distributed.all_true(_is_described(self._directory / str(step)))
    ]

  def _try(self, step: int, like: Any) -> tuple[Any, str]:
    try:
      return self._load(step, like), ""
    except DamagedError as error:
      return None, str(error)
    except Exception as error:
      if passing := _passing(error):
        raise UserError(
          f"the checkpoint of step {step} in {self._directory} cannot be read now ({passing}): "
          "nothing was changed; mend that and give the same command again"
        ) from error
      return None, "its files cannot be read"

  def _load(self, step: int, like: Any) -> Any:
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    metadata = _metadata(self._directory / str(step))
    first_layout = isinstance(like, GanState) and metadata.get("layout", 1) == 1
    abstract = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device),
      jax.eval_shape(lambda: earlier.as_saved(like) if first_layout else like),
    )
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      # On the host: the devices that it is placed on next may be others than those it came from.
      state = jax.device_get(ocp.load(self._path / str(step), abstract))
    if metadata["sha256"] != digest(state):
      raise DamagedError("its arrays are not those that were saved (SHA-256)")
    # An earlier version wrote no step beside the state.
    own = metadata.get("step", int(getattr(state, "step", step)))
    if own != step:
      raise DamagedError(f"it is of step {own}")
    return earlier.as_now(state, like) if first_layout else state

  def _set_aside(self, steps: list[int]) -> None:
    if not steps:
      return
    # Orbax holds the list of steps that it found.
    if self._checkpointer is not None:
      self._checkpointer.close()
      self._checkpointer = None
    with distributed.all_processes():
      if distributed.is_main_process():
        for step in steps:
          _move_aside(self._directory / str(step))


def check_identity(directory: pathlib.Path, identity: dict[str, Any], reads: bool = False) -> None:
  """Raises UserError where a checkpoint is of another run; it needs no more than small files.

  Args:
    directory: of all checkpoints of a run; it may be absent.
    identity: "determining" of the run, or empty.
    reads: whether it is config.json's, and not that of flags.

  What cannot be read, and a checkpoint of an earlier version, says nothing.
  """
  remedy = "restore the config.json" if reads else "give the flags"
  for folder in sorted(directory.glob("[0-9]*")) if identity else ():
    there = None
    with contextlib.suppress(DamagedError, OSError):
      there = _metadata(folder).get("determining")
    if there and (lines := differences(canonical(there), identity["determining"])):
      raise UserError(
        f"{folder} is a checkpoint of another config ({'; '.join(lines)}): {remedy} that it "
        "was trained with, move it elsewhere, or use another --workdir"
      )


def _is_described(folder: pathlib.Path) -> bool:
  try:
    _metadata(folder)
    ocp.metadata(folder)
    return True
  except Exception:  # noqa: BLE001 - Orbax raises whatever the damaged file provokes
    return False


def _metadata(folder: pathlib.Path) -> dict[str, Any]:
  """What `save` wrote beside the arrays of a checkpoint."""
  # A pipe would be waited for.
  if not all(path.is_file() or path.is_dir() for path in folder.rglob("*")):
    raise DamagedError("it holds what is neither a file nor a folder")
  try:
    return schema.parse((folder / METADATA).read_bytes(), _KIND)["custom_metadata"]
  except (FileNotFoundError, IsADirectoryError) as error:
    raise DamagedError(f"it has no {METADATA}") from error
  except ValueError as error:
    raise DamagedError(f"its {METADATA} cannot be read ({error})") from error


def _check_written(folder: pathlib.Path, metadata: dict[str, Any]) -> None:
  """Raises DamagedError where files of a checkpoint are missing; its arrays are not read again."""
  if _metadata(folder) != metadata:
    raise DamagedError("its metadata are not those that were saved")
  for pattern in NEEDED:
    if not any(path.stat().st_size for path in folder.glob(pattern)):
      raise DamagedError(f"it has no {pattern}")


def _move_aside(checkpoint: pathlib.Path) -> None:
  aside = checkpoint.parent.parent / "damaged_checkpoints"
  aside.mkdir(exist_ok=True)
  target = aside / checkpoint.name
  while target.exists():
    target = target.with_name(target.name + "_again")
  checkpoint.rename(target)


def _is_other(record: logging.LogRecord) -> bool:
  """Whether to keep a log record: errors of Orbax are dropped, for they are raised as well."""
  of_orbax = "orbax" in record.pathname or "exception was never retrieved" in record.getMessage()
  return record.levelno < logging.ERROR or not of_orbax


def _passing(error: BaseException | None) -> str:
  """Returns why the machine could not read: memory, rights or open files; "" for other causes."""
  while error is not None:
    if isinstance(error, MemoryError):
      return "there is not enough memory"
    if (code := _system_code(error)) in PASSING:
      return os.strerror(code)
    error = error.__cause__ or error.__context__
  return ""


def _system_code(error: BaseException) -> int | None:
  """The system's number of an error; TensorStore's errors have it in their text."""
  found = re.search(r"os_error_code='(\d+)'", str(error))
  return int(found[1]) if found else getattr(error, "errno", None)


def _reason(error: Exception) -> str:
  code = _system_code(error)
  text = os.strerror(code) if code else str(error) or type(error).__name__
  return text.split("\n", 1)[0][:200]


def digest(tree: Any) -> str:
  """Returns sha256 of the values of all leaves, in their order."""
  found = hashlib.sha256()
  for leaf in jax.tree.leaves(tree):
    found.update(np.ascontiguousarray(leaf).tobytes())
  return found.hexdigest()
