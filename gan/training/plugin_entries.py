"""Entries of registries that a plugin adds: whether they can be used, said when it is imported."""

import re
from typing import Any

from gan.errors import UserError
from gan.system.schema import takes
from gan.training.aliases import ALIASES


def check(plugin: str, what: str, before: dict[str, Any], after: dict[str, Any]) -> None:
  """Checks what a plugin has made of a registry.

  Args:
    plugin: its name.
    what: the registry's, such as "LOSSES".
    before: the registry as it was, a copy.
    after: as it is.

  Raises:
    UserError: it changed an entry, or added one that cannot be used.
  """
  from gan.training.options import entry_fault

  for name in before:
    if after.get(name) is not before[name]:
      raise UserError(
        f"the plugin {plugin} replaces or removes {what}[{name!r}], by which runs are known: add "
        "its own under another name"
      )
  kind = type(next(iter(before.values())))
  for name in after.keys() - before.keys():
    # A name is part of flags, of lists by commas and of folders.
    if not (isinstance(name, str) and re.fullmatch(r"\w[\w.-]*", name)):
      raise UserError(
        f"the plugin {plugin} adds {what}[{name!r}]: a name has letters, digits, _, - and . only"
      )
    if wanted := _wanted(what, kind, after[name]):
      raise UserError(
        f"the plugin {plugin} adds a {type(after[name]).__name__} as {what}[{name!r}], where "
        f"{wanted} belongs"
      )
    if fault := (
      _name_fault(what, name)
      or entry_fault(after, name)
      or _call_fault(what, after[name])
      or _direction_fault(what, after[name])
    ):
      raise UserError(f"the plugin {plugin} adds {what}[{name!r}], {fault}")


def _name_fault(what: str, name: str) -> str:
  """What is wrong with a name that flags take for another entry, which then hides this one."""
  from gan.augment import AUGMENTATIONS
  from gan.schedules import SPELLINGS

  others = {"LOSSES": ALIASES["loss"], "SCHEDULES": SPELLINGS}.get(what, {})
  if name in others:
    return f"which is another name of {others[name]}: give it another name"
  takers = [other for other, entry in AUGMENTATIONS.items() if name in entry.choices]
  if what == "AUGMENTATIONS" and takers:
    return f"which {takers[0]} takes behind its colon: give it another name"
  return ""


def _direction_fault(what: str, entry: Any) -> str:
  """What is wrong with the directions in which a metric says that its numbers are better."""
  from gan.metrics.base import DIRECTIONS

  given = entry.better if what == "METRICS" else {}
  bad = sorted({repr(each) for each in given.values() if each not in DIRECTIONS})
  return f"whose `better` has {', '.join(bad)} where one of {DIRECTIONS} belongs" if bad else ""


# What the functions of an entry are given in order: {attribute: names}, "" for the entry itself.
_GIVEN: dict[str, dict[str, tuple[str, ...]]] = {
  **dict.fromkeys(("AUGMENTATIONS", "REGULARIZERS", "UPDATE_RULES"), {"make": ()}),
  "DATASETS": {"": ("split", "data_dir", "image_size")},
  "LOSSES": dict.fromkeys(("discriminator", "generator", "threshold"), ("real", "fake")),
  "METRICS": {
    "function": ("data", "fake", "rng"),
    "perfect": ("data", "count", "rng"),
    "notice": ("data", "fake"),
    **dict.fromkeys(("range", "applies"), ("data",)),
  },
  "MODELS": {"build": ("spec",)},
  "OPTIMIZERS": {"make": ("learning_rate",)},
  "PENALTIES": {"function": ("critic", "real", "fake", "keys")},
  "PRESETS": {},
  "WRITERS": {"make": ("session",)},
}


def _call_fault(what: str, entry: Any) -> str:
  """What is wrong with how the functions of an entry can be called, or ""."""
  functions = {"make": entry.arguments} if what == "SCHEDULES" else _GIVEN[what]
  by_name = {*getattr(entry, "options", ()), *getattr(entry, "keywords", ())}
  for attribute, given in functions.items():
    function = getattr(entry, attribute) if attribute else entry
    if what == "LOSSES" and entry.init and attribute != "threshold":
      given = (*given, "state")
    if function is not None and not takes(function, *given, named=by_name):
      part = f"whose {attribute}" if attribute else "which"
      return f"{part} must take ({', '.join(given)}), and nothing else but options by name"
  return ""


def _wanted(what: str, kind: type, entry: Any) -> str:
  """What belongs into a registry, where an entry is something else; else ""."""
  if what == "DATASETS":
    return "" if callable(entry) else "a function (split, data_dir, image_size) -> Dataset"
  if what != "PRESETS" or not isinstance(entry, dict):
    return "" if isinstance(entry, kind) else f"a {kind.__module__}.{kind.__name__}"
  from gan.training.options import fields

  unknown = sorted(map(str, entry.keys() - fields().keys()))
  return f"a dict of fields of Config (and not {', '.join(unknown)})" if unknown else ""
