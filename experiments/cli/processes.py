"""The flags of a run over the processes of several hosts."""

import contextlib
import re
from typing import Any

from experiments.cli.command import Command, refuse_unread
from gan.errors import UserError

FLAGS = ("coordinator", "num_processes", "process_id")
MOST = 2**16  # processes that are waited for


def add_flags(command: Command) -> None:
  """Adds the flags of a run of many processes."""

  def add(*flag):
    return command.add(*flag, "many hosts", rare=True)

  text = "join the processes of all hosts, as Slurm, Open MPI, Kubernetes or Cloud TPU tell them"
  add(bool, "distributed", False, text)
  add(str, "coordinator", None, "HOST:PORT of process 0, where nothing tells it")
  add(int, "num_processes", None, "how many processes there are")
  add(int, "process_id", None, "which one this is, from 0 on")
  text = "seconds that others are waited for, at the start and when one is silent"
  add(int, "process_timeout", 120, text)


def check_address(name: str, address: str) -> None:
  """Raises UserError where the value of a flag is not HOST:PORT."""
  found = re.fullmatch(r"[^\s/]+:(\d{1,5})", address)
  if not (found and 0 < int(found[1]) < 2**16):
    raise UserError(
      f"--{name}={address} must be HOST:PORT, as in 10.0.0.1:8476, with a port from 1 to 65535"
    )


def joined(values: Any) -> contextlib.AbstractContextManager:
  """Returns the context in which this process is one of many, where flags ask for that.

  Args:
    values: the parsed flags.

  Raises:
    UserError: flags that do not fit together.
  """
  given = [name for name in FLAGS if values[name].present]
  if not (given or values.distributed):
    refuse_unread(values, ["process_timeout"], "--distributed or --coordinator")
    return contextlib.nullcontext()
  if given and (missing := [f"--{name}" for name in FLAGS if name not in given]):
    raise UserError(f"--{given[0]} needs {' and '.join(missing)}, on every host")
  if given:
    check_address("coordinator", values.coordinator)
  if given and not 0 < values.num_processes <= MOST:
    raise UserError(f"--num_processes={values.num_processes} must be from 1 to {MOST:,}")
  if given and not 0 <= values.process_id < values.num_processes:
    raise UserError(
      f"--process_id={values.process_id} must be from 0 to {values.num_processes - 1}, as "
      f"--num_processes={values.num_processes}"
    )
  if values.process_timeout < 1:
    raise UserError(f"--process_timeout={values.process_timeout} must be above 0")
  from gan.training import distributed

  return distributed.joined(*(values[name].value for name in FLAGS), values.process_timeout)
