"""The picture of the house: which rooms import from which, read off the source of every file."""

import ast
import functools
import itertools
import pathlib

PACKAGE = pathlib.Path(__file__).resolve().parents[2] / "gan"
MARK = "<!-- the rooms are drawn here -->"  # in the page on the house
WIDTH, HEIGHT = 122, 32  # of a room, in units of the drawing
GAP, DOWN = 18, 58  # between what stands on a floor; from a floor to the next
ROUTE = 14  # wide is a line that passes a floor


def drawn() -> str:
  """Returns the picture as SVG, of which a page sets the colours.

  A line leads from each room to those that import from it, less what follows from other lines.
  """
  rows, routes = _with_routes(floors(imports()), reduced(imports()))
  places = _places(rows, routes)
  lines = [_line([places[stop] for stop in route]) for route in routes]
  boxes = [_box(stop, *place) for stop, place in places.items() if isinstance(stop, str)]
  width = max(x for x, _ in places.values()) + WIDTH / 2 + 2
  box = f"0 0 {width:g} {(len(rows) - 1) * DOWN + HEIGHT + 4:g}"
  label = "Rooms of gan: each is below those that it imports from"
  return (
    f'<svg viewBox="{box}" role="img" aria-label="{label}" style="max-width: 38rem">'
    f"{''.join(lines + boxes)}</svg>"
  )


def _with_routes(rows, uses):
  """The floors with the places where lines pass them, and what each line meets, from above."""
  rows, floor = [list(row) for row in rows], {room: n for n, row in enumerate(rows) for room in row}
  routes = []
  for room in floor:
    for used in sorted(uses[room]):
      between = range(floor[used] + 1, floor[room])
      routes.append([used, *((used, room, n) for n in between), room])
      for n in between:
        rows[n].append((used, room, n))
  return rows, routes


def _places(rows, routes):
  """(middle, top) of all that stands on a floor, in the order of the middle of what is above it."""
  above, places = {}, {}
  for route in routes:
    for upper, lower in itertools.pairwise(route):
      above.setdefault(lower, []).append(upper)
  for floor, row in enumerate(rows):
    middle = {one: _mean([places[upper][0] for upper in above.get(one, [])]) for one in row}
    widths = {one: (WIDTH if isinstance(one, str) else ROUTE) + GAP for one in row}
    x = (_widest(rows) - sum(widths.values())) / 2
    for one in sorted(row, key=middle.get):
      places[one] = x + widths[one] / 2, 2 + floor * DOWN
      x += widths[one]
  return places


def _mean(values):
  return sum(values) / max(len(values), 1)


def _widest(rows):
  return max(sum((WIDTH if isinstance(one, str) else ROUTE) + GAP for one in row) for row in rows)


def _line(stops):
  """A line down through its places, which passes the floors between straight."""
  path, (x, y) = f"M{stops[0][0]:g} {stops[0][1] + HEIGHT:g}", stops[0]
  for end, top in stops[1:]:
    bend = (DOWN - HEIGHT) * 0.6
    path += f" C{x:g} {y + HEIGHT + bend:g} {end:g} {top - bend:g} {end:g} {top:g}"
    path += f" V{top + HEIGHT:g}" * ((end, top) != stops[-1])
    x, y = end, top
  return f'<path d="{path}" style="fill: none; stroke: var(--series-0); stroke-width: 1.5"/>'


def _box(room, x, y):
  frame = f'x="{x - WIDTH / 2:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="4"'
  return (
    f'<rect {frame} style="fill: var(--paper); stroke: var(--ink)"/>'
    f'<text x="{x:g}" y="{y + 21:g}" text-anchor="middle" '
    f'style="fill: var(--ink); font-size: 17px">{room}</text>'
  )


def imports() -> dict[str, set[str]]:
  """Returns the rooms that the files of each room import from, its own left out."""
  files = [path for path in sorted(PACKAGE.iterdir()) if path.suffix in ("", ".py")]
  rooms = {path.stem: set() for path in files if not path.name.startswith("_")}
  for path in sorted(PACKAGE.rglob("*.py")):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own in rooms:
      rooms[own] |= _rooms_of(path) - {own}
  return rooms


def _rooms_of(path):
  tree = ast.parse(path.read_text(encoding="utf-8"))
  names = [
    f"{node.module}.{alias.name}"
    for node in ast.walk(tree)
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
  ]
  return {name.split(".")[1] for name in names if name.startswith("gan.")}


def reduced(uses: dict[str, set[str]]) -> dict[str, set[str]]:
  """Returns the imports without those that follow from others."""

  @functools.cache
  def beneath(room):
    return frozenset(uses[room]).union(*map(beneath, uses[room]))

  return {room: used - frozenset().union(*map(beneath, used)) for room, used in uses.items()}


def floors(uses: dict[str, set[str]]) -> list[list[str]]:
  """Returns the rooms by floor: each one below all that it imports from."""

  @functools.cache
  def floor(room):
    return max((floor(used) + 1 for used in uses[room]), default=0)

  return [[room for room in uses if floor(room) == n] for n in range(max(map(floor, uses)) + 1)]
