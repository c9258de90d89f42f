"""Joining a Ray cluster, or starting one that this machine alone can reach."""

import contextlib
import logging
import os
import pathlib
import secrets
import socket
import typing
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from gan.errors import UserError

STARTS = 3  # of a cluster of this machine: Ray gives up on its daemons after 30 seconds
# Who reaches a cluster runs code on its machines. One of this machine alone listens on its loopback
# interface, for that is all that Ray takes for an address outside of clusters, and asks for a token
# that its processes inherit.
HERE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}
# Ray asks 20 times for 30 seconds before it says that nobody answers.
THERE = {"RAY_py_gcs_connect_timeout_s": "10", "RAY_NUM_REDIS_GET_RETRIES": "2"}
ANSWER_SECONDS = 10.0


def require(address: str | None) -> Any:
  """Imports ray, with the environment variables set that it reads at its import, and returns it.

  Args:
    address: as for `connected`.

  Raises:
    UserError: Ray is not installed.
  """
  for name, value in (HERE | _token() if address is None else THERE).items():
    os.environ.setdefault(name, value)
  # A sweep tells nobody of itself.
  os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
  # This process measures a step, and leaves the memory of its accelerator to the tasks.
  os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
  try:
    import ray
  except ImportError as error:
    raise UserError("--launcher=ray needs Ray: pip install 'gan-jax[ray]'") from error
  if not ray.is_initialized():
    with contextlib.suppress(ImportError, AttributeError):  # of a Ray without tokens
      # Whoever imported Ray before had it read its environment then.
      ray._raylet.Config.initialize("")
  return ray


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[Any]:
  """Yields ray, joined to a cluster, or to one that is started on this machine for the block.

  JAX must not have computed anything yet: starting a cluster forks.

  Args:
    address: "auto", HOST:PORT, or None for a cluster of this machine alone.

  Raises:
    UserError: Ray is not installed or does not start, or there is no cluster at the address.
  """
  ray = require(address)
  if address not in (None, "auto"):
    _require_answer(address)
  attempts = 1 if address else STARTS
  while attempts:
    attempts -= 1
    try:
      _connect(ray, address)
      break
    except Exception as error:  # noqa: BLE001 - a start that takes too long raises just that
      ray.shutdown()
      if not attempts:
        raise UserError(_refusal(address, error)) from error
  try:
    yield ray
  finally:
    ray.shutdown()


def _token() -> dict[str, str]:
  return {"RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _require_answer(address: str) -> None:
  host, _, port = address.rpartition(":")
  try:
    socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
  except (OSError, ValueError) as error:
    raise UserError(_refusal(address, error)) from error


def _connect(ray: Any, address: str | None) -> None:
  # Workers import the package from where this process has it, where that place is theirs too, and
  # plugins from where its user has them.
  root = str(pathlib.Path(__file__).resolve().parents[2])
  others = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
  path = os.pathsep.join([root, *map(os.path.abspath, others)])
  own = {} if address else {"include_dashboard": False}
  with warnings.catch_warnings(), _silent() if address else contextlib.nullcontext():
    # Of threads, which JAX starts with its first computation.
    warnings.filterwarnings("ignore", r"os\.fork", RuntimeWarning)
    ray.init(
      address,
      runtime_env={"env_vars": {"PYTHONPATH": path}, "worker_process_setup_hook": _hook()},
      log_to_driver=False,
      logging_level=logging.ERROR,
      **own,
    )


@typing.no_type_check  # it is sent by value, and what checks signatures in tests cannot be
def _hook() -> Callable[[], None]:
  """Returns a function that imports this package, which Ray calls when a worker starts.

  Ray puts the current folder first on a worker's sys.path, where another `gan` may lie; a package
  that is imported before stays.
  """

  def import_package() -> None:  # nested, it is sent as it is, and not by the name of this module
    with contextlib.suppress(ImportError):  # the task says it
      import gan.errors  # noqa: F401

  return import_package


@contextlib.contextmanager
def _silent() -> Iterator[None]:
  """Drops what C++ writes to stderr at each attempt."""
  kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
  os.dup2(nowhere, 2)
  try:
    yield
  finally:
    os.dup2(kept, 2)
    os.close(kept)
    os.close(nowhere)


def _refusal(address: str | None, error: Exception) -> str:
  reason = str(error).strip().split("\n", 1)[0]
  if not address:
    return f"Ray does not start on this machine ({reason}): try again when it has less to do"
  return (
    f"--ray_address={address}: no cluster answers ({reason}): start one with `ray start --head`, "
    "or leave the flag out for this machine alone"
  )
