"""The text of `Config.augment`: augmentations by commas, and what is typed behind their colons."""

from gan.augment import AUGMENTATIONS
from gan.errors import UserError


def named(text: str) -> dict[str, str]:
  """Returns what is typed behind the name of each augmentation, "" for nothing, in their order.

  An item that is no augmentation belongs to the last name with a colon: "ada:blit,geom,mirror" is
  {"ada": "blit,geom", "mirror": ""}.

  Args:
    text: `Config.augment`.
  """
  found = {}
  for name, item in _items(text):
    found[name] = ",".join(filter(None, [found.get(name, ""), item]))
  return found


def _items(text: str) -> list[tuple[str, str]]:
  """(name, item behind its colon or ""), one for each item between commas."""
  pairs, open_name = [], ""
  for item in filter(None, map(str.strip, text.split(","))):
    name, colon, argument = map(str.strip, item.partition(":"))
    if colon:
      open_name = name
    elif open_name and name not in AUGMENTATIONS:
      name, argument = open_name, name
    else:
      open_name = ""
    pairs.append((name, argument))
  return pairs


def check_named(text: str) -> None:
  """Checks the names in `Config.augment`, and what is typed behind them.

  Args:
    text: `Config.augment`.

  Raises:
    UserError: one is unknown, or a name is there twice.
  """
  by_number = {name: entry.strength for name, entry in AUGMENTATIONS.items() if entry.strength}
  choose = f"choose from {', '.join(sorted(AUGMENTATIONS.keys() - by_number.keys()))}"
  if text and not named(text):
    raise UserError(f"--augment={text} names none: {choose}")
  for name, argument in _items(text):
    if name not in AUGMENTATIONS:
      raise UserError(f"--augment={name} is unknown: {_taken(name) or choose}")
    if argument and argument not in AUGMENTATIONS[name].choices:
      raise UserError(f"--augment={text}: {_unfit(name, argument)}; or {choose}")
    if name in by_number:
      raise UserError(
        f"--augment={name} is chosen by --{by_number[name]} above 0, and comes last: give that, "
        f"and leave {name} out"
      )
  _check_once(text)
  _check_behind_colons(text)


def _taken(item: str) -> str:
  """How to write what one of the augmentations takes behind its colon."""
  names = [f"{name}:{item}" for name, entry in AUGMENTATIONS.items() if item in entry.choices]
  return f"write {' or '.join(names)}" if names else ""


def _unfit(name: str, argument: str) -> str:
  if not (choices := AUGMENTATIONS[name].choices):
    return f"nothing belongs behind the colon of {name}, and not {argument}"
  return f"{argument} is none of those behind the colon of {name}: {', '.join(choices)}"


def _check_behind_colons(text: str) -> None:
  opened = [item.partition(":")[0].strip() for item in text.split(",") if ":" in item]
  for name in opened:
    if not named(text)[name]:
      choices = ", ".join(AUGMENTATIONS[name].choices)
      offered = f"name some of {choices}, or " if choices else ""
      raise UserError(
        f"--augment={text} has nothing behind the colon of {name}: {offered}leave out the colon"
      )


def _check_once(text: str) -> None:
  opened = [item.partition(":")[0].strip() for item in text.split(",")]
  for name in AUGMENTATIONS:
    if opened.count(name) > 1:
      raise UserError(f"--augment={text} has {name} twice: give each once")
