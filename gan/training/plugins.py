"""Modules of a researcher's own that add to the registries: imported by name before these are read.

The names are kept in config.json and sweep.json, and whatever opens these imports them first.
"""

import hashlib
import importlib
import os
import pathlib
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from gan.errors import UserError
from gan.system import schema
from gan.training.plugin_entries import check
from gan.training.run_folder import CONFIG, SWEEP

FIELD, DIGESTS = "plugins", "plugin_digests"  # of config.json and sweep.json
_OURS = ("gan", "experiments")
_LOADED: dict[str, str] = {}  # digests of their code, in the order of their import
# As a traceback shows a line; JAX puts the whole traceback of a callback into its own message.
_LINE = re.compile(r'^  File "(?P<file>.+)", line (?P<number>\d+), in .*$', re.MULTILINE)


def loaded() -> list[str]:
  """Returns the names of the plugins that this process has imported, in order."""
  return list(_LOADED)


def record() -> dict[str, Any]:
  """Returns the fields of config.json or sweep.json on them; {} where there are none.

  They name the plugins, and what their code was, by a digest.
  """
  return {FIELD: loaded(), DIGESTS: dict(_LOADED)} if _LOADED else {}


def changed(there: Mapping[str, Any]) -> str:
  """Returns a line on the plugins whose code is another than that of a run; "" where none is.

  Args:
    there: config.json of the run, made by this or an earlier version.
  """
  before = there.get(DIGESTS, {}).items()
  names = [name for name, digest in before if _LOADED.get(name, digest) != digest]
  if not names:
    return ""
  return (
    f"The code of the plugin {', '.join(names)} has changed since the run was trained: where it "
    "computes something else, what follows is another run than before."
  )


def recorded(folder: str | os.PathLike) -> list[str]:
  """Returns the plugins of a run or sweep; [] where its files cannot be read, or name none."""
  kind = schema.entries(optional={FIELD: schema.list_of(schema.TEXT)})
  for name in (CONFIG, SWEEP):
    try:
      found = schema.read(pathlib.Path(folder) / name, kind, "")
    except UserError:  # who opens the folder says what is wrong with it
      continue
    if found is not None:
      return found.get(FIELD, [])
  return []


def load(names: Iterable[str]) -> None:
  """Imports modules that may add to the registries, each once.

  Args:
    names: as in `import NAME`, found on PYTHONPATH and wherever else Python looks.

  Raises:
    UserError: one does not exist, is none of the user's, ends with an error, or replaces or misuses
      a registry.
  """
  for name in names:
    if not _load(name):
      raise UserError(
        f"there is no module {name}, which is asked for as a plugin: it is looked for on "
        f"PYTHONPATH and in the current folder, {_here()}"
      )


def load_recorded(names: Iterable[str], where: str | os.PathLike) -> None:
  """`load` for the plugins that a folder names.

  Those that are absent are passed over where others were loaded before: these may have their parts.

  Args:
    names: as `recorded` returns them.
    where: the folder.

  Raises:
    UserError: as `load`; the message says which module is missing, and how to give it.
  """
  given = loaded()
  for name in names:
    if name in _OURS:  # as earlier versions took them
      continue
    if _is_of_python(name):
      raise UserError(
        f"{where} names {name} as its plugin, a module of Python's own, which has no parts: its "
        "config.json is damaged"
      )
    if not _load(name) and not given:
      raise UserError(
        f"{where} needs the plugin {name}, and there is no module of that name: put its folder on "
        f"PYTHONPATH, start in its folder, or name the module that has its parts now by --plugin "
        "(in Python, gan.training.plugins.load)"
      )


def _load(name: str) -> bool:
  """Imports one plugin; False where there is no such module."""
  if name in _LOADED:
    return True
  _check_name(name)
  before = {what: dict(registry) for what, registry in _registries().items()}
  try:
    module = importlib.import_module(name)
  except ModuleNotFoundError as error:
    if error.name and f"{name}.".startswith(f"{error.name}."):
      return False
    raise UserError(_fault(name, error)) from error
  except (Exception, SystemExit) as error:
    raise UserError(_fault(name, error)) from error
  _check_place(name, module)
  _check_owner(name)
  for what, registry in _registries().items():
    check(name, what, before[what], registry)
  _LOADED[name] = _digest(module)
  return True


def _digest(module: ModuleType) -> str:
  """Of a module's code: that of its file, or of all files of a package."""
  folders = [pathlib.Path(folder) for folder in getattr(module, "__path__", ())]
  paths = sorted(path for folder in folders for path in folder.rglob("*.py"))
  code = hashlib.sha256()
  for path in paths or [pathlib.Path(module.__file__)]:
    code.update(path.read_bytes())
  return code.hexdigest()[:16]


