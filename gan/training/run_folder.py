"""The run folder: what a run was, what it measured, and reading it back. No JAX is needed here.

config.json        every field, the data, the fingerprint, the command
.lock              held by the process that trains
environment.json   versions, devices, cores and commit of each session that worked on the run
metrics.jsonl      one JSON object a line: step counts in every unit, seconds, scalars
evaluations.jsonl  the same for metrics of samples, with sample counts and extractor
samples/           image grids from fixed latents
checkpoints/       Orbax
summary.json       status; best and last evaluation; last, lowest and highest value of every metric
"""

import contextlib
import json
import math
import os
import pathlib
import reprlib
import tempfile
from collections.abc import Callable, Collection
from typing import Any, NoReturn, TextIO

from gan.errors import UserError
from gan.system import schema
from gan.system.files import expanded
from gan.system.schema import COUNT, METRIC, NUMBER, SCALAR, TEXT, entries, list_of, nullable
from gan.training import run_format
from gan.training.aliases import canonical

try:
  import fcntl
except ImportError:  # Windows has no such locks
  fcntl = None

CONFIG, METRICS, EVALUATIONS = "config.json", "metrics.jsonl", "evaluations.jsonl"
SWEEP, RUNS_FOLDER, REAL_DATA = "sweep.json", "members", "real_data.json"  # of a sweep's folder
COUNTS = ("step", "discriminator_steps", "images", "epoch", "seconds")
ENVIRONMENT, SUMMARY = "environment.json", "summary.json"
WEIGHTS = ("ema", "raw")  # the average of the generator over steps, or the generator as it is
RESTORE = "restore it, or use another --workdir"
FIELDS = entries(optional={"dataset": TEXT, "steps": COUNT}, others=SCALAR)  # of Config
# Beside them in config.json, and the run's identity, "determining": folders on disk say so.
PROGRAM = "program"  # what a game that was passed computes
OTHER_CONFIG_KINDS = {
  "command": TEXT,
  "source": TEXT,
  "num_examples": COUNT,
  "plugins": list_of(TEXT),
  "plugin_digests": entries(others=TEXT),
  PROGRAM: entries({"traced_by": entries(others=SCALAR), "digests": entries(others=TEXT)}),
}
CONFIG_KIND = entries({"config": FIELDS, "determining": FIELDS}, OTHER_CONFIG_KINDS)
_CLAIM_KIND = entries({"determining": entries()})  # of config.json and sweep.json
_COUNTS = {"step": COUNT, "images": COUNT, "epoch": NUMBER, "seconds": NUMBER}
FACTS = {"discriminator_steps": COUNT, "dataset": TEXT, "loss": TEXT, "split": TEXT}
FACTS |= {"eval_samples": COUNT, "reference_samples": COUNT, "held_out_samples": COUNT}
FACTS |= {"eval_seed": COUNT, "extractor": nullable(TEXT)}
_LINES = {
  METRICS: entries({"step": COUNT}, _COUNTS | FACTS, others=METRIC),
  EVALUATIONS: entries(_COUNTS, FACTS, others=METRIC),
}
_SESSION = entries(
  optional={
    "python": TEXT,
    "packages": entries(others=nullable(TEXT)),
    "random": entries(others=SCALAR),
    "platform": TEXT,
    "processor": TEXT,
    "backend": TEXT,
    "devices": list_of(TEXT),
    "git_commit": nullable(TEXT),
  }
)
_STATUS = schema.matching(
  r"(?!diverged)\w.*|diverged at step [0-9]{1,18}",
  'a status, such as "finished" or "diverged at step 20",',
)


class RunPaths:
  """Where a run keeps its pictures and checkpoints; nothing is read or made.

  Args:
    path: the run folder.
  """

  def __init__(self, path: str | os.PathLike):
    self.path = pathlib.Path(path)

  @property
  def samples(self) -> pathlib.Path:
    return self.path / "samples"

  @property
  def checkpoints(self) -> pathlib.Path:
    return self.path / "checkpoints"


