"""What a search may cost for each loss, as --budget says it."""

import re
from collections.abc import Callable
from typing import NamedTuple

from gan.errors import UserError
from gan.sweeps.search import MOST_TRIALS, Point

_FORM = re.compile(r"(\d+(?:\.\d+)?)(runs|h|images|Mimages)")
_HOUR = 3600.0


class Budget(NamedTuple):
  """A budget of each loss.

  Attributes:
    text: as it was typed.
    runs: of the search; None where it is of something else.
    images: real images that discriminators see in the search, or None.
    seconds: after which the command stops, or None.
  """

  text: str
  runs: int | None = None
  images: int | None = None
  seconds: float | None = None


def read(text: str) -> Budget:
  """Returns the budget that a text names; UserError where it names none, or less than a run."""
  found = _FORM.fullmatch(text.strip())
  if found is None:
    raise UserError(
      f"--budget={text} is no budget of a loss: give a number with its unit, as 96runs, 2h or "
      "5Mimages"
    )
  amount, unit = float(found[1]), found[2]
  if unit == "h":
    budget = Budget(text, seconds=_HOUR * amount)
  elif unit == "runs":
    budget = Budget(text, runs=int(amount))
  else:
    budget = Budget(text, images=round(amount * (1e6 if unit == "Mimages" else 1)))
  if not (budget.runs or budget.images or budget.seconds):
    raise UserError(f"--budget={text} is below one run of each loss: give more")
  return budget


def samples_within(
  budget: Budget, points: Callable[[int], list[Point]], images: Callable[[Point], int]
) -> int:
  """Returns how many settings of a loss a budget of runs or images is enough for.

  Args:
    budget: of each loss.
    points: `samples -> points`; more samples begin with the same points.
    images: that a run at a point sees.

  Raises:
    UserError: it is below one run.
  """
  if budget.runs:
    return budget.runs
  count = 64
  while True:
    spent, within = 0, 0
    for point in points(count):
      spent += images(point)
      within += spent <= budget.images
    if spent > budget.images or count > MOST_TRIALS:
      break
    count *= 2
  if not within:
    raise UserError(
      f"--budget={budget.text} is below one run of each loss, which sees {images({}):,} images: "
      "give more, or fewer --steps"
    )
  return within
