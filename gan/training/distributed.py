"""One run over the processes of several hosts: joining them, what they agree on, and their end.

Transport, health checks and the detection of Slurm, Open MPI, Kubernetes and Cloud TPU are JAX's
own (`jax.distributed`). Process 0 is the main process: it writes records and pictures. All
processes compute, and all take part in checkpoints. In a run of one process nothing is exchanged.
"""

import contextlib
import ctypes
import logging
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gan.errors import UserError

INTERRUPTED, LOST = 130, 4  # exit codes of a process that leaves the others, or is left by them
MESSAGE_BYTES = 2048

# Prints the last line that it was told, once the process that tells it is gone.
WATCHER = """
import sys
line = ""
for line in sys.stdin:
  pass
sys.stderr.write(line if line.strip() else "")
"""


def is_main_process() -> bool:
  """Whether this process writes records and pictures."""
  return jax.process_index() == 0


@contextlib.contextmanager
def joined(
  coordinator: str | None, num_processes: int | None, process_id: int | None, seconds: int
) -> Iterator[None]:
  """Makes this process one of a run of many, until the block ends.

  JAX ends every process when one is lost, with pages of C++; those go to a file, as does what
  libraries log, and the user gets one line. Python's own output is not touched.

  Args:
    coordinator: HOST:PORT of process 0, or None where JAX detects the cluster.
    num_processes: how many, or None where JAX detects it.
    process_id: which one this is, in [0, num_processes), or None where JAX detects it.
    seconds: how long the others are waited for, at the start and when one falls silent.

  Raises:
    UserError: no cluster was detected, or the numbers do not fit together.
  """
  who = f"process {process_id}" if process_id is not None else "this process"
  with _one_line_at_the_end() as (expect, log):
    where = f"{coordinator} " if coordinator else ""
    expect(
      f"error: {who} did not find the others at {where}within {seconds} s: start the same command "
      f"on every host, process 0 on the coordinator's (details: {log})"
    )
    _initialize(coordinator, num_processes, process_id, seconds)
    who = f"process {jax.process_index()}"
    after = f"What was saved is whole: the same command on every host goes on (details: {log})"
    lost = f"it was killed, or another one died or was silent for {seconds} s"
    expect(f"error: {who} ended: {lost}. {after}")
    refusal = None
    try:
      try:
        _meet()
        yield
        # Without a limit: process 0 may still be at work on what it alone writes.
        _exchange("")
      except UserError as error:
        # Others that do not know of it do not come to the shutdown, which then ends this process.
        refusal = error
        expect(f"error: {who} ended: {_reason(error)}. {after}")
      jax.distributed.shutdown()
    except BaseException as error:
      # Leaving in order would wait for others, which do not answer or do not know.
      expect(f"error: {who} ended: {_reason(refusal or error)}. {after}")
      log.write_text(log.read_text(errors="replace") + traceback.format_exc())
      os._exit(INTERRUPTED if isinstance(error, KeyboardInterrupt) else LOST)
    if refusal:
      raise refusal


def _reason(error: BaseException) -> str:
  if isinstance(error, KeyboardInterrupt):
    return "it was interrupted twice"
  if isinstance(error, jax.errors.JaxRuntimeError):
    return f"another one died, or this one failed ({_first_line(error)})"
  if isinstance(error, UserError):
    return str(error).replace("\n", " ")
  return f"{type(error).__name__}: {_first_line(error)}"


def _initialize(
  coordinator: str | None, num_processes: int | None, process_id: int | None, seconds: int
) -> None:
  # Without it, processes on CPUs have no collectives.
  jax.config.update("jax_cpu_collectives_implementation", "gloo")
  try:
    jax.distributed.initialize(
      coordinator,
      num_processes,
      process_id,
      initialization_timeout=seconds,
      heartbeat_timeout_seconds=seconds,
      shutdown_timeout_seconds=seconds,
    )
  except (ValueError, RuntimeError) as error:
    raise UserError(
      f"the processes cannot be joined ({_first_line(error)}): give --distributed under "
      "Slurm, Open MPI, Kubernetes or on Cloud TPU, elsewhere --coordinator=HOST:PORT "
      "--num_processes=N --process_id=I"
    ) from error


def _first_line(error: Exception) -> str:
  return str(error).split("\n", 1)[0][:160]