class RunFolder(RunPaths):
  """One run's folder on disk; `close` lets go of it.

  Args:
    path: the folder; made where it is absent.

  Raises:
    UserError: it cannot be made or written to.
  """

  def __init__(self, path: str | os.PathLike):
    folder = pathlib.Path(path)
    self._made = [each for each in (folder, *folder.parents) if not os.path.exists(each)]
    super().__init__(writable_folder(folder))
    self._lock = None

  def claim(self, config: dict[str, Any], check: Callable[[], None] = lambda: None) -> None:
    """Writes config.json, or checks that the folder belongs to the same run; locks the folder.

    Args:
      config: JSON values; those under "determining" must agree with the folder's.
      check: raises UserError where more in the folder is of another run; called before anything
        is written.

    Raises:
      UserError: they differ, and the message holds every difference; or another process trains.
    """
    self._lock = self._lock or lock(self.path)
    if (self.path / CONFIG).exists():
      check_claim(self.path / CONFIG, config["determining"], "a run")
    check()
    write_json(self.path / CONFIG, config)
    for folder in (self.samples, self.checkpoints):
      writable_folder(folder)
    # It is written at the end, and nothing reads it before.
    if (self.path / SUMMARY).is_dir():
      raise UserError(f"{self.path / SUMMARY} is a folder: remove it, or use another --workdir")

  def close(self) -> None:
    """Lets another process train in the folder; one that was made and never claimed goes."""
    if self._lock:
      self._lock.close()
      self._lock = None
    with contextlib.suppress(OSError):  # not empty
      for each in self._made:
        each.rmdir()

  def add_environment(self, environment: dict[str, Any]) -> dict[str, Any] | None:
    """Appends one session to environment.json; returns the one before, or None."""
    sessions = read_sessions(self.path)
    write_json(self.path / ENVIRONMENT, {"sessions": [*sessions, environment]})
    return sessions[-1] if sessions else None

  def rewind(self, step: int, every: int = 1, file: str = METRICS) -> None:
    """Drops the records after `step`, which are measured again, and those between the `every`-th.

    Of several records of a step the last one stays.

    A run that ends between two records writes one of its last step. A longer run has none there.
    """
    steps = range(0, step + 1, every)
    records = {record["step"]: record for record in read_metrics(self.path, file)}
    lines = [json.dumps(record) for at, record in sorted(records.items()) if at in steps]
    if (self.path / file).exists():
      _write_whole(self.path / file, "".join(line + "\n" for line in lines))

  def append(self, record: dict[str, Any], file: str = METRICS) -> None:
    """Adds a line to metrics.jsonl, or to EVALUATIONS."""
    with open(self.path / file, "a", encoding="utf-8") as stream:
      stream.write(json.dumps({name: plain(value) for name, value in record.items()}) + "\n")

  def summarize(self, status: str, **facts: Any) -> dict[str, Any]:
    """Writes summary.json and returns it: status, facts, and the extremes of every metric."""
    summary = {"status": status, **facts, "metrics": _extremes(read_metrics(self.path))}
    write_json(self.path / SUMMARY, summary)
    return summary


def named_folder(workdir: Any) -> str:
  """Returns what a caller named as a run folder, as flags are read; UserError where it is none."""
  path = os.fspath(workdir) if isinstance(workdir, os.PathLike) else workdir
  if not isinstance(path, str):
    raise UserError(f"`workdir={reprlib.repr(workdir)}` must be a path: text, or a pathlib.Path")
  try:
    return expanded(path)
  except ValueError as error:
    raise UserError(f"`workdir={path}` {error}") from error


def writable_folder(path: str | os.PathLike) -> pathlib.Path:
  """Makes a folder for results; UserError where that cannot be done."""
  folder = pathlib.Path(path)
  try:
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()
  except OSError as error:
    raise UserError(
      f"{path} cannot be written to ({error.strerror}): choose another folder"
    ) from error
  return folder


def writable_file(path: str | os.PathLike, suffix: str = "") -> pathlib.Path:
  """Makes the folder of a file of results; UserError where it cannot be, or is part of a run."""
  file = pathlib.Path(path)
  for folder in file.absolute().parents:
    if any(os.path.exists(folder / name) for name in (CONFIG, SWEEP)):
      raise UserError(f"{path} is in {folder}, which holds a run or sweep: name a file elsewhere")
  writable_folder(file.parent)
  if file.exists() and not file.is_file():
    raise UserError(f"{path} is a {'folder' if file.is_dir() else 'pipe or device'}: name a file")
  if suffix and file.suffix.lower() != suffix:
    raise UserError(f"{path} would hold a page: end its name with {suffix}")
  there = os.path.lexists(file)
  try:
    open(file, "ab").close()
  except OSError as error:
    raise UserError(f"{path} cannot be written to ({error.strerror}): name another file") from error
  if not there:
    file.unlink()
  return file


def check_claim(path: pathlib.Path, identity: dict[str, Any], what: str) -> None:
  """Raises UserError where a file is of other work; the message holds every difference.

  Args:
    path: the file, in the folder that is claimed; JSON values under "determining" must agree.
    identity: these values of the work of now.
    what: what the folder holds, for the message: "a run", "a sweep".
  """
  if lines := differences(_recorded_identity(path), identity):
    refuse_other_work(path.parent, what, lines)