def _check_name(name: str) -> None:
  if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", name) or name.endswith(".py"):
    stem = pathlib.PurePath(name).name.removesuffix(".py") or "my_module"
    raise UserError(f"{name!r} names no plugin: give the name of a module, as in `import {stem}`")


def _check_place(name: str, module: ModuleType) -> None:
  """Raises UserError where Python has another module of the name than the one in this folder."""
  place = pathlib.Path(_here(), *name.split("."))
  found = getattr(module, "__file__", None)
  for own in (place.with_suffix(".py"), place / "__init__.py"):
    if own.is_file() and not (found and pathlib.Path(found).exists() and own.samefile(found)):
      raise UserError(
        f"the plugin {name} is {found or 'built into Python'}, which is found before {own}: give "
        "your module a name of its own"
      )


def _check_owner(name: str) -> None:
  if name in _OURS or _is_of_python(name):
    owner = "this library's" if name in _OURS else "Python's"
    raise UserError(
      f"--plugin={name} names a module of {owner} own, which adds no parts: name one of yours"
    )


def _is_of_python(name: str) -> bool:
  return name.split(".")[0] in sys.stdlib_module_names


def _here() -> str:
  try:
    return os.getcwd()
  except OSError:  # it was deleted
    return ""


def fault(error: BaseException) -> str | None:
  """Returns a line on what a part of a plugin raised as it was used; None where none did.

  What this library raised, called by a plugin or not, is not the plugin's.
  """
  owners = {
    file: owner
    for owner in (*_OURS, *_LOADED)
    for known, module in list(sys.modules.items())
    if f"{known}.".startswith(f"{owner}.") and (file := getattr(module, "__file__", None))
  }
  frames = [frame for frame in _frames(error) if frame.filename in owners]
  name = owners[frames[-1].filename] if frames else None
  if name not in _LOADED:
    return None
  return f"the plugin {name} failed ({_place(frames)}): {_what(error)}"


def _frames(error: BaseException) -> Iterator[traceback.FrameSummary]:
  """Where it was raised, outermost first; the lines of a callback are inside of all others."""
  yield from traceback.extract_tb(error.__traceback__)
  for found in _LINE.finditer(str(error)):
    yield traceback.FrameSummary(found["file"], int(found["number"]), "")


def _fault(name: str, error: BaseException) -> str:
  """What a plugin raised as it was imported: type, message, file and line."""
  frames = [
    frame
    for frame in traceback.extract_tb(error.__traceback__)
    if not frame.filename.startswith("<frozen") and frame.filename != __file__
  ]
  # Its own line says more than that of a library which it called.
  own = [frame for frame in frames if pathlib.Path(frame.filename).stem in name.split(".")]
  place = _place(own or frames)
  if isinstance(error, SyntaxError) and error.filename:
    place = f"{error.filename}, line {error.lineno}"
  return f"the plugin {name} cannot be imported ({place}): {_what(error)}"


def _place(frames: Sequence[traceback.FrameSummary]) -> str:
  return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else "no line is known"


def _what(error: BaseException) -> str:
  """Type and message of an exception, whose lines follow each other in one."""
  text = str(error.msg or "" if isinstance(error, SyntaxError) else error)
  if lines := list(_LINE.finditer(text)):  # type and message stand after a callback's traceback
    return " ".join(text[lines[-1].end() :].split())
  text = " ".join(text.split())
  return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _registries() -> dict[str, dict[str, Any]]:
  """What a plugin may add to, by the name of the registry."""
  # Importing them only where there is a plugin keeps reports free of JAX.
  from gan.augment import AUGMENTATIONS
  from gan.datasets import DATASETS
  from gan.losses import LOSSES
  from gan.method.update_rules import UPDATE_RULES
  from gan.metrics import METRICS
  from gan.models import MODELS
  from gan.optimizers import OPTIMIZERS
  from gan.penalties import PENALTIES
  from gan.regularizers import REGULARIZERS
  from gan.schedules import SCHEDULES
  from gan.training.presets import PRESETS
  from gan.training.writers import WRITERS

  return {
    "AUGMENTATIONS": AUGMENTATIONS,
    "DATASETS": DATASETS,
    "LOSSES": LOSSES,
    "METRICS": METRICS,
    "MODELS": MODELS,
    "OPTIMIZERS": OPTIMIZERS,
    "PENALTIES": PENALTIES,
    "PRESETS": PRESETS,
    "REGULARIZERS": REGULARIZERS,
    "SCHEDULES": SCHEDULES,
    "UPDATE_RULES": UPDATE_RULES,
    "WRITERS": WRITERS,
  }