def _meet() -> None:
  """Connects the devices of all processes, and one of each.

  XLA gives that 30 seconds and waits as long as it takes later on. Here all have just arrived;
  where process 0 prepares data before its first step, the others would give up on it.
  """
  devices = np.asarray(jax.devices())
  split = NamedSharding(Mesh(devices, ("all",)), PartitionSpec("all"))
  ones = jax.make_array_from_callback(devices.shape, split, lambda at: np.ones(devices.shape)[at])
  jax.block_until_ready(jax.jit(jnp.sum)(ones))
  _exchange("")


@contextlib.contextmanager
def _one_line_at_the_end() -> Iterator[tuple[Callable[[str], None], pathlib.Path]]:
  """Yields (expect, log): `expect(line)` says what is printed should this process end at once.

  What C++ writes goes to the file `log`, which is deleted where the block is left in order.
  """
  file, name = tempfile.mkstemp(prefix="gan-process-", suffix=".log")
  log = pathlib.Path(name)
  watcher = subprocess.Popen(
    [sys.executable, "-c", WATCHER], stdin=subprocess.PIPE, text=True, start_new_session=True
  )

  def expect(line: str) -> None:
    watcher.stdin.write(f"{line}\n")
    watcher.stdin.flush()

  try:
    with _diverted(file), _aborts_end_with(LOST):
      yield expect, log
  finally:
    # Python tells its own errors.
    expect("")
    watcher.stdin.close()
    watcher.wait()
    log.unlink()


@contextlib.contextmanager
def _aborts_end_with(code: int) -> Iterator[None]:
  """Makes `code` the exit code where C++ aborts the process, as JAX does when another is lost.

  Python's own handlers run between instructions of the main thread, which then waits in XLA.
  """
  end = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda number: os._exit(code))
  install = ctypes.CDLL(None).signal
  install.argtypes, install.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p
  before = install(signal.SIGABRT, ctypes.cast(end, ctypes.c_void_p))
  try:
    yield
  finally:
    install(signal.SIGABRT, before)


@contextlib.contextmanager
def _diverted(file: int) -> Iterator[None]:
  """Sends what C++ writes and libraries log to a file; stdout and stderr of Python stay."""
  kept, root = (sys.stdout, sys.stderr), logging.getLogger()
  for stream in kept:
    stream.flush()
  own = [os.dup(1), os.dup(2)]
  sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in own)
  os.dup2(file, 1)
  os.dup2(file, 2)
  with os.fdopen(file, "w") as pages:
    handlers, root.handlers = root.handlers, [logging.StreamHandler(pages)]
    try:
      yield
    finally:
      root.handlers = handlers
      for number, stream in zip((1, 2), (sys.stdout, sys.stderr), strict=True):
        stream.flush()
        os.dup2(stream.fileno(), number)
        stream.close()
      sys.stdout, sys.stderr = kept


@contextlib.contextmanager
def all_processes() -> Iterator[None]:
  """A block that all processes leave together; a UserError of one is raised in all.

  Raises:
    UserError: what one of the processes raised.
  """
  message = ""
  try:
    yield
  except UserError as error:
    message = str(error)
  for process, text in enumerate(_exchange(message)):
    if text:
      own = process == jax.process_index()
      raise UserError(text if own else f"process {process}: {text}")


def _exchange(text: str) -> list[str]:
  """Returns the text of every process."""
  if jax.process_count() == 1:
    return [text]
  padded = text.encode()[:MESSAGE_BYTES].ljust(MESSAGE_BYTES, b"\0")
  rows = multihost_utils.process_allgather(np.frombuffer(padded, np.uint8))
  return [bytes(row).rstrip(b"\0").decode(errors="replace") for row in rows]


def all_true(flag: bool) -> bool:
  """Whether a flag is set in every process."""
  return not any(_exchange("" if flag else "not here"))


def stops(signals: list[int], call: int) -> bool:
  """Returns whether to stop before the `call`-th call of a program, the same in every process.

  Args:
    signals: numbers of the signals that this process received.
    call: 0, 1, 2, ...
  """
  if jax.process_count() == 1:
    return bool(signals)
  return multihost_utils.reached_preemption_sync_point(call)


def request_stop() -> None:
  """Requests that all processes stop, by the SIGTERM that JAX passes on; for a run of many."""
  # Asked before the processes are joined, JAX would start its devices to count them.
  if jax.distributed.is_initialized() and jax.process_count() > 1:
    # JAX takes it as the notice of a scheduler, and finds the call that all can stop at.
    signal.raise_signal(signal.SIGTERM)
