"""The pages of the API: each public name once, with what its docstring says."""

import ast
import importlib
import inspect
import pathlib
import re

import gan

HEAD = """# API

`import gan` has these names, each imported when it is first read; so are its packages, such as
`gan.losses`. Registries are dictionaries by the names that commands take; a
[plugin](../python.md#plugins-own-parts-for-every-command) adds to them.
"""
# Rooms, and a part of one, that list what is public.
ROOMS = (
  "losses",
  "penalties",
  "networks",
  "state",
  "optimizers",
  "schedules",
  "augment",
  "regularizers",
  "models",
  "models.layers",
  "method.update_rules",
  "datasets",
  "metrics",
  "metrics.extractors",
)
# What a room is called over its part of the front door.
TITLES = {
  "augment": "Augmentations",
  "optimizers": "Optimisers",
  "regularizers": "Regularisers",
  "method": "The game and its updates",
  "training": "Runs",
  "errors": "Errors",
}


def pages() -> dict[str, str]:
  """Returns the page of the front door, and one of each room that has more than that shows."""
  rooms = {f"api/{room}.md": _room(room) for room in ROOMS if room_names(room)}
  return {"api/index.md": _front_door()} | rooms


def room_names(room: str) -> list[str]:
  """Returns the public names of a room that are not at the front door.

  Those are what its `__all__` lists or, of a room that is one file, what it defines.
  """
  module = importlib.import_module(f"gan.{room}")
  names = getattr(module, "__all__", None) or _defined(module)
  at_the_door = {name for name in gan.__all__ if getattr(gan, name) is getattr(module, name, gan)}
  return [name for name in names if name not in at_the_door]


def _defined(module):
  tree = ast.parse(pathlib.Path(module.__file__).read_text(encoding="utf-8"))
  names = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
  return [name for name in names if not name.startswith("_")]


def _front_door():
  parts, told = [HEAD], registries()
  for room, names in _by_room().items():
    parts.append(f"## {_title(room)}")
    parts += [_entry(f"gan.{name}", told.get(name)) for name in names]
    if room in ROOMS and room_names(room):
      parts.append(f"More of it: [gan.{room}]({room}.md).")
  return "\n\n".join(parts) + "\n"


def _by_room():
  rooms = {}
  for name in gan.__all__:
    if name in gan._HOME:
      rooms.setdefault(gan._HOME[name].split(".")[1], []).append(name)
  return rooms


def _title(room):
  return TITLES.get(room, room.capitalize())


def registries() -> dict[str, str]:
  """Returns what the docstring of the package says of each registry."""
  return dict(re.findall(r"^ +([A-Z_]{5,}) +(name -> .*)$", gan.__doc__, re.M))


def _entry(path, told=None):
  """The directive of a name; of data, which have no docstring, what the package tells of them."""
  text = f"::: {path}"
  return text if told is None else f"{text}\n\n`{told}`"


def _room(room):
  module = importlib.import_module(f"gan.{room}")
  head = f"# gan.{room}\n\n{inspect.getdoc(module)}\n\n[The front door](index.md) has more of it."
  return "\n\n".join([head, *(_entry(f"gan.{room}.{name}") for name in room_names(room))]) + "\n"
