"""Other names of a value, as flags may give it and as files of earlier versions have it."""

import pathlib
from collections.abc import Mapping
from typing import Any

ALIASES = {"loss": {"minimax": "sat"}}  # by the field of a config


def canonical(values: dict[str, Any]) -> dict[str, Any]:
  """Returns fields of a config, or lists of their values, with each alias replaced by its name."""
  return {name: _canonical(ALIASES.get(name, {}), value) for name, value in values.items()}


def _canonical(names: Mapping[str, str], value: Any) -> Any:
  if isinstance(value, list):
    return [_canonical(names, item) for item in value]
  return names.get(value, value) if isinstance(value, str) else value


def earlier_names(loss: str) -> list[str]:
  """Returns the names under which earlier versions knew a loss."""
  return [alias for alias, name in ALIASES["loss"].items() if name == loss]


def name_of_run(name: str) -> str:
  """Returns the name of today of a run of a sweep, "LOSS,...", which may have an alias."""
  loss, comma, rest = name.partition(",")
  return f"{_canonical(ALIASES['loss'], loss)}{comma}{rest}"


def rename_run_folders(folder: pathlib.Path, names: list[str]) -> None:
  """Renames run folders of a sweep that have an alias of their loss to the name of today.

  Args:
    folder: the folder with the run folders.
    names: of the run folders, each "LOSS,...".
  """
  for name in names:
    loss, comma, rest = name.partition(",")
    for alias in earlier_names(loss):
      old = folder / f"{alias}{comma}{rest}"
      if old.is_dir() and not (folder / name).exists():
        old.rename(folder / name)