def refuse_other_work(folder: pathlib.Path, what: str, lines: list[str]) -> NoReturn:
  """Raises UserError for a folder that holds other work, with the differences."""
  raise UserError(
    f"{folder} holds {what} with another config ({'; '.join(lines)}): "
    "give the same flags to continue it, or another --workdir"
  )


def _recorded_identity(path: pathlib.Path) -> dict[str, Any]:
  run_format.check(path, RESTORE)
  return canonical(schema.read(path, _CLAIM_KIND, RESTORE)["determining"])


def lock(path: pathlib.Path, work: str = "training") -> TextIO:
  """Returns a file that is locked until it is closed or the process ends, even by SIGKILL.

  Raises:
    UserError: another process has it.
  """
  try:
    # A pipe of that name is an error at once, and not a wait for its reader.
    number = os.open(path / ".lock", os.O_WRONLY | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o666)
    file = open(number, "w")  # noqa: SIM115
  except OSError as error:
    raise UserError(
      f"{path}/.lock cannot be written to ({error.strerror}): choose another folder"
    ) from error
  try:
    if fcntl:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError as error:
    file.close()
    raise UserError(
      f"another process is {work} in {path}: let it end, or use another folder"
    ) from error
  except OSError:
    pass  # some network file systems have no locks
  return file


def read_config(path: str | os.PathLike, kind: schema.Kind = CONFIG_KIND) -> dict[str, Any]:
  """Returns config.json of a run folder, with the names of now; UserError where it is not one."""
  run_format.check(pathlib.Path(path) / CONFIG, RESTORE)
  config = schema.read(pathlib.Path(path) / CONFIG, kind, RESTORE)
  if config is None and (pathlib.Path(path) / SWEEP).exists():
    raise UserError(f"{path} is a sweep: name one of its runs, which are in {path}/{RUNS_FOLDER}")
  if config is None:
    raise UserError(f"{path} is not a run folder: it has no config.json; check --workdir")
  return config | {name: canonical(config[name]) for name in ("config", "determining")}


def read_sessions(path: str | os.PathLike) -> list[dict[str, Any]]:
  """Returns what each session of a run ran on, in order."""
  kind = entries({"sessions": list_of(_SESSION)})
  found = schema.read(pathlib.Path(path) / ENVIRONMENT, kind, RESTORE)
  return found["sessions"] if found else []


def read_metrics(path: str | os.PathLike, file: str = METRICS) -> list[dict[str, Any]]:
  """Returns the records of a run in order; a last line cut short by a kill is left out."""
  remedy = "mend it, or use another --workdir"
  return schema.read_lines(pathlib.Path(path) / file, _LINES[file], remedy)


def read_summary(path: str | os.PathLike) -> dict[str, Any] | None:
  """Returns summary.json of a run folder, or None before the run has stopped for the first time."""
  kind = entries({"status": _STATUS, "step": COUNT})
  return schema.read(pathlib.Path(path) / SUMMARY, kind, "restore it, or delete it")


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes JSON, whole or not at all."""
  _write_whole(path, json.dumps(value, indent=2) + "\n")


def _write_whole(path: pathlib.Path, text: str) -> None:
  part = path.with_name(path.name + ".part")
  try:
    part.write_text(text, encoding="utf-8")
    part.replace(path)
  except OSError:
    part.unlink(missing_ok=True)
    raise


def differences(
  there: dict[str, Any], here: dict[str, Any], without: Collection[str] = ()
) -> list[str]:
  """Returns a phrase on each field in which two configs differ, but for those in `without`."""
  return [
    f"{name}: {there.get(name, 'not given')} there, {here.get(name, 'not given')} here"
    for name in sorted((there.keys() | here.keys()) - set(without))
    if there.get(name) != here.get(name)
  ]


def plain(value: Any) -> Any:
  """Numbers as JSON has them: NaN and infinities, which it has not, become strings."""
  if isinstance(value, float) and not math.isfinite(value):
    return str(value)
  return value


def _extremes(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
  """{metric: {"last": value, "lowest": [step, value], "highest": [step, value]}}, finite ones."""
  result = {}
  for name in sorted({name for record in records for name in record} - set(COUNTS)):
    points = [(r["step"], r[name]) for r in records if isinstance(r.get(name), (int, float))]
    if points:
      result[name] = {
        "last": points[-1][1],
        "lowest": list(min(points, key=lambda point: point[1])),
        "highest": list(max(points, key=lambda point: point[1])),
      }
  return result
