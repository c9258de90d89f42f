"""The parts of a page in their order, each with an address that the list of contents links to."""

import itertools
import re
from collections.abc import Sequence
from typing import Any

FOOT = "What this was made from"


def parts(
  lead: Sequence[dict[str, Any]],
  figures: Sequence[dict[str, Any]],
  tables: Sequence[dict[str, Any]],
  comparisons: dict[str, Any] | None = None,
  settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
  """Returns what page.html shows, with addresses, and `contents`, which lists it.

  Args:
    lead: figures before the first table.
    figures: after the findings.
    tables: the first leads, the others stand at the end.
    comparisons: a table, the first after the findings.
    settings: a table, the next.
  """
  found = {"lead": _sections(lead), "tables": [_filled(table) for table in tables]}
  found |= {"sections": _sections(figures), "foot": {"title": FOOT}}
  named = {"comparisons": comparisons, "settings": settings}
  named = {name: _filled(table) for name, table in named.items() if table}
  listed = [*named.values(), *found["sections"], *found["tables"][1:], found["foot"]]
  for place, part in enumerate([*found["lead"], *found["tables"][:1], *listed]):
    part["id"] = f"{place + 1}-{_slug(part['title'])}"
  return found | named | {"contents": listed}


def _slug(title):
  return re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")


def _sections(figures):
  """Figures that follow each other under one heading and share a caption are one section."""
  groups = itertools.groupby(figures, lambda figure: figure.get("part") or figure["title"])
  return [_section(title, [*group]) for title, group in groups]


def _section(title, figures):
  return {"title": title, "figures": figures, "caption": figures[0]["caption"]}


def _filled(table):
  """The table without its empty columns."""
  kept = [
    any(row["cells"][place] not in ("", None) for row in table["rows"])
    for place in range(len(table["head"]))
  ]
  rows = [row | {"cells": [*itertools.compress(row["cells"], kept)]} for row in table["rows"]]
  return table | {"head": [*itertools.compress(table["head"], kept)], "rows": rows}
